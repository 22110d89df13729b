"""The bounded step: its gradient, its bounds, TRL's scaling traps, exact cost, bit-identical weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from training_toys import END, prompt, random_round, sample, score, weights_of

from tao.compute import ModelShape
from tao.errors import InputError
from tao.scoring.score import ScoredRound
from tao.training.clipped import Clipped
from tao.training.engine import load
from tao.training.offline import Objective, answer_logps, kl_from_start, train_offline
from tao.training.packing import build_rows, collator, columns
from tao.training.regression import Regression
from tao.training.settings import Optim, TrainReport, device_flop, model_flop
from tao.training.sft import Example, train_sft

FP32 = Optim(learning_rate=1e-3, batch_size=4, max_row_tok=128, precision="fp32")


def train(
    model: Path, out: Path, optim: Optim = FP32, objective: Objective | None = None, **kwargs: Any
) -> TrainReport:
    scored = kwargs.pop("round", None) or random_round(6, 5)
    return train_offline(model, scored, objective or Clipped(), optim, out, seed=0)


def tensors(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return dict(load_file(folder / "model.safetensors"))


def test_round_start_gradient_is_plain_policy_gradient(tiny_model: Path) -> None:
    """At ratio 1 nothing is clipped: the gradient is that of -sum(advantage * logp), negatives included."""
    import torch

    model, tokenizer = load(tiny_model)
    rows, _ = build_rows(random_round(3, 6), tokenizer, {END}, 400)
    batch = collator(0)([{**columns(row), "reference": [0.0] * row.head_tok} for row in rows])
    logp = answer_logps(model, batch)
    batch["reference_T"] = logp.detach()
    loss, figures = Clipped().loss(logp, batch, 5.0)
    assert figures["kl"][0] == 0 and figures["clip_fraction"][0] == 0
    mine = torch.autograd.grad(loss, list(model.parameters()), retain_graph=True)
    weight = (batch["advantage_A"] * batch["weight_A"])[batch["answer_T"]]
    plain = torch.autograd.grad(-(weight * logp).sum() / 5.0, list(model.parameters()))
    assert any(g.abs().max() > 1e-3 for g in plain)
    for a, b in zip(mine, plain, strict=True):
        assert torch.allclose(a, b, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize(
    ("drift", "advantage", "moves"), [(0.5, 1.0, False), (0.5, -1.0, True), (-0.5, -1.0, False), (-0.5, 1.0, True)]
)
def test_the_clip_stops_only_what_has_gone_far_enough(drift: float, advantage: float, moves: bool) -> None:
    import torch

    logp = torch.tensor([drift], requires_grad=True)
    batch = {
        "reference_T": torch.tensor([0.0]),
        "answer_T": torch.tensor([0]),
        "advantage_A": torch.tensor([advantage]),
        "weight_A": torch.tensor([1.0]),
    }
    loss, figures = Clipped().loss(logp, batch, 1.0)
    loss.backward()
    assert (logp.grad != 0).item() is moves
    assert figures["clip_fraction"] == (float(not moves), 1.0)
    loss, _ = Clipped(kl=0.1).loss(logp.detach().requires_grad_(), batch, 1.0)
    assert loss.item() > -2  # finite, with the pull back to the start added
    held = logp.detach().clone().requires_grad_()
    Clipped(kl=0.1).loss(held, batch, 1.0)[0].backward()
    assert held.grad.item() != 0


def test_kl_is_exact_over_the_round_start_policy_and_its_gradient_bounded() -> None:
    """Its mean over the old policy is KL(old || new); a token pushed far down pulls with weight 1 at most."""
    import torch

    old, new = torch.tensor([0.7, 0.2, 0.1]), torch.tensor([0.1, 0.3, 0.6])
    drift = (new / old).log()
    assert (old * kl_from_start(drift)).sum().item() == pytest.approx((old * (old / new).log()).sum().item(), abs=1e-6)
    far = torch.tensor([-12.0], requires_grad=True)
    kl_from_start(far).sum().backward()
    assert kl_from_start(far).item() < 12
    assert -1 < far.grad.item() < 0


def test_regression_rests_where_the_log_ratio_is_advantage_over_beta() -> None:
    import torch

    batch = {
        "reference_T": torch.tensor([-1.0, -2.0, -3.0]),
        "answer_T": torch.tensor([0, 0, 1]),
        "advantage_A": torch.tensor([0.5, -0.25]),
        "weight_A": torch.tensor([2.0, 1.0]),
    }
    logp = batch["reference_T"].clone().requires_grad_()
    loss, _ = Regression(beta=0.5).loss(logp, batch, 1.0)
    assert loss.item() == pytest.approx(2 * 0.25 + 0.0625)
    rest = batch["reference_T"] + torch.tensor([0.25, 0.75, -0.5])  # answers moved by 1.0 and -0.5 nats
    loss, _ = Regression(beta=0.5).loss(rest, batch, 1.0)
    assert loss.item() == pytest.approx(0, abs=1e-6)


def test_gradient_accumulation_does_not_rescale(tiny_model: Path, tmp_path: Path) -> None:
    """The Trainer would divide by the micro-batches once more: any split of a step must give one step."""
    import torch

    whole = train(tiny_model, tmp_path / "whole")
    split = train(tiny_model, tmp_path / "split", Optim(**{**_fields(FP32), "micro_tok": 1}))
    assert whole.steps == split.steps == 2
    assert whole.metrics["grad_norm"] == pytest.approx(split.metrics["grad_norm"], rel=1e-3)
    for name, value in tensors(tmp_path / "whole").items():
        assert torch.allclose(value, tensors(tmp_path / "split")[name], atol=2e-4), name


def _fields(optim: Optim) -> dict[str, Any]:
    return {name: getattr(optim, name) for name in optim.__slots__}


def test_merging_duplicates_changes_nothing_but_the_cost(tiny_model: Path, tmp_path: Path) -> None:
    """Three equal samples are one branch of weight 3; spelt apart by their views they cost three."""
    drawn = random_round(4, 2)
    pool, samples, scores = drawn.prompts, dict(drawn.samples), dict(drawn.scores)
    for name, group in drawn.samples.items():
        first = group[0]
        copies = [sample(name, 2 + i, first.answer, first.token_ids) for i in range(2)]
        samples[name] = [*group, *copies]
        scores[name] = [score(0.25, reward=1.0), score(-0.75, reward=0.0), score(0.25), score(0.25)]
    report = train(tiny_model, tmp_path / "merged", round=ScoredRound(pool, samples, scores))
    assert report.samples == 16 and report.rows == 4
    once = {name: [group[0], group[1]] for name, group in samples.items()}
    alone = train(tiny_model, tmp_path / "once", round=ScoredRound(pool, once, {n: s[:2] for n, s in scores.items()}))
    assert report.trained == alone.trained  # the copies cost nothing
    assert weights_of(tmp_path / "merged") != weights_of(tmp_path / "once")  # but they count


def test_advantages_keep_their_scale_between_prompts(tiny_model: Path, tmp_path: Path) -> None:
    """No normalisation inside a group: a prompt with tiny advantages hardly moves the model."""
    loud, quiet = prompt("loud", "aaa"), prompt("quiet", "zzz")
    samples = {p.id: [sample(p.id, 0, "1", [50, END]), sample(p.id, 1, "2", [60, END])] for p in (loud, quiet)}

    def step(pool: list[Any], by: float) -> float:
        scores = {p.id: [score(by), score(-by)] for p in pool}
        return train(tiny_model, tmp_path / f"{by}", round=ScoredRound(pool, samples, scores)).metrics["grad_norm"]

    assert step([loud], 1e-3) == pytest.approx(1e-3 * step([loud], 1.0), rel=0.02)


def test_same_inputs_same_bits_and_both_losses_move_the_policy_the_right_way(tiny_model: Path, tmp_path: Path) -> None:
    import torch

    optim = Optim(learning_rate=2e-3, batch_size=3, epochs=2, max_row_tok=128)
    _, tokenizer = load(tiny_model)
    rows, _ = build_rows(random_round(6, 5), tokenizer, {END}, 128)

    def value(folder: Path) -> float:
        """Advantage-weighted log-probability of the round's answers."""
        model, _ = load(folder)
        batch = collator(0)([columns(row) for row in rows])
        with torch.no_grad():
            logp = answer_logps(model, batch)
        return float((logp * (batch["advantage_A"] * batch["weight_A"])[batch["answer_T"]]).sum())

    for loss, objective in (("clipped", Clipped()), ("regression", Regression())):
        one = train(tiny_model, tmp_path / f"{loss}1", optim, objective)
        train(tiny_model, tmp_path / f"{loss}2", optim, objective)
        assert weights_of(tmp_path / f"{loss}1") == weights_of(tmp_path / f"{loss}2")
        assert one.steps == 4 and one.metrics["kl"] > 0
        assert value(tmp_path / f"{loss}1") > value(tiny_model)


