"""`tao-bench trace`: what a tuned cell's models were worth after every round, held against what tuning saw.

Tuning sees a label-free signal that rises. Whether the truth rises with it, and where it turns down, only labels can
say: so every round's checkpoint answers the dev split, and its verdicts are laid beside the signal of that same model,
its KL from the start, and the alarms that its samples set off. Over-optimisation is a gap that opens between the two
(Gao et al., arXiv 2210.10760). The test split is never read here.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tao.errors import InputError
from tao_bench.digest import SHORT
from tao_bench.store import CellFolder, dump, finished_cells, read_rounds

if TYPE_CHECKING:
    from tao.prompts import Prompt, Sample
    from tao.sampling.protocol import Sampler
    from tao_bench.registry import Task

START = "--start"
"""Ends the name of the part that measures the model a task's cells started from."""
SEED = 0
"""Of the samples on dev: the same for every model, so that a difference is the model's."""


@dataclass(frozen=True, slots=True)
class Point:
    """One model on the way: 0 is the model that tuning started from, k the one that round k - 1 trained.

    Attributes:
        cell: The cell it belongs to.
        arm: Its arm as tables name it.
        task: Task with version.
        seed: The cell's seed.
        round: k.
        kl: KL(model || start) per answer token in nats, over its own samples on dev.
        right: Whether its greedy answer to each item is right; None where the verifier failed.
        passed: Of each of the first items, the right ones among its samples.
        samples: Samples an item behind `passed`.
        completion_tok: Tokens of each of its greedy answers.
        signal: Mean label-free reward of its samples on the pool; None where nothing sampled from it.
        stats: The other label-free figures of those samples.
        alarms: Names of the alarms that those samples set off, whether or not the run heeded them.
    """

    cell: str
    arm: str
    task: str
    seed: int
    round: int
    kl: float
    right: tuple[bool | None, ...]
    passed: tuple[int, ...]
    samples: int
    completion_tok: tuple[int, ...]
    signal: float | None
    stats: Mapping[str, Any]
    alarms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured at every point.

    Attributes:
        items: Dev items with a greedy answer.
        sampled: The first of them that are also sampled.
        samples: Samples an item; 0 for none (then `kl` is taken over the greedy answers).
    """

    items: int
    sampled: int
    samples: int


@dataclass(frozen=True, slots=True)
class _Work:
    """One process's part: a cell, or the model that a task's cells started from."""

    cell: dict[str, Any]
    models: tuple[Path, ...]
    out: Path
    folder: Path
    base: Path
    task_folder: Path
    data: Path
    task_hash: str
    variant: str
    plan: Plan


def stage_figures(rounds: Sequence[Mapping[str, Any]]) -> list[tuple[dict[str, Any] | None, tuple[str, ...]]]:
    """Label-free figures of each model of a run and the alarms they set off, by today's limits.

    Args:
        rounds: As `tao_bench.store.read_rounds` gives them: round k's samples come from model k.

    Returns:
        For the starting model and every trained one: its figures (None where nothing sampled from it), alarms.
    """
    from tao.scoring.alarms import alarms
    from tao.scoring.stats import RoundStats

    known = set(RoundStats.__dataclass_fields__)
    found: list[tuple[dict[str, Any] | None, tuple[str, ...]]] = []
    history: list[RoundStats] = []
    for row in rounds:
        history.append(RoundStats(**{name: value for name, value in row["stats"].items() if name in known}))
        found.append((dict(row["stats"]), tuple(alarm.name for alarm in alarms(history))))
    if rounds and not rounds[-1].get("watch") and rounds[-1]["training"]:
        found.append((None, ()))
    return found


def _checkpoints(folder: CellFolder) -> list[Path]:
    """The models that a cell's rounds trained, in order; a round without one ends the list."""
    found = []
    for number in range(len(list(folder.tune.glob("round-*/round.json")))):
        checkpoint = folder.tune / f"round-{number}" / "checkpoint"
        if not checkpoint.is_dir():
            break
        found.append(checkpoint)
    return found


def _measure(work: _Work) -> list[dict[str, Any]]:
    """Greedy answers, samples, verdicts and drift of every model of one part; resumable file by file."""
    import torch
    from transformers.utils import logging

    from tao_bench.answering import make_sampler
    from tao_bench.registry import open_task

    torch.set_num_threads(1)
    logging.disable_progress_bar()
    task = open_task(work.task_folder, work.data, work.task_hash, work.variant)
    prompts = [item.prompt for item in task.items("dev")[: work.plan.items]]
    found = []
    for number, model in enumerate(work.models):
        out = work.out / f"{number}"
        sampler = make_sampler(model)
        try:
            greedy, several = _answers(sampler, prompts, task, work.plan, out)
        finally:
            sampler.close()
        first = [greedy[prompt.id][0] for prompt in prompts]
        right, passed = _verdicts(task, prompts, first, several)
        found.append(
            {
                "kl": _drift(model, work.base, prompts, several or greedy) if model != work.base else 0.0,
                "right": right,
                "passed": passed,
                "completion_tok": [sample.completion_tok for sample in first],
            }
        )
    return found


