"""Whether a newly tuned model may take the place of the one in service, judged without labels.

`tao.loop` watches each round's samples, which come from the model of the round *before*, and the last model only if
the recipe says so, on prompts it was tuned on. So both models answer the same prompts once more, and the alarms compare
them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tao.compute import Ledger
from tao.meaning import Interpreter
from tao.prompts import Prompt
from tao.recipe import Recipe
from tao.rounds import WATCH_ROUND, TuneResult
from tao.scoring.alarms import Alarm, alarms
from tao.scoring.stats import RoundStats
from tao.stage import write_atomic
from tao.watch import observe

if TYPE_CHECKING:
    from tao.loop import Progress
    from tao.sampling.samplers import SamplerFactory


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
        reason = {
            "alarm": "an alarm went off while tuning",
            "no_signal": "there was nothing to train on",
            "thin_evidence": "there was too little evidence to train on",
        }
        rounds = [*result.rounds, *([result.last] if result.last else [])]
        found = tuple(alarm for done in rounds for alarm in done.alarms)
        decision = Promotion(False, reason.get(result.stopped, "no round trained"), serving, found, None, None)
    else:
        ledger = Ledger(out / "ledger.jsonl")
        stats = [
            observe(
                model,
                prompts,
                out / "watch" / name,
                interpreter=interpreter,
                recipe=recipe,
                seed=seed,
                number=WATCH_ROUND + number,
                ledger=ledger,
                sampler=sampler,
                progress=progress,
            ).stats()
            for number, (name, model) in enumerate((("before", serving), ("after", result.checkpoint)))
        ]
        found = tuple(alarms(stats))
        words = "; ".join(f"{alarm.name}: {alarm.message}" for alarm in found)
        checkpoint = serving if found else result.checkpoint
        decision = Promotion(not found, words or "no alarm went off", checkpoint, found, stats[0], stats[1])
    out.mkdir(parents=True, exist_ok=True)
    body = {**asdict(decision), "checkpoint": str(decision.checkpoint)}
    write_atomic(out / "promotion.json", json.dumps(body, sort_keys=True, ensure_ascii=False, indent=1) + "\n")
    return decision
