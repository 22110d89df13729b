"""Port a gold query of a published set to the Databricks dialect.

sqlglot carries the bulk; each rule below mends one class of golds that would not run on Databricks
though its meaning is plain. Rules change a query only where it is at fault, and say that they did.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.dialects.databricks import Databricks

Columns = Mapping[str, Sequence[str]]
"""Table to column names, lower-case."""


def render(root: Any) -> str:
    """Databricks text on one line, with ``x NOT IN (...)`` as people write it."""

    def negation(generator: Any, node: Any) -> str:
        inner = node.this.unnest()
        if isinstance(inner, exp.In):
            text = generator.sql(inner)
            subject = generator.sql(inner, "this")
            if text.startswith(f"{subject} IN "):
                return f"{subject} NOT IN {text[len(subject) + 4 :]}"
        return f"NOT {generator.sql(node, 'this')}"

    class Writer(Databricks.Generator):  # type: ignore[misc]
        TRANSFORMS = {**Databricks.Generator.TRANSFORMS, exp.Not: negation}  # noqa: RUF012

    return str(Writer(dialect=Databricks()).generate(root))


def dangling_alias(root: Any, tables: Columns) -> bool:
    """Point a qualifier that names no visible source at the one source that has the column."""
    changed = False
    for column in list(root.find_all(exp.Column)):
        if not column.table:
            continue
        select = column.find_ancestor(exp.Select)
        own: list[Any] = []
        visible: set[str] = set()
        level = select
        while level is not None:
            heads = [level.args.get("from_"), *(level.args.get("joins") or [])]
            sources = [head.this for head in heads if head is not None]
            own = own or sources
            visible.update(source.alias_or_name for source in sources)
            level = level.find_ancestor(exp.Select)
        if column.table in visible:
            continue
        holders = [source for source in own if column.name in _columns(source, tables)]
        if len(holders) == 1:
            column.set("table", exp.to_identifier(holders[0].alias_or_name))
            changed = True
    return changed


def _columns(source: Any, tables: Columns) -> Sequence[str]:
    if isinstance(source, exp.Table):
        return tables.get(source.name, ())
    names: Sequence[str] = source.this.named_selects
    return names


def quantified_comparison(root: Any, tables: Columns) -> bool:
    """``x > ALL (SELECT y ...)`` as ``x > (SELECT MAX(y) ...)``: Databricks has no ALL over a query.

    They differ where the subquery is empty (ALL is then true) or holds NULL.
    """
    changed = False
    extremes = {exp.GT: exp.Max, exp.GTE: exp.Max, exp.LT: exp.Min, exp.LTE: exp.Min}
    for quantifier in list(root.find_all(exp.All)):
        extreme = extremes.get(type(quantifier.parent))
        query = quantifier.this.unnest()
        if extreme and isinstance(query, exp.Select) and len(query.expressions) == 1:
            query.set("expressions", [extreme(this=query.expressions[0].unalias())])
            quantifier.replace(exp.Subquery(this=query))
            changed = True
    return changed


def bare_grouped_column(root: Any, tables: Columns) -> bool:
    """A selected column outside GROUP BY, which MySQL and SQLite allow, as ``ANY_VALUE(column)``."""
    changed = False
    for select in root.find_all(exp.Select):
        group = select.args.get("group")
        if group is None:
            continue
        keys = {key.unnest().name for key in group.expressions}
        for item in list(select.expressions):
            if isinstance(item, exp.Column) and item.name not in keys:
                item.replace(exp.AnyValue(this=item.copy()))
                changed = True
    return changed


RULES: tuple[Callable[[Any, Columns], bool], ...] = (dangling_alias, quantified_comparison, bare_grouped_column)
"""In order. A rule edits the expression in place and tells whether it did."""


def port(sql: str, read: str, tables: Columns) -> tuple[Any, list[str]]:
    """Parse a query of another dialect and mend what Databricks would refuse.

    Identifiers become lower-case and unquoted.

    Args:
        sql: One query.
        read: Its sqlglot dialect; ``mysql`` reads double-quoted text as a string.
        tables: Table to column names, lower-case.

    Returns:
        A sqlglot expression (`render` writes it in the Databricks dialect) and the names of the rules that changed it.
    """
    root = sqlglot.parse_one(sql.strip().rstrip(";"), read=read)
    for identifier in root.find_all(exp.Identifier):
        identifier.set("this", identifier.name.lower())
        identifier.set("quoted", False)
    return root, [rule.__name__ for rule in RULES if rule(root, tables)]
