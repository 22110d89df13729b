"""A tiny number task with ready data, for tests that need a whole task folder."""

import json
from pathlib import Path

SPEC = """\
name: tiny
version: 1
description: Questions about one small statement a company
licence: Apache-2.0
answer: number
verifier: number
cluster: company
chance_floor: 0.35
limits: {max_prompt_tok: 160, max_new_tok: 40}
"""
LINES = ("Revenue", "Cost of revenue", "Net income")
SIZES = {"pool": 6, "train": 4, "dev": 4, "test": 6}


def write_jsonl(path: Path, rows: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_task(folder: Path) -> Path:
    """Write the task folder; every item asks for the change of one line of its own company."""
    folder.mkdir(parents=True)
    (folder / "task.yaml").write_text(SPEC)
    number = 0
    for split, size in SIZES.items():
        items, labels = [], []
        for _ in range(size):
            number += 1
            values = [[1000 * number + 37 * row, 900 * number + 11 * row * row] for row in range(len(LINES))]
            line = LINES[number % len(LINES)]
            new, old = values[number % len(LINES)]
            name = f"tiny-{number}"
            document = {"columns": ["2023", "2022"], "rows": [[n, *v] for n, v in zip(LINES, values, strict=True)]}
            path = folder / "documents" / f"{name}.json"
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(document))
            context = [f"{n} | {a:,} | {b:,}" for n, (a, b) in zip(LINES, values, strict=True)]
            content = "\n".join(
                [
                    f"Report: Company {number}, in thousands",
                    "Line | 2023 | 2022",
                    *context,
                    f"Question: what was the change in {line.lower()} from 2022 to 2023, in thousands?",
                ]
            )
            item = {
                "id": name,
                "messages": [{"role": "user", "content": content}],
                "context": context,
                "handles": {"document": f"documents/{name}.json"},
            }
            items.append(item if split == "pool" else {**item, "cluster": f"company {number}", "level": "1"})
            gold = {"value": new - old, "tolerance": 1, "unit": "amount", "scale": 1000}
            labels.append({"id": name, "gold": gold, "target": f"[{line} 2023] - [{line} 2022]"})
        write_jsonl(folder / f"{split}.jsonl", items)
        write_jsonl(folder / "labels" / f"{split}.jsonl", labels)
    document = {"columns": ["2023", "2022"], "rows": [["Revenue", 500, 400]]}
    gold = {"value": 100, "tolerance": 1, "unit": "amount", "scale": 1000}
    write_jsonl(
        folder / "fixtures.jsonl",
        [
            {"name": "mill", "document": document},
            {"data": "mill", "gold": gold, "candidate": "100", "status": "correct", "why": "the plain number"},
            {
                "document": document,
                "gold": gold,
                "candidate": "[Revenue 2022] - [Revenue 2023]",
                "status": "wrong",
                "reason": "sign",
                "why": "turned round",
            },
            {
                "data": "mill",
                "gold": gold,
                "candidate": "100",
                "finish_reason": "length",
                "status": "truncated",
                "why": "cut at the limit",
            },
        ],
    )
    return folder
