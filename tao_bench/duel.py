"""`tao-bench duel`: two files of answers to a task's requests, compared pair by pair by a judge.

The open counterpart of judged preference evaluation. The figure is A's points (a win 1, a tie ½) with its interval over
clusters; beside it stands how often the order alone decided what the judge said, since a judge that sways is no judge.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from tao.errors import InputError

REFERENCE = "reference"
MISSING = 0.005
"""Share of pairs without a verdict above which no figure is given, as for any verifier error."""


def run_duel(options: argparse.Namespace) -> int:
    """The command: 0, or 1 if pairs were missing beyond `MISSING`, rows were dropped or nothing was compared.

    Raises:
        InputError: Unknown task, unreadable files, no judge, or no item that both answer.
    """
    from tao_bench.grade import dropped_lines
    from tao_bench.registry import cache_root, load_task
    from tao_bench.task import read_labels
    from tao_bench.verify.judge import JudgeClient, JudgeFailed
    from tao_bench.verify.pairwise import duel

    task = load_task(options.task, options.tasks)
    client = JudgeClient(options.endpoint, options.model, cache_root() / "judge")
    items = {item.prompt.id: item for item in task.items(options.split)}
    dropped: list[str] = []
    sides = [_answers(path, dropped) for path in (options.a, options.b) if path != REFERENCE]
    if options.b == REFERENCE:
        labels = read_labels(task.data, options.split)
        sides.append({name: label.target for name, label in labels.items()})
    shared = [name for name in items if name in sides[0] and name in sides[1]]
    if not shared:
        raise InputError(
            f"no item of {options.split} has an answer in both", f"{options.a} and {options.b}", "name --split"
        )
    rows: list[dict[str, Any]] = []
    failures: list[str] = []
    for name in shared:
        item = items[name]
        try:
            found = duel(client, item.prompt.messages[-1].content, sides[0][name], sides[1][name])
        except JudgeFailed as error:
            failures.append(f"{name}: {error}")
            continue
        rows.append({"id": name, "cluster": item.cluster, "level": item.level, "winner": found.winner,
                     "points": found.points, "said": list(found.said), "swayed": found.swayed})  # fmt: skip
    if options.out is not None:
        options.out.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    lost = len(failures) / len(shared)
    print("\n".join([*summary(rows, lost), *failures[:3], *dropped_lines(dropped, "rows")]))
    return 1 if lost > MISSING or dropped or not rows else 0


def _answers(path: str, dropped: list[str]) -> dict[str, str]:
    from tao_bench.grade import first_of_each, read_answers

    return {answer.id: answer.text for answer in first_of_each(read_answers(Path(path), dropped), dropped)}


def summary(rows: list[dict[str, Any]], lost: float) -> list[str]:
    """A's points with their interval, wins, ties and losses, and how far the judge can be believed."""
    if not rows or lost > MISSING:
        return [f"no figure: {lost:.1%} of the pairs have no verdict (at most {MISSING:.1%} may be missing)"]
    import numpy as np

    from tao_bench.stats import Scores, accuracy

    points = np.array([[row["points"] for row in rows]])
    scores = Scores(points, tuple(row["id"] for row in rows), tuple(row["cluster"] for row in rows), (0,))
    found = accuracy(scores)
    counts = {name: sum(row["winner"] == name for row in rows) for name in ("a", "tie", "b")}
    swayed = sum(row["swayed"] for row in rows)
    return [
        f"A's points: {found.value:.1%} [{found.low:.1%}, {found.high:.1%}] of {len(rows)} pairs (50 % is even)",
        f"A wins {counts['a']}, ties {counts['tie']}, B wins {counts['b']}",
        f"the order decided what the judge said in {swayed} pairs ({swayed / len(rows):.1%}); they are ties",
    ]
