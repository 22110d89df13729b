"""Stored rows at fault: a report refuses them and says where."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from synthetic_results import Plan, build

from tao.errors import InputError
from tao_bench.report import render
from tao_bench.report.examples import TaskTexts

SMALL = (("warehouse_sql@1", 90, 15),)


def no_texts(_task: str, _full: bool) -> TaskTexts:
    return TaskTexts({}, "no data in this test")


def edit(folder: Path, name: str, change) -> None:
    """Rewrite a JSONL file row by row; a change may return None to drop the row."""
    path = folder / name
    kept = [change(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    path.write_text("".join(json.dumps(row) + "\n" for row in kept if row is not None), encoding="utf-8")


def bad_cell(**change):
    return lambda folder: edit(folder, "cells.jsonl", lambda row: row | change if "--base--" in row["cell"] else row)


def bad_row(**change):
    def apply(folder):
        first = [True]

        def one(row):
            new = row | change if first[0] else row
            first[0] = False
            return new

        edit(folder, "rows/warehouse_sql--base--seed0.jsonl", one)

    return apply


def drop_file(name):
    return lambda folder: (folder / name).unlink()


def repeat(name):
    def apply(folder):
        path = folder / name
        line = path.read_text(encoding="utf-8").splitlines()[0]
        path.write_text(path.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")

    return apply


def torn(folder):
    path = folder / "rows" / "warehouse_sql--base--seed0.jsonl"
    path.write_text(path.read_text(encoding="utf-8")[:-30], encoding="utf-8")


BASE_ROWS = "rows/warehouse_sql--base--seed0.jsonl"
FAULTS = {
    "no cells": (drop_file("cells.jsonl"), "cells.jsonl: cannot be read"),
    "no ledger": (drop_file("ledger.jsonl"), "ledger.jsonl: cannot be read"),
    "cell without rows": (drop_file(BASE_ROWS), r"cell 'warehouse_sql--base--seed0' has no rows[\s\S]*fix:"),
    "cell twice": (repeat("cells.jsonl"), r"cells.jsonl:\d+: cell .* is described twice"),
    "item twice": (repeat(BASE_ROWS), r"seed0.jsonl:91: item 't-0000' occurs twice"),
    "torn row": (torn, r"seed0.jsonl:90: not JSON"),
    "two experiments": (bad_cell(experiment="other"), "two experiments"),
    "same arm and seed": (bad_cell(arm_label="SFT 50"), "same task, arm label and seed"),
    "no seed": (bad_cell(seed=None), "'seed' cannot be None"),
    "labels as a flag": (bad_cell(labels_arm=True), "'labels_arm' cannot be True"),
    "bad budget": (bad_cell(budget={"rounds": 3}), "no 'samples_per_prompt'"),
    "unknown status": (bad_row(status="fine"), "unknown status 'fine'"),
    "score against status": (bad_row(status="correct", score=0.0), "score 0.0 contradicts"),
    "row of another cell": (bad_row(cell="elsewhere"), "cell 'elsewhere' is not in cells.jsonl"),
    "other frozen": (bad_row(frozen="ffffffffffff"), "different frozen versions"),
    "other item": (bad_row(item="t-9999"), "different items"),
    "other cluster": (bad_row(cluster="schema-x"), "clusters"),
    "negative FLOPs": (
        lambda folder: edit(folder, "ledger.jsonl", lambda row: row | {"model_flop": -1}),
        "'model_flop' cannot be -1",
    ),
    "unknown stage": (
        lambda folder: edit(folder, "ledger.jsonl", lambda row: row | {"stage": "guess"}),
        "unknown stage 'guess'",
    ),
    "tuning not charged": (
        lambda folder: edit(folder, "ledger.jsonl", lambda row: row if row["stage"] == "evaluate" else None),
        "no tuning stage of cell",
    ),
    "seeds with other labels": (
        lambda folder: edit(
            folder,
            "cells.jsonl",
            lambda row: row | ({"labels_dev": 7} if row["cell"].endswith("sft-l50--seed1") else {}),
        ),
        "share a label but differ in labels_dev",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faulty_results_are_refused_with_the_place(fault, tmp_path):
    folder = build(tmp_path / "faulty", Plan(tasks=SMALL, sft=((50, 0.0),), tao=((4, 1, 0.1),)))
    spoil, message = FAULTS[fault]
    spoil(folder)
    with pytest.raises(InputError, match=message):
        render(folder, tmp_path / "out", texts=no_texts)
    assert not (tmp_path / "out").exists()
