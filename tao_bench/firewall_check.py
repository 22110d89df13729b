"""`tao-bench firewall TASK`: proof that tuning does not depend on labels.

The same small TAO cell is tuned on four copies of the task's data: labels as they are, permuted,
blanked, and taken away. Samples, scores and weights must be equal to the bit, and no process of it may
have opened a label. A proof of no change proves nothing unless change can be seen, so the same is done
with an SFT cell, whose weights must differ.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tao.errors import InputError
from tao.stage import digest, file_digest
from tao_bench.firewall import SEALED, is_sealed
from tao_bench.models import Model, resolve_model
from tao_bench.registry import Task, load_task, task_folder
from tao_bench.runner import run_alone
from tao_bench.task import read_spec
from tao_bench.worker import RECORD_VARIABLE

VARIANTS = ("as they are", "permuted", "blanked", "taken away")
WATCHED = ("samples.jsonl", "scores.jsonl", ".safetensors")


@dataclass(frozen=True, slots=True)
class Proof:
    """What the firewall check found.

    Attributes:
        tuned: Variant to hash of the TAO cell's samples, scores and weights.
        files: How many files each of those hashes covers.
        opened: Paths the TAO processes opened.
        leaks: Those of them that lie under labels.
        control: Variant to hash of the SFT cell's weights.
    """

    tuned: dict[str, str]
    files: int
    opened: int
    leaks: tuple[str, ...]
    control: dict[str, str]

    @property
    def holds(self) -> bool:
        """No leak, no change by labels in TAO, and a change in SFT."""
        return not self.leaks and len(set(self.tuned.values())) == 1 and len(set(self.control.values())) > 1


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def permute(labels: Path) -> None:
    """Give every item its neighbour's label, and every other sealed file its neighbour's content."""
    others = []
    for path in sorted(path for path in labels.rglob("*") if path.is_file()):
        rows = _rows(path) if path.suffix == ".jsonl" else []
        if rows and all({"id", "gold", "target"} <= set(row) for row in rows):
            ids = [row["id"] for row in rows]
            rows = [{**row, "id": name} for row, name in zip(rows, [*ids[1:], ids[0]], strict=True)]
            path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        else:
            others.append(path)
    contents = [path.read_bytes() for path in others]
    for path, content in zip(others, [*contents[1:], *contents[:1]], strict=True):
        path.write_bytes(content)


def blank(labels: Path) -> None:
    """Empty every label and every other sealed file."""
    for path in sorted(path for path in labels.rglob("*") if path.is_file()):
        rows = _rows(path) if path.suffix == ".jsonl" else []
        if rows and all("id" in row for row in rows):
            rows = [{"id": row["id"], "gold": None, "target": "-"} for row in rows]
            path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        else:
            path.write_bytes(b"")


CHANGES: dict[str, Callable[[Path], None]] = {
    "as they are": lambda labels: None,
    "permuted": permute,
    "blanked": blank,
    "taken away": shutil.rmtree,
}


def outcome(folder: Path) -> tuple[str, int]:
    """Hash of a cell's samples, scores and weights, and how many files those are."""
    found = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name.endswith(WATCHED)]
    return digest([[path.relative_to(folder).as_posix(), file_digest(path)] for path in found]), len(found)


def _cell(arm: str, options: dict[str, Any], seed: int) -> dict[str, Any]:
    return {
        "cell": f"firewall-{arm}",
        "arm": arm,
        "arm_options": options,
        "seed": seed,
        "model": "",
        "deployed": {"labels": 0},
        "eval": {"split": "dev", "limit": 2},
    }


def prove(task: Task, model: Model, scratch: Path, *, tao: dict[str, Any], sft: dict[str, Any], seed: int = 0) -> Proof:
    """Tune small cells on the four copies and compare.

    Args:
        task: The task.
        model: What tuning starts from.
        scratch: An empty folder; holds copies of the data and the cells.
        tao: Options of the TAO cell.
        sft: Options of the SFT cell.
        seed: Seed of both.

    Raises:
        InputError: A cell failed (its log is named).
    """
    tuned: dict[str, str] = {}
    control: dict[str, str] = {}
    opened: list[str] = []
    leaks: list[str] = []
    files = 0
    for variant in VARIANTS:
        place = scratch / variant.replace(" ", "-")
        data = place / "data"
        shutil.copytree(task.data, data)
        CHANGES[variant](data / SEALED)
        for arm, options in (("tao", tao), ("sft", sft)):
            if arm == "sft" and variant not in ("as they are", "permuted"):
                continue
            folder, record = place / arm, place / "opened.txt"
            folder.mkdir()
            message = {
                "work": "model",
                "folder": str(folder),
                "split": "dev",
                "config": _cell(arm, options, seed),
                "task_folder": str(task.folder),
                "data": str(data),
                "task_hash": task.hash,
                "task_variant": task.variant,
                "base": str(model.path),
            }
            run_alone(message, folder / "log.txt", {RECORD_VARIABLE: str(record)} if arm == "tao" else {})
            if arm == "sft":
                control[variant] = outcome(folder / "tune")[0]
                continue
            tuned[variant], files = outcome(folder)
            names = [line.partition("\t")[2] for line in record.read_text(encoding="utf-8").splitlines()]
            opened += names
            leaks += [name for name in names if is_sealed(name, os.path.realpath(data))]
    return Proof(tuned, files, len(set(opened)), tuple(sorted(set(leaks))), control)


def run_firewall(options: argparse.Namespace) -> int:
    """The command ``tao-bench firewall``.

    Returns:
        0 if the proof holds, 1 otherwise.
    """
    from tao_bench.cli import set_data

    spec = read_spec(task_folder(options.task, options.tasks))
    set_data(options.data, [spec.needs] if spec.needs else [])
    task, model = load_task(options.task, options.tasks), resolve_model(options.model)
    labels = min(options.prompts, len(task.items("train")))
    with tempfile.TemporaryDirectory(prefix="tao-bench-firewall-") as scratch:
        proof = prove(
            task,
            model,
            Path(scratch),
            tao={"samples": 4, "rounds": 2, "prompts": options.prompts},
            sft={"labels": labels, "min_steps": 4},
        )
    print(f"{task.version_name}, {options.prompts} prompts, 2 rounds of 4 samples, model {options.model}")
    for variant, value in proof.tuned.items():
        print(f"  TAO, labels {variant:12} samples, scores and weights {value} ({proof.files} files)")
    for variant, value in proof.control.items():
        print(f"  SFT, labels {variant:12} weights {value}")
    print(f"  TAO processes opened {proof.opened} files, {len(proof.leaks)} of them labels")
    for leak in proof.leaks[:10]:
        print(f"    {leak}")
    if proof.holds:
        print("holds: tuning is the same to the bit whatever the labels say; supervised tuning is not")
        return 0
    if len(set(proof.control.values())) == 1:
        raise InputError("SFT did not change with its labels: this run proves nothing", task.version_name)
    print("BROKEN: tuning depends on labels, or opened them")
    return 1
