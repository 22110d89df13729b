"""One model for several tasks: it is tuned once, in a folder of its own, and the cells of all tasks answer with it.

On disk, beside ``cells/``::

    runs/<experiment>/tuned/<arm>--seed<s>-<hash>/   tune/, model, ledger.jsonl, timing.jsonl, log.txt as in a cell

The hash is over all that the model is made from, the hashes of its tasks included, so a model made otherwise lies
elsewhere and a cell that names another one is not gone on with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tao.endpoint import settled
from tao.errors import InputError
from tao.mixture import MixedInterpreter, mixed, named, of_part, shares
from tao.stage import digest
from tao_bench.arms.contract import Arm, LabelReader, Workplace
from tao_bench.firewall import seal
from tao_bench.freeze import Fingerprint
from tao_bench.registry import Task, open_task
from tao_bench.store import CellFolder
from tao_bench.task import Item, Label, Limits, Split, read_labels

if TYPE_CHECKING:
    from tao.scoring.signals import Weighed
    from tao_bench.experiment import Cell

FOLDER = "tuned"


@dataclass(frozen=True, slots=True)
class Tuned:
    """A model that several cells answer with.

    Attributes:
        key: Its folder's name, unique in the run.
        folder: Where it lies.
        config: What it is made from.
        tasks: Task name, as the experiment writes it, to the task.
        weights: The same to its weight.
    """

    key: str
    folder: CellFolder
    config: dict[str, Any]
    tasks: Mapping[str, Task]
    weights: Mapping[str, float]

    @property
    def finished(self) -> bool:
        """Whether the model is there."""
        return self.folder.model.is_file()

    def message(self, base: Path) -> dict[str, Any]:
        """What the worker that makes it is told."""
        mixture = [
            {
                "name": name,
                "weight": self.weights[name],
                "task_folder": str(task.folder),
                "data": str(task.data),
                "task_hash": task.hash,
                "task_variant": task.variant,
            }
            for name, task in self.tasks.items()
        ]
        return {
            "work": "tune",
            "folder": str(self.folder.root.resolve()),
            "split": self.folder.split,
            "config": self.config,
            "mixture": mixture,
            "base": str(base),
        }


def tuned_of(
    cell: Cell, root: Path, tasks: Mapping[str, Task], prints: Mapping[str, Fingerprint], made: Mapping[str, Any]
) -> Tuned:
    """The model that a cell with `tune_on` answers with.

    Args:
        cell: The cell.
        root: ``<out>/<experiment>``.
        tasks: Task name to task, at least those it is tuned on.
        prints: Their fingerprints. Their verifiers do not count: nothing that may have `tune_on` tunes on verdicts.
        made: What else it is made from: sampler, versions.
    """
    parts = ("model", "generator", "splits")
    config = {
        "cell": cell.tuned_id,
        "arm": cell.arm,
        "arm_options": cell.options.model_dump(mode="json"),
        "seed": cell.seed,
        "tune_on": dict(cell.tune_on),
        "frozen": {name: {part: getattr(prints[name], part) for part in parts} for name, _ in cell.tune_on},
        "deployed": cell.deployed.model_dump(mode="json"),
        **made,
    }
    key = f"{cell.tuned_id}-{digest(settled(config))[:8]}"
    folder = CellFolder(root / FOLDER / key, cell.eval.split)
    return Tuned(key, folder, config, {name: tasks[name] for name, _ in cell.tune_on}, dict(cell.tune_on))


def shared_folder(cell: Path, config: Mapping[str, Any]) -> Path | None:
    """The folder of the model that a cell shares with others; None where it has its own.

    Args:
        cell: The cell's folder.
        config: Its `cell.json`.
    """
    return cell.parent.parent / FOLDER / str(config["tuned"]) if "tuned" in config else None


def mixture_sizes(tasks: Mapping[str, Task], weights: Mapping[str, float]) -> dict[str, tuple[int, int]]:
    """Task name to (prompts of the mixture that are its, prompts of its pool)."""
    pools = {name: task.pool() for name, task in tasks.items()}
    taken = shares(weights, len(mixed(pools, weights)))
    return {name: (taken[name], len(pool)) for name, pool in pools.items()}


def common_limits(tasks: Sequence[Task]) -> Limits:
    """Limits under which every task's prompts and answers fit: the largest of each."""
    limits = [task.spec.limits for task in tasks]
    return Limits(
        max_prompt_tok=max(one.max_prompt_tok for one in limits), max_new_tok=max(one.max_new_tok for one in limits)
    )


def open_mixture(message: Mapping[str, Any]) -> tuple[dict[str, Task], dict[str, float]]:
    """The tasks of a message and their weights; opening them touches no label."""
    tasks = {
        one["name"]: open_task(Path(one["task_folder"]), Path(one["data"]), one["task_hash"], one["task_variant"])
        for one in message["mixture"]
    }
    return tasks, {one["name"]: float(one["weight"]) for one in message["mixture"]}


def seal_all(tasks: Mapping[str, Task], record: Path | None) -> None:
    """Seal the labels of every task of a mixture (see `tao_bench.firewall`)."""
    for number, task in enumerate(tasks.values()):
        seal(task.data, None if number else record, task.label_sources())


def mixed_workplace(
    tasks: Mapping[str, Task], weights: Mapping[str, float], arm: Arm, record: str | None, **rest: Any
) -> Workplace:
    """What an arm gets to tune on a mixture; labels of all its tasks are sealed unless it declares that it uses them.

    Args:
        tasks: Task name to task.
        weights: Task name to weight.
        arm: The arm.
        record: A file for the opened paths (`tao_bench.worker.RECORD_VARIABLE`).
        **rest: The fields of `Workplace` that do not come from a task.
    """
    if not arm.uses_labels:
        seal_all(tasks, Path(record) if record else None)

    def labels(split: Split) -> Mapping[str, Label]:
        return {
            f"{name}/{item}": label
            for name, task in tasks.items()
            for item, label in read_labels(task.data, split).items()
        }

    def own_signals(weight: float, veto: float | None) -> Sequence[Weighed]:
        from tao_bench.own_signals import tuning_signals

        found = {name: tuning_signals(task, weight, veto) for name, task in tasks.items()}
        return [one for name, signals in found.items() for one in of_part(name, signals)]

    reader: LabelReader | None = labels if arm.uses_labels else None
    return Workplace(
        limits=common_limits(list(tasks.values())),
        answer_form="mixture",
        pool=tuple(mixed({name: task.pool() for name, task in tasks.items()}, weights)),
        train=tuple(
            Item(named(name, item.prompt), item.cluster, item.level)
            for name, task in tasks.items()
            for item in (task.items("train") if arm.uses_labels else ())
        ),
        interpreter=lambda: MixedInterpreter({name: task.interpreter() for name, task in tasks.items()}),
        labels=reader,
        verifier=None,
        own_signals=own_signals,
        weights=weights,
        **rest,
    )


def model_name(tuned: Path) -> str:
    """What a finished tuning wrote of its model: the checkpoint relative to its folder, or ``starting-model``.

    Raises:
        InputError: It is not finished.
    """
    path = tuned / "model"
    if not path.is_file():
        raise InputError("the model it shares with other cells is not there", str(tuned), "run the experiment again")
    return path.read_text(encoding="utf-8").strip()
