"""Documents that answers cite: a table of named lines by columns, addressed as ``Line name 2023``."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from tao.answers.expression import AnswerError
from tao.answers.number import format_number
from tao.errors import InputError

Value = int | float | None


def citation_key(text: str) -> str:
    """Fold what does not matter in a citation: case and runs of white space."""
    return " ".join(text.split()).casefold()


@dataclass(frozen=True, slots=True)
class Document:
    """A table of named lines.

    Attributes:
        columns: Column names in print order, such as ``("2023", "2022")``.
        rows: (line name, one value a column); None where nothing is printed.
        cells: Folded citation to value; made by `make_document`.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Value, ...]], ...]
    cells: Mapping[str, Fraction | None]

    def cell(self, citation: str) -> Fraction:
        """The value of ``Line name column``; exact name, case and white space aside.

        Raises:
            AnswerError: ``bad_citation``: no such line and column, or nothing printed there.
        """
        key = citation_key(citation)
        value = self.cells.get(key)
        if value is None:
            shown = " ".join(citation.split())[:80]
            what = f'"{shown}" has no value' if key in self.cells else f'no line "{shown}"'
            raise AnswerError("bad_citation", what)
        return value

    def header(self) -> str:
        """The header line of the printed table."""
        return " | ".join(("Line", *self.columns))

    def lines(self) -> list[str]:
        """The printed rows: thousands commas, negatives in parentheses, ``-`` where nothing is printed."""
        return [
            " | ".join((name, *("-" if value is None else _printed(value) for value in values)))
            for name, values in self.rows
        ]


def _printed(value: int | float) -> str:
    _, _, exponent = Decimal(str(value)).as_tuple()
    return format_number(Fraction(str(value)), max(0, -int(exponent)) if value % 1 else 0)


def make_document(raw: Any, where: str = "document") -> Document:
    """Build a document from ``{"columns": ["2023", ...], "rows": [["Revenue", 4512, ...], ...]}``.

    Raises:
        InputError: Other keys, a row of another length, a value that is no finite number, a name that holds a
            bracket, or two cells that would be cited by the same words.
    """
    shape = 'write {"columns": ["2023", "2022"], "rows": [["Revenue", 4512, 4100], ...]}'
    if not isinstance(raw, dict) or set(raw) != {"columns", "rows"}:
        raise InputError("a document has exactly the keys columns and rows", where, shape)
    columns, table = raw["columns"], raw["rows"]
    if not isinstance(columns, list) or not columns or not all(isinstance(name, str) and name for name in columns):
        raise InputError("columns must be a list of names", where, shape)
    rows: list[tuple[str, tuple[Value, ...]]] = []
    cells: dict[str, Fraction | None] = {}
    for number, row in enumerate(table if isinstance(table, list) else [table], 1):
        place = f"{where}, row {number}"
        well_formed = isinstance(row, list) and len(row) == len(columns) + 1
        if not well_formed or not isinstance(row[0], str) or not row[0].strip():
            raise InputError(f"a row is a line name and {len(columns)} values", place, shape)
        name, values = row[0], row[1:]
        if "[" in name or "]" in name:
            raise InputError("a line name cannot hold a bracket: brackets mark citations", place)
        for column, value in zip(columns, values, strict=True):
            number_like = isinstance(value, int | float) and not isinstance(value, bool)
            if value is not None and not (number_like and math.isfinite(value)):
                raise InputError(f"{value!r} is neither a finite number nor null", place, shape)
            key = citation_key(f"{name} {column}")
            if key in cells:
                raise InputError(f'two cells are both cited as "{name} {column}"', place, "rename one of the lines")
            cells[key] = None if value is None else Fraction(str(value))
        rows.append((name, tuple(values)))
    return Document(tuple(columns), tuple(rows), cells)


def load_document(path: Path) -> Document:
    """Read a document file.

    Raises:
        InputError: Missing file, not JSON, or malformed (see `make_document`).
    """
    try:
        return make_document(json.loads(path.read_text(encoding="utf-8")), str(path))
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", str(path)) from error
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"not JSON ({error})", str(path)) from error
