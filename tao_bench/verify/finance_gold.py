"""Free-text golds of questions on filings: what an answer must say, read from gold and question once."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache

from tao.answers.polarity import Polarity, direction, explicit, inferred, negated, not_applicable
from tao.answers.quantities import Quantity, find_quantities, plain_text
from tao.answers.question import read_question
from tao.answers.words import content, weight

_ON_ITSELF = re.compile(
    r"(?:^|(?<=[.!?])\s+)(?:the|this)\s(?:answer|response|calculation|figure)\b[^.]{0,40}\b(?:assum|consider|refer)\w*.*",
    re.IGNORECASE | re.DOTALL,
)
_CONDITION = re.compile(r"(?<=[.?!])\s+if\s.*", re.IGNORECASE | re.DOTALL)
_ASKS_NUMBER = re.compile(
    r"\bhow\s(?:much|many)\b|\bwhat\s(?:percent|percentage|share|proportion)\b|\bby\show\b|"
    r"\bhow\s(?:did|does|do)\b.{0,200}\bcompare\b|"
    r"\bwhat\s(?:is|was|were|are)\s(?:the\s)?(?:[\w'&.-]+\s){0,6}?(?:amount|quantity|ratio|total|rate|value|number|"
    r"percentage|ebitda|coverage|margin|income|revenue)\b",
    re.IGNORECASE,
)
_LIST = re.compile(
    r"\b(?:among|between|of)\s+(?P<items>[^?.:;]{3,160}?)\s*,?\s+(?:and|or)\s+(?P<last>[\w&' -]{2,40}?)"
    r"(?=,|\?|\sactivities|\ssegments|$|\s(?:is|are|was|were|has|had|did|does|grew|fell|rose|made|saw|brought|contributed|"
    r"generated|earned|used|showed|posted|declined|increased|decreased)\b)",
    re.IGNORECASE,
)
_AMONG = re.compile(r"\b(?:among|between)\s", re.IGNORECASE)
_EITHER = re.compile(r"\b(?P<one>[a-z]{4,})\sor\s(?P<two>[a-z]{4,})\b", re.IGNORECASE)
_CHANGE = re.compile(
    r"(?:\bby|\b(?:declin|decreas|increas|drop|growth|ris|fall|chang)\w*\sof)\s"
    r"(?:about\s|around\s|approximately\s|roughly\s)?[~$-]{0,3}$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Option:
    """One of the answers that a question offers.

    Attributes:
        words: Stems that name it.
        way: Which way it points (above 0 up, below 0 down); 0 for a name.
    """

    words: frozenset[str]
    way: int = 0


@dataclass(frozen=True, slots=True)
class TextGold:
    """What a free-text answer must say.

    Attributes:
        question: As asked.
        asked: The question without instructions for the case that it makes no sense.
        question_words: Stems of the question.
        words: Stems of the gold that the question does not give away (all of them where it gives all away).
        numbers: Figures of the gold.
        levels: Those that are no change (``by $229 million``): an answer may state other figures on the way to it.
        polarity: Yes or no where the gold says one.
        inapplicable: The gold says that the measure does not apply.
        negative: The gold says that there is none, without figures.
        asks_number: The question asks for the figures.
        options: Answers that the question offers.
        chosen: Index of the gold's, -1 where there is none.
    """

    question: str
    asked: str
    question_words: frozenset[str]
    words: tuple[str, ...]
    numbers: tuple[Quantity, ...]
    levels: tuple[Quantity, ...]
    polarity: Polarity
    inapplicable: bool
    negative: bool
    asks_number: bool
    options: tuple[Option, ...]
    chosen: int


def recall(words: Iterable[str], found: Set[str]) -> float:
    """Share of the words' weight that is among those found; 0 for no words."""
    worth = {word: weight(word) for word in words}
    total = math.fsum(worth.values())  # exact: the order of a set, which changes from process to process, must not show
    return math.fsum(value for word, value in worth.items() if word in found) / total if total else 0.0


def options_of(question: str) -> tuple[Option, ...]:
    """The answers a question offers: ``among A, B and C``, or two opposites (``increase or decrease``)."""
    if match := _LIST.search(question):
        texts = [*_AMONG.split(match["items"])[-1].split(","), match["last"]]
        if len(texts) > 2:
            return _named(texts)
    if match := _EITHER.search(question):
        one, two = match["one"], match["two"]
        if direction(one) * direction(two) < 0:
            return Option(frozenset(content(one)), direction(one)), Option(frozenset(content(two)), direction(two))
    return ()


def _named(texts: Sequence[str]) -> tuple[Option, ...]:
    sets = [frozenset(content(text)) for text in texts]
    shared = frozenset.intersection(*sets)
    apart = [each - shared for each in sets]
    return tuple(Option(each) for each in apart) if len(apart) > 1 and all(apart) else ()


def mentioned(options: Sequence[Option], text: str) -> list[int]:
    """Indices of the options that a text names; of two opposites the one it points to, where it names neither."""
    words = set(content(text))
    found = [index for index, option in enumerate(options) if option.words <= words]
    if not found and any(option.way for option in options):
        way = direction(text)
        found = [index for index, option in enumerate(options) if option.way * way > 0]
    return found


@lru_cache(maxsize=4096)
def read_text_gold(question: str, gold: str, offered: tuple[str, ...] = ()) -> TextGold:
    """Read a free-text gold in the light of its question.

    Args:
        question: The question.
        gold: The gold; sentences in it that speak of the answer itself (``this answer assumes``) are left out.
        offered: Options, where the label row lists them.
    """
    plain = _ON_ITSELF.sub("", plain_text(gold)).strip() or plain_text(gold).strip()
    asked = _CONDITION.sub("", plain_text(question))
    question_words = frozenset(content(question))
    subject = tuple(dict.fromkeys(content(plain)))
    new_words = tuple(word for word in subject if word not in question_words)
    numbers = tuple(find_quantities(plain))
    inapplicable = not_applicable(plain)
    polarity = explicit(plain)
    options = _named(offered) if len(offered) > 1 else options_of(asked)
    picks = mentioned(options, plain) if options and not polarity else []
    chosen = picks[0] if len(picks) == 1 else -1
    if not polarity and chosen < 0 and not inapplicable and read_question(asked).yes_no:
        polarity = inferred(asked, plain)
    return TextGold(
        question=question,
        asked=asked,
        question_words=question_words,
        words=new_words or subject,
        numbers=numbers,
        levels=tuple(number for number in numbers if not _is_change(plain, number)),
        polarity=polarity,
        inapplicable=inapplicable,
        negative=negated(plain) and not numbers,
        asks_number=bool(numbers) and (not new_words or _ASKS_NUMBER.search(asked) is not None),
        options=options,
        chosen=chosen,
    )


def _is_change(text: str, number: Quantity) -> bool:
    return _CHANGE.search(text[max(0, number.start - 40) : number.start]) is not None
