"""A task as a folder that stock ``lm_eval --include_path DIR --tasks NAME`` runs, with tao-bench installed beside it.

The folder is whole: the split's prompts, what its handles point at, the sealed labels and, for a task that grades by
its own function, that code. lm-eval sees ids and prompts; labels are opened by the scoring function alone and stand in
none of lm-eval's logs.
"""

from __future__ import annotations

import atexit
import json
import shutil
import sys
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tao.errors import InputError
from tao_bench import __version__
from tao_bench.freeze import task_fingerprint
from tao_bench.lm_eval.config import CountTokens, documents, judge, metrics_of, settings, task_name
from tao_bench.registry import open_task, write_manifest
from tao_bench.store import write_json
from tao_bench.task import Label, Split, read_items, read_labels
from tao_bench.verify.custom import is_custom
from tao_bench.verify.verdict import Verifier

if TYPE_CHECKING:
    from tao.prompts import Prompt
    from tao_bench.registry import Task

MODULE = "tao_bench_task"
NOTE = "export.json"
_GLUE = f'''\
"""Made by `tao-bench export lm-eval`. Needs tao-bench and lm-eval; everything else lies in this folder."""

from pathlib import Path

from tao_bench.lm_eval.folder import open_export

dataset, process_results = open_export(Path(__file__).parent, "{NOTE}")
'''
_README = """\
# {name}

{version_name} ({split}, {items} items) as a task of lm-evaluation-harness. Licence of the data: {licence}

```
pip install tao-bench lm-eval
lm_eval --model hf --model_args pretrained=MODEL --include_path {folder} --tasks {name} --apply_chat_template
```

- `--apply_chat_template` sends the prompts as `tao-bench run` does; without it a base model gets the bare text.
- The metric `correct` is accuracy. An item that could not be judged is left out of it, never counted as wrong.
- lm-eval does not say whether an answer was cut at the token limit. It is taken as cut where its text fills the limit
  by the tokenizer named in `--model_args` (`pretrained` or `tokenizer`); where none is named, no answer counts as cut.
- Do not use `--use_cache`: its key leaves the model out.
- Labels lie in `data/labels/`; they are read by the scoring function and stand in none of lm-eval's logs.
"""

Dataset = Callable[..., dict[str, Any]]
Score = Callable[[dict[str, Any], list[str]], dict[str, float]]


def write_export(task: Task, out: Path, split: Split = "test", limit: int | None = None) -> str:
    """Write the folder.

    Args:
        task: The task, its data on disk.
        out: Where; made if missing, refused if it holds something other than an earlier export.
        split: Labelled split.
        limit: Only the first items.

    Returns:
        The task's name in lm-eval.

    Raises:
        InputError: The folder holds something else, or see `tao_bench.lm_eval.config.documents`.
    """
    if out.is_dir() and any(out.iterdir()) and not (out / NOTE).is_file():
        raise InputError("holds files that are no export; it would be replaced", str(out), "name another --out")
    items = task.items(split)[:limit]
    rows = documents([item.prompt for item in items], task.version_name)
    name = task_name(task, split)
    scratch = out.with_name(f".{out.name}.tmp")
    shutil.rmtree(scratch, ignore_errors=True)
    _copy_data(task.data, scratch / "data", split)
    _copy_code(task, scratch / "task")
    (scratch / f"{MODULE}.py").write_text(_GLUE, encoding="utf-8")
    (scratch / f"{name}.yaml").write_text(_yaml(task, split, system="system" in rows[0]), encoding="utf-8")
    readme = _README.format(
        name=name, version_name=task.version_name, split=split, items=len(items), licence=task.spec.licence, folder=out
    )
    (scratch / "README.md").write_text(readme, encoding="utf-8")
    note = {
        "task": task.version_name,
        "variant": task.variant,
        "split": split,
        "limit": limit,
        "hash": task.hash,
        "verifier": task_fingerprint(task)["verifier"],
        "made_with": f"tao-bench {__version__}",
    }
    write_json(scratch / NOTE, note)
    out.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(out, ignore_errors=True)
    scratch.rename(out)
    return name


def _copy_data(data: Path, out: Path, split: Split) -> None:
    """The data without the pool and the other splits, prompts and labels."""
    unwanted = {f"{other}.jsonl" for other in ("pool", "train", "dev", "test") if other != split}

    def left_out(folder: str, names: list[str]) -> set[str]:
        return unwanted & set(names) if Path(folder) in (data, data / "labels") else set()

    shutil.copytree(data, out, ignore=left_out)
    write_manifest(out)


