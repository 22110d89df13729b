"""What keeps training from going too far: a cap on the drift from the base, and a loss that stops being a number."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from test_loop import POOL, RECIPE, Toy, durable
from training_toys import END, prompt, random_round, weights_of

from tao.compute import Ledger
from tao.errors import InputError
from tao.loop import TuneResult, tune
from tao.recipe import Recipe, make_recipe
from tao.report import render_run
from tao.training.clipped import Clipped
from tao.training.drift import KlCap, mean_kl, probe_rows
from tao.training.engine import Diverged, load
from tao.training.offline import train_offline
from tao.training.settings import Optim
from tao.training.sft import Example, train_sft

FP32 = Optim(learning_rate=3e-3, batch_size=2, epochs=2, max_row_tok=128, precision="fp32")


@pytest.fixture(scope="module")
def base(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model, taught to say 1 half of the time and 2 or x otherwise."""
    out = tmp_path_factory.mktemp("base") / "model"
    examples = [Example(f"{p.id}{i}", p.messages, target) for p in POOL for i, target in enumerate("112x")]
    train_sft(tiny_model, examples, Optim(learning_rate=5e-3, epochs=4, batch_size=12, max_row_tok=64), out, seed=0)
    return out


def run(base: Path, out: Path, **fields: Any) -> TuneResult:
    recipe: Recipe = make_recipe({**RECIPE.model_dump(), "watch": False, **fields})
    return tune(base, POOL, Toy(), recipe, out, seed=1)


# ---- drift from the base


def test_the_drift_is_the_mean_kl_over_the_whole_vocabulary(tiny_model: Path, tmp_path: Path) -> None:
    import torch

    scored = random_round(6, 5)
    train_offline(tiny_model, scored, Clipped(), FP32, tmp_path / "moved", seed=0)
    (base, tokenizer), (moved, _) = load(tiny_model), load(tmp_path / "moved")
    rows = probe_rows(scored, 3, tokenizer, {END}, 128)
    assert [row.prompt_id for row in rows] == ["p0", "p2", "p4"]
    found, weight = 0.0, 0.0
    for row in rows:
        for branch in row.branches:
            ids = torch.tensor([[*row.prompt, *branch.ids]])
            with torch.no_grad():
                mine, theirs = (
                    torch.log_softmax(m(ids).logits[0, len(row.prompt) - 1 : -1], -1) for m in (moved, base)
                )
            found += branch.count * float((mine.exp() * (mine - theirs)).sum())
            weight += branch.count * len(branch.ids)
    assert mean_kl(moved, base, rows, 2, pad=0, precision="fp32") == pytest.approx(found / weight, rel=1e-4)
    assert mean_kl(base, base, rows, 2, pad=0, precision="fp32") == 0


@pytest.mark.parametrize("objective", ["clipped", "rft"])
def test_at_the_cap_the_round_and_the_run_end_and_say_so(base: Path, tmp_path: Path, objective: str) -> None:
    free = run(base, tmp_path / "free", objective=objective, kl_base_cap=100.0, kl_base_steps=1)
    assert free.stopped == "rounds"
    drift = [done.training["kl_base"] for done in free.rounds]
    assert 0 < drift[0] < drift[1]

    held = run(base, tmp_path / "held", objective=objective, kl_base_cap=drift[0] / 20, kl_base_steps=1)
    assert held.stopped == "kl_base" and len(held.rounds) == 1
    training = held.rounds[0].training
    assert training["kl_base"] > drift[0] / 20 and training["kl_base_step"] == training["steps"]
    assert training["steps"] < free.rounds[0].training["steps"]
    assert held.checkpoint == tmp_path / "held" / "round-0" / "checkpoint"
    # What was not trained on is not charged, and the measuring is.
    charged = [Ledger(tmp_path / name / "ledger.jsonl").totals([0])["train"] for name in ("held", "free")]
    assert charged[0].train_tok < charged[1].train_tok and charged[0].device_flop < charged[1].device_flop
    assert "the cap on the drift" in render_run(tmp_path / "held")
    # Measuring disturbs nothing, and a finished run is read back as it is.
    run(base, tmp_path / "unwatched", objective=objective)
    assert weights_of(tmp_path / "unwatched/round-1/checkpoint") == weights_of(tmp_path / "free/round-1/checkpoint")
    before = durable(tmp_path / "held")
    assert run(base, tmp_path / "held", objective=objective, kl_base_cap=drift[0] / 20, kl_base_steps=1) == held
    assert durable(tmp_path / "held") == before


def test_caps_that_cap_nothing_are_refused(tiny_model: Path) -> None:
    with pytest.raises(InputError, match="kl_base_cap"):
        KlCap(tiny_model, 0.0)
    with pytest.raises(InputError, match="kl_base_cap"):
        make_recipe({"kl_base_cap": -1})


# ---- a loss that is no number


@pytest.mark.parametrize("kind", ["offline", "sft"])
def test_divergence_is_one_error_and_nothing_is_written(tiny_model: Path, tmp_path: Path, kind: str) -> None:
    wild = Optim(learning_rate=1e30, batch_size=2, epochs=3, max_row_tok=128, precision="fp32")
    with pytest.raises(Diverged, match=r"diverged at step \d+ \(.*nan.*\)\n  fix: lower learning_rate") as caught:
        if kind == "offline":
            train_offline(tiny_model, random_round(6, 5), Clipped(), wild, tmp_path / "out", seed=0)
        else:
            examples = [Example(f"e{i}", prompt("p", "q" * i).messages, "12") for i in range(6)]
            train_sft(tiny_model, examples, wild, tmp_path / "out", seed=0)
    assert not list(tmp_path.iterdir())
    report = caught.value.report
    assert report is not None and 0 < report.steps < 9 and report.trained.seq_tok > 0


def test_a_run_that_diverges_keeps_the_last_good_round_and_can_go_on(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tao.training import offline

    out = tmp_path / "run"
    whole = run(base, tmp_path / "whole")
    fresh, broken = offline._trainer_class, {"left": 2}

    def faulty() -> Any:
        """The trainer, whose loss is no number in the second round, as often as `broken` says."""

        class Faulty(fresh()):  # type: ignore[misc]
            def compute_loss(self, model: Any, inputs: Any, **kwargs: Any) -> Any:
                loss = super().compute_loss(model, inputs, **kwargs)
                if (out / "round-1").is_dir() and broken["left"] and self.state.global_step == 1:
                    broken["left"] -= 1
                    return loss * float("nan")
                return loss

        return Faulty

    monkeypatch.setattr(offline, "_trainer_class", faulty)
    for _ in range(2):
        with pytest.raises(InputError, match=r"round-1: training diverged at step 2") as caught:
            run(base, out)
        assert str(out / "round-0" / "checkpoint") in caught.value.fix
        assert "learning_rate" in caught.value.fix and "same command" in caught.value.fix
    assert weights_of(out / "round-0" / "checkpoint") == weights_of(tmp_path / "whole" / "round-0" / "checkpoint")
    assert not (out / "round-1" / "checkpoint").exists() and not (out / "result.json").exists()
    lost = Ledger(out / "ledger.jsonl").lost()
    assert [(e.note, e.device_flop > 0) for e in lost] == [("diverged, attempt 1", True), ("diverged, attempt 2", True)]
    # The fault is gone: the same command ends as if it had never been.
    result = run(base, out)
    assert weights_of(result.checkpoint) == weights_of(whole.checkpoint)
    assert durable(out) == durable(tmp_path / "whole")
    assert json.loads((out / "result.json").read_text())["stopped"] == "rounds"
    assert len(Ledger(out / "ledger.jsonl").lost()) == 2
