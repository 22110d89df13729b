"""Defog's comparison of data frames, as published: defog-ai/sql-eval, eval/eval.py.

What it does is described step by step, because what it accepts follows from how pandas and NumPy behave:
arrays of unlike shape are broadcast, so an empty frame "equals" any frame of one row.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tao_bench.sql.policies import Context, Result

_ASKS_ORDER = re.compile(r"\b(order|sort|arrange)\b")
_NOT_COLUMNS = frozenset(("desc", "asc", "nulls", "last", "first", "limit"))


def _frame(result: Result) -> Any:
    import pandas

    return pandas.DataFrame([tuple(row) for row in result.rows], columns=_numbered(list(result.names)))


def _all_equal(left: Any, right: Any) -> bool:
    """Element by element with NumPy's broadcasting; False where shapes cannot be broadcast."""
    import numpy

    try:
        return bool(numpy.all(left.values == right.values))
    except ValueError:
        return False


def _numbered(names: Sequence[str]) -> list[str]:
    """Names of which those that occur more than once carry their number."""
    return [
        f"{name}_{list(names[:place]).count(name)}" if names.count(name) > 1 else name
        for place, name in enumerate(names)
    ]


def _normal(frame: Any, context: Context, sql: str) -> Any:
    """No duplicate rows, columns by name; rows sorted, unless the question or its category asks for an order.

    There, rows are sorted by the columns that the first ORDER BY of the text names (descending unless it
    says ASC), and those columns go last.
    """
    frame = frame.drop_duplicates()
    frame = frame[sorted(frame.columns)]
    if context.category != "order_by" and not _ASKS_ORDER.search(context.question.lower()):
        return frame.sort_values(by=list(frame.columns)).reset_index(drop=True)
    clause = re.search(r"ORDER BY[\s\S]*", sql, re.IGNORECASE)
    if clause is not None:
        found = re.findall(r"(?<=ORDER BY)(.*?)(?=;|,|\)|$)", clause.group(), re.IGNORECASE)
        words = [word.rsplit(".", 1)[-1] for word in found[0].split()] if found else []
        upper = [word.upper() for word in words]
        ascending = "ASC" in upper and "DESC" not in upper
        named = [word.replace(",", "").replace("(", "") for word in words]
        named = [word for word in named if word.lower() not in _NOT_COLUMNS]
        others = [column for column in frame.columns if column not in named]
        named = [word for word in named if word in list(frame.columns)]
        frame = frame.sort_values(by=named + others, ascending=ascending)[others + named]
    return frame.reset_index(drop=True)


def _filled(frame: Any) -> Any:
    return frame.astype(object).where(frame.notna(), -99999)


def is_exact(gold: Result, found: Result, context: Context) -> bool:
    """``compare_df``: the frames as they are, else both in normal form with missing values set to -99999.

    Raises:
        Exception: Whatever pandas raises, for example for a column of mixed types that cannot be sorted.
    """
    left, right = _frame(gold), _frame(found)
    if _all_equal(left, right):
        return True
    left, right = _normal(left, context, context.gold_sql), _normal(right, context, context.found_sql)
    return left.shape == right.shape and _all_equal(_filled(left), _filled(right))


def is_subset(gold: Result, found: Result, context: Context) -> bool:
    """``subset_df``: each gold column has an equal column of its own in the prediction, and rows agree on those.

    Raises:
        Exception: Whatever pandas raises.
    """
    from pandas.testing import assert_frame_equal, assert_series_equal

    left, right = _frame(gold), _frame(found)
    if left.empty:
        return False
    chosen: list[Any] = []
    for name in left.columns:
        wanted = left[name].sort_values().reset_index(drop=True)
        for other in right.columns:
            if other in chosen:
                continue
            candidate = right[other].sort_values().reset_index(drop=True)
            try:
                assert_series_equal(wanted, candidate, check_dtype=False, check_names=False)
            except AssertionError:
                continue
            chosen.append(other)
            break
        else:
            return False
    matched = right[chosen].set_axis(list(left.columns), axis=1)
    try:  # no text is handed on here, so rows are never sorted by an ORDER BY
        assert_frame_equal(_normal(left, context, ""), _normal(matched, context, ""), check_dtype=False)
    except AssertionError:
        return False
    return True
