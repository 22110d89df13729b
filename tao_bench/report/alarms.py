"""Would an alarm have told? Label-free figures of traced models, held against whether the truth had fallen.

Limits are set on other runs than they are tried on: on those of the other seeds, or of the other tasks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tao_bench.stats import Estimate, Scores, difference
from tao_bench.trace import Point

FALL = 0.05
"""A model this far below the best one before it has turned down: 5 points of accuracy, about twice the paired noise of
a few hundred items."""
HEALTHY = 0.02
"""A model at most this far below the start, and not turned down, is a healthy one: an alarm on it is a false one."""
AT = 0.95
"""The quantile of healthy models that a limit is set at: one odd model would set the highest value."""

Run = Sequence[Point]
Runs = Mapping[str, Run]
"""Cell to its points, in order."""
Quantity = Callable[[Point, Point], float | None]
"""(the starting model, a later one) to how alarming it is; larger is worse, None where it cannot be told."""
Part = Callable[[Run], str]
"""What a run is held out with."""


def _of_stats(take: Callable[[Mapping[str, Any], Mapping[str, Any]], float]) -> Quantity:
    """A quantity of what tuning sees of both models' samples on the pool."""
    return lambda first, now: take(first.stats, now.stats) if first.stats and now.stats else None


QUANTITIES: Mapping[str, Quantity] = {
    "fall of the run rate": _of_stats(lambda first, now: first["run_rate"] - now["run_rate"]),
    "one answer's share": _of_stats(lambda first, now: now["top_answer_share"] - first["top_answer_share"]),
    "length factor": _of_stats(
        lambda first, now: abs(math.log(max(1e-9, now["mean_answer_char"]) / max(1e-9, first["mean_answer_char"])))
    ),
    "fall of meanings": _of_stats(
        lambda first, now: (
            1 - (now["mean_clusters"] - 1) / max(1e-9, first["mean_clusters"] - 1)
            if first["mean_clusters"] > 1
            else 0.0
        )
    ),
    "KL from the start": lambda first, now: now.kl if now.stats else None,
    "number of the round": lambda first, now: float(now.round) if now.stats else None,
}
"""All are None for a model that nothing sampled from, so that every figure is tried on the same models. The round is no
alarm: it is what every other figure has to beat."""
DRIFT = "KL from the start"


def accuracy(point: Point) -> float:
    """Share of right greedy answers among the judged."""
    judged = [right for right in point.right if right is not None]
    return sum(judged) / len(judged) if judged else math.nan


def fallen(run: Run) -> list[bool]:
    """Whether each model lies `FALL` below the best one before it; a run may come back."""
    found, best = [], -math.inf
    for point in run:
        now = accuracy(point)
        found.append(now <= best - FALL + 1e-9)
        best = max(best, now)
    return found


def turned(run: Run) -> int | None:
    """The first model that has turned down; None if the truth never does."""
    return next((point.round for point, down in zip(run, fallen(run), strict=True) if down), None)


def alarmed(run: Run) -> int | None:
    """The first model whose samples set off an alarm."""
    return next((point.round for point in run if point.alarms), None)


def by_seed(run: Run) -> str:
    """Holds a seed's runs out together."""
    return str(run[0].seed)


def by_task(run: Run) -> str:
    """Holds a task's runs out together: would limits carry over to a task they were not set on?"""
    return run[0].task


@dataclass(frozen=True, slots=True)
class Held:
    """A limit set on other runs and tried on these.

    Attributes:
        limits: The limit of each part that was held out.
        models: (turned down, those beyond the limit, healthy, those beyond the limit).
        runs: (turned down, those with a model beyond the limit no later than that, never turned down, those of them
            with a model beyond the limit).
    """

    limits: tuple[float, ...]
    models: tuple[int, int, int, int]
    runs: tuple[int, int, int, int]


def limit_of(runs: Sequence[Run], quantity: Quantity, at: float = AT) -> float | None:
    """The quantile of a quantity over the healthy models of runs; None if there are none."""
    healthy = [value for value, down, fine in _values(runs, quantity) if fine and not down]
    return float(np.quantile(healthy, at)) if healthy else None


def _parts(runs: Runs, part: Part) -> list[tuple[list[Run], list[Run]]]:
    """For every part: its own runs, and all others."""
    names = sorted({part(run) for run in runs.values()})
    split = [([r for r in runs.values() if part(r) == n], [r for r in runs.values() if part(r) != n]) for n in names]
    return [(own, others) for own, others in split if others]


