"""The matrix of tasks as tables, and its picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from tao_bench.report import figures
from tao_bench.report.blocks import Block, Picture, Table, Text, Value
from tao_bench.report.matrix import Matrix, MatrixRow, fallen
from tao_bench.report.words import estimate_value, p_text, percent, points, span
from tao_bench.stats import Estimate

NAME = "matrix"
_UNTUNED = " ◦"
_ONE_SEED = "† one seed: the interval covers items, not other seeds."


def blocks(found: Matrix, drawn: bool) -> tuple[Block, ...]:
    """The section of the report."""
    shown: list[Block] = []
    if drawn:
        caption = (
            "Difference to base in points, with 95 % intervals. Filled: the model was tuned on this task; open: it "
            f"never was. Shaded: a fall by less than {100 * found.margin:g} points, which counts as none."
        )
        shown.append(Picture(NAME, "Difference to base of every arm on every task", caption))
    shown += [_differences(found), _falls(found)]
    versus = _against(found)
    shown.append(versus or Text("No arm was tuned on each task alone, so joint tuning has no rival here."))
    return tuple(shown)


def _compared(found: Matrix) -> list[MatrixRow]:
    return [row for row in found.rows if any(cell.arm.vs_base is not None for cell in row.cells.values())]


def _differences(found: Matrix) -> Table:
    rows = []
    for row in found.rows:
        values = []
        for task in found.tasks:
            cell = row.cells.get(task)
            if cell is None:
                values.append(Value("–"))
                continue
            gain, own = cell.arm.vs_base, percent(cell.arm.accuracy.value)
            mark = "" if cell.tuned or cell.arm.flop == 0 else _UNTUNED
            if gain is None:
                values.append(Value(own, span(cell.arm.accuracy)))
            else:
                dagger = "†" if gain.n_seeds == 1 else ""
                values.append(Value(own, f"{points(gain.value)} {span(gain, 'points')}", mark + dagger))
        rows.append((Value(row.label), *values, *(estimate_value(e, "points") for e in (row.mean, row.untouched))))
    notes = [
        f"Small: difference to base in points, paired by item.{_UNTUNED} not tuned on this task. Means over tasks "
        "count every task the same; their intervals speak of these tasks. A model that answers several tasks carries "
        "its seed into all of them, and the intervals allow for it."
    ]
    if any("†" in value.mark for line in rows for value in line):
        notes.append(_ONE_SEED)
    return Table(
        (
            "Accuracy %",
            *found.tasks,
            f"Mean vs base: {' + '.join(found.tuned)}",
            "Mean vs base: tasks it was never tuned on",
        ),
        tuple(rows),
        "Every arm on every task. The last column is transfer where it is above 0, damage where it is below.",
        tuple(notes),
    )


def _falls(found: Matrix) -> Table:
    rows = []
    for row in _compared(found):
        word, why = fallen(row, found.margin)
        tested = (row.cells.get(task) for task in found.tasks)
        rows.append(
            (Value(row.label), *(Value(p_text(c.p_not_fallen) if c else "–") for c in tested), Value(word, why))
        )
    return Table(
        ("One-sided p", *found.tasks, "No task fell"),
        tuple(rows),
        f"Did a task fall by {100 * found.margin:g} points or more? A small p refuses it.",
        ("p is Holm-adjusted over the arm's tasks. The margin was stated before the run.",),
    )


def _against(found: Matrix) -> Table | None:
    if not found.against:
        return None
    tasks = [task for task in found.tasks if any(task in one.gains for one in found.against)]
    rows = []
    for one in found.against:
        values = [
            Value(
                points(one.gains[task].value),
                f"{span(one.gains[task], 'points')} than {one.rivals[task]}, at {one.flops[task]:.2f} of its FLOPs",
            )
            if task in one.gains
            else Value("–")
            for task in tasks
        ]
        rows.append((Value(one.label), *values, estimate_value(one.mean, "points")))
    return Table(
        ("Joint less alone, points", *tasks, "Mean"),
        tuple(rows),
        "One model tuned on all of these tasks against one model for each, by the arm of the closest tuning FLOPs.",
    )


def sentences(found: Matrix) -> list[str]:
    """The matrix in words, for a terminal."""
    lines = []
    for row in _compared(found):
        parts = [
            f"{task}{'' if cell.tuned or cell.arm.flop == 0 else ' (not tuned on)'} {points(cell.arm.vs_base.value)} "
            f"{span(cell.arm.vs_base, 'points')}"
            for task, cell in row.cells.items()
            if cell.arm.vs_base is not None
        ]
        word, why = fallen(row, found.margin)
        mean = f"; mean {_plain(row.mean)}" if row.mean else ""
        lines.append(f"{row.label}: {', '.join(parts)}{mean}. No task fell? {word}: {why}.")
    for one in found.against:
        lines.append(f"{one.label} less a model for each task: {_plain(one.mean)} points on the mean.")
    return lines


def _plain(est: Estimate) -> str:
    return f"{points(est.value)} {span(est, 'points')}"


def flat(found: Matrix) -> Iterable[Mapping[str, str | int | float | None]]:
    """One row an arm and task, unrounded."""
    for row in found.rows:
        for task, cell in row.cells.items():
            gain = cell.arm.vs_base
            yield {
                "label": row.label,
                "task": task,
                "tuned_on_it": int(cell.tuned),
                "accuracy": cell.arm.accuracy.value,
                "vs_base": gain.value if gain else None,
                "vs_base_low": gain.low if gain else None,
                "vs_base_high": gain.high if gain else None,
                "margin": found.margin,
                "p_not_fallen_holm": cell.p_not_fallen,
                "mean_vs_base": row.mean.value if row.mean else None,
                "mean_vs_base_low": row.mean.low if row.mean else None,
                "mean_vs_base_high": row.mean.high if row.mean else None,
            }


def draw(found: Matrix, out: Path) -> bool:
    """Dots with intervals: a panel for every task and one for the mean, a line for every arm. False without arms."""
    rows = _compared(found)
    if not rows:
        return False
    panels = [*found.tasks, f"mean of {len(found.tuned)}"]
    ends = [
        end
        for row in rows
        for est in (*(c.arm.vs_base for c in row.cells.values()), row.mean)
        if est is not None
        for end in (100 * est.low, 100 * est.high)
    ]
    room = 0.06 * (max(ends) - min(ends) + 1)
    names = max(1.2, 0.2 + 0.075 * max(len(row.label) for row in rows))
    with figures.canvas([names, *[2.1] * len(panels)], [0.1, *[0.25] * len(panels)]) as (figure, axes):
        axes[0].set_axis_off()  # room for the names
        for place, (axis, name) in enumerate(zip(axes[1:], panels, strict=True)):
            axis.axvspan(-100 * found.margin, 0, color=figures.BASE, alpha=0.14, linewidth=0)
            axis.axvline(0, color=figures.BASE, linewidth=1.2)
            for line, row in enumerate(rows):
                cell = row.cells.get(name)
                est = (cell.arm.vs_base if cell else None) if place < len(found.tasks) else row.mean
                if place == 0:
                    axis.annotate(
                        row.label, (0, line), xycoords=("axes fraction", "data"), xytext=(-8, 0),
                        textcoords="offset points", ha="right", va="center", annotation_clip=False,
                    )  # fmt: skip
                if est is None:
                    continue
                colour = {"tao": figures.TAO, "sft": figures.SFT}.get(
                    next(iter(row.cells.values())).arm.arm, figures.MAJ
                )
                face = colour if cell is None or cell.tuned or cell.arm.flop == 0 else figures.PAPER
                axis.hlines(line, 100 * est.low, 100 * est.high, color=colour, linewidth=1.6, zorder=3)
                axis.plot([100 * est.value], [line], "o", ms=6, mfc=face, mec=colour, mew=1.5, zorder=4)
            axis.set_xlim(min(ends) - room, max(ends) + room)
            axis.set_ylim(len(rows) - 0.5, -0.5)
            axis.set_yticks([])
            axis.grid(visible=True, axis="x")
            axis.set_title(name)
            axis.set_xlabel("points vs base")
        figures.save(figure, out, NAME)
    return True
