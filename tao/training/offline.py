"""An offline round: one bounded step (several optimiser steps) from the round-start policy on scored samples.

What the objectives share; each is one file beside this one (`clipped`, `regression`, `dpo`, `grpo`) and says how a
scored round becomes rows and what the loss of a micro-batch is. Samples are packed (`tao.training.packing`); the
round-start log-probabilities of their tokens are computed once, before the first step, and stay.

The trainer is TRL's `SFTTrainer` with its public `compute_loss` overridden; nothing else of TRL is touched.
"""

from __future__ import annotations

import contextlib
import functools
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tao.errors import InputError
from tao.scoring.score import ScoredRound
from tao.training import launch, ranks
from tao.training.drift import KlCap, watch
from tao.training.engine import BLANK, Diverged, arguments, at_start, isolated, load, order, run, save
from tao.training.lora import attach, merged
from tao.training.packing import Row, collator, columns, padded_work, row_work
from tao.training.settings import Optim, Progress, TrainReport, Work, bucket
from tao.training.tokens import stop_ids

if TYPE_CHECKING:
    import torch

Figures = dict[str, tuple[float, float]]
"""Logged figures of a micro-batch by name: a sum, and the weight it is to be divided by."""


class Objective(Protocol):
    """One objective over packed answers. Implementations are frozen dataclasses: their fields are their settings."""

    def rows(
        self, scored: ScoredRound, tokenizer: Any, stop: Collection[int], max_row_tok: int
    ) -> tuple[list[Row], dict[str, int]]:
        """Rows to train on, and how many samples were left out by reason."""
        ...

    def loss(self, logp_T: torch.Tensor, batch: Mapping[str, Any], constant_tok: float) -> tuple[torch.Tensor, Figures]:
        """Sum of the losses of a micro-batch's samples (or pairs), and its figures.

        Args:
            logp_T: Log-probabilities of the answer tokens under the model, float32.
            batch: See `tao.training.packing.collator`.
            constant_tok: Mean answer length of the round, for losses normalised by a constant length.
        """
        ...


def answer_logps(model: Any, batch: Mapping[str, Any]) -> torch.Tensor:
    """Log-probabilities of a micro-batch's answer tokens under the model, shape (T,), float32."""
    import torch

    if "answers" in batch:
        chunked: torch.Tensor = model(
            input_ids=batch["input_ids"],
            attention_mask=batch["attention_mask"],
            position_ids=batch["position_ids"],
            answers=batch["answers"],
            use_cache=False,
        )
        return chunked
    logits = model(
        input_ids=batch["input_ids"],
        attention_mask=batch["attention_mask"],
        position_ids=batch["position_ids"],
        logits_to_keep=batch["branch_tok"] + 1,
        use_cache=False,
    ).logits
    picked = logits.flatten(0, 1).index_select(0, batch["source_T"]).float()
    return torch.log_softmax(picked, dim=-1).gather(1, batch["target_T"][:, None]).squeeze(1)


def chunk_head(model: Any) -> None:
    """Let a model answer with log-probabilities alone where a batch asks by ``answers`` (see `_collated`).

    Logits of a 128,000-word vocabulary are half a megabyte a token in float32, and accelerate makes every logit that
    leaves a model float32. Here they never leave it: a chunk's are made, used, and made again going backward. It is
    done inside the model's own forward pass, as a sharded head is whole only there.
    """
    import torch
    from torch.utils.checkpoint import checkpoint

    original = model.forward

    def logps(hidden: Any, weight: Any, target: Any) -> Any:
        logits = torch.nn.functional.linear(hidden, weight).float()
        return torch.log_softmax(logits, dim=-1).gather(1, target[:, None]).squeeze(1)

    @functools.wraps(original)
    def forward(*args: Any, answers: Any = None, **kwargs: Any) -> Any:
        if answers is None:
            return original(*args, **kwargs)
        branch_tok, source_T, target_T, size = answers
        hidden = model.model(*args, **kwargs).last_hidden_state[:, -(branch_tok + 1) :]
        picked_T = hidden.flatten(0, 1).index_select(0, source_T)
        weight = model.lm_head.weight
        parts = [
            checkpoint(logps, picked_T[at : at + size], weight, target_T[at : at + size], use_reentrant=False)
            for at in range(0, len(target_T), size)
        ]
        return torch.cat(parts)

    model.forward = forward


