"""Watching a model: it answers prompts, the answers are scored as in tuning, and alarms compare the figures.

The loop watches every round's samples, which come from the model of the round *before*: the model that a run ends with
is watched only with ``watch_last: true`` (`watch_last`) or before a promotion (`tao.flywheel.promote`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

from tao.compute import Ledger
from tao.meaning import Interpreter
from tao.mixture import part_stats, raised
from tao.prompts import Prompt
from tao.recipe import Recipe
from tao.rounds import LAST_ROUND, WATCHED, Round, read_round, write_round
from tao.sampling.passes import explore_round
from tao.sampling.samplers import SamplerFactory, reworder_factory
from tao.scoring.score import ScoredRound, charge_signals, score
from tao.scoring.signals import Weighed, load_signals, released

Progress = Callable[[str, int, int], None]


def watched(prompts: Sequence[Prompt], new: int, rng: Random) -> list[Prompt]:
    """At most `WATCHED` prompts to watch on: new ones and replayed ones in the pool's own proportion.

    Args:
        prompts: The pool, new prompts first.
        new: How many are new.
        rng: Chooses.
    """
    take = min(1.0, WATCHED / len(prompts))
    parts = (range(new), range(new, len(prompts)))
    return [prompts[at] for part in parts for at in sorted(rng.sample(part, round(take * len(part))))]


def observe(
    model: Path,
    prompts: Sequence[Prompt],
    out: Path,
    *,
    interpreter: Interpreter,
    recipe: Recipe,
    seed: int,
    number: int,
    ledger: Ledger,
    sampler: SamplerFactory,
    signals: Sequence[Weighed] | None = None,
    progress: Progress | None = None,
) -> ScoredRound:
    """A model's answers to prompts, scored as in tuning, resumably.

    Args:
        model: Checkpoint folder.
        prompts: What it answers.
        out: Folder for ``samples.jsonl`` and ``scores.jsonl``.
        interpreter: Says what an answer means.
        recipe: Its samples, strategies, limits and vote rules are used.
        seed: Of the sampling.
        number: Stands for the round in seeds and in the ledger.
        ledger: Charged as exploring, and for signals.
        sampler: Makes a sampler from a checkpoint folder.
        signals: Signals beside the vote, given back when all is scored; those that the recipe names if None.
        progress: As for `tao.loop.tune`.
    """
    settings = recipe.sampling()
    signals = load_signals(recipe.signals) if signals is None else signals
    answering = sampler(model)
    try:
        samples = explore_round(
            prompts,
            answering,
            recipe.exploring(),
            settings,
            interpreter,
            seed=seed,
            round=number,
            out=out / "samples.jsonl",
            ledger=ledger,
            progress=progress,
            reworder=reworder_factory(recipe.reworder),
        )
    finally:
        answering.close()
    scores = samples.with_name("scores.jsonl")
    with released(signals):
        scored = score(prompts, samples, interpreter, recipe.rewards(), out=scores, signals=signals, progress=progress)
        charge_signals(scored, signals, ledger, number)
    return scored


def watch_last(
    model: Path,
    first: ScoredRound,
    rounds: Sequence[Round],
    folder: Path,
    made_from: str,
    *,
    interpreter: Interpreter,
    recipe: Recipe,
    seed: int,
    ledger: Ledger,
    sampler: SamplerFactory,
    signals: Sequence[Weighed] | None = None,
    progress: Progress | None = None,
) -> Round:
    """Watch the model that the last round trained, as a next round would, on prompts of the first round.

    Its figures are held against the starting model's on the same prompts, and against those of the last round.

    Args:
        model: The last round's checkpoint.
        first: The first round's scored samples.
        rounds: The rounds so far.
        folder: ``watch/round-<k>``, k the number that a next round would have.
        made_from: Hash of all that the watch is made from.
        interpreter: Says what an answer means.
        recipe: As for `observe`.
        seed: Of the sampling, and of the choice of prompts.
        ledger: Charged as exploring.
        sampler: Makes a sampler from a checkpoint folder.
        signals: As for `observe`.
        progress: As for `tao.loop.tune`; all of it is told as stage ``watch``.

    Returns:
        A round that trained nothing, with the alarms that went off.
    """
    finished = read_round(folder, made_from)
    if finished is not None:
        return finished[0]
    number = len(rounds)
    prompts = watched(first.prompts, len(first.prompts), Random(f"watch {seed}"))
    scored = observe(
        model,
        prompts,
        folder,
        interpreter=interpreter,
        recipe=recipe,
        seed=seed,
        number=LAST_ROUND + number,
        ledger=ledger,
        sampler=sampler,
        signals=signals,
        progress=(lambda stage, done, everything: progress("watch", done, everything)) if progress else None,
    )
    yardstick = first.only(prompts)
    past = [replace(rounds[0], stats=yardstick.stats(), parts=part_stats(yardstick, interpreter)), *rounds[1:]]
    stats, parts = scored.stats(), part_stats(scored, interpreter)
    last = Round(number, None, stats, raised(past, stats, parts), {}, parts=parts)
    write_round(folder, made_from, last, None)
    return last
