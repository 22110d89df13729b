"""A database instance on disk: tables with typed columns and rows, as one JSON file.

The format is ``{"tables": {"name": {"columns": [["id", "INT"], ...], "rows": [[...], ...]}}}``
with dates as ISO strings (a timestamp in UTC, without an offset), binary values as hex strings and, where a double
would not hold them, decimals as strings. A `Schema` is its part that needs no rows: what the gate resolves names
and types against. Names may hold any character and are compared without case, as Databricks does.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tao.errors import InputError
from tao.sql.cache import digest_of

TYPES = (
    *("INT", "DOUBLE", "STRING", "DATE", "BOOLEAN", "BIGINT", "SMALLINT", "TINYINT", "FLOAT", "DECIMAL(p,s)"),
    *("TIMESTAMP", "TIMESTAMP_NTZ", "BINARY"),  # both kinds of timestamp alike: the session is in UTC
)
_DECIMAL = re.compile(r"DECIMAL\(\s*(\d{1,2})\s*(?:,\s*(\d{1,2})\s*)?\)")
_OFFSET = re.compile(r"[+-]\d{1,2}(?::?\d{2})?\Z|[Zz]\Z")
_MAX_PRECISION = 38

Columns = tuple[tuple[str, str], ...]


@dataclass(frozen=True, eq=False)
class Schema:
    """Tables and their typed columns; compared and hashed by content.

    Attributes:
        tables: Pairs of table name and columns, each column a (name, type) pair.
    """

    tables: tuple[tuple[str, Columns], ...]
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        body = json.dumps(sorted(self.tables), ensure_ascii=False)
        object.__setattr__(self, "digest", hashlib.sha256(body.encode()).hexdigest()[:16])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Schema) and other.digest == self.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    @cached_property
    def columns(self) -> dict[str, dict[str, str]]:
        """Lower-case table name to lower-case column name to type."""
        return {table.lower(): {name.lower(): kind for name, kind in columns} for table, columns in self.tables}


@dataclass(frozen=True)
class Instance:
    """A schema and the rows of its tables.

    Attributes:
        schema: Tables and columns.
        rows: Table name to rows; cells are int, float, str, bool or None (see the module text).
    """

    schema: Schema
    rows: Mapping[str, list[list[Any]]]


def parse_instance(raw: Any, where: str) -> Instance:
    """Validate the JSON value of an instance file.

    Raises:
        InputError: Not the documented structure, an unknown type, or a row of the wrong width.
    """
    fix = 'write {"tables": {"name": {"columns": [["id", "INT"], ...], "rows": [[...], ...]}}}'
    try:
        tables: list[tuple[str, Columns]] = []
        rows: dict[str, list[list[Any]]] = {}
        for name, table in raw["tables"].items():
            columns = tuple(
                (str(column), _type(str(kind), f"{name}.{column}", where)) for column, kind in table["columns"]
            )
            stamps = [number for number, (_, kind) in enumerate(columns) if kind.startswith("TIMESTAMP")]
            for number, row in enumerate(table["rows"]):
                if len(row) != len(columns):
                    raise InputError(f"row {number} of {name} has {len(row)} cells, not {len(columns)}", where)
                for index in stamps:
                    cell = row[index]
                    if isinstance(cell, str) and len(cell) > len("yyyy-MM-dd") and _OFFSET.search(cell[10:]):
                        what = f"row {number} of {name}: the timestamp {cell!r} has a time zone"
                        raise InputError(what, where, "write the time in UTC, without an offset")
            _no_twins((column for column, _ in columns), f"column of {name}", where)
            tables.append((str(name), columns))
            rows[str(name)] = table["rows"]
        _no_twins((name for name, _ in tables), "table", where)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"not a database instance ({error!r})", where, fix) from error
    return Instance(Schema(tuple(tables)), rows)


def _type(text: str, column: str, where: str) -> str:
    """A column type as it is kept: one spelling a type, so that equal schemas have equal digests."""
    if text in TYPES and text != "DECIMAL(p,s)":
        return text
    if decimal := _DECIMAL.fullmatch(text):
        precision, scale = int(decimal[1]), int(decimal[2] or 0)
        if 1 <= precision <= _MAX_PRECISION and scale <= precision:
            return f"DECIMAL({precision},{scale})"
        raise InputError(f"column {column}: {text} has no such precision", where, "use DECIMAL(1..38, 0..precision)")
    raise InputError(f"column {column} has the unknown type {text!r}", where, f"use {', '.join(TYPES)}")


def _no_twins(names: Iterable[str], kind: str, where: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            raise InputError(f"{kind} {name!r} occurs twice (names are compared without case)", where)
        seen.add(name.lower())


def read_instance(path: Path, digest: str = "") -> Instance:
    """Read an instance file.

    Args:
        path: The file.
        digest: Its content's hash (`tao.sql.cache.digest_of`), to be held to; '' for whatever it holds.

    Raises:
        InputError: Missing, not JSON, not an instance, or not the content that was asked for.
    """
    try:
        content = path.read_bytes()
        if digest and digest_of(content) != digest:
            raise InputError("changed while it was being read", str(path), "run again once nothing writes to it")
        raw = json.loads(content.decode("utf-8"))
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", str(path)) from error
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"not JSON ({error})", str(path)) from error
    return parse_instance(raw, str(path))
