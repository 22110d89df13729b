"""Experiment files: a YAML grid of arms, tasks and seeds, expanded into cells with stable names.

Example::

    name: quickstart
    model: reference
    tasks: [warehouse_sql]
    seeds: [0, 1]
    eval: {split: test}
    arms:
      - arm: base
      - arm: base_maj
      - arm: sft
        labels: [50, 800]
      - arm: tao
        samples: [4, 16]
        rounds: 3
        seeds: [0, 1, 2]

An arm of its own for every task is the rule. With ``tune_on`` one model is tuned, on one task or on a mixture, and
then answers all tasks, those under ``transfer`` too, on which nothing is ever tuned::

    tasks: [warehouse_sql, sec_filings]
    transfer: [geoquery]
    arms:
      - arm: base
      - {arm: tao, samples: 8, rounds: 2, tune_on: {warehouse_sql: 1, sec_filings: 1}}
      - {arm: tao, samples: 8, rounds: 2, tune_on: {warehouse_sql: 1}}
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from tao.errors import InputError
from tao_bench.arms import ARM_NAMES, get_arm
from tao_bench.arms.contract import ArmOptions
from tao_bench.gpu_plan import Hardware
from tao_bench.task import suggest, validation_message

PRESETS = (
    "quickstart",
    "scaling",
    "scaling_filings",
    "geoquery",
    "geoquery_cv",
    "trials",
    "trials_tao",
    "trials_geoquery",
    "trials_objectives",
    "trials_signals",
    "overoptimisation",
    "ablation",
    "multitask",
    "suite",
    "suite_tuned",
    "trials_ladder",
    "trials_suite",
    "trials_suite_joint",
    "blog_finance",
    "blog_finance_70b",
    "blog_sql",
    "blog_sql_70b",
)
ENTRY_FIELDS = ("arm", "name", "label", "seeds", "tasks", "tune_on", "headline")
MIXED_ARMS = ("tao", "sft")
"""Arms that can be tuned on a mixture of tasks."""


class EvalSpec(BaseModel):
    """What is evaluated: a split, and how many of its first items (None: all)."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    split: Literal["dev", "test"] = "test"
    limit: int | None = Field(default=None, gt=0)
    folds: int | None = Field(default=None, gt=1)
    """Cross-validate over the task's own folds (all of them): every fold is answered by models tuned on the others."""

    @model_validator(mode="after")
    def _whole_folds(self) -> EvalSpec:
        if self.folds and (self.split != "test" or self.limit):
            raise ValueError("folds go with `split: test` and without a limit")
        return self


class Deployed(BaseModel):
    """The deployed assistant all arms start from: the model tuned on a few labels, counted in every row."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    labels: int = Field(default=0, ge=0)
    epochs: float | None = Field(default=None, gt=0)
    learning_rate: float | None = Field(default=None, gt=0)


class MadeTask(BaseModel):
    """A task made for the experiment from another, as `tao-bench make` does: ``{from: sec_filings@2, n: 7200}``."""

    model_config = ConfigDict(extra="allow", frozen=True)
    source: str = Field(alias="from")
    """The task whose generator runs; further keys are its settings."""
    seed: int | None = None

    def settings(self) -> list[str]:
        """``KEY=VALUE`` of every setting."""
        return [f"{key}={json.dumps(value)}" for key, value in sorted((self.model_extra or {}).items())]


class ArmEntry(BaseModel):
    """One entry of `arms`: the fields every arm shares; the rest goes to the arm's own options."""

    model_config = ConfigDict(extra="allow", frozen=True)
    arm: str
    name: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9._-]*$")
    """First part of the cells' ids; needed where two entries of one arm differ in options the id does not show."""
    label: str | None = None
    """The arm's name in tables; made from its options otherwise."""
    seeds: tuple[int, ...] | None = None
    tasks: tuple[str, ...] | None = None
    """The tasks it answers, of the experiment's own; all if None."""
    headline: bool = False
    """Whether the report makes its claims about this arm; where none says so, a rule picks one unseen."""
    tune_on: Mapping[str, float] | None = Field(default=None, min_length=1)
    """Task to weight. One model a seed is tuned on these tasks together, their prompts (or labels) in shares of the
    weights (`tao.mixture.turns`), and answers all tasks. None: one model for every task it answers."""

    @model_validator(mode="after")
    def _positive(self) -> ArmEntry:
        for task, weight in (self.tune_on or {}).items():
            if not (math.isfinite(weight) and weight > 0):
                raise ValueError(f"tune_on: the weight of {task} must be above 0; leave out a task that has none")
        if self.tune_on and self.arm not in MIXED_ARMS:
            raise ValueError(f"tune_on: goes with the arms {' and '.join(MIXED_ARMS)}")
        if self.headline and self.arm != "tao":
            raise ValueError("headline: claims are made about an arm `tao`")
        return self