def _answers(
    sampler: Sampler, prompts: Sequence[Prompt], task: Task, plan: Plan, out: Path
) -> tuple[dict[str, list[Sample]], dict[str, list[Sample]]]:
    from tao.sampling.explore import explore, greedy_answers
    from tao.sampling.protocol import Settings
    from tao.sampling.samples import read_samples

    out.mkdir(parents=True, exist_ok=True)
    limits = task.spec.limits
    settings = Settings(limits.max_prompt_tok, limits.max_new_tok, 1.0)
    greedy = read_samples(greedy_answers(prompts, sampler, settings, out / f"greedy-{plan.items}.jsonl"))
    if not plan.samples:
        return greedy, {}
    path = out / f"samples-{plan.sampled}x{plan.samples}.jsonl"
    mix, few = {"direct": plan.samples}, prompts[: plan.sampled]
    explore(few, sampler, mix, settings, seed=SEED, round=0, out=path, stage="evaluate")
    return greedy, read_samples(path)


def _verdicts(
    task: Task, prompts: Sequence[Prompt], first: Sequence[Sample], several: Mapping[str, Sequence[Sample]]
) -> tuple[list[bool | None], list[int]]:
    """Verdicts on greedy answers (None: the verifier failed), and the number of right samples of each sampled item."""
    from tao_bench.task import read_labels
    from tao_bench.verify.verdict import Status

    labels = read_labels(task.data, "dev")
    verifier = task.verifier()
    known: dict[tuple[str, str, str], bool | None] = {}

    def right(prompt: Prompt, sample: Sample) -> bool | None:
        key = (prompt.id, sample.text, sample.finish_reason)
        if key not in known:
            verdict = verifier.grade(prompt, labels[prompt.id].gold, sample.text, sample.finish_reason)
            known[key] = None if verdict.status is Status.VERIFIER_ERROR else verdict.score == 1.0
        return known[key]

    try:
        greedy = [right(prompt, sample) for prompt, sample in zip(prompts, first, strict=True)]
        passed = [sum(right(p, s) is True for s in several[p.id]) for p in prompts if p.id in several]
    finally:
        verifier.close()
    return greedy, passed


def _drift(model: Path, base: Path, prompts: Sequence[Prompt], samples: Mapping[str, Sequence[Sample]]) -> float:
    from tao.meaning import Outcome
    from tao.scoring.combine import Score
    from tao.scoring.score import ScoredRound
    from tao.training.drift import kl_between
    from tao.training.settings import Optim

    blank = Score(Outcome.OK, None, 0.0, None, 0.0, False)
    asked = [prompt for prompt in prompts if prompt.id in samples]
    mine = {prompt.id: list(samples[prompt.id]) for prompt in asked}
    scored = ScoredRound(asked, mine, {name: [blank] * len(group) for name, group in mine.items()})
    return kl_between(model, base, scored, Optim(precision="bf16"))


