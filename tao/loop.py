"""The whole method: explore -> score -> train, round after round, from prompts alone.

What `tune` is given is all it can know: prompts (a type without a field for labels), an interpreter over
what the prompts point at, and a recipe. On disk, under ``out``::

    recipe.json  pool.jsonl     what was asked for, and of which prompts
    round-0/samples.jsonl       stage 1 (see `tao.sampling.explore`)
    round-0/scores.jsonl        stage 2 (see `tao.scoring.score`)
    round-0/checkpoint/         stage 3, float32; what round 1 samples from
    round-0/round.json          the round is complete: its hash, statistics, alarms, training figures
    ledger.jsonl  lost.jsonl    tokens and FLOPs of every stage; work that kills threw away
    result.json                 the model to deploy, and why the run stopped
    timing.jsonl                seconds, outside every hash

A killed run goes on with the same call and ends with the same bytes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tao import __version__
from tao.compute import Entry, Ledger, ModelShape
from tao.meaning import Interpreter
from tao.prompts import Prompt, pool_digest, write_prompts
from tao.recipe import Recipe
from tao.rounds import Round, TuneResult, claim, read_round, write_result, write_round
from tao.sampling.explore import explore
from tao.sampling.protocol import Sampler, Settings
from tao.scoring import combine as scoring
from tao.scoring.alarms import alarms
from tao.scoring.score import ScoredRound, handles_digest, score
from tao.scoring.signals import Weighed, distinct_answers, load_signals, signals_digest
from tao.scoring.stats import RoundStats
from tao.stage import digest, folder_digest, write_atomic
from tao.training import settings as training
from tao.training.settings import TrainReport, device_flop, model_flop

Progress = Callable[[str, int, int], None]
"""Called with the stage's name, what is done of it and how much there is."""
SamplerFactory = Callable[[Path], Sampler]


def transformers_sampler(folder: Path) -> Sampler:
    """The default sampler factory: transformers on this machine."""
    from tao.sampling.transformers_sampler import TransformersSampler

    return TransformersSampler(folder)


def tune(
    model: Path,
    prompts: Sequence[Prompt],
    interpreter: Interpreter,
    recipe: Recipe,
    out: Path,
    *,
    seed: int = 0,
    budget_flop: float | None = None,
    sampler: SamplerFactory = transformers_sampler,
    ledger: Ledger | None = None,
    progress: Progress | None = None,
) -> TuneResult:
    """Tune a model on prompts alone.

    Args:
        model: Checkpoint folder to start from.
        prompts: The pool; every round explores all of it, or the part that `recipe.prompts_of` names.
        interpreter: Says what an answer means, without knowing the truth.
        recipe: See `tao.recipe.Recipe`.
        out: Folder of the run.
        seed: Of sampling and of the training order.
        budget_flop: Model FLOPs not to exceed. A round that would (going by what the one before cost) is not
            begun; the first always is.
        sampler: Makes a sampler from a checkpoint folder.
        ledger: Where to charge; ``out/ledger.jsonl`` if None.
        progress: See `Progress`.

    Raises:
        InputError: Unusable model or prompts, or `out` holds another run.
    """
    signals = load_signals(recipe.signals)
    # More rounds of the same run are no other run: they go on where it ended.
    asked = recipe.model_dump(mode="json", exclude={"rounds"})
    made_from = {
        "model": folder_digest(model),
        "pool": pool_digest(prompts),
        "handles": handles_digest(prompts),
        "interpreter": f"{interpreter.name}@{interpreter.version}",
        "recipe": asked,
        "seed": seed,
        "code": f"{__version__}/scoring@{scoring.VERSION}/training@{training.VERSION}",
    }
    if signals:
        made_from["signals"] = signals_digest(signals)
    claim(out, made_from)
    write_prompts(out / "pool.jsonl", prompts)
    run = _Run(
        start=model,
        prompts=prompts,
        interpreter=interpreter,
        recipe=recipe,
        out=out,
        seed=seed,
        sampler=sampler,
        ledger=ledger or Ledger(out / "ledger.jsonl"),
        progress=progress,
        shape=ModelShape.from_config(model),
        made_from=made_from,
        signals=signals,
    )
    current, good, stopped = model, model, "rounds"
    rounds: list[Round] = []
    for number in range(recipe.rounds):
        if number and budget_flop is not None and _forecast(run, number) > budget_flop:
            stopped = "budget"
            break
        done = _round(run, number, current, [past.stats for past in rounds])
        rounds.append(done)
        if done.alarms:
            # The samples that raised the alarm came from `current`: it is the model not to trust.
            current, stopped = good, "alarm"
            break
        if done.checkpoint is None:
            if recipe.prompts_per_round is None or number + 1 == recipe.rounds:
                stopped = "no_signal"
                break
            continue  # this part of the pool had nothing to say; the next may
        good, current = current, done.checkpoint
    result = TuneResult(current, stopped, tuple(rounds), run.ledger.tuning_flop())
    write_result(out, result)
    return result


@dataclass(frozen=True, slots=True)
class _Run:
    """What stays the same over the rounds."""

    start: Path
    prompts: Sequence[Prompt]
    interpreter: Interpreter
    recipe: Recipe
    out: Path
    seed: int
    sampler: SamplerFactory
    ledger: Ledger
    progress: Progress | None
    shape: ModelShape
    made_from: Mapping[str, Any]
    signals: Sequence[Weighed]


def _forecast(run: _Run, number: int) -> int:
    """Model FLOPs after one more round like the last one; a restarted round trains on one more round's winners."""
    spent = sum(t.model_flop for stage, t in run.ledger.totals(range(number)).items() if stage != "evaluate")
    last = {stage: t.model_flop for stage, t in run.ledger.totals([number - 1]).items() if stage != "evaluate"}
    if run.recipe.restart and "train" in last:
        last["train"] = last["train"] * (number + 1) // number
    return spent + sum(last.values())


