"""A published text-to-SQL set as a task: prompts, splits without a shared database, ported golds, two instances.

What a prompt holds is made from questions and databases alone. Golds are read for labels: they are ported and proved
(`tao_bench.sql.certify`), and what cannot be proved is left out of the labelled splits by name, never out of the pool.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from tao.errors import InputError
from tao.sql.readers import Database, write_instance
from tao.sql.readers.keys import ForeignKey, read_keys
from tao.sql.schema_text import key_lines, schema_lines
from tao.sql.second_instance import second_instance
from tao_bench.sql.certify import UNCERTIFIED, Certificate
from tao_bench.sql.port_set import Options, port_set, read_database
from tao_bench.sql.published import (
    DATABASE_KEYS,
    ID_KEYS,
    SQL_KEYS,
    Drop,
    PublishedGold,
    PublishedSet,
    expand_gold,
    find_databases,
    read_records,
)
from tao_bench.task import LABELLED_SPLITS, Split

CLOCK = dt.datetime(2025, 6, 18, 12)
"""What now means in scripts that fill a database, and while golds are proved."""
UNTESTABLE = ("fails_on_source", "empty", "unstable", "limit_cuts_tie", "clock_dependent")
"""Flags of a gold that judges nobody: nothing to find, no defined answer, a right answer for every row that ties
(faulty queries pass too), or an answer that changes from day to day."""
HINT_KEYS = ("evidence", "instructions")
SPLITS: tuple[Split, ...] = ("pool", *LABELLED_SPLITS)


@dataclass(frozen=True, slots=True)
class Part:
    """Questions whose databases are dealt to the same splits.

    Attributes:
        questions: Prefix of the ids, and globs of its files below the data folder; the first that finds any counts.
        databases: Globs of the database files, likewise.
        deal: Splits that the databases go to in turn, in the order of a hash of their names.
    """

    questions: Mapping[str, tuple[str, ...]]
    databases: tuple[str, ...]
    deal: tuple[Split, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """A question as published. `golds` is for labels alone; `level` is '' where the set names none."""

    id: str
    database: str
    text: str
    hint: str
    level: str
    golds: tuple[PublishedGold, ...]
    fault: str


@dataclass(frozen=True, slots=True)
class _Home:
    """A database with what is made of it."""

    path: Path
    database: Database
    keys: tuple[ForeignKey, ...]
    split: Split


def generate_published(out: Path, seed: int, variable: str, parts: Sequence[Part]) -> None:
    """Write the task's data.

    Args:
        out: An empty folder.
        seed: Fixes the order of questions and the second instances; the splits depend on databases' names alone.
        variable: Environment variable that names the folder of the published files.
        parts: What is read, and which splits it goes to.

    Raises:
        InputError: The variable is not set, a file is missing or of another layout.
    """
    root = Path(os.environ.get(variable) or ".")
    if not os.environ.get(variable):
        raise InputError("is not set", variable, "name the folder that holds the published files")
    questions: list[Question] = []
    homes: dict[str, _Home] = {}
    dropped: list[dict[str, Any]] = []
    for part in parts:
        found, here = _read_part(root, part)
        twice = sorted(set(here) & set(homes))
        if twice:
            raise InputError(f"database {twice[0]!r} has questions in two parts of the set", str(root))
        homes |= here
        for question in found:
            if question.database in here:
                questions.append(question)
            else:
                row = {"id": question.id, "split": "", "database": question.database, "fault": "no database"}
                dropped.append(row)
    if not questions:
        raise InputError("no question has a database here", str(root), f"see the README of the task on {variable}")
    questions.sort(key=lambda question: _rank(str(seed), question.id))
    proofs = _prove(questions, homes)
    rows = [_certificate(question, proofs, homes[question.database].split) for question in questions]
    _write_rows(out / "labels" / "certificates.jsonl", [*rows, *dropped])
    for split in SPLITS:
        mine = [(q, r) for q, r in zip(questions, rows, strict=True) if r["split"] == split]
        _write_split(out, split, mine, homes)
    for name, home in homes.items():
        other = second_instance(home.database.instance, home.keys, Random(f"{seed} second instance {name}"))
        write_instance(out / "instances" / f"{name}.json", home.database.instance)
        write_instance(out / "instances" / f"{name}_2.json", other)
        write_instance(out / "labels" / "instances" / f"{name}.json", home.database.instance)


def _rank(*words: str) -> str:
    return hashlib.sha256("\n".join(words).encode()).hexdigest()


def deal(names: Sequence[str], splits: Sequence[Split]) -> dict[str, Split]:
    """Database to split: in the order of a hash of the names, each to the next split in turn."""
    ordered = sorted(names, key=_rank)
    return {name: splits[place % len(splits)] for place, name in enumerate(ordered)}


def _read_part(root: Path, part: Part) -> tuple[list[Question], dict[str, _Home]]:
    """Questions of a part, and the databases that they ask about and that are here."""
    questions = []
    for prefix, patterns in part.questions.items():
        paths = _files(root, patterns)
        for path in paths:
            questions += read_questions(path, prefix if len(paths) == 1 else f"{prefix}-{path.stem}")
    files: Mapping[str, Path] = {}
    for pattern in part.databases:
        files = files or find_databases(root, pattern)
    asked = sorted({question.database for question in questions} & set(files))
    splits = deal(asked, part.deal)
    return questions, {
        name: _Home(files[name], read_database(files[name], CLOCK), read_keys(files[name]), splits[name])
        for name in asked
    }


def _files(root: Path, patterns: Sequence[str]) -> list[Path]:
    for pattern in patterns:
        found = sorted(root.glob(pattern))
        if found:
            return found
    raise InputError(f"holds no {' or '.join(patterns)}", str(root), "put the set there, as published")


def read_questions(path: Path, prefix: str) -> list[Question]:
    """Questions of a JSON, JSON lines or CSV file. One without a gold that can be read keeps its place, with its fault.

    Raises:
        InputError: The file cannot be read, or a row names no database or no question.
    """
    found = []
    for number, row in enumerate(read_records(path)):
        where = f"{path}, row {number}"
        if not isinstance(row, dict):
            raise InputError("is not an object", where)
        name = f"{prefix}-{next((row[key] for key in ID_KEYS if key in row), number)}"
        database = next((str(row[key]) for key in DATABASE_KEYS if row.get(key)), "")
        text = " ".join(str(row.get("question") or "").split())
        if not database or not text:
            raise InputError(f"names no {'question' if database else 'database'}", where)
        hint = next((" ".join(str(row[key]).split()) for key in HINT_KEYS if row.get(key)), "")
        sql = next((row[key] for key in SQL_KEYS if isinstance(row.get(key), str)), "")
        drops: list[Drop] = []
        golds = expand_gold(PublishedGold(name, database, text, sql), drops)
        fault = drops[0].reason if drops else "" if golds else "no_gold"
        found.append(Question(name, database, text, hint, str(row.get("difficulty") or ""), tuple(golds), fault))
    return found


def _prove(questions: Sequence[Question], homes: Mapping[str, _Home]) -> dict[str, Certificate]:
    """Certificates of all golds, by the gold's id; without Spark, against SQLite."""
    golds = tuple(gold for question in questions for gold in question.golds)
    published = PublishedSet("task", "sqlite", golds, {name: home.path for name, home in homes.items()})
    with tempfile.TemporaryDirectory(prefix="tao-bench-port-") as scratch:
        found = port_set(published, Path(scratch), Options(CLOCK), lambda name, done, total: None)
    return {certificate.id: certificate for certificate in found}


