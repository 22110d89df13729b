"""`tao-bench tasks show`: a task's sizes, splits and licence, and an example as the model sees it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tao_bench.registry import load_task
from tao_bench.task import LABELLED_SPLITS


def show_task(name: str, extra: Sequence[Path] = ()) -> int:
    """The command ``tao-bench tasks show``."""
    task = load_task(name, extra)
    spec = task.spec
    print(f"{task.version_name}: {spec.description}\nlicence: {spec.licence}\nfolder: {task.folder}\ndata: {task.data}")
    for key, value in task.about().items():
        print(f"{key}: {value}")
    print(f"answer: {spec.answer}, verifier: {spec.verifier}, limits: {spec.limits.model_dump()}")
    print("for evaluation only" if task.eval_only else f"pool: {len(task.pool())} prompts without labels")
    for split in LABELLED_SPLITS:
        items = task.items(split)
        levels = ", ".join(f"level {v}: {sum(i.level == v for i in items)}" for v in sorted({i.level for i in items}))
        print(f"{split}: {len(items)} items in {len({i.cluster for i in items})} clusters ({spec.cluster}); {levels}")
    shown = next((item.prompt for split in ("dev", "test") for item in task.items(split)), None)
    example = shown or task.pool()[0]
    print(f"\nan example prompt ({example.id}), as the model sees it:")
    for message in example.messages:
        print(f"  [{message.role}]")
        print("\n".join(f"  {line}" for line in message.content.splitlines()))
    return 0
