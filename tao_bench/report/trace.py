"""The page of a trace: signal and truth over the drift of every arm, and whether an alarm would have told."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tao_bench.report.figures import BASE, GRID, MAJ, SFT, TAO, canvas, save
from tao_bench.stats import Estimate, Scores, contrast, difference
from tao_bench.trace import Point, read_trace

FALL = 0.05
"""A model this far below the best one before it has turned down: 5 points of accuracy, twice the paired noise of 300
items."""
HEALTHY = 0.02
"""A model at most this far below the start is a healthy one, on which an alarm is a false one."""
KEY = ((0.96, "truth, %", TAO), (0.89, "signal × 100", MAJ), (0.82, "○ alarm", SFT), (0.75, "start", BASE))
"""What the colours of a panel mean: height, words, colour."""

Runs = Mapping[str, Sequence[Point]]
"""Cell to its points, in order."""
Quantity = Callable[[Point, Point], float | None]
"""(the starting model, a later one) to how alarming it is; larger is worse, None where nothing sampled from it."""


def _of_stats(take: Callable[[Mapping[str, Any], Mapping[str, Any]], float]) -> Quantity:
    """A quantity of what tuning sees of both models' samples on the pool."""
    return lambda first, now: take(first.stats, now.stats) if first.stats and now.stats else None


def _drifted(first: Point, now: Point) -> float:
    return now.kl


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
    "KL from the start": _drifted,
}


def runs_of(points: Sequence[Point]) -> dict[str, list[Point]]:
    """Points by cell, in the order of the rounds."""
    found: dict[str, list[Point]] = {}
    for point in points:
        found.setdefault(point.cell, []).append(point)
    return {cell: sorted(mine, key=lambda point: point.round) for cell, mine in found.items()}


def accuracy(point: Point) -> float:
    """Share of right greedy answers among the judged."""
    judged = [right for right in point.right if right is not None]
    return sum(judged) / len(judged) if judged else math.nan


def turned(run: Sequence[Point]) -> int | None:
    """The first model that lies `FALL` below the best one before it; None if the truth never turns down."""
    best = accuracy(run[0])
    for point in run[1:]:
        now = accuracy(point)
        if now <= best - FALL + 1e-9:
            return point.round
        best = max(best, now)
    return None


def alarmed(run: Sequence[Point]) -> int | None:
    """The first model whose samples set off an alarm."""
    return next((point.round for point in run if point.alarms), None)


@dataclass(frozen=True, slots=True)
class Held:
    """A limit set on other runs and tried on these.

    Attributes:
        limit: The limit, mean over the parts held out.
        fallen: Models that had turned down and whose samples are known.
        caught: Those of them beyond the limit.
        healthy: Healthy models.
        false: Those of them beyond the limit.
    """

    limit: float
    fallen: int
    caught: int
    healthy: int
    false: int


def by_seed(run: Sequence[Point]) -> str:
    """Holds a seed's runs out together."""
    return str(run[0].seed)


def by_task(run: Sequence[Point]) -> str:
    """Holds a task's runs out together: would limits carry over to a task they were not set on?"""
    return run[0].task


def held_out(runs: Runs, quantity: Quantity, part: Callable[[Sequence[Point]], str] = by_seed, at: float = 1.0) -> Held:
    """Set a quantity's limit on the runs of all other parts, try it on each part's own.

    Args:
        runs: Cell to its points.
        quantity: How alarming a model is.
        part: What a run is held out with.
        at: Which quantile of the healthy models of the other parts the limit is: 1 for the highest, so that none of
            *them* would have been stopped for nothing, though a single odd one then sets it; 0.95 gives up one of 20.
    """
    limits, counts = [], np.zeros(4, dtype=int)
    for name in sorted({part(run) for run in runs.values()}):
        others = _values([run for run in runs.values() if part(run) != name], quantity)
        healthy = [value for value, down, fine in others if fine and not down]
        if not healthy:
            continue
        limit = float(np.quantile(healthy, at))
        limits.append(limit)
        for value, down, fine in _values([run for run in runs.values() if part(run) == name], quantity):
            counts += [down, down and value > limit, fine and not down, fine and not down and value > limit]
    return Held(float(np.mean(limits)) if limits else math.nan, *(int(count) for count in counts))