def held_out(runs: Runs, quantity: Quantity, part: Part = by_seed, at: float = AT) -> Held:
    """Set a quantity's limit on the runs of all other parts, try it on each part's own.

    Args:
        runs: Cell to its points.
        quantity: How alarming a model is.
        part: What a run is held out with.
        at: Which quantile of the healthy models of the other parts the limit is.
    """
    limits, models, whole = [], np.zeros(4, dtype=int), np.zeros(4, dtype=int)
    for own, others in _parts(runs, part):
        limit = limit_of(others, quantity, at)
        if limit is None:
            continue
        limits.append(limit)
        for value, down, fine in _values(own, quantity):
            models += [down, down and value > limit, fine and not down, fine and not down and value > limit]
        for run in own:
            down_at, rang = turned(run), _first_beyond(run, quantity, limit)
            told = rang is not None and (down_at is None or rang <= down_at)
            whole += [down_at is not None, down_at is not None and told, down_at is None, down_at is None and told]
    return Held(tuple(limits), _four(models), _four(whole))


def _four(counts: Any) -> tuple[int, int, int, int]:
    first, second, third, fourth = (int(count) for count in counts)
    return first, second, third, fourth


def _first_beyond(run: Run, quantity: Quantity, limit: float) -> int | None:
    values = [(point.round, quantity(run[0], point)) for point in run[1:]]
    return next((number for number, value in values if value is not None and value > limit), None)


def separation(runs: Sequence[Run], quantity: Quantity) -> float:
    """Chance that a model that had turned down looks worse than a healthy one (AUC, ties count half); nan if none."""
    values = _values(runs, quantity)
    down = np.array([value for value, fell, _ in values if fell])
    healthy = np.array([value for value, fell, fine in values if fine and not fell])
    if not len(down) or not len(healthy):
        return math.nan
    return float(np.mean((down[:, None] > healthy) + 0.5 * (down[:, None] == healthy)))


def _values(runs: Sequence[Run], quantity: Quantity) -> list[tuple[float, bool, bool]]:
    """Of each model after the start that has a value: the value, whether it has turned down, whether it is healthy."""
    found = []
    for run in runs:
        for point, down in list(zip(run, fallen(run), strict=True))[1:]:
            value = quantity(run[0], point)
            if value is not None:
                found.append((value, down, accuracy(point) >= accuracy(run[0]) - HEALTHY))
    return found


def went_back(runs: Runs, part: Part) -> dict[str, Point]:
    """Cell to its last model before the first beyond the limit on KL that the other parts' healthy models set.

    A rule for looking back on a finished run. The recipe's ``kl_base_cap`` is not quite that: it ends the run within
    the round that goes beyond, on that round's own samples, and keeps that round's model.
    """
    found = {}
    for own, others in _parts(runs, part):
        limit = limit_of(others, QUANTITIES[DRIFT])
        if limit is not None:
            for run in own:
                beyond = next((number for number, point in enumerate(run) if point.kl > limit), len(run))
                found[run[0].cell] = run[max(0, beyond - 1)]
    return found


def gain_over_last(runs: Runs, kept: Mapping[str, Point], items: Sequence[tuple[str, str]]) -> Estimate:
    """Accuracy of the kept models less that of the runs' last ones; arms of a seed share a start and are averaged.

    Args:
        runs: Runs of one task.
        kept: Cell to the model that is kept instead of the last.
        items: Item id and cluster of what they answered.
    """
    cells = [cell for cell in runs if cell in kept]
    scores = []
    for chosen in ([kept[cell] for cell in cells], [runs[cell][-1] for cell in cells]):
        seeds = sorted({point.seed for point in chosen})
        mean = [np.mean([_right(point) for point in chosen if point.seed == seed], axis=0) for seed in seeds]
        ids, clusters = (tuple(part) for part in zip(*items, strict=True))
        scores.append(Scores(np.array(mean), ids, clusters, tuple(seeds)))
    return difference(*scores)


def _right(point: Point) -> list[float]:
    return [0.0 if right is None else float(right) for right in point.right]


