"""Read the published files: questions with their SQL templates, and the database."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tao.errors import InputError


@dataclass(frozen=True, slots=True)
class Question:
    """One question of the set.

    Attributes:
        text: As people asked it, variables filled in.
        sql: Its gold in the source dialect, variables filled in.
        template: Index of its SQL template in the file.
        pattern: The template's SQL with its variables unfilled.
        fold: The template's fold in the file's query-split: ``train``, ``dev`` or ``test``.
    """

    text: str
    sql: str
    template: int
    pattern: str
    fold: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its data; columns are (name, Databricks type)."""

    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[Any, ...], ...]


def _fill(text: str, values: Mapping[str, str]) -> str:
    """Replace variables by values, longest name first: ``city_name0`` contains ``name0``."""
    for name in sorted(values, key=len, reverse=True):
        text = text.replace(name, values[name])
    return text


def read_questions(path: Path) -> list[Question]:
    """Every sentence of a text2sql-data file, in file order.

    A template's first SQL is its gold. A variable that a sentence leaves open takes the template's example value.

    Raises:
        InputError: Missing file or another layout.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        questions = []
        for index, entry in enumerate(entries):
            examples = {variable["name"]: variable["example"] for variable in entry["variables"]}
            for sentence in entry["sentences"]:
                values = {name: sentence["variables"].get(name) or example for name, example in examples.items()}
                questions.append(
                    Question(
                        text=_fill(sentence["text"], values),
                        sql=_fill(entry["sql"][0], values),
                        template=index,
                        pattern=entry["sql"][0],
                        fold=entry["query-split"],
                    )
                )
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", str(path), "see tasks/geoquery/README.md") from error
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise InputError(
            f"is not a text2sql-data file ({error!r})", str(path), "see tasks/geoquery/README.md"
        ) from error
    return questions


def _column_type(declared: str, values: Sequence[Any]) -> str:
    """Databricks type of a column: as declared, but numbers that were stored as text are numbers.

    The published SQLite file declares elevations as text where the MySQL dump it was made from says int.
    """
    present = [value for value in values if value is not None]
    if present and all(isinstance(v, int) or (isinstance(v, str) and v.lstrip("-").isdigit()) for v in present):
        return "INT" if "DOUBLE" not in declared.upper() else "DOUBLE"
    if present and all(isinstance(value, int | float) for value in present):
        return "DOUBLE"
    return "STRING"


_PYTHON = {"INT": int, "DOUBLE": float, "STRING": str}


def read_database(path: Path) -> dict[str, Table]:
    """All tables of a SQLite file, names in lower case, in order of name.

    Raises:
        InputError: Missing file or not SQLite.
    """
    if not path.is_file():
        raise InputError("is missing", str(path), "see tasks/geoquery/README.md")
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")]
        tables = {}
        for name in names:
            info = connection.execute(f'PRAGMA table_info("{name}")').fetchall()
            raw = connection.execute(f'SELECT * FROM "{name}"').fetchall()
            types = [_column_type(info[i][2], [row[i] for row in raw]) for i in range(len(info))]
            rows = [tuple(None if v is None else _PYTHON[t](v) for v, t in zip(row, types, strict=True)) for row in raw]
            columns = tuple((column[1].lower(), kind) for column, kind in zip(info, types, strict=True))
            tables[name.lower()] = Table(columns, tuple(rows))
        connection.close()
    except sqlite3.DatabaseError as error:
        raise InputError(f"cannot be read as SQLite ({error})", str(path), "see tasks/geoquery/README.md") from error
    return tables
