"""`tao-bench firewall TASK` and `tao-bench prove-firewall EXPERIMENT`: the proof as commands, and as a page."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tao.errors import InputError
from tao.mixture import shares
from tao_bench.arms import get_arm
from tao_bench.arms.contract import ArmOptions
from tao_bench.experiment import Cell, Experiment, read_experiment
from tao_bench.firewall_check import PARTS, Proof, Subject, Traces, Trial, moved_by_labels, prove
from tao_bench.firewall_data import VARIANTS
from tao_bench.firewall_watch import can_watch
from tao_bench.models import Model, resolve_model
from tao_bench.registry import MissingData, Task, load_task

MIN_STEPS = 4
"""Optimiser steps of a small SFT cell: enough to move weights."""
CANNOT_SHOW = (
    "That a prompt, a document or a database does not itself hold the answer, or that no prompt was chosen or ordered "
    "by its label: the copies differ in their labels alone. `tao-bench check` looks for both.",
    "What the starting model already knew: labels in its own training, or in an assistant deployed before tuning.",
    "What people chose on dev: recipes were tuned by them, which reports count as labels for selection.",
    "What happens only beyond these few prompts, samples and rounds: code and seal are the same, the sizes are not.",
    "Intent: code that recognises the proof, encodes what it reads, or asks a network can pass. It finds mistakes and "
    "careless shortcuts, not an adversary.",
    "Opens by children that start with an environment of their own (workers of SQL engines and of vllm) or are not "
    "Python, otherwise than by the kernel: Python's hooks reach this process and the Python children that inherit its "
    "environment, those of accelerate among them.",
    "Samplers that promise equal statistics, not equal bytes (vllm, endpoints): arms with them are left out and named.",
)
"""What a proof that holds leaves open; told in the help and on the page."""


@dataclass(frozen=True, slots=True)
class Size:
    """How small the cells are.

    Attributes:
        prompts: Prompts of the pool, and labels of supervised arms, at most.
        samples: Samples a prompt and round, at most; a recipe with more strategies takes one of each.
        rounds: Rounds, at most.
    """

    prompts: int = 16
    samples: int = 4
    rounds: int = 2

    def __post_init__(self) -> None:
        for name, low in (("prompts", 1), ("samples", 2), ("rounds", 1)):
            if getattr(self, name) < low:
                raise InputError(f"must be at least {low}, not {getattr(self, name)}", f"--{name}")


def shrink(options: ArmOptions, size: Size) -> dict[str, Any]:
    """An arm's options with less of everything that costs compute; all else, its recipe above all, as it is.

    Args:
        options: Of the experiment's cell.
        size: See `Size`.

    Returns:
        Options, JSON-able and valid for the same arm.
    """
    fields = options.model_dump(mode="json")
    views = len(fields.get("recipe", {}).get("mix", ())) if isinstance(fields.get("recipe"), Mapping) else 0
    most = {
        "prompts": size.prompts,
        "labels": size.prompts,
        "samples": max(size.samples, views),
        "rounds": size.rounds,
        "min_steps": MIN_STEPS,
    }
    for name, top in most.items():
        if name in fields:
            fields[name] = top if fields[name] is None else min(fields[name], top)
    if "budget_flop" in fields:
        fields["budget_flop"] = None
    return type(options).model_validate(fields).model_dump(mode="json")


def inexact(cell: Cell) -> str:
    """Why a cell's bytes are not promised to be the same twice; '' if they are."""
    recipe = cell.options.model_dump(mode="json").get("recipe") or {}
    if cell.options.REMOTE:
        return "a server answers and nothing is tuned here"
    sampler = recipe.get("sampler", cell.sampler)
    return "" if sampler == "transformers" else f"sampler {sampler} promises no equal bytes"


def _chosen(cells: Sequence[Cell], size: Size) -> tuple[list[Trial], list[str]]:
    """The different small cells: arms that a grid tells apart by its budget alone are one; and what is left out."""
    trials: dict[str, Trial] = {}
    left_out: dict[str, None] = {}
    for cell in cells:
        stem = cell.id.split("--")[1]
        name = stem.removesuffix(f"-{cell.options.slug()}") if cell.options.slug() else stem
        if why := inexact(cell):
            left_out[f"{name}: {why}"] = None
            continue
        options = shrink(cell.options, size)
        key = json.dumps([cell.arm, options], sort_keys=True)
        taken = {trial.name for trial in trials.values()}
        trials.setdefault(key, Trial(name if name not in taken else stem, cell.arm, options))
    return list(trials.values()), list(left_out)


