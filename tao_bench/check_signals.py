"""Every label-free signal of a task runs, and how well it tells right from wrong on dev.

Where a model has been sampled on dev (`tao-bench signals`), its samples are used. Else each prompt gets made-up
samples: its target, targets of other items, and degenerate answers; that shows whether a signal works,
not how it will do on a model.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tao.errors import InputError
from tao.prompts import Prompt, Sample, pool_digest
from tao.scoring.score import read_answers
from tao_bench.task import Item, Label

if TYPE_CHECKING:
    from tao_bench.registry import Task
    from tao_bench.signals import Group

PROMPTS = 40
OTHERS = 3
RUNS = Path("runs")


def stored_samples(task: Task, runs: Path) -> tuple[Path, dict[str, list[Sample]]] | None:
    """Samples of the dev split, or its first items, that a run under `runs` kept for exactly these prompts; or None."""
    from tao.sampling.samples import read_samples

    prompts = [item.prompt for item in task.items("dev")]
    for path in sorted(runs.glob(f"*/cells/{task.name}--base_maj--*/eval/dev/samples.jsonl")):
        try:
            pool = json.loads(path.with_suffix(".meta.json").read_text(encoding="utf-8"))["made_from"]["pool"]
            samples = read_samples(path)
        except (OSError, ValueError, KeyError, TypeError):
            continue  # of another program version, or cut short: made-up samples will do
        if path.with_suffix(".done").exists() and pool == pool_digest(prompts[: len(samples)]):
            return path, {name: list(group) for name, group in samples.items()}
    return None


def made_up(
    task: Task,
    items: Sequence[Item],
    labels: Mapping[str, Label],
    policies: Mapping[str, Callable[[Prompt], str]],
) -> list[Group]:
    """Groups of made-up samples, read by the task's interpreter."""
    from tao_bench.signals import Group

    targets = list(dict.fromkeys(labels[item.prompt.id].target for item in items))
    interpreter = task.interpreter()
    groups = []
    try:
        for place, item in enumerate(items):
            own = labels[item.prompt.id].target
            others = [one for one in [*targets[place + 1 :], *targets[:place]] if one != own][:OTHERS]
            texts = [own, *others, *(policy(item.prompt) for policy in policies.values())]
            samples = [Sample(item.prompt.id, "direct", i, t, t or None, (), 0, "stop") for i, t in enumerate(texts)]
            groups.append(Group(item.prompt, samples, read_answers(item.prompt, samples, interpreter, rule=False)))
    finally:
        interpreter.close()
    return groups


def signal_report(
    task: Task, labels: Mapping[str, Label], policies: Mapping[str, Callable[[Prompt], str]], runs: Path = RUNS
) -> tuple[str, str]:
    """The AUC of every signal in words, and what is wrong ('' if every signal runs)."""
    from tao_bench.own_signals import task_signals
    from tao_bench.signals import auc, judge, read_groups

    try:
        signals = task_signals(task)
        stored = stored_samples(task, runs)
        if stored is not None:
            groups, source = read_groups(task, stored[1]), f"samples in {stored[0]}"
        else:
            items = task.items("dev")
            thin = items[:: max(1, -(-len(items) // PROMPTS))]
            groups = made_up(task, thin, labels, policies)
            source = "made-up samples: targets, other items' targets, degenerate answers"
        if not groups:
            return "no dev items to measure signals on", ""
        right = np.concatenate(judge(task, groups))
        found = []
        for name, signal in signals.items():
            values = np.concatenate([np.asarray(signal(group), dtype=np.float64) for group in groups])
            found.append(f"{name} {auc(values, right):.2f}")
    except InputError as error:
        return "", str(error).replace("\n", "; ")
    return f"AUC on {len(groups)} dev prompts ({source}): {', '.join(found)}", ""
