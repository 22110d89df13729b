"""Training in several processes: the same step as in one, a standard checkpoint, and errors that come back whole.

Two CPU processes over gloo stand for two GPUs: data parallel, and sharded by accelerate's own FSDP2.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from training_toys import END, prompt, random_round

from tao.compute import ModelShape
from tao.errors import InputError
from tao.recipe import make_recipe
from tao.training import launch
from tao.training.clipped import Clipped
from tao.training.dpo import Dpo
from tao.training.engine import BLANK, Diverged, load, order
from tao.training.lora import Lora
from tao.training.offline import answer_logps, chunk_head, train_offline
from tao.training.packing import build_rows, collator, columns
from tao.training.settings import Optim, Processes, TrainReport, device_flop
from tao.training.sft import Example, train_sft

FP32 = Optim(learning_rate=1e-3, batch_size=4, epochs=2, max_row_tok=128, precision="fp32", micro_tok=128)


def tensors(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return dict(load_file(folder / "model.safetensors"))


def assert_same_step(start: Path, one: TrainReport, two: TrainReport, tolerance: float) -> None:
    """Weights equal within a share of how far they moved; work and figures equal."""
    before, a, b = tensors(start), tensors(one.checkpoint), tensors(two.checkpoint)
    assert a.keys() == b.keys() and {t.dtype for t in a.values()} == {t.dtype for t in b.values()}
    moved = max(float((a[name] - before[name]).abs().max()) for name in a)
    apart = max(float((a[name] - b[name]).abs().max()) for name in a)
    assert moved > 1e-3 and apart < tolerance * moved, (moved, apart)
    assert (one.steps, one.rows, one.samples, one.trained, one.reference) == (
        two.steps, two.rows, two.samples, two.trained, two.reference,
    )  # fmt: skip
    assert one.metrics == pytest.approx(two.metrics, rel=1e-2, abs=1e-4)
    assert load(two.checkpoint)[1].chat_template


def test_two_processes_take_the_step_of_one(tiny_model: Path, tmp_path: Path) -> None:
    """Seven prompts in steps of four: the last step is short, so one process gets a row without weight."""
    seen: list[tuple[int, int]] = []
    fields: dict[str, Any] = {"model_dir": tiny_model, "scored": random_round(7, 5), "seed": 0}
    one = train_offline(**fields, objective=Dpo(), optim=FP32, out=tmp_path / "one")
    two = train_offline(
        **fields,
        objective=Dpo(),
        optim=replace(FP32, processes=Processes(2)),
        out=tmp_path / "two",
        progress=lambda stage, done, everything: seen.append((done, everything)),
    )
    assert_same_step(tiny_model, one, two, 2e-3)
    assert seen[-1] == (4, 4) and not list(tmp_path.glob("launch.*"))


def test_sharded_processes_take_the_step_of_one(tiny_model: Path, tmp_path: Path) -> None:
    """FSDP2 with layers run again and logits in chunks: what an 8B model needs."""
    fields: dict[str, Any] = {"model_dir": tiny_model, "scored": random_round(7, 5), "objective": Clipped(), "seed": 0}
    one = train_offline(**fields, optim=FP32, out=tmp_path / "one")
    large = replace(FP32, processes=Processes(2, fsdp=True), checkpointing=True, logits_chunk=7)
    assert_same_step(tiny_model, one, train_offline(**fields, optim=large, out=tmp_path / "two"), 2e-3)


def test_sharded_adapters_are_merged_into_a_plain_checkpoint(tiny_model: Path, tmp_path: Path) -> None:
    examples = [Example(f"e{i}", prompt("p", "q" * i).messages, "12") for i in range(7)]
    optim = replace(FP32, learning_rate=1e-2, lora=Lora(4, 8.0))
    one = train_sft(tiny_model, examples, optim, tmp_path / "one", seed=0)
    spread = replace(optim, processes=Processes(2, fsdp=True))
    assert_same_step(tiny_model, one, train_sft(tiny_model, examples, spread, tmp_path / "two", seed=0), 2e-3)


def test_what_goes_wrong_in_a_process_is_told_in_the_parent(tiny_model: Path, tmp_path: Path) -> None:
    wild = replace(FP32, learning_rate=1e30, epochs=3, processes=Processes(2))
    with pytest.raises(Diverged, match=r"diverged at step \d") as caught:
        train_offline(tiny_model, random_round(7, 5), Clipped(), wild, tmp_path / "out", seed=0)
    assert caught.value.report is not None and caught.value.report.trained.seq_tok > 0  # to be charged as lost
    assert not (tmp_path / "out").exists()


def test_a_process_that_dies_is_one_error_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    reason = "torch.OutOfMemoryError: out of memory"
    died = [sys.executable, "-c", f"import sys; sys.exit({reason!r})"]
    monkeypatch.setattr(launch, "command", lambda processes, precision: died)
    with pytest.raises(InputError, match=rf"2 processes failed \(status 1\): {re.escape(reason)}"):
        launch.run("sft", replace(FP32, processes=Processes(2)), tmp_path / "out", None)


@given(
    st.lists(st.integers(1, 50), min_size=1, max_size=40),
    st.sampled_from([(2, 4), (2, 8), (4, 8), (8, 8)]),
    st.integers(1, 3),
)
def test_every_row_is_trained_on_once_an_epoch_by_one_process(
    lengths: list[int], sizes: tuple[int, int], epochs: int
) -> None:
    world, batch = sizes
    optim = Optim(batch_size=batch, epochs=epochs, processes=Processes(world), micro_tok=100)
    micro = optim.micro_rows(50)
    found = order(lengths, optim, 0, micro)
    assert Counter(row for row in found if row != BLANK) == dict.fromkeys(range(len(lengths)), epochs)
    assert len(found) % (micro * world) == 0 and len(found) - len(lengths) * epochs < micro * world
    alone = order(lengths, Optim(batch_size=batch, epochs=epochs), 0)
    assert [row for row in found if row != BLANK] == alone  # the steps are those of one process


def test_logits_in_chunks_are_the_same_logits(tiny_model: Path) -> None:
    import torch

    rows, _ = build_rows(random_round(3, 6), load(tiny_model)[1], {END}, 400)
    batch = collator(0)([columns(row) for row in rows])
    whole, chunked = load(tiny_model)[0], load(tiny_model)[0]
    chunk_head(chunked)
    asked = {**batch, "answers": (batch["branch_tok"], batch["source_T"], batch["target_T"], 5)}
    mine, theirs = answer_logps(chunked, asked), answer_logps(whole, batch)
    assert torch.allclose(mine, theirs, atol=1e-5)
    weight = torch.linspace(-1, 1, len(mine))
    (mine * weight).sum().backward()
    (theirs * weight).sum().backward()
    for a, b in zip(chunked.parameters(), whole.parameters(), strict=True):
        assert torch.allclose(a.grad, b.grad, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    "fields", [{"checkpointing": True}, {"logits_chunk": 5}, {"checkpointing": True, "lora": Lora(4, 8.0)}]
)
def test_memory_that_is_saved_is_charged(tiny_model: Path, tmp_path: Path, fields: dict[str, Any]) -> None:
    """What is computed twice to save memory is what torch counts (see `test_cost_is_exact` for its blind spots)."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    shape = ModelShape.from_config(tiny_model)
    optim = replace(FP32, **fields)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        report = train_offline(tiny_model, random_round(7, 5), Clipped(), optim, tmp_path / "out", seed=0)
    flash = shape.attention_flop * report.trained_padded.seq_tok_sq // 2
    assert device_flop(report, shape) == counter.get_total_flops() + flash


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"accelerate": {"num_processes": 3}}, "batch_size: 32 rows cannot be shared evenly by 3 processes"),
        ({"accelerate": {"num_procesess": 2}}, "did you mean 'accelerate.num_processes'"),
        ({"accelerate": {"num_processes": 1}}, "greater than or equal to 2"),
        ({"accelerate": {"num_processes": 2, "fsdp": True}, "kl_base_cap": 0.5}, "holds the first model whole"),
    ],
)
def test_recipes_that_cannot_be_shared_out_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        make_recipe(fields)


