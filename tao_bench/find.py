"""Where tasks are: folders by name, found without reading more of them than a line or two, so that listing is quick."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tao.errors import InputError

EXTRA_VARIABLE = "TAO_BENCH_TASKS"
ENTRY_POINTS = "tao_bench.tasks"
"""Entry point group of packages that bring tasks: each names a package whose folder holds task folders."""

_PACKAGE = Path(__file__).resolve().parent
_VERSIONED = re.compile(r"([a-z][a-z0-9_]*)_v([1-9][0-9]*)")
_FURTHER = re.compile(r"^(?:hub|variants):", re.MULTILINE)
_SIMPLE = re.compile(r"^(name|version|description|needs):[ \t]*(.*?)[ \t]*(?:[ \t]#.*)?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Heading:
    """What a list of tasks shows of one."""

    name: str
    version: str
    description: str
    needs: str
    hub: bool = False
    """Whether the data it needs can be taken from the hub."""
    variants: tuple[tuple[str, str], ...] = ()
    """Name and description of every variant."""


def read_heading(folder: Path) -> Heading:
    """The first fields of a `task.yaml`, unchecked: a faulty task is still listed. One line each is read."""
    try:
        text = (folder / "task.yaml").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        text = ""
    found = {match[1]: match[2].strip("'\"") for match in _SIMPLE.finditer(text)}
    hub, variants = _further(text) if _FURTHER.search(text) else (False, ())
    return Heading(
        found.get("name", folder.name),
        found.get("version", "?"),
        found.get("description", ""),
        found.get("needs", ""),
        hub,
        variants,
    )


def _further(text: str) -> tuple[bool, tuple[tuple[str, str], ...]]:
    """What takes a reader of YAML, which few tasks need."""
    import yaml

    try:
        raw = yaml.safe_load(text)
        hub = bool(raw.get("hub")) and not raw["hub"].get("lacks")
        return hub, tuple((str(name), str(one["description"])) for name, one in (raw.get("variants") or {}).items())
    except (yaml.YAMLError, AttributeError, KeyError, TypeError):
        return False, ()


def checkout_tasks() -> Path | None:
    """The folder of built-in tasks: packaged with the wheel, or beside the package in a checkout."""
    packaged = _PACKAGE / "_tasks"
    if packaged.is_dir():
        return packaged
    beside = _PACKAGE.parent / "tasks"
    # site-packages/tasks would belong to somebody else: only a checkout has the pyproject beside it
    return beside if beside.is_dir() and (_PACKAGE.parent / "pyproject.toml").is_file() else None


def folder_task(folder: Path) -> str:
    """The name a task folder answers to: its own, or ``NAME@3`` for a folder ``NAME_v3`` whose task is called NAME.

    Reads no more than the line with the name, so that a faulty `task.yaml` hides no other task.
    """
    parts = _VERSIONED.fullmatch(folder.name)
    if parts is None:
        return folder.name
    try:
        named = re.search(r"^name:\s*([a-z0-9_]+)", (folder / "task.yaml").read_text(encoding="utf-8"), re.MULTILINE)
    except (OSError, UnicodeDecodeError):
        return folder.name
    return f"{parts[1]}@{parts[2]}" if named is not None and named[1] == parts[1] else folder.name


def entry_point_dirs() -> list[Path]:
    """Folders of the installed packages that declare tasks (entry point group `ENTRY_POINTS`)."""
    from importlib.metadata import entry_points
    from importlib.util import find_spec

    found = []
    for point in entry_points(group=ENTRY_POINTS):
        try:
            spec = find_spec(point.module)
        except ImportError:
            spec = None
        if spec is None or not spec.submodule_search_locations:
            raise InputError(
                f"names no package: {point.value}",
                f"entry point {ENTRY_POINTS}: {point.name}",
                "name the package's folder",
            )
        found += [Path(place) for place in spec.submodule_search_locations]
    return found


def task_dirs(extra: Sequence[Path] = ()) -> dict[str, Path]:
    """Name to folder of every task that can be found; later versions of a published task as ``NAME@VERSION``.

    Args:
        extra: Task folders, or folders of task folders, searched besides the built-in ones, those listed in the
            environment variable TAO_BENCH_TASKS (separated like PATH) and those of installed packages.

    Raises:
        InputError: An extra folder holds no task, or two folders hold a task of one name.
    """
    listed = [Path(part) for part in os.environ.get(EXTRA_VARIABLE, "").split(os.pathsep) if part]
    built_in = checkout_tasks()
    roots = [*([built_in] if built_in else []), *entry_point_dirs(), *listed, *extra]
    found: dict[str, Path] = {}
    for root in roots:
        folders = [root] if (root / "task.yaml").is_file() else sorted(p.parent for p in root.glob("*/task.yaml"))
        if not folders and root != built_in:
            raise InputError("no task in this folder", str(root), "name a folder that holds a task.yaml")
        for folder in folders:
            name = folder_task(folder.resolve())
            other = found.setdefault(name, folder.resolve())
            if other != folder.resolve():
                raise InputError(f"two tasks are called {name!r}: {other}", str(folder), "rename one folder")
    return found


def named_folders(names: Sequence[str], extra: Sequence[Path] = ()) -> tuple[list[str], list[Path]]:
    """Task names, and where to look for them, from names that may be folders of tasks themselves.

    Args:
        names: Names, or paths of task folders (``.`` and ``my_task/`` among them).
        extra: Further folders to look in.

    Raises:
        InputError: A path with a slash that holds no `task.yaml`.
    """
    found, places = [], list(extra)
    for name in names:
        path = Path(name)
        if (path / "task.yaml").is_file():
            folder = path.resolve()
            found.append(folder_task(folder))
            if folder not in {place.resolve() for place in places}:
                places.append(folder)
        elif "/" in name or len(path.parts) != 1 or name == "..":
            raise InputError("no task in this folder", name, "name a folder that holds a task.yaml, or a task")
        else:
            found.append(name)
    return found, places
