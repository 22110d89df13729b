"""A SQLite file as typed tables, and an instance as a SQLite database.

SQLite types values, not columns, so a column gets the narrowest Databricks type that all its values have:
a column declared INTEGER that holds one text is STRING. Dates stay STRING: SQLite compares them as text,
and so does a gold that was written against it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import re
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from tao.errors import InputError
from tao.sql.engines.sqlite import open_read_only, text_of
from tao.sql.instance import Instance
from tao.sql.readers import Database, make_instance

_INT_RANGE = range(-(2**31), 2**31)
_NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*\Z")
_DECLARED = {"STRING": "TEXT", "INT": "INTEGER", "BIGINT": "INTEGER", "DOUBLE": "REAL", "BINARY": "BLOB"}


def affinity_of(declared: str) -> str:
    """TEXT, NUMERIC, INTEGER, REAL or BLOB, by the five rules of https://sqlite.org/datatype3.html, section 3.1."""
    text = declared.upper()
    if "INT" in text:
        return "INTEGER"
    if any(word in text for word in ("CHAR", "CLOB", "TEXT")):
        return "TEXT"
    if not text or "BLOB" in text:
        return "BLOB"
    return "REAL" if any(word in text for word in ("REAL", "FLOA", "DOUB")) else "NUMERIC"


def declared_type(kind: str) -> str:
    """What `build_sqlite` declares a column of a Databricks type as."""
    return _DECLARED.get(kind, kind)


def read_sqlite(path: Path) -> Database:
    """Every table and view of a SQLite file.

    Raises:
        InputError: No such file, not a database, damaged, or two tables that differ in case only.
    """
    connection = open_read_only(path)
    tables: dict[str, tuple[tuple[tuple[str, str], ...], list[list[Any]]]] = {}
    affinity: dict[str, dict[str, str]] = {}
    digits: dict[str, frozenset[str]] = {}
    replaced = 0

    def text(raw: bytes) -> str:
        nonlocal replaced
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            replaced += 1
            return text_of(raw)

    try:
        names = [
            name
            for (name,) in connection.execute(
                "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' "
                "ESCAPE '\\' ORDER BY rowid"
            )
        ]
        for name in names:
            info = connection.execute(f"PRAGMA table_info({_quote(name)})").fetchall()
            connection.text_factory = text
            raw = connection.execute(f"SELECT * FROM {_quote(name)}").fetchall()
            connection.text_factory = text_of
            columns, rows = _typed([(row[1], row[2] or "") for row in info], raw)
            if name.lower() in affinity:
                raise InputError(f"table {name!r} occurs twice (names are compared without case)", str(path))
            tables[name] = (columns, rows)
            digits[name.lower()] = frozenset(
                column.lower()
                for number, (column, kind) in enumerate(columns)
                if kind == "STRING" and all(row[number] is None or _NUMBER.match(row[number]) for row in rows)
            )
            affinity[name.lower()] = {row[1].lower(): affinity_of(row[2] or "") for row in info}
    except sqlite3.DatabaseError as error:
        raise InputError(f"is damaged ({error})", str(path), "fetch the file again") from error
    finally:
        connection.close()
    return Database(make_instance(tables), affinity, digits, replaced=replaced)


def _typed(
    declared: Sequence[tuple[str, str]], raw: Sequence[tuple[Any, ...]]
) -> tuple[tuple[tuple[str, str], ...], list[list[Any]]]:
    """Columns with types, and rows with cells of those types."""
    rows = [list(row) for row in raw]
    columns = []
    for number, (name, words) in enumerate(declared):
        kind = _kind({type(row[number]) for row in rows}, [row[number] for row in rows], words)
        columns.append((name, kind))
        for row in rows:
            cell = row[number]
            if kind == "STRING" and cell is not None and not isinstance(cell, str):
                row[number] = text_of(cell) if isinstance(cell, bytes) else _as_text(cell)
            elif kind == "BINARY" and cell is not None:
                row[number] = cell.hex()
            elif kind == "DOUBLE" and cell is not None:
                row[number] = float(cell)
    return tuple(columns), rows


def _kind(found: set[type], cells: Sequence[Any], declared: str) -> str:
    found = found - {type(None)}
    if not found:
        by_affinity = {"INTEGER": "INT", "REAL": "DOUBLE"}
        is_number = re.search(r"dec|num", declared, re.IGNORECASE) is not None
        return by_affinity.get(affinity_of(declared), "DOUBLE" if is_number else "STRING")
    if found == {int}:
        return "INT" if all(cell is None or cell in _INT_RANGE for cell in cells) else "BIGINT"
    if found <= {int, float}:
        return "DOUBLE"
    return "BINARY" if found == {bytes} else "STRING"


def _as_text(cell: int | float) -> str:
    """A number as SQLite writes it."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        return str(connection.execute("SELECT CAST(? AS TEXT)", (cell,)).fetchone()[0])


def shuffled_copy(path: Path, rng: Random) -> sqlite3.Connection:
    """The tables of a SQLite file in memory, rows in another order and without keys and indexes.

    A key would put the rows back into its order: what a gold owes to it is what this copy shows.
    """
    source = open_read_only(path)
    source.text_factory = bytes
    target = sqlite3.connect(":memory:")
    objects = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'"
    for (raw,) in source.execute(objects).fetchall():
        name = text_of(raw)
        info = source.execute(f"PRAGMA table_info({_quote(name)})").fetchall()
        rows = source.execute(
            f"SELECT {', '.join(_read(text_of(row[1])) for row in info)} FROM {_quote(name)}"
        ).fetchall()
        rng.shuffle(rows)
        body = ", ".join(f"{_quote(text_of(row[1]))} {text_of(row[2] or b'')}" for row in info)
        target.execute(f"CREATE TABLE {_quote(name)} ({body})")
        marks = ", ".join("CASE WHEN ? THEN CAST(? AS TEXT) ELSE ? END" for _ in info)
        target.executemany(f"INSERT INTO {_quote(name)} VALUES ({marks})", [_flat(row) for row in rows])
    target.commit()
    source.close()
    return target


def _read(column: str) -> str:
    """A column with whether it is text: the bytes of text need not be UTF-8."""
    return f"typeof({_quote(column)}) = 'text', {_quote(column)}"


def _flat(row: Sequence[Any]) -> list[Any]:
    return [value for number in range(0, len(row), 2) for value in (row[number], row[number + 1], row[number + 1])]


def build_sqlite(instance: Instance, rng: Random | None = None) -> sqlite3.Connection:
    """An instance as a SQLite database in memory: dates as ISO text, booleans as 0 and 1.

    Args:
        instance: Tables and rows.
        rng: Puts the rows in another order; None leaves them.
    """
    target = sqlite3.connect(":memory:")
    for table, columns in instance.schema.tables:
        body = ", ".join(f"{_quote(column)} {declared_type(kind)}" for column, kind in columns)
        target.execute(f"CREATE TABLE {_quote(table)} ({body})")
        rows = [
            [_stored(cell, kind) for cell, (_, kind) in zip(row, columns, strict=True)] for row in instance.rows[table]
        ]
        if rng is not None:
            rng.shuffle(rows)
        target.executemany(f"INSERT INTO {_quote(table)} VALUES ({', '.join('?' * len(columns))})", rows)
    target.commit()
    return target


def _stored(cell: Any, kind: str) -> Any:
    if cell is None:
        return None
    if kind.startswith("TIMESTAMP"):
        return dt.datetime.fromisoformat(cell).isoformat(sep=" ")
    if kind.startswith("DECIMAL"):
        return float(cell)
    return bytes.fromhex(cell) if kind == "BINARY" else cell


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
