"""Whether a newly tuned model may take the place of the one in service, judged without labels.

`tao.loop` watches each round's samples, which come from the model of the round *before*: the model a run ends
with was never watched. So both models answer the same prompts once more, and the alarms compare them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from tao.compute import Ledger
from tao.meaning import Interpreter
from tao.prompts import Prompt
from tao.recipe import Recipe
from tao.rounds import WATCH_ROUND, TuneResult
from tao.sampling.explore import explore
from tao.sampling.protocol import Settings
from tao.scoring.alarms import Alarm, alarms
from tao.scoring.score import score
from tao.scoring.signals import load_signals
from tao.scoring.stats import RoundStats
from tao.stage import write_atomic

if TYPE_CHECKING:
    from tao.loop import Progress, SamplerFactory

WATCHED = 200
"""Prompts that both models answer: a fall of the run rate by 15 points in 200 groups of samples is no accident."""


@dataclass(frozen=True, slots=True)
class Promotion:
    """The decision, and what it rests on.

    Attributes:
        promote: Whether the new model may replace the old one.
        reason: Why, in words.
        checkpoint: The model to serve.
        alarms: What speaks against the new model.
        before: Figures of the model in service on the watched prompts.
        after: Figures of the new model on the same prompts; None if there is no new model.
    """

    promote: bool
    reason: str
    checkpoint: Path
    alarms: tuple[Alarm, ...]
    before: RoundStats | None
    after: RoundStats | None


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


def decide(
    serving: Path,
    result: TuneResult,
    prompts: Sequence[Prompt],
    *,
    interpreter: Interpreter,
    recipe: Recipe,
    out: Path,
    seed: int,
    sampler: SamplerFactory,
    progress: Progress | None = None,
) -> Promotion:
    """Watch both models on the same prompts and decide; the watch resumes like any stage.

    Args:
        serving: Checkpoint in service, which the run started from.
        result: What the run gave.
        prompts: Prompts to watch on.
        interpreter: Says what an answer means.
        recipe: Its samples, strategies, limits and vote rules are used.
        out: Folder of the run; the watch goes to ``watch/``, the decision to ``promotion.json``.
        seed: Of the sampling.
        sampler: Makes a sampler from a checkpoint folder.
        progress: As for `tao.loop.tune`.
    """
    if result.checkpoint == serving:
        reason = {"alarm": "an alarm went off while tuning", "no_signal": "there was nothing to train on"}
        found = tuple(alarm for done in result.rounds for alarm in done.alarms)
        decision = Promotion(False, reason.get(result.stopped, "no round trained"), serving, found, None, None)
    else:
        ledger = Ledger(out / "ledger.jsonl")
        settings = Settings(recipe.max_prompt_tok, recipe.max_new_tok, recipe.temperature)
        signals = load_signals(recipe.signals)
        stats = []
        for number, (name, model) in enumerate((("before", serving), ("after", result.checkpoint))):
            answering = sampler(model)
            try:
                samples = explore(
                    prompts,
                    answering,
                    recipe.counts(),
                    settings,
                    seed=seed,
                    round=WATCH_ROUND + number,
                    out=out / "watch" / name / "samples.jsonl",
                    ledger=ledger,
                    progress=progress,
                )
            finally:
                answering.close()
            scores = samples.with_name("scores.jsonl")
            scored = score(
                prompts, samples, interpreter, recipe.rewards(), out=scores, signals=signals, progress=progress
            )
            stats.append(scored.stats())
        found = tuple(alarms(stats))
        words = "; ".join(f"{alarm.name}: {alarm.message}" for alarm in found)
        checkpoint = serving if found else result.checkpoint
        decision = Promotion(not found, words or "no alarm went off", checkpoint, found, stats[0], stats[1])
    out.mkdir(parents=True, exist_ok=True)
    body = {**asdict(decision), "checkpoint": str(decision.checkpoint)}
    write_atomic(out / "promotion.json", json.dumps(body, sort_keys=True, ensure_ascii=False, indent=1) + "\n")
    return decision
