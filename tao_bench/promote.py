"""`tao-bench promote`: may a newly tuned model take the place of the one in service? Judged with labels, on dev.

`tao tune --continue` decides without labels (`tao.flywheel.promote`): it hears alarms, and those miss slow falls. Where
a task has a labelled dev split, both models answer it greedily, and the new one is promoted only if a fall by the
margin is refused on every task (paired non-inferiority, Holm over tasks). Test is never read.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tao.errors import InputError
from tao_bench.experiment import Experiment, expand
from tao_bench.plan import Run, prepare
from tao_bench.stats import Scores, difference, drop_missing, fell_p, holm
from tao_bench.store import read_rows, write_json
from tao_bench.verify.verdict import Status

if TYPE_CHECKING:
    from rich.console import Console

LEVEL = 0.05
"""A fall by the margin is refused where its p, Holm-adjusted over tasks, is below this."""


@dataclass(frozen=True, slots=True)
class Change:
    """The new model against the old one on a task's dev split.

    Attributes:
        task: Task with version.
        items: Items that both were judged on.
        old: Accuracy of the model in service.
        new: Accuracy of the new one.
        gain: Paired difference, with its 95 % interval.
        low: Its lower end.
        high: Its upper end.
        p_fell: Holm-adjusted one-sided p of a fall by the margin or more.
    """

    task: str
    items: int
    old: float
    new: float
    gain: float
    low: float
    high: float
    p_fell: float


def compare(old: Mapping[str, Scores], new: Mapping[str, Scores], margin: float) -> list[Change]:
    """Compare verdicts of two models task by task.

    Args:
        old: Task to the verdicts of the model in service (one row; nan where the verifier failed).
        new: The same of the new one.
        margin: Fall in accuracy that counts as none.
    """
    gains, parts = {}, {}
    for task in old:
        kept, _ = drop_missing({"old": old[task], "new": new[task]})
        gains[task], parts[task] = difference(kept["new"], kept["old"]), kept
    adjusted = holm({task: fell_p(gain, margin) for task, gain in gains.items()})
    return [
        Change(
            task,
            len(parts[task]["new"].items),
            float(parts[task]["old"].correct.mean()),
            float(parts[task]["new"].correct.mean()),
            gain.value,
            gain.low,
            gain.high,
            adjusted[task],
        )
        for task, gain in gains.items()
    ]


def label_free_veto(new: Path) -> str:
    """Why `tao tune --continue` would not promote a run's model; '' where it would, or where it was not asked.

    Args:
        new: A run's folder, or the model in it.
    """
    for folder in (new, new.parent):
        path = folder / "promotion.json"
        if path.is_file():
            said = json.loads(path.read_text(encoding="utf-8"))
            return "" if said["promote"] else str(said["reason"])
    return ""


def verdicts(run: Run) -> dict[str, Scores]:
    """Task to the verdicts of a run's one cell on it."""
    found = {}
    for prepared in run.cells:
        rows = read_rows(prepared.folder.rows)
        right = [[np.nan if row["status"] == Status.VERIFIER_ERROR else float(row["score"] == 1.0) for row in rows]]
        items, clusters = (tuple(str(row[key]) for row in rows) for key in ("item", "cluster"))
        found[prepared.task.version_name] = Scores(np.array(right), items, clusters, (0,))
    return found


def model_folder(place: Path) -> Path:
    """The model of a run of `tao tune` (a folder ``model``) or of a bench's cell (a file naming it), or `place`."""
    model = place / "model"
    if model.is_file():
        return place / model.read_text(encoding="utf-8").strip()
    return model if model.is_dir() else place


def answered(console: Console, model: Path, options: argparse.Namespace) -> Run | int:
    """A model's greedy answers on dev, made now or found finished; an exit status where that fails."""
    from tao_bench.gate import execute_on
    from tao_bench.models import resolve_model

    experiment = Experiment.model_validate(
        {
            "name": f"promote-{resolve_model(str(model)).hash[:8]}"
            + (f"-first{options.limit}" if options.limit else ""),
            "model": str(model),
            "tasks": options.task,
            "eval": {"split": "dev", "limit": options.limit},
            "arms": [{"arm": "base"}],
        }
    )
    return execute_on(console, prepare(experiment, expand(experiment), options.out, options.results, options.tasks))


def run_promote(options: argparse.Namespace) -> int:
    """The command ``tao-bench promote``.

    Returns:
        0 if the new model may be promoted, 1 if not, 2 if that could not be found out.
    """
    from rich.console import Console

    from tao_bench.models import resolve_model

    if not 0 < options.margin < 1:
        raise InputError(f"a margin of {options.margin} is no fall", "--margin", "use 0.02 for two points")
    for place, flag in ((options.old, "--old"), (options.new, "--new")):
        if not place.is_dir():
            raise InputError("no such folder", f"{flag} {place}", "give a model's folder, or that of a run of tao tune")
    for place in (options.old, options.new):  # before either answers anything
        resolve_model(str(model_folder(place)))
    veto = label_free_veto(options.new)
    if veto:
        print(f"not promoted: without labels already, {veto}")
        return 1
    console = Console(stderr=True)
    found: list[dict[str, Scores]] = []
    for place in (options.old, options.new):
        run = answered(console, model_folder(place), options)
        if isinstance(run, int):  # a failed evaluation is no verdict on the model
            return 2 if run == 1 else run
        found.append(verdicts(run))
    changes = compare(found[0], found[1], options.margin)
    fell = [change.task for change in changes if change.p_fell >= LEVEL]
    print(as_text(changes, options.margin))
    if options.save:
        body: dict[str, Any] = {"promote": not fell, "margin": options.margin, "tasks": [asdict(c) for c in changes]}
        write_json(options.save, body | {"old": str(options.old), "new": str(options.new), "limit": options.limit})
    if fell:
        print(f"not promoted: a fall by {100 * options.margin:g} points is not refused on {', '.join(fell)}")
        return 1
    print(f"promoted: a fall by {100 * options.margin:g} points is refused on every task")
    return 0


def as_text(changes: Sequence[Change], margin: float) -> str:
    """A table in Markdown."""
    lines = [
        f"| task | dev items | old | new | new - old, points | p of a fall by {100 * margin:g} |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for one in changes:
        gain = f"{100 * one.gain:+.1f} [{100 * one.low:+.1f}, {100 * one.high:+.1f}]"
        lines.append(f"| {one.task} | {one.items} | {one.old:.1%} | {one.new:.1%} | {gain} | {one.p_fell:.3f} |")
    return "\n".join(lines)
