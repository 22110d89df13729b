"""Programs over cells: filled in for a company, evaluated exactly or quickly, with the near misses of their value."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np

from tao.answers.document import Document
from tao.answers.expression import AnswerError, Expression
from tao.answers.power import parse_powers

from .facts import Facts

SLOT = re.compile(r"\{([a-e])([0-9N])\}")
"""A slot of a program: letter of the operand, years back (N: the whole span)."""

MARGIN = 2
"""A near miss must miss the gold by more than this many tolerances."""

_FLOAT: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "^": operator.pow,
}


class TryAgain(Exception):
    """A draw that makes no good item."""


def slots(program: str, year: int, span: int) -> dict[str, int]:
    """Slot of a program (``a1``) to the fiscal year it means."""
    found = {}
    for letter, back in SLOT.findall(program):
        found[letter + back] = year - (span if back == "N" else int(back))
    return found


def fill(program: str, facts: Facts, operands: tuple[str, ...], year: int, span: int = 0) -> str:
    """A program over a company's cells; lines printed as negatives are turned round."""

    def cell(match: re.Match[str]) -> str:
        concept = operands["abcde".index(match[1])]
        at = year - (span if match[2] == "N" else int(match[2]))
        text = f"[{facts.printed[concept]} {at}]"
        return f"( - {text} )" if concept in facts.negative else text

    filled = SLOT.sub(cell, program.replace("{n}", str(span)))
    filled = re.sub(r"- \( - (\[[^\]]*\]) \)", r"+ \1", filled)
    filled = re.sub(r"\+ \( - (\[[^\]]*\]) \)", r"- \1", filled)
    whole = re.fullmatch(r"\( (- \[[^\]]*\]) \)", filled)
    return whole[1] if whole else filled


def run(expression: Expression, cells: Mapping[str, Any]) -> Any:
    """Quick evaluation, on floats or arrays of them, for checks; golds are computed exactly.

    What has no value (division by zero, a root of a negative number) is nan or infinite.
    """
    stack: list[Any] = []
    with np.errstate(all="ignore"):
        for step in expression.steps:
            if not isinstance(step, str):
                stack.append(np.float64(step))
            elif step[0] == "[":
                stack.append(cells[step])
            elif step == "~":
                stack.append(-stack.pop())
            else:
                right, left = stack.pop(), stack.pop()
                stack.append(_FLOAT[step](left, right))
    return stack.pop()


@lru_cache(maxsize=512)
def _by_slot(program: str, span: int) -> Expression:
    return parse_powers(SLOT.sub(r"[\1\2]", program.replace("{n}", str(span))))


def quick_value(
    program: str, facts: Facts, operands: tuple[str, ...], years: Mapping[str, int], span: int = 0
) -> float:
    """The value of a program straight from the facts, before a table is drawn."""
    amounts = {f"[{s}]": np.float64(facts.amounts[operands["abcde".index(s[0])]][year]) for s, year in years.items()}
    return float(run(_by_slot(program, span), amounts))


def near_misses(expression: Expression, document: Mapping[str, Any], variants: list[Expression]) -> list[float]:
    """Values of all near misses of a program.

    One cited cell read in another column or another row, all cells read a column to the left or right, and variants
    of the formula. What has no value misses anyway.

    Args:
        expression: The program.
        document: Columns and rows.
        variants: Other readings of the formula over the same table.
    """
    columns, rows = document["columns"], document["rows"]
    table = {f"[{row[0]} {column}]": (r, c) for r, row in enumerate(rows) for c, column in enumerate(columns)}
    values = np.array([[np.nan if v is None else v for v in row[1:]] for row in rows], dtype=np.float64)
    cited = list(dict.fromkeys(step for step in expression.steps if isinstance(step, str) and step in table))
    at = [table[step] for step in cited]
    read = np.array([values[place] for place in at])
    misread = []
    for j, (r, c) in enumerate(at):
        others = np.concatenate([np.delete(values[r], c), np.delete(values[:, c], r)])
        changed = np.repeat(read[None, :], len(others), axis=0)
        changed[:, j] = others
        misread.append(changed)
    for shift in (-1, 1):
        if all(0 <= c + shift < len(columns) for _, c in at):
            misread.append(np.array([[values[r, c + shift] for r, c in at]]))
    everything = np.concatenate(misread)
    found = run(expression, {step: everything[:, j] for j, step in enumerate(cited)}).tolist()
    cells = {step: values[place] for step, place in table.items()}
    for variant in variants:
        if all(step in cells for step in variant.steps if isinstance(step, str) and step[0] == "["):
            found.append(float(run(variant, cells)))
    return [float(value) for value in found]


def survives(gold: float, tolerance: float, misses: list[float]) -> bool:
    """Whether every near miss misses by more than `MARGIN` tolerances."""
    return not any(abs(miss - gold) <= MARGIN * tolerance for miss in misses)


def value_of(program: Expression, document: Document) -> Fraction:
    """The value of a program over a document.

    Raises:
        TryAgain: It has none (division by zero, a root of a negative number).
    """
    try:
        return program.evaluate(document.cell)
    except AnswerError as error:
        raise TryAgain from error


def operands_of(program: Expression, document: Document) -> dict[str, int]:
    """Cited cell to its printed amount."""
    return {cell: int(document.cell(cell)) for cell in dict.fromkeys(program.cells)}
