"""What the ledger says was executed is what torch counted, over whole runs; what was needed, by hand.

torch's counter knows neither the CPU's flash kernels nor in-place products; with torch's own formulas given for both
it counts every product, and the ledger equals it to the last FLOP.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import toy
from training_toys import prompt, undecided

from tao.compute import Ledger, ModelShape, total
from tao.loop import tune
from tao.prompts import Message, Prompt
from tao.recipe import Recipe
from tao.scoring.reward_model import RewardModelSignal
from tao.scoring.reward_training import Pair, train_reward_model
from tao.training.settings import Optim, device_flop

POOL = [Prompt(f"p{i}", (Message("user", f"say {chr(97 + i)}" + " again" * (i % 3)),)) for i in range(12)]
SIZES = {"samples": 6, "max_prompt_tok": 48, "max_new_tok": 4, "batch_size": 4, "max_row_tok": 96}
RUNS: dict[str, dict[str, Any]] = {
    "clipped, watched, drift capped": {"rounds": 2, "watch_last": True, "kl_base_cap": 50.0, "kl_base_steps": 1},
    "rft, restarted": {"rounds": 2, "objective": "rft", "restart": True, "watch": False},
    "regression": {"rounds": 1, "objective": "regression"},
    "grpo": {"rounds": 1, "objective": "grpo", "epochs": 2},
    "dpo": {"rounds": 1, "objective": "dpo"},
    "rft with adapters": {"rounds": 1, "objective": "rft", "lora": {"r": 4}, "kl_base_cap": 50.0},
    "dpo with adapters": {"rounds": 1, "objective": "dpo", "lora": {"r": 4}},
}


class Digits:
    """Accepts digits; their meaning is the digit. Everything else does not work."""

    name, version = "digits", "1"

    def read(self, prompt: Prompt, answers: Any) -> Any:
        from tao.meaning import Outcome, Reading

        return [Reading(Outcome.OK, a) if a.isdigit() else Reading(Outcome.INVALID) for a in answers]

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def base(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return undecided(tiny_model, POOL, tmp_path_factory.mktemp("base") / "model")


@pytest.fixture(scope="module")
def count(cpu_flash: dict[Any, Any]) -> Callable[[Callable[[], Any]], tuple[int, Any]]:
    """Does work under torch's counter; returns all FLOPs of it, and its result."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    def added_product(target: Any, left: Any, right: Any, *_: Any, **__: Any) -> int:
        return int(2 * left[0] * left[1] * right[1])

    formulas = {**cpu_flash, torch.ops.aten.addmm_: added_product}

    def counted(work: Callable[[], Any]) -> tuple[int, Any]:
        with FlopCounterMode(display=False, custom_mapping=formulas) as counter:
            result = work()
        return counter.get_total_flops(), result

    return counted


@pytest.mark.parametrize("name", list(RUNS))
def test_a_whole_run_is_charged_what_was_executed(base: Path, tmp_path: Path, count: Any, name: str) -> None:
    """Exploring with the shared prompt cache, votes that were thrown away, training, drift and watch."""
    if "lora" in RUNS[name]:
        pytest.importorskip("peft", reason="needs the lora extra")
    recipe = Recipe(**{"learning_rate": 1e-3, "consensus_floor": 0.7, **SIZES, **RUNS[name]})
    flops, result = count(lambda: tune(base, POOL, Digits(), recipe, tmp_path, seed=0))
    assert result.stopped == "rounds"
    assert 0 < result.rounds[0].stats.trusted < 1  # some prompts abstain: their samples cost all the same
    spent = total(Ledger(tmp_path / "ledger.jsonl").entries())
    assert spent.device_flop == flops
    assert 0 < spent.model_flop < flops
    if recipe.watch_last:
        assert result.last is not None and all(done.training["kl_base"] > 0 for done in result.rounds)


