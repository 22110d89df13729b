"""Read and check a folder of results: `cells.jsonl`, `rows/<cell>.jsonl` (or `rows.jsonl`), `ledger.jsonl`.

`timing.jsonl` is optional: it holds times and host facts only and no figure depends on it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tao.compute import STAGES
from tao.errors import InputError
from tao.prompts import read_jsonl
from tao_bench.verify.verdict import Status

EVALUATE = "evaluate"
REMOTE = "endpoint"
"""The arm without FLOPs: a server answered, and told tokens only."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One run: arm x task x seed, as `cells.jsonl` describes it.

    Attributes:
        id: Name of the cell.
        experiment: The experiment it belongs to.
        arm: Kind of arm: ``base``, ``base_maj``, ``sft``, ``tao``, ``endpoint``, or another tuned arm.
        label: The arm with its options, as tables name it.
        options: The arm's options.
        task: Task with version, e.g. ``warehouse_sql@1``.
        seed: Seed.
        labels_base: Labels in the model every arm starts from.
        labels_arm: Labels the arm trained on.
        labels_dev: Labels used for selection on dev.
        budget: ``samples_per_prompt`` and ``rounds`` of a label-free arm, else None.
        inference_samples: Responses generated per answer.
        folds: Models the cell pools: 1, or the folds of a cross-validation.
        versions: Name to version of what ran.
        raw: The whole row, for provenance.
    """

    id: str
    experiment: str
    arm: str
    label: str
    options: Mapping[str, Any]
    task: str
    seed: int
    labels_base: int
    labels_arm: int
    labels_dev: int
    budget: Mapping[str, int] | None
    inference_samples: int
    folds: int
    versions: Mapping[str, Any]
    raw: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One judged answer."""

    item: str
    cluster: str
    level: str
    answer: str
    status: Status
    reason: str
    completion_tok: int
    frozen: str


@dataclass(frozen=True, slots=True)
class Charge:
    """One ledger line; `usd` is the price of an endpoint's tokens, where it is known."""

    cell: str
    stage: str
    model_flop: float
    device_flop: float
    tok: int
    usd: float | None = None


@dataclass(frozen=True)
class Results:
    """A checked folder of results; every cell has rows, every tuned cell has charges."""

    folder: Path
    experiment: str
    cells: tuple[Cell, ...]
    rows: Mapping[str, tuple[Row, ...]]
    charges: tuple[Charge, ...]
    timing: tuple[Mapping[str, Any], ...]

    @property
    def any_remote(self) -> bool:
        """Whether an endpoint takes part, so that tokens and dollars are shown beside FLOPs."""
        return any(cell.arm == REMOTE for cell in self.cells)

    def answering(self, cells: Collection[str]) -> tuple[float, float | None]:
        """Tokens of answering the evaluated split, prompts included, and their price; means over cells."""
        mine = [c for c in self.charges if c.cell in cells and c.stage == EVALUATE]
        prices = [c.usd for c in mine if c.usd is not None]
        usd = sum(prices) / len(cells) if prices and len(prices) == len(mine) else None
        return sum(c.tok for c in mine) / len(cells), usd

    @property
    def tasks(self) -> tuple[str, ...]:
        """Tasks in the order of the cells."""
        return tuple(dict.fromkeys(cell.task for cell in self.cells))

    def flop(self, cell: str, *, device: bool = False) -> float:
        """FLOPs of obtaining one tuned model of a cell (the mean over its folds): all stages but `evaluate`."""
        mine = (c for c in self.charges if c.cell == cell and c.stage != EVALUATE)
        folds = next((c.folds for c in self.cells if c.id == cell), 1)
        return sum(c.device_flop if device else c.model_flop for c in mine) / folds


def load(folder: Path) -> Results:
    """Read a results folder.

    Raises:
        InputError: Missing file, malformed or duplicate row, a cell without rows, a tuned cell without charges,
            rows judged under different frozen versions.
    """
    if not folder.is_dir():
        raise InputError("no such folder of results", str(folder), "name a folder under results/")
    cells = _cells(folder / "cells.jsonl")
    names = {cell.id: cell for cell in cells}
    rows = _rows(folder, names)
    charges = tuple(_charges(folder / "ledger.jsonl", names))
    charged = {charge.cell for charge in charges if charge.stage != EVALUATE}
    for cell in cells:
        if cell.arm not in ("base", "base_maj", REMOTE) and cell.id not in charged:
            raise InputError(
                f"no tuning stage of cell {cell.id!r}", str(folder / "ledger.jsonl"), "export the run again"
            )
    _same_frozen(folder, cells, rows)
    timing_path = folder / "timing.jsonl"
    timing = tuple(row for _, row in read_jsonl(timing_path)) if timing_path.is_file() else ()
    return Results(folder, cells[0].experiment, cells, rows, charges, timing)


def _get(row: Any, name: str, kind: type | tuple[type, ...], where: str) -> Any:
    if not isinstance(row, dict):
        raise InputError("a row must be a JSON object", where)
    if name not in row:
        raise InputError(f"the row has no {name!r}", where)
    value = row[name]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise InputError(f"{name!r} cannot be {value!r}", where)
    return value