def ended_by_drift(runs: Runs, part: Callable[[Sequence[Point]], str], at: float = 0.95) -> list[tuple[Point, Point]]:
    """What a cap on KL would have kept: each run's last model before the first beyond the cap, and its last model.

    The cap is set on the healthy models of the other parts, as in `held_out`; runs without one are absent.
    """
    found = []
    for name in sorted({part(run) for run in runs.values()}):
        others = _values([run for run in runs.values() if part(run) != name], _drifted)
        healthy = [value for value, down, fine in others if fine and not down]
        if healthy:
            cap = float(np.quantile(healthy, at))
            for run in (run for run in runs.values() if part(run) == name):
                beyond = next((number for number, point in enumerate(run) if point.kl > cap), len(run))
                found.append((run[max(0, beyond - 1)], run[-1]))
    return found


def separation(runs: Runs, quantity: Quantity) -> float:
    """Chance that a model that had turned down looks worse than a healthy one (AUC, ties count half); nan if none."""
    values = _values(list(runs.values()), quantity)
    fallen = np.array([value for value, down, _ in values if down])
    healthy = np.array([value for value, down, fine in values if fine and not down])
    if not len(fallen) or not len(healthy):
        return math.nan
    return float(np.mean((fallen[:, None] > healthy) + 0.5 * (fallen[:, None] == healthy)))


def _values(runs: Sequence[Sequence[Point]], quantity: Quantity) -> list[tuple[float, bool, bool]]:
    """Of each model that has a value: the value, whether it has turned down by then, whether it is healthy."""
    found = []
    for run in runs:
        down = turned(run)
        for point in run[1:]:
            value = quantity(run[0], point)
            if value is not None:
                fallen = down is not None and point.round >= down
                healthy = accuracy(point) >= accuracy(run[0]) - HEALTHY
                found.append((value, fallen, healthy))
    return found


def _scores(
    points: Sequence[Point], items: Sequence[tuple[str, str]], take: Callable[[Point], Sequence[float]]
) -> Scores:
    rows = np.array([list(take(point)) for point in points], dtype=np.float64)
    known = items[: rows.shape[1]]
    return Scores(rows, tuple(i for i, _ in known), tuple(c for _, c in known), tuple(p.seed for p in points))


def _numbered(points: Sequence[Point], items: Sequence[tuple[str, str]]) -> Scores:
    """Accuracy of runs of several arms, each run a replicate of its own."""
    return _scores([replace(point, seed=at) for at, point in enumerate(points)], items, _right)


def _right(point: Point) -> list[float]:
    return [0.0 if right is None else float(right) for right in point.right]


def _passed(point: Point) -> list[float]:
    return [float(count > 0) for count in point.passed]


def _tokens(point: Point) -> list[float]:
    return [float(tok) for tok in point.completion_tok]


def _interval(est: Estimate, scale: float = 100, digits: int = 1) -> str:
    return (
        f"{scale * est.value:+.{digits}f} [{scale * est.low:+.{digits}f}, {scale * est.high:+.{digits}f}]"
        if est.se or est.value
        else f"{0:.{digits}f}"
    )


def as_markdown(head: Mapping[str, Any], points: Sequence[Point], name: str) -> str:
    """The page."""
    runs = runs_of(points)
    lines = [
        f"# {name}: signal and truth, round by round",
        "",
        f"Made by `{head['command']}`. Truth: greedy accuracy on the first {head['plan']['items']} items of dev.",
        "Signal: the mean label-free reward of the same model's samples on the pool. KL: of the model from the one",
        "that tuning started from, nats per answer token, over its own samples. Differences are paired, over items in",
        "clusters and seeds, with 95 % intervals; they speak of dev.",
        "",
        "![Signal and truth](trace.png)",
        "",
    ]
    tasks = sorted({point.task for point in points})
    items = {task: [(str(i), str(c)) for i, c in head["items"][task]] for task in tasks}
    for task in tasks:
        mine = {cell: run for cell, run in runs.items() if run[0].task == task}
        lines += [f"## {task}", "", *_table(mine, items[task], head["plan"]["samples"]), ""]
    lines += _alarm_lines(runs, items)
    return "\n".join(lines) + "\n"


