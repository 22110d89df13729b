"""The process that holds a vLLM engine: started by `tao.sampling.vllm_sampler`, thrown away when a round ends.

It imports nothing of ours, so that it also runs in an environment that holds vLLM and little else (vLLM pins its
own torch and transformers). One JSON object a line: on stdin first the engine's keyword arguments, then batches;
on stdout one reply a line. Stdin is its life line: when the parent dies, however it dies, the engine goes too.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def _lines() -> Iterator[str]:
    """Lines of stdin; the whole process group ends as soon as stdin closes, even while the engine is at work."""
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            waiting.put(line)
        os.killpg(0, signal.SIGKILL) if os.getpgrp() == os.getpid() else os._exit(1)

    threading.Thread(target=read, daemon=True).start()
    while True:
        yield waiting.get()


def generate(engine: Any, batch: Mapping[str, Any]) -> list[list[tuple[Sequence[int], str]]]:
    """Samples of every prompt of a batch: token ids and why each ended.

    Args:
        engine: A `vllm.LLM`.
        batch: ``prompts`` (token ids), ``seeds`` and ``n`` (samples), one of each a prompt; ``temperature``,
            ``max_tokens``.
    """
    from vllm import SamplingParams

    asked = [
        SamplingParams(
            n=n,
            seed=seed,
            temperature=batch["temperature"],
            max_tokens=batch["max_tokens"],
            top_k=-1,
            top_p=1.0,
            detokenize=False,
        )
        for seed, n in zip(batch["seeds"], batch["n"], strict=True)
    ]
    prompts = [{"prompt_token_ids": ids} for ids in batch["prompts"]]
    outputs = engine.generate(prompts, asked, use_tqdm=False)
    return [
        [
            (list(sample.token_ids), str(sample.finish_reason))
            for sample in sorted(output.outputs, key=lambda o: o.index)
        ]
        for output in outputs
    ]


def main() -> None:
    """Make the engine, then answer batches until stdin closes."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # vLLM prints to stdout

    def reply(body: Mapping[str, Any]) -> None:
        replies.write(json.dumps(body) + "\n")
        replies.flush()

    lines = _lines()
    try:
        from vllm import LLM, __version__
        from vllm.platforms import current_platform

        options = json.loads(next(lines))
        if current_platform.is_cpu():
            options.setdefault("enforce_eager", True)  # compiling takes longer than a round of a small model
            # Where a prompt is split over two batches vLLM 0.32 moves its seed's generator back, which on CPU raises.
            options.setdefault("enable_chunked_prefill", False)
            options.setdefault("max_num_batched_tokens", max(4096, options["max_model_len"]))
        engine = LLM(**options)
        reply({"ready": __version__})
        for line in lines:
            reply({"samples": generate(engine, json.loads(line))})
    except Exception as error:  # the parent says it in its own words; the log holds the rest
        import traceback

        traceback.print_exc()
        reply({"error": f"{type(error).__name__}: {error}"})


if __name__ == "__main__":
    main()