def _cells(path: Path) -> tuple[Cell, ...]:
    cells: dict[str, Cell] = {}
    for where, row in read_jsonl(path):
        cell = Cell(
            id=_get(row, "cell", str, where),
            experiment=_get(row, "experiment", str, where),
            arm=_get(row, "arm", str, where),
            label=_get(row, "arm_label", str, where),
            options=_get(row, "arm_options", dict, where),
            task=_get(row, "task", str, where),
            seed=_get(row, "seed", int, where),
            labels_base=_get(row, "labels_base", int, where),
            labels_arm=_get(row, "labels_arm", int, where),
            labels_dev=_get(row, "labels_dev", int, where),
            budget=_budget(row, where),
            inference_samples=_get(row, "inference_samples", int, where),
            folds=_get(row, "folds", int, where) if "folds" in row else 1,
            versions=_get(row, "versions", dict, where),
            raw=row,
        )
        if cell.id in cells:
            raise InputError(f"cell {cell.id!r} is described twice", where)
        twin = [c for c in cells.values() if (c.task, c.label, c.seed) == (cell.task, cell.label, cell.seed)]
        if twin:
            raise InputError(f"cells {twin[0].id!r} and {cell.id!r} have the same task, arm label and seed", where)
        if cells and cell.experiment != next(iter(cells.values())).experiment:
            raise InputError("cells of two experiments in one folder", where, "report each experiment by itself")
        cells[cell.id] = cell
    if not cells:
        raise InputError("no cells in the file", str(path))
    return tuple(cells.values())


def _rows(folder: Path, cells: Mapping[str, Cell]) -> dict[str, tuple[Row, ...]]:
    single, many = folder / "rows.jsonl", folder / "rows"
    paths = sorted(many.glob("*.jsonl")) if many.is_dir() else [single]
    found: dict[str, dict[str, Row]] = {cell: {} for cell in cells}
    for path in paths:
        for where, row in read_jsonl(path):
            cell = _get(row, "cell", str, where)
            if cell not in cells:
                raise InputError(f"cell {cell!r} is not in cells.jsonl", where)
            parsed = _row(row, where)
            if parsed.item in found[cell]:
                raise InputError(f"item {parsed.item!r} occurs twice in cell {cell!r}", where)
            found[cell][parsed.item] = parsed
    for cell, rows in found.items():
        if not rows:
            raise InputError(f"cell {cell!r} has no rows", str(folder), "finish the run, then export it again")
    return {cell: tuple(rows.values()) for cell, rows in found.items()}


def _row(row: Any, where: str) -> Row:
    status = _get(row, "status", str, where)
    if status not in set(Status):
        raise InputError(f"unknown status {status!r}", where, f"use one of {', '.join(Status)}")
    score = row.get("score")
    if status != Status.VERIFIER_ERROR and score != (1.0 if status == Status.CORRECT else 0.0):
        raise InputError(f"score {score!r} contradicts status {status!r}", where)
    return Row(
        item=_get(row, "item", str, where),
        cluster=_get(row, "cluster", str, where),
        level=str(row.get("level", "")),
        answer=str(row.get("answer") or ""),
        status=Status(status),
        reason=str(row.get("reason", "")),
        completion_tok=_get(row, "completion_tok", int, where),
        frozen=_get(row, "frozen", str, where),
    )


def _charges(path: Path, cells: Mapping[str, Cell]) -> Iterator[Charge]:
    for where, row in read_jsonl(path):
        cell, stage = _get(row, "cell", str, where), _get(row, "stage", str, where)
        if cell not in cells:
            raise InputError(f"cell {cell!r} is not in cells.jsonl", where)
        if stage not in STAGES:
            raise InputError(f"unknown stage {stage!r}", where, f"use one of {', '.join(STAGES)}")
        yield Charge(
            cell,
            stage,
            _flop(row, "model_flop", where),
            _flop(row, "device_flop", where),
            sum(int(row.get(name) or 0) for name in ("prompt_tok", "completion_tok", "train_tok")),
            _flop(row, "usd", where) if row.get("usd") is not None else None,
        )


def _flop(row: Any, name: str, where: str) -> float:
    value = float(_get(row, name, (int, float), where))
    if not (math.isfinite(value) and value >= 0):
        raise InputError(f"{name!r} cannot be {value!r}", where)
    return value


def _budget(row: Any, where: str) -> Mapping[str, int] | None:
    """`samples_per_prompt` and `rounds`; None for arms without a budget."""
    if not isinstance(row, dict) or row.get("budget") is None:
        return None
    budget = _get(row, "budget", dict, where)
    return {name: _get(budget, name, int, where) for name in ("samples_per_prompt", "rounds")}


def _same_frozen(folder: Path, cells: tuple[Cell, ...], rows: Mapping[str, tuple[Row, ...]]) -> None:
    seen: dict[str, tuple[str, str]] = {}
    for cell in cells:
        for row in rows[cell.id]:
            known, first = seen.setdefault(cell.task, (row.frozen, cell.id))
            if row.frozen != known:
                raise InputError(
                    f"cells {first!r} and {cell.id!r} were judged under different frozen versions "
                    f"({known}, {row.frozen}) and cannot be compared",
                    str(folder),
                    "run or re-grade all cells of a task under one set of versions",
                )
