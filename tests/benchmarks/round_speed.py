"""One TAO round against one step of TRL's stock `GRPOTrainer`: same prompts, same number of samples, one run.

    python tests/benchmarks/round_speed.py
    python tests/benchmarks/round_speed.py --model MODEL_DIR --prompts pool.jsonl

A round is explore + score + train with everything a run pays: loading the model twice, files, hashes,
saving. A GRPO step is generate + reward + optimise inside a warm trainer. Both take 256 samples (32 prompts
x 8) of a 4 M-parameter Llama on one thread, with bf16 autocast in training and one optimiser step. By
default the model is a random one, taught for a moment to answer with some 30 letters. CPU seconds are
compared (a busy machine matters less); wall seconds stand beside them.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from conftest import write_model, write_tokenizer
from transformers import TrainerCallback
from transformers.utils import logging

from tao.loop import tune
from tao.meaning import Outcome, Reading
from tao.prompts import Message, Prompt, read_prompts
from tao.recipe import Recipe
from tao.training.settings import Optim
from tao.training.sft import Example, train_sft

PROMPTS, SAMPLES, PROMPT_CHAR = 32, 8, 190
SHAPE = {
    "hidden_size": 192,
    "intermediate_size": 512,
    "num_hidden_layers": 8,
    "num_attention_heads": 6,
    "num_key_value_heads": 6,
}


class Parity:
    """A meaning that costs nothing to read: whether the answer's first letter is even. Half agree."""

    name, version = "parity", "1"

    def read(self, prompt: Prompt, answers: Sequence[str]) -> list[Reading]:
        return [Reading(Outcome.OK, str(ord(answer.strip()[0]) % 2)) for answer in answers]

    def close(self) -> None:
        pass


def taught_model(folder: Path, rng: random.Random) -> Path:
    """A random model that has learned to stop."""
    raw = folder / "raw"
    write_model(raw, vocab=write_tokenizer(raw), **SHAPE)
    examples = [
        Example(str(i), made_prompt(rng, i).messages, "".join(rng.choices("abcdefgh", k=rng.randrange(22, 38))))
        for i in range(128)
    ]
    train_sft(raw, examples, Optim(learning_rate=3e-3, epochs=3, batch_size=16), folder / "model", seed=0)
    return folder / "model"


def made_prompt(rng: random.Random, number: int) -> Prompt:
    text = "".join(rng.choices("abcdefgh ", k=PROMPT_CHAR - rng.randrange(40)))
    return Prompt(f"p{number}", (Message("user", text),))


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
    model: Path, prompts: list[Prompt], max_new_tok: int, steps: int, out: Path
) -> list[tuple[float, float]]:
    """CPU and wall seconds of warm GRPO steps over all prompts."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    def reward(prompts: list[Any], completions: list[Any], **kwargs: Any) -> list[float]:
        return [float(ord((c[0]["content"].strip() or "a")[0]) % 2) for c in completions]

    samples = len(prompts) * SAMPLES
    args = GRPOConfig(
        output_dir=str(out),
        report_to="none",
        use_cpu=True,
        bf16=True,
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
    parser.add_argument("--model", type=Path, help="a checkpoint folder instead of the random model")
    parser.add_argument("--prompts", type=Path, help="a pool instead of random letters (its first 32 prompts)")
    parser.add_argument("--max-new-tok", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        model = args.model or taught_model(folder, rng)
        prompts = (
            read_prompts(args.prompts)[:PROMPTS] if args.prompts else [made_prompt(rng, i) for i in range(PROMPTS)]
        )
        steps = grpo_steps(model, prompts, args.max_new_tok, args.repeats, folder / "grpo")
        rounds = [tao_round(model, prompts, args.max_new_tok, folder / f"tao{i}") for i in range(args.repeats)]
    best_step, best_round = min(steps), min(rounds)
    print(f"samples: {len(prompts) * SAMPLES}, best of {args.repeats}")
    print(f"TRL GRPOTrainer step: {best_step[0]:6.2f} CPU s, {best_step[1]:6.2f} wall s")
    print(f"TAO round:            {best_round[0]:6.2f} CPU s, {best_round[1]:6.2f} wall s")
    print(f"ratio (TAO / TRL):    {best_round[0] / best_step[0]:6.2f}")


if __name__ == "__main__":
    main()
