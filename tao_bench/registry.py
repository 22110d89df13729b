"""How tasks are found, made and opened.

A task is found by its folder: `tasks/` of the checkout, `tao_bench/_tasks` of a wheel, and any extra
folder. A folder `NAME` answers to `NAME` and to `NAME@VERSION`. A later version of a published task gets its own
folder `NAME_v3` and answers to `NAME@3` alone, so that whoever asks for `NAME` gets what was published.

Data is made once by `generate.py` and kept in a cache whose name holds the hash of all that made it; a
second process that wants the same data waits for the first.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import json
import os
import re
import shutil
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from tao.errors import InputError
from tao.forms import interpreter_class
from tao.meaning import Interpreter
from tao.prompts import Prompt, read_prompts
from tao.stage import digest, file_digest
from tao_bench.digest import SHORT, code_digest, tree_digest
from tao_bench.find import checkout_tasks, folder_task, task_dirs
from tao_bench.lm_eval.borrowed import borrowed_folder, is_borrowed
from tao_bench.task import ABOUT, LABELLED_SPLITS, Item, Split, TaskSpec, read_items, read_labels, read_spec, suggest
from tao_bench.verify.custom import CustomVerifier, is_custom, load_function
from tao_bench.verify.verdict import Verifier

__all__ = ["checkout_tasks", "folder_task", "load_task", "task_dirs"]

NOT_DATA = (
    "README.md",
    "fixtures.jsonl",
    "__pycache__",
    "mutants.jsonl",
    "disputed.txt",
    "experiment.yaml",
    "test_task.py",
)
"""Files of a task folder that do not shape its data."""

ASSEMBLED_BY = ("assemble", "source", "tables", "templates")
"""Modules of ours that turn rows and templates into data."""

MANIFEST = "manifest.json"
"""Made with the data: the hash of every file, so that no later reader has to open labels to name them."""

CACHE_VARIABLE = "TAO_BENCH_CACHE"

_PACKAGE = Path(__file__).resolve().parent


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
    variant: str = ""
    """Which of the task's variants it is; '' where it has none. `spec` holds that variant's limits."""

    @property
    def version_name(self) -> str:
        """Name, variant and version as rows carry them, e.g. ``warehouse_sql@1`` or ``financebench:oracle@1``."""
        return f"{self.spec.name}{f':{self.variant}' if self.variant else ''}@{self.spec.version}"

    @property
    def name(self) -> str:
        """What it is asked for by: its name; with its version, if it is a later one of a published task."""
        plain = self.eval_only or self.folder.name == self.spec.name
        return self.version_name.partition("@")[0] if plain else self.version_name

    @property
    def eval_only(self) -> bool:
        """Whether it is a task of lm-eval: it has labelled test items and nothing to tune on."""
        return is_borrowed(self.spec.name)

    def pool(self) -> list[Prompt]:
        """The unlabelled prompts to tune on.

        Raises:
            InputError: It is for evaluation only.
        """
        if self.eval_only:
            raise InputError("is for evaluation only: a task of lm-eval has no pool", f"task {self.version_name}")
        return read_prompts(self.data / "pool.jsonl")

    def items(self, split: Split) -> list[Item]:
        """The prompts of a labelled split, without labels."""
        return read_items(self.data / f"{split}.jsonl")

    def files(self) -> dict[str, str]:
        """Relative name to hash of every data file, as noted when the data was made."""
        loaded: dict[str, str] = json.loads((self.data / MANIFEST).read_text(encoding="utf-8"))["files"]
        return loaded

    def label_sources(self) -> list[Path]:
        """Files and folders of the task's own folder from which its labels were made; tuning may not open them."""
        tables = self.spec.data.tables().values() if self.spec.data is not None else ()
        return [self.folder / "labels", *(self.folder / table.file for table in tables if table.file)]

    def about(self) -> dict[str, Any]:
        """What the generator noted on how the prompts were made (order, retrieval, source of pages); mostly nothing."""
        path = self.data / ABOUT
        loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        return loaded

    def interpreter(self) -> Interpreter:
        """The label-free reader of answers for this task's answer form."""
        return make_interpreter(self.spec.answer, self.spec.answer_options, self.folder)

    def verifier(self) -> Verifier:
        """The verifier named in `task.yaml`, with its options; labels are handed to it item by item."""
        return make_verifier(self.spec, self.data, self.folder)


