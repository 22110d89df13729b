"""Proof that tuning does not depend on labels: what `tao-bench firewall` and `prove-firewall` run.

Every arm that declares no labels is run on copies of the task's data that differ in nothing but their labels: as they
are, permuted, blanked, and taken away; permuted and blanked ones carry canaries. What it makes must be equal to the
bit, no process of it may open a label (Python's audit hooks and the kernel are both asked), and no canary may turn up
in a file of it. A proof of no change proves nothing unless change can be seen, so arms that do use labels are run as
well: theirs must differ.

A model tuned on several tasks together (`tao_bench.joint`) is run on copies of all of them, their labels changed
together; its control must be seen to open the labels of every one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tao.errors import InputError
from tao.stage import digest, file_digest
from tao_bench.arms import get_arm
from tao_bench.firewall import SEALED, is_sealed
from tao_bench.firewall_data import AS_THEY_ARE, PERMUTED, VARIANTS, canaries, copy_with, mark_of
from tao_bench.firewall_watch import Opened, can_watch, watching
from tao_bench.joint import FOLDER
from tao_bench.models import Model
from tao_bench.registry import Task
from tao_bench.runner import run_alone
from tao_bench.worker import RECORD_VARIABLE

PARTS = {
    "samples": ("tune", "samples.jsonl"),
    "rewards": ("tune", "scores.jsonl"),
    "weights": ("tune", ".safetensors"),
    "answers": ("eval", ".jsonl"),
    "ledger": ("", "ledger.jsonl"),
}
"""What is compared: by name, the files below a folder of the cell (the cell itself if '') that end so."""


@dataclass(frozen=True, slots=True)
class Trial:
    """An arm, made small.

    Attributes:
        name: As reports call it.
        arm: The arm's name.
        options: Its options, JSON-able.
    """

    name: str
    arm: str
    options: Mapping[str, Any]

    @property
    def uses_labels(self) -> bool:
        """Whether it is a control: it must change with its labels."""
        return get_arm(self.arm).uses_labels


@dataclass(frozen=True, slots=True)
class Traces:
    """What one cell left behind.

    Attributes:
        hashes: Hash by part; '' where the cell made no such file.
        failed: Why it ended before its end; '' if it did not.
        opened: How many different paths its processes opened, as Python told; 0 for controls.
        asked: Those of them that lie under labels.
        seen: Label files that the kernel saw opened while it ran.
        canaries: Its files that hold a canary.
    """

    hashes: Mapping[str, str]
    failed: str
    opened: int
    asked: tuple[str, ...]
    seen: tuple[str, ...]
    canaries: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Proof:
    """What was found on one task.

    Attributes:
        task: The task with its version; of several together all of them.
        cells: Trial and variant of the labels to what the cell left behind.
        trials: The trials, in order.
        parts: Of several together, the folders that their labels lie in; else empty.
    """

    task: str
    cells: Mapping[tuple[str, str], Traces]
    trials: tuple[Trial, ...]
    parts: tuple[str, ...] = ()

    def of(self, trial: Trial) -> dict[str, Traces]:
        """A trial's cells by variant."""
        return {variant: traces for (name, variant), traces in self.cells.items() if name == trial.name}

    def faults(self) -> list[str]:
        """Everything that speaks against the firewall or against this proof of it; empty if it holds."""
        found = []
        for trial in self.trials:
            every = self.of(trial)
            found += _control_faults(trial, every, self.parts) if trial.uses_labels else _free_faults(trial, every)
        return [f"{self.task}, {fault}" for fault in found]

    @property
    def holds(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.faults()


def _free_faults(trial: Trial, every: Mapping[str, Traces]) -> list[str]:
    """What is wrong with an arm that must not know labels."""
    found = []
    variants = list(every)
    for variant, traces in every.items():
        how = f"{trial.name} with labels {variant}"
        if traces.failed:
            found.append(f"{how}: failed: {traces.failed}")
        found += [f"{how}: asked Python for {path}" for path in traces.asked]
        found += [f"{how}: the kernel saw {path} opened" for path in traces.seen]
        found += [f"{how}: a canary stands in {path}" for path in traces.canaries]
    for part in PARTS:
        first = every[variants[0]].hashes[part]
        other = [variant for variant in variants[1:] if every[variant].hashes[part] != first]
        if other:
            found.append(f"{trial.name}: {part} differ between labels {variants[0]} and {', '.join(other)}")
    tuned = ("samples", "rewards", "weights") if get_arm(trial.arm).tune else ("answers",)
    empty = [part for part in tuned if not every[variants[0]].hashes[part]]
    if empty and not every[variants[0]].failed:
        found.append(f"{trial.name}: made no {' and no '.join(empty)}, so it proves nothing: take more --prompts")
    return found


def _control_faults(trial: Trial, every: Mapping[str, Traces], parts: Sequence[str]) -> list[str]:
    """What is wrong with an arm that uses labels: it must show that a dependence on them would be seen."""
    part = moved_by_labels(trial)
    found = [
        f"{trial.name} with labels {variant}: made no {part}: {traces.failed or 'it trained nothing'}"
        for variant, traces in every.items()
        if not traces.hashes[part]
    ]
    if not found and len({traces.hashes[part] for traces in every.values()}) < len(every):
        found.append(f"{trial.name}: {part} did not change with its labels, so a change would not be seen here")
    seen = [path for traces in every.values() for path in traces.seen]
    if can_watch() and not seen:
        found.append(f"{trial.name}: opened labels and the kernel did not say so, so the watch is blind here")
    elif can_watch():
        unseen = [part for part in parts if not any(path.startswith(part + os.sep) for path in seen)]
        found += [f"{trial.name}: was not seen to open labels of {part}, so it is no control of it" for part in unseen]
    return found


def moved_by_labels(trial: Trial) -> str:
    """The part of a control that must change: verdicts are its rewards, labels go into its weights."""
    return "rewards" if get_arm(trial.arm).uses_verifier else "weights"


def outcome(folder: Path) -> dict[str, str]:
    """Hash by part of what a cell made; '' where there is nothing of it."""
    found = {}
    for part, (below, ending) in PARTS.items():
        place = folder / below
        paths = sorted(place.rglob("*") if below else place.glob("*"))
        rows = [
            [path.relative_to(folder).as_posix(), file_digest(path)]
            for path in paths
            if path.is_file() and path.name.endswith(ending)
        ]
        found[part] = digest(rows) if rows else ""
    return found


@dataclass(frozen=True, slots=True)
class Subject:
    """What a proof is about: one task, or several that one model is tuned on.

    Attributes:
        tasks: Name to task.
        weights: Name to weight in the mixture; empty for one task alone.
    """

    tasks: Mapping[str, Task]
    weights: Mapping[str, float]

    @property
    def title(self) -> str:
        """As reports call it."""
        return " + ".join(
            f"{self.weights[name]:g} {task.version_name}" if self.weights else task.version_name
            for name, task in self.tasks.items()
        )

    @property
    def folders(self) -> dict[str, str]:
        """Task name to the folder of its copy."""
        if not self.weights:
            return dict.fromkeys(self.tasks, "data")
        return {name: f"data/{number}-{_plain(task)}" for number, (name, task) in enumerate(self.tasks.items())}

    def mark(self, seed: int) -> str:
        """What the proof's canaries start with."""
        hashes = [task.hash for task in self.tasks.values()]
        return mark_of(hashes[0] if len(hashes) == 1 else digest(hashes), seed)

    def messages(self, trial: Trial, place: Path, common: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What the workers of one cell are told, one after another: tune and answer, or tune together, then answer."""
        config = {**common["config"], "cell": trial.name, "arm": trial.arm, "arm_options": dict(trial.options)}
        told = {name: _task_message(task, place / self.folders[name]) for name, task in self.tasks.items()}
        first = next(iter(told.values()))
        cell = {**common, **first, "work": "model", "folder": str(place / "cells" / trial.name), "config": config}
        if not self.weights:
            return [cell]
        mixture = [{**own, "name": name, "weight": self.weights[name]} for name, own in told.items()]
        tune = {**cell, "work": "tune", "folder": str(place / FOLDER / trial.name), "mixture": mixture}
        return [tune, {**cell, "config": {**config, "tuned": trial.name}}]


def _plain(task: Task) -> str:
    return "".join(c if c.isalnum() or c in "._-" else "-" for c in task.spec.name)


def _task_message(task: Task, data: Path) -> dict[str, Any]:
    return {
        "task_folder": str(task.folder),
        "data": str(data),
        "task_hash": task.hash,
        "task_variant": task.variant,
    }


def _common(model: Model, seed: int, split: str) -> dict[str, Any]:
    """What every cell's worker is told."""
    return {
        "split": split,
        "config": {"seed": seed, "model": "", "deployed": {"labels": 0}, "eval": {"split": split, "limit": 2}},
        "base": str(model.path),
    }


def _tell(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def prove(
    task: Task | Subject,
    model: Model,
    scratch: Path,
    trials: Sequence[Trial],
    *,
    seed: int = 0,
    variants: Sequence[str] = VARIANTS,
    split: str = "dev",
    jobs: int = 1,
) -> Proof:
    """Run small cells on copies of a task's data that differ in their labels.

    Controls run on labels as they are and permuted, without canaries.

    Args:
        task: The task, or several that one model is tuned on; of these the first is answered.
        model: What tuning starts from.
        scratch: An empty folder; holds copies of the data and the cells.
        trials: What to run.
        seed: Seed of every cell.
        variants: How labels are changed for the arms that must not see them; the first is what others are held against.
        split: Two of its items are answered at the end of a cell (and not judged).
        jobs: Copies at a time; the cells of a copy run one after another.

    Raises:
        InputError: An arm cannot run here at all (its log is named), or two trials of one name.
    """
    subject = Subject({task.version_name: task}, {}) if isinstance(task, Task) else task
    names = [trial.name for trial in trials]
    if len(set(names)) < len(names):
        raise InputError("two trials have the same name", ", ".join(names))
    free = [trial for trial in trials if not trial.uses_labels]
    controls = [trial for trial in trials if trial.uses_labels]
    mark, common = subject.mark(seed), _common(model, seed, split)
    batches = [(f"{variant}", variant, free, mark) for variant in variants if free]
    batches += [(f"control {variant}", variant, controls, "") for variant in (AS_THEY_ARE, PERMUTED) if controls]

    def run(batch: tuple[str, str, list[Trial], str]) -> dict[tuple[str, str], Traces]:
        name, variant, chosen, planted = batch
        place = scratch / name.replace(" ", "-")
        copies = [
            copy_with(one.data, place / subject.folders[part], variant, planted) for part, one in subject.tasks.items()
        ]
        found = {}
        with watching([data / SEALED for data in copies]) as opened:
            for trial in chosen:
                _tell(f"{subject.title}: {trial.name}, labels {variant}")
                traces = _run(trial, common, subject, place, opened)
                made_nothing = not any(traces.hashes.values())
                if traces.failed and not (traces.asked or traces.seen) and (variant == variants[0] or made_nothing):
                    log = place / "cells" / trial.name / "log.txt"
                    raise InputError(f"{trial.name} cannot run: {traces.failed}", str(log))
                found[trial.name, variant] = traces
        return found

    if jobs <= 1:
        parts = [run(batch) for batch in batches]
    else:
        with ThreadPoolExecutor(jobs) as pool:
            try:
                parts = list(pool.map(run, batches))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    cells = {key: traces for part in parts for key, traces in part.items()}
    joint = tuple(Path(folder).name for folder in subject.folders.values()) if subject.weights else ()
    return Proof(subject.title, cells, tuple(trials), joint)


def _run(trial: Trial, common: Mapping[str, Any], subject: Subject, place: Path, opened: Opened) -> Traces:
    """Run one cell of a copy and collect what it left."""
    record, seed = place / f"{trial.name}.opened", common["config"]["seed"]
    more = {} if trial.uses_labels else {RECORD_VARIABLE: str(record)}
    log = place / "cells" / trial.name / "log.txt"
    log.parent.mkdir(parents=True)
    hashes, failed, found = dict.fromkeys(PARTS, ""), "", []
    opened()
    for message in subject.messages(trial, place, common):
        folder = Path(message["folder"])
        folder.mkdir(parents=True, exist_ok=True)
        try:
            run_alone(message, log, more)
        except InputError as error:
            failed = failed or error.what
        # What tuning together made comes first; what its answering then made besides are the answers.
        hashes |= {part: value for part, value in outcome(folder).items() if value and not hashes[part]}
        found += canaries(folder, subject.mark(seed))
        if failed:
            break
    lines = record.read_text(encoding="utf-8").splitlines() if record.is_file() else []
    paths = {line.partition("\t")[2] for line in lines}
    data = {place / folder: subject.tasks[name] for name, folder in subject.folders.items()}
    return Traces(
        hashes=hashes,
        failed=failed,
        opened=len(paths),
        asked=tuple(sorted(path for path in paths if any(_is_label(path, task, at) for at, task in data.items()))),
        seen=tuple(os.path.relpath(path, place / "data") for path in opened()),
        canaries=tuple(found),
    )


def _is_label(path: str, task: Task, data: Path) -> bool:
    """Whether a path lies under the labels of the copy, of the task itself, or of what the task was made of."""
    real = os.path.realpath(path)
    sources = [os.path.realpath(source) for source in task.label_sources()]
    made_of = any(real == source or real.startswith(source + os.sep) for source in sources)
    return made_of or is_sealed(path, os.path.realpath(data)) or is_sealed(path, os.path.realpath(task.data))
