"""`tao-bench make`: a task's data in another size or from other sources, as a task folder of its own.

The result is a snapshot with its own name: whatever is measured on it cannot pass for the published task.
"""

from __future__ import annotations

import inspect
import os
import re
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from tao.errors import InputError
from tao.stage import digest
from tao_bench.registry import _inspect, cache_root, input_hash, load_generator, task_folder
from tao_bench.task import LABELLED_SPLITS, read_items, read_spec, suggest

MADE = "made"
"""Folder of the cache for tasks that experiments have made."""
FIXED = ("out", "seed", "fold")
"""Parameters of a generator that are no settings."""


def settings(given: Sequence[str], known: Sequence[str]) -> dict[str, Any]:
    """Read ``KEY=VALUE`` pairs; values are YAML scalars (7200 is a number).

    Args:
        given: The pairs.
        known: Settings the generator takes.

    Raises:
        InputError: No ``=``, a setting the generator does not take, or a value that is no YAML.
    """
    found: dict[str, Any] = {}
    for text in given:
        key, separator, value = text.partition("=")
        takes = f"it takes {', '.join(known)}" if known else "it takes none"
        if not separator and key in known:
            raise InputError("no value", f"--set {text}", f"write --set {key}=VALUE")
        if not separator or key not in known:
            raise InputError(
                f"no setting {key!r}{suggest(key, list(known))}", f"--set {text}", f"{takes}; --set KEY=VALUE"
            )
        try:
            found[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise InputError(f"{value!r} is no YAML value", f"--set {text}", "put it in quotes") from error
    return found


def make_once(
    source: str, name: str, given: Sequence[str], seed: int | None = None, extra: Sequence[Path] = ()
) -> Path:
    """A task that an experiment names, made in the cache unless it lies there already; returns its folder.

    Args:
        source: The task whose generator runs.
        name: The new task's name.
        given: ``KEY=VALUE`` settings.
        seed: Instead of the task's own.
        extra: Further folders of tasks.

    Raises:
        InputError: See `make`.
    """
    folder = task_folder(source, extra)
    key = digest([input_hash(folder, read_spec(folder)), source, name, sorted(given), seed])
    place = cache_root() / MADE / key
    if not (place / name).is_dir():
        scratch = place.with_name(f"{key}.{os.getpid()}")
        shutil.rmtree(scratch, ignore_errors=True)
        make(source, scratch / name, given, seed, extra)
        try:
            scratch.rename(place)
        except OSError:  # another process was faster
            shutil.rmtree(scratch, ignore_errors=True)
    return place / name


def make(name: str, out: Path, given: Sequence[str], seed: int | None = None, extra: Sequence[Path] = ()) -> list[str]:
    """Make a task folder with data, ready for ``--tasks``.

    Args:
        name: The task whose generator runs.
        out: New folder; its name is the new task's.
        given: ``KEY=VALUE`` settings.
        seed: Instead of the task's own.
        extra: Further folders of tasks.

    Returns:
        Lines that say what was made.

    Raises:
        InputError: The folder is not empty or its name fits no task, the task has no generator, or an unknown setting.
    """
    folder = task_folder(name, extra)
    spec = read_spec(folder)
    if not re.fullmatch(r"[a-z][a-z0-9_]*", out.name):
        raise InputError(f"{out.name!r} is no name of a task", f"--out {out}", "use small letters, digits and _")
    if out.exists() and any(out.iterdir()):
        raise InputError("is not empty", f"--out {out}", "name a new folder")
    if not (folder / "generate.py").is_file():
        raise InputError("has no generator", f"task {name}", "copy its folder instead")
    generate = load_generator(folder).generate
    known = [key for key in inspect.signature(generate).parameters if key not in FIXED]
    chosen = settings(given, known)
    out.mkdir(parents=True, exist_ok=True)
    start = time.process_time()
    try:
        generate(out, spec.seed if seed is None else seed, **chosen)
        _inspect(out)
    except BaseException:
        shutil.rmtree(out, ignore_errors=True)
        raise
    spent = time.process_time() - start
    made = ", ".join(f"{key}={value}" for key, value in chosen.items())
    card = spec.model_dump(exclude_defaults=True, mode="json") | {
        "name": out.name,
        "version": 1,
        "seed": spec.seed if seed is None else seed,
        "description": f"{spec.description} (made from {spec.name}@{spec.version}{': ' + made if made else ''})",
    }
    if named := [f"{key}={value}" for key, value in chosen.items() if isinstance(value, str)]:
        card["licence"] = f"{spec.licence}; but what comes from {', '.join(named)} keeps its own licence"
    (out / "task.yaml").write_text(yaml.safe_dump(card, sort_keys=False, allow_unicode=True), encoding="utf-8")
    for more in ("fixtures.jsonl", "README.md"):
        if (folder / more).is_file():
            shutil.copyfile(folder / more, out / more)
    pool = sum(1 for _ in (out / "pool.jsonl").open(encoding="utf-8"))
    sizes = [f"pool {pool}", *(f"{split} {len(read_items(out / f'{split}.jsonl'))}" for split in LABELLED_SPLITS)]
    return [f"{out.name}@1: {', '.join(sizes)} ({spent:.1f} CPU seconds)", f"use it with --tasks {out}"]
