"""FinQA's programs: `subtract(120, 100), divide(#0, 100)`, read and run without `eval` and without a gold.

The language is that of FinQA (Chen et al., EMNLP 2021, arXiv 2109.00122, section 3 and its evaluation): steps
``op(argument, argument)`` separated by commas; ``#k`` is the result of step k, ``const_100`` is 100, ``const_m1``
is -1, ``41%`` is 0.41; ``table_max``, ``table_min``, ``table_sum`` and ``table_average`` take the name of a table's
row and ``none``. Steps may also be nested, as in the published ``program_re``. Arithmetic is in floating point and the
result is rounded to five decimals, as the published answers were.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence

from tao.answers.expression import AnswerError

DECIMALS = 5
MAX_CHARS = 2000
MAX_STEPS = 32
MAX_DEPTH = 16
MAX_MAGNITUDE = 1e18

Result = float | str
"""A number, or ``yes`` or ``no``."""
Table = Sequence[Sequence[str]]
"""Rows of cells; the first cell of a row is its name."""

_ARITHMETIC: Mapping[str, Callable[[float, float], float]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "exp": operator.pow,
}
_TABLE: Mapping[str, Callable[[Sequence[float]], float]] = {
    "table_max": max,
    "table_min": min,
    "table_sum": sum,
    "table_average": lambda values: sum(values) / len(values),
}
OPERATIONS = (*_ARITHMETIC, "greater", *_TABLE)

_STEP = re.compile(rf"\s*({'|'.join(OPERATIONS)})\s*\(")


def looks_like_program(text: str) -> bool:
    """Whether a text starts as a program does: an operation and an opening parenthesis."""
    return _STEP.match(text) is not None


def read_number(text: str) -> float | None:
    """A literal of the language; None where the text is none. ``n%`` is a hundredth of n."""
    text = text.replace(",", "").replace("$", "").strip()
    text = text.removeprefix("const_")
    if text == "m1":
        return -1.0
    scale = 1.0
    if text.endswith("%"):
        text, scale = text[:-1].strip(), 100.0
    try:
        value = float(text) / scale
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def read_row(cells: Sequence[str]) -> list[float] | None:
    """Numbers of a row's cells, None if one is none; what follows a parenthesis repeats the number and is cut off."""
    found = [read_number(cell.split("(")[0]) for cell in cells]
    return [value for value in found if value is not None] if found and None not in found else None


def run_program(program: str, table: Table = ()) -> Result:
    """Run a program.

    Args:
        program: Steps in order, or nested.
        table: The document's table, for the operations on rows.

    Returns:
        The last step's result, rounded to five decimals; ``yes`` or ``no`` from ``greater``.

    Raises:
        AnswerError: ``syntax``, ``too_long``, ``bad_citation`` (no such row, or one that holds text, or no such step),
            ``division_by_zero``, ``out_of_range``.
    """
    if len(program) > MAX_CHARS:
        raise AnswerError("too_long", f"more than {MAX_CHARS} characters")
    rows = {str(row[0]): [str(cell) for cell in row[1:]] for row in table if row}
    results: list[Result] = []
    rest = program.strip()
    while rest:
        operation, arguments, rest = _step(rest)
        results.append(_run(operation, arguments, results, rows, 0))
        if len(results) > MAX_STEPS:
            raise AnswerError("too_long", f"more than {MAX_STEPS} steps")
        if rest:
            if not rest.startswith(","):
                raise _syntax(rest)
            rest = rest[1:].strip()
    if not results:
        raise AnswerError("empty", "no step")
    last = results[-1]
    return last if isinstance(last, str) else round(last, DECIMALS)


def _syntax(rest: str) -> AnswerError:
    return AnswerError("syntax", f'does not parse near "{" ".join(rest.split())[:40]}"')


def _step(text: str) -> tuple[str, list[str], str]:
    """The first step of a text: operation, arguments as written, what follows it."""
    match = _STEP.match(text)
    if match is None:
        raise _syntax(text)
    depth, start, arguments = 1, match.end(), []
    for at in range(match.end(), len(text)):
        char = text[at]
        depth += (char == "(") - (char == ")")
        if depth == 0 or (depth == 1 and char == ","):
            arguments.append(text[start:at].strip())
            start = at + 1
        if depth == 0:
            return match[1], arguments, text[at + 1 :].strip()
    raise AnswerError("syntax", "ends too early")


def _run(
    operation: str, arguments: Sequence[str], results: Sequence[Result], rows: Mapping[str, list[str]], depth: int
) -> Result:
    if depth > MAX_DEPTH:
        raise AnswerError("too_long", f"nested deeper than {MAX_DEPTH}")
    if operation in _TABLE:
        named = arguments[:-1] if len(arguments) > 1 and arguments[-1] == "none" else arguments
        return _TABLE[operation](_row(", ".join(named), rows))
    if len(arguments) != 2:
        raise AnswerError("syntax", f"{operation} takes two arguments")
    left, right = (_value(argument, results, rows, depth) for argument in arguments)
    if operation == "greater":
        return "yes" if left > right else "no"
    try:
        value = _ARITHMETIC[operation](left, right)
    except ZeroDivisionError as error:
        raise AnswerError("division_by_zero", "division by zero") from error
    except OverflowError as error:
        raise AnswerError("out_of_range", "number out of range") from error
    if isinstance(value, complex) or not abs(value) <= MAX_MAGNITUDE:
        raise AnswerError("out_of_range", "number out of range")
    return value


def _value(argument: str, results: Sequence[Result], rows: Mapping[str, list[str]], depth: int) -> float:
    if re.fullmatch(r"#\d{1,3}", argument):
        index = int(argument[1:])
        if index >= len(results):
            raise AnswerError("bad_citation", f"there is no step {argument} before this one")
        value: Result | None = results[index]
    elif looks_like_program(argument):
        operation, arguments, rest = _step(argument)
        if rest:
            raise _syntax(rest)
        value = _run(operation, arguments, results, rows, depth + 1)
    else:
        value = read_number(argument)
    if not isinstance(value, float):
        raise AnswerError("syntax", f'"{argument[:40]}" is no number')
    return value


def _row(name: str, rows: Mapping[str, list[str]]) -> list[float]:
    folded = {" ".join(key.split()).casefold(): cells for key, cells in rows.items()}
    cells = rows.get(name, folded.get(" ".join(name.split()).casefold()))
    if cells is None:
        raise AnswerError("bad_citation", f'the table has no row "{name[:40]}"')
    values = read_row(cells)
    if values is None:
        raise AnswerError("bad_citation", f'row "{name[:40]}" holds more than numbers')
    return values
