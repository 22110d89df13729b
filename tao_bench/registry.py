"""How tasks are found, made and opened.

A task is found by its folder: `tasks/` of the checkout, `tao_bench/_tasks` of a wheel, and any extra
folder. A folder `NAME` answers to `NAME` and to `NAME@VERSION`. A later version of a published task gets its own
folder `NAME_v3` and answers to `NAME@3` alone, so that whoever asks for `NAME` gets what was published.

Data is made once by `generate.py` and kept in a cache whose name holds the hash of all that made it; a
second process that wants the same data waits for the first.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import shutil
import sys
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from tao.errors import InputError
from tao.meaning import Interpreter
from tao.prompts import Prompt, read_prompts
from tao.stage import digest, file_digest
from tao_bench.digest import SHORT, code_digest, tree_digest
from tao_bench.task import LABELLED_SPLITS, Item, Split, TaskSpec, read_items, read_labels, read_spec, suggest
from tao_bench.verify.verdict import Verifier

NOT_DATA = ("README.md", "fixtures.jsonl", "__pycache__", "mutants.jsonl", "disputed.txt")
"""Files of a task folder that do not shape its data."""

MANIFEST = "manifest.json"
"""Made with the data: the hash of every file, so that no later reader has to open labels to name them."""

CACHE_VARIABLE = "TAO_BENCH_CACHE"
EXTRA_VARIABLE = "TAO_BENCH_TASKS"

_PACKAGE = Path(__file__).resolve().parent
_VERSIONED = re.compile(r"([a-z][a-z0-9_]*)_v([1-9][0-9]*)")


class MissingData(InputError):
    """A task needs external data that this machine does not have; a runner skips it with this reason."""


@dataclass(frozen=True, slots=True)
class Task:
    """A task whose data is on disk.

    Attributes:
        spec: Its `task.yaml`.
        folder: The task folder (code, fixtures).
        data: The folder with `pool.jsonl`, the splits and `labels/`.
        hash: Hash of all that made the data (12 hex digits); names the cache folder.
    """

    spec: TaskSpec
    folder: Path
    data: Path
    hash: str
    fold: int | None = None
    """Which fold of a cross-validation the data is: its test split is that fold, all else comes from the others."""

    @property
    def version_name(self) -> str:
        """Name and version as rows carry it, e.g. ``warehouse_sql@1``."""
        return f"{self.spec.name}@{self.spec.version}"

    @property
    def name(self) -> str:
        """What it is asked for by: its name; with its version, if it is a later one of a published task."""
        return self.spec.name if self.folder.name == self.spec.name else self.version_name

    def pool(self) -> list[Prompt]:
        """The unlabelled prompts to tune on."""
        return read_prompts(self.data / "pool.jsonl")

    def items(self, split: Split) -> list[Item]:
        """The prompts of a labelled split, without labels."""
        return read_items(self.data / f"{split}.jsonl")

    def files(self) -> dict[str, str]:
        """Relative name to hash of every data file, as noted when the data was made."""
        loaded: dict[str, str] = json.loads((self.data / MANIFEST).read_text(encoding="utf-8"))["files"]
        return loaded

    def interpreter(self) -> Interpreter:
        """The label-free reader of answers for this task's answer form."""
        return make_interpreter(self.spec.answer)

    def verifier(self) -> Verifier:
        """The verifier named in `task.yaml`, with its options; labels are handed to it item by item."""
        return make_verifier(self.spec, self.data)


def make_interpreter(answer: str) -> Interpreter:
    """The label-free interpreter of an answer form (``sql`` or ``number``)."""
    if answer == "sql":
        from tao.sql.interpreter import SqlInterpreter

        return SqlInterpreter()
    from tao.answers.interpreter import NumberInterpreter

    return NumberInterpreter()


