"""Any database with a Python driver (PEP 249) as an engine: PostgreSQL, a warehouse, or sqlite3 itself."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tao.errors import InputError
from tao.sql.engines import MAX_ROWS, Reply, first_line
from tao.sql.instance import Instance
from tao.sql.result import canonical_rows

_TYPES = {"STRING": "TEXT", "DOUBLE": "DOUBLE PRECISION", "FLOAT": "DOUBLE PRECISION", "INT": "INTEGER"}
_TYPES |= {"TINYINT": "SMALLINT", "BINARY": "BYTEA", "TIMESTAMP_NTZ": "TIMESTAMP"}
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Driver:
    """Which database to reach, and how.

    Attributes:
        module: Import name of the PEP 249 driver, e.g. ``psycopg`` or ``pg8000.dbapi``.
        connect: Keyword arguments of its ``connect``.
        setup: Statements run once a connection, e.g. ``SET TIME ZONE 'UTC'``.
    """

    module: str
    connect: Mapping[str, Any] = field(default_factory=dict)
    setup: Sequence[str] = ()


def read_driver(raw: Any, where: str) -> Driver:
    """Validate the JSON value of a driver file.

    Raises:
        InputError: Not ``{"module": ..., "connect": {...}, "setup": [...]}``.
    """
    fix = 'write {"module": "psycopg", "connect": {"host": "...", "dbname": "..."}, "setup": ["SET TIME ZONE \'UTC\'"]}'
    if not isinstance(raw, dict) or not isinstance(raw.get("module"), str):
        raise InputError("not a driver description", where, fix)
    if unknown := set(raw) - {"module", "connect", "setup"}:
        raise InputError(f"unknown key {sorted(unknown)[0]!r}", where, fix)
    return Driver(raw["module"], raw.get("connect", {}), tuple(raw.get("setup", ())))


class DbApiEngine:
    """Runs queries through a driver; implements `tao.sql.engines.QueryEngine`.

    Every query runs in a transaction that is rolled back. The account should be one that may only read:
    this class does not look at what it is given.

    Args:
        driver: What to connect to.
        rows: Most rows of a result; more is an error.

    Raises:
        InputError: The driver is not installed, or the connection fails.
    """

    def __init__(self, driver: Driver, *, rows: int = MAX_ROWS) -> None:
        self.name = driver.module
        self._rows = rows
        try:
            self._module = importlib.import_module(driver.module)
        except ImportError as error:
            raise InputError(f"cannot be imported ({error})", driver.module, "pip install the driver") from error
        try:
            self._connection = self._module.connect(**driver.connect)
            for statement in driver.setup:
                self._execute(statement)
            self._connection.commit()
        except Exception as error:  # each driver has errors of its own
            raise InputError(f"cannot connect ({first_line(error)})", driver.module, "look at its arguments") from error

    def run(self, sql: str) -> Reply:
        """Run one query and roll it back. Never raises for what the statement holds."""
        try:
            cursor = self._connection.cursor()
            try:
                cursor.execute(sql)
                if cursor.description is None:
                    return Reply(error="not a query")
                raw = cursor.fetchmany(self._rows + 1)
                width = len(cursor.description)
            finally:
                cursor.close()
        except Exception as error:  # see above
            lost = isinstance(error, getattr(self._module, "InterfaceError", ()))
            return Reply(error=_message(error), is_engine_fault=lost)
        finally:
            with contextlib.suppress(Exception):
                self._connection.rollback()
        if len(raw) > self._rows:
            return Reply(error=f"more than {self._rows} rows")
        return Reply(tuple(canonical_rows(raw)), width)

    def load(self, instance: Instance, schema: str = "") -> None:
        """Make the tables of an instance on the server, lower-case, for a source engine that starts empty.

        Args:
            instance: Tables and rows.
            schema: A schema that is dropped, made anew and put on the search path (PostgreSQL); '' for none.
        """
        if schema:
            self._execute(f"DROP SCHEMA IF EXISTS {_quote(schema)} CASCADE")
            self._execute(f"CREATE SCHEMA {_quote(schema)}")
            self._execute(f"SET search_path TO {_quote(schema)}")
        for table, columns in instance.schema.tables:
            body = ", ".join(f"{_quote(column.lower())} {_TYPES.get(kind, kind)}" for column, kind in columns)
            self._execute(f"CREATE TABLE {_quote(table.lower())} ({body})")
            rows = instance.rows[table]
            for start in range(0, len(rows), _CHUNK):
                lines = ", ".join(
                    f"({', '.join(_literal(cell) for cell in row)})" for row in rows[start : start + _CHUNK]
                )
                self._execute(f"INSERT INTO {_quote(table.lower())} VALUES {lines}")
        self._connection.commit()

    def close(self) -> None:
        """Close the connection."""
        with contextlib.suppress(Exception):
            self._connection.close()

    def _execute(self, sql: str) -> None:
        cursor = self._connection.cursor()
        try:
            cursor.execute(sql)
        finally:
            cursor.close()


def _message(error: Exception) -> str:
    """A driver's message; pg8000 and others put a dictionary there."""
    detail = error.args[0] if error.args else ""
    return str(detail.get("M", detail))[:200] if isinstance(detail, dict) else first_line(error)


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(cell: Any) -> str:
    """A cell as an SQL literal: own data, never what a model or a user wrote at run time."""
    if cell is None:
        return "NULL"
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, int | float):
        return repr(cell)
    text = str(cell).replace("'", "''").replace("\x00", "")
    return f"'{text}'"
