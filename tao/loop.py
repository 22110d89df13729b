"""The whole method: explore -> score -> train, round after round, from prompts alone.

What `tune` is given is all it can know: prompts (a type without a field for labels), an interpreter over
what the prompts point at, and a recipe. On disk, under ``out``::

    recipe.json                 what was asked for
    round-0/samples.jsonl       stage 1 (see `tao.sampling.passes`)
    round-0/scores.jsonl        stage 2 (see `tao.scoring.score`); a judge's replies are beside it
    round-0/checkpoint/         stage 3, float32; what round 1 samples from
    round-0/round.json          the round is complete: its hash, statistics, alarms, training figures
    ledger.jsonl  lost.jsonl    tokens and FLOPs of every stage; work that kills threw away
    watch/round-<k>/            with `watch_last`: what the last model answers, and the alarms
    result.json                 the model to deploy, and why the run stopped
    timing.jsonl                seconds, outside every hash

The alarms of round k speak of the model of round k - 1, which made its samples. So without `watch_last` nothing has
watched the model that the last round trained: it is returned as it is.

A killed run goes on with the same call and ends with the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tao import __version__
from tao.compute import Ledger, ModelShape
from tao.meaning import Interpreter
from tao.mixture import part_stats, raised
from tao.prompts import Prompt, pool_digest
from tao.recipe import Recipe
from tao.rounds import LAST_ROUND, Round, TuneResult, claim, read_round, timed, write_result, write_round
from tao.sampling.passes import explore_round
from tao.sampling.samplers import SamplerFactory, reworder_factory, sampler_factory
from tao.scoring import combine as scoring
from tao.scoring.evidence import round_evidence
from tao.scoring.score import ScoredRound, charge_signals, handles_digest, score
from tao.scoring.signals import Weighed, load_signals, released, signals_digest
from tao.stage import digest, folder_digest
from tao.training import launch, lora
from tao.training import settings as training
from tao.training.settings import TrainReport
from tao.training.stage import entry, figures, train_round
from tao.watch import watch_last

Progress = Callable[[str, int, int], None]
"""Called with the stage's name, what is done of it and how much there is."""


