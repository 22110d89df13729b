from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import synthetic_results

from tao_bench.report import render, summary_text
from tao_bench.report.analysis import analyse
from tao_bench.report.examples import TaskTexts
from tao_bench.report.load import load
from tao_bench.report.matrix import fallen, matrix
from tao_bench.stats import difference

TASKS = ("warehouse_sql@1", "sec_filings@1", "geoquery@1")
PLAN = synthetic_results.Plan(
    tasks=(("warehouse_sql@1", 400, 80), ("sec_filings@1", 300, 60), ("geoquery@1", 110, 34)),
    tao=((4, 1, 0.12), (8, 2, 0.3)),
    sft=((200, 0.2),),
    headline_seeds=3,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """n=8 is one model for two tasks, n=4 a model for each; nothing is tuned on geoquery."""
    made = synthetic_results.build(tmp_path_factory.mktemp("results") / "trial", PLAN)
    cells = [json.loads(line) for line in (made / "cells.jsonl").read_text().splitlines()]
    kept = []
    for cell in cells:
        if cell["arm_options"].get("samples") == 8:
            cell |= {"tune_on": {TASKS[0]: 1.0, TASKS[1]: 1.0}, "tuned": "x", "margin": 0.02}
        elif cell["task"] == TASKS[2] and cell["arm"] in ("tao", "sft"):
            continue
        kept.append(cell)
    names = {cell["cell"] for cell in kept}
    (made / "cells.jsonl").write_text("".join(json.dumps(cell) + "\n" for cell in kept))
    for name in ("ledger", "timing"):
        path = made / f"{name}.jsonl"
        lines = [line for line in path.read_text().splitlines() if json.loads(line)["cell"] in names]
        path.write_text("".join(f"{line}\n" for line in lines))
    for path in (made / "rows").glob("*.jsonl"):
        if path.stem not in names:
            path.unlink()
    return made


def test_the_matrix_says_what_was_tuned_on_what(folder: Path) -> None:
    reports = analyse(load(folder))
    found = matrix(reports)
    assert found is not None
    assert (found.tasks, found.tuned) == (TASKS, TASKS[:2])
    joint = next(row for row in found.rows if row.label == "TAO n=8 ×2")
    assert [joint.cells[task].tuned for task in TASKS] == [True, True, False]
    gains = [joint.cells[task].arm.vs_base for task in TASKS]
    assert joint.mean is not None and gains[0] is not None and gains[1] is not None
    assert joint.mean.value == pytest.approx((gains[0].value + gains[1].value) / 2)
    assert joint.untouched is not None and gains[2] is not None
    assert joint.untouched.value == pytest.approx(gains[2].value)
    (against,) = found.against
    assert set(against.rivals.values()) == {"TAO n=4 ×1"}
    assert against.flops[TASKS[0]] == pytest.approx(4, rel=0.05)
    alone = next(row for row in found.rows if row.label == "TAO n=4 ×1").cells[TASKS[0]].arm
    assert against.gains[TASKS[0]] == difference(joint.cells[TASKS[0]].arm.scores, alone.scores)


def test_what_was_tuned_elsewhere_makes_no_claim_about_a_task(folder: Path) -> None:
    reports = {report.task: report for report in analyse(load(folder))}
    assert reports[TASKS[2]].headline is None
    assert reports[TASKS[0]].headline is not None


def test_no_task_fell_is_said_only_where_it_is_shown(folder: Path) -> None:
    found = matrix(analyse(load(folder)))
    assert found is not None
    joint = next(row for row in found.rows if row.label == "TAO n=8 ×2")
    word, why = fallen(joint, 0.02)
    small = joint.cells[TASKS[2]]
    assert small.p_not_fallen is not None
    assert (word == "Yes") == all(c.p_not_fallen is not None and c.p_not_fallen <= 0.05 for c in joint.cells.values())
    assert word in ("Yes", "Not shown"), why


def test_an_experiment_without_mixtures_has_no_matrix(tmp_path: Path) -> None:
    plain = synthetic_results.build(tmp_path / "plain", PLAN)
    assert matrix(analyse(load(plain))) is None


def test_the_report_shows_it_and_is_the_same_twice(folder: Path, tmp_path: Path) -> None:
    def no_texts(task: str, full: bool) -> TaskTexts:
        return TaskTexts({})

    first, second = (render(folder, tmp_path / name, texts=no_texts) for name in ("a", "b"))
    text = first.markdown.read_text()
    for words in ("Every arm on every task", "One-sided p", "Joint less alone, points", "TAO n=4 ×1"):
        assert words in text
    for one, two in zip(
        (first.markdown, first.html, *first.figures, *first.tables),
        (second.markdown, second.html, *second.figures, *second.tables),
        strict=True,
    ):
        assert one.read_bytes() == two.read_bytes()
    with (tmp_path / "a" / "matrix.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    assert {row["task"] for row in rows} == set(TASKS)
    assert "less a model for each task" in summary_text(folder)
