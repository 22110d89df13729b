"""How a training stage optimises, and what it reports back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from tao.compute import ModelShape
from tao.errors import InputError
from tao.training import lora as adapters
from tao.training.lora import Lora

Progress = Callable[[str, int, int], None]
"""Called with the stage's name, steps done, steps in all."""
VERSION = "2"
"""Part of every round's inputs; raise it when training changes for the same settings."""
BUCKET_TOK = 32
"""Lengths are padded up to a multiple of this. Few shapes keep the CPU kernels' caches small: with freely
varying lengths a process grows by gigabytes an hour."""


@dataclass(frozen=True, slots=True)
class Processes:
    """Training spread over processes on one machine (see `tao.training.launch`).

    Attributes:
        num_processes: How many; each takes its share of every optimiser step's rows.
        fsdp: Whether weights, gradients and optimiser state are sharded over them (FSDP2); each holds all of them if
            not.
        config: Path of an accelerate configuration to launch with instead of one made from these fields; its
            ``num_processes`` has to be this one.
    """

    num_processes: int
    fsdp: bool = False
    config: str = ""


@dataclass(frozen=True, slots=True)
class Optim:
    """Optimiser settings of one training stage (AdamW on all weights, or on adapters).

    Attributes:
        learning_rate: Peak, after `warmup` steps; constant from there (or decaying, see `decay`).
        epochs: Passes over the rows.
        batch_size: Rows an optimiser step. A row is an example (SFT) or a prompt with its answers.
        warmup: Steps of linear warm-up.
        decay: ``constant`` or ``linear`` to zero.
        weight_decay: AdamW's.
        max_grad_norm: Gradient clipping.
        max_row_tok: Longest row in tokens. A longer example is an error; a prompt whose answers need more
            is split over several rows.
        micro_tok: Padded tokens a forward pass, at most (memory; same result up to rounding).
        precision: ``bf16`` autocast over float32 weights, or ``fp32``.
        lora: Train adapters instead of all weights; None for full fine-tuning.
        checkpointing: Keep only the layers' inputs for the backward pass and run the layers once more there: less
            memory, a third more compute.
        weights: Type of the weights held while training and of the checkpoint. Small updates vanish in ``bf16``: it
            is meant for adapters over frozen weights, which stay float32 themselves.
        logits_chunk: Answer tokens whose logits are held at a time; 0 for all of a micro-batch.
        processes: Spread over several processes; None for this one.
    """

    learning_rate: float = 2e-4
    epochs: int = 1
    batch_size: int = 32
    warmup: int = 0
    decay: Literal["constant", "linear"] = "constant"
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    max_row_tok: int = 640
    micro_tok: int = 4096
    precision: Literal["bf16", "fp32"] = "bf16"
    lora: Lora | None = None
    checkpointing: bool = False
    weights: Literal["fp32", "bf16"] = "fp32"
    logits_chunk: int = 0
    processes: Processes | None = None

    def __post_init__(self) -> None:
        for name in ("learning_rate", "epochs", "batch_size", "max_grad_norm", "max_row_tok", "micro_tok"):
            if getattr(self, name) <= 0:
                raise InputError(f"must be positive, not {getattr(self, name)}", name)
        if self.warmup < 0 or self.weight_decay < 0:
            raise InputError("must not be negative", "warmup" if self.warmup < 0 else "weight_decay")
        if self.decay not in ("constant", "linear") or self.precision not in ("bf16", "fp32"):
            raise InputError("decay is constant or linear, precision is bf16 or fp32", "optim")
        if self.weights not in ("fp32", "bf16") or self.logits_chunk < 0:
            raise InputError("weights are fp32 or bf16, logits_chunk is not negative", "optim")
        if self.batch_size % self.world:
            raise InputError(
                f"{self.batch_size} rows a step cannot be shared evenly by {self.world} processes",
                "batch_size",
                f"use a multiple of {self.world}",
            )

    @property
    def world(self) -> int:
        """Processes that train."""
        return self.processes.num_processes if self.processes else 1

    def micro_rows(self, longest_tok: int) -> int:
        """Rows a forward pass: the largest divisor of a process's share of `batch_size` that keeps `micro_tok`."""
        fits = max(1, self.micro_tok // max(1, longest_tok))
        share = self.batch_size // self.world
        return max(n for n in range(1, share + 1) if share % n == 0 and n <= fits)


@dataclass(frozen=True, slots=True)
class Work:
    """Forward passes done, in the sums that closed-form FLOPs are made of.

    Attributes:
        seq_tok: Sum of row lengths S (tokens through the layers).
        seq_tok_sq: Sum of S squared (attention, dense convention).
        head_tok: Positions that reach the vocabulary.
    """

    seq_tok: int = 0
    seq_tok_sq: int = 0
    head_tok: int = 0

    def plus(self, length: int, head: int, count: int = 1) -> Work:
        """This and `count` more rows of a length, with `head` positions each."""
        return Work(
            self.seq_tok + count * length, self.seq_tok_sq + count * length * length, self.head_tok + count * head
        )

    def __add__(self, other: Work) -> Work:
        return Work(self.seq_tok + other.seq_tok, self.seq_tok_sq + other.seq_tok_sq, self.head_tok + other.head_tok)


@dataclass(frozen=True, slots=True)
class TrainReport:
    """What a training stage did.

    Attributes:
        checkpoint: Folder of the new model.
        rows: Training rows, after merging and packing.
        steps: Optimiser steps.
        samples: Samples (or examples) behind the rows, duplicates counted.
        skipped: Samples that were not trained on, by reason.
        trained: Forward work of all training passes without padding; training costs 3 times this (less with adapters).
        trained_padded: The same as executed.
        head_again_tok: Positions whose logits the backward pass computes once more (TRL's fused head).
        reference: Forward work of the round-start log-probabilities without padding; costs 1 time this.
        reference_padded: The same as executed.
        probe: Forward work of measuring the drift from the base without padding; costs 1 time this.
        probe_padded: The same as executed.
        lora: The adapters that were trained, if any.
        checkpointing: Whether the layers ran once more for the backward pass.
        stopped: Why training ended before its last step: ``kl_base`` (the cap was reached), or nothing.
        metrics: Named figures of the optimisation (means over the steps).
    """

    checkpoint: Path
    rows: int
    steps: int
    samples: int
    skipped: Mapping[str, int] = field(default_factory=dict)
    trained: Work = Work()
    trained_padded: Work = Work()
    head_again_tok: int = 0
    reference: Work = Work()
    reference_padded: Work = Work()
    probe: Work = Work()
    probe_padded: Work = Work()
    lora: Lora | None = None
    checkpointing: bool = False
    stopped: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)