class Experiment(BaseModel):
    """An experiment file."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str = Field(pattern=r"^[a-z][a-z0-9_-]*$")
    description: str = ""
    model: str = "reference"
    tasks: tuple[str, ...] = Field(min_length=1)
    transfer: tuple[str, ...] = ()
    """Tasks that are answered only: by arms that tune nothing, and by those with `tune_on`."""
    margin: float = Field(default=0.02, gt=0, lt=1)
    """Fall in accuracy that `tune_on` may bring to a task and still pass for none; stated before the run."""
    seeds: tuple[int, ...] = Field(default=(0,), min_length=1)
    eval: EvalSpec = EvalSpec()
    deployed: Deployed = Deployed()
    chosen_on_dev: bool = True
    """Whether the options of trained arms were chosen on dev; its labels are then counted for them."""
    sampler: Literal["transformers", "vllm"] = "transformers"
    """What all arms answer with, and TAO explores with unless its recipe says otherwise."""
    vllm: Mapping[str, Any] = Field(default_factory=dict)
    """Keyword arguments of `vllm.LLM`, e.g. ``{tensor_parallel_size: 4}``."""
    made: Mapping[str, MadeTask] = Field(default_factory=dict)
    """Tasks that are made before anything runs, by name; kept in the cache."""
    hardware: Hardware | None = None
    """The GPUs that `--dry-run` plans for."""
    arms: tuple[ArmEntry, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _what_fits(self) -> Experiment:
        twice = [task for task in self.transfer if task in self.tasks]
        if twice:
            raise ValueError(f"transfer: {twice[0]} is among the tasks already")
        if sum(entry.headline for entry in self.arms) > 1:
            raise ValueError("headline: only one arm can be the one that claims are made about")
        if any(entry.tune_on for entry in self.arms):
            if self.eval.folds:
                raise ValueError("tune_on: does not go with folds")
            if self.deployed.labels:
                raise ValueError("tune_on: does not go with `deployed`, which is another model for every task")
        if self.hardware and self.sampler != "vllm":
            raise ValueError("hardware: goes with `sampler: vllm`, whose engine it plans")
        for name in self.made:
            if name not in self.tasks:
                raise ValueError(f"made: {name!r} is not among the experiment's tasks")
        return self

    @property
    def all_tasks(self) -> tuple[str, ...]:
        """Those tuned on and those answered only."""
        return (*self.tasks, *self.transfer)

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leaves later fields out where they are not given."""
        fields: dict[str, Any] = handler(self)
        return {name: value for name, value in fields.items() if name not in ("made", "hardware") or value}


