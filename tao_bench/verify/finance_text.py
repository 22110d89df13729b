"""Free-text golds of questions on filings, against what an answer concludes: rules, no model.

In order: a refusal; a measure that does not apply; the option chosen; yes or no; figures that the question asks for;
"there are none"; else how much of the gold's own words (those not in the question, weighted as
`tao.answers.words` says) the conclusion holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from tao.answers.conclusion import clean, conclusion, sentences
from tao.answers.polarity import Polarity, direction, explicit, inferred, negated, not_applicable
from tao.answers.quantities import Quantity, find_quantities, plain_text
from tao.answers.question import Question, read_question
from tao.answers.refusal import apologises, refuses
from tao.answers.words import content, weight
from tao_bench.verify.verdict import Status, Verdict, correct, failed

RECALL = 0.35
REFUSAL_RECALL = 0.5
NUMBERS = Decimal("0.5")
ON_TOPIC = 0.3
SUBJECT = 0.2
_NEAR = Decimal("0.01")

_ASIDE = re.compile(r"(?:the answer here|this answer) (?:assumes|considers).*", re.IGNORECASE | re.DOTALL)
_CONDITION = re.compile(r"(?<=[.?!])\s+if\s.*", re.IGNORECASE | re.DOTALL)
_INTENT = re.compile(r"^\W*(?:to\s(?:determine|calculate|assess|answer|evaluate|find|compare|see|understand)|let's|we\s(?:need|will)|if\s)", re.IGNORECASE)
_ASKS_NUMBER = re.compile(
    r"\bhow\s(?:much|many)\b|\bhow\s(?:did|does|do)\b.*\bcompare\b|\bwhat\s(?:percent|percentage|share|proportion)\b|\bby\show\b|"
    r"\bwhat\s(?:is|was|were|are)\s(?:the\s)?(?:[\w'&.-]+\s){0,6}?(?:amount|quantity|ratio|total|rate|value|number|percentage|ebitda|coverage|margin|income|revenue)\b",
    re.IGNORECASE,
)
_LIST = re.compile(r"\b(?:among|between|of)\s+(?P<items>[^?.:;]{3,160}?)\s*,?\s+(?:and|or)\s+(?P<last>[\w&' -]{2,40}?)(?=,|\?| activities| segments|$)", re.IGNORECASE)
_MOST = re.compile(r"\b(?:most|highest|largest|greatest|biggest|best|only|primary|least|lowest|smallest|worst)\b", re.IGNORECASE)
_EITHER = re.compile(r"\b(?P<one>[a-z]{4,})\sor\s(?P<two>[a-z]{4,})\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class TextGold:
    text: str
    question: Question
    asked: str
    asked_in_full: str
    words: tuple[str, ...]
    subject: tuple[str, ...]
    question_words: frozenset[str]
    numbers: tuple[Quantity, ...]
    levels: tuple[Quantity, ...]
    polarity: Polarity
    inapplicable: bool
    negative: bool
    asks_number: bool
    options: tuple[frozenset[str], ...]
    chosen: int


def recall(words: Iterable[str], found: frozenset[str] | set[str]) -> float:
    total = hit = 0.0
    for word in words:
        total += weight(word)
        hit += weight(word) if word in found else 0.0
    return hit / total if total else 0.0


def options_of(question: str) -> tuple[frozenset[str], ...]:
    texts: list[str] = []
    if match := _LIST.search(question):
        texts = [*match["items"].split(","), match["last"]]
        if len(texts) < 3:
            texts = []
    if not texts and (match := _EITHER.search(question)):
        one, two = match["one"], match["two"]
        if direction(one) * direction(two) < 0:
            texts = [one, two]
    sets = [frozenset(content(text)) for text in texts]
    if len(sets) < 2 or not all(sets):
        return ()
    shared = frozenset.intersection(*sets)
    return tuple(each - shared for each in sets) if all(each - shared for each in sets) else ()


def mentioned(options: Sequence[frozenset[str]], text: str) -> list[int]:
    words = set(content(text))
    found = [index for index, option in enumerate(options) if option <= words]
    if len(options) == 2 and not found:
        way = direction(text)
        ways = [direction(" ".join(_surface(option))) for option in options]
        found = [index for index, each in enumerate(ways) if each * way > 0]
    return found


_SURFACES = {"increas": "increase", "decreas": "decrease", "improv": "improve", "declin": "decline"}


def _surface(option: frozenset[str]) -> list[str]:
    return [_SURFACES.get(word, word) for word in option]


@lru_cache(maxsize=4096)
def read_text_gold(question: str, gold: str) -> TextGold:
    plain = _ASIDE.sub("", plain_text(gold)).strip() or plain_text(gold).strip()
    asked = _CONDITION.sub("", plain_text(question))
    question_words = frozenset(content(question))
    all_words = tuple(dict.fromkeys(content(plain)))
    words = tuple(word for word in all_words if word not in question_words) or all_words
    form = read_question(asked)
    numbers = tuple(find_quantities(plain))
    inapplicable = not_applicable(plain)
    polarity: Polarity = explicit(plain)
    options = options_of(asked)
    picks = mentioned(options, plain) if options else []
    chosen = picks[0] if len(picks) == 1 else -1
    if not polarity and form.yes_no and not inapplicable and chosen < 0:
        polarity = inferred(asked, plain)
    negative = negated(plain) and not numbers
    only_numbers = not any(word not in question_words for word in all_words)
    asks = bool(numbers) and (only_numbers or _ASKS_NUMBER.search(asked) is not None)
    levels = tuple(number for number in numbers if not is_change(plain, number))
    return TextGold(plain, form, asked, question, words, all_words, question_words, numbers, levels, polarity, inapplicable, negative, asks, options, chosen)


def answer_polarity(parts: Sequence[str], order: Sequence[int], gold: TextGold) -> tuple[Polarity, bool]:
    for index in sorted(order):
        say = explicit(parts[index])
        if say:
            return say, True
    best, best_overlap = -1, ON_TOPIC
    for index in order:
        if not _INTENT.match(parts[index]):
            overlap = recall(gold.question_words, set(content(parts[index])))
            if overlap > best_overlap:
                best, best_overlap = index, overlap + 0.1
    if best < 0:
        return "", False
    return inferred(gold.asked, parts[best]), False


def same_number(found: Quantity, wanted: Quantity) -> bool:
    pairs = []
    if found.percent != wanted.percent:
        bare, other = (found, wanted) if wanted.percent else (wanted, found)
        if bare.power or bare.currency:
            return False
        pairs = [(found.value, wanted.value)]
        if abs(bare.value) < 3:
            factor = Decimal(100)
            pairs.append((found.value * factor, wanted.value) if wanted.percent else (found.value, wanted.value * factor))
    elif wanted.percent:
        pairs = [(found.value, wanted.value)]
    else:
        pairs = [(found.full, wanted.full)]
        if not found.power or not wanted.power:
            powers = (3, 6, 9) if found.power or wanted.power or wanted.currency else ()
            for power in powers:
                pairs.append((found.full.scaleb(power), wanted.full))
                pairs.append((found.full, wanted.full.scaleb(power)))
    exponent = wanted.value.as_tuple().exponent
    place = Decimal(1).scaleb(min(int(exponent), 0))
    for a, b in pairs:
        a, b = abs(a), abs(b)
        unit = place * (b / abs(wanted.value)) if wanted.value else place
        if b < 10 * unit:
            unit /= 2
        if abs(a - b) <= max(unit, b * _NEAR):
            return True
    return False


def share_of_numbers(found: Sequence[Quantity], wanted: Sequence[Quantity]) -> Decimal:
    hits = sum(any(same_number(each, target) for each in found) for target in wanted)
    return Decimal(hits) / len(wanted)


_CHANGE = re.compile(r"(?:\bby|\b(?:declin|decreas|increas|drop|growth|ris|fall|chang)\w*\sof)\s(?:about\s|around\s|approximately\s)?[~$-]{0,3}$", re.IGNORECASE)


def is_change(text: str, number: Quantity) -> bool:
    return _CHANGE.search(text[max(0, number.start - 30) : number.start]) is not None


def alike(found: Quantity, wanted: Quantity) -> bool:
    """Whether two figures are of one kind and one order of magnitude, so that one may contradict the other."""
    if found.percent != wanted.percent:
        return False
    if not found.percent and (found.currency or found.power > 0) != (wanted.currency or wanted.power > 0):
        return False
    if not found.percent and not wanted.currency and not wanted.power:
        whole = found.value == found.value.to_integral_value()
        if whole != (wanted.value == wanted.value.to_integral_value()):
            return False
    a, b = abs(found.full), abs(wanted.full)
    return b / 10 <= a <= b * 10


def contradicts(parts: Sequence[str], gold: TextGold) -> bool:
    """Whether a sentence on the gold's subject states figures of its kind, none of them the gold's."""
    for part in parts:
        if recall(gold.subject, set(content(part))) < SUBJECT:
            continue
        for each in find_quantities(part):
            if any(alike(each, target) for target in gold.levels):
                return True
    return False


def reading_order(parts: Sequence[str], zone: Sequence[int]) -> list[int]:
    """Conclusions first: the last ones that announce a result, then from the start."""
    from tao.answers.conclusion import announces

    cues = [index for index in zone if announces(parts[index])]
    return [*reversed(cues), *[index for index in zone if index not in cues]]


def with_lists(parts: Sequence[str], zone: Sequence[int], limit: int = 12) -> list[int]:
    """Add the lines of a list that an opening sentence announces with a colon."""
    chosen = set(zone)
    for index in list(zone)[:3]:
        if parts[index].endswith(":"):
            chosen.update(range(index + 1, min(len(parts), index + 1 + limit)))
    return sorted(chosen)


def judge_text(answer: str, gold: TextGold) -> Verdict:
    text = clean(answer)
    parts = sentences(text, gold.asked_in_full)
    if not parts:
        return failed(Status.UNPARSABLE, "", "empty" if not text.strip() else "no_statement")
    zone = conclusion(parts, first=2, last=2, announced=2)
    wide = with_lists(parts, zone)
    stated = " ".join(parts[index] for index in wide)
    order = reading_order(parts, zone)
    shown = parts[order[0]][:200]
    words = set(content(stated))
    share = Decimal(0)
    numbers: list[Quantity] = []
    if gold.numbers:
        numbers = find_quantities(stated)
        share = share_of_numbers(numbers, gold.numbers)
    held = recall(gold.words, words)
    if refuses(text) and not gold.inapplicable:
        key = gold.numbers and share >= NUMBERS
        none = gold.negative and (held >= RECALL or not apologises(text))
        if not key and held < REFUSAL_RECALL and not none:
            return failed(Status.WRONG, shown, "refusal")
    if gold.inapplicable:
        said = not_applicable(" ".join(parts)) and explicit(text) != "yes"
        return correct(shown, "not_applicable") if said else failed(Status.WRONG, shown, "not_applicable")
    if gold.chosen >= 0:
        superlative = _MOST.search(gold.asked) is not None and len(text.split()) > 15
        for index in order:
            picks = mentioned(gold.options, parts[index])
            if superlative and not _MOST.search(parts[index]):
                continue
            if len(picks) == 1 and not _INTENT.match(parts[index]):
                same = picks[0] == gold.chosen
                return correct(shown, "option") if same else failed(Status.WRONG, shown, "option")
        return failed(Status.WRONG, shown, "option")
    if gold.polarity:
        say, said = answer_polarity(parts, order, gold)
        if say != gold.polarity:
            return failed(Status.WRONG, shown, "polarity")
        if gold.numbers and share == 0:
            if contradicts([parts[index] for index in wide], gold):
                return failed(Status.WRONG, shown, "figures")
        return correct(shown, "polarity")
    if gold.negative:
        none = any(negated(parts[i]) and recall(gold.question_words, set(content(parts[i]))) > ON_TOPIC for i in zone)
        return correct(shown, "none") if none else failed(Status.WRONG, shown, "none")
    if gold.asks_number:
        needed = 1 if len(gold.numbers) <= 2 else NUMBERS
        return correct(shown, "figures") if share >= needed else failed(Status.WRONG, shown, "figures")
    if gold.numbers and share == 0 and contradicts([parts[index] for index in wide], gold):
        return failed(Status.WRONG, shown, "figures")
    if held >= RECALL:
        return correct(shown, "words")
    if gold.numbers and share >= NUMBERS:
        return correct(shown, "figures")
    return failed(Status.WRONG, shown, "words")