def test_cost_is_exact(tiny_model: Path, tmp_path: Path) -> None:
    """What we charge as executed is what torch counts. Its counter knows no CPU flash attention, so attention
    runs unfused here, where nothing is computed twice; and it overlooks two of TRL's in-place products."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    shape = ModelShape.from_config(tiny_model)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        report = train(tiny_model, tmp_path / "pg", Optim(batch_size=4, epochs=2, max_row_tok=128))
    flash = shape.attention_flop * report.trained_padded.seq_tok_sq // 2
    assert device_flop(report, shape) == counter.get_total_flops() + flash
    assert 0 < model_flop(report, shape) < device_flop(report, shape)

    examples = [Example(f"e{i}", prompt("p", "q" * i).messages, "12") for i in range(6)]
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        report = train_sft(tiny_model, examples, Optim(batch_size=4, max_row_tok=128), tmp_path / "sft", seed=0)
    flash = shape.attention_flop * report.trained_padded.seq_tok_sq // 2
    overlooked = 2 * report.trained_padded.head_tok * shape.head_flop
    assert device_flop(report, shape) == counter.get_total_flops() + flash + overlooked


def test_nothing_to_train_on_is_an_error(tiny_model: Path, tmp_path: Path) -> None:
    pool = [prompt("p", "q")]
    silent = ScoredRound(pool, {"p": [sample("p", 0, "1")]}, {"p": [score(None)]})
    with pytest.raises(InputError, match="every prompt abstains"):
        train(tiny_model, tmp_path / "out", round=silent)


def test_no_usage_ping_leaves_the_machine(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TRL reports its use over the network; with online mode forced on, nothing may be asked to be sent."""
    import threading

    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("CI", raising=False)
    started: list[str] = []
    original = threading.Thread.start

    def watched(self: threading.Thread) -> None:
        started.append(str(getattr(self, "_target", "")))
        original(self)

    monkeypatch.setattr(threading.Thread, "start", watched)
    train(tiny_model, tmp_path / "out")
    assert not [target for target in started if "telemetry" in target]
