"""A task folder over the published FinanceBench sample, questions only (closed book), for tests of agreement.

Reads the folder of third-party data that TAO_BENCH_SHARED_DATA names; nothing of it is part of this repository.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

VARIABLE = "TAO_BENCH_SHARED_DATA"
DISPUTED = Path(__file__).resolve().parent.parent / "tasks" / "financebench" / "disputed.txt"
SPEC = """\
name: financebench
version: 1
description: The published sample, closed book
licence: CC-BY-NC-4.0
answer: number
verifier: finance
cluster: company
chance_floor: 0.05
limits: {max_prompt_tok: 1000, max_new_tok: 500}
"""


def published() -> Path | None:
    """The folder of the published files, or None where it is not to be had."""
    named = os.environ.get(VARIABLE, "")
    folder = Path(named) / "financebench"
    return folder if named and (folder / "financebench_open_source.jsonl").is_file() else None


def questions(source: Path) -> list[dict[str, Any]]:
    """The published rows."""
    text = (source / "financebench_open_source.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def write_financebench(source: Path, folder: Path) -> Path:
    """Write the task folder; every question is a test item."""
    (folder / "labels").mkdir(parents=True)
    (folder / "task.yaml").write_text(SPEC)
    shutil.copy(DISPUTED, folder / "disputed.txt")
    for split in ("train", "dev"):
        (folder / f"{split}.jsonl").touch()
        (folder / "labels" / f"{split}.jsonl").touch()
    items, labels = [], []
    pool = [{"id": "unlabelled", "messages": [{"role": "user", "content": "What is the margin?"}]}]
    for row in questions(source):
        name, question = row["financebench_id"], row["question"]
        prompt = {"id": name, "messages": [{"role": "user", "content": question}]}
        items.append({**prompt, "cluster": row["company"], "level": row["question_type"]})
        gold = {"question": question, "answer": row["answer"]}
        labels.append({"id": name, "gold": gold, "target": row["answer"]})
    for path, rows in (("pool.jsonl", pool), ("test.jsonl", items), ("labels/test.jsonl", labels)):
        (folder / path).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder
