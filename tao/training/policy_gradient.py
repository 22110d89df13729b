"""An offline round of policy gradient: negatives kept, the step bounded around the round-start policy.

Two losses over the same rows, both label-free given the advantages of `tao.scoring.combine`:

- ``clipped``: PPO's clipped ratio (arXiv 1707.06347) with GRPO's group baseline (2402.03300) and Dr. GRPO's
  constant length normalisation (2503.20783), token by token against the round-start policy.
- ``regression``: (beta * log-ratio of the whole answer - advantage)^2, as A*-PO (2505.20686) and OAPL
  (2602.19362), with the group's mean in place of the log-mean-exp value (they agree as its beta grows).

The trainer is TRL's `SFTTrainer` with its public `compute_loss` overridden; nothing else of TRL is touched.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tao.errors import InputError
from tao.scoring.score import ScoredRound
from tao.training.engine import arguments, isolated, load, order, run, save
from tao.training.packing import Row, build_rows, collator, padded_work
from tao.training.settings import Objective, Optim, Progress, TrainReport, Work, bucket
from tao.training.tokens import stop_ids

if TYPE_CHECKING:
    import torch


def answer_logps(model: Any, batch: Mapping[str, Any]) -> torch.Tensor:
    """Log-probabilities of a micro-batch's answer tokens under the model, shape (T,), float32."""
    import torch

    logits = model(
        input_ids=batch["input_ids"],
        attention_mask=batch["attention_mask"],
        position_ids=batch["position_ids"],
        logits_to_keep=batch["branch_tok"] + 1,
        use_cache=False,
    ).logits
    picked = logits.flatten(0, 1).index_select(0, batch["source_T"]).float()
    return torch.log_softmax(picked, dim=-1).gather(1, batch["target_T"][:, None]).squeeze(1)


def _kl(drift_T: torch.Tensor) -> torch.Tensor:
    """The k3 estimate of KL(round start || model), from tokens that the round-start policy sampled.

    Answers sampled from another view of the prompt are read on the deployment prompt all the same: for them it is no
    estimate of a KL but still 0 at the start and positive elsewhere.

    GRPO writes it the other way round (exp(-drift) + drift - 1) because its samples come from the policy itself. On
    an offline round that form is both biased and unbounded: one token of a pushed-down answer, e^-12 times as likely
    as before, counts 160,000 nats and its gradient as much. This form grows linearly there.
    """
    return drift_T.exp() - 1 - drift_T


def clipped_loss(
    logp_T: torch.Tensor, batch: Mapping[str, Any], objective: Objective, constant_tok: float
) -> tuple[torch.Tensor, dict[str, float]]:
    """Sum over the micro-batch's samples of the clipped token losses, divided by a constant length.

    Returns:
        The sum (a sample counts `weight_A` times) and the sums behind the logged figures.
    """
    import torch

    advantage, weight = batch["advantage_A"][batch["answer_T"]], batch["weight_A"][batch["answer_T"]]
    drift = logp_T - batch["reference_T"]
    ratio = drift.exp()
    bounded = ratio.clamp(1 - objective.clip_low, 1 + objective.clip_high)
    loss_T = -torch.minimum(ratio * advantage, bounded * advantage)
    kl_T = _kl(drift)
    if objective.kl:
        loss_T = loss_T + objective.kl * kl_T
    clipped = (ratio * advantage > bounded * advantage).float()
    figures = {
        "kl": (kl_T * weight).sum().item(),
        "clip_fraction": (clipped * weight).sum().item(),
        "tokens": weight.sum().item(),
    }
    return (loss_T * weight).sum() / constant_tok, figures


def regression_loss(
    logp_T: torch.Tensor, batch: Mapping[str, Any], objective: Objective
) -> tuple[torch.Tensor, dict[str, float]]:
    """Sum over the micro-batch's samples of (beta * log-ratio - advantage)^2; figures as `clipped_loss`."""
    import torch

    drift = logp_T - batch["reference_T"]
    ratio_A = torch.zeros_like(batch["advantage_A"]).index_add(0, batch["answer_T"], drift)
    loss_A = (objective.beta * ratio_A - batch["advantage_A"]) ** 2
    weight = batch["weight_A"][batch["answer_T"]]
    figures = {"kl": (_kl(drift) * weight).sum().item(), "clip_fraction": 0.0, "tokens": weight.sum().item()}
    return (loss_A * batch["weight_A"]).sum(), figures


def _trainer_class() -> Any:
    from trl import SFTTrainer

    class PolicyGradientTrainer(SFTTrainer):  # type: ignore[misc]
        """TRL's trainer with a loss over packed answers."""

        # `compute_loss` divides by the samples of a whole step; dividing by micro-batches again would shrink it.
        loss_is_scaled_for_ga = True
        objective: Objective
        step_samples: float
        constant_tok: float
        figures: dict[str, float]

        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            logp_T = answer_logps(model, inputs)
            if self.objective.loss == "clipped":
                loss, figures = clipped_loss(logp_T, inputs, self.objective, self.constant_tok)
            else:
                loss, figures = regression_loss(logp_T, inputs, self.objective)
            for name, value in figures.items():
                self.figures[name] = self.figures.get(name, 0.0) + value
            return loss / self.step_samples

    return PolicyGradientTrainer


