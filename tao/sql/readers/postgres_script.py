"""A PostgreSQL script (CREATE TABLE, INSERT, COPY ... FROM stdin) as typed tables, without a server.

sqlglot reads the statements, DuckDB evaluates the values. ``CURRENT_DATE`` and ``NOW()`` in them mean the
clock that the caller states, so that the same script gives the same rows on any day.
"""

from __future__ import annotations

import datetime as dt
import logging
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

from tao.errors import InputError
from tao.sql.readers import Database, make_instance

_KINDS = {
    "INT": "INT", "BIGINT": "BIGINT", "SMALLINT": "SMALLINT", "SERIAL": "INT", "BIGSERIAL": "BIGINT",
    "SMALLSERIAL": "SMALLINT", "FLOAT": "DOUBLE", "DOUBLE": "DOUBLE", "BOOLEAN": "BOOLEAN", "DATE": "DATE",
    "TIMESTAMP": "TIMESTAMP", "TIMESTAMPTZ": "TIMESTAMP", "TEXT": "STRING", "VARCHAR": "STRING", "CHAR": "STRING",
    "BPCHAR": "STRING", "TIME": "STRING", "UUID": "STRING", "JSON": "STRING", "JSONB": "STRING", "VARBINARY": "BINARY",
}  # fmt: skip
_STORED = {"STRING": "VARCHAR", "INT": "INTEGER", "BINARY": "BLOB"}
_COPY = re.compile(
    r"^COPY\s+(\S+)\s*\(([^)]*)\)\s*FROM\s+stdin;\n(.*?)^\\\.$", re.IGNORECASE | re.DOTALL | re.MULTILINE
)
_ESCAPES = {"\\N": None}
_CLOCK = "CurrentDate CurrentTimestamp CurrentTime Localtimestamp Localtime CurrentDatetime".split()
_PADDED = {"Month": "%B", "Day": "%A"}  # TO_CHAR fills these names up with blanks to nine characters
_UNITS = {"MIN": "MINUTE", "MINS": "MINUTE", "HR": "HOUR", "HRS": "HOUR", "SEC": "SECOND", "SECS": "SECOND"}
# strftime letters of MySQL that a script may use in TO_CHAR by mistake; PostgreSQL's own patterns go through sqlglot.
_MYSQL_PATTERN = {"%i": "%M", "%s": "%S"}


def read_postgres_script(path: Path, clock: dt.datetime) -> Database:
    """The tables that a script makes.

    Args:
        path: The script.
        clock: What CURRENT_TIMESTAMP means in it, in UTC.

    Raises:
        InputError: Cannot be read, is not UTF-8, or holds a statement or a type that this reader does not know.
    """
    import duckdb
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        script = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", str(path)) from error
    except UnicodeDecodeError as error:
        raise InputError(f"is not UTF-8 (byte {error.start})", str(path), "convert it with iconv") from error
    blocks = _COPY.findall(script)
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("SET TimeZone = 'UTC'")
    tables: dict[str, tuple[tuple[str, str], ...]] = {}
    schemas: set[str] = set()
    try:
        for statement in _statements(_COPY.sub("", script)):
            if isinstance(statement, exp.Create) and statement.kind == "TABLE":
                table = statement.this.this
                schemas.add(table.db)
                tables[table.name] = _create(connection, statement, clock, str(path))
            elif isinstance(statement, exp.Insert):
                _insert(connection, statement, clock)
        for name, columns, body in blocks:
            schemas.add(name.rpartition(".")[0].strip('"'))
            _copy(connection, name.rpartition(".")[2].strip('"'), columns, body)
        found = {name: (columns, _rows(connection, name, columns)) for name, columns in tables.items()}
    except (SqlglotError, duckdb.Error) as error:
        what = str(error).strip().split("\n", 1)[0][:200]
        raise InputError(f"cannot be evaluated ({what})", str(path), "load it into a server instead") from error
    finally:
        connection.close()
    named = schemas - {"", "public"}
    return Database(make_instance(found), schema_name=named.pop() if len(named) == 1 else "")


def _statements(script: str) -> list[Any]:
    from sqlglot import exp, parse
    from sqlglot.errors import ErrorLevel

    quiet = logging.getLogger("sqlglot")
    level = quiet.level
    quiet.setLevel(logging.ERROR)  # it warns of ALTER and others, which tables do not depend on
    try:
        parsed = parse(script, read="postgres", error_level=ErrorLevel.RAISE)
    finally:
        quiet.setLevel(level)
    return [statement for statement in parsed if isinstance(statement, exp.Create | exp.Insert)]


