"""What a query result amounts to: canonical cells, and a fingerprint that equal results share.

The same canonical form serves agreement voting (`tao.sql.interpreter`) and grading
(`tao_bench.verify.sql`), so a vote and a verdict never disagree about what a cell is.

Cells: NULL, NaN and NaT are NULL; booleans, integers, floats and decimals are numbers (True is 1,
2.0 is 2); dates are midnight timestamps, aware timestamps are taken to UTC; intervals are days, as
numbers; lists go by position, maps and structs by key, bytes and times of day are types of their own;
strings are exact and never equal to a number. Rows are a multiset: duplicates count.

Whole numbers keep every digit, whatever type they came in, up to one limit: a float of 2**53 or more
is whole by necessity, not by meaning, so it stays a float. A DECIMAL that is not whole becomes a float
where that loses nothing a comparison could see, and keeps its digits beyond.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from tao.sql.colours import ranks, refine, row_key

# JSON-safe: None, int, float, str, or a list whose first item tags it:
# "t" time, "b" bytes, "d" digits of a decimal, "l" list, "m" map or struct (pairs sorted by key).
Cell = Any
Row = tuple[Cell, ...]

_EPOCH_DAY_S = 86_400.0
_EXACT_DECIMAL = 100_000  # beyond, a float's relative tolerance would be coarser than the absolute one
_LEAF_WORK = 1_000_000  # cells looked at to tell columns with the same contents apart


def canonical_cell(value: Any) -> Cell:
    """The canonical form of one engine value (see the module text)."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return _canonical_float(value)
    if isinstance(value, Decimal):
        return _canonical_decimal(value)
    if isinstance(value, dt.datetime):
        return ("t", _naive_utc(value).isoformat())
    if isinstance(value, dt.date):
        return ("t", value.isoformat() + "T00:00:00")
    if isinstance(value, dt.time):
        return ("t", value.isoformat())
    if isinstance(value, dt.timedelta):
        return _canonical_float(value.total_seconds() / _EPOCH_DAY_S)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return ("b", bytes(value).hex())
    if isinstance(value, (list, tuple)):
        return ("l", *(canonical_cell(item) for item in value))
    if isinstance(value, dict):
        pairs = [("l", canonical_cell(key), canonical_cell(item)) for key, item in value.items()]
        return ("m", *sorted(pairs, key=lambda pair: repr(pair[1])))
    return str(value)


def _naive_utc(value: dt.datetime) -> dt.datetime:
    if value.tzinfo is None:
        return value
    try:
        return value.astimezone(dt.UTC).replace(tzinfo=None)
    except OverflowError:  # at either end of the calendar: no UTC form exists
        return value.replace(tzinfo=None)


def _canonical_float(value: float) -> Cell:
    if math.isnan(value):
        return None
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _canonical_decimal(value: Decimal) -> Cell:
    if value.is_nan():
        return None
    if not value.is_finite():
        return float(value)
    if value == value.to_integral_value():
        return int(value)
    if abs(value) <= _EXACT_DECIMAL:
        return float(value)
    return ("d", format(value, "f").rstrip("0"))


def canonical_rows(rows: Iterable[Sequence[Any]]) -> list[Row]:
    """Canonical form of every cell of a result."""
    return [tuple(canonical_cell(value) for value in row) for row in rows]


def is_empty(rows: Sequence[Row]) -> bool:
    """No rows, or nothing but NULL: it says nothing, so it is never a vote."""
    return all(cell is None for row in rows for cell in row)


def quantise(cell: Cell) -> Cell:
    """A number as it enters a fingerprint: 10 significant digits, 6 decimals; whole numbers exactly, the rest as it is.

    Coarser than double precision on purpose: engines sum in different orders. Where it departs from
    the comparison with gold: numbers that are not whole and differ beyond the tenth digit share a
    fingerprint; two that compare equal can straddle a rounding edge (about one pair in a million); a
    float of 2**53 or more meets the equal integer only if that has no more than ten digits and zeros.
    """
    if isinstance(cell, float) and math.isfinite(cell):
        rounded = round(float(f"{cell:.9e}"), 6)
        return int(rounded) if rounded.is_integer() else rounded
    if isinstance(cell, tuple):
        if cell and cell[0] == "d":
            return quantise(float(cell[1]))
        return tuple(quantise(item) for item in cell)
    return cell


def _hash(parts: Iterable[str]) -> str:
    digest = hashlib.blake2b(digest_size=12)
    for part in parts:
        digest.update(part.encode("utf-8", "surrogatepass"))
        digest.update(b"\x00")
    return digest.hexdigest()


def fingerprint(rows: Sequence[Row]) -> tuple[str, str]:
    """Fingerprints of a canonical result: (as a multiset of rows, as a sequence of rows).

    Both ignore the order and the names of columns: columns are put in an order that depends on
    their contents alone. Results that are the same multiset of rows under some order of the columns
    have equal first fingerprints. The other way round holds up to hash collisions, and to large
    tables of such symmetry that colour refinement cannot tell their columns apart within
    `_LEAF_WORK`. Results without rows share one fingerprint, whatever their width.
    """
    width = len(rows[0]) if rows else 0
    columns = sorted(zip(*([repr(quantise(cell)) for cell in row] for row in rows), strict=True))
    sequence = _hash([str(width), *map(repr, zip(*columns, strict=True))])
    return _hash([str(width), *_multiset(columns)]), sequence


def _multiset(columns: Sequence[tuple[str, ...]]) -> list[str]:
    """Text of a table that depends neither on the order of its rows nor on that of its columns.

    Canonical labelling of the bipartite graph of rows and columns: colour refinement, then
    individualisation of one column at a time (McKay and Piperno, Practical graph isomorphism II, 2014).
    """
    if len(columns) < 2:
        return sorted(map(repr, zip(*columns, strict=True)))
    twins = Counter(columns)  # equal columns are interchangeable: one stands for all
    distinct = list(twins)
    rows = Counter((0, row) for row in zip(*distinct, strict=True))
    start = ranks([(sorted(column), twins[column]) for column in distinct])
    nodes = max(1, min(500, _LEAF_WORK // (len(columns) * len(columns[0]))))
    if len(set(start)) < len(distinct):
        (start,) = refine([start], [rows])
    best: list[str] | None = None
    pending = [start]
    visited = 0
    while pending:
        colours = pending.pop()
        visited += 1
        sizes = Counter(colours)
        open_colour = min((colour for colour, size in sizes.items() if size > 1), default=None)
        if open_colour is None:
            order = sorted(range(len(distinct)), key=colours.__getitem__)
            leaf = sorted(f"{[row[column] for column in order]} {count}" for (_, row), count in rows.items())
            best = leaf if best is None else min(best, leaf)
            continue
        chosen = [column for column, colour in enumerate(colours) if colour == open_colour]
        if visited + len(pending) + len(chosen) > nodes:
            best = sorted(f"{row_key(row, start)} {count}" for (_, row), count in rows.items())
            break
        for column in chosen:
            split = [(colour, other != column) for other, colour in enumerate(colours)]
            pending += refine([ranks(split)], [rows])
    shape = [str(twins[column]) for _, column in sorted(zip(start, distinct, strict=True))]
    return [*shape, *(best or [])]


def combine(prints: Iterable[str]) -> str:
    """One fingerprint for the fingerprints on several instances, in their order."""
    return _hash(prints)
