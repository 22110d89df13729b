"""The page of a trace: signal and truth over the drift of every arm, and whether an alarm would have told."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
    "KL from the start": lambda first, now: now.kl,
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
        limit: Highest value on any healthy model of the other runs, mean over the runs held out.
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


def held_out(runs: Runs, quantity: Quantity) -> Held:
    """Set a quantity's limit on the runs of all other seeds, try it on each seed's own.

    The limit is the highest value that a healthy model of the other seeds reached, so that none of *them* would have
    been stopped for nothing.
    """
    seeds = sorted({run[0].seed for run in runs.values()})
    limits, counts = [], np.zeros(4, dtype=int)
    for seed in seeds:
        values = {own: list(_values(runs, quantity, seed, own)) for own in (False, True)}
        limit = max((value for value, down, fine in values[False] if fine and not down), default=math.nan)
        if math.isnan(limit):
            continue
        limits.append(limit)
        for value, down, fine in values[True]:
            counts += [down, down and value > limit, fine and not down, fine and not down and value > limit]
    return Held(float(np.mean(limits)) if limits else math.nan, *(int(count) for count in counts))


def _values(runs: Runs, quantity: Quantity, seed: int, own: bool) -> list[tuple[float, bool, bool]]:
    """Of the runs of a seed (or of all others): value, whether it has turned down by then, whether it is healthy."""
    found = []
    for run in runs.values():
        if (run[0].seed == seed) is not own:
            continue
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
    for task in sorted({point.task for point in points}):
        items = [(str(i), str(c)) for i, c in head["items"][task]]
        mine = {cell: run for cell, run in runs.items() if run[0].task == task}
        lines += [f"## {task}", "", *_table(mine, items, head["plan"]["samples"]), ""]
    lines += _alarm_lines(runs)
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


def _alarm_lines(runs: Runs) -> list[str]:
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
        "Limits set on the other seeds (the highest value of any healthy model there), tried on each seed in turn:",
        "",
        "| figure | limit | models that had turned down: caught | healthy models: false alarms |",
        "|---|--:|--:|--:|",
    ]
    for name, quantity in QUANTITIES.items():
        held = held_out(runs, quantity)
        limit = "–" if math.isnan(held.limit) else f"{held.limit:.2f}"
        lines.append(f"| {name} | {limit} | {held.caught} of {held.fallen} | {held.false} of {held.healthy} |")
    best = sorted(max(run, key=accuracy).kl for run in runs.values())
    turns = sorted(next(point.kl for point in runs[cell] if point.round == down[cell]) for cell in fell)
    lines += ["", f"KL of each run's best model: {_listed(best)}; of the models that turned down: {_listed(turns)}."]
    return lines


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
