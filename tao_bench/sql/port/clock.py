"""The clock of a query: does it ask for it, and the same query with the clock stopped."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlglot import exp

_DATES = (exp.CurrentDate,)
_MOMENTS = (exp.CurrentTimestamp, exp.Localtimestamp, exp.CurrentDatetime)
_NOW = frozenset(("NOW", "CURRENT_TIMESTAMP", "LOCALTIMESTAMP", "CURDATE", "CURRENT_DATE"))


def _is_clock(node: Any) -> bool:
    named = isinstance(node, exp.Anonymous) and node.name.upper() in _NOW and not node.expressions
    return named or isinstance(node, _DATES + _MOMENTS)


def asks_for_clock(root: Any) -> bool:
    """Whether a result depends on when the query runs."""
    return any(_is_clock(node) for node in root.walk())


def with_clock(root: Any, clock: dt.datetime, *, zoned: bool = False) -> Any:
    """A copy of a query in which now is one stated instant.

    Args:
        root: A sqlglot expression of any dialect.
        clock: The instant, in UTC.
        zoned: Write it with its zone, for a source where now has one (PostgreSQL).
    """

    def pinned(node: Any) -> Any:
        if not _is_clock(node):
            return node
        is_date = isinstance(node, _DATES) or node.name.upper() in ("CURDATE", "CURRENT_DATE")
        value = clock.date().isoformat() if is_date else clock.isoformat(sep=" ", timespec="seconds")
        moment = "TIMESTAMPTZ" if zoned else "TIMESTAMP"
        return exp.Cast(
            this=exp.Literal.string(value), to=exp.DataType(this=exp.DataType.Type["DATE" if is_date else moment])
        )

    return root.copy().transform(pinned)
