"""The scaling figures: accuracy against tuning compute, and against labels. SVG with text as text, and PNG.

matplotlib is imported when a figure is drawn. Its own bundled font is used, so that the same results
give the same bytes on every machine.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tao_bench.report.analysis import ArmReport, Curve, TaskReport
from tao_bench.report.words import labels_text, percent, unit_of
from tao_bench.stats import Estimate

INK, MUTED, GRID, PAPER = "#1d2129", "#646b78", "#e4e6ea", "#ffffff"
BASE, MAJ, SFT, TAO = "#6b7280", "#00856a", "#c2520c", "#0067b1"
OTHER = ("#8a4fa3", "#a8770d", "#3a7d8c", "#b8406f", "#5f6b16")
"""Hues told apart with the common colour-vision deficiencies (darkened Okabe-Ito)."""

STYLE: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.facecolor": PAPER,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.labelcolor": MUTED,
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "figure.dpi": 100,
    "figure.facecolor": PAPER,
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "lines.solid_capstyle": "round",
    "path.simplify": False,
    "savefig.facecolor": PAPER,
    "svg.fonttype": "none",
    "svg.hashsalt": "tao-bench",
    "text.color": INK,
    "xtick.color": MUTED,
    "xtick.labelsize": 8.5,
    "xtick.major.size": 3,
    "xtick.minor.size": 0,
    "ytick.color": MUTED,
    "ytick.labelsize": 8.5,
    "ytick.left": False,
}
_PNG_DPI = 200
NAMES = 1.5
"""Inches right of a panel for the names of its lines, at least."""
_LETTER = 0.085
"""Inches a bold letter of those names takes at most."""


@contextlib.contextmanager
def canvas(widths: Sequence[float], gaps: Sequence[float]) -> Iterator[tuple[Any, list[Any]]]:
    """A figure with one row of panels in the house style; it is gone afterwards.

    Args:
        widths: Width of every panel, in inches.
        gaps: Space right of every panel, in inches (names of the lines go there).
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    left, bottom, height, total = 0.45, 0.58, 2.85, 3.85
    width = left + sum(widths) + sum(gaps)
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        figure = Figure(figsize=(width, total))
        FigureCanvasAgg(figure)
        axes = []
        for i in range(len(widths)):
            x = left + sum(widths[:i]) + sum(gaps[:i])
            axes.append(figure.add_axes((x / width, bottom / total, widths[i] / width, height / total)))
        yield figure, axes


WIDE = 0.4
"""Width of an interval (share of items) from which it does not stretch the axis."""


def save(figure: Any, out: Path, name: str) -> None:
    """Write a figure as ``<name>.svg`` and ``<name>.png``, the same bytes whenever it is drawn."""
    figure.savefig(out / f"{name}.svg", metadata={"Date": None, "Creator": None})
    figure.savefig(out / f"{name}.png", dpi=_PNG_DPI, metadata={"Software": None})


def draw_task(report: TaskReport, out: Path, name: str, among: Sequence[TaskReport] = ()) -> bool:
    """Draw one task: compute on the left, labels on the right (if there is SFT). False if there is nothing to draw.

    Args:
        report: The task.
        out: Where the files go.
        name: Theirs, without an ending.
        among: All tasks of the experiment, so that an arm has one colour in all figures.
    """
    if not _drawable(report):
        return False
    both = bool(report.sft) and report.headline is not None
    scale, unit = _scale([report])
    colours = _colours([r for r in among if _drawable(r)] or [report])
    widths, gaps = ([4.7, 2.3], [_room(report), 0.3]) if both else ([5.4], [_room(report)])
    with canvas(widths, gaps) as (figure, axes):
        _compute_panel(axes[0], report, scale, unit, colours)
        axes[0].set_title(f"{report.task}: accuracy against tuning compute, %")
        if both:
            _labels_panel(axes[1], report)
            axes[1].set_title("against labels, %")
            axes[1].tick_params(labelleft=False)
        low, high = _limits([report])
        for axis in axes:
            axis.set_ylim(low, high)
        _end_labels(axes[0], report, colours)
        save(figure, out, name)
    return True


def draw_all(reports: Sequence[TaskReport], out: Path, name: str) -> bool:
    """Draw all tasks' compute curves side by side. False if there is nothing to draw."""
    shown = [r for r in reports if _drawable(r)]
    colours = _colours(shown)
    if not shown:
        return False
    scale, unit = _scale(shown)
    rooms = [_room(report) for report in shown]
    with canvas([4.0] * len(shown), [room + 0.35 for room in rooms[:-1]] + rooms[-1:]) as (figure, axes):
        for axis, report in zip(axes, shown, strict=True):
            _compute_panel(axis, report, scale, unit, colours)
            axis.set_title(f"{report.task}: accuracy, %")
            axis.set_ylim(*_limits([report]))
            _end_labels(axis, report, colours)
        save(figure, out, name)
    return True


def _drawable(report: TaskReport) -> bool:
    return any(arm.flop > 0 for arm in report.arms)


