"""Rewrite a gold query the way a person would write it: short, for supervised targets.

Published golds are often machine-made (``CITYalias0.CITY_NAME``, comma joins). A model tuned on them spends
its tokens on aliases. `compact` keeps the meaning and drops what carries none, in four steps that
each leave a valid query: comma joins become ``JOIN ... USING/ON``, derived columns get short names,
needless qualifiers go, needless aliases go. Name resolution follows the SQL rule (innermost scope first).
It proves nothing by itself: the caller executes both spellings and keeps the original where they differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from tao_bench.sql.port import Columns, render

ALIASES = "abcdefghijklmnop"


@dataclass(slots=True)
class _Level:
    """The sources of one SELECT: alias to column names, and columns merged by USING."""

    sources: dict[str, frozenset[str]] = field(default_factory=dict)
    merged: set[str] = field(default_factory=set)

    def owners(self, column: str) -> list[str]:
        """Aliases whose source has the column."""
        return [alias for alias, columns in self.sources.items() if column in columns]


def _own(select: Any, kind: Any) -> Iterator[Any]:
    """Nodes of a kind that belong to this SELECT and to no query nested in it."""
    for node in select.walk(prune=lambda n: n is not select and isinstance(n, exp.Select)):
        if isinstance(node, kind):
            yield node


def _source_nodes(select: Any) -> list[Any]:
    """Tables and derived tables of FROM and JOIN, in order."""
    heads = [select.args.get("from_"), *(select.args.get("joins") or [])]
    return [head.this for head in heads if head is not None]


def _level(select: Any, tables: Columns) -> _Level:
    level = _Level()
    for node in _source_nodes(select):
        if isinstance(node, exp.Table):
            columns = frozenset(tables.get(node.name, ()))
        else:
            columns = frozenset(node.this.named_selects) if isinstance(node.this, exp.Query) else frozenset()
        level.sources[node.alias_or_name] = columns
    for join in select.args.get("joins") or []:
        level.merged.update(name.name for name in join.args.get("using") or [])
    return level


def _nested(select: Any) -> Iterator[tuple[Any, bool]]:
    """Queries directly inside a SELECT, with whether they stand in FROM (and so cannot see its sources)."""
    for node in _own(select, exp.Select):
        if node is not select:
            holder = node.parent
            in_from = isinstance(holder, exp.Subquery) and isinstance(holder.parent, exp.From | exp.Join)
            yield node, in_from


def _scopes(select: Any, tables: Columns, outer: tuple[_Level, ...] = ()) -> Iterator[tuple[Any, tuple[_Level, ...]]]:
    """Every SELECT with the levels it can see, its own first."""
    chain = (_level(select, tables), *outer)
    yield select, chain
    for inner, in_from in _nested(select):
        yield from _scopes(inner, tables, outer if in_from else chain)


def _conjuncts(select: Any) -> list[Any]:
    where = select.args.get("where")
    if where is None:
        return []
    return list(where.this.flatten()) if isinstance(where.this, exp.And) else [where.this]


def _explicit_joins(select: Any) -> None:
    """Turn ``FROM a, b WHERE a.x = b.x AND ...`` into ``FROM a JOIN b USING (x) WHERE ...``.

    Left alone unless every comma source is tied to an earlier one by such an equality.
    """
    joins = select.args.get("joins") or []
    if not joins or any(join.args.get(key) for join in joins for key in ("on", "using", "kind", "side", "method")):
        return
    conditions = _conjuncts(select)
    placed = {select.args["from_"].this.alias_or_name}
    pending = list(joins)
    ordered: list[Any] = []
    while pending:
        for join in pending:
            alias = join.this.alias_or_name
            tie = next((c for c in conditions if _ties(c, alias, placed)), None)
            if tie is not None:
                break
        else:
            return
        conditions.remove(tie)
        pending.remove(join)
        left, right = (tie.this, tie.expression) if tie.this.table != alias else (tie.expression, tie.this)
        join = join.copy()
        if left.name == right.name and not any(done.args.get("using") for done in ordered):
            join.set("using", [exp.to_identifier(left.name)])
        else:
            join.set("on", exp.EQ(this=left.copy(), expression=right.copy()))
        ordered.append(join)
        placed.add(alias)
    select.set("joins", ordered)
    select.set("where", exp.Where(this=exp.and_(*conditions, copy=False)) if conditions else None)


def _ties(condition: Any, alias: str, placed: set[str]) -> bool:
    """Whether a condition equates a column of `alias` with one of a placed source."""
    if not isinstance(condition, exp.EQ):
        return False
    sides = (condition.this, condition.expression)
    if not all(isinstance(side, exp.Column) and side.table for side in sides):
        return False
    names = {side.table for side in sides}
    return alias in names and len(names) == 2 and bool((names - {alias}) & placed)


def _short_derived_names(root: Any, tables: Columns) -> None:
    """Rename output columns of derived tables to n, n2, ... unless the name is taken by a real column."""
    taken = {column for columns in tables.values() for column in columns} | set(tables)
    fresh = (name for index in range(1, 100) if (name := "n" if index == 1 else f"n{index}") not in taken)
    renamed: dict[str, str] = {}
    for alias in root.find_all(exp.Alias):
        if alias.alias not in taken:
            renamed.setdefault(alias.alias, next(fresh))
    for alias in root.find_all(exp.Alias):
        if alias.alias in renamed:
            alias.set("alias", exp.to_identifier(renamed[alias.alias]))
    for column in root.find_all(exp.Column):
        if column.name in renamed:
            column.set("this", exp.to_identifier(renamed[column.name]))


def _resolves_to(chain: tuple[_Level, ...], column: str, level: _Level, alias: str) -> bool:
    """Whether the bare column name means the column of that source."""
    for candidate in chain:
        owners = candidate.owners(column)
        if owners:
            if candidate is not level or alias not in owners:
                return False
            return len(owners) == 1 or (column in candidate.merged and len(owners) == 2)
    return False


def _drop_qualifiers(root: Any, tables: Columns) -> None:
    for select, chain in list(_scopes(root, tables)):
        for column in _own(select, exp.Column):
            level = next((seen for seen in chain if column.table in seen.sources), None)
            if level is not None and _resolves_to(chain, column.name, level, column.table):
                column.set("table", None)


def _shorten_aliases(root: Any) -> None:
    """Drop aliases nothing refers to; refer by table name where the table occurs once; else a, b, c."""
    referred = {column.table for column in root.find_all(exp.Column) if column.table}
    occurrences: dict[str, int] = {}
    for table in root.find_all(exp.Table):
        occurrences[table.name] = occurrences.get(table.name, 0) + 1
    letters = iter(ALIASES)
    names: dict[str, str] = {}
    for source in list(root.find_all(exp.Table, exp.Subquery, bfs=False)):
        alias = source.alias
        if not alias:
            continue
        siblings = [s.name for s in _source_nodes(source.parent.parent)] if isinstance(source, exp.Table) else []
        if alias not in referred and siblings.count(source.name) < 2:
            source.set("alias", None)
        elif isinstance(source, exp.Table) and occurrences[source.name] == 1:
            names[alias] = source.name
            source.set("alias", None)
        else:
            names[alias] = next(letters)
            source.set("alias", exp.TableAlias(this=exp.to_identifier(names[alias])))
    for column in root.find_all(exp.Column):
        if column.table in names:
            column.set("table", exp.to_identifier(names[column.table]))


def compact(root: Any, tables: Columns) -> str:
    """The query in compact style, as Databricks text.

    Args:
        root: sqlglot expression of one SELECT without set operations or CTEs; left unchanged.
        tables: Table to column names, lower-case.
    """
    root = root.copy()
    for select in list(root.find_all(exp.Select)):
        _explicit_joins(select)
    for count in list(root.find_all(exp.Count)):
        if isinstance(count.this, exp.Literal) and not count.this.is_string:
            count.set("this", exp.Star())
    for paren in list(root.find_all(exp.Paren)):
        if isinstance(paren.this, exp.Column):
            paren.replace(paren.this)
    for join in root.find_all(exp.Join):
        if join.args.get("kind") == "OUTER":
            join.set("kind", None)
        if not any(join.args.get(key) for key in ("on", "using", "kind", "side", "method")):
            join.set("kind", "CROSS")
    _short_derived_names(root, tables)
    _drop_qualifiers(root, tables)
    _shorten_aliases(root)
    return render(root)