def _end_with_parent() -> None:
    """Let this process end when the command that started it does: two of them must never write one file."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _wanted(cell: Mapping[str, Any], only: Sequence[str]) -> bool:
    return not only or any(text in cell["cell"] for text in only)


def _start_model(cell: Mapping[str, Any], named: str | None) -> Path:
    """Folder of the model a cell started from; cells know only its name and hash."""
    from tao_bench.models import resolve_model

    name = named or cell["model"]
    try:
        model = resolve_model(name)
    except InputError as error:
        raise InputError(f"where is the model {name!r}?", cell["cell"], "name its folder with --model") from error
    if model.hash[:SHORT] != cell["frozen"]["model"]:
        raise InputError(f"{name} is not the model this cell started from", cell["cell"], "name that one with --model")
    return model.path


def _parts(run: Path, plan: Plan, tasks: Sequence[Path], named: str | None, only: Sequence[str]) -> list[_Work]:
    """What there is to measure: every finished label-free cell of an experiment that trained anything."""
    from tao_bench.registry import load_task

    parts: list[_Work] = []
    seen: set[str] = set()
    for cell, folder in finished_cells(run):
        trained = _checkpoints(folder)
        if not trained or not _wanted(cell, only):
            continue
        if cell["deployed"]["labels"]:
            raise InputError(
                "starts from a model tuned on labels; only experiments that start from one model can be traced",
                cell["cell"],
            )
        task = load_task(cell["task"], tasks)
        common: dict[str, Any] = {
            "folder": folder.root,
            "base": _start_model(cell, named),
            "task_folder": task.folder,
            "data": task.data,
            "task_hash": task.hash,
            "variant": task.variant,
            "plan": plan,
        }
        if cell["task"] not in seen:
            seen.add(cell["task"])
            start = {**cell, "cell": cell["task"] + START}
            parts.append(_Work(start, models=(common["base"],), out=run / "trace" / cell["task"], **common))
        parts.append(_Work(cell, models=tuple(trained), out=folder.root / "trace", **common))
    if not parts:
        raise InputError(
            "no finished cell that was tuned without labels" + (f" and is called {', '.join(only)}" if only else ""),
            str(run),
            "run the experiment first; its checkpoints must still be there",
        )
    return parts


def _points(part: _Work, measured: Sequence[Mapping[str, Any]], start: Mapping[str, Any], samples: int) -> list[Point]:
    cell = part.cell
    figures = stage_figures(read_rounds(CellFolder(part.folder, cell["eval"]["split"])))
    points = []
    for number, one in enumerate([start, *measured]):
        stats, found = figures[number] if number < len(figures) else (None, ())
        points.append(
            Point(
                cell=cell["cell"],
                arm=cell["arm_label"],
                task=cell["task"],
                seed=cell["seed"],
                round=number,
                kl=one["kl"],
                right=tuple(one["right"]),
                passed=tuple(one["passed"]),
                samples=samples,
                completion_tok=tuple(one["completion_tok"]),
                signal=stats["mean_reward"] if stats else None,
                stats=stats or {},
                alarms=found,
            )
        )
    return points


def trace(
    run: Path,
    plan: Plan,
    tasks: Sequence[Path] = (),
    *,
    model: str | None = None,
    only: Sequence[str] = (),
    jobs: int = 1,
    tell: Callable[[int, int], None] = lambda done, everything: None,
) -> list[Point]:
    """Measure every model that an experiment's label-free cells passed through, on dev.

    Args:
        run: ``runs/<experiment>``, checkpoints still in place.
        plan: What is measured.
        tasks: Further task folders.
        model: The model its cells started from, where it is not found by the name they know it by.
        only: Cells whose id contains one of these; all if empty.
        jobs: Processes at a time.
        tell: Called with the parts done and all parts.

    Raises:
        InputError: Nothing to trace, or the models start from labels.
    """
    parts = _parts(run, plan, tasks, model, only)
    os.environ.update({"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"})
    measured: dict[str, list[dict[str, Any]]] = {}
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _end_with_parent) as pool:
        waiting = {pool.submit(_measure, part): part for part in parts}
        try:
            for number, done in enumerate(as_completed(waiting)):
                measured[waiting[done].cell["cell"]] = done.result()
                tell(number + 1, len(parts))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    points: list[Point] = []
    for part in parts:
        start = measured[part.cell["task"] + START][0]
        if not part.cell["cell"].endswith(START):
            points += _points(part, measured[part.cell["cell"]], start, plan.samples)
    return points


def clusters_of(run: Path, tasks: Sequence[Path], items: int) -> dict[str, list[tuple[str, str]]]:
    """Task to (item id, cluster) of the dev items that were measured."""
    from tao_bench.registry import load_task

    names = {cell["task"] for cell, folder in finished_cells(run) if _checkpoints(folder)}
    return {
        name: [(item.prompt.id, item.cluster) for item in load_task(name, tasks).items("dev")[:items]] for name in names
    }


def run_trace(options: argparse.Namespace) -> int:
    """The command ``tao-bench trace``."""
    from rich.console import Console
    from rich.progress import Progress

    from tao_bench.report.trace import write_trace_page

    stored = options.results / "trace" / f"{options.experiment}.jsonl"
    if options.draw:
        print(f"page: {write_trace_page(stored, options.reports / 'trace' / options.experiment)}")
        return 0
    run = options.out / options.experiment
    if not run.is_dir():
        raise InputError("no run here", str(run), f"run it first: tao-bench run {options.experiment}")
    plan = Plan(options.items, min(options.items, options.sampled), options.samples)
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bars:
        bar = bars.add_task("models on dev", total=None)
        points = trace(
            run,
            plan,
            options.tasks,
            model=options.model,
            only=options.cells,
            jobs=options.jobs or os.cpu_count() or 1,
            tell=lambda done, everything: bars.update(bar, completed=done, total=everything),
        )
    stored.parent.mkdir(parents=True, exist_ok=True)
    known = clusters_of(run, options.tasks, plan.items)
    head = {"items": known, "plan": asdict(plan), "command": _command(options)}
    stored.write_text(dump(head) + "".join(dump(asdict(point)) for point in points), encoding="utf-8")
    page = write_trace_page(stored, options.reports / "trace" / options.experiment)
    print(page.read_text(encoding="utf-8"))
    print(f"page: {page}")
    return 0


def _command(options: argparse.Namespace) -> str:
    return (
        f"tao-bench trace {options.experiment} --items {options.items} "
        f"--sampled {options.sampled} --samples {options.samples}"
        + "".join(f" --cells {text}" for text in options.cells)
    )


def read_trace(path: Path) -> tuple[dict[str, Any], list[Point]]:
    """What ``results/trace/<experiment>.jsonl`` holds: its head and its points.

    Raises:
        InputError: No such file.
    """
    if not path.is_file():
        raise InputError("no trace here", str(path), f"make it with tao-bench trace {path.stem}")
    head, *rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    tuples = ("right", "passed", "completion_tok", "alarms")
    points: list[dict[str, Any]] = [{k: tuple(v) if k in tuples else v for k, v in row.items()} for row in rows]
    return head, [Point(**point) for point in points]