def _round(run: _Run, number: int, current: Path, history: Sequence[RoundStats]) -> Round:
    """Explore, score, watch, train; or read back what an earlier call did."""
    folder = run.out / f"round-{number}"
    made_from = digest({**run.made_from, "round": number, "start": folder_digest(current)})
    finished = read_round(folder, made_from)
    if finished is None:
        scored = _explore_and_score(run, number, current, folder)
        stats = scored.stats()
        found = tuple(alarms([*history, stats])) if run.recipe.watch else ()
        finished = Round(number, None, stats, found, {}), None
        if not found and _has_signal(scored, run.recipe):
            report = _train(run, number, current, scored, folder)
            finished = Round(number, report.checkpoint, stats, found, _figures(report)), _entry(run, number, report)
        write_round(folder, made_from, *finished)
        (folder / "training.inflight").unlink(missing_ok=True)
    done, entry = finished
    if entry is not None:
        run.ledger.charge(entry)
    return done


def _explore_and_score(run: _Run, number: int, current: Path, folder: Path) -> ScoredRound:
    recipe = run.recipe
    settings = Settings(recipe.max_prompt_tok, recipe.max_new_tok, recipe.temperature)
    prompts = _prompts(run, number)
    with _timed(run, "explore", number):
        sampler = run.sampler(current)
        try:
            samples = explore(
                prompts,
                sampler,
                recipe.counts(),
                settings,
                seed=run.seed,
                round=number,
                out=folder / "samples.jsonl",
                ledger=run.ledger,
                progress=run.progress,
            )
        finally:
            sampler.close()
    with _timed(run, "score", number):
        # Votes are taken once, on the round-start model's samples, and stay frozen while it trains on them.
        scored = _scored(run, number, samples)
    for weighed in run.signals:
        ask = weighed.signal.flop
        flop = sum(ask(prompt, distinct_answers(scored.samples[prompt.id])) for prompt in scored.prompts)
        if flop:
            run.ledger.charge(Entry("score", number, weighed.signal.name, model_flop=flop, device_flop=flop))
    return scored


def _prompts(run: _Run, number: int) -> list[Prompt]:
    return [run.prompts[at] for at in run.recipe.prompts_of(number, len(run.prompts))]


def _scored(run: _Run, number: int, samples: Path) -> ScoredRound:
    """A round's scores; those of a finished round are read, not made again."""
    out, rewards = samples.with_name("scores.jsonl"), run.recipe.rewards()
    prompts = _prompts(run, number)
    return score(prompts, samples, run.interpreter, rewards, out=out, signals=run.signals, progress=run.progress)


def _has_signal(scored: ScoredRound, recipe: Recipe) -> bool:
    """Whether there is anything to train on: a winner to imitate, or two samples to tell apart."""
    every = (score for group in scored.scores.values() for score in group)
    return any(score.pseudo_label if recipe.objective == "rft" else score.advantage is not None for score in every)


def _train(run: _Run, number: int, current: Path, scored: ScoredRound, folder: Path) -> TrainReport:
    """One training stage; how often it was begun is on disk, so that killed attempts are charged as lost."""
    from tao.training.policy_gradient import train_policy_gradient
    from tao.training.rft import train_rft

    inflight = folder / "training.inflight"
    lost = int(inflight.read_text(encoding="utf-8")) if inflight.exists() else 0
    write_atomic(inflight, f"{lost + 1}\n")
    optim, objective, out = run.recipe.optim(), run.recipe.loss(), folder / "checkpoint"
    seed = int(digest([run.seed, number, "train"]), 16) % 2**31
    with _timed(run, "train", number):
        if objective is None:
            keep, rounds = run.recipe.per_prompt, [scored]
            if run.recipe.restart:
                earlier = [run.out / f"round-{past}" / "samples.jsonl" for past in range(number)]
                rounds = [*(_scored(run, past, samples) for past, samples in enumerate(earlier)), scored]
            start = run.start if run.recipe.restart else current
            report = train_rft(start, rounds, optim, out, seed=seed, per_prompt=keep, progress=run.progress)
        else:
            report = train_policy_gradient(current, scored, objective, optim, out, seed=seed, progress=run.progress)
    for attempt in range(1, lost + 1):
        # How far it came is unknown; more than all of it it cannot have cost.
        cost = device_flop(report, run.shape)
        run.ledger.charge_lost(Entry("train", number, f"attempt {attempt}", device_flop=cost))
    return report


def _figures(report: TrainReport) -> dict[str, float]:
    skipped = {f"skipped_{why}": float(count) for why, count in sorted(report.skipped.items())}
    counts = {"steps": float(report.steps), "rows": float(report.rows), "samples": float(report.samples)}
    return {**counts, **skipped, **report.metrics}


def _entry(run: _Run, number: int, report: TrainReport) -> Entry:
    return Entry(
        "train",
        number,
        run.recipe.objective,
        model_flop=model_flop(report, run.shape),
        device_flop=device_flop(report, run.shape),
        train_tok=report.trained.seq_tok,
    )


@contextmanager
def _timed(run: _Run, stage: str, number: int) -> Iterator[None]:
    """Append a stage's seconds to ``timing.jsonl``, which no hash covers."""
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    row = {
        "stage": stage,
        "round": number,
        "wall_s": round(time.perf_counter() - wall, 3),
        "cpu_s": round(time.process_time() - cpu, 3),
    }
    with (run.out / "timing.jsonl").open("a", encoding="utf-8") as handle:
        handle.write(json.dumps(row) + "\n")
