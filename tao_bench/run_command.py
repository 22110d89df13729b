"""`tao-bench run`: from an experiment's name to its report."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from tao.errors import InputError
from tao.sampling.vllm_sampler import engine_python
from tao_bench.cli import needed_data, set_data
from tao_bench.estimate import Estimator, learn_pace
from tao_bench.experiment import PRESETS, Cell, Experiment, expand, read_experiment
from tao_bench.gpu_table import print_gpu_plan
from tao_bench.joint import FOLDER, mixture_sizes
from tao_bench.plan import Run, prepare, write_configs
from tao_bench.progress import listener
from tao_bench.runner import Job, Outcome, execute, jobs_of, run_lock
from tao_bench.store import export_results, write_json


def _load(options: argparse.Namespace) -> tuple[Experiment, list[Cell]]:
    """The experiment with the command line's changes."""
    experiment, cells = read_experiment(options.experiment)
    changes: dict[str, object] = {}
    if options.model:
        changes["model"] = options.model
    if options.seeds:
        changes["seeds"] = tuple(options.seeds)
        changes["arms"] = tuple(
            entry.model_copy(update={"seeds": tuple(options.seeds) if entry.seeds else None})
            for entry in experiment.arms
        )
    if options.limit:
        if experiment.eval.folds:
            raise InputError("a cross-validation has no first items", "--limit", "leave it out, or try the plain split")
        changes["eval"] = experiment.eval.model_copy(update={"limit": options.limit})
    # What was evaluated in part or with another model must not take the place of the experiment's own results.
    suffix = [Path(options.model).name] if options.model else []
    suffix += [f"first{options.limit}"] if options.limit else []
    changes["name"] = re.sub(r"[^a-z0-9_-]+", "-", "-".join([experiment.name, *suffix]).lower())
    if options.model or options.seeds or options.limit:
        experiment = experiment.model_copy(update=changes)
        cells = expand(experiment)
    return experiment, cells


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _usd(usd: float) -> str:
    return f"${usd:.2f}" if usd >= 0.01 else "< $0.01"