def _scale(reports: Sequence[TaskReport]) -> tuple[float, str]:
    return unit_of(arm.flop for report in reports for arm in report.arms)


def _limits(reports: Sequence[TaskReport]) -> tuple[float, float]:
    """Y range over what is drawn, with room for names; intervals wider than `WIDE` run off the edge."""
    lows, highs = [], []
    for report in reports:
        for arm in report.arms:
            lows += arm.scores.seed_means.tolist()
            highs += arm.scores.seed_means.tolist()
            if arm.accuracy.high - arm.accuracy.low <= WIDE:
                lows.append(arm.accuracy.low)
                highs.append(arm.accuracy.high)
    low, high = 100 * min(lows), 100 * max(highs)
    room = max(2.0, 0.07 * (high - low))
    return max(-4.0, low - room), min(105.0, high + room)


def _colours(reports: Sequence[TaskReport]) -> dict[str, str]:
    """A colour for each further curve, by its last arm's name: the same in every panel."""
    names = dict.fromkeys(curve.arms[-1].label for report in reports for curve in report.others)
    return {name: OTHER[i % len(OTHER)] for i, name in enumerate(names)}


def _compute_panel(axis: Any, report: TaskReport, scale: float, unit: str, colours: Mapping[str, str]) -> None:
    for arm, colour in ((report.base, BASE), (report.maj, MAJ)):
        if arm is not None:
            _level_line(axis, arm.accuracy, colour)
    for curve in report.others:
        _curve(axis, curve.arms, scale, colours[curve.arms[-1].label])
    sft = [arm for arm in report.sft if arm.flop > 0]
    # Small label sets repeat until a minimum of steps, so several counts may cost the same: bars, no band.
    _curve(axis, sft, scale, SFT, hollow=True, bars=True)
    for arm in sft:
        at = (arm.flop / scale, 100 * arm.accuracy.value)
        _note(axis, f"{arm.labels:,}", at, (5, -11), SFT)
    if sft:
        _name_sft(axis, sft[-1], report.curve, scale)
    if report.curve is not None:
        _curve(axis, report.curve.arms, scale, TAO)
    axis.set_xscale("log")
    _log_ticks(axis, [arm.flop / scale for arm in report.arms if arm.flop > 0])
    axis.set_xlabel(f"tuning compute, {unit} (model FLOPs, log scale)")


def _name_sft(axis: Any, last: ArmReport, curve: Curve | None, scale: float) -> None:
    """The name of the SFT curve at its end, on the side where TAO's curve is not."""
    at = (last.flop / scale, 100 * last.accuracy.value)
    text = f"SFT {percent(last.accuracy.value)}"
    rival = -1.0
    if curve is not None:
        logs = [math.log(arm.flop) for arm in curve.arms if arm.flop > 0]
        means = [arm.accuracy.value for arm in curve.arms if arm.flop > 0]
        rival = float(np.interp(math.log(last.flop), logs, means)) if logs else -1.0
    _note(axis, text, at, (-7, 6) if last.accuracy.value >= rival else (7, -22), SFT, strong=True)


def _level_line(axis: Any, est: Estimate, colour: str) -> None:
    axis.axhspan(100 * est.low, 100 * est.high, color=colour, alpha=0.10, linewidth=0)
    axis.axhline(100 * est.value, color=colour, linewidth=1.2, dashes=(5, 3))


def _curve(
    axis: Any, arms: Sequence[ArmReport], scale: float, colour: str, *, hollow: bool = False, bars: bool = False
) -> None:
    """Band (or bars), mean line, and every seed as a small dot at its own compute."""
    drawn = [arm for arm in arms if arm.flop > 0]
    if not drawn:
        return
    x = [arm.flop / scale for arm in drawn]
    _series(axis, x, [arm.accuracy for arm in drawn], colour, hollow=hollow, bars=bars)
    for arm in drawn:
        if len(arm.cells) > 1:
            x = [flop / scale for flop in arm.model_flop]
            axis.plot(x, 100 * arm.scores.seed_means, "o", ms=2.6, color=colour, alpha=0.55, mew=0, zorder=3)


def _series(
    axis: Any,
    x: Sequence[float],
    estimates: Sequence[Estimate],
    colour: str,
    *,
    hollow: bool = False,
    bars: bool = False,
) -> None:
    low, high = [100 * e.low for e in estimates], [100 * e.high for e in estimates]
    mean = [100 * e.value for e in estimates]
    if len(x) > 1 and not bars:
        axis.fill_between(x, low, high, color=colour, alpha=0.14, linewidth=0, zorder=2)
    else:
        axis.vlines(x, low, high, color=colour, linewidth=1.2, alpha=0.6, zorder=2)
    face = PAPER if hollow else colour
    axis.plot(x, mean, "-", color=colour, linewidth=1.9, zorder=4)
    axis.plot(x, mean, "o", ms=5.5, mfc=face, mec=colour, mew=1.5, zorder=5)


