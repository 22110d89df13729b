"""Four traps of TRL 1.16, shown on the installed TRL itself, and that they cannot catch us.

Should one of the first assertions of a test fail, TRL has changed: read what it does now, then decide about ours.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from training_toys import END, prompt, random_round, sample, score, weights_of

from tao.errors import InputError
from tao.recipe import Recipe, make_recipe
from tao.scoring.score import ScoredRound
from tao.training.clipped import Clipped
from tao.training.engine import load
from tao.training.grpo import Grpo
from tao.training.grpo_online import check_groups
from tao.training.offline import Objective, train_offline
from tao.training.settings import Optim

GROUP = 4
ANSWERS = [[50, 51, END], [60, END], [70, 71, END], [80, END]]
"""The frozen completions of every prompt."""
OPTIM = Optim(learning_rate=5e-3, batch_size=2, max_row_tok=128, precision="fp32")


def stock(
    model: Path, out: Path, reward: Callable[..., list[float]], *, logprob: float | None = None, **config: Any
) -> Any:
    """A trained stock `GRPOTrainer` on two prompts; with `logprob` its completions are frozen and said to have it."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    resume = config.pop("resume", None)
    args = GRPOConfig(
        **{
            "output_dir": str(out),
            "learning_rate": 5e-3,
            "per_device_train_batch_size": 2 * GROUP,
            "num_generations": GROUP,
            "max_completion_length": 4,
            "beta": 0.0,
            "max_steps": 1,
            "use_cpu": True,
            "bf16": False,
            "gradient_checkpointing": False,
            "report_to": "none",
            "save_strategy": "no",
            "logging_steps": 1,
            "disable_tqdm": True,
            "seed": 0,
            "shuffle_dataset": False,
            **config,
        }
    )

    def frozen(prompts: list[Any], trainer: Any) -> dict[str, Any]:
        ids = [ANSWERS[at % GROUP] for at in range(len(prompts))]
        logprobs = [[logprob] * len(answer) for answer in ids]
        return {"prompt_ids": [[2, 40 + len(text), 3] for text in prompts], "completion_ids": ids, "logprobs": logprobs}

    trainer = GRPOTrainer(
        model=str(model),
        reward_funcs=reward,
        args=args,
        train_dataset=Dataset.from_list([{"prompt": "q"}, {"prompt": "qq"}]),
        rollout_func=frozen if logprob is not None else None,
    )
    trainer.train(resume_from_checkpoint=resume)
    return trainer


def state(trainer: Any) -> bytes:
    return b"".join(value.numpy().tobytes() for value in trainer.model.state_dict().values())


def weighted(prompts: list[str], **_: Any) -> list[float]:
    """The first answer of every group wins; the prompt 'qq' is trusted a tenth as much."""
    return [(0.1 if text == "qq" else 1.0) * (at % GROUP == 0) for at, text in enumerate(prompts)]


def two_prompts(weight: float = 0.1) -> ScoredRound:
    """The same round for ours: rewards minus the group's mean, times the prompt's weight."""
    pool = [prompt("p", "q"), prompt("pp", "qq")]
    samples = {p.id: [sample(p.id, at, f"a{at}", ids) for at, ids in enumerate(ANSWERS)] for p in pool}
    scores = {
        p.id: [score(by * ((at == 0) - 0.25)) for at in range(GROUP)] for p, by in zip(pool, (1, weight), strict=True)
    }
    return ScoredRound(pool, samples, scores)


# ---- 1: scaling by the group's deviation cancels the weights of prompts


def test_group_scaling_cancels_weights(tiny_model: Path, tmp_path: Path) -> None:
    def sizes(scale: str) -> tuple[float, float]:
        trainer = stock(tiny_model, tmp_path, weighted, logprob=-1.0, scale_rewards=scale)
        found = list(trainer._logs["advantages"])
        return found[0], found[GROUP]

    trusted, doubted = sizes("group")
    assert doubted == pytest.approx(trusted, rel=0.01)  # the trap
    trusted, doubted = sizes("none")
    assert doubted == pytest.approx(0.1 * trusted)

    _, tokenizer = load(tiny_model)
    for objective in (Clipped(), Grpo(), Grpo(scale="batch")):
        rows, _ = objective.rows(two_prompts(), tokenizer, frozenset({END}), 128)  # type: ignore[attr-defined]
        ours = [row.branches[0].advantage for row in rows]
        assert ours[1] == pytest.approx(0.1 * ours[0])
    assert Recipe().scale_rewards == "none" and Recipe().confidence
    with pytest.raises(InputError, match="cancels the weights"):
        make_recipe({"objective": "grpo", "scale_rewards": "group"})


# ---- 2: under several processes a reward function sees parts of groups