def _by_arm(runs: Runs) -> dict[str, list[Sequence[Point]]]:
    arms: dict[str, list[Sequence[Point]]] = {}
    for run in runs.values():
        arms.setdefault(run[0].arm, []).append(run)
    return arms


def _table(runs: Runs, items: Sequence[tuple[str, str]], samples: int) -> list[str]:
    passed = f"pass@{samples}, last - start | " if samples else ""
    lines = [
        f"| arm | seeds | KL | signal | truth, start → best → last | last - start | {passed}"
        "tokens an answer, last - start | turned down | alarm |",
        f"|---|--:|--:|---|---|--:|{'--:|' if samples else ''}--:|---|---|",
    ]
    for arm, mine in _by_arm(runs).items():
        first, last = [run[0] for run in mine], [run[-1] for run in mine]
        truth = [[accuracy(point) for point in run] for run in mine]
        start, end, best = (float(np.mean([pick(t) for t in truth])) for pick in (_first, _last, max))
        gain = difference(_scores(last, items, _right), _scores(first[:1], items, _right))
        wide = ""
        if samples:
            wide = _interval(difference(_scores(last, items, _passed), _scores(first[:1], items, _passed))) + " | "
        longer = contrast([(1.0, _scores(last, items, _tokens)), (-1.0, _scores(first[:1], items, _tokens))])
        told = [[point.signal for point in run if point.signal is not None] for run in mine]
        signal = f"{np.mean([t[0] for t in told]):.2f} → {np.mean([t[-1] for t in told]):.2f}" if all(told) else "–"
        lines.append(
            f"| {arm} | {len(mine)} | {np.mean([point.kl for point in last]):.3f} | {signal} | "
            f"{start:.1%} → {best:.1%} → {end:.1%} | {_interval(gain)} | {wide}{_interval(longer, 1)} | "
            f"{_when([turned(run) for run in mine])} | {_when([alarmed(run) for run in mine])} |"
        )
    return lines


def _first(values: Sequence[float]) -> float:
    return values[0]


def _last(values: Sequence[float]) -> float:
    return values[-1]


def _when(found: Sequence[int | None]) -> str:
    """E.g. ``after round 3, 4, –``: one entry a seed."""
    if all(number is None for number in found):
        return "never"
    return "after round " + ", ".join("–" if number is None else str(number) for number in found)


LIMITS: Mapping[str, tuple[Callable[[Sequence[Point]], str], float]] = {
    "highest, other seeds": (by_seed, 1.0),
    "95 %, other seeds": (by_seed, 0.95),
    "95 %, other task": (by_task, 0.95),
}
"""How limits are set: on what other runs, at which quantile of their healthy models."""


def _alarm_lines(runs: Runs, items: Mapping[str, Sequence[tuple[str, str]]]) -> list[str]:
    down = {cell: turned(run) for cell, run in runs.items()}
    rang = {cell: alarmed(run) for cell, run in runs.items()}
    fell = [cell for cell in runs if down[cell] is not None]
    early = [cell for cell in fell if rang[cell] is not None and (rang[cell] or 0) <= (down[cell] or 0)]
    late = [cell for cell in fell if rang[cell] is not None and cell not in early]
    false = [cell for cell in runs if rang[cell] is not None and down[cell] is None]
    lines = [
        "## Would an alarm have told?",
        "",
        f"*Turned down*: a model {100 * FALL:.0f} points or more below the best before it. Of {len(runs)} runs "
        f"{len(fell)} turned down; by today's limits an alarm went off no later than that in {len(early)},",
        f"later in {len(late)}, never in {len(fell) - len(early) - len(late)}; {len(false)} runs set one off without "
        "turning down.",
        "",
        "AUC: chance that a model that had turned down looks worse than a healthy one, by this figure. The limit of a "
        "figure is set on the healthy models",
        "of other runs (their highest value, or the one that 95 % of them stay below) and tried on the rest: caught, "
        "of the models that had turned down / false alarms, of the healthy ones.",
        "",
        "| figure | AUC | " + " | ".join(LIMITS) + " |",
        "|---|--:|" + "--:|" * len(LIMITS),
    ]
    several = len({run[0].task for run in runs.values()}) > 1
    for name, quantity in QUANTITIES.items():
        auc = separation(runs, quantity)
        cells = [
            _held_words(held_out(runs, quantity, part, at)) if several or part is by_seed else "–"
            for part, at in LIMITS.values()
        ]
        lines.append(f"| {name} | {'–' if math.isnan(auc) else f'{auc:.2f}'} | " + " | ".join(cells) + " |")
    for words, part in {"seeds": by_seed, "task": by_task}.items():
        pairs = ended_by_drift(runs, part)
        for task in sorted({kept.task for kept, _ in pairs}):
            mine = [pair for pair in pairs if pair[0].task == task]
            better = difference(*(_numbered([pair[at] for pair in mine], items[task]) for at in (0, 1)))
            lines += [
                "",
                f"{task}: had every run ended with its last model within the 95 % limit of KL of the other {words}, "
                f"{_interval(better)} points against its last round.",
            ]
    best = sorted(max(run, key=accuracy).kl for run in runs.values())
    turns = sorted(next(point.kl for point in runs[cell] if point.round == down[cell]) for cell in fell)
    lines += ["", f"KL of each run's best model: {_listed(best)}; of the models that turned down: {_listed(turns)}."]
    return lines


