"""Readers of published databases: files and scripts in, typed tables out (see `tao.sql.instance`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tao.sql.instance import Columns, Instance, Schema


@dataclass(frozen=True)
class Database:
    """A published database as tables.

    Attributes:
        instance: Tables with Databricks types, and their rows.
        affinity: Lower-case table to lower-case column to SQLite's type affinity, where the source is SQLite.
        schema_name: The schema that the source qualifies tables with, '' for none.
        digits: Lower-case table to its STRING columns of which every value reads as a number.
        replaced: Cells whose text was not UTF-8 and was read with replacement characters.
    """

    instance: Instance
    affinity: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    digits: Mapping[str, frozenset[str]] = field(default_factory=dict)
    schema_name: str = ""
    replaced: int = 0


def make_instance(tables: Mapping[str, tuple[Columns, list[list[Any]]]]) -> Instance:
    """An instance of tables, by name."""
    schema = Schema(tuple((name, columns) for name, (columns, _) in tables.items()))
    return Instance(schema, {name: rows for name, (_, rows) in tables.items()})


def write_instance(path: Path, instance: Instance) -> None:
    """Write an instance file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    body = {
        name: {"columns": [list(column) for column in columns], "rows": instance.rows[name]}
        for name, columns in instance.schema.tables
    }
    scratch = path.with_suffix(".part")
    scratch.write_text(json.dumps({"tables": body}, ensure_ascii=False) + "\n", encoding="utf-8")
    scratch.replace(path)
