"""A task of lm-eval as a task of ours, for evaluation only: ``lm_eval:gsm8k`` asks what tuning did to all else.

lm-eval makes the prompts (its templates, its few-shot examples drawn with its own seed 1234), our sampler answers them
greedily as chat messages, and lm-eval's own filters and metrics judge the answers (`tao_bench.verify.lm_eval`). Choices
of a ``multiple_choice`` task are answered by their log-likelihoods (`tao_bench.lm_eval.likelihood`). What is made is
kept in the cache like any task's data; golds lie sealed in ``labels/``. Its caches and global seeding are never used,
and its index of thousands of tasks is read only where no guess finds the task's folder.

``lm_eval:NAME:FILTER`` judges by another of the task's filters than the first (``gsm8k:flexible-extract``).
"""

from __future__ import annotations

import io
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tao.errors import InputError
from tao.prompts import Prompt, read_jsonl
from tao.stage import digest, file_digest
from tao_bench.digest import SHORT, bare_source, tree_digest
from tao_bench.task import suggest

PREFIX = "lm_eval"
VARIABLE = "TAO_BENCH_LM_EVAL"
"""Environment variable: folders of users' own lm-eval tasks (YAML), separated like PATH."""
HANDLE = "lm_eval"
"""The handle of a borrowed task's prompts: the file with stop strings, or with the choices to weigh."""
REQUESTS = "requests.jsonl"
FEWSHOT_SEED = 1234
"""lm-eval's default: the same few-shot examples as its own command draws."""
BINARY = ("exact_match", "acc", "acc_norm", "acc_bytes")
"""Metrics of an item that are right or wrong, the one that a task is judged by first."""
NO_LIMIT = 10_000_000
SPLIT = "test"


def is_borrowed(name: str) -> bool:
    """Whether a task name means one of lm-eval's tasks."""
    return name.partition(":")[0] == PREFIX


def borrowed_requests(prompts: Sequence[Prompt]) -> dict[str, dict[str, Any]]:
    """What a borrowed task asks, by prompt id; {} for prompts of any other task."""
    handles = {prompt.handles[HANDLE] for prompt in prompts if HANDLE in prompt.handles}
    return {row["id"]: row for path in handles for _, row in read_jsonl(Path(path))}


@dataclass(frozen=True, slots=True)
class Source:
    """Where a task of lm-eval is defined.

    Attributes:
        name: Its name in lm-eval.
        folder: Folder with its YAML, as `TaskManager(include_path=...)` takes it.
        config: Its config, includes resolved and functions not.
    """

    name: str
    folder: Path
    config: Mapping[str, Any]


