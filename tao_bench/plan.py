"""From an experiment to work: tasks and model are found, hashes taken, settings written, before compute is spent."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from tao.endpoint import settled
from tao.errors import InputError
from tao.prompts import Prompt
from tao.stage import changes, digest
from tao_bench.arms import get_arm
from tao_bench.digest import SHORT, code_digest
from tao_bench.experiment import Cell, Experiment
from tao_bench.freeze import Fingerprint, differences, fingerprint, read_frozen
from tao_bench.joint import Tuned, tuned_of
from tao_bench.make import make_once
from tao_bench.models import Model, resolve_model
from tao_bench.registry import MissingData, Task, load_task
from tao_bench.store import CellFolder, is_finished, write_json

MAKES = ("model", "sampler", "vllm", "versions")
"""What of a cell's configuration makes its model, besides arm, tasks and seed."""
VERSIONED = ("torch", "transformers", "trl", "duckdb", "sqlglot")
_PACKAGE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Prepared:
    """A cell ready to run.

    Attributes:
        cell: The cell.
        task: Its task, data on disk.
        folder: Where its files lie.
        config: Content of its `cell.json`.
        tuned: The model it shares with the cells of other tasks; None where it has its own.
    """

    cell: Cell
    task: Task
    folder: CellFolder
    config: dict[str, Any]
    tuned: Tuned | None = None

    @property
    def finished(self) -> bool:
        """Whether its verdicts are complete."""
        return is_finished(self.folder.rows)


@dataclass(frozen=True, slots=True)
class Run:
    """All of an experiment that can run here.

    Attributes:
        experiment: The experiment.
        root: ``<out>/<experiment>``.
        model: What every arm starts from (before `deployed`).
        cells: In order.
        skipped: Task, or arm, to the reason it cannot run here.
        warnings: What the reader of the results must know.
    """

    experiment: Experiment
    root: Path
    model: Model
    cells: tuple[Prepared, ...]
    skipped: Mapping[str, str]
    warnings: tuple[str, ...]


def versions(arm: str) -> dict[str, str]:
    """What the bytes of a cell depend on besides its settings: libraries and our code for this arm."""
    found = {name: importlib.metadata.version(name) for name in VERSIONED}
    return {
        **found,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "code": code_digest([_PACKAGE / "arms" / f"{arm}.py", _PACKAGE / "answering.py"]),
    }


def cell_config(
    cell: Cell, task: Task, prints: Fingerprint, drift: list[str] | None, *, dev_items: int, pool: int
) -> dict[str, Any]:
    """The content of `cell.json`: no time, no path of this machine."""
    arm = get_arm(cell.arm)
    return {
        "cell": cell.id,
        **({} if cell.fold is None else {"fold": cell.fold, "pooled": cell.pooled_id}),
        "experiment": cell.experiment,
        "arm": cell.arm,
        "arm_label": cell.arm_label,
        **({"headline": True} if cell.headline else {}),
        "arm_options": cell.options.model_dump(mode="json"),
        "task": task.version_name,
        "seed": cell.seed,
        "model": _model_name(cell),
        **({} if cell.sampler == "transformers" or cell.options.REMOTE else _sampler(cell)),
        "deployed": cell.deployed.model_dump(mode="json"),
        "eval": cell.eval.model_dump(mode="json", exclude=None if cell.eval.folds else {"folds"}),
        "uses_labels": arm.uses_labels,
        "labels_base": 0 if cell.options.REMOTE else cell.deployed.labels,
        "labels_arm": cell.options.labels_used(pool),
        "labels_dev": dev_items if arm.tune is not None else 0,
        "budget": cell.options.budget(),
        "inference_samples": cell.options.inference_samples(),
        "limits": task.spec.limits.model_dump(mode="json"),
        "frozen": asdict(prints),
        "frozen_id": prints.short,
        "frozen_drift": drift,
        "versions": versions(cell.arm),
    }


def _sampler(cell: Cell) -> dict[str, Any]:
    """What a cell samples with, where it is not the default."""
    return {"sampler": cell.sampler, **({"vllm": dict(cell.engine)} if cell.engine else {})}


def _model_name(cell: Cell) -> str:
    """What answers, as its row names it."""
    if cell.options.REMOTE:
        return f"endpoint {cell.options.model_dump()['model']}"
    return Path(cell.model).name if Path(cell.model).is_dir() else cell.model


