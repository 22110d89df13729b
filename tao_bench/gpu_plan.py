"""What an experiment would take on GPUs: memory, hours and price, from closed forms and stated assumptions. Not run.

The rules, all of them here so that they can be doubted one by one:

- Training and prefill are bound by arithmetic: FLOPs / (GPUs x peak x utilisation).
- Decoding is bound by memory: a step of a batch reads all weights once and every sequence's keys and values, from
  `tensor_parallel_size` GPUs at a share of their bandwidth. Where arithmetic would take longer, arithmetic counts.
  Keys and values of a prompt's samples are shared in memory (prefix caching) but read once a sample. Every step takes
  `ENGINE_STEP_S` on top.
- Every GPU of the node is paid for all the time: while the sampler's engine uses fewer of them, and while weights are
  read and written between the stages.
- Training memory a GPU: weights, gradients and AdamW's two moments of what is trained (float32), divided by the
  processes if they are sharded (FSDP2); one layer and the output head whole in bfloat16; the layers' inputs (with
  checkpointing) or 17 hidden-sized and 3 inner-sized tensors a layer (without); logits of the answer tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field

from tao.compute import ModelShape, decode_flop, forward_flop
from tao.errors import InputError
from tao.recipe import ScaleFields
from tao.training.lora import Lora, adapter_params
from tao_bench.task import suggest

FACTS = Path(__file__).with_name("gpus.yaml")
ENGINE_SHARE = 0.9
"""vLLM's own default of `gpu_memory_utilization`."""
ENGINE_SEQS = 256
"""vLLM's default of `max_num_seqs` on an engine without a server (V1)."""
ENGINE_WORKSPACE_BYTE = 4e9
"""Activations and captured graphs of an engine, each GPU."""
ENGINE_STEP_S = 4e-3
"""What a decoding step costs beside reading: scheduling, kernel launches, sums over the GPUs of every layer."""
RUNTIME_BYTE = 3e9
"""CUDA context, communication buffers and fragmentation of a training process."""
DISK_BYTE_S = 2e9
"""Reading and writing checkpoints."""
ENGINE_START_S = 90.0
PROCESS_START_S = 60.0


class Hardware(BaseModel):
    """The GPUs that an experiment is planned for: ``hardware: {gpu: H100-80GB, count: 8, usd_per_gpu_h: 3.0}``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gpu: str = "H100-80GB"
    """One of `gpus.yaml`."""
    count: int = Field(default=8, ge=1)
    usd_per_gpu_h: float = Field(default=3.0, gt=0)
    """An assumption, not an offer: put your own price here."""
    train_mfu: float = Field(default=0.4, gt=0, le=1)
    """Share of the peak that training reaches."""
    prefill_mfu: float = Field(default=0.5, gt=0, le=1)
    bandwidth_share: float = Field(default=0.6, gt=0, le=1)
    """Share of the memory's bandwidth that decoding reaches."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """One accelerator: dense bf16 FLOPs a second, bytes a second from memory, bytes of memory."""

    name: str
    flop_s: float
    byte_s: float
    memory_byte: float


@dataclass(frozen=True, slots=True)
class Published:
    """What is known of a model without its files.

    Attributes:
        config: The part of its ``config.json`` that fixes its size.
        parameters: Its published count, embeddings included.
        source: Where both are published.
    """

    config: Mapping[str, Any]
    parameters: int
    source: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """A sampling stage on one vLLM engine.

    Attributes:
        hours: Wall hours.
        batch: Sequences decoded at a time.
        memory_byte: A GPU's weights, workspace and cache of so many sequences.
        fits: Whether weights and one sequence of the longest kind fit.
    """

    hours: float
    batch: int
    memory_byte: float
    fits: bool


@dataclass(frozen=True, slots=True)
class Memory:
    """A training process's memory in bytes, by what fills it."""

    state: float
    gathered: float
    activations: float
    logits: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.state + self.gathered + self.activations + self.logits + RUNTIME_BYTE


@cache
def _facts() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(FACTS.read_text(encoding="utf-8"))
    return found


def published(name: str) -> Published | None:
    """Published facts of a model; None where none are kept here."""
    found = _facts()["models"].get(name)
    return found and Published(found["config"], found["parameters"], found["source"])


def gpu(name: str) -> Gpu:
    """A GPU of `gpus.yaml`.

    Raises:
        InputError: It is not there.
    """
    known = _facts()["gpus"]
    if name not in known:
        raise InputError(f"unknown GPU {name!r}{suggest(name, list(known))}", "hardware", f"use {', '.join(known)}")
    return Gpu(name, *(float(known[name][field]) for field in ("flop_s", "byte_s", "memory_byte")))


def parameters(shape: ModelShape, *, tied: bool) -> int:
    """Weights of a Llama-shaped model: matrices, embedding (and head, unless tied) and the norms."""
    norms = (2 * shape.layers + 1) * shape.hidden
    return shape.matrix_params + (1 if tied else 2) * shape.vocab * shape.hidden + norms


def kv_byte_tok(shape: ModelShape) -> int:
    """Bytes of keys and values of one token in bfloat16."""
    return 2 * 2 * shape.layers * shape.kv_heads * shape.head_dim