def make_verifier(spec: TaskSpec, data: Path) -> Verifier:
    """The verifier of a task, with the options its `task.yaml` gives.

    Raises:
        InputError: Unknown verifier name.
    """
    if spec.verifier == "sql":
        from tao_bench.verify.sql import SqlVerifier

        return SqlVerifier(data, **spec.verifier_options)
    if spec.verifier == "number":
        from tao_bench.verify.number import NumberVerifier

        return NumberVerifier(**spec.verifier_options)
    if spec.verifier == "finance":
        from tao_bench.verify.finance import FinanceVerifier

        return FinanceVerifier(**spec.verifier_options)
    if spec.verifier == "judge":
        from tao_bench.verify.judge import JudgeVerifier

        return JudgeVerifier(**spec.verifier_options)
    known = ["finance", "judge", "number", "sql"]
    raise InputError(
        f"unknown verifier {spec.verifier!r}{suggest(spec.verifier, known)}",
        f"task {spec.name}",
        f"use {', '.join(known)}",
    )


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


def task_dirs(extra: Sequence[Path] = ()) -> dict[str, Path]:
    """Name to folder of every task that can be found; later versions of a published task as ``NAME@VERSION``.

    Args:
        extra: Task folders, or folders of task folders, searched besides the built-in ones and those
            listed in the environment variable TAO_BENCH_TASKS (separated like PATH).

    Raises:
        InputError: An extra folder holds no task, or two folders hold a task of one name.
    """
    listed = [Path(part) for part in os.environ.get(EXTRA_VARIABLE, "").split(os.pathsep) if part]
    built_in = checkout_tasks()
    roots = [*([built_in] if built_in else []), *listed, *extra]
    found: dict[str, Path] = {}
    for root in roots:
        folders = [root] if (root / "task.yaml").is_file() else sorted(p.parent for p in root.glob("*/task.yaml"))
        if not folders and root != built_in:
            raise InputError("no task in this folder", str(root), "name a folder that holds a task.yaml")
        for folder in folders:
            name = folder_task(folder)
            other = found.setdefault(name, folder.resolve())
            if other != folder.resolve():
                raise InputError(f"two tasks are called {name!r}: {other}", str(folder), "rename one folder")
    return found


def task_folder(name: str, extra: Sequence[Path] = ()) -> Path:
    """The folder of one task.

    Args:
        name: ``NAME``, or ``NAME@VERSION``.
        extra: Further folders of tasks.

    Raises:
        InputError: Unknown name (with the closest known one), or no such version.
    """
    found = task_dirs(extra)
    plain, _, version = name.partition("@")
    if version and name not in found and plain in found:
        here = read_spec(found[plain]).version
        if version == str(here):
            return found[plain]
        known = sorted([f"{plain}@{here}", *(other for other in found if other.startswith(f"{plain}@"))])
        raise InputError(f"no version {version!r} of {plain!r} is here", "tasks", f"there are {', '.join(known)}")
    if name not in found:
        raise InputError(
            f"no task is called {name!r}{suggest(name, set(found))}", "tasks", "`tao-bench tasks list` names them all"
        )
    return found[name]


def cache_root() -> Path:
    """Where generated data is kept: $TAO_BENCH_CACHE or ~/.cache/tao-bench."""
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named) if named else Path.home() / ".cache" / "tao-bench"


def external_data(spec: TaskSpec) -> Path | None:
    """The folder of external data a task needs, or None if it makes its own.

    Raises:
        MissingData: The variable is not set or names no folder.
    """
    if not spec.needs:
        return None
    named = os.environ.get(spec.needs, "")
    fix = f"set {spec.needs} to the folder that holds it, or pass --data {spec.needs}=FOLDER; see the task's README"
    if not named:
        raise MissingData(f"needs external data and {spec.needs} is not set", f"task {spec.name}", fix)
    folder = Path(named)
    if not folder.is_dir() or not any(folder.iterdir()):
        raise MissingData(f"{spec.needs} names no folder with files: {named}", f"task {spec.name}", fix)
    return folder


def input_hash(folder: Path, spec: TaskSpec) -> str:
    """12 hex digits over all that shapes a task's data: its folder, code of ours it imports, external data."""
    outside = external_data(spec)
    parts = [
        tree_digest(folder, skip=NOT_DATA),
        code_digest(sorted(folder.glob("*.py"))),
        tree_digest(outside) if outside else "",
    ]
    return digest(parts)[:SHORT]


