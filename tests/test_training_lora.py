"""Adapters: exact cost, nothing but adapters trained, merged into a plain checkpoint, bit-identical."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from training_toys import prompt, random_round, weights_of

from tao.compute import ModelShape
from tao.errors import InputError
from tao.training.clipped import Clipped
from tao.training.dpo import Dpo
from tao.training.drift import KlCap
from tao.training.grpo import Grpo
from tao.training.lora import TARGETS, Lora, adapter_params, attach, merged
from tao.training.offline import Objective, train_offline
from tao.training.regression import Regression
from tao.training.settings import Optim, TrainReport, device_flop, model_flop
from tao.training.sft import Example, train_sft

peft = pytest.importorskip("peft", reason="needs the lora extra")
EXAMPLES = [Example(f"e{i}", prompt("p", "q" * i).messages, "12") for i in range(6)]
OBJECTIVES: dict[str, Objective] = {"clipped": Clipped(), "regression": Regression(), "grpo": Grpo(), "dpo": Dpo()}


def optim(lora: Lora | None) -> Optim:
    return Optim(learning_rate=5e-3, batch_size=4, epochs=2, max_row_tok=128, lora=lora)


def offline(model: Path, out: Path, lora: Lora | None, objective: Objective, cap: KlCap | None = None) -> TrainReport:
    return train_offline(model, random_round(6, 5), objective, optim(lora), out, seed=0, cap=cap)


def counted(work: Any) -> tuple[int, TrainReport]:
    """FLOPs by torch's counter while attention runs unfused (the counter knows no CPU flash kernel)."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        report = work()
    return counter.get_total_flops(), report


def flash(report: TrainReport, shape: ModelShape) -> int:
    """What a flash kernel would have computed once more going backward; layers that need no gradient do not."""
    layers = shape.layers - (report.lora is not None and report.lora.target == "mlp")
    return shape.attention_flop // shape.layers * layers * report.trained_padded.seq_tok_sq // 2


@pytest.mark.parametrize("target", list(TARGETS))
def test_cost_with_adapters_is_exact(tiny_model: Path, tmp_path: Path, target: Any) -> None:
    shape, lora = ModelShape.from_config(tiny_model), Lora(r=4, target=target)
    flops, report = counted(lambda: offline(tiny_model, tmp_path / "lora", lora, Clipped()))
    assert device_flop(report, shape) == flops + flash(report, shape)
    flops, full = counted(lambda: offline(tiny_model, tmp_path / "full", None, Clipped()))
    assert device_flop(full, shape) == flops + flash(full, shape)
    assert model_flop(report, shape) < model_flop(full, shape)


@pytest.mark.parametrize("name", list(OBJECTIVES))
@pytest.mark.parametrize("lora", [None, Lora(r=4)])
def test_cost_of_every_objective_is_exact(tiny_model: Path, tmp_path: Path, name: str, lora: Lora | None) -> None:
    """The drift's forward passes included."""
    shape, cap = ModelShape.from_config(tiny_model), KlCap(tiny_model, 50.0, every=1, prompts=3)
    flops, report = counted(lambda: offline(tiny_model, tmp_path / name, lora, OBJECTIVES[name], cap))
    assert report.probe.seq_tok > 0 and report.metrics["kl_base"] > 0
    assert device_flop(report, shape) == flops + flash(report, shape)


def test_cost_of_imitation_with_adapters_is_exact(tiny_model: Path, tmp_path: Path) -> None:
    shape = ModelShape.from_config(tiny_model)
    flops, report = counted(lambda: train_sft(tiny_model, EXAMPLES, optim(Lora(r=4)), tmp_path / "sft", seed=0))
    # The counter overlooks two of TRL's in-place products in full training; the head's weights are frozen here.
    overlooked = report.trained_padded.head_tok * shape.head_flop
    assert device_flop(report, shape) == flops + flash(report, shape) + overlooked


def test_only_adapters_are_trained_and_the_merged_model_is_what_was_trained(tiny_model: Path) -> None:
    import torch

    from tao.training.engine import load

    model, _ = load(tiny_model)
    ids = torch.arange(5, 20)[None]
    with torch.no_grad():
        before = model(ids).logits
    lora = Lora(r=3, alpha=6, target="all-linear")
    wrapped = attach(model, lora, seed=1)
    trained = [p for p in wrapped.parameters() if p.requires_grad]
    assert sum(p.numel() for p in trained) == adapter_params(ModelShape.from_config(tiny_model), lora)
    with torch.no_grad():
        assert torch.equal(wrapped(ids).logits, before)
        for parameter in trained:
            parameter.add_(0.05)
        after = wrapped(ids).logits
        plain = merged(wrapped)
        assert torch.allclose(plain(ids).logits, after, atol=1e-4) and not torch.allclose(after, before, atol=1e-2)
    assert not [name for name, _ in plain.named_parameters() if "lora" in name]


def test_a_round_of_adapters_leaves_a_plain_checkpoint_twice_the_same(tiny_model: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    for name in "ab":
        offline(tiny_model, tmp_path / name, Lora(r=4), Clipped())
    assert weights_of(tmp_path / "a") == weights_of(tmp_path / "b") != weights_of(tiny_model)
    files = {path.name for path in (tmp_path / "a").iterdir()}
    assert files == {path.name for path in tiny_model.iterdir()}
    start = AutoModelForCausalLM.from_pretrained(tiny_model).state_dict()
    tuned = AutoModelForCausalLM.from_pretrained(tmp_path / "a").state_dict()
    assert start.keys() == tuned.keys()
    moved = {name.split(".")[-2] for name in start if not start[name].equal(tuned[name])}
    assert moved == set(TARGETS["all-linear"])


def test_bad_adapters_and_a_missing_library_are_one_clear_error(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    from tao.answers.interpreter import NumberInterpreter
    from tao.loop import tune
    from tao.recipe import make_recipe
    from tao.training.engine import load

    for fields in ({"r": 0}, {"alpha": 0.0}, {"target": "q_proj"}):
        with pytest.raises(InputError, match="lora"):
            Lora(**fields)  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(InputError, match="need the library peft"):
        attach(load(tiny_model)[0], Lora(), seed=0)
    with pytest.raises(InputError, match="need the library peft"):  # before a sample is drawn
        tune(tiny_model, [prompt("p", "q")], NumberInterpreter(), make_recipe({"lora": {"r": 4}}), tmp_path / "run")
    assert not (tmp_path / "run").exists()
