from __future__ import annotations

import json
from pathlib import Path

import pytest

from tao.errors import InputError
from tao.stage import Stage
from tao_bench.store import (
    CellFolder,
    append_line,
    export_results,
    finished_cells,
    is_finished,
    pool_folds,
    read_rounds,
    read_timing,
    write_json,
)


def make_cell(run: Path, name: str, *, rows: int = 2, done: bool = True) -> CellFolder:
    folder = CellFolder(run / "cells" / name, "test")
    folder.evaluation.mkdir(parents=True)
    write_json(folder.config, {"cell": name, "eval": {"split": "test", "limit": None}})
    stage = Stage(folder.rows, {"answers": name})
    stage.append({"cell": name, "item": f"i{number}", "score": 1.0} for number in range(rows))
    if done:
        stage.finish()
    folder.ledger.write_text('{"stage": "train", "model_flop": 3}\n')
    append_line(folder.timing, {"stage": "tune", "wall_s": 1.5})
    return folder


def test_a_cross_validation_with_a_fold_missing_is_not_published() -> None:
    cells = [
        {"cell": f"a--fold{k}", "pooled": "a", "fold": k, "arm": "base", "eval": {"split": "test", "folds": 3}}
        for k in (0, 2)
    ]
    with pytest.raises(InputError, match="fold 1 of 3 is not finished"):
        pool_folds(cells)
    with pytest.raises(InputError, match="made with different versions"):
        pool_folds([{**cells[0], "versions": 1}, {**cells[1], "versions": 2}, {**cells[0], "fold": 1, "versions": 1}])
    whole = pool_folds([*cells, {**cells[0], "cell": "a--fold1", "fold": 1}])
    assert whole == [{"cell": "a", "arm": "base", "eval": {"split": "test", "folds": 3}, "folds": 3}]


def test_only_finished_cells_are_published(tmp_path: Path) -> None:
    make_cell(tmp_path / "run", "b")
    make_cell(tmp_path / "run", "a")
    make_cell(tmp_path / "run", "c", done=False)
    assert [cell["cell"] for cell, _ in finished_cells(tmp_path / "run")] == ["a", "b"]
    target = tmp_path / "results" / "run"
    assert export_results(tmp_path / "run", target) == 2
    assert sorted(p.relative_to(target).as_posix() for p in target.rglob("*.jsonl")) == [
        "cells.jsonl", "ledger.jsonl", "rounds.jsonl", "rows/a.jsonl", "rows/b.jsonl", "timing.jsonl",
    ]  # fmt: skip
    ledger = [json.loads(line) for line in (target / "ledger.jsonl").read_text().splitlines()]
    assert ledger == [{"cell": name, "stage": "train", "model_flop": 3} for name in ("a", "b")]


def test_a_round_refused_for_thin_evidence_is_published_with_its_reason(tmp_path: Path) -> None:
    folder = make_cell(tmp_path / "run", "a")
    thin = {"name": "trusted", "level": "refuse", "message": "only 1.0% of the prompts have a trusted vote"}
    (folder.tune / "round-0").mkdir(parents=True)
    write_json(folder.tune / "round-0" / "round.json", {"stats": {}, "alarms": [], "training": {}, "evidence": [thin]})
    write_json(folder.tune / "result.json", {"stopped": "thin_evidence"})
    (row,) = read_rounds(folder)
    assert (row["stopped"], row["evidence"]) == ("thin_evidence", [thin])


def test_publishing_again_replaces_what_was_there(tmp_path: Path) -> None:
    for name in ("a", "b"):
        make_cell(tmp_path / "run", name)
    target = tmp_path / "results" / "run"
    export_results(tmp_path / "run", target)
    export_results(tmp_path / "run", target, only=["b"])
    assert [path.name for path in (target / "rows").iterdir()] == ["b.jsonl"]
    assert [path.name for path in target.parent.iterdir()] == ["run"]


def test_a_folder_that_holds_something_else_is_never_replaced(tmp_path: Path) -> None:
    make_cell(tmp_path / "run", "a")
    target = tmp_path / "thesis"
    target.mkdir()
    (target / "chapter.txt").write_text("years of work")
    with pytest.raises(InputError, match="holds files that are no results"):
        export_results(tmp_path / "run", target)
    assert (target / "chapter.txt").read_text() == "years of work"


def test_nothing_finished_is_said(tmp_path: Path) -> None:
    make_cell(tmp_path / "run", "a", done=False)
    with pytest.raises(InputError, match="no finished cell"):
        export_results(tmp_path / "run", tmp_path / "results")


def test_a_file_too_large_to_commit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_cell(tmp_path / "run", "a", rows=50)
    monkeypatch.setattr("tao_bench.store.MAX_EXPORT_BYTES", 1000)
    with pytest.raises(InputError, match=r"bytes is too large to commit"):
        export_results(tmp_path / "run", tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_finished_rows_that_were_altered_are_found(tmp_path: Path) -> None:
    folder = make_cell(tmp_path / "run", "a")
    assert is_finished(folder.rows)
    folder.rows.write_text(folder.rows.read_text().replace("1.0", "0.0"))
    with pytest.raises(InputError, match="altered"):
        is_finished(folder.rows)


def test_a_line_torn_by_a_kill_costs_itself_only(tmp_path: Path) -> None:
    path = tmp_path / "timing.jsonl"
    append_line(path, {"stage": "tune"})
    with path.open("a") as handle:
        handle.write('{"stage": "ans')
    append_line(path, {"stage": "verify"})
    assert [row["stage"] for row in read_timing(path)] == ["tune", "verify"]