RANK = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
import test_trl_contract as contract
seen = []
def reward(prompts, **kwargs):
    seen.append(len(prompts))
    return [0.0] * len(prompts)
contract.stock(Path({model!r}), Path({out!r}), reward, per_device_train_batch_size=2)
print("SEEN", seen)
"""


def test_a_process_is_given_part_of_a_group(tiny_model: Path, tmp_path: Path) -> None:
    """Two real processes, one group of four: TRL accepts it and hands each of them two samples to vote on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = RANK.format(tests=str(Path(__file__).parent), model=str(tiny_model), out=str(tmp_path))
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank), "ACCELERATE_USE_CPU": "true"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        ended = [process.communicate(timeout=240) for process in started]
    finally:
        for process in started:
            process.kill()
    for process, (out, err) in zip(started, ended, strict=True):
        assert process.returncode == 0, err[-2000:]
        assert "SEEN [2]" in out  # the trap: half a group
    with pytest.raises(InputError, match="parts of a group"):
        check_groups(rows=2, steps_per_generation=1, samples=GROUP, processes=2)


def test_we_never_vote_on_part_of_a_group(tmp_path: Path) -> None:
    """Votes are taken from finished files, prompt by prompt: a prompt without its samples is refused."""
    from test_loop import Toy

    from tao.scoring.combine import Rewards
    from tao.scoring.score import score as score_round
    from tao.stage import Stage

    pool = [prompt("a", "q"), prompt("b", "q")]
    stage = Stage(tmp_path / "samples.jsonl", {"what": "half of it"})
    stage.finish()
    with pytest.raises(InputError, match="no samples for prompt 'a'"):
        score_round(pool, tmp_path / "samples.jsonl", Toy(), Rewards(), out=tmp_path / "scores.jsonl")


# ---- 3: samples of an older policy are treated as the current one's


@pytest.mark.parametrize("mine", [Clipped(), Grpo()])
def test_stale_rollouts_are_taken_for_fresh_ones(tiny_model: Path, tmp_path: Path, mine: Objective) -> None:
    def run(logprob: float) -> Any:
        return stock(tiny_model, tmp_path / "trl", weighted, logprob=logprob, max_steps=3, epsilon=0.01)

    one, other = run(-0.01), run(-12.0)
    assert state(one) == state(other)  # the trap: the log-probabilities of the policy that sampled are not read
    logs = [entry for entry in one.state.log_history if "clip_ratio/region_mean" in entry]
    # The frozen answers come from the first policy, yet in the third step nothing counts as having moved.
    assert len(logs) == 3 and all(entry["clip_ratio/region_mean"] == 0 for entry in logs)

    fields = {"learning_rate": 5e-3, "batch_size": 2, "epochs": 3, "max_row_tok": 128, "precision": "fp32"}
    report = train_offline(tiny_model, two_prompts(), mine, Optim(**fields), tmp_path / "ours", seed=0)
    assert report.steps == 3
    assert report.metrics["clip_fraction"] > 0 and report.metrics["kl"] > 0
    # The round-start log-probabilities are charged: one forward pass over what is trained on thrice.
    assert 3 * report.reference.seq_tok == report.trained.seq_tok


# ---- 4: resuming inside a generation batch makes other samples


def test_resuming_inside_a_generation_batch_samples_again(tiny_model: Path, tmp_path: Path) -> None:
    calls: list[int] = []

    def counted(prompts: list[str], **_: Any) -> list[float]:
        calls.append(len(prompts))
        return [float(at % GROUP == 0) for at in range(len(prompts))]

    # Two optimiser steps share a generation batch.
    fields = {"steps_per_generation": 2, "per_device_train_batch_size": GROUP, "save_strategy": "steps"}
    stock(tiny_model, tmp_path / "trl", counted, max_steps=2, save_steps=1, **fields)
    assert calls == [2 * GROUP]
    calls.clear()
    resume = str(tmp_path / "trl" / "checkpoint-1")
    stock(tiny_model, tmp_path / "trl", counted, max_steps=2, save_steps=9, resume=resume, **fields)
    assert calls == [2 * GROUP]  # the trap: the second step of the same batch trains on new samples

    scored = random_round(6, 5)
    train_offline(tiny_model, scored, Clipped(), OPTIM, tmp_path / "whole", seed=0)

    def die(stage: str, done: int, everything: int) -> None:
        assert everything == 3
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_offline(tiny_model, scored, Clipped(), OPTIM, tmp_path / "killed", seed=0, progress=die)
    # No half-trained state is left to be resumed: the stage begins anew, on the samples of the files.
    assert not (tmp_path / "killed").exists()
    train_offline(tiny_model, scored, Clipped(), OPTIM, tmp_path / "killed", seed=0)
    assert weights_of(tmp_path / "killed") == weights_of(tmp_path / "whole")
