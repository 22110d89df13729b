"""How far a gold fixes the order and the choice of its rows: sort keys, and what LIMIT cuts off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tao.sql.dialect import Fault
from tao.sql.gate import parse, to_duckdb
from tao.sql.instance import Schema
from tao.sql.result import Row
from tao_bench.sql.compare import RowOrder, same_cell

Keys = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class GoldStatement:
    """A gold as it is run.

    Attributes:
        duckdb: DuckDB text; sort keys that the gold does not select are appended as columns.
        ordered: Whether the outermost query has an ORDER BY.
        keys: Positions of the sort keys in a row (negative: from its end); None where every row stands alone.
        known: False where the sort keys cannot be had, so that rows which tie are not known.
        appended: Number of appended columns.
        wide: The same text without OFFSET and with a LIMIT of `most` rows; '' where the gold has no LIMIT or
            OFFSET, or one that is not a plain number.
        limit: The gold's LIMIT, None without one.
        offset: The gold's OFFSET.
        most: See `wide`.
    """

    duckdb: str
    ordered: bool
    keys: Keys | None = ()
    known: bool = True
    appended: int = 0
    wide: str = ""
    limit: int | None = None
    offset: int = 0
    most: int = 0


def gold_statement(sql: str, schema: Schema, most: int = 10_000) -> GoldStatement | Fault:
    """Gate a gold, find its sort keys and widen its LIMIT.

    Args:
        sql: Databricks text.
        schema: Tables to resolve names against.
        most: Rows that the widened statement may return.
    """
    tree = parse(sql, schema)
    if isinstance(tree, Fault):
        return tree
    tree, ordered, keys, known, appended = _with_keys(tree)
    plain = to_duckdb(tree)
    window = _widen(tree, most)
    if window is None:
        return GoldStatement(plain, ordered, keys, known, appended)
    limit, offset = window
    return GoldStatement(plain, ordered, keys, known, appended, to_duckdb(tree), limit, offset, most)


def _with_keys(tree: Any) -> tuple[Any, bool, Keys | None, bool, int]:
    """The tree that also returns hidden sort keys; then ordered, keys, known, appended of `GoldStatement`."""
    from sqlglot import exp

    outer = tree
    while isinstance(outer, exp.Subquery) and outer.args.get("order") is None:
        outer = outer.this
    order = outer.args.get("order")
    if order is None:
        return tree, False, (), True, 0
    select = outer
    while not isinstance(select, exp.Select):
        select = select.this
    terms = [term.this if isinstance(term, exp.Ordered) else term for term in order.expressions]
    if len(terms) == 1 and terms[0].sql().upper() == "ALL":
        return tree, True, None, True, 0
    positions = [_position(term, select.expressions) for term in terms]
    hidden = [term for term, position in zip(terms, positions, strict=True) if position is None]
    if hidden and not (select is outer and select.args.get("distinct") is None):
        tree, select = _wrapped(tree, outer, select)
        if select is None:
            return tree, True, None, False, 0
        hidden = [
            term.this
            for term, position in zip(select.args["order"].expressions, positions, strict=True)
            if position is None
        ]
    extra = [exp.alias_(term.copy(), f"_sort_key_{number}") for number, term in enumerate(hidden)]
    if extra:
        select.set("expressions", [*select.expressions, *extra])
    later = iter(range(-len(extra), 0))
    keys = tuple(position if position is not None else next(later) for position in positions)
    return tree, True, keys, True, len(extra)


def _wrapped(tree: Any, outer: Any, select: Any) -> tuple[Any, Any]:
    """A set operation or SELECT DISTINCT as a derived table, so that keys made of its columns can be selected too.

    Returns:
        The new tree and its outermost SELECT; the tree as it was and None where a key is not made of them.
    """
    from sqlglot import exp

    names = [item.alias_or_name.lower() for item in select.expressions]
    if tree is not outer or len(set(names)) < len(names) or not all(names) or "*" in names:
        return tree, None
    spelt = {item.unalias().sql().lower(): item.alias_or_name for item in select.expressions}

    def by_name(node: Any) -> Any:
        name = spelt.get(node.sql().lower())
        return exp.column(name, quoted=True) if name is not None else node

    terms = []
    for given in outer.args["order"].expressions:
        term = (given if isinstance(given, exp.Ordered) else exp.Ordered(this=given)).copy()
        if outer is select:  # the keys of a set operation name its columns already
            term.set("this", term.this.transform(by_name))
        if any(column.table or column.name.lower() not in names for column in term.find_all(exp.Column)):
            return tree, None
        terms.append(term)
    inner = outer.copy()
    for part in ("order", "limit", "offset"):
        inner.set(part, None)
    wrapper = exp.select("*").from_(exp.Subquery(this=inner, alias=exp.TableAlias(this=exp.to_identifier("_gold"))))
    wrapper.set("order", exp.Order(expressions=terms))
    for part in ("limit", "offset"):
        if outer.args.get(part) is not None:
            wrapper.set(part, outer.args[part].copy())
    return wrapper, wrapper


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


def _widen(tree: Any, most: int) -> tuple[int | None, int] | None:
    """Widen the one LIMIT and OFFSET of the outermost query in place; returns what they were, None if not plain."""
    from sqlglot import exp

    level = tree
    holders = []
    while True:
        if level.args.get("limit") is not None or level.args.get("offset") is not None:
            holders.append(level)
        if not isinstance(level, exp.Subquery):
            break
        level = level.this
    if len(holders) != 1:
        return None
    numbers: list[int | None] = []
    for part in ("limit", "offset"):
        node = holders[0].args.get(part)
        value = node.args.get("expression") if node is not None else None
        if node is not None and not (isinstance(value, exp.Literal) and value.this.isdigit()):
            return None
        numbers.append(int(value.this) if value is not None else None)
    holders[0].set("limit", exp.Limit(expression=exp.Literal.number(most)))
    holders[0].set("offset", None)
    return numbers[0], numbers[1] or 0


def may_cut(statement: GoldStatement, height: int) -> bool:
    """Whether LIMIT or OFFSET may have cut rows off a result of this many rows."""
    return bool(statement.wide) and height > 0 and (statement.offset > 0 or height == statement.limit)


def gold_order(
    statement: GoldStatement, rows: Sequence[Row], wide: Sequence[Row] | None = None
) -> tuple[tuple[Row, ...], RowOrder]:
    """The gold's rows without appended keys, and how far they are fixed.

    Args:
        statement: The gold.
        rows: What it returned, appended keys included.
        wide: What its widened form returned, None where it was not run or could not be.
    """
    is_cut = may_cut(statement, len(rows))
    first, last = 0, len(rows)
    if wide is not None and is_cut and len(wide) >= statement.offset + len(rows):
        first, last = statement.offset, statement.offset + len(rows)
        rows = wide
    elif is_cut:  # the rows that tie with the last cannot be had
        return _cut_off(rows, statement), RowOrder(_ties(statement, rows), statement.known, is_open=True)
    ties = _ties(statement, rows)
    start, sizes, before, after = 0, [], (0, 0), (0, 0)
    for size in ties if ties is not None else (len(rows),):
        stop = start + size
        inside = min(stop, last) - max(start, first)
        if inside > 0:
            sizes.append(inside)
            before = (start, first) if start < first else before
            after = (last, stop) if stop > last else after
        start = stop
    plain = _cut_off(rows, statement)
    reaches_end = after[1] == len(rows) == statement.most
    return plain[first:last], RowOrder(
        None if ties is None else tuple(sizes),
        statement.known,
        plain[before[0] : before[1]],
        plain[after[0] : after[1]],
        is_open=is_cut and (reaches_end or not statement.known),
    )


def _cut_off(rows: Sequence[Row], statement: GoldStatement) -> tuple[Row, ...]:
    return tuple(row[: len(row) - statement.appended] for row in rows)


def _ties(statement: GoldStatement, rows: Sequence[Row]) -> tuple[int, ...] | None:
    """Sizes of the groups of rows with equal sort keys, within the tolerance of the comparison."""
    if not statement.ordered:
        return None
    if statement.keys is None:
        return (1,) * len(rows)
    sizes: list[int] = []
    last: Row = ()
    for row in rows:
        sort_key = tuple(row[column] for column in statement.keys)
        if sizes and all(map(same_cell, last, sort_key)):
            sizes[-1] += 1
        else:
            sizes.append(1)
        last = sort_key
    return tuple(sizes)