def prepare(
    experiment: Experiment,
    cells: Sequence[Cell],
    out: Path,
    results: Path,
    extra: Sequence[Path] = (),
    *,
    dry: bool = False,
) -> Run:
    """Find everything an experiment names and take its hashes. Writes nothing but generated task data.

    Args:
        experiment: The experiment.
        cells: Its cells.
        out: Folder of runs.
        results: Folder of published results, where frozen hashes are kept.
        extra: Further folders of tasks.
        dry: To plan only: the model may be known by its published shape alone.

    Raises:
        InputError: A task or the model is unknown or at fault, or no task can run here.
    """
    model = resolve_model(experiment.model, plan=dry)
    extra = [
        *extra,
        *(make_once(made.source, name, made.settings(), made.seed, extra) for name, made in experiment.made.items()),
    ]
    frozen = read_frozen(results)
    tasks: dict[str, Task] = {}
    folds: dict[str, list[Task]] = {}
    skipped: dict[str, str] = {}
    warnings: list[str] = []
    for name in experiment.all_tasks:
        try:
            tasks[name] = load_task(name, extra)
            folds[name] = [load_task(name, extra, fold) for fold in _folds(experiment, tasks[name])]
        except MissingData as error:
            skipped[name] = str(error)
    if not tasks:
        raise InputError("none of its tasks can run here", experiment.name, "\n".join(skipped.values()))
    prints = {name: _pooled(fingerprint(model, task), folds[name]) for name, task in tasks.items()}
    drift = {name: differences(frozen, model, task) for name, task in tasks.items()}
    for name, found in drift.items():
        if found:
            warnings.append(f"{name}: not what was frozen ({', '.join(found)}); these results stand apart")
    for name, task in tasks.items():
        if task.eval_only and experiment.eval.split != "test":
            what = f"{name} is a task of lm-eval, for evaluation only: it has no {experiment.eval.split} split"
            raise InputError(what, experiment.name, "evaluate it with `eval: {split: test}`")
    for cell in cells:
        if get_arm(cell.arm).tune is not None:
            _refuse_borrowed(cell, tasks, experiment.name)
    dev = {name: len(task.items("dev")) if experiment.chosen_on_dev else 0 for name, task in tasks.items()}
    # One size for all folds of a task: they are published as one cell.
    own = {name: task for name, task in tasks.items() if not task.eval_only}
    pools = {name: max(len(one.pool()) for one in folds[name] or [task]) for name, task in own.items()}
    root = out / experiment.name
    prepared = []
    for cell in cells:
        lacks = next((name for name, _ in cell.tune_on if name in skipped), None)
        if lacks is not None:
            skipped.setdefault(cell.arm_label, f"is tuned on {lacks}, which cannot run here")
        elif cell.task in tasks:
            task = tasks[cell.task] if cell.fold is None else folds[cell.task][cell.fold]
            folder = CellFolder(root / "cells" / cell.id, cell.eval.split)
            config = cell_config(
                cell, task, prints[cell.task], drift[cell.task], dev_items=dev[cell.task], pool=pools.get(cell.task, 0)
            )
            cell.options.check_pool(partial(_pool, [tasks[name] for name, _ in cell.tune_on] or [task]))
            tuned = None
            if cell.tune_on:
                tuned = tuned_of(cell, root, tasks, prints, {key: config[key] for key in MAKES if key in config})
                config |= {
                    "tuned": tuned.key,
                    "tune_on": {tasks[name].version_name: weight for name, weight in cell.tune_on},
                    "margin": cell.margin,
                    "labels_dev": sum(dev[name] for name, _ in cell.tune_on),
                }
            prepared.append(Prepared(cell, task, folder, config, tuned))
    return Run(experiment, root, model, tuple(prepared), skipped, tuple(warnings))


def _pool(tasks: Sequence[Task]) -> list[Prompt]:
    return [prompt for task in tasks for prompt in task.pool()]


