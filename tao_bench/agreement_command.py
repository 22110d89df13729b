"""The command ``tao-bench agreement``."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from tao.errors import InputError
from tao_bench.stats import MAX_MISSING
from tao_bench.verify.verdict import Status


def run_agreement(options: argparse.Namespace) -> int:
    """Judge labelled answers, print the report, write what was asked for.

    Returns:
        0; 1 if rows were dropped, nothing was judged, or more verifier errors came up than a comparison may have.

    Raises:
        InputError: Unknown task, unreadable or unwritable files, a judge without endpoint or model.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from tao_bench.agreement import disputed_ids, judge_labelled, report, write_disagreements
    from tao_bench.grade import EVERY_SPLIT, dropped_lines, labelled_prompts
    from tao_bench.registry import load_task

    for path in (options.out, options.disagreements):
        if path is not None and any(path.resolve() == given.resolve() for given in options.labelled):
            raise InputError("would overwrite the labelled answers", str(path), "name another file")
        if path is not None and not path.resolve().parent.is_dir():
            raise InputError("cannot be written (no such folder)", str(path))
    task = load_task(options.task, options.tasks)
    workers = 1
    if options.verifier:
        changes: dict[str, Any] = {"verifier": options.verifier, "verifier_options": {}}
        if options.verifier == "judge":
            workers = max(1, options.parallel)
            changes["verifier_options"] = {"endpoint": options.endpoint, "model": options.model, "cache": options.cache}
        elif options.endpoint or options.model:
            raise InputError("only a judge has an endpoint and a model", f"--verifier {options.verifier}")
        task = replace(task, spec=task.spec.model_copy(update=changes))
    elif options.endpoint or options.model:
        raise InputError("whom do endpoint and model serve?", "--endpoint", "add --verifier judge")
    dropped: list[str] = []
    columns = (TextColumn("judging"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        shown = bar.add_task("judging", total=None)
        rows = judge_labelled(
            task, options.labelled, dropped, workers=workers, tick=lambda done: bar.update(shown, completed=done)
        )
    text = report(task, rows, disputed_ids(task.folder))
    print(text, end="")
    errors = [row for row in rows if row.verdict.status is Status.VERIFIER_ERROR]
    if errors:
        print(f"\n{len(errors)} verifier errors, the first at {errors[0].answer.where}: {_why(errors[0].verdict)}")
    if dropped:
        print("\n" + "\n".join(dropped_lines(dropped, "were not used")))
    if options.out is not None:
        _write(options.out, text)
        print(f"\nreport: {options.out}")
    if options.disagreements is not None:
        golds = {key: label.gold for key, (_, label) in labelled_prompts(task, EVERY_SPLIT).items()}
        count = write_disagreements(options.disagreements, rows, golds)
        print(f"{count} disagreements: {options.disagreements}")
    return 1 if dropped or not rows or len(errors) > MAX_MISSING * len(rows) else 0


def _why(verdict: Any) -> str:
    return f"{verdict.reason} ({verdict.extracted})" if verdict.extracted else str(verdict.reason)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror})", str(path)) from error