@dataclass(frozen=True, slots=True)
class Cell:
    """One run: arm x task x seed.

    Attributes:
        id: Readable, stable and unique in the experiment, e.g. ``warehouse_sql--tao-n8-r3--seed0``.
        experiment: The experiment's name.
        arm: The arm's name.
        arm_label: The arm with its options as tables name it; cells that differ in seed or task share it.
        options: Its validated options.
        task: Task name, without version.
        seed: The cell's seed.
        model: Model as the experiment names it.
        deployed: How the shared starting model was made.
        eval: What is evaluated.
        fold: The fold it answers, tuned on the others; None without cross-validation.
        sampler: What it samples with.
        engine: Keyword arguments of `vllm.LLM`.
        tune_on: Task and weight of the mixture it is tuned on; empty where it is tuned on its own task, or not at all.
        margin: See `Experiment`.
        headline: See `ArmEntry`.
    """

    id: str
    experiment: str
    arm: str
    arm_label: str
    options: ArmOptions
    task: str
    seed: int
    model: str
    deployed: Deployed
    eval: EvalSpec
    fold: int | None = None
    sampler: str = "transformers"
    engine: Mapping[str, Any] = field(default_factory=dict)
    tune_on: tuple[tuple[str, float], ...] = ()
    margin: float = 0.02
    headline: bool = False

    @property
    def tuned_id(self) -> str:
        """What its model is called where the cells of several tasks share it: the id without its task."""
        return self.id.removeprefix(f"{self.task}--")

    @property
    def pooled_id(self) -> str:
        """The id without its fold: what the folds of one arm and seed are published as."""
        return self.id if self.fold is None else self.id.replace(f"--fold{self.fold}", "", 1)


def preset_path(name: str) -> Path:
    """The file of a preset shipped with the package."""
    return Path(__file__).resolve().parent / "presets" / f"{name}.yaml"


def find_experiment(name: str) -> Path:
    """A preset's file, or the path itself.

    Raises:
        InputError: Neither a preset nor a file.
    """
    if name in PRESETS:
        return preset_path(name)
    path = Path(name)
    if path.is_file():
        return path
    raise InputError(
        f"is neither a preset ({', '.join(PRESETS)}) nor a file{suggest(name, list(PRESETS))}",
        name,
        "name a preset or the path of an experiment file",
    )


def _line_of(node: yaml.Node | None, place: Sequence[Any]) -> int | None:
    """1-based line of the deepest node along a path of keys and indices; None where the tree ends."""
    line = node.start_mark.line + 1 if node else None
    for part in place:
        if isinstance(node, yaml.MappingNode):
            pair = next(((k, v) for k, v in node.value if getattr(k, "value", None) == str(part)), None)
            if pair is None:
                return line
            line, node = pair[0].start_mark.line + 1, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            return line
    return line