def sampling(
    shape: ModelShape,
    params: int,
    hardware: Hardware,
    engine: Mapping[str, Any],
    *,
    prompts: float,
    prompt_tok: float,
    samples: float,
    answer_tok: float,
    longest_tok: int,
) -> Sampling:
    """Answer `prompts` prompts `samples` times each, in one run of the engine.

    Args:
        shape: The model.
        params: Its weights, bfloat16 while sampling.
        hardware: The GPUs.
        engine: Keyword arguments of `vllm.LLM`.
        prompts: Request texts, each prefilled once.
        prompt_tok: Their mean length.
        samples: Samples of each.
        answer_tok: Their mean length.
        longest_tok: Longest prompt and answer that the engine has to take.
    """
    card, parallel = gpu(hardware.gpu), int(engine.get("tensor_parallel_size", 1))
    if parallel > hardware.count:
        fix = f"use at most {hardware.count}, or more GPUs in `hardware`"
        raise InputError(f"tensor_parallel_size {parallel} of {hardware.count} GPUs", "vllm", fix)
    share = float(engine.get("gpu_memory_utilization", ENGINE_SHARE))
    fixed = 2 * params / parallel + ENGINE_WORKSPACE_BYTE
    room = (share * card.memory_byte - fixed) * parallel
    each = kv_byte_tok(shape) * (prompt_tok / samples + answer_tok)  # a prompt's samples share its keys and values
    fits = room >= kv_byte_tok(shape) * longest_tok
    batch = max(1, min(int(engine.get("max_num_seqs", ENGINE_SEQS)), int(room // each), round(prompts * samples)))
    prefill = prompts * forward_flop(shape, round(prompt_tok), 1) / (parallel * card.flop_s * hardware.prefill_mfu)
    context = prompt_tok + answer_tok / 2
    read = 2 * params + batch * context * kv_byte_tok(shape)
    step_s = max(
        read / (parallel * card.byte_s * hardware.bandwidth_share),
        batch * decode_flop(shape, round(prompt_tok), round(answer_tok) or 1)
        / max(1, round(answer_tok)) / (parallel * card.flop_s * hardware.prefill_mfu),
    )  # fmt: skip
    decode = prompts * samples * answer_tok / batch * (step_s + ENGINE_STEP_S)
    start = ENGINE_START_S + 2 * params / DISK_BYTE_S
    return Sampling((prefill + decode + start) / 3600, batch, fixed + batch * each / parallel, fits)


def training_memory(shape: ModelShape, params: int, scale: ScaleFields, *, row_tok: int, answer_share: float) -> Memory:
    """Memory of one training process.

    Args:
        shape: The model.
        params: Its weights.
        scale: How it is trained.
        row_tok: Longest row; a forward pass takes one of these at least.
        answer_share: Share of a row's tokens that are answers.
    """
    shards = scale.accelerate.num_processes if scale.accelerate and scale.accelerate.fsdp else 1
    width = 4 if scale.weights == "fp32" else 2
    if scale.lora:
        trained = adapter_params(shape, Lora(scale.lora.r, scale.lora.alpha, scale.lora.target))
        state = width * params + 16 * trained
    else:
        state = (width + width + 2 * width) * params  # gradients and moments have the weights' type
    layer, head = shape.matrix_params / shape.layers, shape.vocab * shape.hidden
    # Two layers: the one that computes and the one that is fetched meanwhile. Unsharded weights are cast by autocast.
    gathered = 2 * (2 * layer + head) if shards > 1 or width == 4 else 0.0
    tokens = max(scale.micro_tok, row_tok)
    full = 2 * tokens * (17 * shape.hidden + 3 * shape.ffn)
    kept = shape.layers * 2 * tokens * shape.hidden + full if scale.checkpointing else shape.layers * full
    mask = 3 * tokens * row_tok  # the tree-shaped mask, as bool and as bfloat16
    answers = tokens * answer_share
    # Logits: bfloat16, float32 as accelerate returns them, log-probabilities and both gradients.
    logits = 16 * shape.vocab * (min(answers, scale.logits_chunk) if scale.logits_chunk else answers)
    return Memory(state / shards, gathered, kept + mask, logits)


def training_hours(
    flop: float, layer_flop: float, *, params: int, scale: ScaleFields, hardware: Hardware, stages: int
) -> float:
    """Wall hours of training stages.

    Args:
        flop: Model FLOPs of all of them.
        layer_flop: FLOPs of one forward pass over all trained tokens, done once more with checkpointing.
        params: The model's weights.
        scale: How it is trained.
        hardware: The GPUs.
        stages: How many stages there are, each of which reads a checkpoint and writes one.
    """
    count = scale.accelerate.num_processes if scale.accelerate else 1
    device = flop + (layer_flop if scale.checkpointing else 0)
    moved = stages * (PROCESS_START_S + 2 * (4 if scale.weights == "fp32" else 2) * params / DISK_BYTE_S)
    return (device / (count * gpu(hardware.gpu).flop_s * hardware.train_mfu) + moved) / 3600