@contextmanager
def quiet() -> Iterator[None]:
    """Keep off the terminal what lm-eval and `datasets` log and draw at length; their errors are raised."""
    loggers = [logging.getLogger(name) for name in ("lm_eval", "datasets", "lm_eval.api.task", "lm_eval.config.task")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with redirect_stderr(io.StringIO()):
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def own_folders() -> list[Path]:
    """Folders of `VARIABLE`.

    Raises:
        InputError: One is no folder.
    """
    found = [Path(part) for part in os.environ.get(VARIABLE, "").split(os.pathsep) if part]
    for folder in found:
        if not folder.is_dir():
            raise InputError("no such folder", f"{VARIABLE}={folder}", "name folders with lm-eval tasks (YAML)")
    return found


def find(name: str) -> Source:
    """Find a task's definition: in users' folders first, then in lm-eval's own.

    Raises:
        InputError: lm-eval has no such task, or it is a group, a tag, or written in Python.
    """
    with quiet():
        import lm_eval.tasks
        from lm_eval.tasks import TaskManager

        home = Path(lm_eval.tasks.__file__).parent
        parts = name.split("_")
        guesses = [home / "_".join(parts[:end]) for end in range(len(parts), 0, -1)]
        known: set[str] = set()
        for folder in [*own_folders(), *(guess for guess in guesses if guess.is_dir()), home]:
            index = TaskManager(include_path=str(folder), include_defaults=False).task_index
            entry = index.get(name)
            if entry is not None and entry.kind.name in ("GROUP", "TAG"):
                tasks = dict.fromkeys(_leaves(name, index))
                raise InputError(
                    f"is a group of {len(tasks)} tasks of lm-eval, not one task",
                    f"task {PREFIX}:{name}",
                    f"name single tasks, for all of them {', '.join(f'{PREFIX}:{task}' for task in tasks)}",
                )
            if entry is not None and entry.kind.name == "TASK" and entry.yaml_path is not None:
                return Source(name, Path(entry.yaml_path).parent, dict(entry.cfg or {}))
            if entry is not None:
                what = "is written as a Python class in lm-eval; only tasks written in YAML can be taken over"
                raise InputError(what, f"task {PREFIX}:{name}")
            known.update(index)
    fix = f"`lm_eval ls tasks` names them; for your own set {VARIABLE} to the folder of their YAML"
    raise InputError(f"lm-eval has no task {name!r}{suggest(name, known)}", f"task {PREFIX}:{name}", fix)


def _leaves(name: str, index: Mapping[str, Any], seen: frozenset[str] = frozenset()) -> Iterator[str]:
    """The single tasks of a group or tag, groups within it opened."""
    entry = index.get(name)
    if entry is None or entry.kind.name not in ("GROUP", "TAG"):
        yield name
    elif name not in seen:
        listed = sorted(entry.tags) if entry.kind.name == "TAG" else (entry.cfg or {}).get("task") or []
        for one in _names([listed] if isinstance(listed, str) else listed):
            yield from _leaves(one, index, seen | {name})


def _names(listed: Sequence[Any]) -> Iterator[str]:
    """Names in a group's list: a member is a name, or an object with a task, or with a group of its own in place."""
    for one in listed:
        inner = one.get("task", one.get("group")) if isinstance(one, dict) else one
        if isinstance(inner, str):
            yield inner
        else:
            yield from _names(inner or [])


def open_task(source: Source, **overrides: Any) -> Any:
    """lm-eval's own object of a task.

    Args:
        source: From `find`.
        overrides: Keys of its config to replace.

    Raises:
        Exception: Whatever lm-eval or `datasets` raises.
    """
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(source.folder), include_defaults=False)
    # a group is lm-eval's public way to take a task with changes
    group = {"group": "tao_bench", "task": [{"task": source.name, **overrides}]}
    return manager.load([group])["tasks"][source.name]


def _data_files(config: Mapping[str, Any]) -> list[Path]:
    """Local files that a config names as its data; like lm-eval's, its paths start from the working folder."""
    listed = (config.get("dataset_kwargs") or {}).get("data_files") or []
    values = listed.values() if isinstance(listed, Mapping) else [listed]
    flat = [
        one
        for value in values
        for one in (value if isinstance(value, Sequence) and not isinstance(value, str) else [value])
    ]
    return [Path(one) for one in flat if isinstance(one, str) and Path(one).is_file()]


def _key(name: str, chosen: str) -> str:
    """Hash of what shapes a borrowed task: this code, lm-eval's version, the user's YAML and local data."""
    import importlib.metadata

    parts: list[Any] = [
        name,
        chosen,
        importlib.metadata.version("lm-eval"),
        digest(bare_source(Path(__file__).read_text(encoding="utf-8"))),
    ]
    for folder in own_folders():
        from lm_eval.tasks import TaskManager

        with quiet():
            entry = TaskManager(include_path=str(folder), include_defaults=False).task_index.get(name)
        if entry is not None:
            parts += [tree_digest(folder, skip=["__pycache__"]), *map(file_digest, _data_files(entry.cfg or {}))]
            break
    return digest(parts)[:SHORT]


