"""Port a gold query of a published set to the Databricks dialect.

sqlglot carries the bulk; each rule below mends one class of golds that would not run on Databricks, or would
run and mean something else, though the meaning in the source is plain. Rules know the schema, never a database
by name nor a gold by its text; they change a query only where it is at fault, and say that they did.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.dialects.databricks import Databricks

from tao_bench.sql.port import grouping, names, postgres_dates, types
from tao_bench.sql.port.context import Columns, Context
from tao_bench.sql.port.sqlite_dates import sqlite_dates

__all__ = ["RULES", "Columns", "Context", "Ported", "port", "port_gold", "render"]

RULES: tuple[Callable[[Any, Context], bool], ...] = (
    # what the names mean
    names.schema_prefix,
    names.double_quoted_string,
    names.dangling_alias,
    names.alias_in_where,
    # what the source's functions mean
    grouping.quantified_comparison,
    sqlite_dates,
    postgres_dates.weekday_number,
    postgres_dates.seconds_to_timestamp,
    postgres_dates.age_in_years,
    postgres_dates.format_strings,
    postgres_dates.epoch_seconds,
    postgres_dates.date_difference,
    types.function_names,
    types.percentile,
    # what the source's types do silently
    types.float_is_double,
    types.cast_of_text,
    types.text_in_arithmetic,
    types.rounding_cast,
    types.wide_integers,
    types.truth_value_as_number,
    types.number_as_truth_value,
    types.text_compared_with_number,
    types.date_compared_with_text,
    types.like_ignores_case,
    types.integer_division,
    # which rows the source leaves open
    grouping.scalar_subquery_first_row,
    grouping.star_in_grouped_query,
    grouping.bare_grouped_column,
    grouping.order_by_outside_distinct,
    names.quoted_identifier,
)
"""In order. A rule edits the expression in place and tells whether it did."""


@dataclass(frozen=True, slots=True)
class Ported:
    """A gold in the Databricks dialect.

    Attributes:
        sql: Its text, on one line.
        root: Its sqlglot expression.
        rules: Names of the rules that changed it, in order.
    """

    sql: str
    root: Any
    rules: tuple[str, ...]


def render(root: Any) -> str:
    """Databricks text on one line, with ``x NOT IN (...)`` as people write it."""
    dialect = Databricks()
    root = root.copy()
    negations = [node for node in root.find_all(exp.Not) if isinstance(node.this.unnest(), exp.In)]
    for node in reversed(negations):  # inner ones first: the text of an outer one holds them
        inner = node.this.unnest()
        subject, whole = dialect.generate(inner.this), dialect.generate(inner)
        if whole.startswith(f"{subject} IN "):
            text = exp.Var(this=f"{subject} NOT IN {whole[len(subject) + 4 :]}")
            if node is root:
                return str(text.name)
            node.replace(text)
    return str(dialect.generate(root, copy=False))


def parse(sql: str, read: str) -> Any:
    """One query with lower-case, unquoted names; how a name was written is kept in its ``meta``.

    Raises:
        sqlglot.errors.SqlglotError: Not a query of that dialect.
    """
    root = sqlglot.parse_one(sql.strip().rstrip(";"), read=read)
    for identifier in root.find_all(exp.Identifier):
        identifier.meta["text"] = identifier.name
        identifier.meta["was_quoted"] = bool(identifier.args.get("quoted"))
        identifier.set("this", identifier.name.lower())
        identifier.set("quoted", False)
    return root


def port_gold(sql: str, context: Context) -> Ported:
    """Parse a query of another dialect and mend what Databricks would refuse or take otherwise.

    Args:
        sql: One query.
        context: Its dialect and its schema.

    Raises:
        sqlglot.errors.SqlglotError: Not a query of that dialect.
    """
    root = parse(sql, context.read)
    rules = tuple(rule.__name__ for rule in RULES if rule(root, context))
    return Ported(render(root), root, rules)


def port(sql: str, read: str, tables: Columns) -> tuple[Any, list[str]]:
    """`port_gold` for a schema without types.

    Args:
        sql: One query.
        read: Its sqlglot dialect; ``mysql`` reads double-quoted text as a string.
        tables: Table to column names, lower-case.

    Returns:
        A sqlglot expression (`render` writes it in the Databricks dialect) and the names of the rules that changed it.
    """
    untyped: Mapping[str, Mapping[str, str]] = {name: dict.fromkeys(columns, "") for name, columns in tables.items()}
    ported = port_gold(sql, Context(read, untyped))
    return ported.root, list(ported.rules)
