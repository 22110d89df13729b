"""Checks that only question-answering tasks have: answers with another meaning than the gold must fail.

Every mutant is made from the gold and, where the task has them, from the target expression and its document.
Whether it means something else is decided by exact arithmetic here, not by the verifier: one that lands within the
gold's own tolerance (a neighbouring year with the same figure) is *indistinguishable here* and listed, any other must
not pass.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tao.answers.document import Document, load_document
from tao.answers.expression import AnswerError, parse
from tao.answers.number import find_numbers, format_number, parse_number
from tao.errors import InputError
from tao.prompts import Prompt
from tao_bench.check_mutants import Mutant
from tao_bench.task import Item, Label
from tao_bench.verify.number import printed_tolerance

if TYPE_CHECKING:
    from tao_bench.registry import Task

BEYOND = 3
"""A value this many tolerances off is beyond the printed precision, whichever way it is rounded."""
_CITED = re.compile(r"\[([^\[\]]+)\]")
_MONEY = re.compile(r"[$€£]|\b(?:usd|eur|gbp|dollars?|thousands?|millions?|billions?)\b", re.IGNORECASE)
_YES_NO = re.compile(r"\s*(yes|no)\b", re.IGNORECASE)
_OTHER = {"yes": "No", "no": "Yes"}


@dataclass(frozen=True, slots=True)
class NumericGold:
    """A numeric gold as mutants see it.

    Attributes:
        value: The true value in the unit of the question.
        tolerance: Largest accepted absolute difference.
        unit: ``percent``, ``ratio``, ``amount`` or ``days``.
        is_exact: Whether the verifier takes the question's unit and the gold's sign and nothing else; a grader of free
            text takes full dollars for thousands, and an outflow with either sign.
    """

    value: Fraction
    tolerance: Fraction
    unit: str
    is_exact: bool


def numeric_gold(gold: Any, question: str) -> NumericGold | None:
    """The numeric gold of a label row, or None where the gold is text.

    Args:
        gold: Either with ``value``, ``tolerance`` and ``unit``, or with the printed ``answer`` and ``kind: number``.
        question: The question, which names the unit where the gold does not.
    """
    if not isinstance(gold, Mapping):
        return None
    if "value" in gold and "tolerance" in gold:
        value, tolerance = Fraction(str(gold["value"])), Fraction(str(gold["tolerance"]))
        return NumericGold(value, tolerance, str(gold.get("unit", "amount")), True)
    if gold.get("kind") != "number" or (number := parse_number(str(gold.get("answer", "")))) is None:
        return None
    digits = re.sub(r"[^0-9.]", "", str(gold["answer"])) or "0"
    is_amount = number.currency or _MONEY.search(question) is not None
    unit = "percent" if number.percent else "amount" if is_amount else "ratio"
    return NumericGold(number.value, printed_tolerance(digits), unit, False)


def spell(value: Fraction, tolerance: Fraction) -> str:
    """A value with decimals enough that rounding moves it by less than a tenth of the tolerance."""
    decimals = max(0, 1 - math.floor(math.log10(tolerance / 10))) if tolerance > 0 else 6
    return format_number(value, min(decimals, 12)).replace("(", "-").replace(")", "")


def _slips(gold: NumericGold, question: str) -> Iterator[tuple[str, Fraction]]:
    """Kind of slip and the value it leads to."""
    value = gold.value
    factors = [Fraction(1000), Fraction(1, 1000)]
    if not gold.is_exact and _MONEY.search(question):
        factors = [Fraction(100), Fraction(1, 1000)]  # upwards by thousands may be full dollars, which are right
    for factor in factors:
        yield "scale", value * factor
    if gold.is_exact or gold.unit in ("percent", "ratio"):
        yield "sign", -value
    step = max(gold.tolerance * BEYOND, abs(value) / 100)
    yield "beyond the printed precision", value + step
    yield "beyond the printed precision", value - step


def _neighbours(target: str, document: Document) -> Iterator[tuple[str, str, Fraction]]:
    """Targets with one citation moved to the neighbouring column or line: kind, target, value."""
    cited = list(dict.fromkeys(_CITED.findall(target)))
    names = [name for name, _ in document.rows]
    swaps: list[tuple[str, str]] = []
    for cell in cited:
        column = next((c for c in sorted(document.columns, key=len, reverse=True) if cell.endswith(f" {c}")), None)
        if column is None:
            continue
        name = cell[: -len(column) - 1]
        at = document.columns.index(column)
        for other in {max(0, at - 1), min(len(document.columns) - 1, at + 1)} - {at}:
            swaps.append(("neighbouring year", target.replace(f"[{cell}]", f"[{name} {document.columns[other]}]")))
        if name in names:
            row = names.index(name)
            for other in {max(0, row - 1), min(len(names) - 1, row + 1)} - {row}:
                swaps.append(("neighbouring row", target.replace(f"[{cell}]", f"[{names[other]} {column}]")))
    for kind, text in swaps:
        try:
            yield kind, text, parse(text).evaluate(document.cell)
        except AnswerError:
            continue


def mutants(prompt: Prompt, label: Label) -> Iterator[tuple[str, str, bool]]:
    """Kind, answer, and whether the answer lies within the gold's own tolerance after all.

    Args:
        prompt: The prompt; its ``document`` handle is opened where there is one.
        label: Gold and target.
    """
    text = prompt.messages[-1].content
    gold = numeric_gold(label.gold, text)
    if gold is None:
        yield from _text_mutants(label)
        return

    def near(value: Fraction) -> bool:
        return abs(value - gold.value) <= gold.tolerance

    unit = " %" if gold.unit == "percent" else ""
    right = spell(gold.value, gold.tolerance) + unit
    for kind, value in _slips(gold, text):
        yield kind, spell(value, gold.tolerance) + unit, near(value)
    if gold.unit in ("ratio", "days") and gold.value:
        yield "percent sign on a plain number", spell(gold.value, gold.tolerance) + " %", near(gold.value / 100)
    if gold.is_exact and gold.unit == "percent" and gold.value:
        yield "fraction for a percentage", spell(gold.value / 100, gold.tolerance / 100), near(gold.value / 100)
    handle = prompt.handles.get("document")
    if handle is not None:
        try:
            document = load_document(Path(handle))
        except InputError:
            document = None
        if document is not None:
            for kind, answer, value in _neighbours(label.target, document):
                yield kind, answer, near(value)
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > 2:
        middle = len(lines) // 2
        yield "right number inside an evidence dump", "\n".join([*lines[:middle], right, *lines[middle:]]), False
    typed = [spell(number.value, Fraction(1, 1000)) for number in find_numbers(text)]
    if len(typed) > 1:
        listed = [*typed[: len(typed) // 2], right, *typed[len(typed) // 2 :]]
        yield "all numbers listed", ", ".join(listed), False
    yield (
        "refusal plus number",
        f"This cannot be determined from the filing; it could be {right}, I do not know.",
        False,
    )


def _text_mutants(label: Label) -> Iterator[tuple[str, str, bool]]:
    answer = label.gold.get("answer", label.target) if isinstance(label.gold, Mapping) else label.target
    said = _YES_NO.match(str(answer))
    if said is not None:
        yield "the other of yes and no", _OTHER[said[1].casefold()] + str(answer)[said.end() :], False
        yield "yes and no", "Yes and no.", False
    options = label.gold.get("options", ()) if isinstance(label.gold, Mapping) else ()
    for option in options:
        if str(option).casefold() != str(answer).casefold():
            yield "another option", str(option), False
    if len(options) > 1:
        yield "all options", " and ".join(map(str, options)), False


def judge_answers(task: Task, judged: Sequence[tuple[Item, Label]]) -> list[Mutant]:
    """Every mutant of the golds given, judged; those that pass say whether exact arithmetic puts them at the gold."""
    from tao_bench.verify.verdict import Status

    verifier = task.verifier()
    found = []
    try:
        for item, label in judged:
            for kind, answer, same in mutants(item.prompt, label):
                verdict = verifier.grade(item.prompt, label.gold, answer, "stop")
                passed = verdict.status is Status.CORRECT
                found.append(
                    Mutant(item.prompt.id, kind, answer, verdict.status.value, verdict.reason, same if passed else None)
                )
    finally:
        verifier.close()
    return found
