"""The strict gate: exactly one query, in the SQL of Databricks, over what the schema has - or a fault.

What passes comes out as text for DuckDB. Why a gate at all: plain DuckDB behind a transpiler runs a
quarter of what Spark rejects, so a model tuned on "it ran" would drift to SQL that fails in production.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

from tao.sql.dialect import Family, Fault, clean, surface_fault, tokenize
from tao.sql.idioms import idiom_fault
from tao.sql.instance import Schema

CACHED = 32_768


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
    Answers are cached by text and schema. Never raises for what the response holds.

    Args:
        response: The text as the model wrote it.
        schema: Tables to resolve names against; None skips names and most types.
    """
    return _check(clean(response), schema)


@lru_cache(maxsize=CACHED)
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
        statements = _source().parser().parse(tokens, sql)
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
    """DuckDB's text for a resolved tree."""
    return str(_emulator().generate(tree, copy=False))


def _emulator() -> Any:
    from sqlglot.errors import ErrorLevel

    return _dialect().generator(unsupported_level=ErrorLevel.IGNORE)  # gaps are known: functions.txt


@lru_cache(maxsize=1)
def _source() -> Any:
    """Databricks with the calls of `tao.sql.calls` kept as they were written."""
    from sqlglot import exp
    from sqlglot.dialects.databricks import Databricks
    from sqlglot.parsers.databricks import DatabricksParser

    from tao.sql.calls import CALLS

    def kept(name: str) -> Any:
        return lambda args: exp.Anonymous(this=name, expressions=args)

    class Source(Databricks):  # type: ignore[misc]  # sqlglot is untyped here
        class Parser(DatabricksParser):  # type: ignore[misc]
            FUNCTIONS: ClassVar[dict[str, Any]] = {
                **DatabricksParser.FUNCTIONS,
                **{name.upper(): kept(name) for name in CALLS},
            }

    return Source()


@lru_cache(maxsize=1)
def _dialect() -> Any:
    """DuckDB with the null order that the engine is set to (Databricks' own: nulls count as smallest)."""
    from sqlglot import exp
    from sqlglot.dialects.duckdb import DuckDB
    from sqlglot.generators.duckdb import DuckDBGenerator

    zoned = (exp.DType.TIMESTAMPTZ, exp.DType.TIMESTAMPLTZ)  # one session time zone, UTC: none is needed

    class Emulator(DuckDB):  # type: ignore[misc]  # sqlglot is untyped here
        NULL_ORDERING = "nulls_are_small"

        class Generator(DuckDBGenerator):  # type: ignore[misc]
            TYPE_MAPPING: ClassVar[dict[Any, str]] = {
                **DuckDBGenerator.TYPE_MAPPING,
                **dict.fromkeys(zoned, "TIMESTAMP"),
            }

    return Emulator()
