"""Published text-to-SQL sets as golds and databases: which file holds what, and what is missing from them.

Nothing of them is shipped. A set is a folder as its authors publish it; what cannot be used is dropped by
name (`Drop`), never silently.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tao.errors import InputError
from tao_bench.sql.gold_options import gold_alternatives

DATABASE_KEYS = ("db_id", "db_name", "database")
SQL_KEYS = ("SQL", "query", "sql", "gold")
ID_KEYS = ("question_id", "train_index", "id")


@dataclass(frozen=True, slots=True)
class PublishedGold:
    """One gold query as published.

    Attributes:
        id: Unique within its set; ``.2`` and so on where a question has several golds.
        database: Name of its database.
        question: As published.
        sql: One query in the source dialect.
    """

    id: str
    database: str
    question: str
    sql: str


@dataclass(frozen=True, slots=True)
class Drop:
    """What was left out, and why: an id of a question or the name of a file."""

    id: str
    reason: str


@dataclass(frozen=True)
class PublishedSet:
    """A set as it is read.

    Attributes:
        name: What `tao-bench port` calls it.
        read: sqlglot's name of the golds' dialect.
        golds: Golds in file order.
        databases: Database to its file, a SQLite file or a PostgreSQL script.
        dropped: Questions and files that cannot be used.
    """

    name: str
    read: str
    golds: tuple[PublishedGold, ...]
    databases: Mapping[str, Path]
    dropped: tuple[Drop, ...] = ()


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a published set keeps its parts, relative to the folder that holds the sets.

    Attributes:
        read: Dialect of its golds.
        questions: Question files.
        databases: Globs of database files; a database is called like its file, without the suffix.
        format: ``rows`` (JSON, JSON lines or CSV with a row a question) or ``templates`` (text2sql-data).
        about: What it is, for the help text.
    """

    read: str
    questions: tuple[str, ...]
    databases: str
    format: str = "rows"
    about: str = ""


_DEFOG = "defog/databases/*/*.sql"
LAYOUTS: dict[str, Layout] = {
    "spider_dev": Layout("sqlite", ("spider_dev/dev*.json",), "spider_dev/database/*/*.sqlite", about="Spider dev"),
    "spider_realistic": Layout(
        "sqlite", ("spider_dev/spider_realistic*.json",), "spider_dev/database/*/*.sqlite", about="Spider-Realistic"
    ),
    "spider_train": Layout(
        "sqlite", ("spider_train/train*.json*",), "spider_train/database/*/*.sqlite", about="Spider train"
    ),
    "bird_dev": Layout("sqlite", ("bird_dev/questions*.json",), "bird_dev/databases/*/*.sqlite", about="BIRD dev"),
    "bird_mini_dev": Layout(
        "sqlite", ("bird_mini_dev/bird_mini_dev_sqlite.json",), "bird_dev/databases/*/*.sqlite", about="BIRD Mini-Dev"
    ),
    "kaggle_dbqa": Layout(
        "sqlite", ("kaggle_dbqa/[A-Z]*.json",), "kaggle_dbqa/databases/*/*.sqlite", about="KaggleDBQA"
    ),
    "defog_postgres": Layout(
        "postgres",
        ("defog/questions/questions_gen_postgres.csv", "defog/questions/instruct_basic_postgres.csv"),
        _DEFOG,
        about="Defog SQL-Eval, PostgreSQL golds",
    ),
    "defog_sqlite": Layout(
        "sqlite",
        ("defog/questions/questions_gen_sqlite.csv", "defog/questions/instruct_basic_sqlite.csv"),
        _DEFOG,
        about="Defog SQL-Eval, SQLite golds",
    ),
    "geoquery": Layout(
        "sqlite", ("text2sql_classic/geography/geography.json",), "text2sql_classic/geography/*.sqlite", "templates",
        "GeoQuery (text2sql-data)",
    ),
    "restaurants": Layout(
        "sqlite", ("text2sql_classic/restaurants/restaurants.json",), "text2sql_classic/restaurants/*.sqlite",
        "templates", "Restaurants (text2sql-data)",
    ),
    **{
        name: Layout(
            "sqlite", (f"text2sql_classic/{name}/{name}.json",), f"defog/databases/{name}/*.sql", "templates",
            f"{name.capitalize()} (text2sql-data), on Defog's small database",
        )
        for name in ("academic", "scholar", "advising")
    },
}  # fmt: skip


def read_set(name: str, root: Path) -> PublishedSet:
    """Read a set that is known by name.

    Args:
        name: A key of `LAYOUTS`.
        root: The folder that holds the sets' folders.

    Raises:
        InputError: Its question files or every database is missing, a file has another layout, or two files
            claim one database.
    """
    layout = LAYOUTS[name]
    files = [path for pattern in layout.questions for path in sorted(root.glob(pattern))]
    if not files:
        raise InputError(f"holds no {layout.questions[0]}", str(root), f"put {layout.about} there, as published")
    return assemble(name, layout.read, files, find_databases(root, layout.databases), layout.format)


def find_databases(root: Path, pattern: str) -> dict[str, Path]:
    """Database name to file.

    Raises:
        InputError: Two files of one name.
    """
    found: dict[str, Path] = {}
    for path in sorted(root.glob(pattern)):
        if path.stem in found:
            raise InputError(f"two databases are called {path.stem!r}: {found[path.stem]} and {path}", str(root))
        found[path.stem] = path
    return found