def test_settings_for_large_models_leave_the_records_of_small_ones_alone() -> None:
    plain = make_recipe({"samples": 4})
    assert not {"accelerate", "checkpointing", "weights", "micro_tok", "logits_chunk"} & set(plain.model_dump())
    large = make_recipe({"samples": 4, "accelerate": {"num_processes": 8, "fsdp": True}, "checkpointing": True})
    assert large.model_dump()["accelerate"] == {"num_processes": 8, "fsdp": True, "config": ""}
    assert large.optim().processes == Processes(8, fsdp=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nothing: here", "names no distributed_type"),
        ("{distributed_type: FSDP, num_processes: 4, fsdp_config: {fsdp_version: 2}}", "launches 4 processes"),
        ("{distributed_type: MULTI_GPU, num_processes: 2}", "the recipe says fsdp: true"),
        ("{distributed_type: FSDP, num_processes: 2, fsdp_config: {fsdp_version: 1}}", "write fsdp_version: 2"),
        ("{distributed_type: FSDP, num_processes: 2, num_machines: 2, fsdp_config: {fsdp_version: 2}}", "one machine"),
        ("{not yaml", "cannot be read"),
    ],
)
def test_configurations_that_would_train_otherwise_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "accelerate.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        launch.check(replace(FP32, processes=Processes(2, fsdp=True, config=str(path))))
