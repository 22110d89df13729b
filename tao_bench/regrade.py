"""`tao-bench regrade`: judge published answers anew after a verifier changed.

The answers stay as they are; status, score, extracted and reason of every row are the present verifier's,
and the rows name its hash. The folder is replaced in one step once every row has been judged.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tao.errors import InputError
from tao.prompts import Prompt
from tao.stage import digest
from tao_bench.digest import SHORT
from tao_bench.freeze import task_fingerprint
from tao_bench.grade import labelled_prompts
from tao_bench.plan import pooled_splits
from tao_bench.store import dump, read_rows
from tao_bench.task import Label
from tao_bench.verify.verdict import Verdict, Verifier

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from tao_bench.registry import Task

Change = tuple[str, str, str, str]
"""Status and reason before, status and reason now."""


def _fingerprint(parts: Sequence[Task]) -> dict[str, str]:
    """A task's hashes as rows carry them: those of a cross-validation name the splits of all folds."""
    prints = task_fingerprint(parts[0])
    if len(parts) > 1:
        prints["splits"] = pooled_splits(parts[1:])
    return prints


def regrade(
    folder: Path, tasks: Mapping[str, Sequence[Task]], tick: Callable[[int], None] = lambda done: None
) -> Counter[Change]:
    """Judge every row of a results folder with its task's present verifier.

    Args:
        folder: ``results/<experiment>``; replaced when all is judged, untouched before.
        tasks: Task by its version name, as rows carry it, followed by its folds where it was cross-validated.
        tick: Called with the number of rows judged so far.

    Returns:
        How many rows changed, by (status, reason) before and after.

    Raises:
        InputError: No results there, a task or item is not at hand, or generator or splits are no longer
            those the answers were given to: then the answers belong to other questions.
    """
    cells = read_rows(folder / "cells.jsonl")
    if not cells:
        raise InputError("holds no published cells", str(folder), "name a folder below results/")
    prints = {name: _fingerprint(parts) for name, parts in tasks.items()}
    short: dict[str, str] = {}
    for cell in cells:
        name = cell["task"]
        if name not in tasks:
            fix = "regrade with the version of the project that has it"
            raise InputError(f"its task is not here: {name}", str(folder), fix)
        odd = [part for part in ("generator", "splits") if cell["frozen"][part] != prints[name][part]]
        if odd:
            raise InputError(f"{name} has another {' and '.join(odd)} now", str(folder), "run the experiment again")
        cell["frozen"] = {**cell["frozen"], "verifier": prints[name]["verifier"]}
        cell["frozen_id"] = digest(cell["frozen"])[:SHORT]
        short[cell["cell"]] = cell["frozen_id"]
    scratch = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(folder, scratch)
    changes: Counter[Change] = Counter()
    done = 0
    # a cross-validation reports on items of the pool too: they are labelled items of its folds
    known = {
        name: {key: pair for part in parts for key, pair in labelled_prompts(part).items()}
        for name, parts in tasks.items()
    }
    verifiers: dict[str, Verifier] = {name: parts[0].verifier() for name, parts in tasks.items()}
    try:
        for path in sorted((scratch / "rows").glob("*.jsonl")):
            rows = []
            for row in read_rows(path):
                verdict = _judge(row, known[row["task"]], verifiers[row["task"]])
                now = (verdict.status.value, verdict.reason)
                if (row["status"], row["reason"]) != now:
                    changes[row["status"], row["reason"], *now] += 1
                rows.append(
                    {
                        **row,
                        "status": now[0],
                        "score": verdict.score,
                        "extracted": verdict.extracted,
                        "reason": now[1],
                        "frozen": short[row["cell"]],
                    }
                )
                done += 1
                tick(done)
            path.write_text("".join(map(dump, rows)), encoding="utf-8")
        (scratch / "cells.jsonl").write_text("".join(map(dump, cells)), encoding="utf-8")
        shutil.rmtree(folder)
        scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        for verifier in verifiers.values():
            verifier.close()
    return changes


def _judge(row: Mapping[str, Any], items: Mapping[str, tuple[Prompt, Label]], verifier: Verifier) -> Verdict:
    if row["item"] not in items:
        raise InputError("no such item in the task's data", f"{row['cell']} {row['item']}", "run the experiment again")
    prompt, label = items[row["item"]]
    return verifier.grade(prompt, label.gold, row["answer"], row["finish_reason"])


def _tick(bar: Progress, shown: TaskID, done: int) -> None:
    bar.update(shown, completed=done)


def run_regrade(names: list[str], results: Path, reports: Path, extra: list[Path]) -> int:
    """The command ``tao-bench regrade``: regrade and render the named experiments (default: all published)."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from tao_bench.registry import MissingData, load_task
    from tao_bench.report import render

    folders = [results / name for name in names] or sorted(path.parent for path in results.glob("*/cells.jsonl"))
    for folder in folders:
        cells = read_rows(folder / "cells.jsonl")
        wanted = {cell["task"]: cell["eval"].get("folds") or 0 for cell in cells}
        opened: dict[str, list[Task]] = {}
        try:
            for name, folds in wanted.items():
                parts = [load_task(name, extra, fold) for fold in (None, *range(folds))]
                opened[parts[0].version_name] = parts
        except MissingData as error:
            if names:
                raise
            print(f"{folder.name}: skipped, {error}")
            continue
        rows = sum(len(path.read_bytes().splitlines()) for path in (folder / "rows").glob("*.jsonl"))
        columns = (TextColumn(folder.name), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            tick = partial(_tick, bar, bar.add_task(folder.name, total=rows))
            changes = regrade(folder, opened, tick)
        render(folder, reports / folder.name)
        print(f"{folder.name}: {rows} rows judged anew, {changes.total()} changed")
        for (before, why_before, after, why_after), count in changes.most_common():
            print(f"  {count:>6} {before} ({why_before}) -> {after} ({why_after})")
    return 0