def trials_of(cells: Sequence[Cell], task: Task, size: Size) -> tuple[list[Trial], list[str]]:
    """The different small cells of a task.

    An SFT arm and, where the pool has labels, gold reward are added as controls if the experiment lacks them.

    Args:
        cells: The experiment's cells on the task, without those that are tuned on a mixture.
        task: The task.
        size: How small.

    Returns:
        The trials, and what was left out and why.
    """
    found, left_out = _chosen(cells, size)
    arms = {trial.arm for trial in found}
    if "sft" not in arms:
        found.append(_sft(task, size))
    if "gold_reward" not in arms and _pool_has_labels(task):
        options = {"samples": size.samples, "rounds": 1, "prompts": size.prompts}
        found.append(Trial("gold_reward", "gold_reward", shrink(get_arm("gold_reward").options(**options), size)))
    return found, left_out


def joint_trials(cells: Sequence[Cell], subject: Subject, size: Size) -> tuple[list[Trial], list[str]]:
    """The different small cells that are tuned on one mixture; an SFT arm is added as their control if there is none.

    Args:
        cells: The experiment's cells with that `tune_on`, on whatever task they answer.
        subject: The mixture.
        size: How small.

    Returns:
        The trials, and what was left out and why.
    """
    found, left_out = _chosen(cells, size)
    if found and "sft" not in {trial.arm for trial in found}:
        labels = {name: len(task.items("train")) for name, task in subject.tasks.items()}
        options: dict[str, Any] = {}
        if not all(labels.values()):
            labels, options = {name: len(task.pool()) for name, task in subject.tasks.items()}, {"labels_from": "pool"}
        whole = range(size.prompts, 0, -1)
        fits = (n for n in whole if all(labels[part] >= own for part, own in shares(subject.weights, n).items()))
        options["labels"] = next(fits, 1)
        found.append(Trial("sft", "sft", shrink(get_arm("sft").options(**options), size)))
    return found, left_out


def _pool_has_labels(task: Task) -> bool:
    return "labels/pool.jsonl" in task.files()


def _sft(task: Task, size: Size) -> Trial:
    train = len(task.items("train"))
    options: dict[str, Any] = {"labels": min(size.prompts, train or len(task.pool()))}
    if not train:
        options["labels_from"] = "pool"
    return Trial("sft", "sft", shrink(get_arm("sft").options(**options), size))


def run_firewall(options: argparse.Namespace) -> int:
    """The command ``tao-bench firewall``: the default recipe and SFT on one task.

    Returns:
        0 if the proof holds, 1 otherwise.
    """
    _set_data([options.task], options)
    task, model = load_task(options.task, options.tasks), resolve_model(options.model)
    size = Size(options.prompts)
    tao = shrink(get_arm("tao").options(), size)
    with tempfile.TemporaryDirectory(prefix="tao-bench-firewall-") as scratch:
        proof = prove(task, model, Path(scratch), [Trial("tao", "tao", tao), _sft(task, size)])
    print(page(f"Label firewall: {task.version_name}", [proof], size, model, left_out=[], command=""))
    return 0 if proof.holds else 1


def run_prove_firewall(options: argparse.Namespace) -> int:
    """The command ``tao-bench prove-firewall``: every arm of an experiment, on every task and mixture of it.

    Returns:
        0 if the proof holds, 1 otherwise.

    Raises:
        InputError: Nothing of the experiment can be proved here, or an arm cannot run at all.
    """
    experiment, cells = read_experiment(options.experiment)
    size = Size(options.prompts, options.samples, options.rounds)
    if options.jobs < 1:
        raise InputError("must be at least 1", "--jobs")
    if options.out and options.out.is_dir():
        raise InputError("is a folder", f"--out {options.out}", "name the file to write")
    _set_data(experiment.tasks, options)
    model = resolve_model(options.model or experiment.model)
    proofs: list[Proof] = []
    left_out: list[str] = []
    tasks: dict[str, Task] = {}
    for name in experiment.tasks:
        try:
            tasks[name] = load_task(name, options.tasks, 0 if experiment.eval.folds else None)
        except MissingData as error:
            left_out.append(f"task {name}: {error.what}")
    work: list[tuple[Task | Subject, list[Trial], list[str]]] = [
        (task, *trials_of([cell for cell in cells if cell.task == name and not cell.tune_on], task, size))
        for name, task in tasks.items()
    ]
    for mixture in dict.fromkeys(cell.tune_on for cell in cells if cell.tune_on):
        joint = [cell for cell in cells if cell.tune_on == mixture]
        if lacks := [name for name, _ in mixture if name not in tasks]:
            left_out.append(f"{joint[0].arm_label}: is tuned on {lacks[0]}, which cannot run here")
            continue
        subject = Subject({name: tasks[name] for name, _ in mixture}, dict(mixture))
        work.append((subject, *joint_trials(joint, subject, size)))
    for about, trials, without in work:
        left_out += [line for line in without if line not in left_out]
        if all(trial.uses_labels for trial in trials):
            continue
        with tempfile.TemporaryDirectory(prefix="tao-bench-firewall-") as scratch:
            split = "test" if experiment.eval.folds else "dev"
            place = Path(scratch)
            proofs.append(prove(about, model, place, trials, seed=options.seed, split=split, jobs=options.jobs))
    if not proofs:
        raise InputError("nothing can be proved here", experiment.name, "\n".join(left_out) or "name a label-free arm")
    command = "tao-bench " + shlex.join(sys.argv[1:] or ["prove-firewall", options.experiment])
    text = page(f"Label firewall: {_title(experiment)}", proofs, size, model, left_out=left_out, command=command)
    print(text)
    if options.out:
        try:
            options.out.parent.mkdir(parents=True, exist_ok=True)
            options.out.write_text(text, encoding="utf-8")
        except OSError as error:
            raise InputError(f"cannot be written ({error.strerror})", str(options.out)) from error
    return 0 if all(proof.holds for proof in proofs) else 1


