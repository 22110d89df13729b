"""What the published QA sets share: reading files with errors that name the row, dealing splits, writing a task."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tao.errors import InputError
from tao_bench.task import ABOUT, LABELLED_SPLITS, Split

SPLITS: tuple[Split, ...] = ("pool", *LABELLED_SPLITS)
ALL: tuple[Split, ...] = ("pool", "test", "train", "dev")
TRAIN: tuple[Split, ...] = ("pool", "pool", "train", "pool")


@dataclass(frozen=True, slots=True)
class Question:
    """One question as a task shows it.

    Attributes:
        id: As published, so that stored answers can be graded.
        text: The user message.
        cluster: What reports group by.
        level: What reports break down by.
        gold: What the verifier judges against.
        target: The answer text that supervised fine-tuning trains on.
        home: What must not be in two splits where the set's authors made them (a table, a report page).
        context: Blocks of the message that may change places.
        handles: Name to path below the data folder.
    """

    id: str
    text: str
    cluster: str
    level: str
    gold: Mapping[str, Any]
    target: str
    home: str
    context: tuple[str, ...] = ()
    handles: Mapping[str, str] = field(default_factory=dict)


def rank(*words: str) -> str:
    """A place in an order that depends on the words alone."""
    return hashlib.sha256("\n".join(words).encode()).hexdigest()


def deal(names: Sequence[str], splits: Sequence[Split]) -> dict[str, Split]:
    """Name to split: in the order of a hash of the names, each to the next split in turn."""
    return {name: splits[place % len(splits)] for place, name in enumerate(sorted(set(names), key=rank))}


def find_files(root: Path, patterns: Sequence[str]) -> list[Path]:
    """Files of the first glob that finds any, in order of name."""
    return next((found for pattern in patterns if (found := sorted(root.glob(pattern)))), [])


def read_rows(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """Rows of a JSON list or of JSON lines, each with the place to name in an error.

    Raises:
        InputError: The file cannot be read, is not UTF-8 or JSON, or a row is no object.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", str(path)) from error
    except UnicodeDecodeError as error:
        raise InputError(f"is not UTF-8 ({error.reason} at byte {error.start})", str(path)) from error
    rows: list[tuple[str, Any]] = []
    if path.suffix == ".jsonl":
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                rows.append((f"{path}:{number}", _json(line, f"{path}:{number}")))
    else:
        body = _json(text, str(path))
        if not isinstance(body, list):
            raise InputError("is not a JSON list", str(path), "put the file there as published")
        rows = [(f"{path}, row {number}", row) for number, row in enumerate(body)]
    for where, row in rows:
        if not isinstance(row, dict):
            raise InputError("is not an object", where)
    return rows


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"is not JSON ({str(error)[:80]})", where, "put the file there as published") from error


def one_text(row: Mapping[str, Any], keys: Sequence[str], where: str) -> str:
    """The first of some fields that holds text, white space folded.

    Raises:
        InputError: None does.
    """
    for key in keys:
        value = row.get(key)
        if isinstance(value, str | int | float) and not isinstance(value, bool) and str(value).strip():
            return " ".join(str(value).split())
    raise InputError(f"names no {keys[0]}", where, f"a row needs {' or '.join(keys)}")


def table_text(table: Any, where: str) -> list[list[str]]:
    """A table as rows of texts.

    Raises:
        InputError: It is no list of lists.
    """
    if not isinstance(table, list) or not all(isinstance(row, list) for row in table):
        raise InputError("its table is no list of rows", where)
    return [[" ".join(str("" if cell is None else cell).split()) for cell in row] for row in table]


def deal_published(parts: Mapping[str, Sequence[Question]]) -> tuple[dict[Split, list[Question]], int]:
    """Splits of a set that is published in `train`, `dev` and `test`, any of which may not be at hand.

    `train` goes to pool and train, dev and test stay what they are. Where dev or test is missing, the other is dealt
    between the two; where train is missing, the first there is dealt to all four. What is dealt is dealt by cluster,
    and what shares a home with dev or test leaves pool and train.

    Returns:
        The splits, and how many questions left pool and train.
    """
    train, dev, test = (list(parts.get(name, ())) for name in ("train", "dev", "test"))
    splits: dict[Split, list[Question]] = {split: [] for split in SPLITS}

    def spread(questions: Sequence[Question], turn: Sequence[Split]) -> None:
        turns = deal([question.cluster for question in questions], turn)
        for question in questions:
            splits[turns[question.cluster]].append(question)

    spread(train, TRAIN)
    if train:
        spread(dev, ("dev",) if test else ("test", "dev"))
        spread(test, ("test",) if dev else ("test", "dev"))
    else:
        spread(dev, ("pool", "train", "dev") if test else ALL)
        spread(test, ("test",) if dev else ALL)
    judged = {question.home for question in (*splits["dev"], *splits["test"])}
    left = 0
    tuned: tuple[Split, ...] = ("pool", "train")
    for split in tuned:
        kept = [question for question in splits[split] if question.home not in judged]
        left += len(splits[split]) - len(kept)
        splits[split] = kept
    return splits, left


def write_task(
    out: Path, splits: Mapping[Split, Sequence[Question]], seed: int, about: Mapping[str, Any] | None = None
) -> None:
    """Write prompts and labels of every split, questions in an order that the seed fixes.

    Raises:
        InputError: The pool is empty: what is at hand is too little for a task.
    """
    if not splits["pool"] or not splits["test"]:
        raise InputError(
            "too few questions for a pool and a test split", "the published files", "see the task's README"
        )
    for split in SPLITS:
        prompts, labels = [], []
        for question in sorted(splits[split], key=lambda q: rank(str(seed), q.id)):
            prompt: dict[str, Any] = {
                "id": question.id,
                "messages": [{"role": "user", "content": question.text}],
                "context": list(question.context),
                "handles": dict(question.handles),
            }
            more = {} if split == "pool" else {"cluster": question.cluster, "level": question.level}
            prompts.append(prompt | more)
            labels.append({"id": question.id, "gold": dict(question.gold), "target": question.target})
        _write(out / f"{split}.jsonl", prompts)
        _write(out / "labels" / f"{split}.jsonl", labels)
    if about:
        (out / ABOUT).write_text(json.dumps(dict(about), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
