"""Low-rank adapters (LoRA, arXiv 2106.09685) through peft: the frozen model learns small updates B A of its matrices.

A round trains fresh adapters on the round-start policy and merges them at its end, so that every round leaves a
standard checkpoint: sampler, votes and deployment never meet an adapter.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any, Literal

from tao.compute import ModelShape
from tao.errors import InputError

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
MLP = ("gate_proj", "up_proj", "down_proj")
TARGETS = {"all-linear": ATTENTION + MLP, "attention": ATTENTION, "mlp": MLP}


@dataclass(frozen=True, slots=True)
class Lora:
    """Size and place of the adapters.

    Attributes:
        r: Rank.
        alpha: The update is scaled by alpha / r.
        target: Which matrices of every layer: ``all-linear`` (all seven), ``attention`` or ``mlp``. Embedding and
            output head stay as they are.
    """

    r: int = 16
    alpha: float = 32.0
    target: Literal["all-linear", "attention", "mlp"] = "all-linear"

    def __post_init__(self) -> None:
        if self.r < 1 or self.alpha <= 0:
            raise InputError("r and alpha must be positive", "lora", "use {r: 16, alpha: 32, target: all-linear}")
        if self.target not in TARGETS:
            raise InputError(f"unknown target {self.target!r}", "lora", f"use one of {', '.join(TARGETS)}")


def require() -> None:
    """Refuse adapters where they cannot be trained, before anything is spent.

    Raises:
        InputError: peft is not installed.
    """
    try:
        available = importlib.util.find_spec("peft") is not None
    except ValueError:  # it was switched off in this process
        available = False
    if not available:
        raise InputError("adapters need the library peft", "lora", "pip install 'tao-bench[lora]'")


def attach(model: Any, lora: Lora, seed: int) -> Any:
    """The model with fresh adapters; everything else is frozen. Outputs are unchanged until the first step (B = 0).

    Raises:
        InputError: peft is not installed, or the model lacks the matrices.
    """
    require()
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)  # A is drawn at random; callers run inside `isolated`
    config = LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        target_modules=list(TARGETS[lora.target]),
        lora_dropout=0.0,
        bias="none",
        task_type="CAUSAL_LM",
    )
    try:
        return get_peft_model(model, config)
    except ValueError as error:
        raise InputError(f"no adapters for this model ({error})", "lora", "tune all weights instead") from error


def merged(model: Any) -> Any:
    """The plain model with the adapters added into its weights; a model without adapters as it is."""
    return model.merge_and_unload() if hasattr(model, "merge_and_unload") else model


def _sides(shape: ModelShape) -> dict[str, int]:
    """Inputs plus outputs of every matrix: an adapter of rank r has r times as many weights."""
    d, q, kv, f = shape.hidden, shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim, shape.ffn
    return {
        "q_proj": d + q,
        "k_proj": d + kv,
        "v_proj": d + kv,
        "o_proj": q + d,
        "gate_proj": d + f,
        "up_proj": d + f,
        "down_proj": f + d,
    }


def adapter_params(shape: ModelShape, lora: Lora) -> int:
    """Weights that are trained."""
    return shape.layers * lora.r * sum(_sides(shape)[name] for name in TARGETS[lora.target])


def training_flop(shape: ModelShape, lora: Lora, seq_tok: int, seq_tok_sq: int, head_tok: int) -> int:
    """Forward and backward with adapters.

    Forward: the model and its adapters. Backward: every gradient that leads to a trained weight, none of a frozen one:
    one more pass through the frozen matrices and the head, two through attention and adapters. In the first layer the
    chain ends at the adapters next to the (frozen) embedding: nothing is passed on from there.

    Args:
        shape: The model.
        lora: The adapters.
        seq_tok: Tokens through the layers.
        seq_tok_sq: Sum of the squared row lengths.
        head_tok: Positions that reach the vocabulary.
    """
    adapters = 2 * adapter_params(shape, lora)
    attention = shape.attention_flop * seq_tok_sq
    forward = seq_tok * (2 * shape.matrix_params + adapters) + attention + head_tok * shape.head_flop
    backward = seq_tok * (2 * shape.matrix_params + 2 * adapters) + 2 * attention
    return forward + backward + head_tok * shape.head_flop - spared_flop(shape, lora, seq_tok, seq_tok_sq)


def spared_flop(shape: ModelShape, lora: Lora, seq_tok: int, seq_tok_sq: int) -> int:
    """What the backward pass of the first layer does not compute, as nothing before it is trained.

    With checkpointing it does: the layer's input is made to ask for a gradient, or nothing would run again.
    """
    spared = 2 * _first_layer_params(shape, lora)
    if lora.target == "mlp":
        spared += 2 * 2 * shape.hidden * lora.r  # inputs of the adapters of gate and up
        return seq_tok * spared + 2 * (shape.attention_flop * seq_tok_sq // shape.layers)
    return seq_tok * (spared + 2 * 3 * shape.hidden * lora.r)  # of q, k and v


def _first_layer_params(shape: ModelShape, lora: Lora) -> int:
    """Frozen weights of the first layer through which no gradient has to pass."""
    d, q, kv = shape.hidden, shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    projections = d * q + 2 * d * kv
    return projections + q * d + 2 * d * shape.ffn if lora.target == "mlp" else projections


def flash_recompute_flop(shape: ModelShape, lora: Lora, seq_tok_sq: int) -> int:
    """See `tao.compute.flash_recompute_flop`; a layer whose attention needs no gradient computes nothing again."""
    flop = shape.attention_flop * seq_tok_sq // 2
    return flop - flop // shape.layers if lora.target == "mlp" else flop


def merge_flop(shape: ModelShape, lora: Lora) -> int:
    """Forming B A for every adapted matrix."""
    d, q, kv, f = shape.hidden, shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim, shape.ffn
    areas = {"q_proj": d * q, "k_proj": d * kv, "v_proj": d * kv, "o_proj": q * d, **dict.fromkeys(MLP, d * f)}
    return 2 * lora.r * shape.layers * sum(areas[name] for name in TARGETS[lora.target])
