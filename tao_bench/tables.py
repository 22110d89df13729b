"""Reading rows: JSONL, CSV, Parquet, a table of a DuckDB or SQLite file, a split on the hub."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tao.errors import InputError
from tao.prompts import read_jsonl
from tao_bench.source import Table

_NAME = re.compile(r"[^\W\d]\w*")
_MARK = re.compile(r"\W")


@dataclass(frozen=True, slots=True)
class Row:
    """A row and where it stands.

    Attributes:
        where: ``file:line`` (files of text) or ``file, row n``.
        values: Column to value; text for CSV, typed otherwise.
    """

    where: str
    values: Mapping[str, Any]


def read_table(table: Table, folder: Path) -> list[Row]:
    """All rows of a table.

    Args:
        table: Where it is.
        folder: The task's folder; relative files are looked for there.

    Raises:
        InputError: It cannot be read, has no rows, or a row is malformed.
        MissingData: It is on the hub, which cannot be reached.
    """
    if table.hub:
        rows = _hub(table)
        place = f"{table.hub}, split {table.split}"
    else:
        path = folder / table.file
        place = str(path)
        if not path.is_file():
            near = sorted(one.name for one in folder.iterdir() if one.suffix == path.suffix)
            there = f"; there is {', '.join(near)}" if near else ""
            raise InputError("no such file", place, f"put it there, or mend `data` in task.yaml{there}")
        reader = _READERS.get(path.suffix.lower())
        if reader is None:
            raise InputError(f"no reader for {path.suffix!r} files", place, f"use one of {', '.join(_READERS)}")
        rows = list(reader(path, table))
    if not rows:
        raise InputError("holds no rows", place)
    return [_plain_names(row) for row in rows]


def _plain_names(row: Row) -> Row:
    """Columns as templates can name them: every mark and space is an underscore (``A b`` is ``A_b``)."""
    if all(_NAME.fullmatch(name) for name in row.values):
        return row
    values = {_MARK.sub("_", name): value for name, value in row.values.items()}
    values = {f"_{name}" if name[:1].isdigit() else name: value for name, value in values.items()}
    if len(values) < len(row.values):
        raise InputError("two columns differ in marks and spaces alone", row.where, "rename one of them")
    return Row(row.where, values)


def _jsonl(path: Path, table: Table) -> Iterator[Row]:
    for where, row in read_jsonl(path):
        if not isinstance(row, dict):
            raise InputError("a row must be a JSON object", where)
        yield Row(where, row)


def _csv(path: Path, table: Table) -> Iterator[Row]:
    dialect = "excel-tab" if path.suffix.lower() == ".tsv" else "excel"
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            reader = csv.DictReader(handle, dialect=dialect, strict=True)
            names = reader.fieldnames or []
            double = sorted({name for name in names if names.count(name) > 1 or not name.strip()})
            if double:
                raise InputError(f"two columns are called {double[0]!r}, or one has no name", f"{path}:1")
            for row in reader:
                if None in row or None in row.values():
                    raise InputError(
                        f"a row of another length than the {len(names)} columns", f"{path}:{reader.line_num}"
                    )
                yield Row(f"{path}:{reader.line_num}", row)
    except UnicodeDecodeError as error:
        raise InputError("not UTF-8", str(path), "save it as UTF-8") from error
    except csv.Error as error:
        raise InputError(f"not CSV ({error})", str(path)) from error


def _parquet(path: Path, table: Table) -> Iterator[Row]:
    from pyarrow import ArrowException
    from pyarrow.parquet import read_table as read

    try:
        rows = read(path).to_pylist()
    except (ArrowException, OSError) as error:
        raise InputError(f"not Parquet ({error})", str(path)) from error
    for number, row in enumerate(rows, 1):
        yield Row(f"{path}, row {number}", row)


def _sqlite(path: Path, table: Table) -> Iterator[Row]:
    import sqlite3

    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            cursor = connection.execute(_query(table))
            names = [column[0] for column in cursor.description]
            rows = cursor.fetchall()
    except sqlite3.Error as error:
        raise InputError(f"cannot be queried ({error})", str(path), "mend `table` or `query` in task.yaml") from error
    for number, row in enumerate(rows, 1):
        yield Row(f"{path}, row {number}", dict(zip(names, row, strict=True)))


def _duckdb(path: Path, table: Table) -> Iterator[Row]:
    import duckdb

    try:
        with closing(duckdb.connect(str(path), read_only=True)) as connection:
            cursor = connection.execute(_query(table))
            names = [column[0] for column in cursor.description]
            rows = cursor.fetchall()
    except duckdb.Error as error:
        first = str(error).splitlines()[0]
        raise InputError(f"cannot be queried ({first})", str(path), "mend `table` or `query` in task.yaml") from error
    for number, row in enumerate(rows, 1):
        yield Row(f"{path}, row {number}", dict(zip(names, row, strict=True)))


def _query(table: Table) -> str:
    return table.query or 'SELECT * FROM "{}"'.format(table.table.replace('"', '""'))


def _hub(table: Table) -> list[Row]:
    from datasets import load_dataset

    from tao_bench.registry import MissingData

    try:
        found = load_dataset(table.hub, table.config or None, split=table.split, revision=table.revision)
    except Exception as error:  # the library raises many kinds, offline and for wrong names alike
        first = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise MissingData(
            f"cannot be loaded from the hub ({first})",
            f"{table.hub}, split {table.split}",
            "connect once so that it is cached, or save the split as Parquet and name it with `file`",
        ) from error
    return [Row(f"{table.hub}, row {number}", dict(row)) for number, row in enumerate(found, 1)]


_READERS: Mapping[str, Callable[[Path, Table], Iterator[Row]]] = {
    ".jsonl": _jsonl,
    ".csv": _csv,
    ".tsv": _csv,
    ".parquet": _parquet,
    ".duckdb": _duckdb,
    ".sqlite": _sqlite,
    ".sqlite3": _sqlite,
    ".db": _sqlite,
}
