"""CPU seconds an optimiser step of every objective takes, all weights and adapters, and whether its FLOPs are exact.

    python -m tests.benchmarks.objective_speed
    python -m tests.benchmarks.objective_speed --model MODEL_DIR --prompts pool.jsonl

All train on the same 256 samples (32 prompts x 8) of the reference model on the text-to-SQL pool, less those of prompts
that abstain, on one thread, one step over all of them an epoch. The second of two steps is timed; loading, round-start
log-probabilities, the first step, merging and saving are in the column `rest`. Votes are taken over a meaning that is
free to read (the answer's parity), so that about half of the answers win. The last column holds `device_flop` of a
stage of one step against torch's `FlopCounterMode`, which counts no CPU flash kernel (attention runs unfused there) and
overlooks in-place products of TRL's fused head (``rft``).
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers.utils import logging

from tao.compute import Ledger, ModelShape
from tao.prompts import read_prompts
from tao.recipe import make_recipe
from tao.sampling.explore import explore
from tao.sampling.protocol import Settings
from tao.sampling.transformers_sampler import TransformersSampler
from tao.scoring.combine import Rewards
from tao.scoring.score import ScoredRound, score
from tao.training.engine import load
from tao.training.lora import Lora, flash_recompute_flop
from tao.training.objectives import NAMES
from tao.training.offline import train_offline
from tao.training.rft import train_rft, winners
from tao.training.settings import Optim, Progress, TrainReport, device_flop
from tao.training.tokens import stop_ids
from tao_bench.registry import load_task
from tests.benchmarks.round_speed import REFERENCE, Parity

PROMPTS, SAMPLES = 32, 8


def sampled(model: Path, prompts_file: Path | None, folder: Path) -> ScoredRound:
    """The round that all objectives train on."""
    pool = read_prompts(prompts_file) if prompts_file else load_task("warehouse_sql").pool()
    prompts = pool[:PROMPTS]
    out = folder / "samples.jsonl"
    sampler = TransformersSampler(model)
    settings = Settings(max_prompt_tok=640, max_new_tok=64, temperature=1.0)
    ledger = Ledger(folder / "ledger.jsonl")
    explore(prompts, sampler, {"direct": SAMPLES}, settings, seed=0, round=0, out=out, ledger=ledger)
    return score(prompts, out, Parity(), Rewards(), out=folder / "scores.jsonl")


def stage(
    model: Path, scored: ScoredRound, name: str, optim: Optim, out: Path, *, progress: Progress | None = None
) -> TrainReport:
    objective = make_recipe({"objective": name}).loss()
    if objective is None:
        return train_rft(model, [scored], optim, out, seed=0, progress=progress)
    return train_offline(model, scored, objective, optim, out, seed=0, progress=progress)


def rows_of(model: Path, scored: ScoredRound, name: str, optim: Optim) -> int:
    """Rows of the round: one step takes them all."""
    objective = make_recipe({"objective": name}).loss()
    if objective is None:
        return len(winners([scored], 1))
    loaded, tokenizer = load(model)
    return len(objective.rows(scored, tokenizer, stop_ids(tokenizer, loaded.generation_config), optim.max_row_tok)[0])


def timed(work: Callable[..., TrainReport]) -> tuple[float, float, int]:
    """CPU seconds of the second of two steps and of everything else; samples trained on."""
    start, ends = time.process_time(), []
    report = work(progress=lambda stage, done, everything: ends.append(time.process_time()))
    assert report.steps == len(ends) == 2, report
    step = ends[1] - ends[0]
    return step, time.process_time() - start - step, report.samples


def exact(report: TrainReport, counted: int, shape: ModelShape) -> str:
    """What is charged as executed beside the counter, made comparable (see the module's docstring)."""
    squares = report.trained_padded.seq_tok_sq
    lora = report.lora
    flash = flash_recompute_flop(shape, lora, squares) if lora else shape.attention_flop * squares // 2
    overlooked = report.head_again_tok * shape.head_flop * (1 if lora else 2)
    charged = device_flop(report, shape)
    return f"{charged:.4g} {'equal' if charged == counted + flash + overlooked else 'DIFFERS'}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=REFERENCE, help="another checkpoint folder")
    parser.add_argument("--prompts", type=Path, help="a pool instead of warehouse_sql's (its first 32 prompts)")
    parser.add_argument("--repeats", type=int, default=2, help="the best of so many counts")
    parser.add_argument("--skip-count", action="store_true", help="time only, do not count FLOPs")
    parser.add_argument("--objectives", nargs="+", choices=NAMES, help="only these")
    args = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    shape = ModelShape.from_config(args.model)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        scored = sampled(args.model, args.prompts, folder)
        print(
            f"{'objective':18} {'rows':>5} {'samples':>7} {'step CPU s':>10} {'rest CPU s':>10}  device_flop (counter)"
        )
        for lora in (None, Lora()):
            one = Optim(batch_size=PROMPTS, lora=lora, learning_rate=1e-3 if lora else 2e-4)
            two = replace(one, epochs=2)
            for name in args.objectives or NAMES:
                size = rows_of(args.model, scored, name, one)
                train = partial(stage, args.model, scored, name)
                verdict = "not counted"
                if not args.skip_count:
                    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
                        verdict = exact(train(one, folder / "out"), counter.get_total_flops(), shape)
                work = partial(train, replace(two, batch_size=size), folder / "out")
                step, rest, samples = min(timed(work) for _ in range(args.repeats))
                label = name + (f" lora r={lora.r}" if lora else "")
                print(f"{label:21} {size:5} {samples:7} {step:10.2f} {rest:10.2f}  {verdict}", flush=True)


if __name__ == "__main__":
    main()
