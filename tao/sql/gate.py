"""The strict gate: exactly one query, in the SQL of Databricks, over what the schema has - or a fault.

What passes comes out as text for DuckDB. Why a gate at all: plain DuckDB behind a transpiler runs a
quarter of what Spark rejects, so a model tuned on "it ran" would drift to SQL that fails in production.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tao.sql.dialect import Family, Fault, clean, databricks, surface_fault, tokenize
from tao.sql.idioms import idiom_fault
from tao.sql.instance import Schema

CACHED = 32_768
CACHED_CHARS = 2_000  # longer texts are seldom seen twice, and many of them would take gigabytes


@dataclass(frozen=True, slots=True)
class Accepted:
    """A query that may run.

    Attributes:
        duckdb: The same query in DuckDB's SQL.
        ordered: Whether the outermost query has an ORDER BY.
    """

    duckdb: str
    ordered: bool


def check(response: str, schema: Schema | None = None) -> Accepted | Fault:
    """Judge a response that should be one Databricks query.

    Outer white space, a ```` ```sql ```` fence and one last semicolon are taken off first, and nothing else.
    Answers to all but very long texts are cached, by text and schema. Never raises for what the response holds.

    Args:
        response: The text as the model wrote it.
        schema: Tables to resolve names against; None skips names and most types.
    """
    sql = clean(response)
    return _cached(sql, schema) if len(sql) <= CACHED_CHARS else _check(sql, schema)


@lru_cache(maxsize=CACHED)
def _cached(sql: str, schema: Schema | None) -> Accepted | Fault:
    return _check(sql, schema)


def _check(sql: str, schema: Schema | None) -> Accepted | Fault:
    tree = parse(sql, schema)
    if isinstance(tree, Fault):
        return tree
    return Accepted(to_duckdb(tree), is_ordered(tree))


def parse(sql: str, schema: Schema | None = None) -> Any:
    """The resolved tree of a cleaned text (a `sqlglot` query, with emulator rewrites done), or a `Fault`."""
    from sqlglot.errors import SqlglotError

    from tao.sql.emulate import Refuse
    from tao.sql.resolve import Resolver

    tokens = tokenize(sql)
    if isinstance(tokens, Fault):
        return tokens
    columns = {name for table in schema.columns.values() for name in table} if schema is not None else set()
    fault = surface_fault(sql, tokens, columns) or idiom_fault(sql, tokens)
    if fault is not None:
        return fault
    try:
        _mark_calls(tokens)
        statements = databricks().parser().parse(tokens, sql)
        if len(statements) != 1 or statements[0] is None:
            return Fault(Family.SYNTAX, "several_statements", "not exactly one statement")
        tree = statements[0]
        Resolver(schema).query(tree, {}, None)
    except Refuse as refused:
        return refused.fault
    except SqlglotError as error:
        return Fault(Family.SYNTAX, "parse", f"syntax error{_place(error, sql)}")
    except RecursionError:
        return Fault(Family.SYNTAX, "too_deep", "the query is nested too deeply")
    return tree


def _place(error: Exception, sql: str) -> str:
    """' near WORD' for a parser error that knows where it stopped."""
    details = getattr(error, "errors", None) or [{}]
    word = str(details[0].get("highlight") or "").strip()
    return f" near {word[:30]}" if word else " at the end"


def is_ordered(tree: Any) -> bool:
    """Whether the outermost query has an ORDER BY (not a subquery, not a window)."""
    from sqlglot import exp

    while isinstance(tree, exp.Subquery) and tree.args.get("order") is None:
        tree = tree.this
    return tree.args.get("order") is not None


def to_duckdb(tree: Any) -> str:
    """DuckDB's text for a resolved tree, without comments. Changes the tree: no time zones are left in it."""
    from sqlglot import exp
    from sqlglot.errors import ErrorLevel

    for kind in tree.find_all(exp.DataType):
        if kind.this in (exp.DType.TIMESTAMPTZ, exp.DType.TIMESTAMPLTZ):  # the session is in UTC: none is needed
            kind.set("this", exp.DType.TIMESTAMP)
            kind.set("expressions", None)
    # What the generator cannot write is known: functions.txt.
    generator = _duckdb().generator(unsupported_level=ErrorLevel.IGNORE, comments=False)
    return str(generator.generate(tree, copy=False))


def _mark_calls(tokens: Sequence[Any]) -> None:
    """Have the parser keep the calls of `tao.sql.calls` as they were written; takes all comments off.

    sqlglot leaves a call alone that has the comment "sqlglot.anonymous" before its closing parenthesis. A subclass
    of its parser with other functions would be plainer, but where sqlglot is compiled its parsers and generators
    cannot be subclassed. The comments of the text go first: they must not say this of other calls.
    """
    from sqlglot import exp
    from sqlglot.tokens import TokenType

    from tao.sql.calls import CALLS

    opened: list[bool] = []
    for before, token in zip((None, *tokens), tokens, strict=False):
        if token.comments:
            token.comments = []
        if token.token_type is TokenType.L_PAREN:
            opened.append(before is not None and before.text.lower() in CALLS)
        elif token.token_type is TokenType.R_PAREN and opened.pop():
            token.comments = [exp.SQLGLOT_ANONYMOUS]


@lru_cache(maxsize=1)
def _duckdb() -> Any:
    """DuckDB with the null order that the engine is set to (Databricks' own: nulls count as smallest)."""
    from sqlglot.dialects.duckdb import DuckDB

    dialect = DuckDB()
    dialect.NULL_ORDERING = "nulls_are_small"
    return dialect
