"""A small relational algebra: a plan is rendered to Databricks SQL and, apart from that, evaluated on rows in Python.

What the two give is compared by a test, so a gold is checked by code that shares nothing with any SQL engine. A part of
a plan carries its *slips*: what somebody who half understood the question would write in its place. A question is worth
asking where every slip gives another result than the plan.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .instances import Row, Rows

Env = dict[str, Any]
"""Alias to row (None where an outer join found none); ``"*"`` to all rows of the instance."""
Group = list[Env]
Result = list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Expr:
    """A value of a joined row."""

    sql: str
    of: Callable[[Env], Any]
    slips: tuple[Callable[[Env], Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Cond:
    """A condition on a joined row: True, False or None (unknown). `dropped` asks that leaving it out shows."""

    sql: str
    of: Callable[[Env], bool | None]
    slips: tuple[Callable[[Env], bool | None], ...] = ()


@dataclass(frozen=True, slots=True)
class Out:
    """An output of a group of joined rows, or a condition on it."""

    sql: str
    of: Callable[[Group], Any]
    slips: tuple[Callable[[Group], Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Join:
    """A join by equality of `left` with `column` of the new table, and more conditions.

    Attributes:
        table: Name of the table.
        alias: Its alias.
        left: Value of the rows so far.
        column: Column of the new table.
        more: Further conditions.
        outer: Whether it is a LEFT JOIN.
        telling: Whether INNER for LEFT, or LEFT for INNER, must change the result.
    """

    table: str
    alias: str
    left: Expr
    column: str
    more: tuple[Cond, ...] = ()
    outer: bool = False
    telling: bool = False

    @property
    def sql(self) -> str:
        """The clause."""
        on = [f"{self.left.sql} = {self.alias}.{self.column}", *(c.sql for c in self.more)]
        return f"{'LEFT ' if self.outer else ''}JOIN {self.table} {self.alias} ON {' AND '.join(on)}"


@dataclass(frozen=True, slots=True)
class Window:
    """QUALIFY: keeps some of the joined rows."""

    sql: str
    keep: Callable[[Group], Group]
    slips: tuple[Callable[[Group], Group], ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """A query.

    Attributes:
        table: First table.
        alias: Its alias ('' where it stands alone).
        joins: Joins in order.
        where: Conditions.
        keys: What is grouped by, shown first; with `outs` and no keys there is one row.
        outs: Outputs of a group.
        cells: Outputs of a row, where nothing is grouped.
        having: Condition on groups.
        window: QUALIFY.
        distinct: SELECT DISTINCT.
        order: (place of the output, descending) pairs.
        limit: Rows at most.
        by_all: GROUP BY ALL instead of naming the keys.
    """

    table: str
    alias: str = ""
    joins: tuple[Join, ...] = ()
    where: tuple[Cond, ...] = ()
    keys: tuple[Expr, ...] = ()
    outs: tuple[Out, ...] = ()
    cells: tuple[Expr, ...] = ()
    having: Out | None = None
    window: Window | None = None
    distinct: bool = False
    order: tuple[tuple[int, bool], ...] = ()
    limit: int = 0
    by_all: bool = False

    @property
    def sql(self) -> str:
        """The query in the Databricks dialect, on one line."""
        shown = [e.sql for e in (*self.keys, *self.outs, *self.cells)]
        parts = [f"SELECT {'DISTINCT ' if self.distinct else ''}{', '.join(shown)}"]
        parts.append(f"FROM {self.table}{' ' + self.alias if self.alias else ''}")
        parts += [join.sql for join in self.joins]
        if self.where:
            parts.append("WHERE " + " AND ".join(c.sql for c in self.where))
        if self.keys and self.outs:
            parts.append("GROUP BY " + ("ALL" if self.by_all else ", ".join(k.sql for k in self.keys)))
        if self.having:
            parts.append(f"HAVING {self.having.sql}")
        if self.window:
            parts.append(f"QUALIFY {self.window.sql}")
        if self.order:
            parts.append("ORDER BY " + ", ".join(shown[i] + (" DESC" if down else "") for i, down in self.order))
        if self.limit:
            parts.append(f"LIMIT {self.limit}")
        return " ".join(parts)


def _joined(plan: Plan, rows: Rows) -> Group:
    found: Group = [{"*": rows, plan.alias: row} for row in rows.tables[plan.table]]
    for join in plan.joins:
        index = rows.by(join.table, join.column)
        wider: Group = []
        for env in found:
            key = join.left.of(env)
            pairs: list[Env] = [{**env, join.alias: row} for row in index.get(key, ())] if key is not None else []
            if join.more:
                pairs = [pair for pair in pairs if all(c.of(pair) is True for c in join.more)]
            if not pairs and join.outer:
                pairs = [{**env, join.alias: None}]
            wider += pairs
        found = wider
    return found


def evaluate(plan: Plan, rows: Rows, joined: Group | None = None) -> Result:
    """The rows a plan returns; in order where the plan orders them.

    Args:
        plan: The query.
        rows: The instance.
        joined: The joined rows, if they are known from another plan with the same joins.
    """
    found = _joined(plan, rows) if joined is None else joined
    for cond in plan.where:
        found = [env for env in found if cond.of(env) is True]
    result: Result
    if plan.outs:
        groups: dict[tuple[Any, ...], Group] = {} if plan.keys else {(): []}
        for env in found:
            groups.setdefault(tuple(k.of(env) for k in plan.keys), []).append(env)
        having = plan.having
        kept = {k: g for k, g in groups.items() if having is None or having.of(g) is True}
        result = [(*key, *(out.of(group) for out in plan.outs)) for key, group in kept.items()]
    else:
        found = plan.window.keep(found) if plan.window else found
        result = [tuple(e.of(env) for e in (*plan.keys, *plan.cells)) for env in found]
    if plan.distinct:
        result = list(dict.fromkeys(result))
    for place, down in reversed(plan.order):
        # NULL counts as smallest
        result.sort(key=lambda row: (row[place] is not None, row[place] if row[place] is not None else 0), reverse=down)
    return result[: plan.limit] if plan.limit else result


def slips(plan: Plan) -> Iterator[tuple[str, Plan]]:
    """(kind, plan) of every slip of a plan that the data must tell from it."""
    for i, join in enumerate(plan.joins):
        if join.telling:
            yield "join", _put(plan, "joins", i, replace(join, outer=not join.outer))
        for j, cond in enumerate(join.more):
            yield "join condition dropped", _put(plan, "joins", i, replace(join, more=_without(join.more, j)))
            for slip in cond.slips:
                more = (*join.more[:j], replace(cond, of=slip), *join.more[j + 1 :])
                yield "join condition", _put(plan, "joins", i, replace(join, more=more))
    for i, cond in enumerate(plan.where):
        yield "filter dropped", replace(plan, where=_without(plan.where, i))
        for slip in cond.slips:
            yield "filter", _put(plan, "where", i, replace(cond, of=slip))
    for name in ("keys", "outs", "cells"):
        for i, part in enumerate(getattr(plan, name)):
            for slip in part.slips:
                yield name, _put(plan, name, i, replace(part, of=slip))
    if plan.having:
        yield "having dropped", replace(plan, having=None)
        for having in plan.having.slips:
            yield "having", replace(plan, having=replace(plan.having, of=having))
    if plan.window:
        yield "qualify dropped", replace(plan, window=None)
        for keep in plan.window.slips:
            yield "qualify", replace(plan, window=replace(plan.window, keep=keep))
    if plan.distinct:
        yield "distinct", replace(plan, distinct=False)
    if plan.limit:
        yield "limit", replace(plan, limit=plan.limit + 1)
        yield "direction", replace(plan, order=tuple((i, not down) for i, down in plan.order))


def _put(plan: Plan, name: str, place: int, part: Any) -> Plan:
    parts = getattr(plan, name)
    changed: dict[str, Any] = {name: (*parts[:place], part, *parts[place + 1 :])}
    return replace(plan, **changed)


def _without(parts: Sequence[Any], place: int) -> tuple[Any, ...]:
    return (*parts[:place], *parts[place + 1 :])


def cuts_tie(plan: Plan, rows: Rows) -> bool:
    """Whether the LIMIT takes one of several rows with equal sort keys and leaves another."""
    if not plan.limit:
        return False
    result = evaluate(replace(plan, limit=0), rows)
    if len(result) <= plan.limit:
        return False
    key = [tuple(row[i] for i, _ in plan.order) for row in result[plan.limit - 1 : plan.limit + 1]]
    return key[0] == key[1]


def _rounded(cell: Any) -> Any:
    return float(f"{cell:.6g}") if isinstance(cell, float) else cell


def same(plan: Plan, result: Result, other: Result) -> bool:
    """Whether two results are one to a reader of the plan: numbers to six digits, order where the plan orders."""
    left, right = ([tuple(_rounded(c) for c in row) for row in rows] for rows in (result, other))
    return left == right if plan.order else Counter(left) == Counter(right)


def is_empty(result: Result) -> bool:
    """Whether a result says nothing: no rows, or nothing but NULL and zero in one row."""
    return not result or (len(result) == 1 and all(cell is None or cell == 0 for cell in result[0]))


def tells(plan: Plan, rows: Rows) -> bool:
    """Whether every slip of a plan gives another result on these rows."""
    joined = _joined(plan, rows)
    right = evaluate(plan, rows, joined)
    return all(
        not same(plan, right, evaluate(slip, rows, joined if slip.joins is plan.joins else None))
        for _, slip in slips(plan)
    )


__all__ = ["Cond", "Env", "Expr", "Group", "Join", "Out", "Plan", "Result", "Row", "Window"]