def _copy_code(task: Task, out: Path) -> None:
    """What a task needs besides its data to judge: task.yaml, its own code, a schema that is named as a file."""
    out.mkdir()
    schemas = {options.get("schema") for options in (task.spec.answer_options, task.spec.verifier_options)}
    code = task.folder.glob("*.py") if is_custom(task.spec.verifier) else ()
    files = [Path("task.yaml"), *(path.relative_to(task.folder) for path in code)]
    for path in [*files, *(Path(name) for name in schemas if isinstance(name, str))]:
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(task.folder / path, out / path)


def _yaml(task: Task, split: Split, *, system: bool) -> str:
    import yaml

    plain = yaml.safe_dump(settings(task, split, system=system), sort_keys=False, allow_unicode=True)
    functions = f"custom_dataset: !function {MODULE}.dataset\nprocess_results: !function {MODULE}.process_results\n"
    return f"{plain}{functions}"


class _Export:
    """An exported folder as it is run; labels are read and the verifier is made when the first response is judged."""

    def __init__(self, folder: Path, note: dict[str, Any]) -> None:
        self.split: Split = note["split"]
        self.task = open_task(folder / "task", folder / "data", note["hash"], note["variant"])
        items = read_items(folder / "data" / f"{self.split}.jsonl")[: note["limit"]]
        self.prompts: dict[str, Prompt] = {item.prompt.id: item.prompt for item in items}
        self.count_tok: CountTokens | None = None

    @cached_property
    def labels(self) -> dict[str, Label]:
        return read_labels(self.task.data, self.split)

    @cached_property
    def verifier(self) -> Verifier:
        made = self.task.verifier()
        atexit.register(made.close)
        return made


def open_export(folder: Path, note_name: str = NOTE) -> tuple[Dataset, Score]:
    """The two functions an exported folder hands to lm-eval: its documents, and the score of a response.

    Args:
        folder: Made by `write_export`.
        note_name: Its note.

    Raises:
        InputError: The verifier installed here is not the one it was exported with.
    """
    note: dict[str, Any] = json.loads((folder / note_name).read_text(encoding="utf-8"))
    export = _Export(folder, note)
    if task_fingerprint(export.task)["verifier"] != note["verifier"]:
        raise InputError(
            f"was exported with another verifier than is installed here (by {note['made_with']})",
            str(folder),
            f"run `tao-bench export lm-eval {note['task']} --out {folder}` again, or install that version",
        )
    rows = documents(list(export.prompts.values()), note["task"])

    def dataset(**metadata: Any) -> dict[str, Any]:
        from datasets import Dataset

        export.count_tok = _counter(metadata.get("tokenizer") or metadata.get("pretrained"))
        return {export.split: Dataset.from_list(rows)}

    def process_results(document: dict[str, Any], responses: list[str]) -> dict[str, float]:
        verdict = judge(
            export.verifier, export.prompts, export.labels, document["id"], responses[0],
            most_tok=export.task.spec.limits.max_new_tok, count_tok=export.count_tok,
        )  # fmt: skip
        return metrics_of(verdict)

    return dataset, process_results


def _counter(tokenizer: Any) -> CountTokens | None:
    """Counts tokens with the tokenizer that lm-eval's model arguments name; None, said once, where that fails."""
    if isinstance(tokenizer, str):
        from transformers import AutoTokenizer

        try:
            loaded = AutoTokenizer.from_pretrained(tokenizer)
        except (OSError, ValueError):
            pass
        else:
            return lambda text: len(loaded.encode(text, add_special_tokens=False))
    told = "name one: --model_args pretrained=... or tokenizer=..."
    print(f"tao-bench: no tokenizer, so no answer counts as cut at the token limit; {told}", file=sys.stderr)
    return None


def export_lm_eval(task: Task, out: Path, split: Split = "test", limit: int | None = None) -> int:
    """The command ``tao-bench export lm-eval``: write the folder and print how it is run."""
    name = write_export(task, out, split, limit)
    print(f"written: {out}\nrun it: lm_eval --model hf --model_args pretrained=MODEL --include_path {out} "
          f"--tasks {name} --apply_chat_template")  # fmt: skip
    return 0
