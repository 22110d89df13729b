"""Rules about names: what is a string, which source a name belongs to, where an alias may be used."""

from __future__ import annotations

import re
from typing import Any

from sqlglot import exp

from tao_bench.sql.port.context import Context, columns_of, levels, own, resolve, sources_of

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*\Z")
# Words that Databricks takes for syntax where a name could stand.
_RESERVED = frozenset(
    "anti cross except exists full inner intersect join lateral left minus natural on right semi union using "
    "select from where group order by having limit case when then else end and or not in is null like between "
    "as distinct all any with window qualify".split()
)


def double_quoted_string(root: Any, context: Context) -> bool:
    """A double-quoted name that no visible source has is a string: SQLite's fallback, which Databricks lacks."""
    if not context.is_sqlite:
        return False
    changed = False
    for column in list(root.find_all(exp.Column)):
        name = column.this
        if column.table or not isinstance(name, exp.Identifier) or not name.meta.get("was_quoted"):
            continue
        if resolve(column, context) is None:
            column.replace(exp.Literal.string(name.meta["text"]))
            changed = True
    return changed


def schema_prefix(root: Any, context: Context) -> bool:
    """``schema.table`` as ``table``: an instance has one schema."""
    changed = False
    for table in root.find_all(exp.Table):
        if table.args.get("db") is not None and table.name in context.tables:
            table.set("db", None)
            table.set("catalog", None)
            changed = True
    for column in root.find_all(exp.Column):
        if column.args.get("db") is not None:
            column.set("db", None)
            changed = True
    return changed


def dangling_alias(root: Any, context: Context) -> bool:
    """Point a qualifier that names no visible source at the one source that has the column."""
    changed = False
    for column in list(root.find_all(exp.Column)):
        if not column.table:
            continue
        nearest: list[Any] = []
        visible: set[str] = set()
        for level in levels(column):
            sources = sources_of(level)
            nearest = nearest or sources
            visible.update(source.alias_or_name for source in sources)
        if column.table in visible:
            continue
        holders = [source for source in nearest if column.name in columns_of(source, context)]
        if len(holders) == 1:
            column.set("table", exp.to_identifier(holders[0].alias_or_name))
            changed = True
    return changed


def alias_in_where(root: Any, context: Context) -> bool:
    """An output alias used in WHERE or ON, which SQLite allows, as the expression that it names."""
    changed = False
    for select in root.find_all(exp.Select):
        aliases = {item.alias: item.this for item in select.expressions if isinstance(item, exp.Alias)}
        places = [select.args.get("where"), *(join.args.get("on") for join in select.args.get("joins") or [])]
        for place in places:
            for column in list(own(place, exp.Column)) if place is not None else []:
                origin = resolve(column, context)
                if not column.table and column.name in aliases and origin is not None and origin.source is None:
                    column.replace(exp.paren(aliases[column.name].copy()))
                    changed = True
    return changed


def quoted_identifier(root: Any, context: Context) -> bool:
    """Backticks around names that need them, and around no others."""
    changed = False
    for name in root.find_all(exp.Identifier):
        needs = not _PLAIN.match(name.name) or name.name in _RESERVED
        if needs and not name.args.get("quoted"):
            name.set("quoted", True)
            changed = True
    return changed
