"""What a task is: a folder with `task.yaml`, data or `generate.py`, `fixtures.jsonl` and a README.

On disk, after generation (the cache folder) or as shipped data::

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
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tao.errors import InputError
from tao.prompts import Prompt, _parse_prompt, read_jsonl

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
    answer: Literal["sql", "number", "filing", "text"]
    """Answer form: names the interpreter (label-free meaning) and the exploring formats."""
    seed: int = 0
    verifier: str
    """A verifier of `tao_bench.verify` by name."""
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
    variants: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], Variant] = Field(default_factory=dict)
    """By name; the first is meant where none is named."""
    extractive: bool = False
    """Answers may be copied out of the prompt, so that an answer found there is no leak."""
    folds: int = Field(default=0, ge=0)
    """Folds that `generate(out, seed, fold=k)` can make for cross-validation; 0 if the task has none."""


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
            lines.append(f"{place}: {fault['msg']}")
    return "; ".join(lines)


def read_spec(folder: Path) -> TaskSpec:
    """Read and validate `task.yaml`.

    Raises:
        InputError: Missing, not YAML, or not a valid task.
    """
    path = folder / "task.yaml"
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", str(path), "a task folder needs a task.yaml") from error
    except yaml.YAMLError as error:
        raise InputError(f"not YAML ({error})", str(path)) from error
    try:
        return TaskSpec.model_validate(raw)
    except ValidationError as error:
        raise InputError(validation_message(error, set(TaskSpec.model_fields)), str(path)) from error


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