def _create(connection: Any, statement: Any, clock: dt.datetime, where: str) -> tuple[tuple[str, str], ...]:
    from sqlglot import exp

    table = statement.this.this.name
    columns: list[tuple[str, str]] = []
    lines = []
    for definition in statement.this.expressions:
        if not isinstance(definition, exp.ColumnDef):
            continue  # keys and checks of the table: golds do not see them
        kind = _kind(definition.args["kind"], f"{where}: {table}.{definition.name}")
        line = f"{_quote(definition.name)} {_STORED.get(kind, kind)}"
        for constraint in definition.args.get("constraints") or []:
            if isinstance(constraint.kind, exp.DefaultColumnConstraint):
                line += f" DEFAULT {_duckdb(constraint.kind.this, clock)}"
        if "SERIAL" in definition.args["kind"].sql("postgres").upper():
            connection.execute(f"CREATE SEQUENCE {_quote(f'{table}.{definition.name}')}")
            line += f" DEFAULT nextval('{_quote(f'{table}.{definition.name}')}')"
        columns.append((definition.name, kind))
        lines.append(line)
    connection.execute(f"CREATE TABLE {_quote(table)} ({', '.join(lines)})")
    return tuple(columns)


def _kind(data_type: Any, where: str) -> str:
    name = data_type.this.value if hasattr(data_type.this, "value") else str(data_type.this)
    if name == "DECIMAL":
        parts = [int(part.name) for part in data_type.expressions]
        return f"DECIMAL({parts[0]},{parts[1] if len(parts) > 1 else 0})" if parts else "DOUBLE"
    if name not in _KINDS:
        raise InputError(f"the type {name} is not known", where, f"use one of {', '.join(sorted(_KINDS))}")
    return _KINDS[name]


def _duckdb(node: Any, clock: dt.datetime) -> str:
    """DuckDB text of a PostgreSQL expression, with the clock in place of now."""
    from sqlglot import exp

    def pinned(inner: Any) -> Any:
        kind = type(inner).__name__
        if kind in _CLOCK or (isinstance(inner, exp.Anonymous) and inner.name.upper() == "NOW"):
            value = clock.date().isoformat() if kind == "CurrentDate" else clock.isoformat(sep=" ")
            return exp.cast(exp.Literal.string(value), "DATE" if kind == "CurrentDate" else "TIMESTAMP")
        if isinstance(inner, exp.Interval) and inner.text("unit").upper() in _UNITS:
            return exp.Interval(this=inner.this, unit=exp.var(_UNITS[inner.text("unit").upper()]))
        if isinstance(inner, exp.TimeToStr) and inner.args["format"].name in _PADDED:
            pattern = exp.Literal.string(_PADDED[inner.args["format"].name])
            name = exp.Anonymous(this="strftime", expressions=[inner.this.transform(pinned), pattern])
            return exp.Anonymous(this="rpad", expressions=[name, exp.Literal.number(9), exp.Literal.string(" ")])
        if isinstance(inner, exp.TimeToStr) and "%" in inner.args["format"].name:
            text = inner.args["format"].name
            for wrong, right in _MYSQL_PATTERN.items():
                text = text.replace(wrong, right)
            return exp.Anonymous(this="strftime", expressions=[inner.this.transform(pinned), exp.Literal.string(text)])
        return inner

    return str(node.copy().transform(pinned).sql("duckdb"))


def _insert(connection: Any, statement: Any, clock: dt.datetime) -> None:
    target = statement.this
    table = target.this if hasattr(target, "expressions") and target.expressions else target
    names = [column.name for column in target.expressions] if table is not target else []
    listed = f" ({', '.join(_quote(name) for name in names)})" if names else ""
    connection.execute(f"INSERT INTO {_quote(table.name)}{listed} {_duckdb(statement.expression, clock)}")


def _copy(connection: Any, table: str, columns: str, body: str) -> None:
    """Rows of a COPY block: tab-separated, with backslash escapes."""
    names = [column.strip().strip('"') for column in columns.split(",")]
    rows = [[_unescape(cell) for cell in line.split("\t")] for line in body.splitlines()]
    marks = ", ".join("?" * len(names))
    listed = ", ".join(_quote(name) for name in names)
    if rows:
        connection.executemany(f"INSERT INTO {_quote(table)} ({listed}) VALUES ({marks})", rows)


def _unescape(cell: str) -> str | None:
    if cell in _ESCAPES:
        return _ESCAPES[cell]
    letters = {"t": "\t", "n": "\n", "r": "\r", "b": "\b", "f": "\f", "v": "\v"}
    return re.sub(r"\\(.)", lambda found: letters.get(found[1], found[1]), cell)


def _rows(connection: Any, table: str, columns: tuple[tuple[str, str], ...]) -> list[list[Any]]:
    raw = connection.execute(f"SELECT * FROM {_quote(table)}").fetchall()
    return [[_cell(cell) for cell in row] for row in raw]


def _cell(cell: Any) -> Any:
    if isinstance(cell, dt.date | dt.datetime):
        return cell.isoformat()
    if isinstance(cell, Decimal):
        return str(cell)
    return cell.hex() if isinstance(cell, bytes) else cell


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
