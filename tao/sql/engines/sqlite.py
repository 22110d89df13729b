"""SQLite as the source of record: read only, no function that reaches outside, bounded, and with a clock that stands.

Walls, each of which the others do not give: the file is opened with ``mode=ro`` (ATTACH still works then); an
authorizer allows reading and nothing else; value and statement lengths are limited (``zeroblob``, ``printf`` bombs);
a progress handler stops a statement when its processor time is up.
"""

from __future__ import annotations

import datetime as dt
import sqlite3
import time
from pathlib import Path
from typing import Any

from tao.errors import InputError
from tao.sql.engines import MAX_ROWS, Reply, first_line
from tao.sql.result import canonical_rows

_ALLOWED = frozenset((sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE))
_REFUSED_FUNCTIONS = frozenset(("load_extension", "fts3_tokenizer", "readfile", "writefile", "edit"))
_MAX_VALUE_BYTES = 10_000_000
_MAX_SQL_BYTES = 1_000_000
_STEPS = 10_000  # virtual machine steps between two looks at the clock
_DATE_FUNCTIONS = ("date", "time", "datetime", "julianday", "strftime", "unixepoch")


def text_of(raw: bytes) -> str:
    """Text as it is stored; bytes that are not UTF-8 become the replacement character, here and in the reader."""
    return raw.decode("utf-8", "replace")


def open_read_only(path: Path) -> sqlite3.Connection:
    """A connection that cannot write.

    Raises:
        InputError: No such file, or not a SQLite database.
    """
    if not path.is_file():
        raise InputError("no such database file", str(path))
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    connection.text_factory = text_of
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.DatabaseError as error:
        connection.close()
        raise InputError(f"cannot be read as SQLite ({error})", str(path), "fetch the file again") from error
    return connection


class SqliteEngine:
    """Runs queries on a SQLite database; implements `tao.sql.engines.QueryEngine`.

    Args:
        database: A file, or an open connection that this engine takes over.
        clock: What ``'now'`` and CURRENT_DATE mean, in UTC; None for the machine's clock.
        cpu_s: Processor time of a statement.
        rows: Most rows of a result; more is an error.

    Raises:
        InputError: No such file, or not a SQLite database.
    """

    name = "sqlite"

    def __init__(
        self,
        database: Path | sqlite3.Connection,
        clock: dt.datetime | None = None,
        *,
        cpu_s: float = 30.0,
        rows: int = MAX_ROWS,
    ) -> None:
        self._connection = open_read_only(database) if isinstance(database, Path) else database
        self._connection.text_factory = text_of
        self._rows = rows
        self._cpu_s = cpu_s
        self._deadline_s = 0.0
        self._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_VALUE_BYTES)
        self._connection.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, _MAX_SQL_BYTES)
        self._clock = sqlite3.connect(":memory:")
        if clock is not None:
            pin_clock(self._connection, self._clock, clock)
        self._connection.set_authorizer(_authorize)
        self._connection.set_progress_handler(self._is_late, _STEPS)

    def run(self, sql: str) -> Reply:
        """Run one query. Never raises for what the statement holds."""
        self._deadline_s = time.process_time() + self._cpu_s
        try:
            cursor = self._connection.execute(sql)
            if cursor.description is None:
                return Reply(error="not a query")
            raw = cursor.fetchmany(self._rows + 1)
            width = len(cursor.description)
            cursor.close()
        except sqlite3.OperationalError as error:
            late = str(error) == "interrupted"
            return Reply(error=f"stopped after {self._cpu_s:g} s of processor time" if late else first_line(error))
        except (sqlite3.Error, sqlite3.Warning, OverflowError, MemoryError, ValueError) as error:
            return Reply(error=first_line(error))
        if len(raw) > self._rows:
            return Reply(error=f"more than {self._rows} rows")
        return Reply(tuple(canonical_rows(raw)), width)

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()
        self._clock.close()

    def _is_late(self) -> int:
        return int(time.process_time() > self._deadline_s)


def _authorize(action: int, first: str | None, second: str | None, database: str | None, trigger: str | None) -> int:
    if action not in _ALLOWED:
        return sqlite3.SQLITE_DENY
    if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in _REFUSED_FUNCTIONS:
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


def pin_clock(connection: sqlite3.Connection, helper: sqlite3.Connection, clock: dt.datetime) -> None:
    """Make every date function of a connection take one instant for now.

    Args:
        connection: What golds run on.
        helper: A connection whose own date functions do the work; must outlive the other.
        clock: The instant, in UTC.
    """
    now = clock.isoformat(sep=" ", timespec="seconds")

    def pinned(name: str) -> Any:
        def call(*arguments: Any) -> Any:
            values = list(arguments)
            place = 1 if name == "strftime" else 0
            if len(values) <= place:
                values += [now] * (place + 1 - len(values)) if len(values) == place else []
            elif isinstance(values[place], str) and values[place].strip().lower() == "now":
                values[place] = now
            marks = ", ".join("?" * len(values))
            return helper.execute(f"SELECT {name}({marks})", values).fetchone()[0]

        return call

    for name in _DATE_FUNCTIONS:
        connection.create_function(name, -1, pinned(name), deterministic=True)
    for name, length in (
        ("current_date", slice(0, 10)),
        ("current_time", slice(11, 19)),
        ("current_timestamp", slice(0, 19)),
    ):
        connection.create_function(name, 0, lambda part=length: now[part])