def _refuse(error: ValidationError, path: str, tree: yaml.Node | None, base: tuple[Any, ...], known: set[str]) -> None:
    """Turn a pydantic error into ours, with its line: that of an unknown key if any, as a missing one has none."""
    faults = sorted(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")
    line = _line_of(tree, (*base, *faults[0]["loc"]))
    where = f"{path}:{line}" if line else path
    raise InputError(validation_message(error, known), where, "see `tao-bench run --help` for an example") from error


def _entry_options(entry: ArmEntry, path: str, tree: yaml.Node | None, index: int) -> list[ArmOptions]:
    """Validate an entry's own options, one per combination of its grid fields."""
    place = ("arms", index)
    line = _line_of(tree, (*place, "arm"))
    where = f"{path}:{line}" if line else path
    if entry.arm not in ARM_NAMES:
        raise InputError(
            f"unknown arm {entry.arm!r}{suggest(entry.arm, list(ARM_NAMES))}", where, f"use {', '.join(ARM_NAMES)}"
        )
    model = get_arm(entry.arm).options
    extra: dict[str, Any] = dict(entry.model_extra or {})
    axes = [
        [(field, value) for value in (extra[field] if isinstance(extra[field], list) else [extra[field]])]
        for field in model.GRID
        if field in extra
    ]
    fixed = {field: value for field, value in extra.items() if field not in model.GRID}
    options = []
    for combination in itertools.product(*axes):
        try:
            options.append(model.model_validate({**fixed, **dict(combination)}))
        except ValidationError as error:
            _refuse(error, path, tree, place, set(model.model_fields) | set(ENTRY_FIELDS))
    if not options:
        raise InputError("an empty list leaves nothing to run", where, "give at least one value")
    return options


def parse_experiment(text: str, path: str = "experiment") -> tuple[Experiment, list[Cell]]:
    """Read an experiment and expand it into its cells, in file order.

    Args:
        text: The YAML text.
        path: Its name in messages.

    Raises:
        InputError: Not YAML, unknown keys or arms (with the closest known name), values out of range,
            or two cells of one id.
    """
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else path
        raise InputError(f"not YAML ({getattr(error, 'problem', None) or error})", where) from error
    if not isinstance(raw, Mapping):
        raise InputError("an experiment file is a mapping of keys to values", path, "start it with `name: ...`")
    try:
        experiment = Experiment.model_validate(raw)
    except ValidationError as error:
        _refuse(error, path, tree, (), set(Experiment.model_fields))
        raise
    return experiment, expand(experiment, path, tree)


def read_experiment(name: str) -> tuple[Experiment, list[Cell]]:
    """Read a preset or an experiment file (see `parse_experiment`)."""
    path = find_experiment(name)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read ({error})", str(path)) from error
    return parse_experiment(text, str(path))


def expand(experiment: Experiment, path: str = "experiment", tree: yaml.Node | None = None) -> list[Cell]:
    """The cells of an experiment: tasks, then arms in file order, then seeds.

    A greedy base has nothing random in it, so it gets one cell a task whatever the seeds. Tasks under `transfer` come
    last, with the cells of arms that tune nothing or have `tune_on`.
    """
    entries = [(index, entry, _entry_options(entry, path, tree, index)) for index, entry in enumerate(experiment.arms)]
    for index, entry, _ in entries:
        free = entry.tune_on is not None or get_arm(entry.arm).tune is None
        for key, known in (
            ("tasks", experiment.all_tasks if free else experiment.tasks),
            ("tune_on", experiment.tasks),
        ):
            for task in getattr(entry, key) or ():
                if task not in known:
                    line = _line_of(tree, ("arms", index, key))
                    raise InputError(
                        f"task {task!r} is not among the experiment's tasks{suggest(task, list(known))}",
                        f"{path}:{line}" if line else path,
                    )
    cells: dict[str, Cell] = {}
    for task in experiment.all_tasks:
        for index, entry, option_list in entries:
            if entry.tasks is not None and task not in entry.tasks:
                continue
            arm = get_arm(entry.arm)
            if task in experiment.transfer and arm.tune is not None and entry.tune_on is None:
                continue
            random = arm.tune is not None or arm.decode == "majority"
            seeds = (entry.seeds or experiment.seeds) if random else (0,)
            folds = range(experiment.eval.folds) if experiment.eval.folds else (None,)
            for options, seed, fold in itertools.product(option_list, seeds, folds):
                slug = options.slug()
                mixture = tuple((entry.tune_on or {}).items())
                kind = entry.name or "-".join([entry.arm, *(["on", *dict(mixture)] if mixture else [])])
                stem = f"{kind}-{slug}" if slug else kind
                cell_id = "--".join((task, stem, *([] if fold is None else [f"fold{fold}"]), f"seed{seed}"))
                if cell_id in cells:
                    line = _line_of(tree, ("arms", index))
                    raise InputError(
                        f"two cells are called {cell_id}",
                        f"{path}:{line}" if line else path,
                        "give one of the arms another `name`",
                    )
                title = options.title()
                title += f" on {_mixture_words(mixture)}" if mixture and not entry.label else ""
                label = entry.label and re.sub(r"\s+", " ", f"{entry.label} {_grid_words(title)}").strip()
                cells[cell_id] = Cell(
                    id=cell_id,
                    experiment=experiment.name,
                    arm=entry.arm,
                    arm_label=label or title,
                    options=options,
                    task=task,
                    seed=seed,
                    model=experiment.model,
                    deployed=experiment.deployed,
                    eval=experiment.eval,
                    fold=fold,
                    sampler=experiment.sampler,
                    engine=experiment.vllm,
                    tune_on=mixture,
                    margin=experiment.margin,
                    headline=entry.headline,
                )
    return list(cells.values())


def _grid_words(title: str) -> str:
    """What follows an arm's name in its title: the options that make a grid."""
    return title.partition(" ")[2]


def _mixture_words(mixture: Sequence[tuple[str, float]]) -> str:
    """E.g. ``warehouse_sql + sec_filings``, with the weights where they differ."""
    even = len({weight for _, weight in mixture}) == 1
    return " + ".join(name if even else f"{weight:g} {name}" for name, weight in mixture)
