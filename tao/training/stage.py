"""Stage 3 of a round: the recipe's objective on scored samples, with attempts that died or diverged charged as lost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tao.compute import Entry, Ledger, ModelShape
from tao.errors import InputError
from tao.scoring.score import ScoredRound
from tao.stage import write_atomic
from tao.training.engine import Diverged
from tao.training.settings import Progress, TrainReport, device_flop, model_flop

if TYPE_CHECKING:
    from tao.recipe import Recipe


def train_round(
    recipe: Recipe,
    start: Path,
    current: Path,
    rounds: Sequence[ScoredRound],
    folder: Path,
    *,
    number: int,
    seed: int,
    ledger: Ledger,
    shape: ModelShape,
    progress: Progress | None = None,
) -> TrainReport:
    """Train one round; how often it was begun is on disk, so that killed attempts are charged as lost.

    Args:
        recipe: Says how.
        start: The run's first model.
        current: The round-start policy.
        rounds: Scored rounds to train on, oldest first; all but the last are there for a recipe that restarts.
        folder: The round's folder; the model becomes its ``checkpoint``.
        number: The round.
        seed: Order of the rows.
        ledger: Where lost attempts are charged.
        shape: The model's.
        progress: See `tao.training.settings.Progress`.

    Raises:
        InputError: Training diverged (what it did is charged; the models so far are kept), or cannot begin.
    """
    inflight = folder / "training.inflight"
    lost = int(inflight.read_text(encoding="utf-8")) if inflight.exists() else 0
    write_atomic(inflight, f"{lost + 1}\n")
    try:
        report = _train(recipe, start, current, rounds, folder / "checkpoint", seed=seed, progress=progress)
    except Diverged as error:
        write_atomic(inflight, f"{lost}\n")  # what this attempt cost is known
        before = sum(entry.round == number and entry.note.startswith("diverged") for entry in ledger.lost())
        if error.report is not None:
            cost = device_flop(error.report, shape)
            ledger.charge_lost(Entry("train", number, f"diverged, attempt {before + 1}", device_flop=cost))
        raise InputError(
            error.what,
            str(folder),
            f"{current} is the last good model: tune it with a lower learning_rate into another folder "
            "(the same command tries this round again)",
        ) from error
    for attempt in range(1, lost + 1):
        # How far it came is unknown; more than all of it it cannot have cost.
        ledger.charge_lost(Entry("train", number, f"attempt {attempt}", device_flop=device_flop(report, shape)))
    return report


def _train(
    recipe: Recipe,
    start: Path,
    current: Path,
    rounds: Sequence[ScoredRound],
    out: Path,
    *,
    seed: int,
    progress: Progress | None,
) -> TrainReport:
    from tao.training.offline import train_offline
    from tao.training.rft import train_rft

    optim, objective, cap = recipe.optim(), recipe.loss(), recipe.cap(start)
    if objective is not None:
        return train_offline(current, rounds[-1], objective, optim, out, seed=seed, cap=cap, progress=progress)
    begin = start if recipe.restart else current
    return train_rft(begin, rounds, optim, out, seed=seed, per_prompt=recipe.per_prompt, cap=cap, progress=progress)


def figures(report: TrainReport) -> dict[str, float]:
    """What a round's record says of its training."""
    skipped = {f"skipped_{why}": float(count) for why, count in sorted(report.skipped.items())}
    counts = {"steps": float(report.steps), "rows": float(report.rows), "samples": float(report.samples)}
    return {**counts, **skipped, **report.metrics}


def entry(report: TrainReport, objective: str, number: int, shape: ModelShape) -> Entry:
    """What a round's training costs."""
    return Entry(
        "train",
        number,
        objective,
        model_flop=model_flop(report, shape),
        device_flop=device_flop(report, shape),
        train_tok=report.trained.seq_tok,
    )
