"""A tuning run as people ask for it: the options of `tao tune` in a YAML file, and signals in one line.

Names follow Databricks' Custom LLM API where it has them: name, instructions, guidelines, the request column.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from tao.errors import InputError
from tao.forms import PLAIN

JUDGE = "judge"
"""The signal that guidelines are for."""


class RunSpec(BaseModel):
    """What `tao tune` is asked for. Paths are as on the command line: relative to where the command runs."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    name: str | None = Field(default=None, min_length=1, pattern=r"^[^\r\n]*$")
    """What the tuned model is called in its card; the run's folder unless given."""
    model: Path | None = None
    """Checkpoint to start from."""
    prompts: Path | None = None
    """The pool, or a log."""
    request_column: str | None = None
    """Column of a log that holds the request."""
    instructions: str = ""
    """System message of requests that have none: part of what the model is tuned on, so deploy it with them."""
    guidelines: tuple[str, ...] = ()
    """What a judge holds answers against."""
    answers: str | None = None
    """Answer form."""
    previous: Path | None = Field(default=None, alias="continue")
    """Run to go on from."""
    replay: float = 0.25
    """Share of old prompts."""
    out: Path | None = None
    """Folder of the run."""
    recipe: Path | Mapping[str, Any] | None = None
    """Recipe file, or its fields."""
    samples: int | None = None
    rounds: int | None = None
    sampler: str | None = None
    signals: tuple[str | Mapping[str, Any], ...] | None = None
    """Signals that replace the recipe's, as on the command line or as in a recipe."""
    seed: int = 0
    budget: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Model FLOPs beyond which no round begins."""

    @field_validator("answers")
    @classmethod
    def _known(cls, form: str | None) -> str | None:
        if form is not None and form not in PLAIN:
            raise ValueError(f"{form!r} is none of {', '.join(PLAIN)}")
        return form


def make_spec(fields: Mapping[str, Any], where: str) -> RunSpec:
    """Validate a run's options.

    Raises:
        InputError: An unknown key (with the closest known one), or a value that cannot be.
    """
    known = [field.alias or name for name, field in RunSpec.model_fields.items()]
    try:
        return RunSpec.model_validate(dict(fields))
    except ValidationError as error:
        faults = []
        for fault in error.errors():
            name = str(fault["loc"][0]) if fault["loc"] else ""
            if fault["type"] == "extra_forbidden":
                close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
                faults.append(f"unknown key {name!r}" + (f" (did you mean {close[0]!r}?)" if close else ""))
            else:
                faults.append(f"{name}: {fault['msg'].removeprefix('Value error, ')}")
        raise InputError("; ".join(dict.fromkeys(faults)), where, f"keys: {', '.join(known)}") from error


def read_spec(path: Path) -> dict[str, Any]:
    """The keys of a run's YAML file, checked.

    Raises:
        InputError: Missing, not YAML, or not a run.
    """
    from tao.recipe import read_yaml

    raw = read_yaml(path)
    if not isinstance(raw, dict) or not all(isinstance(key, str) for key in raw):
        raise InputError("a run is a mapping of keys", str(path), "write lines such as 'prompts: pool.jsonl'")
    fields = {("continue" if key == "previous" else key): value for key, value in raw.items()}
    make_spec(fields, str(path))
    return fields


def write_spec(path: Path, spec: RunSpec, recipe: Mapping[str, Any]) -> None:
    """Write a run down so that `tao tune --spec` repeats it from anywhere; it names paths of this machine.

    Args:
        path: The YAML file.
        spec: What was asked for.
        recipe: The recipe it came to; samples, rounds, sampler, signals and guidelines are in it.
    """
    fields: dict[str, Any] = {
        "name": spec.name,
        "model": spec.model,
        "prompts": spec.prompts,
        "request_column": spec.request_column,
        "instructions": spec.instructions or None,
        "answers": spec.answers,
        "continue": spec.previous,
        "replay": spec.replay if spec.previous else None,
        "out": spec.out,
        "seed": spec.seed,
        "budget": spec.budget,
    }
    kept = {
        name: str(value.absolute()) if isinstance(value, Path) else value
        for name, value in fields.items()
        if value is not None
    }
    text = yaml.safe_dump({**kept, "recipe": dict(recipe)}, sort_keys=False, allow_unicode=True, width=120)
    path.write_text(text, encoding="utf-8")


def parse_signal(text: str) -> dict[str, Any]:
    """A signal in one line: ``NAME:key=value,key=value``, as the mapping a recipe holds.

    The name may hold colons itself (``rules.py:short:veto=0.1``), and so may values. ``a.b=1`` is ``a: {b: 1}``.

    Raises:
        InputError: No name, a key without a value, or neither a weight nor a veto: it would change nothing.
    """
    where = f"--signals {text}"
    fix = "write e.g. grounded:weight=0.2 or rules.py:short:veto=0.1"
    name, *rest = re.split(r":(?=[A-Za-z_][\w.]*=)", text, maxsplit=1)
    if not name or "=" in name:
        raise InputError("a signal begins with its name", where, fix)
    fields: dict[str, Any] = {"signal": name}
    for part in re.split(r",(?=\s*[A-Za-z_][\w.]*=)", rest[0]) if rest else []:
        key, _, value = part.strip().partition("=")
        if not value:
            raise InputError(f"{key!r} has no value", where, fix)
        *outer, last = key.split(".")
        into = fields
        for level in outer:
            into = into.setdefault(level, {})
            if not isinstance(into, dict):
                raise InputError(f"{key!r} goes into something that is a value already", where, fix)
        if last in into:
            raise InputError(f"{key!r} is given twice", where, fix)
        into[last] = _scalar(value)
    if not fields.get("weight") and fields.get("veto") is None:
        raise InputError("a signal with neither weight nor veto changes nothing", where, fix)
    return fields


def _scalar(value: str) -> Any:
    """Numbers as numbers, all else as text."""
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


def guided(signals: Sequence[Mapping[str, Any]], guidelines: Sequence[str]) -> list[dict[str, Any]]:
    """Signals with the guidelines given to those that judge.

    Raises:
        InputError: None of them judges: the guidelines would be read by nobody.
    """
    if not any(signal.get("signal") == JUDGE for signal in signals):
        raise InputError(
            "guidelines are what a judge holds answers against, and no signal judges",
            "--guidelines",
            f"add --signals {JUDGE}:...,weight=0.5, or say it to the model itself with --instructions",
        )
    return [
        {**signal, "guidelines": list(guidelines)} if signal.get("signal") == JUDGE else dict(signal)
        for signal in signals
    ]