def borrowed_folder(variant: str, root: Path) -> Path:
    """The folder of a borrowed task, a task folder of ours with its data, made if it is not there.

    Args:
        variant: ``NAME`` or ``NAME:FILTER``.
        root: The cache.

    Raises:
        InputError: No such task or filter, or it cannot be judged right or wrong item by item.
        MissingData: Its data is not here and cannot be loaded.
    """
    name, _, chosen = variant.partition(":")
    if not name:
        raise InputError("which task of lm-eval?", f"task {PREFIX}:", f"write {PREFIX}:NAME, e.g. {PREFIX}:gsm8k")
    folder = root / f"{PREFIX}-{variant.replace(':', '-')}-{_key(name, chosen)}"
    if folder.is_dir():
        return folder
    from tao_bench.lm_eval.evaluate import random_states_kept

    scratch = root / f".{folder.name}.{os.getpid()}.tmp"
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        with random_states_kept(), quiet():
            _write(find(name), chosen, scratch)
        if not folder.is_dir():  # another process may have been faster
            scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def _write(source: Source, chosen: str, out: Path) -> None:
    import yaml

    from tao_bench.registry import write_manifest

    where = f"task {PREFIX}:{source.name}"
    task = _loaded(source, where)
    config = task.config
    kind = task.OUTPUT_TYPE
    if kind not in ("generate_until", "multiple_choice"):
        raise InputError(
            f"asks for {kind}, which is no answer to a question", where, "take a task that generates or chooses"
        )
    if getattr(task, "MULTIMODAL", False) or getattr(task, "UNSAFE_CODE", False):
        raise InputError("shows pictures or sound, or runs the model's code; neither is done here", where)
    if config.repeats != 1:
        raise InputError(f"asks for {config.repeats} responses an item; one greedy answer is evaluated here", where)
    names = [ensemble.name for ensemble in task._filters]
    if chosen and chosen not in names:
        raise InputError(f"has no filter {chosen!r}{suggest(chosen, names)}", where, f"it has {', '.join(names)}")
    metric = _metric(task, where)
    config.num_fewshot = config.num_fewshot or 0
    task.set_fewshot_seed(FEWSHOT_SEED)
    # as lm-eval's command does with --apply_chat_template: examples are earlier turns
    task.build_all_requests(apply_chat_template=True, fewshot_as_multiturn=True, chat_template=_as_json)
    rows = _by_document(task.instances)
    limits = {"max_prompt_tok": NO_LIMIT, "max_new_tok": 1}
    (out / "labels").mkdir(parents=True)
    items, labels, requests = [], [], []
    until: list[str] = []
    if kind == "generate_until":
        from lm_eval.models.utils import normalize_gen_kwargs

        settings = normalize_gen_kwargs(dict(config.generation_kwargs))
        until, limits["max_new_tok"] = [text for text in settings["until"] if text], settings["max_gen_toks"]
    for number, instances in rows.items():
        name, doc = f"{source.name}-{number}", instances[0].doc
        messages = json.loads(instances[0].args[0] or "[]")
        asked = [turn for turn in messages if turn["role"] != "assistant" or turn is not messages[-1]]
        if kind == "generate_until" and len(asked) != len(messages):
            raise InputError("begins the model's answer for it (gen_prefix), which a served model cannot take", where)
        items.append({"id": name, "messages": asked, "handles": {HANDLE: REQUESTS}, "cluster": name, "level": "1"})
        label = json.loads(json.dumps({"doc": doc, "number": number}, default=str))
        labels.append({"id": name, "gold": label, "target": str(task.doc_to_target(doc))})
        pairs = [[json.loads(i.args[0]) if i.args[0] else [], i.args[1]] for i in instances]
        requests.append({"id": name, "until": until} if kind == "generate_until" else {"id": name, "choices": pairs})
    for path, table in ((f"{SPLIT}.jsonl", items), (f"labels/{SPLIT}.jsonl", labels), (REQUESTS, requests)):
        _write_rows(out / path, table)
    for split in ("train", "dev"):
        _write_rows(out / f"{split}.jsonl", [])
        _write_rows(out / "labels" / f"{split}.jsonl", [])
    variant = f"{source.name}:{chosen}" if chosen else source.name
    spec = _spec(source, task, variant, chosen=chosen or names[0], metric=metric, limits=limits, items=len(items))
    (out / "task.yaml").write_text(yaml.safe_dump(spec, sort_keys=False, allow_unicode=True), encoding="utf-8")
    _probe(out, labels, where)
    write_manifest(out)


