"""Verifier ``number@1``: a number, or an expression over cited cells, against a numeric gold.

Gold: ``{"value": 12.3178, "tolerance": 0.0247, "unit": "percent"}``, with ``"scale": 1000`` for amounts whose unit is
thousands. Further keys (program, operands) are for people and proofs; nothing here reads them.

The rules follow a grader measured against 2,400 human labels of FinanceBench answers (agreement kappa 0.94 on numeric
golds): tolerance at the gold's printed precision, units as stated, sign must match, refusals told apart. Two of its
rules are stricter here, because every question states its unit: a percent gold takes 12.3 and 12.3 %, not the fraction
0.123; an amount takes the unit of the question or a scale word (``$4.5 million``), no other power of 1,000.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from tao.answers.document import Document, load_document
from tao.answers.expression import AnswerError
from tao.answers.number import Number, canonical, find_numbers
from tao.answers.reading import Answer, final_line, read_answer
from tao.errors import InputError
from tao.prompts import Prompt
from tao_bench.verify.verdict import Status, Verdict, correct, failed

Unit = Literal["percent", "ratio", "amount", "days"]
UNITS = ("percent", "ratio", "amount", "days")
RELATIVE_TOLERANCE = Fraction(2, 1000)

_EMPTY_DOCUMENT = Document((), (), {})
_REFUSAL = re.compile(
    r"\b(can(?:not|'t| ?not)|could not|couldn't|unable|impossible|insufficient|no information|"
    r"not (?:enough|possible|provided|given|available|disclosed|stated|shown|determin\w+)|"
    r"does(?: not|n't) (?:provide|contain|include|show|state|say)|i (?:do not|don't) (?:know|have)|n/a|unknown)\b",
    re.IGNORECASE,
)
_REFUSAL_ZONE = 300


@dataclass(frozen=True, slots=True)
class NumberGold:
    """What a numeric answer is judged against.

    Attributes:
        value: The true value in the unit of the question.
        tolerance: Largest accepted absolute difference.
        unit: How a percent sign in the answer is to be read.
        scale: What one unit of an amount is worth (1,000 for thousands).
    """

    value: Fraction
    tolerance: Fraction
    unit: Unit
    scale: int = 1


def read_gold(gold: Any) -> NumberGold:
    """Validate a label row's gold.

    Raises:
        InputError: It lacks value, tolerance or unit, or holds no usable numbers.
    """
    if not isinstance(gold, Mapping) or gold.get("unit") not in UNITS:
        raise InputError("a numeric gold needs value, tolerance and unit", fix=f"unit is one of {', '.join(UNITS)}")
    try:
        value, tolerance = Fraction(str(gold["value"])), Fraction(str(gold["tolerance"]))
        scale = int(gold.get("scale", 1))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"a numeric gold needs a finite value and tolerance ({error!r})") from error
    if tolerance < 0 or scale < 1:
        raise InputError("tolerance cannot be negative, nor scale below 1")
    return NumberGold(value, tolerance, gold["unit"], scale)


def printed_tolerance(printed: str) -> Fraction:
    """Tolerance of a gold by its printed precision: one unit of the last place or 0.2 %, whichever is more.

    A gold with a single significant digit gets half a unit: ``0.4`` stands for 0.35 to 0.45, not for 0.3 to 0.5.

    Args:
        printed: The gold as printed, such as ``12.32``; zeros at the end count as precision.
    """
    digits = printed.strip().lstrip("-").replace(",", "")
    unit = Fraction(1, 10 ** len(digits.partition(".")[2]))
    significant = len(digits.replace(".", "").lstrip("0"))
    return max(unit / 2 if significant <= 1 else unit, abs(Fraction(digits)) * RELATIVE_TOLERANCE)


def _candidate(number: Number | None, value: Fraction, gold: NumberGold) -> Fraction | None:
    """The answer in the gold's unit; None where its own unit contradicts the gold's."""
    if number is None:
        return value
    if number.percent:
        if gold.unit == "percent":
            return value
        return value / 100 if gold.unit == "ratio" else None
    if number.scale != 1:
        return value * number.scale / gold.scale if gold.unit == "amount" else None
    return value


def judge(number: Number | None, value: Fraction, gold: NumberGold, extracted: str) -> Verdict:
    """Compare a value with the gold and name the kind of miss: unit, sign, scale or value."""
    candidate = _candidate(number, value, gold)
    if candidate is None:
        return failed(Status.WRONG, extracted, "unit")
    if abs(candidate - gold.value) <= gold.tolerance:
        return correct(extracted)
    if abs(candidate + gold.value) <= gold.tolerance:
        return failed(Status.WRONG, extracted, "sign")
    for power in (2, 3, 6):
        factor = 10**power
        if min(abs(candidate * factor - gold.value), abs(candidate / factor - gold.value)) <= gold.tolerance:
            return failed(Status.WRONG, extracted, "scale")
    return failed(Status.WRONG, extracted, "value")


class NumberVerifier:
    """Judges numeric answers.

    A response is read as `tao.answers.reading` reads it: its last line, a number or an expression. Only where that
    line is neither, but a sentence with exactly one number (years aside), that number is taken: a model that says
    "The margin was 12.3 %." has answered, one that lists numbers has not.

    Args:
        handle: Name of the prompt handle that holds the document's path.
    """

    name = "number"
    version = "1"

    def __init__(self, handle: str = "document") -> None:
        self._handle = handle

    def grade(self, prompt: Prompt, gold: Any, response: str, finish_reason: str) -> Verdict:
        """Judge one response (`tao_bench.verify.verdict.Verifier`)."""
        try:
            target = read_gold(gold)
            path = prompt.handles.get(self._handle)
            document = load_document(Path(path)) if path else _EMPTY_DOCUMENT
        except InputError as error:
            return failed(Status.VERIFIER_ERROR, "", error.what)
        return grade_text(response, finish_reason, target, document)

    def close(self) -> None:
        """Nothing to release."""


def grade_text(response: str, finish_reason: str, gold: NumberGold, document: Document) -> Verdict:
    """Judge the text of a response against a gold and the document that it may cite."""
    if finish_reason == "length":
        return failed(Status.TRUNCATED, "", "length")
    try:
        answer = read_answer(response, document)
    except AnswerError as error:
        return _unread(response, error, gold)
    return judge(answer.number, answer.value, gold, _shown(answer))


def _shown(answer: Answer) -> str:
    return answer.text if answer.number is not None else f"{answer.text} = {canonical(answer.value)}"


def _unread(response: str, error: AnswerError, gold: NumberGold) -> Verdict:
    if error.code in ("bad_citation", "division_by_zero", "out_of_range"):
        return failed(Status.WRONG, final_line(response), error.code)
    if error.code == "empty":
        return failed(Status.UNPARSABLE, "", "empty")
    if _REFUSAL.search(response[:_REFUSAL_ZONE]):
        return failed(Status.WRONG, "", "refusal")
    line = final_line(response)
    sentence = error.code == "syntax" and re.search(r"[a-z]{2}|=", line, re.IGNORECASE)
    if sentence and "[" not in line and "|" not in line:  # a row of the table is no sentence
        found = find_numbers(line.rpartition("=")[2])
        if len(found) == 1:
            return judge(found[0], found[0].value, gold, canonical(found[0].value))
    return failed(Status.UNPARSABLE, "", error.code)
