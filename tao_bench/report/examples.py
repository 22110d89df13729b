"""Examples side by side: items that the headline arm mended and broke, drawn without looking at them.

Questions and golds come from the task's data. They are shown where that data is generated; a task
with external data shows ids, verdicts and the models' own text unless the report is rendered in full.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tao.errors import InputError
from tao_bench.report.analysis import TaskReport
from tao_bench.report.blocks import Example, Examples
from tao_bench.report.load import Results, Row
from tao_bench.verify.verdict import Status

PER_KIND = 3


@dataclass(frozen=True)
class ItemText:
    """What may be shown of an item: its last message and its gold."""

    prompt: str
    gold: str


@dataclass(frozen=True)
class TaskTexts:
    """Texts of a task's items, and why there are none ('' if there are)."""

    items: Mapping[str, ItemText]
    withheld: str = ""


TextSource = Callable[[str, bool], TaskTexts]
"""Called with a task's versioned name and whether the report is rendered in full."""


def registry_texts(task: str, full: bool, folds: int = 1) -> TaskTexts:
    """Questions and golds of a task that is installed here; of the splits that reports evaluate, no others.

    Args:
        task: Versioned name.
        full: Whether data that is not ours to publish may be shown.
        folds: Folds of a cross-validation, whose items come from every split.
    """
    from tao_bench.registry import load_task, task_folder
    from tao_bench.task import Split, read_labels, read_spec

    try:
        spec = read_spec(task_folder(task))
        if spec.needs and not full:
            return TaskTexts({}, "its data is not part of this project; render with `--full` where the data is at hand")
        found = load_task(task)
        texts: dict[str, ItemText] = {}
        evaluated: tuple[Split, ...] = ("dev", "test")
        parts = [found] if folds == 1 else [load_task(task, fold=fold) for fold in range(folds)]
        for part, split in itertools.product(parts, evaluated):
            labels = read_labels(part.data, split)
            for item in part.items(split):
                texts[item.prompt.id] = ItemText(item.prompt.messages[-1].content, labels[item.prompt.id].target)
    except InputError as error:
        return TaskTexts({}, f"the task's data cannot be read here ({error.what})")
    return TaskTexts(texts)


def examples(results: Results, report: TaskReport, texts: TaskTexts) -> Examples | None:
    """Up to `PER_KIND` mended and as many broken items of the first seed, spread over levels.

    Which ones is settled by a hash of the id, so nobody picks the pretty ones.
    """
    if report.base is None or report.headline is None:
        return None
    base = {row.item: row for row in results.rows[report.base.cells[0].id]}
    tuned = {row.item: row for row in results.rows[report.headline.cells[0].id]}
    kept = [item for item in report.headline.scores.items if item in base]
    found: list[Example] = []
    for kind, before, after in (("mended", False, True), ("broken", True, False)):
        moved = [i for i in kept if (_right(base[i]), _right(tuned[i])) == (before, after)]
        for item in _spread(moved, {i: base[i].level for i in moved}):
            text = texts.items.get(item)
            lines = text.prompt.strip().splitlines() if text else []
            found.append(
                Example(
                    kind=kind,
                    item=item,
                    level=base[item].level,
                    question=lines[-1] if lines else "",
                    prompt=text.prompt.strip() if text else "",
                    base=base[item].answer,
                    base_verdict=_verdict(base[item]),
                    tuned=tuned[item].answer,
                    tuned_verdict=_verdict(tuned[item]),
                    gold=text.gold if text else "",
                )
            )
    return Examples(report.base.label, report.headline.label, tuple(found))


def _right(row: Row) -> bool:
    return row.status == Status.CORRECT


def _verdict(row: Row) -> str:
    status = row.status.value.replace("_", " ")
    reason = row.reason.replace("_", " ")
    return status if not reason or row.status == Status.CORRECT or reason == status else f"{status}: {reason}"


def _spread(items: list[str], level: Mapping[str, str]) -> list[str]:
    """Round-robin over levels, each in hash order."""
    queues: dict[str, list[str]] = {}
    for item in sorted(items, key=lambda i: hashlib.sha256(i.encode()).hexdigest()):
        queues.setdefault(level[item], []).append(item)
    out: list[str] = []
    while len(out) < PER_KIND and any(queues.values()):
        for name in sorted(queues):
            if queues[name] and len(out) < PER_KIND:
                out.append(queues[name].pop(0))
    return out