def _collated(pad: int, chunk: int) -> Callable[[list[dict[str, Any]]], dict[str, Any]]:
    """The collator of `tao.training.packing`, with what `chunk_head` reads where logits are made in chunks."""
    collate = collator(pad)

    def collated(rows: list[dict[str, Any]]) -> dict[str, Any]:
        batch = collate(rows)
        return {**batch, "answers": (batch["branch_tok"], batch["source_T"], batch["target_T"], chunk)}

    return collated if chunk else collate


def kl_from_start(drift_T: torch.Tensor) -> torch.Tensor:
    """The k3 estimate of KL(round start || model), from tokens that the round-start policy sampled.

    Answers sampled from another view of the prompt are read on the deployment prompt all the same: for them it is no
    estimate of a KL but still 0 at the start and positive elsewhere.

    GRPO writes it the other way round (exp(-drift) + drift - 1) because its samples come from the policy itself. On
    an offline round that form is both biased and unbounded: one token of a pushed-down answer, e^-12 times as likely
    as before, counts 160,000 nats and its gradient as much. This form grows linearly there.
    """
    return drift_T.exp() - 1 - drift_T


def per_answer(values_T: torch.Tensor, batch: Mapping[str, Any]) -> torch.Tensor:
    """Sums over the tokens of every answer, shape (A,)."""
    import torch

    return torch.zeros_like(batch["advantage_A"]).index_add(0, batch["answer_T"], values_T)


def _trainer_class() -> Any:
    from trl import SFTTrainer

    class OfflineTrainer(SFTTrainer):  # type: ignore[misc]
        """TRL's trainer with a loss over packed answers."""

        # `compute_loss` divides by the samples of a whole step; dividing by micro-batches again would shrink it.
        loss_is_scaled_for_ga = True
        objective: Objective
        step_units: float
        world: int
        constant_tok: float
        figures: dict[str, list[float]]

        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            loss, figures = self.objective.loss(answer_logps(model, inputs), inputs, self.constant_tok)
            for name, (value, weight) in figures.items():
                total = self.figures.setdefault(name, [0.0, 0.0])
                total[0] += value
                total[1] += weight
            # A step's loss is the sum over all processes, and their gradients are averaged.
            return loss / self.step_units * self.world

    return OfflineTrainer


def _reference(model: Any, rows: Sequence[Row], micro_rows: int, pad: int, optim: Optim) -> list[list[float]]:
    """Round-start log-probabilities of every row's answer tokens."""
    import torch
    from accelerate.utils import send_to_device

    collate = _collated(pad, optim.logits_chunk)
    by_length = _by_length(rows)
    device = next(model.parameters()).device

    def compute(micro: list[int]) -> list[float]:
        batch = collate([columns(rows[at]) for at in micro])
        moved = send_to_device(batch, device)
        values: list[float] = answer_logps(model, moved).tolist()
        return values

    micros = [by_length[start : start + micro_rows] for start in range(0, len(rows), micro_rows)]
    found: list[list[float]] = [[] for _ in rows]
    model.eval()
    with torch.no_grad(), torch.autocast(device.type, dtype=torch.bfloat16, enabled=optim.precision == "bf16"):
        for micro, logps in zip(micros, ranks.shared_out(micros, optim, compute), strict=True):
            values = iter(logps)
            for at in micro:
                found[at] = [next(values) for _ in range(rows[at].head_tok)]
    return found


def _by_length(rows: Sequence[Row]) -> list[int]:
    return sorted(range(len(rows)), key=lambda at: (rows[at].length, at))


def _reference_work(rows: Sequence[Row], micro_rows: int) -> Work:
    """Padded work of `_reference`."""
    return padded_work([rows[at] for at in _by_length(rows)], micro_rows, len(rows))


def _blank(row: Row) -> Row:
    """A row that weighs nothing; see `tao.training.engine.BLANK`."""
    return replace(row, branches=tuple(replace(branch, count=0) for branch in row.branches), pairs=())


