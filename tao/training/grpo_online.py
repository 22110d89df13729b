"""GRPO online: TRL's stock `GRPOTrainer`, which samples anew for every step, rewarded by the project's own scorers.

This is what the label-free peers run (TTRL, arXiv 2504.16084): the group votes, the votes reward the group, one step.
The method of this project scores frozen rounds instead (`tao.training.grpo`); both share scorers, optimiser settings
and FLOP formulas, so that they can be compared.

What could go wrong silently in TRL is closed here: a step's samples are those of the policy it updates
(``steps_per_generation`` = accumulation steps), rewards are advantages already and are not scaled again, a group
reaches the scorers whole or not at all, and nothing is saved on the way that could be resumed in the middle of a group.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tao.compute import ModelShape, decode_flop, forward_flop, generation_device_flop
from tao.errors import InputError
from tao.meaning import Interpreter
from tao.prompts import Prompt, Sample
from tao.sampling.strategies import deployment_form
from tao.scoring.combine import Rewards, Score, combine
from tao.scoring.score import read_answers
from tao.training.engine import Diverged, isolated, load, run, save
from tao.training.settings import Optim, Progress, TrainReport, Work
from tao.training.tokens import prompt_ids, stop_ids


@dataclass(frozen=True, slots=True)
class Online:
    """Settings that offline training has no use for.

    Attributes:
        steps: Optimiser steps, each on `Optim.batch_size` prompts.
        samples: Samples per prompt and step.
        max_new_tok: Longest completion.
        temperature: Of sampling.
        clip_low: As for ``clipped``; one step on fresh samples never reaches it.
        clip_high: As for ``clipped``.
        loss: How tokens are averaged: ``grpo`` (per answer) or ``dr_grpo`` (constant length).
        scale: As for ``grpo``.
    """

    steps: int
    samples: int = 8
    max_new_tok: int = 96
    temperature: float = 1.0
    clip_low: float = 0.2
    clip_high: float = 0.28
    loss: Literal["grpo", "dr_grpo"] = "grpo"
    scale: Literal["none", "batch", "group"] = "none"

    def __post_init__(self) -> None:
        if min(self.steps, self.max_new_tok) < 1 or self.samples < 2 or self.temperature <= 0:
            raise InputError("steps, max_new_tok and temperature are positive, samples at least 2", "online")


@dataclass(frozen=True, slots=True)
class OnlineReport:
    """What online training did.

    Attributes:
        train: As of every objective.
        prompt_tok: Prompt tokens, each prompt once a step.
        completion_tok: Tokens generated.
        explore_model_flop: FLOPs of generating, a prompt charged once a step.
        explore_device_flop: The same as executed: every sample has its own copy of the prompt, all run to the longest.
        abstained: Groups that gave no gradient.
        mean_reward: By step, over the scored samples.
    """

    train: TrainReport
    prompt_tok: int
    completion_tok: int
    explore_model_flop: int
    explore_device_flop: int
    abstained: int
    mean_reward: tuple[float, ...] = ()


@dataclass
class _Account:
    """What the reward function saw, step by step."""

    prompt_tok: int = 0
    completion_tok: int = 0
    model_flop: int = 0
    device_flop: int = 0
    abstained: int = 0
    trained: Work = field(default_factory=Work)
    padded: Work = field(default_factory=Work)
    rewards: list[float] = field(default_factory=list)


def check_groups(rows: int, steps_per_generation: int, samples: int, processes: int) -> None:
    """Refuse a layout in which a process would see part of a group: its vote would be another group's.

    Args:
        rows: Samples a process trains on at once.
        steps_per_generation: Micro-batches generated at once.
        samples: Samples of a group.
        processes: Training processes.

    Raises:
        InputError: The samples of a process are no whole number of groups.
    """
    if (rows * steps_per_generation) % samples:
        raise InputError(
            f"{rows} x {steps_per_generation} samples a process are no whole number of groups of {samples}: "
            f"votes would be taken over parts of a group on {processes} process(es)",
            "online",
            "make batch_size (prompts) a multiple of the number of processes",
        )


def train_grpo_online(
    model_dir: Path,
    prompts: Sequence[Prompt],
    interpreter: Interpreter,
    rewards: Rewards,
    online: Online,
    *,
    optim: Optim,
    out: Path,
    seed: int,
    progress: Progress | None = None,
) -> OnlineReport:
    """Tune on prompts alone, sampling for every step.

    Args:
        model_dir: Checkpoint to start from.
        prompts: The pool; TRL shuffles it.
        interpreter: Says what an answer means.
        rewards: How readings become rewards.
        online: See `Online`.
        optim: `batch_size` counts prompts; `epochs` has no meaning here.
        out: Folder of the new checkpoint.
        seed: Of sampling and order.
        progress: See `tao.training.settings.Progress`.

    Raises:
        InputError: Fewer prompts than a step takes, adapters or group scaling under weighted votes asked for, several
            processes, or an unusable model.
        Diverged: The loss stopped being a number; nothing was written.
    """
    from datasets import Dataset
    from trl import GRPOTrainer

    processes = int(os.environ.get("WORLD_SIZE", "1"))
    samples = optim.batch_size * online.samples
    micro = _micro(samples, optim)
    check_groups(micro, samples // micro // max(1, processes), online.samples, processes)
    if processes > 1:
        raise InputError("online GRPO runs on one process here", "WORLD_SIZE", "train frozen rounds instead")
    if online.scale == "group" and rewards.confidence:
        raise InputError("dividing by the group's deviation cancels the weights of confidence", "scale", "use none")
    if optim.lora:
        raise InputError("online GRPO trains all weights", "lora", "use an offline objective with adapters")
    if len(prompts) < optim.batch_size:
        raise InputError(
            f"{len(prompts)} prompts, fewer than a step's {optim.batch_size}", "batch_size", "make it smaller"
        )
    by_id = {prompt.id: prompt for prompt in prompts}
    shape, account = ModelShape.from_config(model_dir), _Account()
    with isolated(), tempfile.TemporaryDirectory() as scratch:
        model, tokenizer = load(model_dir)
        stop = stop_ids(tokenizer, model.generation_config)
        lengths = {prompt.id: len(prompt_ids(tokenizer, prompt.messages)) for prompt in prompts}

        def decode(ids: list[int]) -> str:
            return str(tokenizer.decode(ids, skip_special_tokens=True))

        def votes(completion_ids: list[list[int]], prompt_id: list[str], **_: Any) -> list[float | None]:
            """Advantages of whole groups; None where a sample must not be trained on."""
            found: list[float | None] = []
            everything: list[Score] = []
            for at in range(0, len(prompt_id), online.samples):
                names = set(prompt_id[at : at + online.samples])
                if len(names) != 1 or at + online.samples > len(prompt_id):
                    raise RuntimeError(f"TRL handed over part of a group: prompts {sorted(names)}")
                prompt = by_id[names.pop()]
                group = [
                    _sample(prompt, number, ids, decode(ids), stop=stop, tok=lengths[prompt.id])
                    for number, ids in enumerate(completion_ids[at : at + online.samples])
                ]
                scores = combine(group, read_answers(prompt, group, interpreter, rule=rewards.mentions), rewards)
                everything += scores
                silent = all(score.advantage is None for score in scores)
                account.abstained += silent
                # TRL takes None for 0 as well, but complains of every one.
                found += [0.0 if silent else score.advantage for score in scores]
            _charge(account, shape, [lengths[name] for name in prompt_id], completion_ids, online.samples)
            judged = [score.reward for score in everything if score.reward is not None]
            account.rewards.append(sum(judged) / len(judged) if judged else 0.0)
            return found

        rows = [
            {"prompt": [{"role": m.role, "content": m.content} for m in p.messages], "prompt_id": p.id} for p in prompts
        ]
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*gradient_checkpointing.*", category=FutureWarning)
            args = _arguments(optim, online, micro, seed, Path(scratch))
        trainer = GRPOTrainer(
            model=model,
            reward_funcs=votes,
            args=args,
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
        )

        def report(steps: int, metrics: dict[str, float]) -> OnlineReport:
            train = TrainReport(
                checkpoint=out,
                rows=steps * samples,
                steps=steps,
                samples=steps * samples,
                trained=account.trained,
                trained_padded=account.padded,
                head_again_tok=account.padded.head_tok,
                metrics=metrics,
            )
            return OnlineReport(
                train,
                account.prompt_tok,
                account.completion_tok,
                account.model_flop,
                account.device_flop,
                account.abstained,
                tuple(account.rewards),
            )

        try:
            steps, metrics = run(trainer, progress)
        except Diverged as error:
            error.report = report(error.steps, {}).train
            raise
        save(model, tokenizer, out)
        return report(steps, metrics)


def _micro(samples: int, optim: Optim) -> int:
    """Samples a forward pass: the largest divisor of a step's samples that keeps `micro_tok` at the longest row."""
    fits = max(1, optim.micro_tok // optim.max_row_tok)
    return max(n for n in range(1, samples + 1) if samples % n == 0 and n <= fits)


def _sample(prompt: Prompt, number: int, ids: list[int], text: str, *, stop: frozenset[int], tok: int) -> Sample:
    reason = "stop" if ids and ids[-1] in stop else "length"
    return Sample(prompt.id, "direct", number, text, deployment_form("direct", text), tuple(ids), tok, reason)


def _charge(
    account: _Account,
    shape: ModelShape,
    prompt_tok: Sequence[int],
    completions: Sequence[Sequence[int]],
    samples: int,
) -> None:
    """Add one generation batch (one step): generated as a rectangle, trained as (parts of) the same rectangle."""
    longest, widest, rows = max(prompt_tok), max(map(len, completions)), len(completions)
    account.prompt_tok += sum(prompt_tok[::samples])
    account.completion_tok += sum(map(len, completions))
    account.model_flop += sum(forward_flop(shape, tok, 1) for tok in prompt_tok[::samples])
    for tok, ids in zip(prompt_tok, completions, strict=True):
        account.model_flop += decode_flop(shape, tok, len(ids))
        account.trained = account.trained.plus(tok + len(ids), len(ids))
    decoding = [rows] * (widest - 1)
    account.device_flop += generation_device_flop(shape, rows, longest, decoding, decoding)
    # TRL's fused head takes all positions but the last to the vocabulary, the prompt's too.
    account.padded = account.padded.plus(longest + widest, longest + widest - 1, rows)


def _arguments(optim: Optim, online: Online, micro: int, seed: int, scratch: Path) -> Any:
    import torch
    from trl import GRPOConfig

    accumulate = optim.batch_size * online.samples // micro
    return GRPOConfig(
        output_dir=str(scratch),
        learning_rate=optim.learning_rate,
        lr_scheduler_type="constant_with_warmup" if optim.decay == "constant" else "linear",
        warmup_steps=optim.warmup,
        weight_decay=optim.weight_decay,
        max_grad_norm=optim.max_grad_norm,
        max_steps=online.steps,
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=accumulate,
        steps_per_generation=accumulate,
        num_iterations=1,
        num_generations=online.samples,
        max_completion_length=online.max_new_tok,
        temperature=online.temperature,
        top_k=0,
        top_p=1.0,
        epsilon=online.clip_low,
        epsilon_high=online.clip_high,
        loss_type=online.loss,
        scale_rewards=online.scale,
        beta=0.0,
        gradient_checkpointing=False,
        use_cpu=not torch.cuda.is_available(),
        bf16=optim.precision == "bf16",
        dataloader_pin_memory=False,
        seed=seed,
        data_seed=seed,
        report_to="none",
        save_strategy="no",
        logging_steps=1,
        logging_nan_inf_filter=False,
        disable_tqdm=True,
    )