def _labels_panel(axis: Any, report: TaskReport) -> None:
    tao, est = report.headline, report.equivalent
    assert tao is not None
    if report.base is not None:
        _level_line(axis, report.base.accuracy, BASE)
    axis.axhspan(100 * tao.accuracy.low, 100 * tao.accuracy.high, color=TAO, alpha=0.12, linewidth=0)
    axis.axhline(100 * tao.accuracy.value, color=TAO, linewidth=1.9)
    counts = [arm.labels for arm in report.sft]
    _series(axis, counts, [arm.accuracy for arm in report.sft], SFT, hollow=True)
    for arm in report.sft:
        if len(arm.cells) > 1:
            x = [arm.labels] * len(arm.cells)
            axis.plot(x, 100 * arm.scores.seed_means, "o", ms=2.6, color=SFT, alpha=0.55, mew=0, zorder=3)
    axis.set_xscale("log")
    _log_ticks(axis, counts, exact=counts)
    axis.set_xlabel("labels used by SFT (log scale)")
    if est is None:
        return
    height, text = 100 * tao.accuracy.value, f"TAO: {labels_text(est.value, est)} labels"
    if math.isfinite(est.value):
        axis.plot([est.value], [height], "D", ms=6, mfc=PAPER, mec=INK, mew=1.3, zorder=6)
        left = math.log(est.value) < (math.log(counts[0]) + math.log(counts[-1])) / 2
        _note(axis, text, (est.value, height), (7, -12) if left else (-7, 6), INK)
    else:
        _note(axis, text, (counts[0], height), (1, 5), INK)


def _note(
    axis: Any, text: str, at: tuple[float, float], shift: tuple[float, float], colour: str, *, strong: bool = False
) -> None:
    """A small direct label, to the side it is shifted to."""
    axis.annotate(
        text, at, xytext=shift, textcoords="offset points", color=colour, zorder=7,
        ha="left" if shift[0] > 0 else "right",
        fontsize=8.5 if strong else 7.5, fontweight="bold" if strong else "normal",
    )  # fmt: skip


def _log_ticks(axis: Any, values: Sequence[float], exact: Sequence[float] | None = None) -> None:
    """Ticks at 1, 3, 10, 30 ..., or at given places; plain numbers; room at both ends."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

    low, high = min(values), max(values)
    room = 3.5 if high / low < 1.01 else max(1.15, (high / low) ** 0.06)
    axis.set_xlim(low / room, high * room)
    if exact is None:
        decades = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
        ticks = [m * 10.0**d for d in decades for m in (1, 3)]
        if 1.01 <= high / low < 4:
            ticks = [m * 10.0**d for d in decades for m in (1, 2, 3, 5, 7)]
        if sum(low / room <= tick <= high * room for tick in ticks) < 2:
            ticks = list(MaxNLocator(4).tick_values(low / room, high * room))
    else:
        ticks = list(exact)
    axis.xaxis.set_major_locator(FixedLocator(ticks))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axis.set_xlim(low / room, high * room)


def _room(report: TaskReport) -> float:
    """Inches that the longest name at a panel's right edge needs."""
    return max([NAMES, *(0.1 + _LETTER * len(text) for _, text, _ in _end_names(report, _colours([report])))])


def _end_names(report: TaskReport, colours: Mapping[str, str]) -> list[tuple[float, str, str]]:
    """Accuracy in %, name and colour of every line that ends at a panel's right edge."""
    wanted: list[tuple[float, str, str]] = []
    for arm, colour in ((report.base, BASE), (report.maj, MAJ)):
        if arm is not None:
            wanted.append((100 * arm.accuracy.value, f"{arm.label} {percent(arm.accuracy.value)}", colour))
    curves: list[tuple[Curve, str]] = [(c, colours[c.arms[-1].label]) for c in report.others]
    if report.curve is not None:
        curves.append((report.curve, TAO))
    for curve, colour in curves:
        last = curve.arms[-1]
        name = "TAO" if curve is report.curve and not report.others else last.label
        wanted.append((100 * last.accuracy.value, f"{name} {percent(last.accuracy.value)}", colour))
    return wanted


def _end_labels(axis: Any, report: TaskReport, colours: Mapping[str, str]) -> None:
    """Names at the right edge, in the colour of what they name, pushed apart where they would touch."""
    wanted = _end_names(report, colours)
    low, high = axis.get_ylim()
    step = 0.052 * (high - low)
    wanted.sort()
    places = [y for y, _, _ in wanted]
    for _ in range(200):
        for i in range(len(places) - 1):
            short = step - (places[i + 1] - places[i])
            if short > 0:
                places[i] -= short / 2
                places[i + 1] += short / 2
    for y, (_, text, colour) in zip(places, wanted, strict=True):
        axis.text(
            1.015, y, text, transform=axis.get_yaxis_transform(), va="center", ha="left", fontsize=8.5,
            color=colour, fontweight="bold", clip_on=False,
        )  # fmt: skip
