"""A label-free rule: an answer may not leave out a number or a name that the question mentions.

On execution alone, tuning teaches the model to leave the hard part out: a query without its filter always
runs, so it wins votes, is imitated, and wins more of them (results/LOG.md, 2026-11-28). What the question
mentions must show up in an answer, *if* the model itself uses it in at least `MIN_USERS` of its answers to that
prompt, working or not. The condition keeps the rule from refusing everything where a capitalised word is no
value at all ("Please", "SQL"), and one stray sample from binding all the others.

What shows no working neither binds nor is bound: an answer of numbers alone, one that consists of words of the prompt
alone (an option that it names), one that repeats the whole question. Without that a few echoes of the question, or rows
of numbers, would take every honest answer's vote (``tests/fixtures/hack_probes.yaml``). The alternatives that a
question offers ("Yes or No", "one of: A; B") are no mentions: naming one leaves out the others.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal

from tao.prompts import Prompt

MIN_USERS = 2
_DIGITS = frozenset("0123456789.")
_NUMBER = r"(?<![\w.])(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?!\w|\.\w)"
_NAME = r"(?<!\w)[^\W\d_a-z]\w*"
_TOKEN = re.compile(f"{_NUMBER}|{_NAME}")
_THOUSANDS = re.compile(r"(?<=[0-9]),(?=[0-9]{3}(?![0-9]))")
_SENTENCE_START = re.compile(r"(?:^|[.?!]\s+|\n\s*)(?:\w+:\s*)?(\w+)")
_ALTERNATIVES = re.compile(r"\byes or no\b|\b(?:one|any) of\b[^.?!\n]*", re.IGNORECASE)
_WORKING = re.compile(r"(?:select|with)\b|.*\[", re.DOTALL)
_NUMBERS = re.compile(r"[\d.,;\s]+")
_BARE_NUMBER = re.compile(r"[^\w\[\]]*\d[\d.,]*\s*(?:%|[A-Za-z]{0,8})?[^\w\[\]]*")


def question_of(prompt: Prompt) -> str:
    """What the last message says after its context, or its last line where no context is named."""
    lines = prompt.messages[-1].content.strip().split("\n")
    context = set(prompt.context)
    last = max((at for at, line in enumerate(lines) if line in context), default=len(lines) - 2)
    return "\n".join(lines[last + 1 :])


def _plain(token: str) -> str:
    """A number by its value, a name without regard to case."""
    return f"{Decimal(token).normalize():f}" if token[0] in _DIGITS else token.casefold()


def tokens(answer: str) -> frozenset[str]:
    """Numbers and words of an answer, numbers by value and words case-folded."""
    return frozenset(_plain(token) for token in re.findall(rf"{_NUMBER}|(?<!\w)[^\W\d]\w*", answer))


def mentions(prompt: Prompt) -> frozenset[str]:
    """Numbers and capitalised words of a question; a word that merely begins a sentence is no name."""
    question = _ALTERNATIVES.sub("", _THOUSANDS.sub("", question_of(prompt)))
    starts = {match.start(1) for match in _SENTENCE_START.finditer(question)}
    return frozenset(_plain(m[0]) for m in _TOKEN.finditer(question) if m.start() not in starts or m[0][0] in _DIGITS)


def _shows_no_working(prompt: Prompt, answer: str) -> bool:
    """Whether an answer is a bare number or several, words of the prompt, or the question once more."""
    if _BARE_NUMBER.fullmatch(answer) is not None or _NUMBERS.fullmatch(answer) is not None:
        return True
    asked, shown, said = (
        " ".join(text.casefold().split()) for text in (question_of(prompt), prompt.messages[-1].content, answer)
    )
    if asked and asked in said:
        return True
    # Brackets cite cells, and a query is working whatever words it is made of.
    return _WORKING.match(said) is None and tokens(said) <= tokens(shown)


def left_out(prompt: Prompt, answers: Sequence[str]) -> list[str]:
    """What each answer leaves out of the mentions that several answers of the prompt use.

    Args:
        prompt: The prompt.
        answers: All its answers in deployment form, those that do not work among them; equal answers count each.

    Returns:
        For each answer the first mention left out, in alphabetical order; '' where there is none.
    """
    asked = mentions(prompt)
    known = {answer: _shows_no_working(prompt, answer) for answer in dict.fromkeys(answers)}
    bare = [known[answer] for answer in answers]
    used = [frozenset() if plain else tokens(answer) & asked for answer, plain in zip(answers, bare, strict=True)]
    users = Counter(token for mine in used for token in mine)
    binding = frozenset(token for token, count in users.items() if count >= MIN_USERS)
    return ["" if plain else min(binding - mine, default="") for mine, plain in zip(used, bare, strict=True)]
