"""The page on a task's label-free signals: a table of AUCs and a reliability diagram."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tao_bench.report.figures import GRID, MAJ, MUTED, TAO, canvas, save
from tao_bench.signals import Bin, Quality


def _figure(value: float, low: float | None = None, high: float | None = None) -> str:
    if math.isnan(value):
        return "–"
    interval = "" if low is None or high is None else f" [{low:.3f}, {high:.3f}]"
    return f"{value:.3f}{interval}"


@dataclass(frozen=True, slots=True)
class Page:
    """What a page is about: task and model as names with versions, prompts, samples a prompt, the command."""

    task: str
    model: str
    prompts: int
    samples: int
    command: str


def as_markdown(page: Page, found: Sequence[Quality], bins: Mapping[str, Sequence[Bin]]) -> str:
    """The page: one line a signal, then calibration by signal name."""
    lines = [
        f"# {page.task}: label-free signals against the truth",
        "",
        f"Model {page.model}, split dev: {page.prompts} prompts, {page.samples} samples each.",
        f"Made by `{page.command}`.",
        "",
        "AUC: chance that a right sample scores above a wrong one, over all samples, and among the samples of one",
        "prompt (what choosing a winner needs). Best sample: accuracy of the highest sample, ties shared.",
        "95 % intervals over clusters of items.",
        "",
        "| signal | AUC | AUC within prompt | best sample |",
        "|---|--:|--:|--:|",
    ]
    lines += [
        f"| {q.signal} | {_figure(q.auc, q.auc_low, q.auc_high)} | {_figure(q.within, q.within_low, q.within_high)} | "
        f"{q.best:.1%} |"
        for q in found
    ]
    lines += ["", "## Is a sure vote right?", "", "![Reliability](reliability.png)", ""]
    lines += ["| winner's share by | share | winners | mean share | right |", "|---|---|--:|--:|--:|"]
    for name, parts in bins.items():
        total = sum(part.winners for part in parts)
        gap = sum(part.winners * abs(part.share - part.right) for part in parts) / max(1, total)
        lines += [f"| {name} | {b.low:.1f}–{b.high:.1f} | {b.winners} | {b.share:.1%} | {b.right:.1%} |" for b in parts]
        lines.append(f"| {name} | all | {total} | expected calibration error | {gap:.1%} |")
    return "\n".join(lines) + "\n"


def draw(bins: Mapping[str, Sequence[Bin]], out: Path) -> None:
    """The reliability diagram: how often winners of a share are right; dots grow with the number of winners."""
    with canvas([3.2], [1.5]) as (figure, (axis,)):
        axis.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axis.text(0.05, 0.1, "calibrated", color=MUTED, fontsize=8, rotation=42)
        for (name, parts), colour in zip(bins.items(), (MAJ, TAO), strict=False):
            x, y = [b.share for b in parts], [b.right for b in parts]
            axis.plot(x, y, color=colour, linewidth=2)
            axis.scatter(x, y, s=[12 + 0.6 * b.winners for b in parts], color=colour, zorder=3, edgecolor="white")
            if parts:
                axis.text(
                    1.03,
                    y[-1] - (0.06 if colour == MAJ else -0.02),
                    name,
                    color=colour,
                    fontsize=8.5,
                    fontweight="bold",
                )
        axis.set_xlim(0, 1.02)
        axis.set_ylim(0, 1.02)
        axis.set_xlabel("winner's share")
        axis.set_title("winners that are right")
        axis.grid(color=GRID)
        save(figure, out, "reliability")


def write_page(out: Path, page: Page, found: Sequence[Quality], bins: Mapping[str, Sequence[Bin]]) -> Path:
    """Write ``signals.md`` and the diagram into a folder; returns the page's path."""
    out.mkdir(parents=True, exist_ok=True)
    draw(bins, out)
    path = out / "signals.md"
    path.write_text(as_markdown(page, found, bins), encoding="utf-8")
    return path
