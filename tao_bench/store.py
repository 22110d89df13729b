"""What runs leave on disk, and how it is read back and published.

A run's folder::

    runs/<experiment>/cells/<cell>/cell.json      resolved options, hashes, versions
                                   tune/...       the arm's stages and checkpoints
                                   model          path of the final checkpoint, relative to the cell
                                   eval/<split>/  answers.jsonl (and samples.jsonl for maj@n), rows.jsonl
                                   ledger.jsonl   what every stage cost, in tokens and FLOPs
                                   timing.jsonl   times and host facts, nowhere else
                                   log.txt        what the workers printed
                      tuned/<model>/              the same for a model that the cells of several tasks share

Every file but `timing.jsonl` and `log.txt` is the same to the byte whenever the same command is run
with the same versions on the same machine, however often it was interrupted.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tao.errors import InputError
from tao.prompts import read_jsonl
from tao.stage import Stage, write_atomic

MAX_EXPORT_BYTES = 4_000_000
ROW_FIELDS = (
    "cell", "arm", "task", "item", "cluster", "level", "seed", "answer", "status", "score", "extracted", "reason",
    "prompt_tok", "completion_tok", "finish_reason", "frozen",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class CellFolder:
    """Where one cell's files lie."""

    root: Path
    split: str

    @property
    def config(self) -> Path:
        """`cell.json`."""
        return self.root / "cell.json"

    @property
    def tune(self) -> Path:
        """The arm's own folder."""
        return self.root / "tune"

    @property
    def model(self) -> Path:
        """Text file with the path of the final checkpoint relative to the cell, or ``starting-model``."""
        return self.root / "model"

    @property
    def evaluation(self) -> Path:
        """Folder of the evaluated split."""
        return self.root / "eval" / self.split

    @property
    def answers(self) -> Path:
        """One row per item: what the model answered."""
        return self.evaluation / "answers.jsonl"

    @property
    def rows(self) -> Path:
        """One row per item: the verdict."""
        return self.evaluation / "rows.jsonl"

    @property
    def ledger(self) -> Path:
        """Tokens and FLOPs of every stage."""
        return self.root / "ledger.jsonl"

    @property
    def timing(self) -> Path:
        """Times and host facts."""
        return self.root / "timing.jsonl"

    @property
    def log(self) -> Path:
        """What the workers printed."""
        return self.root / "log.txt"

    @property
    def progress(self) -> Path:
        """How far the running stage is; removed when the cell is finished."""
        return self.root / "progress.json"


def is_finished(path: Path) -> bool:
    """Whether a stage's file is complete and unaltered (without knowing what it was made from).

    Raises:
        InputError: It was altered after it was finished.
    """
    meta = path.with_suffix(".meta.json")
    if not path.with_suffix(".done").exists() or not meta.exists():
        return False
    return Stage(path, json.loads(meta.read_text(encoding="utf-8"))["made_from"]).done


def dump(value: Any) -> str:
    """JSON on one line, keys sorted, newline at the end: the one way rows are written."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False) + "\n"


def write_json(path: Path, value: Any) -> None:
    """Write a small JSON file in one step, for people to read."""
    write_atomic(path, json.dumps(value, sort_keys=True, ensure_ascii=False, indent=1) + "\n")


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Rows of a JSONL file; [] if there is none."""
    return [row for _, row in read_jsonl(path)] if path.is_file() else []


def append_line(path: Path, value: Mapping[str, Any]) -> None:
    """Append one row to a file outside every hash (`timing.jsonl`), ending a torn line first."""
    torn = path.is_file() and path.stat().st_size and not path.read_bytes().endswith(b"\n")
    with path.open("a", encoding="utf-8") as handle:
        handle.write(("\n" if torn else "") + dump(value))


def read_timing(path: Path) -> list[dict[str, Any]]:
    """Rows of `timing.jsonl`; a line torn by a kill is left out."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return rows


def finished_cells(run: Path) -> list[tuple[dict[str, Any], CellFolder]]:
    """Every cell of a run whose verdicts are complete, with its `cell.json`, ordered by id."""
    found = []
    for config in sorted((run / "cells").glob("*/cell.json")):
        cell = json.loads(config.read_text(encoding="utf-8"))
        folder = CellFolder(config.parent, cell["eval"]["split"])
        if is_finished(folder.rows):
            found.append((cell, folder))
    return found


def read_rounds(folder: CellFolder) -> list[dict[str, Any]]:
    """What a label-free cell's rounds said of themselves: statistics, alarms, training figures; why it stopped."""
    result = folder.tune / "result.json"
    keys = ("stats", "alarms", "training", "parts", "evidence")
    if not result.is_file():
        return []
    stopped = json.loads(result.read_text(encoding="utf-8"))["stopped"]
    rows: list[dict[str, Any]] = []
    rounds = len(list(folder.tune.glob("round-*/round.json")))
    last = folder.tune / "watch" / f"round-{rounds}"  # the watch of the last model, where the recipe asks for it
    for number, done in enumerate([*(folder.tune / f"round-{number}" for number in range(rounds)), last]):
        if done is last and not (done / "round.json").is_file():
            continue
        body = json.loads((done / "round.json").read_text(encoding="utf-8"))
        mark = {"watch": True} if done is last else {}
        rows.append({"round": number, **mark, **{key: body[key] for key in keys if key in body}})
    if rows:
        rows[-1]["stopped"] = stopped
    return rows


