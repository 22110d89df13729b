"""Samples with vLLM's offline engine, rebuilt per round from the checkpoint.

The engine lives in a process of its own (`tao.sampling.vllm_worker`), started when the first chunk is owed and ended
when the round is explored, so that its memory is free before training begins. That process may run another Python
(``TAO_VLLM_PYTHON``): vLLM pins versions of torch and transformers that the trainer need not share.

Prompts are rendered and answers decoded here, with the model's own template, exactly as the transformers sampler does;
between the processes pass token ids. Every request has its own seed from its content; bytes are not promised, as the
engine batches by arrival. The trainer computes log-probabilities itself, so none are asked for.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from tao.compute import ModelShape
from tao.errors import InputError
from tao.sampling.protocol import Chunk, ChunkPlan, Completion, Request, Settings, plan_chunks, refuse_certainty
from tao.stage import digest, folder_digest

PYTHON_VARIABLE = "TAO_VLLM_PYTHON"
"""Environment variable: the Python of an environment that holds vLLM; this process's own if unset."""
WORKER = Path(__file__).with_name("vllm_worker.py")
ENVIRONMENT = {  # defaults; what is set already wins
    # One process holds engine and scheduler: it ends as a whole, and batches do not depend on who is faster.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    # On CPU: as many threads as OMP_NUM_THREADS says, and 1 GiB of keys and values.
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


class VllmSampler:
    """Samples from a model folder through vLLM.

    Args:
        folder: Weights, tokenizer and chat template.
        dtype: Of the weights as sampled.
        engine: Further keyword arguments of `vllm.LLM`, e.g. ``{"tensor_parallel_size": 4}``.

    Raises:
        InputError: No such folder, an architecture without FLOP formulas, no chat template, or no vLLM.
    """

    def __init__(self, folder: Path, *, dtype: str = "bfloat16", engine: Mapping[str, Any] | None = None) -> None:
        if not (folder / "config.json").exists():
            raise InputError("no model here (config.json is missing)", str(folder), "name a folder with weights")
        self.shape: ModelShape | None = ModelShape.from_config(folder)
        self.weights_hash = folder_digest(folder)
        self.name = f"vllm@1/{dtype}"
        self.folder, self._engine = folder, {"dtype": dtype, **(engine or {})}
        self._process: subprocess.Popen[str] | None = None
        self._log: IO[bytes] | None = None
        self._python = engine_python()
        self._load_tokenizer()

    def _load_tokenizer(self) -> None:
        from transformers import AutoTokenizer

        self._tokenizer: Any = AutoTokenizer.from_pretrained(str(self.folder))
        if not self._tokenizer.chat_template:
            raise InputError("the tokenizer has no chat template", str(self.folder), "add chat_template.jinja")

    def chunks(self, requests: Sequence[Request], settings: Settings, seed: int) -> list[ChunkPlan]:
        """Cut requests into fixed chunks; see `tao.sampling.protocol.plan_chunks`.

        Raises:
            InputError: A prompt is too long, a key occurs twice, or the settings ask for self-certainty.
        """
        refuse_certainty(settings, "vllm")
        identity = {"sampler": self.name, "weights": self.weights_hash, "engine": digest(self._engine)}
        return plan_chunks(requests, [len(ids) for ids in self._encode(requests)], settings, seed, identity)

    def run(self, plan: ChunkPlan) -> Chunk:
        """Generate one chunk, starting the engine if this is the first.

        Raises:
            InputError: The engine could not start, or died.
        """
        encoded = self._encode(plan.requests)
        if self._process is None:
            self._start(plan.settings)
        batch = {
            "prompts": encoded,
            "seeds": [int(digest([plan.id, request.key]), 16) % 2**31 for request in plan.requests],
            "n": [request.n for request in plan.requests],
            "temperature": plan.settings.temperature,
            "max_tokens": plan.settings.max_new_tok,
        }
        reply = self._ask(batch)
        completions = tuple(
            Completion(
                key=request.key,
                index=index,
                text=self._tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False),
                token_ids=tuple(tokens),
                prompt_tok=len(ids),
                finish_reason="stop" if reason == "stop" else "length",
            )
            for request, ids, samples in zip(plan.requests, encoded, reply["samples"], strict=True)
            for index, (tokens, reason) in enumerate(samples)
        )
        return Chunk(
            id=plan.id,
            completions=completions,
            prompt_tok=sum(map(len, encoded)),
            completion_tok=sum(len(completion.token_ids) for completion in completions),
            # Nothing is padded, and a prompt is prefilled once for all its samples (prefix caching).
            padded=False,
        )

    def close(self) -> None:
        """End the engine's process and its children: all their memory is free."""
        if self._process is not None:
            with contextlib.suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout, self._log):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()
            self._process = self._log = None

    def _encode(self, requests: Sequence[Request]) -> list[list[int]]:
        chats = [[{"role": m.role, "content": m.content} for m in request.messages] for request in requests]
        encoded: list[list[int]] = self._tokenizer.apply_chat_template(
            chats, tokenize=True, add_generation_prompt=True, return_dict=False
        )
        return encoded

    def _start(self, settings: Settings) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            [self._python, str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            # The engine's environment is its own: our path would put our versions before its.
            env={**ENVIRONMENT, **{k: v for k, v in os.environ.items() if k != "PYTHONPATH"}},
            text=True,
            start_new_session=True,
        )
        self._ask(
            {
                "model": str(self.folder.resolve()),
                "max_model_len": settings.max_prompt_tok + settings.max_new_tok,
                "enable_prefix_caching": True,
                "disable_log_stats": True,
                "seed": 0,
                **self._engine,
            }
        )

    def _ask(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """One line to the engine's process and its reply."""
        assert self._process is not None and self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # it died: there will be no reply
            self._process.stdin.write(json.dumps(body) + "\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        reply: dict[str, Any] = json.loads(line) if line else {"error": self._last_words()}
        if "error" in reply:
            self.close()
            raise InputError(
                f"the vLLM engine failed: {' '.join(str(reply['error']).split())[:500]}",
                str(self.folder),
                "mend it and run the same command again (finished chunks are kept), or use `sampler: transformers`",
            )
        return reply

    def _last_words(self) -> str:
        """The end of the engine's log, and how its process ended."""
        assert self._process is not None and self._log is not None
        try:
            how = f"status {self._process.wait(10)}"
        except subprocess.TimeoutExpired:
            how = "no status"
        self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, self._log.tell() - 2000))
        lines = [line for line in self._log.read().decode(errors="replace").splitlines() if line.strip()]
        return f"its process ended ({how}{'; killed: out of memory?' if '-9' in how else ''}): {' '.join(lines[-3:])}"


def engine_python() -> str:
    """The Python that runs the engine.

    Raises:
        InputError: It does not exist, or this environment holds no vLLM.
    """
    named = os.environ.get(PYTHON_VARIABLE)
    if named:
        if not os.access(named, os.X_OK):
            raise InputError("is no Python to run", f"{PYTHON_VARIABLE}={named}", "name bin/python of the environment")
        return named
    if importlib.util.find_spec("vllm") is None:
        raise InputError(
            "vLLM is not installed here",
            "sampler: vllm",
            f"pip install 'tao-bench[vllm]', or name the Python of an environment that holds it in {PYTHON_VARIABLE}",
        )
    return sys.executable
