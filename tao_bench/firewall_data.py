"""Copies of a task's data with other labels: permuted, blanked, taken away; and canaries to be found again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tao.stage import digest
from tao_bench.firewall import SEALED

AS_THEY_ARE, PERMUTED, BLANKED, TAKEN_AWAY = VARIANTS = ("as they are", "permuted", "blanked", "taken away")
_READ_BYTES = 1 << 22


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _sealed_files(labels: Path) -> list[Path]:
    return sorted(path for path in labels.rglob("*") if path.is_file())


def permute(labels: Path) -> None:
    """Give every item its neighbour's label, and every other sealed file its neighbour's content."""
    others = []
    for path in _sealed_files(labels):
        rows = _rows(path) if path.suffix == ".jsonl" else []
        if rows and all({"id", "gold", "target"} <= set(row) for row in rows):
            ids = [row["id"] for row in rows]
            _write(path, [{**row, "id": name} for row, name in zip(rows, [*ids[1:], ids[0]], strict=True)])
        else:
            others.append(path)
    contents = [path.read_bytes() for path in others]
    for path, content in zip(others, [*contents[1:], *contents[:1]], strict=True):
        path.write_bytes(content)


def blank(labels: Path) -> None:
    """Empty every label and every other sealed file."""
    for path in _sealed_files(labels):
        rows = _rows(path) if path.suffix == ".jsonl" else []
        if rows and all("id" in row for row in rows):
            _write(path, [{"id": row["id"], "gold": None, "target": "-"} for row in rows])
        else:
            path.write_bytes(b"")


def mark_of(task_hash: str, seed: int) -> str:
    """What every canary of a proof starts with; nothing else in the world should hold it."""
    return "canary" + digest([task_hash, seed, "canary"])


def plant(labels: Path, mark: str) -> int:
    """Put a canary, a string that occurs nowhere else, into every label and every other sealed file.

    A label stays valid: the target grows by a word, a gold that is a mapping by a key, one that is text by a word.

    Returns:
        How many were planted.
    """
    planted = 0
    for path in _sealed_files(labels):
        rows = _rows(path) if path.suffix == ".jsonl" else []
        if rows and all({"id", "gold", "target"} <= set(row) for row in rows):
            marked = []
            for row in rows:
                canary, gold = f"{mark}-{planted}", row["gold"]
                if isinstance(gold, dict):
                    gold = {**gold, "canary": canary}
                elif isinstance(gold, str):
                    gold = f"{gold} {canary}"
                marked.append({**row, "gold": gold, "target": f"{row['target']} {canary}"})
                planted += 1
            _write(path, marked)
        else:
            with path.open("ab") as handle:
                handle.write(f"\n{mark}-{planted}\n".encode())
            planted += 1
    return planted


def canaries(folder: Path, mark: str) -> list[str]:
    """Files below a folder, by relative name, whose bytes hold a canary."""
    needle = mark.encode()
    return [
        path.relative_to(folder).as_posix()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and _holds(path, needle)
    ]


def _holds(path: Path, needle: bytes) -> bool:
    before = b""
    with path.open("rb") as handle:
        while block := handle.read(_READ_BYTES):
            if needle in before + block:
                return True
            before = block[-len(needle) :]
    return False


CHANGES: dict[str, Callable[[Path], None]] = {
    AS_THEY_ARE: lambda labels: None,
    PERMUTED: permute,
    BLANKED: blank,
    TAKEN_AWAY: shutil.rmtree,
}


def copy_with(data: Path, target: Path, variant: str, mark: str = "") -> Path:
    """A copy of a task's data with its labels changed.

    Args:
        data: The task's data folder.
        target: A folder that does not exist yet.
        variant: One of `VARIANTS`.
        mark: Plant canaries of this mark into labels that are permuted or blanked; none if ''.

    Returns:
        `target`.
    """
    shutil.copytree(data, target)
    CHANGES[variant](target / SEALED)
    if mark and variant in (PERMUTED, BLANKED):
        plant(target / SEALED, mark)
    return target
