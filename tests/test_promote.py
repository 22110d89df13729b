"""The gate on dev: a new model is promoted only where a fall is refused on every task."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from toy import TASK

from tao.errors import InputError
from tao_bench.cli import main
from tao_bench.promote import compare, label_free_veto, model_folder
from tao_bench.stats import Scores


def scores(right: list[float], task: str = "t") -> Scores:
    return Scores(
        np.array([right]),
        tuple(f"{task}{n}" for n in range(len(right))),
        tuple(f"c{n % 40}" for n in range(len(right))),
        (0,),
    )


def test_a_better_model_passes_and_a_worse_one_does_not() -> None:
    rng = np.random.default_rng(0)
    old = [float(value) for value in rng.permutation([0.0, 1.0] * 400)]
    changed = rng.permutation(800)
    better, worse = list(old), list(old)
    for n in [n for n in changed if not old[n]][:80]:
        better[n] = 1.0
    for n in [n for n in changed if old[n]][:80]:
        worse[n] = 0.0
    [up] = compare({"t": scores(old)}, {"t": scores(better)}, 0.02)
    assert up.gain == pytest.approx(0.1) and up.low > 0 and up.p_fell < 0.001
    [down] = compare({"t": scores(old)}, {"t": scores(worse)}, 0.02)
    assert down.gain == pytest.approx(-0.1) and down.p_fell > 0.9


def test_little_evidence_promotes_nobody() -> None:
    [same] = compare({"t": scores([1.0, 0.0] * 10)}, {"t": scores([1.0, 0.0] * 10)}, 0.02)
    assert same.gain == 0 and same.p_fell > 0.05


def test_what_the_verifier_failed_on_is_left_out_for_both() -> None:
    old = [1.0, 0.0] * 200
    new = [*old[:-1], float("nan")]
    [change] = compare({"t": scores(old)}, {"t": scores(new)}, 0.02)
    assert change.items == 399 and change.old == change.new == pytest.approx(200 / 399)
    with pytest.raises(InputError, match="the verifier failed on 3 of 400"):
        compare({"t": scores(old)}, {"t": scores([*old[:-3], *[float("nan")] * 3])}, 0.02)


def test_p_is_adjusted_over_tasks() -> None:
    old = {task: scores([float(n % 2) for n in range(600)], task) for task in "ab"}
    alone = compare({"a": old["a"]}, {"a": old["a"]}, 0.02)[0].p_fell
    both = compare(old, old, 0.02)
    assert [change.p_fell for change in both] == pytest.approx([2 * alone] * 2)


def test_a_run_that_was_refused_without_labels_stays_so(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    assert model_folder(tmp_path) == tmp_path / "model" == model_folder(tmp_path / "model")
    assert label_free_veto(tmp_path) == ""
    (tmp_path / "promotion.json").write_text(json.dumps({"promote": False, "reason": "run_rate: fell"}))
    assert label_free_veto(tmp_path) == label_free_veto(tmp_path / "model") == "run_rate: fell"
    cell = tmp_path / "cell"
    cell.mkdir()
    (cell / "model").write_text("tune/round-1/checkpoint\n")
    assert model_folder(cell) == cell / "tune/round-1/checkpoint"
    (tmp_path / "promotion.json").write_text(json.dumps({"promote": True, "reason": "no alarm went off"}))
    assert label_free_veto(tmp_path) == ""


def test_the_command_asks_both_models_and_decides(
    taught_model: Path,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAO_BENCH_CACHE", str(tmp_path / "cache"))
    ask = ["promote", TASK.name, "--tasks", str(TASK), "--margin", "0.5", "--save", "said.json"]
    both = [*ask, "--old", str(taught_model)]
    assert main([*both, "--new", str(taught_model)]) == 0
    assert "| +0.0 [" in (text := capsys.readouterr().out) or "| 0.0 [" in text or "-0.0 [" in text
    assert "promoted: a fall by 50 points is refused on every task" in text
    assert json.loads(Path("said.json").read_text())["promote"] is True
    assert main([*both, "--new", str(tiny_model), "--margin", "0.1"]) == 1
    assert "not promoted: a fall by 10 points is not refused" in capsys.readouterr().out
    assert json.loads(Path("said.json").read_text())["promote"] is False


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--new", "nowhere"], "--new nowhere: no such folder"),
        (["--new", ".", "--margin", "2"], "a margin of 2.0 is no fall"),
    ],
)
def test_bad_input_is_named(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["promote", TASK.name, "--tasks", str(TASK), "--old", ".", *words]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(("left_with", "status"), [(1, 2), (130, 130)])
def test_an_evaluation_that_failed_is_no_verdict(
    left_with: int, status: int, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tao_bench.promote.answered", lambda *_: left_with)
    models = ["--old", str(tiny_model), "--new", str(tiny_model)]
    assert main(["promote", TASK.name, "--tasks", str(TASK), *models]) == status


def test_a_fall_is_named_by_its_margin() -> None:
    with pytest.raises(InputError, match="is no fall"):
        compare({"t": scores([1.0, 0.0])}, {"t": scores([1.0, 0.0])}, 0.0)
