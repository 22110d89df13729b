"""`tao-bench new`: a task folder that is green under `tao-bench check` as it is, to be filled with your own rows."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from tao.errors import InputError
from tao_bench.find import task_dirs

KINDS = ("qa", "sql", "extract", "classify", "tools", "judge")
PLACEHOLDER = "my_task"
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_SCAFFOLD = Path(__file__).resolve().parent / "scaffold"


def new_task(name: str, kind: str, folder: Path) -> Path:
    """Write the folder of a new task.

    Args:
        name: What it will be called: small letters, digits, underscores.
        kind: One of `KINDS`.
        folder: Where the task's folder goes.

    Returns:
        The folder made.

    Raises:
        InputError: A bad name, one that a built-in task has, or a folder that is there already.
    """
    if not _NAME.fullmatch(name):
        suggestion = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
        raise InputError(
            f"{name!r} is no task name",
            "tao-bench new",
            f"small letters, digits and underscores, such as {suggestion or 'tickets'}",
        )
    if name in task_dirs():
        raise InputError(f"a task is called {name!r} already", "tao-bench new", "choose another name")
    target = folder / name
    if target.exists():
        raise InputError(
            "is there already, and is not overwritten", str(target), "choose another name, or move it away"
        )
    for source in (_SCAFFOLD / kind, _SCAFFOLD / "common"):
        for path in sorted(source.rglob("*")):
            place = target / path.relative_to(source)
            if path.is_dir() or "__pycache__" in path.parts:
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix in (".yaml", ".md"):
                place.write_text(path.read_text(encoding="utf-8").replace(PLACEHOLDER, name), encoding="utf-8")
            else:
                shutil.copyfile(path, place)
    return target


def run_new(name: str, kind: str, folder: Path) -> int:
    """The command ``tao-bench new``."""
    target = new_task(name, kind, folder)
    print(f"{target}: {', '.join(sorted(p.relative_to(target).as_posix() for p in target.rglob('*') if p.is_file()))}")
    print(f"prove it:      tao-bench check {target}")
    print(
        f"then yours:    rows and task.yaml, until `check` is green again; see a prompt: tao-bench tasks show {target}"
    )
    print(f"head to head:  tao-bench run {target / 'experiment.yaml'} --tasks {target}")
    return 0
