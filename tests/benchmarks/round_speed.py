"""One TAO round against one step of TRL's stock `GRPOTrainer`: same prompts, same number of samples, one run.

    python tests/benchmarks/round_speed.py
    python tests/benchmarks/round_speed.py --model MODEL_DIR --prompts pool.jsonl

A round is explore + score + train with everything a run pays: loading the model twice, files, hashes,
saving. A GRPO step is generate + reward + optimise inside a warm trainer. Both take 256 samples (32 prompts
x 8) of the reference model on the text-to-SQL pool, on one thread, in one optimiser step. The round trains
under bf16 autocast; TRL runs with it and without, and its better time counts. The reward costs nothing on
either side, so it is the machinery that is compared. CPU seconds count (a busy machine matters less); wall
seconds stand beside them.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import torch
from transformers import TrainerCallback
from transformers.utils import logging

from tao.loop import tune
from tao.meaning import Outcome, Reading
from tao.prompts import Prompt, read_prompts
from tao.recipe import Recipe
from tao_bench.registry import load_task

PROMPTS, SAMPLES = 32, 8
REFERENCE = Path(__file__).parents[2] / "tao_bench" / "reference" / "model"


def parity(answer: str) -> int:
    """A meaning that is free to read and on which about half of the answers agree."""
    return sum(map(ord, answer)) % 2


class Parity:
    """Reads an answer's parity."""

    name, version = "parity", "1"

    def read(self, prompt: Prompt, answers: Sequence[str]) -> list[Reading]:
        return [Reading(Outcome.OK, str(parity(answer))) for answer in answers]

    def close(self) -> None:
        pass


def tao_round(model: Path, prompts: list[Prompt], max_new_tok: int, out: Path) -> tuple[float, float]:
    """CPU and wall seconds of one round."""
    recipe = Recipe(rounds=1, samples=SAMPLES, max_new_tok=max_new_tok, batch_size=len(prompts))
    cpu, wall = time.process_time(), time.perf_counter()
    result = tune(model, prompts, Parity(), recipe, out)
    spent = time.process_time() - cpu, time.perf_counter() - wall
    figures = result.rounds[0]
    print(f"  trained on {figures.training['samples']:.0f} samples in {figures.training['steps']:.0f} step", end=", ")
    print((out / "timing.jsonl").read_text().replace("\n", " "))
    return spent


class Clock(TrainerCallback):
    """CPU and wall seconds of every step but the first."""

    def __init__(self) -> None:
        self.steps: list[tuple[float, float]] = []
        self.start = (0.0, 0.0)

    def on_step_begin(self, *args: Any, **kwargs: Any) -> None:
        self.start = (time.process_time(), time.perf_counter())

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        self.steps.append((time.process_time() - self.start[0], time.perf_counter() - self.start[1]))


def grpo_steps(
    model: Path, prompts: list[Prompt], max_new_tok: int, steps: int, out: Path, *, bf16: bool
) -> list[tuple[float, float]]:
    """CPU and wall seconds of warm GRPO steps over all prompts."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    def reward(prompts: list[Any], completions: list[Any], **kwargs: Any) -> list[float]:
        return [float(parity(completion[0]["content"])) for completion in completions]

    samples = len(prompts) * SAMPLES
    args = GRPOConfig(
        output_dir=str(out),
        report_to="none",
        use_cpu=True,
        bf16=bf16,
        gradient_checkpointing=False,
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        seed=0,
        max_steps=steps + 1,
        learning_rate=2e-4,
        per_device_train_batch_size=samples // 4,
        gradient_accumulation_steps=4,
        num_generations=SAMPLES,
        max_completion_length=max_new_tok,
        temperature=1.0,
        top_k=0,
        beta=0.0,
        scale_rewards="none",
        loss_type="dr_grpo",
        dataloader_pin_memory=False,
    )
    chats = [{"prompt": [{"role": m.role, "content": m.content} for m in p.messages]} for p in prompts]
    clock = Clock()
    # A step consumes every prompt once: steps_per_generation defaults to the accumulation steps.
    trainer = GRPOTrainer(
        model=str(model), reward_funcs=reward, args=args, train_dataset=Dataset.from_list(chats), callbacks=[clock]
    )
    trainer.train()
    return clock.steps[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=REFERENCE, help="another checkpoint folder")
    parser.add_argument("--prompts", type=Path, help="a pool instead of warehouse_sql's (its first 32 prompts)")
    parser.add_argument("--max-new-tok", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        pool = read_prompts(args.prompts) if args.prompts else load_task("warehouse_sql").pool()
        prompts = pool[:PROMPTS]
        # Rounds before and after the steps, so that neither has the quiet half of a busy machine to itself.
        early = range(args.repeats // 2)
        rounds = [tao_round(args.model, prompts, args.max_new_tok, folder / f"tao{i}") for i in early]
        steps = []
        for bf16 in (True, False):  # autocast makes training faster and generating slower: its better one counts
            found = grpo_steps(args.model, prompts, args.max_new_tok, args.repeats, folder / "grpo", bf16=bf16)
            print(f"  TRL with {'bf16 autocast' if bf16 else 'float32'}: {min(found)[0]:.2f} CPU s")
            steps += found
        late = range(args.repeats // 2, args.repeats)
        rounds += [tao_round(args.model, prompts, args.max_new_tok, folder / f"tao{i}") for i in late]
    best_step, best_round = min(steps), min(rounds)
    print(f"samples: {len(prompts) * SAMPLES}, best of {args.repeats}")
    print(f"TRL GRPOTrainer step: {best_step[0]:6.2f} CPU s, {best_step[1]:6.2f} wall s")
    print(f"TAO round:            {best_round[0]:6.2f} CPU s, {best_round[1]:6.2f} wall s")
    print(f"ratio (TAO / TRL):    {best_round[0] / best_step[0]:6.2f}")


if __name__ == "__main__":
    main()