def train_offline(
    model_dir: Path,
    scored: ScoredRound,
    objective: Objective,
    optim: Optim,
    out: Path,
    *,
    seed: int,
    cap: KlCap | None = None,
    progress: Progress | None = None,
) -> TrainReport:
    """One bounded step from the round-start policy on a scored round.

    Trained on the deployment prompt, whatever view an answer was sampled from. Same inputs give
    bit-identical weights on one machine.

    Args:
        model_dir: Round-start policy: the model that sampled.
        scored: The round.
        objective: The loss.
        optim: Optimiser settings; a row is a prompt with its distinct answers.
        out: Folder of the new checkpoint (float32, adapters merged).
        seed: Order of the rows, and the adapters' first weights.
        cap: End the round early where the policy has drifted too far from the run's first model.
        progress: See `tao.training.settings.Progress`.

    Raises:
        InputError: Nothing to train on (every prompt abstains), a row too long, or an unusable model.
        Diverged: The loss stopped being a number; nothing was written.
    """
    from datasets import Dataset

    if optim.processes and not launch.inside():
        given = {"model_dir": model_dir, "scored": scored, "objective": objective, "seed": seed, "cap": cap}
        return launch.run("offline", optim, out, progress, **given)
    with isolated(), tempfile.TemporaryDirectory() as scratch:
        model, tokenizer = load(model_dir, optim.weights)
        if optim.logits_chunk:
            chunk_head(model)
        stop = stop_ids(tokenizer, model.generation_config)
        pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
        rows, skipped = objective.rows(scored, tokenizer, stop, optim.max_row_tok)
        if not rows:
            raise InputError("every prompt abstains, so there is nothing to train on", str(out))
        counted = sum(branch.count for row in rows for branch in row.branches)
        units = sum(len(row.pairs) or sum(branch.count for branch in row.branches) for row in rows)
        weighted_tok = sum(len(branch.ids) * branch.count for row in rows for branch in row.branches)
        lengths = [row.length for row in rows]
        micro_rows = optim.micro_rows(bucket(max(lengths)))
        reference = _reference(model, rows, micro_rows, pad, optim) if optim.world == 1 else []
        sequence = order(lengths, optim, seed, micro_rows)
        shortest = min(range(len(rows)), key=lengths.__getitem__)
        laid = [rows[at] if at != BLANK else _blank(rows[shortest]) for at in sequence]
        places = [at if at != BLANK else shortest for at in sequence]
        collate = _collated(pad, optim.logits_chunk)

        def collated(batch: list[dict[str, Any]]) -> dict[str, Any]:
            # A blank row has no pairs; among rows that do, the data set fills in None.
            filled = [{name: value for name, value in row.items() if value is not None} for row in batch]
            return collate([{**row, "reference": reference[row["row"]]} for row in filled])

        if optim.lora:
            model = attach(model, optim.lora, seed)
        trainer = _trainer_class()(
            model=model,
            args=arguments(optim, micro_rows, seed, Path(scratch)),
            train_dataset=Dataset.from_list(
                [{**columns(row), "row": at} for row, at in zip(laid, places, strict=True)]
            ),
            data_collator=collated,
            processing_class=tokenizer,
        )
        trainer.objective = objective
        # Constants, not per-batch counts: a step over few samples must not weigh each of them more.
        trainer.step_units = optim.batch_size * units / len(rows)
        trainer.constant_tok = weighted_tok / counted
        trainer.figures = {}
        trainer.world = optim.world
        if optim.world > 1:  # a sharded model answers once the trainer has placed it

            def measure(placed: Any) -> None:
                with model.disable_adapter() if optim.lora else contextlib.nullcontext():
                    reference.extend(_reference(placed, rows, micro_rows, pad, optim))

            at_start(trainer, measure)
        guard = watch(trainer, cap, scored, tokenizer=tokenizer, stop=stop, optim=optim)

        def executed(work: Work, done: Sequence[Row]) -> Work:  # in chunks, no padding reaches the vocabulary
            return replace(work, head_tok=sum(row.head_tok for row in done)) if optim.logits_chunk else work

        def report(steps: int, metrics: Mapping[str, float]) -> TrainReport:
            done = laid[: steps * optim.batch_size]
            sums = ranks.summed(trainer.figures, optim)
            figures = {name: value / max(1.0, weight) for name, (value, weight) in sums.items()}
            return TrainReport(
                checkpoint=out,
                rows=len(rows),
                steps=steps,
                samples=counted,
                skipped=skipped,
                trained=row_work(row for row in done if any(branch.count for branch in row.branches)),
                trained_padded=executed(padded_work(done, micro_rows, optim.batch_size), done),
                head_again_tok=sum(row.head_tok for row in done) if optim.logits_chunk else 0,
                reference=row_work(rows),
                reference_padded=executed(_reference_work(rows, micro_rows), rows),
                probe=guard.work,
                probe_padded=guard.padded,
                lora=optim.lora,
                checkpointing=optim.checkpointing,
                stopped=guard.stopped,
                metrics={**metrics, **figures, **guard.metrics},
            )

        try:
            steps, metrics = run(trainer, progress)
        except Diverged as error:
            error.report = report(error.steps, {})
            raise
        if optim.world == 1:
            save(merged(model), tokenizer, out)
        else:
            ranks.save_trained(trainer, tokenizer, optim, out, start=model_dir, seed=seed)
        return report(steps, metrics)