def _columns(row: Row) -> dict[str, Any]:
    return {
        "prompt": list(row.prompt),
        "branches": [list(branch.ids) for branch in row.branches],
        "advantages": [branch.advantage for branch in row.branches],
        "weights": [float(branch.count) for branch in row.branches],
    }


def _reference(
    model: Any, rows: Sequence[Row], micro_rows: int, pad: int, optim: Optim
) -> tuple[list[list[float]], Work]:
    """Round-start log-probabilities of every row's answer tokens, and the padded work it took."""
    import torch

    collate = collator(pad)
    by_length = sorted(range(len(rows)), key=lambda at: (rows[at].length, at))
    found: list[list[float]] = [[] for _ in rows]
    device = next(model.parameters()).device
    model.eval()
    with torch.no_grad(), torch.autocast(device.type, dtype=torch.bfloat16, enabled=optim.precision == "bf16"):
        for start in range(0, len(rows), micro_rows):
            micro = by_length[start : start + micro_rows]
            batch = collate([_columns(rows[at]) for at in micro])
            moved = {k: v.to(device) if hasattr(v, "to") else v for k, v in batch.items()}
            values = iter(answer_logps(model, moved).tolist())
            for at in micro:
                found[at] = [next(values) for _ in range(rows[at].head_tok)]
    ordered = [rows[at] for at in by_length]
    return found, padded_work(ordered, micro_rows, len(ordered))


def train_policy_gradient(
    model_dir: Path,
    scored: ScoredRound,
    objective: Objective,
    optim: Optim,
    out: Path,
    *,
    seed: int,
    progress: Progress | None = None,
) -> TrainReport:
    """One bounded step (several optimiser steps) from the round-start policy on a scored round.

    Trained on the deployment prompt, whatever view an answer was sampled from. Same inputs give
    bit-identical weights on one machine.

    Args:
        model_dir: Round-start policy: the model that sampled.
        scored: The round.
        objective: The loss.
        optim: Optimiser settings; a row is a prompt with its distinct answers.
        out: Folder of the new checkpoint (float32).
        seed: Order of the rows.
        progress: See `tao.training.settings.Progress`.

    Raises:
        InputError: Nothing to train on (every prompt abstains), a row too long, or an unusable model.
    """
    from datasets import Dataset

    with isolated(), tempfile.TemporaryDirectory() as scratch:
        model, tokenizer = load(model_dir)
        stop = stop_ids(tokenizer, model.generation_config)
        pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
        rows, skipped = build_rows(scored, tokenizer, stop, optim.max_row_tok)
        if not rows:
            raise InputError("every prompt abstains, so there is nothing to train on", str(out))
        counted = sum(branch.count for row in rows for branch in row.branches)
        weighted_tok = sum(len(branch.ids) * branch.count for row in rows for branch in row.branches)
        lengths = [row.length for row in rows]
        micro_rows = optim.micro_rows(bucket(max(lengths)))
        reference, reference_padded = _reference(model, rows, micro_rows, pad, optim)
        sequence = order(lengths, optim, seed)
        columns = [{**_columns(row), "reference": logps} for row, logps in zip(rows, reference, strict=True)]
        trainer = _trainer_class()(
            model=model,
            args=arguments(optim, micro_rows, seed, Path(scratch)),
            train_dataset=Dataset.from_list([columns[at] for at in sequence]),
            data_collator=collator(pad),
            processing_class=tokenizer,
        )
        trainer.objective = objective
        # Constants, not per-batch counts: a step over few samples must not weigh each of them more.
        trainer.step_samples = optim.batch_size * counted / len(rows)
        trainer.constant_tok = weighted_tok / counted
        trainer.figures = {}
        steps, metrics = run(trainer, progress)
        save(model, tokenizer, out)
    work = Work()
    for row in rows:
        work = work.plus(row.length, row.head_tok)
    trained = Work()
    for at in sequence:
        trained = trained.plus(rows[at].length, rows[at].head_tok)
    tokens = max(1.0, trainer.figures.pop("tokens", 1.0))
    return TrainReport(
        checkpoint=out,
        rows=len(rows),
        steps=steps,
        samples=counted,
        skipped=skipped,
        trained=trained,
        trained_padded=padded_work([rows[at] for at in sequence], micro_rows, optim.batch_size),
        reference=work,
        reference_padded=reference_padded,
        metrics={**metrics, **{name: value / tokens for name, value in trainer.figures.items()}},
    )