def tune(
    model: Path,
    prompts: Sequence[Prompt],
    interpreter: Interpreter,
    recipe: Recipe,
    out: Path,
    *,
    seed: int = 0,
    budget_flop: float | None = None,
    sampler: SamplerFactory | None = None,
    ledger: Ledger | None = None,
    progress: Progress | None = None,
    further: Sequence[Weighed] = (),
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
        sampler: Makes a sampler from a checkpoint folder; the recipe's if None.
        ledger: Where to charge; ``out/ledger.jsonl`` if None.
        progress: See `Progress`.
        further: Signals beside those that the recipe names. All are closed at the end, and after every scoring.

    Raises:
        InputError: Unusable model or prompts, `out` holds another run, or training diverged.
    """
    if recipe.lora:
        lora.require()
    launch.check(recipe.optim())
    signals = [*load_signals(recipe.signals), *further]
    with released(signals):
        made_from = {
            "model": folder_digest(model),
            "pool": pool_digest(prompts),
            "handles": handles_digest(prompts),
            "interpreter": f"{interpreter.name}@{interpreter.version}",
            "recipe": recipe.record(),
            "seed": seed,
            "code": f"{__version__}/scoring@{scoring.VERSION}/training@{training.VERSION}",
        }
        if signals:
            made_from["signals"] = signals_digest(signals)
        claim(out, made_from)
        run = _Run(
            start=model,
            prompts=prompts,
            interpreter=interpreter,
            recipe=recipe,
            out=out,
            seed=seed,
            sampler=sampler or sampler_factory(recipe.sampler, recipe.vllm, recipe.endpoint),
            ledger=ledger or Ledger(out / "ledger.jsonl"),
            progress=progress,
            shape=ModelShape.from_config(model),
            made_from=made_from,
            signals=signals,
        )
        return _rounds(run, budget_flop)


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


def _rounds(run: _Run, budget_flop: float | None) -> TuneResult:
    """Round after round, until there is a reason to stop."""
    current, good, stopped = run.start, run.start, "rounds"
    rounds: list[Round] = []
    for number in range(run.recipe.rounds):
        if number and budget_flop is not None and _forecast(run, number) > budget_flop:
            stopped = "budget"
            break
        done = _round(run, number, current, rounds)
        rounds.append(done)
        if done.alarms:
            # The samples that raised the alarm came from `current`: it is the model not to trust.
            current, stopped = good, "alarm"
            break
        if done.checkpoint is None:
            if run.recipe.prompts_per_round is None or number + 1 == run.recipe.rounds:
                stopped = "thin_evidence" if done.refused else "no_signal"
                break
            continue  # this part of the pool had nothing to say; the next may
        good, current = current, done.checkpoint
        if "kl_base_step" in done.training:
            stopped = "kl_base"
            break
    last = None
    if run.recipe.watch_last and rounds[-1].checkpoint is not None:  # nothing has sampled from it yet
        last = _watch_last(run, current, rounds)
        if last.alarms:
            current, stopped = good, "alarm"
    result = TuneResult(current, stopped, tuple(rounds), run.ledger.tuning_flop(), last)
    write_result(run.out, result)
    return result


def _forecast(run: _Run, number: int) -> int:
    """Model FLOPs after one more round like the last one; a restarted round trains on one more round's winners."""
    so_far = [*range(number), *(LAST_ROUND + past for past in range(number + 1))]
    spent = sum(t.model_flop for stage, t in run.ledger.totals(so_far).items() if stage != "evaluate")
    last = {stage: t.model_flop for stage, t in run.ledger.totals([number - 1]).items() if stage != "evaluate"}
    if run.recipe.restart and "train" in last:
        last["train"] = last["train"] * (number + 1) // number
    watch = last.get("explore", 0) * run.recipe.watch_share(len(run.prompts))
    return spent + sum(last.values()) + round(watch)


def _round(run: _Run, number: int, current: Path, past: Sequence[Round]) -> Round:
    """Explore, score, watch, train; or read back what an earlier call did."""
    folder = run.out / f"round-{number}"
    made_from = digest({**run.made_from, "round": number, "start": folder_digest(current)})
    finished = read_round(folder, made_from)
    if finished is None:
        with released(run.signals):  # a reward model shall not lie in memory while the policy trains
            scored = _explore_and_score(run, number, current, folder)
            thin = round_evidence(scored, run.recipe.thin_evidence, run.recipe.source, run.signals)
        stats, parts = scored.stats(), part_stats(scored, run.interpreter)
        found = raised(past, stats, parts) if run.recipe.watch else ()
        finished = Round(number, None, stats, found, {}, scored.diversity(), parts, thin), None
        if not found and not finished[0].refused and _has_signal(scored, run.recipe):
            report = _train(run, number, current, scored, folder)
            trained = replace(finished[0], checkpoint=report.checkpoint, training=figures(report))
            finished = trained, entry(report, run.recipe.objective, number, run.shape)
        write_round(folder, made_from, *finished)
        (folder / "training.inflight").unlink(missing_ok=True)
    done, cost = finished
    if cost is not None:
        run.ledger.charge(cost)
    return done


def _explore_and_score(run: _Run, number: int, current: Path, folder: Path) -> ScoredRound:
    recipe = run.recipe
    settings = recipe.sampling()
    prompts = _prompts(run, number)
    with timed(run.out, "explore", number):
        sampler = run.sampler(current)
        try:
            samples = explore_round(
                prompts,
                sampler,
                recipe.exploring(),
                settings,
                run.interpreter,
                seed=run.seed,
                round=number,
                out=folder / "samples.jsonl",
                ledger=run.ledger,
                progress=run.progress,
                reworder=reworder_factory(recipe.reworder),
            )
        finally:
            sampler.close()
    with timed(run.out, "score", number):
        # Votes are taken once, on the round-start model's samples, and stay frozen while it trains on them.
        scored = _scored(run, number, samples)
    charge_signals(scored, run.signals, run.ledger, number)
    return scored


def _prompts(run: _Run, number: int) -> list[Prompt]:
    return [run.prompts[at] for at in run.recipe.prompts_of(number, len(run.prompts))]


def _scored(run: _Run, number: int, samples: Path) -> ScoredRound:
    """A round's scores; those of a finished round are read, not made again."""
    out, rewards, prompts = samples.with_name("scores.jsonl"), run.recipe.rewards(), _prompts(run, number)
    return score(prompts, samples, run.interpreter, rewards, out=out, signals=run.signals, progress=run.progress)


def _has_signal(scored: ScoredRound, recipe: Recipe) -> bool:
    """Whether there is anything to train on: a winner to imitate, or two samples to tell apart."""
    every = (score for group in scored.scores.values() for score in group)
    return any(score.pseudo_label if recipe.objective == "rft" else score.advantage is not None for score in every)


def _train(run: _Run, number: int, current: Path, scored: ScoredRound, folder: Path) -> TrainReport:
    rounds = [scored]
    if run.recipe.restart:
        earlier = [run.out / f"round-{past}" / "samples.jsonl" for past in range(number)]
        with released(run.signals):
            rounds = [*(_scored(run, past, samples) for past, samples in enumerate(earlier)), scored]
    with timed(run.out, "train", number):
        return train_round(
            run.recipe,
            run.start,
            current,
            rounds,
            folder,
            number=number,
            seed=int(digest([run.seed, number, "train"]), 16) % 2**31,
            ledger=run.ledger,
            shape=run.shape,
            progress=run.progress,
        )


def _watch_last(run: _Run, model: Path, rounds: Sequence[Round]) -> Round:
    number = len(rounds)
    with timed(run.out, "watch", number):
        return watch_last(
            model,
            _scored(run, 0, run.out / "round-0" / "samples.jsonl"),
            rounds,
            run.out / "watch" / f"round-{number}",
            digest({**run.made_from, "watch": number, "start": folder_digest(model)}),
            interpreter=run.interpreter,
            recipe=run.recipe,
            seed=run.seed,
            ledger=run.ledger,
            sampler=run.sampler,
            signals=run.signals,
            progress=run.progress,
        )
