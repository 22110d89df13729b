"""Frozen before tuned: the hashes that `reference@1` or `warehouse_sql@1` stand for.

`tao-bench freeze` writes them to `results/frozen.json` before the first tuning run; every later run
is held against that file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from tao.errors import InputError
from tao.stage import digest, file_digest
from tao_bench.digest import SHORT, code_digest, tree_digest
from tao_bench.models import SHIPPED, Model, resolve_model
from tao_bench.registry import NOT_DATA, Task
from tao_bench.store import write_json
from tao_bench.verify.custom import is_custom

FROZEN_FILE = "frozen.json"
_PACKAGE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a row was made with, as hashes (12 hex digits each).

    Attributes:
        model: Weights, tokenizer and config of the model all arms start from.
        generator: The task folder's code and settings.
        splits: Every data file, labels included.
        verifier: The verifier's code and all of ours it imports, and its options.
    """

    model: str
    generator: str
    splits: str
    verifier: str

    @property
    def short(self) -> str:
        """The hash of the four, as rows carry it."""
        return digest(asdict(self))[:SHORT]


def task_fingerprint(task: Task) -> dict[str, str]:
    """Hashes of a task's generator, splits and verifier; opens no label."""
    own = task.folder / task.spec.verifier.partition(":")[0]
    source = own if is_custom(task.spec.verifier) else _PACKAGE / "verify" / f"{task.spec.verifier}.py"
    if not source.is_file():
        raise InputError(f"no verifier is called {task.spec.verifier!r}", str(task.folder / "task.yaml"))
    shared = [task.spec.answer_options] if task.spec.answer_options else []
    return {
        "generator": tree_digest(task.folder, skip=NOT_DATA),
        "splits": digest(task.files())[:SHORT],
        "verifier": digest([code_digest([source]), task.spec.verifier_options, *shared])[:SHORT],
    }


def frozen_parts(task: Task) -> dict[str, str]:
    """What is frozen of a task: its fingerprint, and the tables that verifier code reads (function names, say)."""
    tables = [
        [path.relative_to(_PACKAGE.parent).as_posix(), file_digest(path)]
        for folder in (_PACKAGE.parent / "tao", _PACKAGE / "verify")
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in (".txt", ".json", ".csv", ".tsv", ".yaml")
    ]
    return {**task_fingerprint(task), "tables": digest(tables)[:SHORT]}


def fingerprint(model: Model, task: Task) -> Fingerprint:
    """All four hashes of a model on a task."""
    return Fingerprint(model=model.hash[:SHORT], **task_fingerprint(task))


def read_frozen(results: Path) -> dict[str, dict[str, str]] | None:
    """The frozen hashes: ``{"reference@1": {"model": ...}, "warehouse_sql@1": {...}}``, or None if nothing is frozen.

    Args:
        results: Where published results lie; the checkout's own folder is looked at next.
    """
    for folder in (results, _PACKAGE.parent / "results"):
        path = folder / FROZEN_FILE
        if path.is_file():
            return _read(path)
    return None


def _read(path: Path) -> dict[str, dict[str, str]]:
    loaded: dict[str, dict[str, str]] = json.loads(path.read_text(encoding="utf-8"))["frozen"]
    return loaded


def _frozen_name(model: str, version: int = 1) -> str:
    """What a model is frozen as: ``reference`` as ``reference@1``; a shipped name with a version says its own."""
    return model if model in SHIPPED and "@" in model else f"{model}@{version}"


def differences(frozen: Mapping[str, Mapping[str, str]] | None, model: Model, task: Task) -> list[str] | None:
    """What differs from the frozen hashes, in words; [] if nothing does, None if neither was ever frozen.

    A model other than the reference is held against nothing: it has no frozen name.
    """
    if frozen is None or task.version_name not in frozen:
        return None
    now = frozen_parts(task)
    found = [f"{task.version_name} {part}" for part, value in frozen[task.version_name].items() if now[part] != value]
    known = frozen.get(_frozen_name(model.name))
    if known and known["model"] != model.hash[:SHORT]:
        found.append(f"{model.name} weights")
    return found


def freeze(results: Path, model: Model, version: int, tasks: list[Task], regrade: bool = False) -> Path:
    """Write `frozen.json` for a model and its tasks; entries of other tasks stay.

    Weights, generator and splits of a frozen name never change. A verifier may, if stored answers are
    judged again in the same commit (`tao-bench run` does so by itself).

    Args:
        results: Where published results lie.
        model: The model that was gated.
        version: Its version number, where its name does not say it.
        tasks: The tasks that were gated.
        regrade: Accept a changed verifier.

    Raises:
        InputError: A name is frozen already with other hashes: what is published is never altered.
    """
    judged = {"verifier", "tables"}
    path = results / FROZEN_FILE
    frozen = _read(path) if path.is_file() else {}
    wanted = {_frozen_name(model.name, version): {"model": model.hash[:SHORT]}}
    wanted.update({task.version_name: frozen_parts(task) for task in tasks})
    for name, hashes in wanted.items():
        changed = {part for part, value in frozen.get(name, {}).items() if hashes.get(part) != value}
        if changed and not (regrade and changed <= judged):
            fix = "raise its version; published versions never change"
            if changed <= judged:
                fix = "undo the change, or freeze with --regrade and run its experiments again: answers are judged anew"
            raise InputError(f"{name} is frozen with other hashes ({', '.join(sorted(changed))})", str(path), fix)
    results.mkdir(parents=True, exist_ok=True)
    write_json(path, {"frozen": {**frozen, **wanted}})
    return path


def run_freeze(
    model: str, version: int, names: list[str], results: Path, extra: list[Path], *, regrade: bool = False
) -> int:
    """The command ``tao-bench freeze``."""
    from tao_bench.registry import MissingData, load_task, task_dirs

    tasks = []
    for name in names or sorted(task_dirs(extra)):
        try:
            tasks.append(load_task(name, extra))
        except MissingData as error:
            if names:
                raise
            print(f"skipped: {error}")
    path = freeze(results, resolve_model(model), version, tasks, regrade)
    print(path.read_text(encoding="utf-8"))
    print(f"frozen: {path}")
    return 0