VERIFIERS = {
    "sql": "tao_bench.verify.sql:SqlVerifier",
    "number": "tao_bench.verify.number:NumberVerifier",
    "filing": "tao_bench.verify.filing:FilingVerifier",
    "text": "tao_bench.verify.text:TextVerifier",
    "choice": "tao_bench.verify.choice:ChoiceVerifier",
    "json": "tao_bench.verify.json:JsonVerifier",
    "calls": "tao_bench.verify.calls:CallsVerifier",
    "rubric": "tao_bench.verify.rubric:RubricVerifier",
    "finance": "tao_bench.verify.finance:FinanceVerifier",
    "judge": "tao_bench.verify.judge:JudgeVerifier",
    "tatqa": "tao_bench.verify.tatqa:TatqaVerifier",
    "finqa": "tao_bench.verify.finqa:FinqaVerifier",
    "lm_eval": "tao_bench.verify.lm_eval:LmEvalVerifier",
}
"""Verifier by name; made with `verifier_options`, and with `answer_options` where it is named like the answer form."""
WITH_DATA = ("sql", "lm_eval")
"""Verifiers that open files of the data folder: made with it as their first argument."""


def _class(dotted: str) -> Any:
    module, _, name = dotted.partition(":")
    return getattr(importlib.import_module(module), name)


def make_interpreter(answer: str, options: Mapping[str, Any] | None = None, folder: Path | None = None) -> Interpreter:
    """The label-free interpreter of an answer form.

    Args:
        answer: A key of `tao.forms.INTERPRETERS`.
        options: The task's `answer_options`.
        folder: The task's folder, where a schema that is named as a file lies.

    Raises:
        InputError: Options that the form does not take, or that are at fault.
    """
    where = str(folder / "task.yaml") if folder else f"answer form {answer}"
    made: Interpreter = _made(interpreter_class(answer), (), _resolved(options or {}, folder), where, "answer_options")
    return made


def make_verifier(spec: TaskSpec, data: Path, folder: Path | None = None) -> Verifier:
    """The verifier of a task, with the options its `task.yaml` gives.

    Args:
        spec: The task.
        data: Its data folder.
        folder: The task's folder, where its own grading function lies.

    Raises:
        InputError: Unknown verifier name, or options that it does not take.
    """
    where = str(folder / "task.yaml") if folder else f"task {spec.name}"
    if is_custom(spec.verifier):
        grade = load_function(folder or data, spec.verifier, where)
        return CustomVerifier(grade, spec.verifier, dict(spec.verifier_options))
    if spec.verifier not in VERIFIERS:
        raise InputError(
            f"unknown verifier {spec.verifier!r}{suggest(spec.verifier, VERIFIERS)}",
            where,
            f"use {', '.join(sorted(VERIFIERS))}, or FILE.py:FUNCTION",
        )
    shared = _resolved(spec.answer_options, folder) if spec.verifier == spec.answer else {}
    first = (data,) if spec.verifier in WITH_DATA else ()
    made: Verifier = _made(
        _class(VERIFIERS[spec.verifier]), first, {**shared, **spec.verifier_options}, where, "verifier_options"
    )
    return made


def _made(kind: Any, first: tuple[Any, ...], options: Mapping[str, Any], where: str, key: str) -> Any:
    """An object of a class that checks its own options; an option it does not take is named."""
    parameters = inspect.signature(kind).parameters
    for name in options:
        if name not in parameters:
            takes = [known for known in parameters if known not in ("data", "handle")]
            raise InputError(
                f"`{key}`: unknown option {name!r}{suggest(name, takes)}",
                where,
                f"it takes {', '.join(takes) or 'none'}",
            )
    lacks = [p.name for p in list(parameters.values())[len(first) :] if p.default is p.empty and p.name not in options]
    if lacks:
        raise InputError(f"`{key}` lacks {lacks[0]!r}", where)
    try:
        return kind(*first, **options)
    except InputError as error:
        raise InputError(error.what, f"{where}: {error.where}" if error.where else where, error.fix) from error


