"""How far the policy has moved from the run's first model, measured while it trains and capped.

Each round is bounded around its own start; many rounds are not. The further from the base, the less a label-free reward
says about the truth (over-optimisation goes with the root of this KL: Gao et al., arXiv 2210.10760).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tao.errors import InputError
from tao.scoring.score import ScoredRound
from tao.training.engine import load
from tao.training.packing import Row, build_rows, collator, columns, padded_work, row_work
from tao.training.settings import Optim, Work, bucket
from tao.training.tokens import stop_ids

KL_BASE = "kl_base"
"""Why a stage stopped at its cap; also the name of the figure."""


@dataclass(frozen=True, slots=True)
class KlCap:
    """Where a round's training ends.

    Attributes:
        base: The run's first model. A second copy of it is held in memory while training.
        nats: Highest mean KL(policy || base) per answer token.
        every: Optimiser steps between two measurements; the last step is always measured.
        prompts: Prompts of the round, evenly spaced, whose samples are measured on.
    """

    base: Path
    nats: float
    every: int = 4
    prompts: int = 32

    def __post_init__(self) -> None:
        if self.nats <= 0 or self.every < 1 or self.prompts < 1:
            raise InputError("the cap, its steps and its prompts must be positive", "kl_base_cap", "use 0.5 nats")


class Guard:
    """What the watching of one training stage found and cost.

    Attributes:
        work: Forward passes done for it, without padding.
        padded: The same as executed.
        stopped: `KL_BASE` if the cap ended training.
        metrics: ``kl_base`` (last measured), ``kl_base_step`` (the step at which the cap ended training).
    """

    def __init__(self) -> None:
        self.work, self.padded = Work(), Work()
        self.stopped = ""
        self.metrics: dict[str, float] = {}


def probe_rows(scored: ScoredRound, prompts: int, tokenizer: Any, stop: Collection[int], max_row_tok: int) -> list[Row]:
    """Rows of all answers, whatever their score, of evenly spaced prompts."""
    step = max(1, math.ceil(len(scored.prompts) / prompts))
    chosen = list(scored.prompts)[::step]
    every = {p.id: [replace(score, advantage=0.0) for score in scored.scores[p.id]] for p in chosen}
    return build_rows(ScoredRound(chosen, scored.samples, every), tokenizer, stop, max_row_tok)[0]


def mean_kl(model: Any, base: Any, rows: Sequence[Row], micro_rows: int, *, pad: int, precision: str) -> float:
    """Mean over the rows' answer tokens (a sample counts as often as it was drawn) of KL(model || base) in nats.

    Over the whole vocabulary at every position, not estimated from the tokens drawn: it is exact for the contexts that
    the samples visit, never negative, and needs no sample to come from the model itself.
    """
    import torch

    collate, device = collator(pad), next(model.parameters()).device
    total = weight = 0.0
    training = model.training
    model.eval()
    try:
        with torch.no_grad(), torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16"):
            for at in range(0, len(rows), micro_rows):
                batch = collate([columns(row) for row in rows[at : at + micro_rows]])
                moved = {k: v.to(device) if hasattr(v, "to") else v for k, v in batch.items()}
                mine, theirs = _distributions(model, moved), _distributions(base, moved)
                kl_T = (mine.exp() * (mine - theirs)).sum(-1)
                weight_T = moved["weight_A"][moved["answer_T"]]
                total += float((kl_T * weight_T).sum())
                weight += float(weight_T.sum())
    finally:
        model.train(training)
    return total / max(1.0, weight)


def kl_between(policy: Path, base: Path, scored: ScoredRound, optim: Optim, prompts: int = 32) -> float:
    """Mean KL(policy || base) per answer token over samples, in nats; for looking at a finished checkpoint.

    Args:
        policy: Checkpoint folder.
        base: Checkpoint folder of the model it started from; the same tokenizer.
        scored: Samples, usually the policy's own.
        optim: Its row limits and precision are used.
        prompts: Prompts, evenly spaced, whose samples are measured on.

    Raises:
        InputError: A folder holds no usable model, or no sample holds an answer.
    """
    mine, tokenizer = load(policy)
    theirs, _ = load(base)
    stop = stop_ids(tokenizer, mine.generation_config)
    rows = probe_rows(scored, prompts, tokenizer, stop, optim.max_row_tok)
    if not rows:
        raise InputError("no answer to measure the drift on", str(policy))
    micro_rows = optim.micro_rows(bucket(max(row.length for row in rows)))
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
    return mean_kl(mine.eval(), theirs.eval(), rows, micro_rows, pad=pad, precision=optim.precision)


def _distributions(model: Any, batch: Any) -> Any:
    """Log-probabilities of the whole vocabulary at the answer tokens, shape (T, vocabulary)."""
    import torch

    logits = model(
        input_ids=batch["input_ids"],
        attention_mask=batch["attention_mask"],
        position_ids=batch["position_ids"],
        logits_to_keep=batch["branch_tok"] + 1,
        use_cache=False,
    ).logits
    return torch.log_softmax(logits.flatten(0, 1).index_select(0, batch["source_T"]).float(), dim=-1)


def watch(
    trainer: Any, cap: KlCap | None, scored: ScoredRound | None, *, tokenizer: Any, stop: Collection[int], optim: Optim
) -> Guard:
    """Hang the cap on a trainer; without one (or without samples) the guard stays empty."""
    from transformers import TrainerCallback

    guard = Guard()
    if cap is None or scored is None:
        return guard
    every, nats = cap.every, cap.nats
    rows = probe_rows(scored, cap.prompts, tokenizer, stop, optim.max_row_tok)
    if not rows:
        return guard
    base, _ = load(cap.base)
    base = base.to(next(trainer.model.parameters()).device).eval()
    micro_rows = optim.micro_rows(bucket(max(row.length for row in rows)))
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0

    class Cap(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
            if state.global_step % every and state.global_step != state.max_steps:
                return
            once, padded = row_work(rows), padded_work(rows, micro_rows, len(rows))
            guard.work, guard.padded = guard.work + once + once, guard.padded + padded + padded
            measured = mean_kl(model, base, rows, micro_rows, pad=pad, precision=optim.precision)
            guard.metrics[KL_BASE] = measured
            if measured > nats:
                guard.stopped = KL_BASE
                guard.metrics["kl_base_step"] = float(state.global_step)
                control.should_training_stop = True

    trainer.add_callback(Cap())
    return guard
