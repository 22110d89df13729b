"""`tao-bench regrade`: published answers under the present verifier."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny_task import write_jsonl, write_task

from tao.errors import InputError
from tao.stage import digest
from tao_bench.freeze import task_fingerprint
from tao_bench.registry import Task, load_task
from tao_bench.regrade import regrade
from tao_bench.task import read_labels


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Task]:
    """One cell of the tiny task, judged by a verifier that called everything wrong."""
    monkeypatch.setenv("TAO_BENCH_CACHE", str(tmp_path / "cache"))
    task = load_task("tiny", [write_task(tmp_path / "tiny")])
    folder = tmp_path / "results" / "trial"
    frozen = {**task_fingerprint(task), "model": "m", "verifier": "before"}
    cell = {"cell": "tiny--base", "task": "tiny@1", "eval": {"split": "test"}, "frozen": frozen, "frozen_id": "old"}
    rows = [
        {
            "cell": "tiny--base", "task": "tiny@1", "item": name, "answer": label.target if number else "nothing",
            "finish_reason": "stop", "status": "wrong", "reason": "value", "score": 0.0, "extracted": "",
            "frozen": "old",
        }
        for number, (name, label) in enumerate(read_labels(task.data, "test").items())
    ]  # fmt: skip
    write_jsonl(folder / "cells.jsonl", [cell])
    write_jsonl(folder / "rows" / "tiny--base.jsonl", rows)
    write_jsonl(folder / "timing.jsonl", [{"kept": True}])
    return folder, task


def test_rows_get_the_present_verdict_and_name_its_hash(published: tuple[Path, Task]) -> None:
    folder, task = published
    changes = regrade(folder, {"tiny@1": [task]})
    rows = [json.loads(line) for line in (folder / "rows" / "tiny--base.jsonl").read_text().splitlines()]
    assert [row["status"] for row in rows] == ["unparsable"] + ["correct"] * 5
    assert sum(changes.values()) == 6
    [cell] = [json.loads(line) for line in (folder / "cells.jsonl").read_text().splitlines()]
    assert cell["frozen"]["verifier"] == task_fingerprint(task)["verifier"]
    assert {row["frozen"] for row in rows} == {cell["frozen_id"]} == {digest(cell["frozen"])[:12]}
    assert json.loads((folder / "timing.jsonl").read_text()) == {"kept": True}
    assert regrade(folder, {"tiny@1": [task]}).total() == 0


@pytest.mark.parametrize("fault", ["other splits", "other item", "no task", "no cells"])
def test_nothing_is_touched_where_it_cannot_be_judged(published: tuple[Path, Task], fault: str) -> None:
    folder, task = published
    cells, rows = folder / "cells.jsonl", folder / "rows" / "tiny--base.jsonl"
    if fault == "other splits":
        cells.write_text(cells.read_text().replace(task_fingerprint(task)["splits"], "elsewhere"))
    elif fault == "other item":
        rows.write_text(rows.read_text().replace('"tiny-20"', '"gone"'))
    elif fault == "no cells":
        cells.unlink()
    before = {path: path.read_bytes() for path in folder.rglob("*.jsonl")}
    with pytest.raises(InputError):
        regrade(folder, {} if fault == "no task" else {"tiny@1": [task]})
    assert {path: path.read_bytes() for path in folder.rglob("*.jsonl")} == before
    assert [path.name for path in folder.parent.iterdir()] == ["trial"]