def published_id(cell: Mapping[str, Any]) -> str:
    """The id a cell is published under: the folds of one arm and seed are one published cell."""
    return str(cell.get("pooled", cell["cell"]))


def pool_folds(cells: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Cells as published: the folds of a cross-validation become one cell that says how many models it pools.

    Raises:
        InputError: Some folds of a cell are missing: the rest would be a figure of other items.
    """
    found: dict[str, list[Mapping[str, Any]]] = {}
    for cell in cells:
        found.setdefault(published_id(cell), []).append(cell)
    pooled = []
    for name, parts in found.items():
        first = dict(parts[0])
        wanted = first["eval"].get("folds")
        if wanted:
            missing = sorted(set(range(wanted)) - {part["fold"] for part in parts})
            if missing:
                fix = "run the experiment to the end"
                raise InputError(f"fold {missing[0]} of {wanted} is not finished", name, fix)
            apart = ("cell", "fold", "pooled")
            odd = {key for part in parts for key in {*first, *part} - set(apart) if part.get(key) != first.get(key)}
            if odd:
                fix = "run the folds of a cell with one version: start it over with --restart"
                raise InputError(f"its folds were made with different {', '.join(sorted(odd))}", name, fix)
            first = {key: value for key, value in first.items() if key not in apart}
            first |= {"cell": name, "folds": wanted}
        pooled.append(first)
    return pooled


def export_results(run: Path, target: Path, only: Collection[str] | None = None) -> int:
    """Publish a run: `cells.jsonl`, `ledger.jsonl`, `rounds.jsonl`, `timing.jsonl` and `rows/<cell>.jsonl`.

    The target is replaced as a whole, so a cell that is gone from the run is gone from the results.

    Args:
        run: ``runs/<experiment>``.
        target: ``results/<experiment>``.
        only: Ids of the cells to publish; all finished ones if None.

    Returns:
        How many cells were published.

    Raises:
        InputError: No finished cell, a file would be too large to commit, or the target holds something else.
    """
    if target.is_dir() and any(target.iterdir()) and not (target / "cells.jsonl").is_file():
        raise InputError("holds files that are no results; it would be replaced", str(target), "name another --results")
    cells = [(cell, folder) for cell, folder in finished_cells(run) if only is None or cell["cell"] in only]
    if not cells:
        raise InputError("no finished cell to publish", str(run), "run the experiment to the end first")
    scratch = target.with_name(f".{target.name}.tmp")
    shutil.rmtree(scratch, ignore_errors=True)
    (scratch / "rows").mkdir(parents=True)
    ledger: list[dict[str, Any]] = []
    rounds: list[dict[str, Any]] = []
    timing: list[dict[str, Any]] = []
    for cell, folder in cells:
        name, mark = published_id(cell), {} if cell.get("fold") is None else {"fold": cell["fold"]}
        with (scratch / "rows" / f"{name}.jsonl").open("ab") as out:
            if mark:
                out.write("".join(dump({**row, "cell": name, **mark}) for row in read_rows(folder.rows)).encode())
            else:
                out.write(folder.rows.read_bytes())
        made = run / "tuned" / cell["tuned"] if "tuned" in cell else None  # a model that other cells share
        for place in [folder] if made is None else [CellFolder(made, folder.split), folder]:
            ledger += [{"cell": name, **mark, **row} for row in read_rows(place.ledger)]
            rounds += [{"cell": name, **mark, **row} for row in read_rounds(place)]
            timing += [{"cell": name, **mark, **row} for row in read_timing(place.timing)]
    _write_rows(scratch / "cells.jsonl", pool_folds([cell for cell, _ in cells]))
    _write_rows(scratch / "ledger.jsonl", ledger)
    _write_rows(scratch / "rounds.jsonl", rounds)
    _write_rows(scratch / "timing.jsonl", timing)
    for path in scratch.rglob("*.jsonl"):
        if path.stat().st_size > MAX_EXPORT_BYTES:
            raise InputError(f"{path.stat().st_size} bytes is too large to commit", path.name, "evaluate fewer items")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(target, ignore_errors=True)
    scratch.rename(target)
    return len({published_id(cell) for cell, _ in cells})


def _write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    path.write_text("".join(dump(row) for row in rows), encoding="utf-8")
