"""Sampling speed against bare `transformers.generate`, as a ratio measured in one run.

    python tests/benchmarks/sampling_speed.py

A 4 M-parameter Llama in bfloat16 on one thread: 16 prompts of 200 tokens, 16 samples each. Both draw
from the full distribution at temperature 1 with the same prompts, batch and limits. Two cases:
answers of 30 tokens each, and answers that end at random (32 tokens on average, 96 at most).
CPU seconds are compared, best of several alternating repetitions, so a busy machine matters less.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM
from transformers.utils import logging

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from conftest import write_model, write_tokenizer

from tao.prompts import Message
from tao.sampling.protocol import Request, Settings
from tao.sampling.transformers_sampler import TransformersSampler

PROMPTS, SAMPLES, PROMPT_TOK, VOCAB = 16, 16, 200, 2048
SHAPE = {
    "hidden_size": 192,
    "intermediate_size": 512,
    "num_hidden_layers": 8,
    "num_attention_heads": 6,
    "num_key_value_heads": 6,
}


def best_of(repeats: int, *works: Callable[[], int]) -> list[float]:
    """Tokens per CPU second of each work (which returns its tokens), best of alternating repetitions."""
    best = [0.0] * len(works)
    for repeat in range(repeats + 1):
        for i, work in enumerate(works):
            start_s = time.process_time()
            tokens = work()
            if repeat:
                best[i] = max(best[i], tokens / (time.process_time() - start_s))
    return best


def compare(folder: Path, max_new_tok: int, repeats: int) -> tuple[float, float]:
    """Tokens per CPU second of bare generate and of the sampler."""
    sampler = TransformersSampler(folder, device="cpu")
    rng = random.Random(0)
    frame_tok = 3
    requests = [
        Request(
            f"p{i}",
            (Message("user", "".join(rng.choices("abcdefgh ", k=PROMPT_TOK - frame_tok - rng.randrange(16)))),),
            SAMPLES,
        )
        for i in range(PROMPTS)
    ]
    settings = Settings(max_prompt_tok=PROMPT_TOK, max_new_tok=max_new_tok, chunk_prompts=PROMPTS, pad_lengths=1)
    (plan,) = sampler.chunks(requests, settings, seed=0)
    model = AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.bfloat16).eval()
    rows = sampler._encode(plan.requests)
    ids = torch.tensor([[0] * (PROMPT_TOK - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (PROMPT_TOK - len(row)) + [1] * len(row) for row in rows])
    ends = torch.tensor(model.generation_config.eos_token_id)

    def bare() -> int:
        with torch.inference_mode():
            out = model.generate(
                ids,
                attention_mask=mask,
                do_sample=True,
                top_k=0,
                num_return_sequences=SAMPLES,
                max_new_tokens=max_new_tok,
                pad_token_id=0,
            )[:, PROMPT_TOK:]
        ended = torch.isin(out, ends)
        return int((ended.cumsum(1) - ended.long() == 0).sum())

    def ours() -> int:
        return sampler.run(plan).completion_tok

    speed_bare, speed_ours = best_of(repeats, bare, ours)
    return speed_bare, speed_ours


def main() -> None:
    """Print one line per case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    repeats: int = parser.parse_args().repeats
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    for case, ends, limit in (("30 tokens each", (1,), 30), ("random lengths", (1, *range(300, 363)), 96)):
        with tempfile.TemporaryDirectory() as folder:
            write_tokenizer(Path(folder))
            write_model(Path(folder), vocab=VOCAB, ends=ends, **SHAPE)
            bare, ours = compare(Path(folder), limit, repeats)
        print(f"{case}: bare generate {bare:,.0f} tok/s, sampler {ours:,.0f} tok/s, ratio {ours / bare:.2f}")


if __name__ == "__main__":
    main()
