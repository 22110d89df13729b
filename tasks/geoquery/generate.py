"""Make the geoquery task from the published files: port, prove, split, write.

Source: GeoQuery (Zelle and Mooney 1996; SQL by Iyer et al. 2017) as cleaned by Finegan-Dollak et al., "Improving
Text-to-SQL Evaluation Methodology", ACL 2018. The folder named by TAO_BENCH_GEOQUERY holds
`geography.json` and `geography.sqlite`; nothing of it is shipped.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from tao.errors import InputError
from tao_bench.sql.compact import compact
from tao_bench.sql.port import port, render

from .instances import second_instance, shuffled_rows, write_instance
from .prove import Proof, prove
from .source import Question, Table, read_database, read_questions

VARIABLE = "TAO_BENCH_GEOQUERY"
ASSISTANT = 100
"""Labelled questions that make the deployed assistant."""
FOLDS = 5
TABLE_ORDER = ("state", "city", "river", "border_info", "highlow", "mountain", "lake")
"""Order of tables in the prompt; others follow by name."""
HANDLES = {"database": "instances/geography.json", "database_2": "instances/geography_2.json"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A question with all that is known about it.

    Attributes:
        id: ``geo-`` and its rank in a hash order, which knows nothing of templates.
        question: As published.
        gold: Databricks SQL as ported.
        rules: Porting rules that changed the gold.
        cluster: Its SQL template; templates whose compact SQL is the same are one.
        level: 1 one table, 2 one join or subquery, 3 more.
        fold: ``train``, or ``rest`` where evaluation questions come from.
        proof: What execution showed.
        target: The text supervised tuning trains on.
    """

    id: str
    question: Question
    gold: str
    rules: tuple[str, ...]
    cluster: str
    level: str
    fold: str
    proof: Proof
    target: str


def ordered(tables: Mapping[str, Table]) -> dict[str, Table]:
    """Tables in prompt order."""
    known = [name for name in TABLE_ORDER if name in tables]
    return {name: tables[name] for name in [*known, *sorted(set(tables) - set(known))]}


def schema_lines(tables: Mapping[str, Table]) -> list[str]:
    """One line a table. A column that holds one value in the whole database is shown in its first table only."""
    values: dict[str, set[Any]] = {}
    for table in tables.values():
        for index, (column, _) in enumerate(table.columns):
            values.setdefault(column, set()).update(row[index] for row in table.rows)
    shown: set[str] = set()
    lines = []
    for name, table in tables.items():
        columns = [(c, kind) for c, kind in table.columns if len(values[c]) > 1 or c not in shown]
        shown.update(c for c, _ in columns)
        lines.append(f"{name} ({', '.join(f'{c} {kind}' for c, kind in columns)})")
    return lines


def _rank(text: str, seed: int) -> str:
    """Sort key that depends on the words of a question and on nothing else."""
    return hashlib.sha256(f"{seed}\n{text}".encode()).hexdigest()


def _level(sql: str) -> str:
    parts = sql.count("SELECT ") + sql.count(" JOIN ")
    return str(min(parts, 3))


def _clusters(questions: Sequence[Question], tables: Mapping[str, Table]) -> dict[int, tuple[str, str]]:
    """Template index to (cluster, fold); a cluster with any train template is train as a whole."""
    columns = {name: [c for c, _ in table.columns] for name, table in tables.items()}
    first: dict[str, int] = {}
    folds: dict[int, set[str]] = {}
    home: dict[int, int] = {}
    for question in questions:
        if question.template not in home:
            root, _ = port(question.pattern, "mysql", columns)
            home[question.template] = first.setdefault(compact(root, columns), question.template)
        folds.setdefault(home[question.template], set()).add(question.fold)
    return {
        template: (f"t{lead:03d}", "train" if "train" in folds[lead] else "rest") for template, lead in home.items()
    }


def read_entries(source: Path, seed: int) -> tuple[list[Entry], dict[str, Table], dict[str, Table]]:
    """Every question in hash order, the real database and the second instance.

    Raises:
        InputError: The folder lacks a file, or one is of another layout.
    """
    tables = ordered(read_database(source / "geography.sqlite"))
    questions = read_questions(source / "geography.json")
    columns = {name: [c for c, _ in table.columns] for name, table in tables.items()}
    clusters = _clusters(questions, tables)
    second = second_instance(tables, Random(f"{seed} second instance"))
    orders = [shuffled_rows(tables, Random(f"{seed} row order {index}")) for index in range(4)]

    questions = sorted(questions, key=lambda q: _rank(q.text, seed))
    ported = [port(question.sql, "mysql", columns) for question in questions]
    golds = [render(root) for root, _ in ported]
    short = [compact(root, columns) for root, _ in ported]
    proofs = prove(golds, short, tables, second, orders)
    entries = []
    for rank, (question, gold, text, proof) in enumerate(zip(questions, golds, short, proofs, strict=True), 1):
        cluster, fold = clusters[question.template]
        entries.append(
            Entry(
                id=f"geo-{rank:03d}",
                question=question,
                gold=gold,
                rules=tuple(ported[rank - 1][1]),
                cluster=cluster,
                level=_level(text),
                fold=fold,
                proof=proof,
                target=text if proof.short_equal else gold,
            )
        )
    return entries, tables, second


