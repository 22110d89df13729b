"""How long until the tuned model is as good as a stock TRL `GRPOTrainer` makes it at its best rate? CPU seconds.

    python -m tests.benchmarks.time_to_quality --keep runs/time_to_quality --out results/time_to_quality.md

About an hour, most of it TRL's; every finished part stays in ``--keep``, and the page is written after each rate.

Same model (reference), same prompts (the first 400 of the document task's pool), same signal (the label-free vote of
`tao.scoring`, handed to TRL as a reward function over whole groups), 8 samples a prompt, one thread. TRL takes 32
prompts a step (256 samples) and every prompt once; it is tuned over learning rates, each rate a run, and its best point
on dev counts. TAO runs its published recipe. Models are judged greedily on dev between steps with the clock stopped; a
model's time is all CPU that its run had spent by then (loading, files and hashes included for TAO). Dev is small, so
the interval of the difference stands beside the times. Autocast makes TRL's training faster and its generating slower:
the faster of the two in a trial step is used.

The last table says where a TAO round's wall seconds go: forward passes and backward passes of the model, and all else.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import numpy as np
import torch
from transformers import TrainerCallback
from transformers.utils import logging

from tao.loop import tune
from tao.prompts import Prompt, Sample
from tao.recipe import make_recipe
from tao.sampling.explore import greedy_answers
from tao.sampling.protocol import Settings
from tao.sampling.transformers_sampler import TransformersSampler
from tao.scoring.combine import Rewards, combine
from tao.scoring.score import read_answers
from tao_bench.registry import Task, load_task
from tao_bench.stats import Estimate, Scores, difference
from tao_bench.task import read_labels
from tests.benchmarks.round_speed import REFERENCE

TASK, PROMPTS, SAMPLES, STEP = "sec_filings", 400, 8, 32
RATES = (5e-5, 1e-4, 2e-4)
RECIPE = {
    "objective": "rft",
    "restart": True,
    "epochs": 3,
    "decay": "linear",
    "learning_rate": 8e-4,
    "batch_size": 16,
    "mix": {"direct": 1, "reorder": 1},
    "support": 0.25,
    "prompts_per_round": 200,
    "rounds": 2,
    "samples": SAMPLES,
}
"""As published (`scaling_filings`)."""


@dataclass(frozen=True, slots=True)
class Reached:
    """A model on the way: whose, after how many CPU and wall seconds, and whether it is right on each dev item."""

    name: str
    cpu_s: float
    wall_s: float
    right: tuple[bool, ...]
    shares: str = ""
    """Where its wall seconds went, in words."""

    @property
    def accuracy(self) -> float:
        return sum(self.right) / len(self.right)


class Judge:
    """Greedy accuracy on dev; its own seconds are kept apart."""

    def __init__(self, task: Task, items: int, scratch: Path) -> None:
        self.items = task.items("dev")[:items]
        self.task, self.scratch, self.number = task, scratch, 0
        self.labels = read_labels(task.data, "dev")

    def __call__(self, model: Path) -> tuple[bool, ...]:
        self.number += 1
        limits = self.task.spec.limits
        prompts = [item.prompt for item in self.items]
        sampler, verifier = TransformersSampler(model), self.task.verifier()
        try:
            settings = Settings(limits.max_prompt_tok, limits.max_new_tok, 0.0)
            path = greedy_answers(prompts, sampler, settings, self.scratch / f"{self.number}.jsonl")
            from tao.sampling.samples import read_samples

            answers = read_samples(path)
            graded = (
                verifier.grade(p, self.labels[p.id].gold, answers[p.id][0].text, answers[p.id][0].finish_reason)
                for p in prompts
            )
            return tuple(verdict.score == 1.0 for verdict in graded)
        finally:
            sampler.close()
            verifier.close()


def votes_over(task: Task, prompts: Sequence[Prompt], interpreter: Any) -> Any:
    """The label-free reward as a TRL reward function: the vote of each whole group of completions."""
    by_id, rewards = {prompt.id: prompt for prompt in prompts}, Rewards(support=RECIPE["support"])

    def reward(completions: list[Any], prompt_id: list[str], **kwargs: Any) -> list[float]:
        found: list[float] = []
        for at in range(0, len(prompt_id), SAMPLES):
            prompt = by_id[prompt_id[at]]
            texts = [completion[0]["content"] for completion in completions[at : at + SAMPLES]]
            group = [Sample(prompt.id, "direct", i, text, text, (), 1, "stop") for i, text in enumerate(texts)]
            scores = combine(group, read_answers(prompt, group, interpreter), rewards)
            # A prompt that abstains teaches nothing: equal rewards give no advantage.
            silent = all(score.advantage is None for score in scores)
            found += [0.0 if silent or score.reward is None else score.reward for score in scores]
        return found

    return reward


class Clock(TrainerCallback):
    """Stops at given steps, saves the model and lets it be judged, with the clock stopped."""

    def __init__(self, every: int, judge: Any, folder: Path, tokenizer: Any, name: str) -> None:
        self.every, self.judge, self.folder, self.tokenizer, self.name = every, judge, folder, tokenizer, name
        self.reached: list[Reached] = []
        self.cpu, self.wall = time.process_time(), time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        if self.judge is None or (state.global_step % self.every and state.global_step != state.max_steps):
            return
        cpu, wall = time.process_time(), time.perf_counter()
        model.save_pretrained(self.folder)
        self.tokenizer.save_pretrained(self.folder)
        threads, grad = torch.get_num_threads(), model.training
        right = self.judge(self.folder)
        torch.set_num_threads(threads)
        model.train(grad)
        self.reached.append(Reached(f"{self.name}, step {state.global_step}", cpu - self.cpu, wall - self.wall, right))
        self.cpu += time.process_time() - cpu
        self.wall += time.perf_counter() - wall


def grpo(
    model: Path,
    task: Task,
    prompts: Sequence[Prompt],
    rate: float,
    *,
    steps: int,
    judge: Judge | None,
    bf16: bool,
    step: int = STEP,
) -> tuple[list[Reached], float]:
    """A stock GRPO run: models judged every third step, and the CPU seconds of all of it (without judging)."""
    from datasets import Dataset
    from transformers import AutoTokenizer
    from trl import GRPOConfig, GRPOTrainer

    with tempfile.TemporaryDirectory() as scratch:
        samples = step * SAMPLES
        args = GRPOConfig(
            output_dir=scratch,
            report_to="none",
            use_cpu=True,
            bf16=bf16,
            gradient_checkpointing=False,
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            seed=0,
            max_steps=steps,
            learning_rate=rate,
            lr_scheduler_type="constant",
            per_device_train_batch_size=samples // 8,
            gradient_accumulation_steps=8,
            num_generations=SAMPLES,
            max_completion_length=task.spec.limits.max_new_tok,
            temperature=1.0,
            top_k=0,
            beta=0.0,
            dataloader_pin_memory=False,
        )
        rows = [
            {"prompt": [{"role": m.role, "content": m.content} for m in p.messages], "prompt_id": p.id} for p in prompts
        ]
        interpreter = task.interpreter()
        tokenizer = AutoTokenizer.from_pretrained(model)
        clock = Clock(3, judge, Path(scratch) / "model", tokenizer, f"GRPO {rate:g}")
        try:
            trainer = GRPOTrainer(
                model=str(model),
                reward_funcs=votes_over(task, prompts, interpreter),
                args=args,
                train_dataset=Dataset.from_list(rows),
                callbacks=[clock],
            )
            trainer.train()
        finally:
            interpreter.close()
        return clock.reached, time.process_time() - clock.cpu


@contextmanager
def model_seconds() -> Iterator[dict[str, float]]:
    """Wall seconds in outermost forward passes of a transformers model, and in backward passes."""
    from transformers import PreTrainedModel

    spent, open_calls = {"forward": 0.0, "backward": 0.0}, [0, 0.0]
    call, backward = PreTrainedModel.__call__, torch.autograd.backward

    def timed_call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if open_calls[0] == 0:
            open_calls[1] = time.perf_counter()
        open_calls[0] += 1
        try:
            return call(self, *args, **kwargs)
        finally:
            open_calls[0] -= 1
            if open_calls[0] == 0:
                spent["forward"] += time.perf_counter() - open_calls[1]

    def timed_backward(*args: Any, **kwargs: Any) -> Any:
        started = time.perf_counter()
        try:
            return backward(*args, **kwargs)
        finally:
            spent["backward"] += time.perf_counter() - started

    PreTrainedModel.__call__ = timed_call
    torch.autograd.backward = timed_backward
    try:
        yield spent
    finally:
        PreTrainedModel.__call__ = call
        torch.autograd.backward = backward


def tao(model: Path, task: Task, prompts: Sequence[Prompt], judge: Judge, out: Path) -> list[Reached]:
    """A TAO run round by round, each judged, and where its wall seconds went."""
    limits = task.spec.limits
    fields = {**RECIPE, "max_prompt_tok": limits.max_prompt_tok + 16, "max_new_tok": limits.max_new_tok}
    reached, cpu, wall, inside = [], 0.0, 0.0, {"forward": 0.0, "backward": 0.0}
    for rounds in range(1, int(RECIPE["rounds"]) + 1):
        interpreter = task.interpreter()
        at_cpu, at_wall = time.process_time(), time.perf_counter()
        with model_seconds() as spent:
            result = tune(model, prompts, interpreter, make_recipe({**fields, "rounds": rounds}), out)
        cpu, wall = cpu + time.process_time() - at_cpu, wall + time.perf_counter() - at_wall
        inside = {name: inside[name] + seconds for name, seconds in spent.items()}
        interpreter.close()
        rest = wall - sum(inside.values())
        shares = ", ".join(f"{name} {seconds:.0f} s ({seconds / wall:.0%})" for name, seconds in inside.items())
        shares = f"{wall:.0f} s: {shares}, all else {rest:.0f} s ({rest / wall:.0%})"
        reached.append(Reached(f"TAO, round {rounds}", cpu, wall, judge(result.checkpoint), shares))
    return reached


def gain(one: Reached, other: Reached, judge: Judge) -> Estimate:
    """Difference in accuracy on dev, paired by item, in clusters."""
    items = tuple(item.prompt.id for item in judge.items)
    clusters = tuple(item.cluster for item in judge.items)

    def scores(reached: Reached) -> Scores:
        return Scores(np.array([reached.right], dtype=np.float64), items, clusters, (0,))

    return difference(scores(one), scores(other))


def page(
    base: Reached,
    stock: Sequence[Reached],
    ours: Sequence[Reached],
    judge: Judge,
    *,
    rates: Sequence[float],
    bf16: bool,
) -> str:
    """The result as markdown."""
    best = max(stock, key=lambda one: (one.accuracy, -one.cpu_s))
    first = next((one for one in ours if one.accuracy >= best.accuracy), None)
    lines = [
        f"# Time to quality: TAO against a stock GRPOTrainer at {len(rates)} learning rate{'s' * (len(rates) > 1)}",
        "",
        f"Made by `python -m tests.benchmarks.time_to_quality --rates {' '.join(f'{rate:g}' for rate in rates)}`. "
        f"{TASK}, {PROMPTS} prompts x {SAMPLES} samples, dev {len(judge.items)} items, one thread of "
        f"{platform.machine()}, torch {torch.__version__}, TRL with {'bf16 autocast' if bf16 else 'float32'}; "
        f"its learning rates: {', '.join(f'{rate:g}' for rate in rates)}.",
        "",
        "| model | CPU s | wall s | dev | above base, 95 % interval |",
        "|---|--:|--:|--:|--:|",
    ]
    lines.append(f"| {base.name} | 0 | 0 | {base.accuracy:.1%} | |")
    for one in [*stock, *ours]:
        est = gain(one, base, judge)
        lines.append(
            f"| {one.name} | {one.cpu_s:.0f} | {one.wall_s:.0f} | {one.accuracy:.1%} | "
            f"{100 * est.value:+.1f} [{100 * est.low:+.1f}, {100 * est.high:+.1f}] |"
        )
    lines += [
        "",
        f"Best point of GRPO over these rates: **{best.name}**, {best.accuracy:.1%} after {best.cpu_s:.0f} CPU s.",
    ]
    if first is None:
        lines.append("TAO did not reach it.")
    else:
        est = gain(first, best, judge)
        lines.append(
            f"TAO is there after **{first.cpu_s:.0f} CPU s** ({first.name}, {first.accuracy:.1%}): "
            f"**{first.cpu_s / best.cpu_s:.2f}** of the time. Difference of the two models on dev "
            f"{100 * est.value:+.1f} [{100 * est.low:+.1f}, {100 * est.high:+.1f}]."
        )
    lines += ["", f"Where TAO's wall seconds went, of {ours[-1].shares} (the optimiser is in all else)."]
    return "\n".join(lines) + "\n"


def trial(task: Task, prompts: Sequence[Prompt], *, bf16: bool) -> Reached:
    """The CPU seconds of one small step of GRPO."""
    spent = grpo(REFERENCE, task, prompts, 1e-6, steps=1, judge=None, bf16=bf16, step=STEP // 4)[1]
    return Reached("trial", spent, 0.0, ())


def kept(path: Path, make: Callable[[], list[Reached]]) -> list[Reached]:
    """What an earlier run measured, or what `make` measures now."""
    if not path.is_file():
        path.write_text(json.dumps([asdict(one) for one in make()]) + "\n", encoding="utf-8")
    return [Reached(**{**row, "right": tuple(row["right"])}) for row in json.loads(path.read_text(encoding="utf-8"))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=360, help="dev items (360)")
    parser.add_argument("--rates", type=float, nargs="+", default=RATES, help="GRPO's learning rates")
    parser.add_argument("--steps", type=int, default=PROMPTS // STEP, help="GRPO's steps: every prompt once")
    parser.add_argument("--keep", type=Path, help="folder for finished parts, to go on after a stop (default: none)")
    parser.add_argument("--out", type=Path, help="write the page there")
    args = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    task = load_task(TASK)
    prompts = task.pool()[:PROMPTS]
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        judge = Judge(task, args.items, Path(scratch))
        base, *_ = kept(folder / "base.json", lambda: [Reached("base", 0.0, 0.0, judge(REFERENCE))])
        ours = kept(folder / "tao.json", lambda: tao(REFERENCE, task, prompts, judge, Path(scratch) / "tao"))
        faster = kept(folder / "trial.json", lambda: [trial(task, prompts, bf16=kind) for kind in (True, False)])
        bf16 = faster[0].cpu_s < faster[1].cpu_s
        stock: list[Reached] = []
        for number, rate in enumerate(args.rates):
            stock += kept(
                folder / f"grpo-{rate:g}-{args.steps}.json",
                lambda rate=rate: grpo(REFERENCE, task, prompts, rate, steps=args.steps, judge=judge, bf16=bf16)[0],
            )
            text = page(base, stock, ours, judge, rates=args.rates[: number + 1], bf16=bf16)
            if args.out:
                args.out.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
