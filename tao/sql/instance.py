"""A database instance on disk: tables with typed columns and rows, as one JSON file.

The format is ``{"tables": {"name": {"columns": [["id", "INT"], ...], "rows": [[...], ...]}}}``
with dates as ISO strings. A `Schema` is its part that needs no rows: what the gate resolves names
and types against. Names are compared without case, as Databricks does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tao.errors import InputError

TYPES = ("INT", "DOUBLE", "STRING", "DATE", "BOOLEAN")

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
        rows: Table name to rows; cells are int, float, str, bool or None, dates ISO strings.
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
            columns = tuple((str(column), str(kind)) for column, kind in table["columns"])
            for column, kind in columns:
                if kind not in TYPES:
                    raise InputError(
                        f"column {name}.{column} has the unknown type {kind!r}", where, f"use {', '.join(TYPES)}"
                    )
            for number, row in enumerate(table["rows"]):
                if len(row) != len(columns):
                    raise InputError(f"row {number} of {name} has {len(row)} cells, not {len(columns)}", where)
            _no_twins((column for column, _ in columns), f"column of {name}", where)
            tables.append((str(name), columns))
            rows[str(name)] = table["rows"]
        _no_twins((name for name, _ in tables), "table", where)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"not a database instance ({error!r})", where, fix) from error
    return Instance(Schema(tuple(tables)), rows)


def _no_twins(names: Iterable[str], kind: str, where: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            raise InputError(f"{kind} {name!r} occurs twice (names are compared without case)", where)
        seen.add(name.lower())


def read_instance(path: Path) -> Instance:
    """Read an instance file.

    Raises:
        InputError: Missing, not JSON, or not an instance.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", str(path)) from error
    except ValueError as error:
        raise InputError(f"not JSON ({error})", str(path)) from error
    return parse_instance(raw, str(path))