def halves(entries: Sequence[Entry], rng: Random) -> dict[str, str]:
    """Cluster to ``dev`` or ``test``: clusters are paired by size, a coin decides within each pair."""
    sizes = Counter(entry.cluster for entry in entries)
    names = sorted(sizes, key=lambda name: (-sizes[name], _rank(name, 0)))
    split = {}
    for start in range(0, len(names), 2):
        sides = ["dev", "test"]
        rng.shuffle(sides)
        split.update(zip(names[start : start + 2], sides, strict=False))
    return split


def cross_validation(entries: Sequence[Entry], seed: int) -> dict[str, int]:
    """Item id to fold 0..4: whole clusters, largest first, each to the fold that has fewest questions."""
    sizes = Counter(entry.cluster for entry in entries)
    filled = [0] * FOLDS
    home = {}
    for name in sorted(sizes, key=lambda name: (-sizes[name], _rank(name, seed))):
        home[name] = filled.index(min(filled))
        filled[home[name]] += sizes[name]
    return {entry.id: home[entry.cluster] for entry in entries}


def _write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def split_entries(entries: Sequence[Entry], seed: int) -> dict[str, list[Entry]]:
    """The published splits: templates of the file's train fold tune, half of the others choose, half report."""
    train = [entry for entry in entries if entry.fold == "train"]
    rest = [entry for entry in entries if entry.fold != "train"]
    side = halves(rest, Random(f"{seed} halves"))
    return {
        "pool": train[ASSISTANT:],
        "train": [entry for entry in train[:ASSISTANT] if entry.proof.runs],
        "dev": [entry for entry in rest if side[entry.cluster] == "dev" and not entry.proof.fault],
        "test": [entry for entry in rest if side[entry.cluster] == "test" and not entry.proof.fault],
    }


def split_fold(entries: Sequence[Entry], seed: int, fold: int) -> dict[str, list[Entry]]:
    """One fold of the cross-validation: its templates report, all others tune; nothing is chosen here."""
    home = cross_validation(entries, seed)
    others = [entry for entry in entries if home[entry.id] != fold]
    return {
        "pool": others[ASSISTANT:],
        "train": [entry for entry in others[:ASSISTANT] if entry.proof.runs],
        "dev": [],
        "test": [entry for entry in entries if home[entry.id] == fold and not entry.proof.fault],
    }


def generate(out: Path, seed: int, fold: int | None = None) -> None:
    """Write the task's data.

    Args:
        out: An empty folder.
        seed: Fixes order, splits and the second instance.
        fold: Write one fold of the cross-validation over templates instead of the published splits.

    Raises:
        InputError: TAO_BENCH_GEOQUERY names no folder with the two files.
    """
    named = os.environ.get(VARIABLE, "")
    if not named:
        raise InputError("is not set", VARIABLE, "name the folder that holds geography.json and geography.sqlite")
    entries, tables, second = read_entries(Path(named), seed)
    context = schema_lines(tables)
    splits = split_entries(entries, seed) if fold is None else split_fold(entries, seed, fold)
    for split, chosen in splits.items():
        rows = []
        for entry in chosen:
            content = "\n".join(["Schema:", *context, f"Question: {entry.question.text}"])
            row: dict[str, Any] = {
                "id": entry.id,
                "messages": [{"role": "user", "content": content}],
                "context": context,
                "handles": HANDLES,
            }
            rows.append(row if split == "pool" else {**row, "cluster": entry.cluster, "level": entry.level})
        _write(out / f"{split}.jsonl", rows)
        labels = [{"id": entry.id, "gold": gold_of(entry), "target": entry.target} for entry in chosen]
        _write(out / "labels" / f"{split}.jsonl", labels)

    write_instance(out / "instances" / "geography.json", tables)
    write_instance(out / "instances" / "geography_2.json", second)
    write_instance(out / "labels" / "instances" / "geography.json", tables)
    folds = cross_validation(entries, seed)
    (out / "folds.json").write_text(json.dumps(folds, indent=0) + "\n", encoding="utf-8")
    _write(out / "labels" / "certificates.jsonl", [certificate(entry, splits) for entry in entries])


def gold_of(entry: Entry) -> dict[str, str]:
    """Gold as the SQL verifier reads it."""
    return {"sql": entry.gold, "database": "labels/instances/geography.json"}


def certificate(entry: Entry, splits: Mapping[str, Sequence[Entry]]) -> dict[str, Any]:
    """What was proved of one question, where it went, and why it was left out if it was."""
    return {
        "id": entry.id,
        "split": next((name for name, chosen in splits.items() if entry in chosen), ""),
        "cluster": entry.cluster,
        "level": entry.level,
        "rules": list(entry.rules),
        "fault": entry.proof.fault,
        "target": "compact" if entry.proof.short_equal else "as ported",
    }
