"""What a task is: a folder with `task.yaml`, data or `generate.py`, `fixtures.jsonl` and a README.

Its data is made by `generate.py`, or assembled from rows and templates that `task.yaml` names (`tao_bench.assemble`),
or lies there ready. On disk, after generation (the cache folder) or as shipped data::

    pool.jsonl                 prompts to tune on; columns of `tao.prompts.Prompt` and nothing else
    train|dev|test.jsonl       the same columns plus `cluster` and `level`
    labels/<split>.jsonl       {"id", "gold", "target"}; pool too (sealed, for ceilings and proofs)
    labels/...                 anything else that only the verifier may open (second instances)
    ...                        what handles point at (tuning instances, documents)

Labels live in other files than prompts and are read by `read_labels` alone, which only the
verifier process and arms that declare `uses_labels` call.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tao.errors import InputError
from tao.prompts import Prompt, _parse_prompt, read_jsonl
from tao_bench.source import Columns, DataSpec, Shares, Table, Turn

Split = Literal["pool", "train", "dev", "test"]
LABELLED_SPLITS: tuple[Split, ...] = ("train", "dev", "test")
ITEM_FIELDS = ("cluster", "level")
ABOUT = "about.json"
"""Optional, by the generator: how the prompts were made, as printed by `tao-bench check` and `tasks show`."""


class Limits(BaseModel):
    """Generation limits in tokens; equal for every arm of a comparison."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    max_prompt_tok: int = Field(gt=0)
    max_new_tok: int = Field(gt=0)


class HubSource(BaseModel):
    """Where the Hugging Face hub keeps a task's external data."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    id: str
    """Data set on the hub, as `datasets.load_dataset` takes it (a folder on disk too)."""
    revision: str = "main"
    files: tuple[str, ...] = ()
    """Published files to take as they are, where their rows do not fit one table; else every split is loaded."""
    lacks: str = ""
    """What the hub's copy does not hold (databases): it is then not loaded, and the error says so."""


class Variant(BaseModel):
    """A way to pose a task's questions: ``task:variant`` names it, in caches and rows too."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    description: str
    options: dict[str, Any] = Field(default_factory=dict)
    """Handed to ``generate(..., options=...)``."""
    limits: Limits | None = None


class TaskSpec(BaseModel):
    """`task.yaml`. Unknown keys are refused with a suggestion."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    version: int = Field(ge=1)
    description: str
    licence: str
    answer: Literal["sql", "number", "filing", "text", "prose", "choice", "json", "calls"]
    """Answer form: names the interpreter (label-free meaning) and the exploring formats."""
    answer_options: dict[str, Any] = Field(default_factory=dict)
    """What interpreter and verifier must both know of an answer: the choices, the JSON Schema or the file it is in."""
    seed: int = 0
    verifier: str
    """A verifier of `tao_bench.verify` by name, or ``verify.py:grade``, a function in the task's folder."""
    verifier_options: dict[str, Any] = Field(default_factory=dict)
    cluster: str
    """What a cluster of items is (schema, company, template), in words for the report."""
    chance_floor: float = Field(ge=0, le=1)
    """Accuracy no degenerate policy may exceed."""
    limits: Limits
    needs: str = ""
    """Name of an environment variable with external data's folder; '' if the task makes its own."""
    hub: HubSource | None = None
    """Loaded where `needs` is not set; its folder is handed to ``generate(..., source=...)``."""
    variants: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]*$")], Variant] = Field(
        default_factory=dict
    )
    """By name; the first is meant where none is named."""
    extractive: bool = False
    """Answers may be copied out of the prompt, so that an answer found there is no leak."""
    folds: int = Field(default=0, ge=0)
    """Folds that `generate(out, seed, fold=k)` can make for cross-validation; 0 if the task has none."""
    data: DataSpec | None = None
    """Rows to make the task of, with the templates below; None where `generate.py` or ready files do it."""
    columns: Columns = Columns()
    prompt: str | tuple[Turn, ...] = ""
    """Jinja template of the user's message, or a list of chat messages; variables are the rows' columns."""
    context: str = ""
    """Template of the prompt's lines that may change places (tables of a schema); shown as ``{{ context }}``."""
    handles: dict[str, str] = Field(default_factory=dict)
    """Name to template of a file below the folder that a prompt is about: ``database: databases/{{ db }}.json``."""
    gold: str | dict[str, Any] = ""
    """The column that holds the gold, or a template of it by field."""
    target: str = ""
    """Column or template of the answer that fine-tuning trains on; made from the gold otherwise."""
    signals: tuple[str, ...] = ()
    """Label-free signals by name, or ``signal.py:function``; none: all that are built in."""
    effect: float | None = Field(default=None, gt=0, lt=1)
    """Difference in accuracy that the test split must be able to show; None: told, not demanded."""

    @model_validator(mode="after")
    def _templates_go_with_data(self) -> TaskSpec:
        given = [name for name in ("prompt", "context", "handles", "gold", "target") if getattr(self, name)]
        if self.data is None and given:
            raise ValueError(f"`{given[0]}` goes with `data`: name the rows it is filled from")
        lacks = [name for name in ("prompt", "gold") if not getattr(self, name)]
        if self.data is not None and lacks:
            raise ValueError(f"`data` needs `{lacks[0]}` too: the template or column it is made with")
        return self


