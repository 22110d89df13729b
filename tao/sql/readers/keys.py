"""Which columns of a published database refer to one another, by its own declarations."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from tao.errors import InputError
from tao.sql.engines.sqlite import open_read_only

_CREATE = re.compile(
    r"CREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?(?:\w+\.)?\"?(\w+)\"?\s*\((.*?)\)\s*;", re.IGNORECASE | re.DOTALL
)
_INLINE = re.compile(
    r"^\s*\"?(\w+)\"?\s[^,\n]*?\bREFERENCES\s+(?:\w+\.)?\"?(\w+)\"?\s*\(\s*\"?(\w+)\"?\s*\)",
    re.IGNORECASE | re.MULTILINE,
)
_APART = re.compile(
    r"\bFOREIGN\s+KEY\s*\(\s*\"?(\w+)\"?\s*\)\s*REFERENCES\s+(?:\w+\.)?\"?(\w+)\"?\s*\(\s*\"?(\w+)\"?\s*\)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """``table.column`` refers to ``to_table.to_column``; names as the database spells them."""

    table: str
    column: str
    to_table: str
    to_column: str


def read_keys(path: Path) -> tuple[ForeignKey, ...]:
    """Foreign keys of one column that a SQLite file or a PostgreSQL script declares.

    Raises:
        InputError: The file cannot be read.
    """
    return _of_script(path) if path.suffix == ".sql" else _of_sqlite(path)


def _of_sqlite(path: Path) -> tuple[ForeignKey, ...]:
    connection = open_read_only(path)
    found: list[ForeignKey] = []
    try:
        tables = [
            str(name)
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        ]
        spelled = {name.lower(): name for name in tables}
        info = "SELECT name, pk FROM pragma_table_info(?)"
        columns = {name: connection.execute(info, (name,)).fetchall() for name in tables}
        for name in tables:
            keys = connection.execute('SELECT id, "table", "from", "to" FROM pragma_foreign_key_list(?)', (name,))
            rows = keys.fetchall()
            for number, target, column, to_column in rows:
                home = spelled.get(str(target).lower())
                if home is None or sum(row[0] == number for row in rows) > 1:
                    continue  # a table that is not there, or a key of several columns
                primary = [str(cell) for cell, rank in columns[home] if rank]
                # SQLite lets a key leave out the column it refers to: then it is the primary key
                ends = to_column if to_column is not None else primary[0] if len(primary) == 1 else None
                start, end = _spelling(columns[name], column), _spelling(columns[home], ends)
                if start and end:
                    found.append(ForeignKey(name, start, home, end))
    except sqlite3.DatabaseError as error:
        raise InputError(f"is damaged ({error})", str(path), "fetch the file again") from error
    finally:
        connection.close()
    return tuple(sorted(set(found), key=lambda key: (key.table, key.column, key.to_table, key.to_column)))


def _spelling(columns: list[tuple[str, int]], name: str | None) -> str | None:
    """A column's name as its table spells it; None where it has no such column."""
    return next((str(cell) for cell, _ in columns if name is not None and str(cell).lower() == name.lower()), None)


def _of_script(path: Path) -> tuple[ForeignKey, ...]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read ({error})", str(path)) from error
    found = [
        ForeignKey(table, *key)
        for table, body in _CREATE.findall(text)
        for key in [*_INLINE.findall(body), *_APART.findall(body)]
        if key[0].upper() not in ("FOREIGN", "CONSTRAINT")
    ]
    return tuple(dict.fromkeys(found))