def _held_words(held: Held) -> str:
    if math.isnan(held.limit):
        return "–"
    return f"{held.limit:.2f}: {held.caught} of {held.fallen} / {held.false} of {held.healthy}"


def _listed(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in values) or "none"


def draw(points: Sequence[Point], out: Path) -> None:
    """One panel an arm and task: accuracy and signal of every seed over the root of the KL; rings are alarms."""
    runs = runs_of(points)
    several = len({point.task for point in points}) > 1
    panels: dict[str, list[list[Point]]] = {}
    for run in runs.values():
        panels.setdefault(f"{run[0].arm}, {run[0].task}" if several else run[0].arm, []).append(run)
    top = max(math.sqrt(max(0.0, point.kl)) for point in points) or 1.0
    shown = [100 * accuracy(point) for point in points] + [
        100 * point.signal for point in points if point.signal is not None
    ]
    low, high = max(0.0, min(shown) - 5), min(100.0, max(shown) + 5)
    with canvas([2.5] * len(panels), [0.35] * (len(panels) - 1) + [1.3]) as (figure, axes):
        for axis, (title, mine) in zip(axes, panels.items(), strict=True):
            for path in mine:
                x = [math.sqrt(max(0.0, point.kl)) for point in path]
                axis.plot(x, [100 * accuracy(point) for point in path], "o-", color=TAO, lw=1.6, ms=3.2, alpha=0.85)
                told = [(at, 100 * p.signal) for at, p in zip(x, path, strict=True) if p.signal is not None]
                axis.plot([at for at, _ in told], [y for _, y in told], "o-", color=MAJ, lw=1.2, ms=2.6, alpha=0.7)
                rings = [(at, 100 * accuracy(p)) for at, p in zip(x, path, strict=True) if p.alarms]
                axis.plot([at for at, _ in rings], [y for _, y in rings], "o", ms=9, mfc="none", mec=SFT, mew=1.6)
            axis.axhline(100 * accuracy(mine[0][0]), color=BASE, lw=1, dashes=(5, 3))
            axis.set_title(textwrap.fill(title, 30), fontsize=8.5)
            axis.set_xlim(-0.03 * top, 1.06 * top)
            axis.set_ylim(low, high)
            axis.grid(color=GRID)
            axis.set_xlabel("root of KL from the start")
            if axis is not axes[0]:
                axis.tick_params(labelleft=False)
        for y, text, colour in KEY:
            axes[-1].text(
                1.03, y, text, transform=axes[-1].transAxes, color=colour, fontsize=8.5, fontweight="bold", va="top"
            )
        save(figure, out, "trace")


def write_trace_page(stored: Path, out: Path) -> Path:
    """Write ``trace.md`` and the figure from ``results/trace/<experiment>.jsonl``; returns the page's path."""
    head, points = read_trace(stored)
    out.mkdir(parents=True, exist_ok=True)
    draw(points, out)
    path = out / "trace.md"
    path.write_text(as_markdown(head, points, stored.stem), encoding="utf-8")
    return path