def _loaded(source: Source, where: str) -> Any:
    """lm-eval's task with its data, or one clear error where the data cannot be had."""
    from tao_bench.hub import HubError, reach
    from tao_bench.registry import MissingData
    from tao_bench.task import HubSource

    path = str(source.config.get("dataset_path") or "")
    try:
        if path.count("/") == 1 and not Path(path).exists():
            reach(HubSource(id=path))
        return open_task(source)
    except HubError as error:
        raise MissingData(f"its data cannot be loaded: {error.what}", where, error.fix) from error
    except Exception as error:  # `datasets` and its transports raise a dozen types
        said = (" ".join(str(error).split()) or type(error).__name__)[:300]
        fix = (
            "go online once, or write a copy of the task whose `dataset_path: json` and `data_files` name local files "
            f"and set {VARIABLE} to its folder"
        )
        raise MissingData(f"its data ({path or 'none named'}) cannot be loaded ({said})", where, fix) from error


def _metric(task: Any, where: str) -> str:
    names = list(task._metric_fn_list)
    binary = [name for name in BINARY if name in names]
    if callable(task.config.process_results):
        binary = binary or names  # its own function says what is right; `_probe` tries it
    if not binary:
        has = ", ".join(map(str, names))
        raise InputError(f"has no metric that is right or wrong item by item (it has {has})", where)
    return str(binary[0])


def _as_json(messages: Any, add_generation_prompt: bool = True) -> str:
    """Stands in for a chat template: the messages themselves, which our sampler renders with the model's own."""
    return json.dumps(messages, ensure_ascii=False)


def _by_document(instances: Sequence[Any]) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for instance in instances:
        found.setdefault(instance.doc_id, []).append(instance)
    return found


def _spec(
    source: Source, task: Any, asked: str, *, chosen: str, metric: str, limits: Mapping[str, int], items: int
) -> dict[str, Any]:
    """The `task.yaml` of the folder."""
    import importlib.metadata

    version = task.VERSION
    by = f" by {chosen}" if chosen != "none" else ""
    described = (
        f"{source.name} (its version {version}, lm-eval {importlib.metadata.version('lm-eval')}), {items} items, "
        f"{task.config.num_fewshot} examples in the prompt, {metric}{by}"
    )
    options = {"task": source.name, "source": str(source.folder), "filter": chosen, "metric": metric}
    return {
        "name": PREFIX,
        "version": 1,
        "description": "A task of lm-eval, for evaluation only",
        "licence": f"see the data set {source.config.get('dataset_path', '')}".strip(),
        "answer": "prose",
        "verifier": "lm_eval",
        "verifier_options": options,
        "needs": VARIABLE,
        "cluster": "item",
        "chance_floor": 1.0,
        "limits": dict(limits),
        "variants": {asked: {"description": described}},
    }


def _write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def _probe(out: Path, labels: Sequence[Mapping[str, Any]], where: str) -> None:
    """Judge answers of the first item before the folder is kept: a task that cannot be judged is refused."""
    import yaml

    from tao_bench.verify.lm_eval import LmEvalVerifier
    from tao_bench.verify.verdict import Status

    options = yaml.safe_load((out / "task.yaml").read_text(encoding="utf-8"))["verifier_options"]
    verifier = LmEvalVerifier(out, **options)
    first = labels[0]
    choices = json.loads((out / REQUESTS).read_text(encoding="utf-8").splitlines()[0]).get("choices")
    tries = [json.dumps([[-1.0 - n, False] for n in range(len(choices))])] if choices else [first["target"], "?"]
    for text in tries:
        verdict = verifier.judge(first["gold"], text, "stop")
        if verdict.status is Status.VERIFIER_ERROR:
            raise InputError(f"cannot be judged item by item ({verdict.reason})", where)
