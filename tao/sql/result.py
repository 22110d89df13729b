"""What a query result amounts to: canonical cells, and a fingerprint that equal results share.

The same canonical form serves agreement voting (`tao.sql.interpreter`) and grading
(`tao_bench.verify.sql`), so a vote and a verdict never disagree about what a cell is.

Cells: NULL, NaN and NaT are NULL; booleans, integers, floats and decimals are numbers (True is 1,
2.0 is 2); dates are midnight timestamps, aware timestamps are taken to UTC; intervals are days, as
numbers; strings are exact and never equal to a number. Rows are a multiset: duplicates count.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import permutations
from typing import Any

# JSON-safe: None, int, float, str, or a list whose first item tags it ("t" time, "b" bytes, "l" list).
Cell = Any
Row = tuple[Cell, ...]

_EPOCH_DAY_S = 86_400.0
_MAX_TIED = 4  # columns with equal contents whose orders are all tried; beyond, their given order stands


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
        if value.tzinfo is not None:
            value = value.astimezone(dt.UTC).replace(tzinfo=None)
        return ("t", value.isoformat())
    if isinstance(value, dt.date):
        return ("t", value.isoformat() + "T00:00:00")
    if isinstance(value, dt.timedelta):
        return _canonical_float(value.total_seconds() / _EPOCH_DAY_S)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return ("b", bytes(value).hex())
    if isinstance(value, (list, tuple)):
        return ("l", *(canonical_cell(item) for item in value))
    if isinstance(value, dict):
        return ("l", *(("l", canonical_cell(key), canonical_cell(item)) for key, item in value.items()))
    return str(value)


def _canonical_float(value: float) -> Cell:
    if math.isnan(value):
        return None
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _canonical_decimal(value: Decimal) -> Cell:
    if value.is_nan():
        return None
    if value.is_finite() and value == value.to_integral_value():
        return int(value)
    return float(value)


def canonical_rows(rows: Iterable[Sequence[Any]]) -> list[Row]:
    """Canonical form of every cell of a result."""
    return [tuple(canonical_cell(value) for value in row) for row in rows]


def is_empty(rows: Sequence[Row]) -> bool:
    """No rows, or nothing but NULL: it says nothing, so it is never a vote."""
    return all(cell is None for row in rows for cell in row)


def quantise(cell: Cell) -> Cell:
    """A number as it enters a fingerprint: 10 significant digits, 6 decimals; everything else as it is.

    Coarser than double precision on purpose: engines sum in different orders. Two numbers that the
    grader calls equal can still straddle a rounding edge (about one pair in a million).
    """
    if isinstance(cell, float) and math.isfinite(cell):
        rounded = round(float(f"{cell:.9e}"), 6)
        return int(rounded) if rounded.is_integer() else rounded
    if isinstance(cell, tuple):
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
    their contents alone. Equal multisets of rows under some order of the columns have equal
    first fingerprints, and the other way round up to hash collisions and `_MAX_TIED`.
    """
    width = len(rows[0]) if rows else 0
    cells = [tuple(repr(quantise(cell)) for cell in row) for row in rows]
    if width <= 1:
        flat = [row[0] if row else "" for row in cells]
        return _hash([str(width), *sorted(flat)]), _hash([str(width), *flat])
    contents = [sorted(row[column] for row in cells) for column in range(width)]
    order = sorted(range(width), key=lambda column: contents[column])
    best = min(
        ([tuple(row[column] for column in candidate) for row in cells] for candidate in _orders(order, contents)),
        key=lambda candidate: (sorted(candidate), candidate),
    )
    return _hash([str(width), *map(repr, sorted(best))]), _hash([str(width), *map(repr, best)])


def _orders(order: list[int], contents: list[list[str]]) -> Iterable[list[int]]:
    """Every order of the columns that sorts their contents; one, unless columns hold the same values."""
    groups: list[list[int]] = []
    for column in order:
        if groups and contents[groups[-1][0]] == contents[column]:
            groups[-1].append(column)
        else:
            groups.append([column])
    tied = [group for group in groups if len(group) > 1]
    if not tied or sum(map(len, tied)) > _MAX_TIED:
        return [order]
    results: list[list[int]] = [[]]
    for group in groups:
        results = [done + list(tail) for done in results for tail in permutations(group)]
    return results


def combine(prints: Iterable[str]) -> str:
    """One fingerprint for the fingerprints on several instances, in their order."""
    return _hash(prints)


def same_multiset(left: Sequence[Row], right: Sequence[Row]) -> bool:
    """Exact equality of two canonical results as multisets, columns in the given order."""
    return Counter(left) == Counter(right)
