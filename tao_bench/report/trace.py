"""The page of a trace: signal and truth over the drift of every arm, and whether an alarm would have told."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tao_bench.report.alarms import Runs, accuracy, alarm_lines, alarmed, interval, turned
from tao_bench.report.figures import BASE, GRID, MAJ, SFT, TAO, canvas, save
from tao_bench.stats import Scores, contrast, difference
from tao_bench.trace import Point, read_trace

KEY = ((0.96, "truth, %", TAO), (0.89, "signal × 100", MAJ), (0.82, "○ alarm", SFT), (0.75, "start", BASE))
"""What the colours of a panel mean: height, words, colour."""


def runs_of(points: Sequence[Point]) -> dict[str, list[Point]]:
    """Points by cell, in the order of the rounds."""
    found: dict[str, list[Point]] = {}
    for point in points:
        found.setdefault(point.cell, []).append(point)
    return {cell: sorted(mine, key=lambda point: point.round) for cell, mine in found.items()}


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


def _drifted_over(plan: Mapping[str, Any]) -> str:
    """What KL was measured on: a capped number of prompts (`tao.training.drift`)."""
    return "samples on dev" if plan["samples"] else "greedy answers on dev"


def as_markdown(head: Mapping[str, Any], points: Sequence[Point], name: str) -> str:
    """The page."""
    runs = runs_of(points)
    lines = [
        f"# {name}: signal and truth, round by round",
        "",
        f"Made by `{head['command']}`. Truth: greedy accuracy on the first {head['plan']['items']} items of dev.",
        "Signal: the mean label-free reward of the same model's samples on the pool. KL: of the model from the one",
        f"that tuning started from, nats per answer token, over its own {_drifted_over(head['plan'])}. Differences are",
        "paired, over items in clusters and seeds, with 95 % intervals; they speak of dev.",
        "",
        "![Signal and truth](trace.png)",
        "",
    ]
    tasks = sorted({point.task for point in points})
    items = {task: [(str(i), str(c)) for i, c in head["items"][task]] for task in tasks}
    for task in tasks:
        mine = {cell: run for cell, run in runs.items() if run[0].task == task}
        lines += [f"## {task}", "", *_table(mine, items[task], head["plan"]["samples"]), ""]
    lines += alarm_lines(runs, items)
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
            wide = interval(difference(_scores(last, items, _passed), _scores(first[:1], items, _passed))) + " | "
        longer = contrast([(1.0, _scores(last, items, _tokens)), (-1.0, _scores(first[:1], items, _tokens))])
        told = [[point.signal for point in run if point.signal is not None] for run in mine]
        signal = f"{np.mean([t[0] for t in told]):.2f} → {np.mean([t[-1] for t in told]):.2f}" if all(told) else "–"
        lines.append(
            f"| {arm} | {len(mine)} | {np.mean([point.kl for point in last]):.3f} | {signal} | "
            f"{start:.1%} → {best:.1%} → {end:.1%} | {interval(gain)} | {wide}{interval(longer, 1)} | "
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
