"""Several tasks, one model: every arm on every task, means over tasks, which task fell, and joint against alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tao_bench.report.analysis import ArmReport, TaskReport, tuned_on
from tao_bench.stats import Estimate, across, difference, fell_p, holm
from tao_bench.stats.across import Term


@dataclass(frozen=True)
class MatrixCell:
    """One arm on one task.

    Attributes:
        arm: Its figures there.
        tuned: Whether it was tuned on this task.
        p_not_fallen: One-sided p of a fall by the margin or more, Holm-adjusted over the arm's tasks; None for base.
        p_fallen: Two-sided p of the difference, adjusted alike.
    """

    arm: ArmReport
    tuned: bool
    p_not_fallen: float | None
    p_fallen: float | None


@dataclass(frozen=True)
class MatrixRow:
    """One arm over tasks.

    Attributes:
        label: Its name.
        cells: Task to cell.
        mean: Mean difference to base over the tasks that any arm was tuned on, where it answers them all.
        untouched: Mean difference over the tasks that this arm was never tuned on; None where there is none.
    """

    label: str
    cells: Mapping[str, MatrixCell]
    mean: Estimate | None
    untouched: Estimate | None


@dataclass(frozen=True)
class Against:
    """A model tuned on several tasks less a model of each task's own, paired.

    Attributes:
        label: The joint arm.
        rivals: Task to the arm of the same kind that was tuned on it alone, of the closest tuning FLOPs.
        gains: Task to the difference.
        flops: Task to the joint model's tuning FLOPs as a multiple of the rival's.
        mean: Mean difference over these tasks.
    """

    label: str
    rivals: Mapping[str, str]
    gains: Mapping[str, Estimate]
    flops: Mapping[str, float]
    mean: Estimate


@dataclass(frozen=True)
class Matrix:
    """An experiment's arms by its tasks.

    Attributes:
        tasks: Columns.
        tuned: Those of them that any arm was tuned on.
        margin: Fall that counts as none.
        rows: In the order of the tables.
        against: One for every joint arm that has rivals.
    """

    tasks: tuple[str, ...]
    tuned: tuple[str, ...]
    margin: float
    rows: tuple[MatrixRow, ...]
    against: tuple[Against, ...]


def matrix(reports: Sequence[TaskReport]) -> Matrix | None:
    """The matrix of an experiment in which an arm has `tune_on`; None for any other."""
    cells = [cell for report in reports for arm in report.arms for cell in arm.cells]
    mixtures = [cell.raw["tune_on"] for cell in cells if cell.raw.get("tune_on")]
    if not mixtures:
        return None
    tasks = tuple(report.task for report in reports)
    tuned = tuple(task for task in tasks if any(task in mixture for mixture in mixtures))
    margin = float(next(cell.raw["margin"] for cell in cells if cell.raw.get("tune_on")))
    by_label: dict[str, dict[str, ArmReport]] = {}
    order: dict[str, tuple[int, int]] = {}
    for column, report in enumerate(reports):
        for place, arm in enumerate(report.arms):
            by_label.setdefault(arm.label, {})[report.task] = arm
            order.setdefault(arm.label, (place, column))
    base = {report.task: report.base for report in reports if report.base is not None}
    labels = sorted(by_label, key=lambda label: order[label])
    rows = tuple(_row(label, by_label[label], base, tuned, margin) for label in labels)
    against = [_against(label, by_label[label], reports) for label in labels]
    tasks = (*tuned, *(task for task in tasks if task not in tuned))
    return Matrix(tasks, tuned, margin, rows, tuple(one for one in against if one is not None))


def _model(arm: ArmReport) -> str:
    """The name of its models: the same on every task only where they are shared."""
    return arm.label if arm.cells[0].raw.get("tune_on") else f"{arm.label} on {arm.cells[0].task}"


def _gain(arm: ArmReport, base: ArmReport) -> list[Term]:
    return [(1.0, _model(arm), arm.scores), (-1.0, _model(base), base.scores)]


def _row(
    label: str,
    arms: Mapping[str, ArmReport],
    base: Mapping[str, ArmReport],
    tuned: Sequence[str],
    margin: float,
) -> MatrixRow:
    gains = {task: arm.vs_base for task, arm in arms.items() if arm.vs_base is not None}
    not_fallen = holm({task: fell_p(gain, margin) for task, gain in gains.items()})
    fallen = holm({task: gain.p for task, gain in gains.items() if gain.p is not None})
    cells = {
        task: MatrixCell(arm, task in tuned_on(arm), not_fallen.get(task), fallen.get(task))
        for task, arm in arms.items()
    }
    trained = any(arm.flop > 0 for arm in arms.values())
    others = [task for task in gains if trained and not cells[task].tuned]

    def mean(wanted: Sequence[str]) -> Estimate | None:
        if not wanted or any(task not in gains for task in wanted):
            return None
        return across([_gain(arms[task], base[task]) for task in wanted])

    return MatrixRow(label, cells, mean(tuned), mean(others))


def _against(label: str, arms: Mapping[str, ArmReport], reports: Sequence[TaskReport]) -> Against | None:
    """A joint arm against each task's own; None for an arm of one task, or where a task has no rival."""
    joint = [report for report in reports if report.task in arms and report.task in tuned_on(arms[report.task])]
    if not joint or len(tuned_on(arms[joint[0].task])) < 2:
        return None
    rivals: dict[str, ArmReport] = {}
    for report in joint:
        mine = arms[report.task]
        alone = [a for a in report.arms if a.arm == mine.arm and a.flop > 0 and tuned_on(a) == (report.task,)]
        if not alone:
            return None
        rivals[report.task] = min(alone, key=lambda a: (abs(1 - a.flop / mine.flop), a.label))
    gains = {task: difference(arms[task].scores, rival.scores) for task, rival in rivals.items()}
    terms = [
        [(1.0, _model(arms[task]), arms[task].scores), (-1.0, _model(rival), rival.scores)]
        for task, rival in rivals.items()
    ]
    return Against(
        label,
        {task: rival.label for task, rival in rivals.items()},
        gains,
        {task: arms[task].flop / rival.flop for task, rival in rivals.items()},
        across(terms),
    )


def fallen(row: MatrixRow, margin: float) -> tuple[str, str]:
    """Whether no task fell, in a word, and the evidence.

    "Yes" where for every task a fall by the margin or more is refused at 5 %, "No" where some task's difference is
    below 0 at 5 %, both Holm-adjusted over the arm's tasks, and by more than the margin can be read off the interval;
    "Not shown" otherwise.
    """
    down = [
        task
        for task, cell in row.cells.items()
        if cell.p_fallen is not None and cell.p_fallen <= 0.05 and cell.arm.vs_base and cell.arm.vs_base.value < 0
    ]
    if down:
        return "No", f"fell: {', '.join(down)}"
    open_ = [task for task, cell in row.cells.items() if cell.p_not_fallen is None or cell.p_not_fallen > 0.05]
    points = f"{100 * margin:g} point{'s' * (margin != 0.01)}"
    if open_:
        return "Not shown", f"a fall by {points} is not refused on {', '.join(open_)}"
    return "Yes", f"a fall by {points} is refused on every task it answered"