def assemble(
    name: str, read: str, files: Iterable[Path], databases: Mapping[str, Path], form: str = "rows"
) -> PublishedSet:
    """A set of question files and databases.

    Raises:
        InputError: A file cannot be read, or no gold of it has a database.
    """
    golds: list[PublishedGold] = []
    dropped: list[Drop] = []
    seen: set[str] = set()
    missing: dict[str, int] = {}
    for path in files:
        rows = _READERS[form](path, dropped)
        for row in rows:
            item = row if row.id not in seen else PublishedGold(f"{path.stem}-{row.id}", *_rest(row))
            seen.add(item.id)
            if item.database not in databases:
                missing[item.database] = missing.get(item.database, 0) + 1
                dropped.append(Drop(item.id, f"missing_database {item.database}"))
                continue
            golds += expand_gold(item, dropped)
    if not golds:
        names = ", ".join(sorted(missing)) or "none is named"
        raise InputError(f"{name}: no question has a database here (wanted: {names})", "", "fetch the databases too")
    return PublishedSet(name, read, tuple(golds), databases, tuple(dropped))


def _rest(gold: PublishedGold) -> tuple[str, str, str]:
    return gold.database, gold.question, gold.sql


def expand_gold(gold: PublishedGold, dropped: list[Drop]) -> list[PublishedGold]:
    """Every query that a gold stands for: parts between semicolons, and subsets of columns in braces."""
    queries: list[str] = []
    for part in split_statements(gold.sql):
        options = gold_alternatives(part)
        if options is None:
            dropped.append(Drop(gold.id, "braces_do_not_match"))
            return []
        queries += options
    if len(queries) == 1:
        return [PublishedGold(gold.id, gold.database, gold.question, queries[0])]
    return [
        PublishedGold(f"{gold.id}.{number}", gold.database, gold.question, sql) for number, sql in enumerate(queries, 1)
    ]


def split_statements(sql: str) -> list[str]:
    """The statements of a text, divided at semicolons outside quotes."""
    parts = [""]
    for token in re.findall(r"'(?:[^']|'')*'|\"[^\"]*\"|`[^`]*`|.", sql, re.DOTALL):
        if token == ";":
            parts.append("")
        else:
            parts[-1] += token
    return [part.strip() for part in parts if part.strip()]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", str(path)) from error
    except UnicodeDecodeError as error:
        raise InputError(f"is not UTF-8 (byte {error.start})", str(path), "convert it with iconv") from error


def read_records(path: Path) -> list[Any]:
    """Rows of a JSON, JSON lines or CSV file."""
    body = _text(path)
    try:
        if path.suffix == ".csv":
            return list(csv.DictReader(io.StringIO(body)))
        if path.suffix == ".jsonl":
            return [json.loads(line) for line in body.splitlines() if line.strip()]
        records = json.loads(body)
    except (ValueError, csv.Error) as error:
        raise InputError(f"is not {path.suffix[1:].upper()} ({error})", str(path)) from error
    if not isinstance(records, list):
        raise InputError("is not a list of questions", str(path))
    return records


def _from_rows(path: Path, dropped: list[Drop]) -> list[PublishedGold]:
    found = []
    for number, row in enumerate(read_records(path)):
        if not isinstance(row, dict):
            raise InputError("is not an object", f"{path}, row {number}")
        name = next((str(row[key]) for key in ID_KEYS if key in row), str(number))
        database = next((row[key] for key in DATABASE_KEYS if row.get(key)), None)
        sql = next((row[key] for key in SQL_KEYS if isinstance(row.get(key), str) and row[key].strip()), None)
        if database is None:
            raise InputError(
                "names no database", f"{path}, row {number}", f"one of {', '.join(DATABASE_KEYS)} is needed"
            )
        if sql is None:
            dropped.append(Drop(name, "no_gold"))
            continue
        found.append(PublishedGold(name, str(database), str(row.get("question", "")), sql))
    return found


def _from_templates(path: Path, dropped: list[Drop]) -> list[PublishedGold]:
    """Distinct queries of a text2sql-data file, variables filled in; the longest variable names first."""
    found: dict[str, PublishedGold] = {}
    try:
        for index, entry in enumerate(read_records(path)):
            if not entry["sql"]:
                dropped.append(Drop(str(index), "no_gold"))
                continue
            examples = {item["name"]: item["example"] for item in entry["variables"]}
            for sentence in entry["sentences"]:
                values = {name: sentence["variables"].get(name) or example for name, example in examples.items()}
                sql, question = entry["sql"][0], sentence["text"]
                for name in sorted(values, key=len, reverse=True):
                    sql, question = sql.replace(name, values[name]), question.replace(name, values[name])
                found.setdefault(sql, PublishedGold(f"{index}-{len(found)}", path.stem, question, sql))
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"is not a text2sql-data file ({error!r})", str(path)) from error
    return list(found.values())


_READERS: dict[str, Callable[[Path, list[Drop]], list[PublishedGold]]] = {
    "rows": _from_rows,
    "templates": _from_templates,
}
