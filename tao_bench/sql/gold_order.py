"""Which columns a gold sorts by, so that rows that tie may stand in any order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tao.sql.dialect import Fault
from tao.sql.gate import parse, to_duckdb
from tao.sql.instance import Schema


@dataclass(frozen=True, slots=True)
class GoldStatement:
    """A gold as it is run.

    Attributes:
        duckdb: DuckDB text; sort keys that the gold does not select are appended as columns.
        ordered: Whether the outermost query has an ORDER BY.
        keys: Positions of the sort keys in a row (negative: from its end); None where they cannot be had
            (a set operation or SELECT DISTINCT sorted by an expression): then every row stands alone.
        appended: Number of appended columns.
    """

    duckdb: str
    ordered: bool
    keys: tuple[int, ...] | None = ()
    appended: int = 0


def gold_statement(sql: str, schema: Schema) -> GoldStatement | Fault:
    """Gate a gold and find its sort keys."""
    from sqlglot import exp

    tree = parse(sql, schema)
    if isinstance(tree, Fault):
        return tree
    outer = tree
    while isinstance(outer, exp.Subquery) and outer.args.get("order") is None:
        outer = outer.this
    order = outer.args.get("order")
    if order is None:
        return GoldStatement(to_duckdb(tree), False)
    select = outer
    while not isinstance(select, exp.Select):
        select = select.this
    may_append = select is outer and select.args.get("distinct") is None
    keys: list[int] = []
    extra: list[Any] = []
    for term in order.expressions:
        key = term.this if isinstance(term, exp.Ordered) else term
        position = _position(key, select.expressions)
        if position is not None:
            keys.append(position)
        elif may_append:
            extra.append(exp.alias_(key.copy(), f"_sort_key_{len(extra)}"))
            keys.append(-len(extra))
        else:
            return GoldStatement(to_duckdb(tree), True, None)
    # The last appended key is the last column: -1.
    fixed = tuple(key if key >= 0 else -(len(extra) + key + 1) for key in keys)
    select.set("expressions", [*select.expressions, *extra])
    return GoldStatement(to_duckdb(tree), True, fixed, len(extra))


def _position(key: Any, projections: list[Any]) -> int | None:
    """The output column that a sort key names, or None."""
    from sqlglot import exp

    if isinstance(key, exp.Literal) and not key.is_string:
        return int(key.this) - 1
    text = key.sql().lower()
    is_name = isinstance(key, exp.Column) and key.args.get("table") is None
    for position, item in enumerate(projections):
        if isinstance(item, exp.Star) or (isinstance(item, exp.Column) and isinstance(item.this, exp.Star)):
            return None  # it is not known how many columns this stands for
        if is_name and item.alias_or_name.lower() == key.name.lower():
            return position
    for position, item in enumerate(projections):
        if (item.this if isinstance(item, exp.Alias) else item).sql().lower() == text:
            return position
    return None