def _resolved(options: Mapping[str, Any], folder: Path | None) -> dict[str, Any]:
    """Options with a schema that is named as a file read."""
    found = dict(options)
    if folder is not None and isinstance(found.get("schema"), str):
        path = folder / found["schema"]
        try:
            found["schema"] = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(f"cannot be read ({error.strerror})", str(path), "mend answer_options.schema") from error
        except ValueError as error:
            raise InputError(f"not JSON ({error})", str(path)) from error
    return found


def split_name(name: str) -> tuple[str, str]:
    """Of ``NAME:VARIANT@VERSION`` the name with its version, and the variant ('' without one)."""
    plain, _, version = name.partition("@")
    task, _, variant = plain.partition(":")
    return (f"{task}@{version}" if version else task), variant


def task_folder(name: str, extra: Sequence[Path] = ()) -> Path:
    """The folder of one task.

    Args:
        name: ``NAME``, ``NAME@VERSION``, or either with a variant (``NAME:VARIANT@VERSION``).
        extra: Further folders of tasks.

    Raises:
        InputError: Unknown name (with the closest known one), or no such version.
    """
    if is_borrowed(name):
        return borrowed_folder(split_name(name)[1], cache_root())
    found = task_dirs(extra)
    name = split_name(name)[0]
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

    Where the variable that names it is not set, the data is taken from the hub, if a copy is there, and kept.

    Raises:
        MissingData: The variable names no folder, or is not set and the hub's copy cannot be loaded.
    """
    if not spec.needs:
        return None
    named = os.environ.get(spec.needs, "")
    where = f"task {spec.name}"
    fix = f"set {spec.needs} to the folder that holds it, or pass --data {spec.needs}=FOLDER; see the task's README"
    if named:
        folder = Path(named)
        if not folder.is_dir() or not any(folder.iterdir()):
            raise MissingData(f"{spec.needs} names no folder with files: {named}", where, fix)
        return folder
    missing = f"needs external data and {spec.needs} is not set"
    if spec.hub is None:
        raise MissingData(missing, where, fix)
    if spec.hub.lacks:
        raise MissingData(f"{missing} (the hub's copy, {spec.hub.id}, lacks {spec.hub.lacks})", where, fix)
    from tao_bench.hub import HubError, fetch

    try:
        return fetch(spec.hub, cache_root())
    except HubError as error:
        raise MissingData(f"{missing}, and {error.what}", where, f"{fix}; or {error.fix}") from error


def pick_variant(spec: TaskSpec, variant: str) -> tuple[TaskSpec, str]:
    """The spec as a variant has it, and the variant's name; the first variant where '' is asked for.

    Raises:
        InputError: The task has no such variant.
    """
    if not variant and not spec.variants:
        return spec, ""
    variant = variant or next(iter(spec.variants))
    if variant not in spec.variants:
        has = f"it has {', '.join(spec.variants)}" if spec.variants else "it has none"
        raise InputError(
            f"has no variant {variant!r}{suggest(variant, set(spec.variants))}", f"task {spec.name}", f"use one: {has}"
        )
    chosen = spec.variants[variant]
    options = {key: _from_environment(value) for key, value in chosen.options.items()}
    update = {
        "limits": chosen.limits or spec.limits,
        "description": f"{spec.description}: {chosen.description}",
        "variants": {**spec.variants, variant: chosen.model_copy(update={"options": options})},
    }
    return spec.model_copy(update=update), variant


def _from_environment(value: Any) -> Any:
    """An option's value; ``${NAME:-default}`` stands for an environment variable that users may set."""
    match = re.fullmatch(r"\$\{(\w+):-(.*)\}", value) if isinstance(value, str) else None
    return (os.environ.get(match[1]) or match[2]) if match else value


