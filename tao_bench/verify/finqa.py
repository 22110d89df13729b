"""Verifier ``finqa@1``: a number, yes or no, or a program, against FinQA's executed answer.

Gold: ``{"answer": 0.07641, "printed": "7.6%", "percent": true, "scales": ["million"]}``: ``answer`` is the published
``exe_ans`` (a fraction where a percentage is asked for, five decimals; or ``yes``/``no``), ``printed`` the annotator's
text, ``percent`` whether a percentage is asked for, ``scales`` the scale words of question and report. A program is run
over the table of the prompt's report (`tao.answers.program`).

Execution accuracy as published is equality after rounding to five decimals (policy ``official``). People and models
print fewer digits and write percentages both ways, so the default takes a number that is the executed answer rounded to
the digits it prints.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

from tao.answers.expression import AnswerError
from tao.answers.number import Number, canonical, find_numbers, parse_number
from tao.answers.program import DECIMALS, Table, looks_like_program, run_program
from tao.answers.reading import final_line
from tao.answers.text import is_refusal, polarity
from tao.errors import InputError
from tao.prompts import Prompt
from tao_bench.verify.verdict import Status, Verdict, correct, failed

POLICIES = ("strict", "official")
SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
RELATIVE_TOLERANCE = Fraction(2, 1000)
LEAST_DIGITS = 2
"""Significant digits an answer must print to count as the gold rounded (fewer where the gold's own text has fewer)."""
_STEP = Fraction(1, 10**DECIMALS)
_FALL = re.compile(r"\b(?:decreas|declin|fell|fall|drop|reduc|loss|lower|negative|down)", re.IGNORECASE)
_DIGITS = re.compile(r"\d[\d,]*(?:\.\d+)?|\.\d+")


@dataclass(frozen=True, slots=True)
class FinqaGold:
    """What an answer is judged against.

    Attributes:
        value: The executed answer; None where it is yes or no.
        word: ``yes``, ``no`` or ``''``.
        percent: A percentage is asked for, so a bare 7.6 may stand for 0.076.
        digits: Significant digits an answer must print.
        scales: Scale words that an answer may repeat (1.2 million for a gold of 1.2 in a report in millions).
    """

    value: Fraction | None
    word: str
    percent: bool
    digits: int
    scales: frozenset[int]


def _digits(text: str) -> int:
    """Significant digits that the first number of a text prints; 0 without a number."""
    match = _DIGITS.search(text)
    return len(match[0].replace(",", "").replace(".", "").lstrip("0")) if match else 0


def read_gold(gold: Any) -> FinqaGold:
    """Validate a label row's gold.

    Raises:
        InputError: ``answer`` is neither a finite number nor yes or no, or ``scales`` names an unknown word.
    """
    if not isinstance(gold, Mapping) or "answer" not in gold:
        raise InputError("a FinQA gold needs an answer", fix='{"answer": 0.07641, "printed": "7.6%", "scales": []}')
    answer, printed = gold["answer"], str(gold.get("printed", ""))
    try:
        scales = frozenset(SCALES[word] for word in gold.get("scales", ()))
    except (KeyError, TypeError) as error:
        raise InputError(f"unknown scale {error}", fix=f"scales are {', '.join(SCALES)}") from error
    if answer in ("yes", "no"):
        return FinqaGold(None, answer, False, 0, scales)
    if isinstance(answer, bool) or not isinstance(answer, int | float):
        raise InputError(f"the executed answer is neither a number nor yes or no: {str(answer)[:40]!r}")
    try:
        value = Fraction(str(answer))
    except ValueError as error:
        raise InputError(f"the executed answer is not finite: {answer}") from error
    least = min(LEAST_DIGITS, _digits(printed) or LEAST_DIGITS)
    percent = bool(gold.get("percent", "%" in printed))
    return FinqaGold(value, "", percent, max(1, least), scales)


def _unit_of_print(text: str) -> Fraction:
    """Half of the last printed place of the first number in a text."""
    match = _DIGITS.search(text)
    decimals = len(match[0].partition(".")[2]) if match else 0
    return Fraction(1, 2 * 10**decimals)


def readings(number: Number, gold: FinqaGold) -> list[tuple[Fraction, Fraction]]:
    """What a number may stand for: (value, what one unit of it as printed is worth)."""
    if number.percent:  # 4.6 % is 0.046, or 4.6 where the program subtracted percentages
        return [(number.value / 100, Fraction(1, 100)), (number.value, Fraction(1))]
    if number.scale != 1:
        absolute = (number.value * number.scale, Fraction(number.scale))
        return [absolute, (number.value, Fraction(1))] if number.scale in gold.scales else [absolute]
    bare = (number.value, Fraction(1))
    return [bare, (number.value / 100, Fraction(1, 100))] if gold.percent else [bare]


def _near(value: Fraction, unit: Fraction, text: str, gold: FinqaGold, target: Fraction) -> bool:
    if abs(value - target) <= max(_STEP, abs(target) * RELATIVE_TOLERANCE):
        return True
    return _digits(text) >= gold.digits and abs(value - target) <= _unit_of_print(text) * unit


def judge_number(text: str, number: Number, gold: FinqaGold) -> str:
    """Reason code of a number as written in `text`; ``equal...`` where it is right."""
    if gold.value is None:
        return "value"
    found = readings(number, gold)
    if any(_near(value, unit, text, gold, gold.value) for value, unit in found):
        return "equal"
    mirrored = any(_near(value, unit, text, gold, -gold.value) for value, unit in found)
    if mirrored and gold.value < 0 < number.value and _FALL.search(text):
        return "equal_magnitude"
    if mirrored and gold.value != 0:
        return "sign"
    powers = [value * 10**power for value, _ in found for power in (-9, -6, -3, -2, 2, 3, 6, 9)]
    scaled = any(abs(value - gold.value) <= abs(gold.value) * RELATIVE_TOLERANCE for value in powers)
    return "scale" if scaled and gold.value else "value"


@lru_cache(maxsize=256)
def _table(path: str) -> Table:
    try:
        body = json.loads(Path(path).read_text(encoding="utf-8"))
        table: list[list[str]] = [[str(cell) for cell in row] for row in body["table"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"the report's table cannot be read ({error!r})", path) from error
    return table


def official(answer: str, gold: FinqaGold, table: Table) -> bool:
    """Execution accuracy as published: the program's result, or a number as if it were one, equals after rounding."""
    try:
        result = run_program(answer, table)
    except AnswerError:
        number = parse_number(answer)
        if number is None:
            return polarity(answer) == gold.word != ""
        result = round(float(number.value / 100 if number.percent else number.value * number.scale), DECIMALS)
    if isinstance(result, str):
        return result == gold.word
    return gold.value is not None and result == float(gold.value)


class FinqaVerifier:
    """Judges FinQA answers.

    A response is read as its last line: a program, a number, yes or no, or a sentence with exactly one number.

    Args:
        policy: ``strict`` (the rules above) or ``official`` (published execution accuracy).
        handle: Name of the prompt handle that holds the report's table.

    Raises:
        InputError: Unknown policy.
    """

    name = "finqa"
    version = "1"

    def __init__(self, policy: str = "strict", handle: str = "report") -> None:
        if policy not in POLICIES:
            raise InputError(f"unknown policy {policy!r}", "verifier finqa", f"one of {', '.join(POLICIES)}")
        self._policy, self._handle = policy, handle

    def grade(self, prompt: Prompt, gold: Any, response: str, finish_reason: str) -> Verdict:
        """Judge one response (`tao_bench.verify.verdict.Verifier`)."""
        if finish_reason == "length":
            return failed(Status.TRUNCATED, "", "length")
        try:
            target = read_gold(gold)
            path = prompt.handles.get(self._handle)
            table = _table(path) if path else ()
        except InputError as error:
            return failed(Status.VERIFIER_ERROR, "", error.what)
        line = final_line(response)
        if not line:
            return failed(Status.UNPARSABLE, "", "empty")
        if self._policy == "official":
            match = official(line, target, table)
            return correct(line) if match else failed(Status.WRONG, line, "value")
        return grade_line(line, target, table)

    def close(self) -> None:
        """Nothing to release."""


def grade_line(line: str, gold: FinqaGold, table: Table) -> Verdict:
    """Judge the line that answers."""
    if looks_like_program(line):
        return _grade_program(line, gold, table)
    if gold.word:
        said = polarity(line)
        if said:
            return correct(said) if said == gold.word else failed(Status.WRONG, said, "value")
        return (
            failed(Status.WRONG, line, "refusal") if is_refusal(line) else failed(Status.UNPARSABLE, line, "not_yes_no")
        )
    number, shown = parse_number(line), line
    if number is None and is_refusal(line):
        return failed(Status.WRONG, line, "refusal")
    if number is None and re.search(r"[a-z]{2}|=", line, re.IGNORECASE) and "|" not in line:
        shown = line.rpartition("=")[2]
        among = find_numbers(shown)
        number = among[0] if len(among) == 1 else None
    if number is None:
        return failed(Status.UNPARSABLE, "", "no_single_number")
    reason = judge_number(shown, number, gold)
    extracted = canonical(number.value) + ("%" if number.percent else "")
    return correct(extracted, reason) if reason.startswith("equal") else failed(Status.WRONG, extracted, reason)


def _grade_program(line: str, gold: FinqaGold, table: Table) -> Verdict:
    try:
        result = run_program(line, table)
    except AnswerError as error:
        status = Status.UNPARSABLE if error.code in ("syntax", "too_long", "empty") else Status.WRONG
        return failed(status, line, error.code)
    shown = f"{line} = {result}"
    if isinstance(result, str) or gold.value is None:
        return correct(shown) if result == gold.word else failed(Status.WRONG, shown, "value")
    value = Fraction(str(result))
    same = abs(value - gold.value) <= _STEP
    return correct(shown) if same else failed(Status.WRONG, shown, "sign" if value == -gold.value else "value")
