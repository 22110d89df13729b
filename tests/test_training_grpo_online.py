"""GRPO online: it learns from votes alone, costs exactly what it says, and refuses what TRL would do silently."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import toy
from training_toys import weights_of

from tao.answers.interpreter import NumberInterpreter
from tao.compute import ModelShape
from tao.errors import InputError
from tao.prompts import Prompt
from tao.scoring.combine import Rewards
from tao.training.grpo_online import Online, OnlineReport, check_groups, train_grpo_online
from tao.training.lora import Lora
from tao.training.settings import Optim, device_flop, model_flop


@pytest.fixture(scope="module")
def pool() -> list[Prompt]:
    from tao_bench.registry import load_task

    return load_task("toy_task", [toy.TASK]).pool()


def train(model: Path, pool: list[Prompt], out: Path, steps: int, **fields: Any) -> OnlineReport:
    optim = Optim(**{"learning_rate": 2e-3, "batch_size": 4, "max_row_tok": 128, "precision": "fp32", **fields})
    return train_grpo_online(
        model, pool, NumberInterpreter(), Rewards(), Online(steps, max_new_tok=6), optim=optim, out=out, seed=0
    )


def test_it_learns_from_votes_and_costs_what_it_says(taught_model: Path, pool: list[Prompt], tmp_path: Path) -> None:
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    shape = ModelShape.from_config(taught_model)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        report = train(taught_model, pool, tmp_path / "a", 9)
    flash = shape.attention_flop * report.train.trained_padded.seq_tok_sq // 2
    # The counter overlooks two in-place products of TRL's fused head, as in supervised training.
    overlooked = 2 * report.train.trained_padded.head_tok * shape.head_flop
    charged = report.explore_device_flop + device_flop(report.train, shape)
    assert charged == counter.get_total_flops() + flash + overlooked
    assert 0 < report.explore_model_flop < report.explore_device_flop
    assert 0 < model_flop(report.train, shape) < device_flop(report.train, shape)
    assert report.completion_tok == report.train.trained.head_tok

    # Three steps go over the whole pool once; at such a learning rate they only measure.
    def reward(model: Path, out: str) -> float:
        return sum(train(model, pool, tmp_path / out, 3, learning_rate=1e-12).mean_reward) / 3

    assert reward(tmp_path / "a", "after") > reward(taught_model, "before") + 0.1


def test_same_inputs_same_bits_and_micro_batches_do_not_matter(
    taught_model: Path, pool: list[Prompt], tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import load_file

    for name, fields in (("a", {}), ("b", {}), ("split", {"micro_tok": 128 * 8})):
        report = train(taught_model, pool, tmp_path / name, 2, **fields)
        assert report.train.steps == 2 and report.train.samples == 64
    assert weights_of(tmp_path / "a") == weights_of(tmp_path / "b") != weights_of(taught_model)
    whole, split = (load_file(tmp_path / name / "model.safetensors") for name in ("a", "split"))
    assert all(torch.allclose(whole[name], split[name], atol=1e-3) for name in whole)


def test_groups_must_stay_whole() -> None:
    check_groups(rows=8, steps_per_generation=2, samples=4, processes=2)
    check_groups(rows=2, steps_per_generation=2, samples=4, processes=8)
    with pytest.raises(InputError, match="parts of a group"):
        check_groups(rows=2, steps_per_generation=1, samples=4, processes=2)


def test_what_cannot_be_done_is_refused(
    taught_model: Path, pool: list[Prompt], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for fields, message in (({"batch_size": 13}, "12 prompts"), ({"lora": Lora()}, "all weights")):
        with pytest.raises(InputError, match=message):
            train(taught_model, pool, tmp_path / "x", 1, **fields)
    with pytest.raises(InputError, match="cancels the weights"):
        train_grpo_online(
            taught_model,
            pool,
            NumberInterpreter(),
            Rewards(),
            Online(1, scale="group"),
            optim=Optim(batch_size=4),
            out=tmp_path / "x",
            seed=0,
        )
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="one process"):
        train(taught_model, pool, tmp_path / "x", 1)
    assert not (tmp_path / "x").exists()