def test_what_a_run_needs_is_the_formula_by_hand(base: Path, tmp_path: Path) -> None:
    """Every sample drawn is paid for, each prompt read once; only winners are trained on, at three forward passes."""
    recipe = Recipe(**{"rounds": 1, "objective": "rft", "consensus_floor": 0.7, "watch": False, **SIZES})
    tune(base, POOL, Digits(), recipe, tmp_path, seed=0)
    config = json.loads((base / "config.json").read_text())
    d, f, layers, vocab = (config[k] for k in ("hidden_size", "intermediate_size", "num_hidden_layers", "vocab_size"))
    heads, kv = config["num_attention_heads"], config["num_key_value_heads"]
    dh = d // heads
    w = layers * (d * heads * dh + 2 * d * kv * dh + heads * dh * d + 3 * d * f)
    a, h = 4 * layers * heads * dh, 2 * vocab * d

    def rows(name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (tmp_path / "round-0" / name).read_text().splitlines()]

    samples, scores = rows("samples.jsonl"), rows("scores.jsonl")
    explored, read = 0, set()
    for row in samples:
        p, g = row["prompt_tok"], len(row["token_ids"])
        explored += sum(2 * w + h + a * (p + i) for i in range(1, g))
        if row["prompt_id"] not in read:
            explored += p * 2 * w + a * p * p + h
            read.add(row["prompt_id"])
    elected = {(score["prompt_id"], score["index"]) for score in scores if score["pseudo_label"]}
    won = {
        row["prompt_id"]: row["prompt_tok"] + len(row["answer"]) + 1
        for row in samples
        if (row["prompt_id"], row["index"]) in elected
    }
    trained = sum(3 * (s * 2 * w + a * s * s + (s - 1) * h) for s in won.values())
    assert 0 < len(won) < len(POOL)
    spent = Ledger(tmp_path / "ledger.jsonl").totals()
    assert (spent["explore"].model_flop, spent["train"].model_flop) == (explored, trained)
    assert spent["train"].train_tok == sum(won.values())


@pytest.mark.parametrize("rank", [0, 4])
def test_supervised_training_is_charged_what_was_executed(
    tiny_model: Path, tmp_path: Path, count: Any, rank: int
) -> None:
    from tao.training.lora import Lora
    from tao.training.sft import Example, train_sft

    if rank:
        pytest.importorskip("peft", reason="needs the lora extra")
    examples = [Example(f"e{i}", prompt("p", "q" * i).messages, "12") for i in range(6)]
    optim = Optim(batch_size=4, epochs=2, max_row_tok=128, lora=Lora(r=rank) if rank else None)
    flops, report = count(lambda: train_sft(tiny_model, examples, optim, tmp_path / "out", seed=0))
    assert device_flop(report, ModelShape.from_config(tiny_model)) == flops


def test_grpo_online_is_charged_what_was_executed(taught_model: Path, tmp_path: Path, count: Any) -> None:
    from tao.answers.interpreter import NumberInterpreter
    from tao.scoring.combine import Rewards
    from tao.training.grpo_online import Online, train_grpo_online
    from tao_bench.registry import load_task

    pool = load_task("toy_task", [toy.TASK]).pool()
    optim = Optim(learning_rate=1e-3, batch_size=4, max_row_tok=128, precision="fp32")
    online = Online(2, max_new_tok=6)
    flops, report = count(
        lambda: train_grpo_online(
            taught_model, pool, NumberInterpreter(), Rewards(), online, optim=optim, out=tmp_path / "out", seed=0
        )
    )
    assert report.explore_device_flop + device_flop(report.train, ModelShape.from_config(taught_model)) == flops


def test_a_reward_model_is_charged_what_was_executed(base: Path, tmp_path: Path, count: Any) -> None:
    """Training it, and asking it about the answers of a run."""
    pairs = [Pair(prompt(f"q{n}", "say " + "z" * n), "yes", "no" * (n % 3 + 1)) for n in range(1, 8)]
    model = tmp_path / "reward"
    flops, _ = count(lambda: train_reward_model(base, pairs, model, epochs=2, batch_size=3))
    (entry,) = Ledger(model / "ledger.jsonl").entries()
    assert entry.device_flop == flops > entry.model_flop > 0
    signal = RewardModelSignal(model)
    answers = ["1", "22", "x" * 70, *map(str, range(30, 50))]
    flops, values = count(lambda: signal.values(POOL[0], answers))
    assert None not in values
    assert signal.device_flop(POOL[0], answers) == flops > signal.flop(POOL[0], answers)
    judged = {"signals": [{"signal": "reward_model", "model": str(model), "weight": 1.0}]}
    recipe = Recipe(**{"rounds": 1, "learning_rate": 1e-3, **SIZES, **judged})
    flops, _ = count(lambda: tune(base, POOL, Digits(), recipe, tmp_path / "run", seed=0))
    ledger = Ledger(tmp_path / "run" / "ledger.jsonl")
    assert total(ledger.entries()).device_flop == flops
    assert ledger.totals()["score"].model_flop > 0
