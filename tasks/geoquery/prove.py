"""Prove golds by execution: they run, say something, and say the same in any row order and in compact style."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import sqlglot

from .source import Table

_DUCKDB = {"INT": "BIGINT", "DOUBLE": "DOUBLE", "STRING": "VARCHAR"}
Result = Counter[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Proof:
    """What execution showed of one gold.

    Attributes:
        runs: It runs on the real database.
        fault: '' if it can judge answers; else ``does not run``, ``empty`` (any query that finds nothing
            would pass) or ``unstable`` (the result depends on the order of rows).
        short_equal: The compact spelling gives the same rows on both instances.
    """

    runs: bool
    fault: str
    short_equal: bool


def connect(tables: Mapping[str, Table]) -> duckdb.DuckDBPyConnection:
    """An in-memory database with these tables. Only golds of the published set run on it."""
    connection = duckdb.connect(config={"threads": 1})
    for name, table in tables.items():
        columns = ", ".join(f"{column} {_DUCKDB[kind]}" for column, kind in table.columns)
        connection.execute(f"CREATE TABLE {name} ({columns})")
        if table.rows:
            marks = ", ".join("?" for _ in table.columns)
            connection.executemany(f"INSERT INTO {name} VALUES ({marks})", [list(row) for row in table.rows])
    return connection


def _run(connection: duckdb.DuckDBPyConnection, sql: str) -> Result | None:
    """The rows as a multiset (floats at 9 digits), or None if the query fails."""
    try:
        rows = connection.execute(sql).fetchall()
    except duckdb.Error:
        return None
    return Counter(tuple(float(f"{v:.9g}") if isinstance(v, float) else v for v in row) for row in rows)


def _says_something(result: Result) -> bool:
    return any(value is not None for row in result for value in row)


def prove(
    golds: Sequence[str],
    short: Sequence[str],
    real: Mapping[str, Table],
    second: Mapping[str, Table],
    orders: Sequence[Mapping[str, Table]],
) -> list[Proof]:
    """Prove golds (Databricks SQL) and their compact spellings.

    Args:
        golds: Queries as ported.
        short: The same queries in compact style.
        real: The real database.
        second: An instance with other data.
        orders: The real data in other row orders.
    """
    databases = [connect(tables) for tables in (real, second, *orders)]
    known: dict[tuple[str, str], Proof] = {}
    for gold, text in zip(golds, short, strict=True):
        if (gold, text) not in known:
            known[gold, text] = _prove_one(gold, text, databases)
    for database in databases:
        database.close()
    return [known[pair] for pair in zip(golds, short, strict=True)]


def _prove_one(gold: str, text: str, databases: Sequence[duckdb.DuckDBPyConnection]) -> Proof:
    gold_sql, short_sql = (sqlglot.transpile(sql, read="databricks", write="duckdb")[0] for sql in (gold, text))
    results = [_run(database, gold_sql) for database in databases]
    first = results[0]
    if first is None:
        return Proof(False, "does not run", False)
    equal = results[:2] == [_run(database, short_sql) for database in databases[:2]]
    if not _says_something(first):
        return Proof(True, "empty", equal)
    stable = all(result == first for result in results[2:])
    return Proof(True, "" if stable else "unstable", equal)