def bucket(length: int) -> int:
    """The padded length: the next multiple of `BUCKET_TOK`."""
    return -(-length // BUCKET_TOK) * BUCKET_TOK


def _forward_flop(work: Work, shape: ModelShape) -> int:
    return (
        work.seq_tok * 2 * shape.matrix_params
        + shape.attention_flop * work.seq_tok_sq
        + work.head_tok * shape.head_flop
    )


def _training_flop(work: Work, shape: ModelShape, lora: Lora | None) -> int:
    if lora is None:
        return 3 * _forward_flop(work, shape)
    return adapters.training_flop(shape, lora, work.seq_tok, work.seq_tok_sq, work.head_tok)


def _probe_flop(work: Work, report: TrainReport, shape: ModelShape) -> int:
    """Half of the passes are the base's, the other half runs with adapters if there are any."""
    extra = adapters.adapter_params(shape, report.lora) * work.seq_tok if report.lora else 0
    return _forward_flop(work, shape) + extra


def _layers_again_flop(report: TrainReport, shape: ModelShape) -> int:
    """Running the layers once more: torch stops in each before the last product, which no gradient asks for."""
    work = replace(report.trained_padded, head_tok=0)
    again, last = _forward_flop(work, shape), shape.layers * shape.hidden * shape.ffn
    if report.lora:
        again += 2 * adapters.adapter_params(shape, report.lora) * work.seq_tok
        if report.lora.target != "attention":
            last = shape.layers * shape.hidden * report.lora.r
        again += adapters.spared_flop(shape, report.lora, work.seq_tok, work.seq_tok_sq)
    return again - 2 * last * work.seq_tok


def model_flop(report: TrainReport, shape: ModelShape) -> int:
    """FLOPs the method needs, without padding.

    Forward and backward to train, one forward pass for round-start log-probabilities, those that watch the drift.
    """
    trained = _training_flop(report.trained, shape, report.lora)
    return trained + _forward_flop(report.reference, shape) + _probe_flop(report.probe, report, shape)


def device_flop(report: TrainReport, shape: ModelShape) -> int:
    """FLOPs as executed: padding, and what kernels compute again going backward (attention scores, TRL's logits)."""
    trained = _training_flop(report.trained_padded, shape, report.lora)
    again = report.head_again_tok * shape.head_flop
    if report.checkpointing:
        again += _layers_again_flop(report, shape)
    if report.lora is None:
        again += shape.attention_flop * report.trained_padded.seq_tok_sq // 2
    else:
        again += adapters.flash_recompute_flop(shape, report.lora, report.trained_padded.seq_tok_sq)
        again += adapters.merge_flop(shape, report.lora)
    return (
        trained
        + again
        + _forward_flop(report.reference_padded, shape)
        + _probe_flop(report.probe_padded, report, shape)
    )