def _certificate(question: Question, proofs: Mapping[str, Certificate], split: Split) -> dict[str, Any]:
    """What is known of one question: where it went, or why it was left out, and its golds in the Databricks dialect."""
    found = [proofs[gold.id] for gold in question.golds]
    unproved = next((proof.reason or proof.status for proof in found if proof.status == UNCERTIFIED), "")
    flags = sorted({flag for proof in found for flag in proof.flags})
    fault = question.fault or unproved or next((flag for flag in UNTESTABLE if flag in flags), "")
    return {
        "id": question.id,
        "split": "" if fault and split != "pool" else split,
        "database": question.database,
        "level": question.level or (level_of(found[0].sql) if found and found[0].sql else ""),
        "fault": fault,
        "flags": flags,
        "rules": sorted({rule for proof in found for rule in proof.rules}),
        "golds": [] if question.fault or unproved else list(dict.fromkeys(proof.sql for proof in found)),
    }


def level_of(sql: str) -> str:
    """Difficulty of a Databricks query: 1 one table, 2 one join, subquery or set operation, 3 more than one of them."""
    import sqlglot
    from sqlglot import exp

    root = sqlglot.parse_one(sql, read="databricks")
    return str(min(3, len(list(root.find_all(exp.Select))) + len(list(root.find_all(exp.Join)))))


def _write_split(
    out: Path, split: Split, chosen: Sequence[tuple[Question, dict[str, Any]]], homes: Mapping[str, _Home]
) -> None:
    shown = {
        name: schema_lines(home.database.instance, home.keys) for name, home in homes.items() if home.split == split
    }
    prompts, labels = [], []
    for question, row in chosen:
        name = question.database
        context = shown[name]
        hint = [f"Hint: {question.hint}"] if question.hint else []
        lines = ["Schema:", *context, *key_lines(homes[name].keys), *hint, f"Question: {question.text}"]
        prompt: dict[str, Any] = {
            "id": question.id,
            "messages": [{"role": "user", "content": "\n".join(lines)}],
            "context": context,
            "handles": {"database": f"instances/{name}.json", "database_2": f"instances/{name}_2.json"},
        }
        more = {} if split == "pool" else {"cluster": name, "level": row["level"]}
        prompts.append(prompt | more)
        if row["golds"]:
            golds = row["golds"][0] if len(row["golds"]) == 1 else row["golds"]
            gold = {"sql": golds, "database": f"labels/instances/{name}.json"}
            labels.append({"id": question.id, "gold": gold, "target": row["golds"][0]})
    _write_rows(out / f"{split}.jsonl", prompts)
    _write_rows(out / "labels" / f"{split}.jsonl", labels)


def _write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def report_splits(data: Path) -> str:
    """Questions and databases of each split, and what was left out of it, as a Markdown table."""
    rows = [json.loads(line) for line in (data / "labels" / "certificates.jsonl").read_text().splitlines()]
    lines = ["| split | questions | databases |", "|---|---|---|"]
    for split in SPLITS:
        counts = Counter(row["database"] for row in rows if row["split"] == split)
        names = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
        lines.append(f"| `{split}` | {counts.total()} | {len(counts)}: {names} |")
    faults = Counter(row["fault"].split(":")[0] for row in rows if not row["split"])
    lines += [
        "",
        f"Left out of the labelled splits: {', '.join(f'{n} {f}' for f, n in faults.most_common()) or 'none'}.",
    ]
    unlabelled = sum(row["split"] == "pool" and not row["golds"] for row in rows)
    return "\n".join([*lines, f"Prompts of the pool without a label: {unlabelled}."]) + "\n"


def main(names: Sequence[str]) -> int:
    """Print the splits of tasks: ``python -m tao_bench.sql.published_task spider bird``."""
    from tao_bench.registry import load_task

    for name in names:
        print(f"# {name}\n\n{report_splits(load_task(name).data)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
