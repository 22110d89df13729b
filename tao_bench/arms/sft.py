"""Supervised fine-tuning on n labels: what TAO claims to make unnecessary.

TRL's stock `SFTTrainer` on (deployment prompt, target). Label sets are nested for one seed: the 50 are
among the 200 are among the 800, so a curve over labels is not blurred by the draw.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from tao.compute import Entry, ModelShape
from tao.errors import InputError
from tao.mixture import SEPARATOR, shares
from tao.prompts import Prompt
from tao.recipe import ScaleFields
from tao_bench.arms.contract import Arm, ArmOptions, Workplace
from tao_bench.task import Label


class SftOptions(ArmOptions, ScaleFields):
    """How many labels, and how they are trained on."""

    GRID = ("labels",)

    labels: int = Field(gt=0)
    labels_from: Literal["train", "pool"] = "train"
    """`pool`: the sealed labels of the pool, where a task keeps no further labelled split."""
    epochs: int = Field(default=3, ge=1)
    min_steps: int = Field(default=100, ge=0)
    """Small label sets repeat their epochs until this many optimiser steps; otherwise they would hardly move."""
    learning_rate: float = Field(default=2e-4, gt=0)
    batch_size: int = Field(default=16, ge=1)
    decay: Literal["constant", "linear"] = "linear"
    max_row_tok: int | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _shared_evenly(self) -> SftOptions:
        self.check_scale(self.batch_size)
        return self

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leaves the fields for large models out where they are the default: records from before them stay valid."""
        fields: dict[str, Any] = handler(self)
        later = ScaleFields.model_fields
        return {
            name: value
            for name, value in fields.items()
            if name not in later or getattr(self, name) != later[name].get_default(call_default_factory=True)
        }

    def slug(self) -> str:
        """E.g. ``l200``."""
        return f"l{self.labels}"

    def title(self) -> str:
        """E.g. ``SFT 200 labels``."""
        return f"SFT {self.labels:,} labels"

    def labels_used(self, pool: int) -> int:
        """Labels trained on."""
        return self.labels

    def passes(self) -> int:
        """Epochs, repeated until `min_steps`."""
        return max(self.epochs, math.ceil(self.min_steps * self.batch_size / self.labels))


def deployed_labels(ids: Sequence[str], count: int) -> list[str]:
    """The items of the train split whose labels made the deployed assistant; the same for every seed and arm."""
    return random.Random("deployed").sample(sorted(ids), count)


def draw_labels(ids: Sequence[str], reserved: Sequence[str], count: int, seed: int) -> list[str]:
    """Draw items to label; for one seed a smaller set is the start of a larger one.

    Args:
        ids: Items with labels.
        reserved: Items already spent on the deployed assistant.
        count: How many.
        seed: The cell's seed.

    Raises:
        InputError: Fewer labels are left than wanted.
    """
    left = sorted(set(ids) - set(reserved))
    if count > len(left):
        raise InputError(f"wants {count} labels, {len(left)} are there", "arm sft", f"use at most {len(left)} labels")
    random.Random(f"labels {seed}").shuffle(left)
    return left[:count]


def draw_mixture(ids: Sequence[str], weights: Mapping[str, float], count: int, seed: int) -> list[str]:
    """Draw items to label from several tasks, by their weights; nested for one seed as `draw_labels` is.

    Args:
        ids: Items with labels, ``TASK/ITEM``.
        weights: Task to weight.
        count: How many in all; divided as the prompts of a mixture are (`tao.mixture.turns`).
        seed: The cell's seed.

    Raises:
        InputError: A task has fewer labels than its share.
    """
    chosen: list[str] = []
    for task, share in shares(weights, count).items():
        own = [name for name in ids if name.partition(SEPARATOR)[0] == task]
        if share > len(own):
            fix = "use fewer labels, or other weights"
            raise InputError(f"wants {share} labels of {task}, {len(own)} are there", "arm sft", fix)
        chosen += draw_labels(own, (), share, seed)
    return chosen


def train_on(
    place: Workplace, prompts: Mapping[str, Prompt], labels: Mapping[str, Label], chosen: Sequence[str]
) -> Path:
    """Fine-tune the base on the chosen items and charge the ledger; returns the checkpoint."""
    from tao.training.settings import Optim, device_flop, model_flop
    from tao.training.sft import Example, train_sft

    options: SftOptions = place.options
    limits = place.limits
    optim = Optim(
        learning_rate=options.learning_rate,
        epochs=options.passes(),
        batch_size=options.batch_size,
        decay=options.decay,
        max_row_tok=options.max_row_tok or limits.max_prompt_tok + limits.max_new_tok,
        **options.scale(),
    )
    examples = [Example(name, prompts[name].messages, labels[name].target) for name in chosen]
    out = place.folder / "checkpoint"
    report = train_sft(place.base, examples, optim, out, seed=place.seed, progress=place.progress)
    shape = ModelShape.from_config(place.base)
    place.ledger.charge(
        Entry(
            "train",
            0,
            "sft",
            model_flop=model_flop(report, shape),
            device_flop=device_flop(report, shape),
            train_tok=report.trained.seq_tok,
        )
    )
    return out


def tune(place: Workplace) -> Path:
    """Train on a nested draw of labels."""
    if place.labels is None:
        raise InputError("needs labels and was handed none", "arm sft")
    options: SftOptions = place.options
    if options.labels_from == "pool":
        prompts = {prompt.id: prompt for prompt in place.pool}
        reserved: list[str] = []
    else:
        prompts = {item.prompt.id: item.prompt for item in place.train}
        reserved = deployed_labels(list(prompts), place.reserved)
    labels = place.labels(options.labels_from)
    known = [name for name in prompts if name in labels]
    if place.weights:
        chosen = draw_mixture(known, place.weights, options.labels, place.seed)
    else:
        chosen = draw_labels(known, reserved, options.labels, place.seed)
    return train_on(place, prompts, labels, chosen)


def deploy(place: Workplace) -> Path:
    """Make the deployed assistant: the model tuned on the reserved labels of the train split."""
    if place.labels is None:
        raise InputError("needs labels and was handed none", "deployed assistant")
    prompts = {item.prompt.id: item.prompt for item in place.train}
    if place.reserved > len(prompts):
        raise InputError(
            f"wants {place.reserved} labels, the train split has {len(prompts)}", "deployed", "lower deployed.labels"
        )
    return train_on(place, prompts, place.labels("train"), deployed_labels(list(prompts), place.reserved))


ARM = Arm(name="sft", uses_labels=True, options=SftOptions, tune=tune)
