"""A small SQL task with ready data: three questions about a market."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from tiny_task import write_jsonl

MARKET = Path(__file__).parent / "fixtures" / "sql" / "market.json"
SQL_SPEC = """\
name: stalls
version: 1
description: Questions about a market
licence: Apache-2.0
answer: sql
verifier: sql
cluster: question
chance_floor: 0.1
limits: {max_prompt_tok: 160, max_new_tok: 40}
"""
GOLDS = {
    "active": "SELECT name FROM stall WHERE active",
    "early": "SELECT COUNT(*) FROM stall WHERE opened < DATE'2021-01-01'",
    "names": "SELECT DISTINCT name FROM stall ORDER BY name",
}


def write_stalls(folder: Path) -> Path:
    """Write the task folder; all three items are in the test split."""
    folder.mkdir(parents=True)
    (folder / "task.yaml").write_text(SQL_SPEC)
    shutil.copy(MARKET, folder / "market.json")

    def item(name: str) -> dict[str, Any]:
        message = {"role": "user", "content": f"Question: {name}?"}
        return {"id": name, "messages": [message], "handles": {"database": "market.json"}}

    write_jsonl(folder / "pool.jsonl", [item("pool")])
    write_jsonl(folder / "labels" / "pool.jsonl", [])
    for split in ("train", "dev", "test"):
        names = list(GOLDS) if split == "test" else []
        write_jsonl(folder / f"{split}.jsonl", [{**item(name), "cluster": name, "level": "1"} for name in names])
        golds = [{"id": n, "gold": {"sql": GOLDS[n], "database": "market.json"}, "target": GOLDS[n]} for n in names]
        write_jsonl(folder / "labels" / f"{split}.jsonl", golds)
    return folder
