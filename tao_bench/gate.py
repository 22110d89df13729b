"""`tao-bench gate`: is there fuel, before anything is tuned? Greedy, maj@n and pass@n of a model on dev.

The best of many samples must be better than the first one, and a vote must find it: that gap is all a
label-free method has. The thresholds are the project's own (see `THRESHOLDS`).
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from tao.errors import InputError
from tao_bench.experiment import Experiment, expand
from tao_bench.plan import Prepared, Run, prepare, write_configs
from tao_bench.registry import MissingData, Task, load_task, task_dirs
from tao_bench.store import dump, read_rows, read_timing
from tao_bench.task import read_labels

DIALECTS = ("sqlite", "postgres", "tsql")
ALL_LEVELS = "all"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What a gate asks for; shares of items, CPU seconds."""

    greedy_low: float = 0.30
    greedy_high: float = 0.60
    vote_gain: float = 0.08
    pass_gain: float = 0.10
    dialect_share: float = 0.20
    cpu_s: float = 120.0


THRESHOLDS = Thresholds()


@dataclass(frozen=True, slots=True)
class Figures:
    """One line of the gate: a task's level, or all of them.

    Attributes:
        task: Task with version.
        level: Level, or ``all``.
        items: Items of dev.
        samples: Samples per item (n).
        greedy: Accuracy of the greedy answer.
        pass_1: Mean accuracy of a single sample.
        maj: Accuracy of the vote.
        pass_n: Share of items with a right sample.
        errors: Wrong greedy answers.
        dialect: Those mended by a change of SQL dialect alone.
        cpu_s: CPU seconds of the greedy evaluation (all levels together).
    """

    task: str
    level: str
    items: int
    samples: int
    greedy: float
    pass_1: float
    maj: float
    pass_n: float
    errors: int
    dialect: int
    cpu_s: float | None

    @property
    def dialect_share(self) -> float:
        """Share of the errors that are errors of dialect alone."""
        return self.dialect / self.errors if self.errors else 0.0


def faults(figures: Figures, wanted: Thresholds = THRESHOLDS) -> list[str]:
    """Which thresholds a line misses, in words; the CPU time counts where it is known."""
    found = []
    if not wanted.greedy_low <= figures.greedy <= wanted.greedy_high:
        found.append(f"greedy outside {wanted.greedy_low:.0%}-{wanted.greedy_high:.0%}")
    if figures.maj - figures.greedy < wanted.vote_gain:
        found.append(f"maj@n less than {100 * wanted.vote_gain:.0f} points above greedy")
    if figures.pass_n - figures.maj < wanted.pass_gain:
        found.append(f"pass@n less than {100 * wanted.pass_gain:.0f} points above maj@n")
    if figures.dialect_share >= wanted.dialect_share:
        found.append(f"{figures.dialect_share:.0%} of the errors are mended by dialect alone")
    if figures.cpu_s is not None and figures.cpu_s > wanted.cpu_s:
        found.append(f"an evaluation takes {figures.cpu_s:.0f} CPU seconds")
    return found


def other_dialects(answer: str) -> list[str]:
    """An answer read as each of three other dialects and written in Databricks SQL, where that changes it."""
    import logging

    import sqlglot

    logging.getLogger("sqlglot").setLevel(logging.CRITICAL)
    written: dict[str, None] = {}
    for dialect in DIALECTS:
        try:
            parts = sqlglot.transpile(answer, read=dialect, write="databricks")
        except (sqlglot.errors.SqlglotError, RecursionError, ValueError):
            continue
        if len(parts) == 1 and parts[0] != answer:
            written[parts[0]] = None
    return list(written)


def _grade(task: Task, base: Prepared, voted: Prepared, limit: int | None) -> list[dict[str, Any]]:
    """Per item: level, whether greedy, each sample and the vote are right, and whether dialect alone was wrong."""
    items = task.items("dev")[:limit]
    labels = read_labels(task.data, "dev")
    greedy = {row["item"]: row for row in read_rows(base.folder.rows)}
    majority = {row["item"]: row for row in read_rows(voted.folder.rows)}
    samples: dict[str, list[dict[str, Any]]] = {}
    for row in read_rows(voted.folder.evaluation / "samples.jsonl"):
        samples.setdefault(row["prompt_id"], []).append(row)
    verifier = task.verifier()
    known: dict[tuple[str, str, str], bool] = {}

    def right(item: Any, text: str, finish: str) -> bool:
        key = (item.prompt.id, text, finish)
        if key not in known:
            known[key] = verifier.grade(item.prompt, labels[item.prompt.id].gold, text, finish).score == 1.0
        return known[key]

    found = []
    try:
        for item in items:
            name = item.prompt.id
            first = greedy[name]
            wrong = first["score"] != 1.0
            mended = wrong and task.spec.answer == "sql" and first["finish_reason"] == "stop"
            found.append(
                {
                    "level": item.level,
                    "greedy": not wrong,
                    "maj": majority[name]["score"] == 1.0,
                    "samples": [right(item, row["text"], row["finish_reason"]) for row in samples[name]],
                    "dialect": mended and any(right(item, text, "stop") for text in other_dialects(first["answer"])),
                }
            )
    finally:
        verifier.close()
    return found