def input_hash(folder: Path, spec: TaskSpec, variant: str = "") -> str:
    """12 hex digits over all that shapes a task's data: its folder, code of ours it imports, external data, variant."""
    outside = external_data(spec)
    parts = [
        tree_digest(folder, skip=NOT_DATA),
        code_digest(sorted(folder.glob("*.py"))),
        tree_digest(outside) if outside else "",
    ]
    if spec.data is not None:  # rows may lie elsewhere, and what assembles them is code of ours
        files = [folder / table.file for table in spec.data.tables().values() if table.file]
        outside_files = [path for path in files if not path.resolve().is_relative_to(folder.resolve())]
        parts += [file_digest(path) for path in outside_files if path.is_file()]
        parts += [file_digest(_PACKAGE / f"{module}.py") for module in ASSEMBLED_BY]
    return digest([*parts, variant, spec.variants[variant].options] if variant else parts)[:SHORT]


def load_generator(folder: Path) -> ModuleType:
    """Import `generate.py` as part of a package made of its folder, so that `from . import x` finds its siblings."""
    package = f"_tao_bench_task_{folder.name}_{uuid.uuid4().hex[:8]}"
    root = ModuleType(package)
    root.__path__ = [str(folder)]
    sys.modules[package] = root
    path = folder / "generate.py"
    spec = importlib.util.spec_from_file_location(f"{package}.generate", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise InputError("a task needs `data` in task.yaml, generate.py or ready data (pool.jsonl)", str(folder))
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


def _make(folder: Path, spec: TaskSpec, data: Path, fold: int | None = None, variant: str = "") -> None:
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
                more: dict[str, Any] = {} if fold is None else {"fold": fold}
                if spec.hub is not None and not spec.hub.lacks:
                    more["source"] = external_data(spec)
                if variant:
                    more["options"] = spec.variants[variant].options
                load_generator(folder).generate(scratch, spec.seed, **more)
            elif spec.data is not None:
                from tao_bench.assemble import assemble

                assemble(folder, spec, scratch)
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
        name: The task, with its variant where it has some (``financebench:oracle``; the first is meant without).
        extra: Further folders of tasks.
        fold: Open the data of one fold of a cross-validation instead.

    Raises:
        InputError: Unknown task, its files are at fault, or it has no such fold.
        MissingData: It needs external data that is not here.
    """
    folder = task_folder(name, extra)
    if is_borrowed(name):
        return _borrowed(name, folder, fold)
    spec, variant = pick_variant(read_spec(folder), split_name(name)[1])
    if folder.name not in (spec.name, f"{spec.name}_v{spec.version}"):
        raise InputError(f"is named {spec.name!r} in a folder called {folder.name!r}", str(folder / "task.yaml"))
    if fold is not None and not 0 <= fold < spec.folds:
        has = f"has {spec.folds} folds" if spec.folds else "has no folds to cross-validate over"
        raise InputError(f"{has}, fold {fold} is not one", f"task {name}", "leave `folds` out of `eval`")
    if fold is not None and not (folder / "generate.py").is_file():
        raise InputError("names folds, but has no generate.py to make them", str(folder / "task.yaml"))
    key = input_hash(folder, spec, variant)
    stem = f"{spec.name}@{spec.version}" + (f"-{variant}" if variant else "")
    data = cache_root() / (f"{stem}-{key}" + ("" if fold is None else f"-fold{fold}"))
    if not data.is_dir():
        _make(folder, spec, data, fold, variant)
    return Task(spec, folder, data, key, fold, variant)


def _borrowed(name: str, folder: Path, fold: int | None) -> Task:
    """A task of lm-eval: its folder is its data."""
    if fold is not None:
        raise InputError("a task of lm-eval has no folds", f"task {name}", "leave `folds` out of `eval`")
    spec, variant = pick_variant(read_spec(folder), split_name(name)[1])
    return Task(spec, folder, folder, folder.name.rpartition("-")[2], None, variant)


def open_task(folder: Path, data: Path, key: str, variant: str = "") -> Task:
    """The task a worker was handed: nothing is searched, made or hashed, and no label is touched."""
    return Task(pick_variant(read_spec(folder), variant)[0], folder, data, key, variant=variant)
