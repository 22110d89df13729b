"""Label-free signals about an answer in words: do its numbers stand in the prompt, does its arithmetic hold.

Both read only the prompt and the answer. An answer that states no number, or no equation, gives no evidence: its
value is None, never a low score.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from tao.answers.expression import AnswerError, parse
from tao.answers.number import DIGITS, Number, find_numbers, parse_number
from tao.prompts import Prompt

MAX_CHARS = 20_000
"""Of a longer answer the end is read: conclusions stand there."""
ROUNDING = Fraction(5, 1000)
"""Relative slack of a stated result: its operands are often rounded before they are printed."""

_SCALE = "thousand|million|billion|trillion|mm|mn|bn|tn|[kmbt]"
_PART = re.compile(
    rf"(?P<number>(?:us)?[$€£¥]?\s?(?:{DIGITS})\s?(?:%|(?:{_SCALE})(?![a-z0-9]))?)|(?P<mark>[-+*/×÷·()\u2212\u2013])|(?P<other>\S)",
    re.IGNORECASE,
)
_EQUALS = re.compile(r"=|≈|\\approx")
_LATEX = {"\\times": "×", "\\div": "÷", "\\cdot": "·", "\\$": "$", "\\%": "%", "\\left": " ", "\\right": " "}


@dataclass(frozen=True, slots=True)
class Equation:
    """A calculation that an answer states.

    Attributes:
        text: Its left side, as read.
        value: What the left side comes to.
        stated: The number to the right of the equals sign.
        step: One unit of the last place that `stated` prints.
    """

    text: str
    value: Fraction
    stated: Number
    step: Fraction

    @property
    def holds(self) -> bool:
        """Whether the stated number is the value, as printed or nearly so; per cent and scale words may be left out."""
        factors = {1, self.stated.scale} | ({Fraction(1, 100)} if self.stated.percent else set())
        for factor in factors:
            if abs(self.value - self.stated.value * factor) <= max(self.step * factor / 2, abs(self.value) * ROUNDING):
                return True
        return False


def equations(answer: str) -> list[Equation]:
    """The calculations over typed numbers that an answer states as ``left = number``, in order.

    Not read: a left side with names or cited cells in it (nothing to compute), a bare number, a division by zero.
    """
    text = answer[-MAX_CHARS:]
    for written, meant in _LATEX.items():
        text = text.replace(written, meant)
    found: list[Equation] = []
    for line in text.splitlines():
        sides = _EQUALS.split(line)
        for left, right in pairwise(sides):
            stated = _first_number(right)
            value = _value(left)
            if stated is not None and value is not None:
                found.append(Equation(value[0], value[1], *stated))
    return found


def _first_number(text: str) -> tuple[Number, Fraction] | None:
    """The number a text begins with, and the unit of its last place; None where words come before it."""
    for match in _PART.finditer(text[:80]):
        if match["number"]:
            sign = "-" if text[: match.start()].strip()[-1:] in ("-", "\u2212") else ""
            number = parse_number(sign + match["number"].strip())
            decimals = len(re.sub(r"[^0-9.]", "", match["number"]).partition(".")[2])
            return None if number is None else (number, Fraction(1, 10**decimals))
        if match["other"] and match["other"] not in "*`~:":
            return None
    return None


def _value(text: str) -> tuple[str, Fraction] | None:
    """The calculation that a text ends with, and its value."""
    parts = list(_PART.finditer(text[-300:]))
    start = len(parts)
    while start and not parts[start - 1]["other"]:
        start -= 1
    for first in range(start, len(parts)):  # "in 2023 (5 + 3)": what does not parse in front is no part of it
        read = parts[first:]
        if not read[0]["number"] and read[0][0] not in "(-\u2212":
            continue
        if not any(part["mark"] and part[0] not in "()" for part in read[1:]):
            return None
        written = " ".join(_typed(part) for part in read)
        try:
            return written, parse(written).evaluate(_no_cell)
        except AnswerError:
            continue
    return None


def _typed(part: re.Match[str]) -> str:
    if not part["number"]:
        return part[0]
    number = parse_number(part[0].strip())
    if number is None:
        return "?"
    value = number.value * number.scale / (100 if number.percent else 1)
    return f"( {value.numerator} / {value.denominator} )" if value.denominator != 1 else str(value.numerator)


def _no_cell(citation: str) -> Fraction:
    raise AnswerError("bad_citation", citation)


def recomputes(prompt: Prompt, answers: Sequence[str]) -> list[float | None]:
    """Share of each answer's stated calculations that hold; None where it states none.

    Args:
        prompt: Unused; every signal has it.
        answers: Answers in words.
    """
    found = []
    for answer in answers:
        stated = equations(answer)
        found.append(sum(e.holds for e in stated) / len(stated) if stated else None)
    return found


def grounded(prompt: Prompt, answers: Sequence[str]) -> list[float | None]:
    """Share of each answer's numbers that the prompt prints or that a calculation of the answer itself yields.

    A number counts as printed whatever its sign, scale word and per cent sign; a calculation yields its stated result
    only if it holds. None where an answer states no number.

    Args:
        prompt: What the answers may rest on: the text of all its messages.
        answers: Answers in words.
    """
    printed = {abs(n.value) for m in prompt.messages for n in find_numbers(m.content)}
    found: list[float | None] = []
    for answer in answers:
        numbers = [abs(n.value) for n in find_numbers(answer[-MAX_CHARS:])]
        derived = {abs(e.stated.value) for e in equations(answer) if e.holds}
        found.append(sum(n in printed or n in derived for n in numbers) / len(numbers) if numbers else None)
    return found