def _figures(task: str, level: str, graded: Sequence[dict[str, Any]], cpu_s: float | None) -> Figures:
    return Figures(
        task=task,
        level=level,
        items=len(graded),
        samples=len(graded[0]["samples"]),
        greedy=statistics.fmean(row["greedy"] for row in graded),
        pass_1=statistics.fmean(statistics.fmean(row["samples"]) for row in graded),
        maj=statistics.fmean(row["maj"] for row in graded),
        pass_n=statistics.fmean(any(row["samples"]) for row in graded),
        errors=sum(not row["greedy"] for row in graded),
        dialect=sum(row["dialect"] for row in graded),
        cpu_s=cpu_s,
    )


def measure(task: Task, base: Prepared, voted: Prepared, limit: int | None = None) -> list[Figures]:
    """The gate's lines of one task: all levels together, then each."""
    graded = _grade(task, base, voted, limit)
    took = [row["cpu_s"] for row in read_timing(base.folder.timing) if row["stage"] in ("answer", "verify")]
    levels = sorted({row["level"] for row in graded})
    lines = [_figures(task.version_name, ALL_LEVELS, graded, sum(took) if took else None)]
    return lines + [_figures(task.version_name, lv, [r for r in graded if r["level"] == lv], None) for lv in levels]


def as_markdown(model: str, digest: str, figures: Iterable[Figures]) -> str:
    """`gate.md`: the table and its verdicts."""
    lines = [
        "# Gate: is there fuel for tuning?",
        "",
        f"Model `{model}` ({digest}), split dev. Made by `tao-bench gate`; nothing here was typed by hand.",
        "*Dialect alone*: greedy errors that are right once read as another SQL dialect.",
        "",
        "| task | level | items | greedy | pass@1 | maj@n | pass@n | n | dialect alone | CPU s | verdict |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|---|",
    ]
    for one in figures:
        found = faults(one)
        cpu = "" if one.cpu_s is None else f"{one.cpu_s:.0f}"
        lines.append(
            f"| {one.task} | {one.level} | {one.items} | {one.greedy:.1%} | {one.pass_1:.1%} | {one.maj:.1%} | "
            f"{one.pass_n:.1%} | {one.samples} | {one.dialect_share:.1%} of {one.errors} | {cpu} | "
            f"{'; '.join(found) if found else 'passes'} |"
        )
    return "\n".join(lines) + "\n"


def dev_run(console: Console, options: argparse.Namespace, names: Sequence[str]) -> Run | int:
    """Greedy answers and samples of a model on dev, made now or found finished; an exit status where that fails.

    Args:
        console: Where progress goes.
        options: `model`, `samples`, `limit`, `out`, `results`, `tasks` of the command line.
        names: Tasks.
    """
    from tao_bench.models import resolve_model

    model = resolve_model(options.model)
    experiment = Experiment.model_validate(
        {
            "name": f"gate-{model.hash[:8]}" + (f"-first{options.limit}" if options.limit else ""),
            "model": options.model,
            "tasks": names,
            "eval": {"split": "dev", "limit": options.limit},
            "arms": [{"arm": "base"}, {"arm": "base_maj", "samples": options.samples}],
        }
    )
    return execute_on(console, prepare(experiment, expand(experiment), options.out, options.results, options.tasks))


def execute_on(console: Console, run: Run) -> Run | int:
    """Do all that a run lacks, with bars; the run, or an exit status where something failed."""
    from tao_bench.estimate import Estimator
    from tao_bench.progress import listener
    from tao_bench.runner import execute, jobs_of, run_lock

    with run_lock(run.root):
        write_configs(run)
        jobs = jobs_of(run, Estimator(run).seconds)
        with listener(console, len(jobs)) as listen:
            outcome = execute(run, jobs, _cores(), listen)
    for failure in outcome.failures:
        console.print(f"failed: {failure.key}: {failure.reason} (log: {failure.log})", style="red", markup=False)
    if outcome.interrupted:
        return 130
    return 1 if outcome.failures else run


def cell_of(run: Run, task: str, arm: str) -> Prepared:
    """The one cell of an arm on a task."""
    return next(p for p in run.cells if p.cell.task == task and p.cell.arm == arm)


def run_gate(options: argparse.Namespace) -> int:
    """The command ``tao-bench gate``.

    Returns:
        0 if every task passes over all its levels, 1 otherwise.
    """
    from tao_bench.models import resolve_model

    console = Console()
    names = options.task or available(console, options.tasks)
    model = resolve_model(options.model)
    run = dev_run(console, options, names)
    if isinstance(run, int):
        return run
    figures: list[Figures] = []
    for name in names:
        base, voted = cell_of(run, name, "base"), cell_of(run, name, "base_maj")
        figures += measure(base.task, base, voted, options.limit)
    text = as_markdown(options.model, model.hash[:12], figures)
    if not options.limit:
        options.results.mkdir(parents=True, exist_ok=True)
        (options.results / "gate.md").write_text(text, encoding="utf-8")
        body = "".join(dump({"model": options.model, "model_hash": model.hash[:12], **asdict(f)}) for f in figures)
        (options.results / "gate.jsonl").write_text(body, encoding="utf-8")
    print(text)
    return int(any(faults(one) for one in figures if one.level == ALL_LEVELS))


def _cores() -> int:
    import os

    return os.cpu_count() or 1


def available(console: Console, extra: Sequence[Path]) -> list[str]:
    """Every task whose data is here; the others are named."""
    names = []
    for name in sorted(task_dirs(extra)):
        try:
            load_task(name, extra)
            names.append(name)
        except MissingData as error:
            console.print(f"skipped: {error}", style="yellow", markup=False)
    if not names:
        raise InputError("no task can be gated here", "tao-bench gate")
    return names
