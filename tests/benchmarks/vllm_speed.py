"""Sampling with vLLM against the transformers sampler, and how often their greedy answers agree, in one run.

    TAO_VLLM_PYTHON=/path/to/vllm-env/bin/python python tests/benchmarks/vllm_speed.py

Both sample the shipped reference model in bfloat16 on one CPU thread: prompts of a task's dev split, fresh ones in each
repetition, eight samples each at temperature 1, in chunks of the same prompts. vLLM's seconds do not hold the start of
its engine, which is printed apart: it is paid once a round. CPU seconds are compared (of this process and of the
engine's), best of several alternating repetitions, so a busy machine matters less. Greedy answers are compared as
texts, in both precisions.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path

import torch

from tao.prompts import Prompt
from tao.sampling.protocol import Chunk, Request, Settings
from tao.sampling.transformers_sampler import TransformersSampler
from tao.sampling.vllm_sampler import VllmSampler
from tao_bench.models import reference_path
from tao_bench.registry import load_task

Either = TransformersSampler | VllmSampler


def cpu_s(process: int) -> float:
    """CPU seconds of a process so far, its threads included."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def spent(sampler: Either) -> float:
    """CPU seconds of whatever a sampler computes with."""
    own = time.process_time()
    return own + cpu_s(sampler._process.pid) if isinstance(sampler, VllmSampler) and sampler._process else own


def sample(sampler: Either, prompts: list[Prompt], settings: Settings, n: int, seed: int) -> list[Chunk]:
    """All chunks of all prompts."""
    requests = [Request(prompt.id, prompt.messages, n) for prompt in prompts]
    return [sampler.run(plan) for plan in sampler.chunks(requests, settings, seed)]


def texts(chunks: list[Chunk]) -> dict[str, str]:
    """Request to the text of its first sample."""
    return {one.key: one.text for chunk in chunks for one in chunk.completions if one.index == 0}


def main() -> None:
    """Print speeds, their ratio, and the share of equal greedy answers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="warehouse_sql")
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    task = load_task(options.task)
    every = [item.prompt for item in task.items("dev")]
    prompts = every[: options.prompts]
    if len(every) < (options.repeats + 2) * options.prompts:
        parser.error(f"{options.task} has {len(every)} dev items: fewer prompts or repeats, please")
    limits = task.spec.limits
    hot = Settings(limits.max_prompt_tok, limits.max_new_tok, 1.0)
    greedy = Settings(limits.max_prompt_tok, limits.max_new_tok, 0.0)

    for dtype in ("float32", "bfloat16"):
        ours, theirs = TransformersSampler(reference_path(), dtype=dtype), VllmSampler(reference_path(), dtype=dtype)
        said = texts(sample(ours, prompts, greedy, 1, 0))
        started = time.perf_counter()
        theirs._start(hot)
        start_s, start_cpu_s = time.perf_counter() - started, spent(theirs) - time.process_time()
        served = texts(sample(theirs, prompts, greedy, 1, 0))
        same = sum(said[key] == served[key] for key in said)
        print(f"{dtype}: {same} of {len(said)} greedy answers are equal ({same / len(said):.1%})", flush=True)
        if dtype == "bfloat16":
            speeds: dict[str, list[float]] = {"transformers": [], "vllm": []}
            for repeat in range(options.repeats + 1):
                fresh = every[(repeat + 1) * options.prompts :][: options.prompts]  # in no cache yet
                for name, sampler in (("transformers", ours), ("vllm", theirs)):
                    before = spent(sampler)
                    chunks = sample(sampler, fresh, hot, options.samples, repeat)
                    if repeat:  # the first is for warming up
                        tok = sum(chunk.completion_tok for chunk in chunks)
                        speeds[name].append(tok / (spent(sampler) - before))
            best = {name: max(values) for name, values in speeds.items()}
            middle = {name: statistics.median(values) for name, values in speeds.items()}
            print(
                f"sampling, tokens a CPU second, best of {options.repeats} (median): "
                + ", ".join(f"{name} {best[name]:,.0f} ({middle[name]:,.0f})" for name in best)
                + f"; vllm / transformers {best['vllm'] / best['transformers']:.2f}"
            )
            print(f"starting the engine, once a round: {start_cpu_s:.1f} CPU s, {start_s:.1f} s")
        ours.close()
        theirs.close()


if __name__ == "__main__":
    main()