def _title(experiment: Experiment) -> str:
    return f"experiment {experiment.name}"


def _set_data(tasks: Sequence[str], options: argparse.Namespace) -> None:
    from tao_bench.cli import needed_data, set_data

    set_data(options.data, needed_data(tasks, options.tasks))


def page(
    title: str, proofs: Sequence[Proof], size: Size, model: Model, *, left_out: Sequence[str], command: str
) -> str:
    """The proof for people, in Markdown: nothing in it depends on when or where it was made."""
    faults = [fault for proof in proofs for fault in proof.faults()]
    lines = [f"# {title}", ""]
    if command:
        lines += [f"Made by `{command}`.", ""]
    watched = "Python's audit hooks and the kernel (inotify)" if can_watch() else "Python's audit hooks"
    lines += [
        f"At most {size.prompts} prompts, {size.rounds} rounds of {size.samples} samples.",
        f"Every arm starts from {model.name} ({model.hash}); an assistant deployed first is left out.",
        f"Labels {', '.join(VARIANTS)}; permuted and blanked ones carry canaries. Opened files are told by {watched}.",
        "",
    ]
    if faults:
        lines += ["**BROKEN**", "", *(f"- {fault}" for fault in faults)]
    else:
        lines += [
            "**Holds**: what label-free arms make is the same to the bit whatever labels say, no label was opened,"
        ]
        lines += ["no canary came out; arms that use labels do change with them."]
    for proof in proofs:
        lines += ["", f"## {proof.task}", "", *_free_table(proof), "", *_control_table(proof)]
    if left_out:
        lines += ["", "Left out:", "", *(f"- {line}" for line in left_out)]
    lines += ["", "What this cannot show:", "", *(f"- {line}" for line in CANNOT_SHOW)]
    return "\n".join(lines) + "\n"


def _free_table(proof: Proof) -> list[str]:
    lines = [
        "| label-free arm | " + " | ".join(PARTS) + " | files opened | labels opened | canaries |",
        "|---|" + "---|" * len(PARTS) + "--:|--:|--:|",
    ]
    for trial in proof.trials:
        if trial.uses_labels:
            continue
        every = list(proof.of(trial).values())
        parts = " | ".join(_same([traces.hashes[part] for traces in every]) for part in PARTS)
        opened = min(traces.opened for traces in every)
        labels = len({path for traces in every for path in (*traces.asked, *traces.seen)})
        found = len({path for traces in every for path in traces.canaries})
        lines.append(f"| {trial.name} | {parts} | {opened} or more | {labels} | {found} |")
    return lines


def _same(hashes: Sequence[str]) -> str:
    if len(set(hashes)) > 1:
        return "**differ**"
    return f"`{hashes[0]}`" if hashes[0] else "–"


def _control_table(proof: Proof) -> list[str]:
    lines = ["| arm that uses labels | compared | labels as they are | permuted | changed | labels seen opened |"]
    lines.append("|---|---|---|---|---|--:|")
    for trial in proof.trials:
        if not trial.uses_labels:
            continue
        part = moved_by_labels(trial)
        first, second = _two(proof.of(trial))
        changed = "yes" if first.hashes[part] != second.hashes[part] else "**no**"
        seen = len({path for traces in (first, second) for path in traces.seen})
        hashes = f"`{first.hashes[part] or '–'}` | `{second.hashes[part] or '–'}`"
        lines.append(f"| {trial.name} | {part} | {hashes} | {changed} | {seen} |")
    return lines


def _two(every: Mapping[str, Traces]) -> tuple[Traces, Traces]:
    first, second = every.values()
    return first, second