def _refuse_borrowed(cell: Cell, tasks: Mapping[str, Task], where: str) -> None:
    """Refuse to tune on a task of lm-eval; a model tuned on others may answer one."""
    for name in [name for name, _ in cell.tune_on] or [cell.task]:
        if name in tasks and tasks[name].eval_only:
            raise InputError(
                f"arm {cell.arm!r} would tune on {name}, a task of lm-eval, which is for evaluation only",
                where,
                "give the arm the tasks it is to tune on: `tasks: [...]`, or `tune_on: {...}` with this one under "
                "`transfer`",
            )


def _folds(experiment: Experiment, task: Task) -> range:
    """The folds to open; a cross-validation over some of a task's folds would be no figure of the task."""
    wanted = experiment.eval.folds or 0
    if wanted and wanted != task.spec.folds:
        has = f"{task.spec.folds} folds" if task.spec.folds else "no folds"
        fix = f"write `folds: {task.spec.folds}`" if task.spec.folds else "leave `folds` out of `eval`"
        raise InputError(f"asks for {wanted} folds of {task.spec.name}, which has {has}", experiment.name, fix)
    return range(wanted)


def _pooled(prints: Fingerprint, folds: Sequence[Task]) -> Fingerprint:
    """One fingerprint for all folds of a task, so that their rows stand as one set of rows."""
    if not folds:
        return prints
    return replace(prints, splits=pooled_splits(folds))


def pooled_splits(folds: Sequence[Task]) -> str:
    """Hash of the splits of all folds of a cross-validation."""
    return digest([fold.files() for fold in folds])[:SHORT]


def write_configs(run: Run, restart: bool = False) -> list[str]:
    """Write every cell's `cell.json`, and hold it against what an earlier command wrote there.

    Args:
        run: The prepared run.
        restart: Start cells over that cannot be gone on with, instead of refusing them.

    Returns:
        Warnings: finished cells that were made by other versions of the code and are kept.

    Raises:
        InputError: A cell was made with other settings or hashes.
    """
    kept: list[str] = []
    regraded: list[str] = []
    for prepared in run.cells:
        path, config = prepared.folder.config, prepared.config
        if path.is_file():
            before = json.loads(path.read_text(encoding="utf-8"))
            was, now = _settled(before, prepared.cell), _settled(config, prepared.cell)
            differing = sorted(k for k in {*was, *now} if was.get(k) != now.get(k))
            if not differing and before != config:
                write_json(path, config)
            if _only_verifier(before, config, differing):
                for part in ("rows.jsonl", "rows.meta.json", "rows.done"):
                    (prepared.folder.evaluation / part).unlink(missing_ok=True)
                write_json(path, config)
                regraded.append(prepared.cell.id)
                continue
            if differing == ["versions"] and prepared.finished:
                if before.get("headline") != config.get("headline"):  # a matter of the report alone
                    write_json(path, {**config, "versions": before["versions"]})
                kept.append(prepared.cell.id)
                continue
            if differing and restart:
                shutil.rmtree(path.parent)
                path.parent.mkdir(parents=True)
                write_json(path, config)
            elif differing:
                parts = changes({k: was.get(k) for k in differing}, {k: now.get(k) for k in differing})
                raise InputError(
                    f"was begun with other settings: {', '.join(parts)}",
                    str(path.parent),
                    "name another folder with --out, or start such cells over with --restart",
                )
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(path, config)
    notes = (
        (kept, "finished cells were made by other versions of the code and are kept"),
        (regraded, "cells are judged again: their verifier has changed"),
    )
    return [f"{len(cells)} {what}: {', '.join(cells[:5])}" for cells, what in notes if cells]


def _settled(config: Mapping[str, Any], cell: Cell) -> dict[str, Any]:
    """A configuration without what changes nothing about the answers."""
    config = {key: value for key, value in config.items() if key != "headline"}
    options = config.get("arm_options")
    if not isinstance(options, Mapping):
        return config
    return {**config, "arm_options": settled({k: v for k, v in options.items() if k not in cell.options.MANNER})}


def _only_verifier(before: Mapping[str, Any], config: Mapping[str, Any], differing: Sequence[str]) -> bool:
    """Whether nothing but the verifier has changed, so that stored answers are judged again, not made again."""
    if get_arm(config["arm"]).uses_verifier:
        return False
    if "frozen" not in differing or not set(differing) <= {"frozen", "frozen_id", "frozen_drift"}:
        return False
    return [part for part in config["frozen"] if before["frozen"].get(part) != config["frozen"][part]] == ["verifier"]