def alarm_lines(runs: Runs, items: Mapping[str, Sequence[tuple[str, str]]]) -> list[str]:
    """The part of a trace's page that says what alarms told."""
    down = {cell: turned(run) for cell, run in runs.items()}
    rang = {cell: alarmed(run) for cell, run in runs.items()}
    fell = [cell for cell in runs if down[cell] is not None]
    early = [cell for cell in fell if rang[cell] is not None and (rang[cell] or 0) <= (down[cell] or 0)]
    late = [cell for cell in fell if rang[cell] is not None and cell not in early]
    false = [cell for cell in runs if rang[cell] is not None and down[cell] is None]
    tasks = sorted({run[0].task for run in runs.values()})
    parts = {"seeds": by_seed} | ({"tasks": by_task} if len(tasks) > 1 else {})
    lines = [
        "## Would an alarm have told?",
        "",
        f"*Turned down*: a model {100 * FALL:.0f} points or more below the best before it. Of {len(runs)} runs "
        f"{len(fell)} turned down; by today's limits an alarm went off no later than that in {len(early)},",
        f"later in {len(late)}, never in {len(fell) - len(early) - len(late)}; {len(false)} runs set one off without "
        "turning down.",
    ]
    if not fell:
        return [*lines, "", "No run turned down, so nothing here says what would have told."]
    lines += [
        "",
        "What limits *could* have told, set afterwards. AUC: chance that a model that had turned down looks worse than "
        "a healthy one (no more",
        f"than {100 * HEALTHY:.0f} points below the start); below 0.5 the figure moves the other way. Limits: what "
        f"{100 * AT:.0f} % of the healthy models of the other runs",
        "stay below, tried on the rest: models caught, false alarms. All figures are judged on the same models, of few "
        "runs. The number of",
        "the round is no alarm, but what an alarm has to beat.",
        "",
        "| figure | AUC " + " | AUC ".join(tasks) + "".join(f" | limits of the other {word}" for word in parts) + " |",
        "|---|" + "--:|" * (len(tasks) + len(parts)),
    ]
    for name, quantity in QUANTITIES.items():
        aucs = [separation([run for run in runs.values() if run[0].task == task], quantity) for task in tasks]
        cells = ["–" if math.isnan(auc) else f"{auc:.2f}" for auc in aucs]
        cells += [_models(held_out(runs, quantity, part)) for part in parts.values()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    for word, part in parts.items():
        held = held_out(runs, QUANTITIES[DRIFT], part)
        if held.limits:
            fell_runs, told, sound, stopped = held.runs
            lines += [
                "",
                f"By KL and limits of the other {word}: told no later than the turn in {told} of {fell_runs} runs that "
                f"turned down; {stopped} of {sound} others stopped for nothing.",
            ]
    lines += ["", *_keeping(runs, parts, items)]
    best = sorted(max(run, key=accuracy).kl for run in runs.values())
    turns = sorted(next(point.kl for point in runs[cell] if point.round == down[cell]) for cell in fell)
    lines += ["", f"KL of each run's best model: {_listed(best)}; of the models that turned down: {_listed(turns)}."]
    return lines


def _models(held: Held) -> str:
    if not held.limits:
        return "–"
    low, high = min(held.limits), max(held.limits)
    limit = f"{low:.2f}" if f"{low:.2f}" == f"{high:.2f}" else f"{low:.2f} to {high:.2f}"
    down, caught, healthy, false = held.models
    return f"{limit}: {caught} of {down}, false {false} of {healthy}"


def _keeping(runs: Runs, parts: Mapping[str, Part], items: Mapping[str, Sequence[tuple[str, str]]]) -> list[str]:
    """What it would have been worth to keep an earlier model than the last, by KL or by the clock."""
    tasks = sorted({run[0].task for run in runs.values()})
    rules: dict[str, dict[str, Point]] = {
        f"last one within the limit of KL of the other {word}": went_back(runs, part) for word, part in parts.items()
    }
    for number in range(1, min(len(run) for run in runs.values()) - 1):
        rules[f"the one after round {number}"] = {cell: run[number] for cell, run in runs.items()}
    lines = [
        "Keeping another model than the last, in points against the last (exploratory: many looks at few runs; arms of "
        "a seed averaged):",
        "",
        "| kept | " + " | ".join(tasks) + " |",
        "|---|" + "--:|" * len(tasks),
    ]
    for rule, kept in rules.items():
        cells = []
        for task in tasks:
            mine = {cell: run for cell, run in runs.items() if run[0].task == task and cell in kept}
            cells.append(interval(gain_over_last(mine, kept, items[task])) if mine else "–")
        lines.append(f"| {rule} | " + " | ".join(cells) + " |")
    return lines


def _listed(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in values) or "none"


def interval(est: Estimate, scale: float = 100, digits: int = 1) -> str:
    """A difference with its interval, by default in points; 0 where nothing differs."""
    return (
        f"{scale * est.value:+.{digits}f} [{scale * est.low:+.{digits}f}, {scale * est.high:+.{digits}f}]"
        if est.se or est.value
        else f"{0:.{digits}f}"
    )