def _print_plan(console: Console, run: Run, jobs: Sequence[Job], parallel: int, estimator: Estimator) -> None:
    """What would run, what it costs and what it could show."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name, justify in (
        ("cell", "left"),
        ("tuning FLOPs", "right"),
        ("answering FLOPs", "right"),
        ("about", "right"),
    ):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    told: set[str] = set()
    for prepared in run.cells:
        cost = estimator.cost(prepared)
        if prepared.tuned is not None and prepared.tuned.key not in told:
            tuned = prepared.tuned
            told.add(tuned.key)
            about = "finished" if tuned.finished else _duration(estimator.seconds(prepared, "tune"))
            table.add_row(f"{FOLDER}: {prepared.cell.tuned_id}", f"{cost.tuning_flop:.2e}", "–", about)
        took = sum(estimator.seconds(prepared, work) for work in ("model", "verify"))
        about = "finished" if prepared.finished else _duration(took)
        if prepared.cell.options.REMOTE:  # a server's pace is its own
            about = about if prepared.finished else "remote" if cost.usd is None else _usd(cost.usd)
            table.add_row(prepared.cell.id, "–", "–", about)
            continue
        flop = "shared" if prepared.tuned is not None else f"{cost.tuning_flop:.2e}"
        table.add_row(prepared.cell.id, flop, f"{cost.answer_flop:.2e}", about)
    console.print(table, highlight=False)
    total = sum(job.weight for job in jobs)
    longest = max((job.weight for job in jobs), default=0.0)
    basis = "measured on this machine" if estimator.pace.measured else "assumed; measured from the first run on"
    console.print(
        f"{len(run.cells)} cells, {sum(p.finished for p in run.cells)} finished; about "
        f"{_duration(max(total / parallel, longest))} in {parallel} processes (pace {basis})",
        highlight=False,
    )
    for tuned in {p.cell.tune_on: p.tuned for p in run.cells if p.tuned is not None}.values():
        parts = [f"{n:,} of {name}'s {of:,}" for name, (n, of) in mixture_sizes(tuned.tasks, tuned.weights).items()]
        console.print(f"pool of {' + '.join(tuned.tasks)}: {', '.join(parts)} prompts", highlight=False)
    if not run.model.here:
        console.print(f"weights of {run.model.name} not here: planned from its published shape", highlight=False)
    for name in dict.fromkeys(prepared.cell.task for prepared in run.cells):
        console.print(f"{name}: smallest detectable difference {estimator.detectable(name)}", highlight=False)


def _say_problems(console: Console, run: Run, outcome: Outcome, command: str) -> None:
    for failure in outcome.failures:
        console.print(
            f"failed: {failure.key}: {failure.reason}", style="red", markup=False, highlight=False, soft_wrap=True
        )
        console.print(f"  log: {failure.log}", markup=False, highlight=False, soft_wrap=True)
    left = sum(not prepared.finished for prepared in run.cells)
    if outcome.disk_full:
        console.print(
            f"the disk is full; what is finished is kept. Free space where {run.root} lies, then: {command}",
            style="red",
            markup=False,
            soft_wrap=True,
        )
    elif outcome.interrupted or (outcome.failures and left):
        why = "interrupted" if outcome.interrupted else "not complete"
        console.print(
            f"{why}: {outcome.finished} of {len(run.cells)} cells are finished and kept; go on with: {command}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


def run_experiment(options: argparse.Namespace) -> int:
    """Run what an experiment still owes, publish its rows and render its report.

    Returns:
        0; 1 if a cell failed; 130 if interrupted.

    Raises:
        InputError: Anything at fault before compute is spent.
    """
    console = Console(stderr=False)
    parallel = (os.cpu_count() or 1) if options.jobs is None else options.jobs
    if parallel < 1:
        raise InputError("must be at least 1", "--jobs")
    experiment, cells = _load(options)
    sources = [experiment.made[name].source if name in experiment.made else name for name in experiment.all_tasks]
    set_data(options.data, needed_data(sources, options.tasks))
    started = time.monotonic()
    run = prepare(experiment, cells, options.out, options.results, options.tasks, dry=options.dry_run)
    for name, reason in run.skipped.items():
        console.print(f"skipped: {name}: {reason}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    estimator = Estimator(run)
    if options.dry_run and experiment.hardware:
        print_gpu_plan(console, run, estimator, experiment.hardware)
        return 0
    if options.dry_run:
        _print_plan(console, run, jobs_of(run, estimator.seconds), parallel, estimator)
        return 0
    if experiment.name in PRESETS and options.experiment in PRESETS and not options.model:
        for drift in run.warnings:
            raise InputError(drift, options.experiment, "restore the frozen files, or run a copy of the preset")
    for prepared in run.cells:
        if not prepared.finished:
            prepared.cell.options.check_here()
    if experiment.sampler == "vllm" and not all(prepared.finished for prepared in run.cells):
        engine_python()
    with run_lock(run.root):
        for warning in (*run.warnings, *write_configs(run, options.restart)):
            console.print(f"warning: {warning}", style="bold yellow", markup=False, highlight=False, soft_wrap=True)
        write_json(run.root / "experiment.json", experiment.model_dump(mode="json"))
        jobs = jobs_of(run, estimator.seconds)
        with listener(console, len(jobs)) as listen:
            outcome = execute(run, jobs, parallel, listen)
        learn_pace(run.cells)
        command = "tao-bench " + " ".join(sys.argv[1:] or ["run", options.experiment])
        _say_problems(console, run, outcome, command)
        if outcome.interrupted:
            return 130
        partial = run.root / "partial"
        shutil.rmtree(partial, ignore_errors=True)
        if outcome.failures:
            _salvage(console, run, outcome, partial)
            return 1
        target = options.results / experiment.name
        export_results(run.root, target, [prepared.cell.id for prepared in run.cells])
    _finish(console, target, options.reports / experiment.name, time.monotonic() - started)
    return 0


def _salvage(console: Console, run: Run, outcome: Outcome, partial: Path) -> None:
    """Report what is sound, beside the run: what is published is complete."""
    failed = {failure.key.rpartition("/")[0] for failure in outcome.failures}
    lost = {p.cell.pooled_id for p in run.cells if not p.finished or p.cell.id in failed}
    sound = [p.cell.id for p in run.cells if p.cell.pooled_id not in lost]
    if not sound or outcome.disk_full:
        return
    try:
        export_results(run.root, partial / "results", sound)
        _finish(console, partial / "results", partial / "report", None)
    except InputError as error:
        console.print(f"no report of the finished cells alone: {error.what}", markup=False, soft_wrap=True)


def _finish(console: Console, results: Path, report: Path, seconds: float | None) -> None:
    """Render the report, print the head-to-head table and where everything lies."""
    from tao_bench.report import render, summary_text

    paths = render(results, report)
    print(summary_text(results, max(console.width, 110)))
    took = "" if seconds is None else f"  ({_duration(seconds)} in all)"
    print(f"rows: {results}\nreport: {paths.html}{took}")