_MODELS = (TaskSpec, Limits, HubSource, Variant, DataSpec, Columns, Shares, Table, Turn)
KEYS = frozenset(name for model in _MODELS for name in model.model_fields)
"""Every key that `task.yaml` may hold, at any depth: what an unknown one is compared with."""


def key_lines(text: str) -> dict[tuple[str | int, ...], int]:
    """1-based line of every key and list item of a YAML text, by its path.

    Raises:
        InputError: A key stands twice in one mapping (YAML itself keeps the last and says nothing).
    """
    lines: dict[tuple[str | int, ...], int] = {}
    pending: list[tuple[tuple[str | int, ...], Any]] = [((), yaml.compose(text, Loader=yaml.SafeLoader))]
    while pending:
        path, node = pending.pop()
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                place = (*path, str(key.value))
                if place in lines:
                    raise InputError(
                        f"key {key.value!r} stands twice", str(key.start_mark.line + 1), "keep one of them"
                    )
                lines[place] = key.start_mark.line + 1
                pending.append((place, value))
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                lines[(*path, index)] = value.start_mark.line + 1
                pending.append(((*path, index), value))
    return lines


@dataclass(frozen=True, slots=True)
class Item:
    """A prompt of a labelled split with what reports group by. Still no label."""

    prompt: Prompt
    cluster: str
    level: str


@dataclass(frozen=True, slots=True)
class Label:
    """Gold of one item, for verifiers and labelled arms.

    Attributes:
        gold: What the verifier judges against (structure is the verifier's own).
        target: The answer text supervised fine-tuning trains on.
    """

    gold: Any
    target: str


def suggest(key: str, known: Mapping[str, Any] | list[str] | set[str]) -> str:
    """' (did you mean X?)' for the closest known name, or ''."""
    close = difflib.get_close_matches(key, list(known), n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""


def validation_message(error: ValidationError, known: list[str] | set[str]) -> str:
    """One line per fault of a pydantic error, with a did-you-mean for unknown keys."""
    lines = []
    for fault in error.errors():
        place = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "extra_forbidden":
            lines.append(f"unknown key {place!r}{suggest(str(fault['loc'][-1]), known)}")
        else:
            lines.append(f"{place}: {fault['msg'].removeprefix('Value error, ')}".removeprefix(": "))
    return "; ".join(lines)


def read_spec(folder: Path) -> TaskSpec:
    """Read and validate `task.yaml`.

    Raises:
        InputError: Missing, not YAML, or not a valid task; says on which line.
    """
    path = folder / "task.yaml"
    try:
        text = path.read_text(encoding="utf-8")
        raw = yaml.safe_load(text)
        lines = key_lines(text)
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", str(path), "a task folder needs a task.yaml") from error
    except UnicodeDecodeError as error:
        raise InputError("not UTF-8", str(path), "save it as UTF-8") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise InputError(f"not YAML ({error.problem})", f"{path}:{mark.line + 1}" if mark else str(path)) from error
    except yaml.YAMLError as error:
        raise InputError(f"not YAML ({error})", str(path)) from error
    except InputError as error:
        raise InputError(error.what, f"{path}:{error.where}", error.fix) from error
    if not isinstance(raw, dict):
        raise InputError(
            "holds no keys", str(path), "write `name: ...`, `version: 1` and so on; `tao-bench new` shows all"
        )
    try:
        return TaskSpec.model_validate(raw)
    except ValidationError as error:
        line = min((_line_of(fault["loc"], lines) for fault in error.errors()), default=0)
        raise InputError(validation_message(error, set(KEYS)), f"{path}:{line}" if line else str(path)) from error


def _line_of(place: tuple[str | int, ...], lines: Mapping[tuple[str | int, ...], int]) -> int:
    """The line of a fault; parts of its place that are no keys (names of union members) are passed over."""
    found: tuple[str | int, ...] = ()
    for part in place:
        if (*found, part) in lines:
            found = (*found, part)
    return lines.get(found, 1)


def read_items(path: Path) -> list[Item]:
    """Read a labelled split's prompts (no labels in this file).

    Raises:
        InputError: Missing file, malformed row, unknown column, duplicate id.
    """
    items: list[Item] = []
    seen: set[str] = set()
    for where, row in read_jsonl(path):
        if not isinstance(row, dict) or not set(ITEM_FIELDS) <= set(row):
            raise InputError(f"an item needs {' and '.join(ITEM_FIELDS)}", where)
        rest = {key: value for key, value in row.items() if key not in ITEM_FIELDS}
        prompt = _parse_prompt(rest, where, path.parent)
        if prompt.id in seen:
            raise InputError(f"duplicate id {prompt.id!r}", where)
        seen.add(prompt.id)
        items.append(Item(prompt, str(row["cluster"]), str(row["level"])))
    return items


def read_labels(data: Path, split: Split) -> dict[str, Label]:
    """Open the sealed labels of a split: item id to label.

    Only the verifier process and arms that declare `uses_labels` call this.

    Raises:
        InputError: Missing file or malformed row.
    """
    labels: dict[str, Label] = {}
    for where, row in read_jsonl(data / "labels" / f"{split}.jsonl"):
        if not isinstance(row, dict) or set(row) != {"id", "gold", "target"}:
            raise InputError("a label row has exactly the columns id, gold, target", where)
        labels[str(row["id"])] = Label(row["gold"], str(row["target"]))
    return labels