def _load_generator(folder: Path) -> ModuleType:
    """Import `generate.py` as part of a package made of its folder, so that `from . import x` finds its siblings."""
    package = f"_tao_bench_task_{folder.name}_{uuid.uuid4().hex[:8]}"
    root = ModuleType(package)
    root.__path__ = [str(folder)]
    sys.modules[package] = root
    path = folder / "generate.py"
    spec = importlib.util.spec_from_file_location(f"{package}.generate", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise InputError("a task needs generate.py or ready data (pool.jsonl)", str(folder))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        for name in [n for n in sys.modules if n == package or n.startswith(f"{package}.")]:
            del sys.modules[name]
        raise
    return module


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold an advisory lock on a file (POSIX; elsewhere two processes may do the work twice, harmlessly)."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _inspect(data: Path) -> None:
    """Refuse data whose splits and labels do not belong together, before anything is cached."""
    ids: dict[str, str] = {prompt.id: "pool" for prompt in read_prompts(data / "pool.jsonl")}
    for split in LABELLED_SPLITS:
        items = read_items(data / f"{split}.jsonl")
        labels = read_labels(data, split)
        odd = {item.prompt.id for item in items} ^ set(labels)
        if odd:
            raise InputError(f"items and labels differ, first at {sorted(odd)[0]!r}", str(data / f"{split}.jsonl"))
        for item in items:
            other = ids.setdefault(item.prompt.id, split)
            if other != split:
                raise InputError(f"id {item.prompt.id!r} is also in {other}", str(data / f"{split}.jsonl"))


def write_manifest(data: Path) -> None:
    """Note the hash of every data file beside them."""
    files = {
        path.relative_to(data).as_posix(): file_digest(path)
        for path in sorted(data.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    }
    (data / MANIFEST).write_text(json.dumps({"files": files}, indent=0) + "\n", encoding="utf-8")


def _make(folder: Path, spec: TaskSpec, data: Path, fold: int | None = None) -> None:
    """Generate (or copy) a task's data into the cache: a temporary folder first, then one rename."""
    data.parent.mkdir(parents=True, exist_ok=True)
    with _lock(data.parent / f".{data.name}.lock"):
        if data.is_dir():
            return  # another process was faster
        for stale in data.parent.glob(f".{data.name}.*.tmp"):
            shutil.rmtree(stale, ignore_errors=True)
        scratch = data.parent / f".{data.name}.{os.getpid()}.tmp"
        scratch.mkdir()
        try:
            if (folder / "generate.py").is_file():
                more = {} if fold is None else {"fold": fold}
                _load_generator(folder).generate(scratch, spec.seed, **more)
            else:
                shutil.copytree(folder, scratch, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*NOT_DATA))
            _inspect(scratch)
            write_manifest(scratch)
            scratch.rename(data)
        except BaseException:
            shutil.rmtree(scratch, ignore_errors=True)
            raise


def load_task(name: str, extra: Sequence[Path] = (), fold: int | None = None) -> Task:
    """Open a task by name, making its data if no process did so before.

    Args:
        name: The task.
        extra: Further folders of tasks.
        fold: Open the data of one fold of a cross-validation instead.

    Raises:
        InputError: Unknown task, its files are at fault, or it has no such fold.
        MissingData: It needs external data that is not here.
    """
    folder = task_folder(name, extra)
    spec = read_spec(folder)
    if folder.name not in (spec.name, f"{spec.name}_v{spec.version}"):
        raise InputError(f"is named {spec.name!r} in a folder called {folder.name!r}", str(folder / "task.yaml"))
    if fold is not None and not 0 <= fold < spec.folds:
        has = f"has {spec.folds} folds" if spec.folds else "has no folds to cross-validate over"
        raise InputError(f"{has}, fold {fold} is not one", f"task {name}", "leave `folds` out of `eval`")
    if fold is not None and not (folder / "generate.py").is_file():
        raise InputError("names folds, but has no generate.py to make them", str(folder / "task.yaml"))
    key = input_hash(folder, spec)
    data = cache_root() / (f"{spec.name}@{spec.version}-{key}" + ("" if fold is None else f"-fold{fold}"))
    if not data.is_dir():
        _make(folder, spec, data, fold)
    return Task(spec, folder, data, key, fold)


def open_task(folder: Path, data: Path, key: str) -> Task:
    """The task a worker was handed: nothing is searched, made or hashed, and no label is touched."""
    return Task(read_spec(folder), folder, data, key)
