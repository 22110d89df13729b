"""How much of a query's result agrees with the consensus table: a graded signal where votes are all or nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tao.sql.result import Row, quantise


def overlap(rows: Sequence[Row], consensus: Sequence[Row]) -> float:
    """Share of rows, duplicates counted, that two results have in common (Jaccard index on multisets).

    Columns are taken in their given order; where the widths differ, single cells are compared instead of rows
    and weigh half, so that a forgotten or an extra column is not the same as nonsense.

    Args:
        rows: Canonical rows of one answer.
        consensus: Canonical rows of the winning answer.

    Returns:
        In [0, 1]; 1 for equal multisets, 0 where nothing agrees. Two empty results agree.
    """
    if not rows and not consensus:
        return 1.0
    if not rows or not consensus:
        return 0.0
    if len(rows[0]) == len(consensus[0]):
        return _jaccard([_plain(row) for row in rows], [_plain(row) for row in consensus])
    left, right = ([repr(quantise(cell)) for row in side for cell in row] for side in (rows, consensus))
    return 0.5 * _jaccard(left, right)


def _plain(row: Row) -> str:
    return repr(tuple(quantise(cell) for cell in row))


def _jaccard(left: Sequence[str], right: Sequence[str]) -> float:
    a, b = Counter(left), Counter(right)
    return (a & b).total() / (a | b).total()
