"""The report's tables."""

from __future__ import annotations

from collections.abc import Sequence

from tao_bench.report.analysis import LONGER, MALFORMED, ArmReport, TaskReport
from tao_bench.report.blocks import Table, Value
from tao_bench.report.load import REMOTE, Results
from tao_bench.report.words import (
    count,
    estimate_value,
    flop_text,
    labels_span,
    labels_text,
    p_text,
    percent,
    points,
    recovery_text,
)
from tao_bench.verify.verdict import Status

SHOWN = (Status.CORRECT, Status.WRONG, Status.UNPARSABLE, Status.TRUNCATED, Status.TIMEOUT)
ONE_SEED = "† one seed: the interval covers items, not other seeds."


def head_to_head(report: TaskReport, unit: tuple[float, str]) -> Table:
    """Every arm: accuracy, difference to base, labels, compute, tokens, verdicts."""
    columns = (
        "Arm",
        "Seeds",
        "Accuracy %",
        "vs base, points",
        "Holm p",
        "Labels: base + arm + dev",
        f"Tuning {unit[1]}: model / device",
        "Tokens per answer: mean / p95",
        "Correct / wrong / unparsable / truncated / timeout",
    )
    rows, strong = [], set()
    for i, arm in enumerate(report.arms):
        first = arm.cells[0]
        model, device = arm.flop, sum(arm.device_flop) / len(arm.device_flop)
        if arm is report.headline:
            strong.add(i)
        rows.append(
            (
                Value(arm.label),
                Value(str(len(arm.cells))),
                estimate_value(arm.accuracy) if _random(arm) else _unmarked(arm),
                _vs_base(arm),
                Value(p_text(report.p_base.get(arm.label))),
                Value(
                    "–" if arm.arm == REMOTE else f"{first.labels_base:,} + {first.labels_arm:,} + {first.labels_dev:,}"
                ),
                Value(
                    "–"
                    if arm.arm == REMOTE
                    else "0"
                    if model == 0
                    else f"{flop_text(model, unit[0])} / {flop_text(device, unit[0])}"
                ),
                Value(f"{arm.tok_mean:,.0f} / {arm.tok_p95:,.0f}", mark=" ⚑" if arm.longer else ""),
                Value(" / ".join(count(round(arm.statuses[s], 1)) for s in SHOWN)),
            )
        )
    notes = [
        "95 % intervals in brackets: items in clusters, plus seeds. Differences are paired by item. "
        "p is Holm-adjusted: headline arms over tasks, all other comparisons with base among themselves. "
        "Counts are means over seeds."
    ]
    if any("†" in value.mark for row in rows for value in row):
        notes.append(ONE_SEED)
    if any(arm.longer for arm in report.arms):
        notes.append(f"⚑ a gain that comes with answers over {LONGER:g} times as long as the base's.")
    if any(arm.arm == REMOTE for arm in report.arms):
        notes.append(
            "An endpoint's weights, compute and labels are not known (–); its answers are counted in its own tokens."
        )
    if report.dropped:
        notes.append(f"Dropped for all arms, because the verifier failed: {', '.join(report.dropped)}.")
    caption = f"{report.n_items:,} items in {report.n_clusters:,} clusters; the headline arm is stressed."
    return Table(columns, tuple(rows), caption, tuple(notes), frozenset(strong))


def _random(arm: ArmReport) -> bool:
    """Whether seeds can matter to an arm at all: a greedy base has nothing random in it."""
    return arm.arm != "base"


def _unmarked(arm: ArmReport) -> Value:
    value = estimate_value(arm.accuracy)
    return Value(value.main, value.sub)


def _vs_base(arm: ArmReport) -> Value:
    return estimate_value(arm.vs_base, "points")


def rivals(report: TaskReport) -> Table | None:
    """The headline against voting, SFT and other tuned arms, paired."""
    if report.headline is None or not report.versus:
        return None
    rows = tuple(
        (Value(label), estimate_value(est, "points"), Value(p_text(report.p_versus.get(label))))
        for label, est in report.versus.items()
    )
    return Table(
        (f"{report.headline.label} less", "Difference, points", "Holm p"),
        rows,
        "Above 0: TAO answers more items. p is Holm-adjusted within this table.",
        (ONE_SEED,) if any(row[1].mark for row in rows) else (),
    )


def headline_figures(reports: Sequence[TaskReport]) -> Table:
    """Recovery and labels-equivalent of every task."""
    rows = []
    for report in reports:
        est, found = report.equivalent, report.recovery
        rows.append(
            (
                Value(report.task),
                Value(report.headline.label if report.headline else "–"),
                estimate_value(found.headroom, "points") if found else Value("–", "no voting arm"),
                recovery_text(found) if found else Value("–", "no voting arm"),
                Value(labels_text(est.value, est), labels_span(est)) if est else Value("–", "no SFT arm"),
            )
        )
    return Table(
        ("Task", "Headline arm", "Gain of voting, points", "Recovery", "Labels-equivalent"),
        tuple(rows),
        "Recovery = (TAO − base) / (base with voting − base), Fieller interval. "
        "Labels-equivalent = labels at which SFT meets TAO, censored at the ends of the SFT curve.",
        (ONE_SEED,) if any(value.mark for row in rows for value in row) else (),
    )


def levels(report: TaskReport) -> Table | None:
    """Accuracy by difficulty level."""
    if not report.levels:
        return None
    names = list(report.levels[0].arms)
    rows = tuple(
        (
            Value(line.level or "(none)"),
            Value(f"{line.n_items:,}"),
            *(_plain(line.arms[name]) for name in names),
            estimate_value(line.gain, "points"),
        )
        for line in report.levels
    )
    last = f"{report.headline.label} − base" if report.headline else "TAO − base"
    return Table(
        ("Level", "Items", *names, last),
        rows,
        "Accuracy %, and the paired difference in points.",
        (ONE_SEED,) if any(row[-1].mark for row in rows) else (),
    )


def _plain(est: object) -> Value:
    value = estimate_value(est)  # type: ignore[arg-type]
    return Value(value.main, value.sub)


def changes(report: TaskReport) -> Table | None:
    """What became of the base's answers: status before by status after."""
    if not report.changes or report.headline is None:
        return None
    used = [s for s in SHOWN if any(s in key for key in report.changes)]
    rows = tuple(
        (
            Value(f"base: {before}"),
            *(Value(count(round(report.changes.get((before, after), 0.0), 1))) for after in used),
        )
        for before in used
    )
    arm = report.headline

    def net(before: Status) -> float:
        right = Status.CORRECT
        return report.changes.get((before, right), 0.0) - report.changes.get((right, before), 0.0)

    form = sum(net(status) for status in MALFORMED) / report.n_items
    content = net(Status.WRONG) / report.n_items
    caption = (
        f"{arm.label} mended {arm.mended:,.1f} items and broke {arm.broken:,.1f} of {report.n_items:,}. "
        f"Of the difference, {points(content)} points are wrong answers put right (less right ones made wrong), "
        f"{points(form)} points answers that did not parse, were cut off or ran out of time."
    )
    return Table(("Items, mean over seeds", *(f"TAO: {status}" for status in used)), rows, caption)


def compute(results: Results, unit: tuple[float, str]) -> Table:
    """FLOPs by stage and arm, mean over seeds (and over folds, for tuning), with time and memory."""
    stages = [
        s for s in ("explore", "score", "judge", "train", "evaluate") if any(c.stage == s for c in results.charges)
    ]
    groups: dict[tuple[str, str], list[str]] = {}
    folds = {cell.id: cell.folds for cell in results.cells}
    for cell in results.cells:
        groups.setdefault((cell.task, cell.label), []).append(cell.id)
    remote = {cell.id for cell in results.cells if cell.arm == REMOTE}
    rows = []
    for (task, label), cells in groups.items():
        mine = [c for c in results.charges if c.cell in cells]
        models = {s: len(cells) if s == "evaluate" else sum(folds[c] for c in cells) for s in stages}
        sums = {s: sum(c.model_flop for c in mine if c.stage == s) / models[s] for s in stages}
        tok = sum(c.tok for c in mine if c.stage != "evaluate") / sum(folds[c] for c in cells)
        rows.append(
            (
                Value(label),
                Value(task),
                *(Value("–" if cells[0] in remote else flop_text(sums[s], unit[0])) for s in stages),
                Value("–" if cells[0] in remote else f"{tok:,.0f}"),
                *(_answering(results, cells) if remote else ()),
                Value(_time(results, cells, "wall_s")),
                Value(_time(results, cells, "cpu_s")),
                Value(_peak(results, cells)),
            )
        )
    return Table(
        (
            "Arm",
            "Task",
            *(f"{s}, {unit[1]}" for s in stages),
            "Tuning tokens",
            *(("Answering tokens", "Answering, $") if remote else ()),
            "Wall, min",
            "CPU, min",
            "Peak GB",
        ),
        tuple(rows),
        "Model FLOPs of every stage, mean over seeds. `evaluate` is not tuning and is in no budget. Peak: the largest "
        "process." + (" Endpoints have tokens, and dollars where prices were given; – is not known." if remote else ""),
    )


def _answering(results: Results, cells: Sequence[str]) -> tuple[Value, Value]:
    """Tokens of the evaluated split's answers and, from endpoints, their price."""
    tok, usd = results.answering(cells)
    return Value(f"{tok:,.0f}"), Value("–" if usd is None else f"{usd:,.4f}")


def _time(results: Results, cells: Sequence[str], name: str) -> str:
    known = [row[name] for row in results.timing if row.get("cell") in cells and isinstance(row.get(name), int | float)]
    return f"{sum(known) / len(cells) / 60:.1f}" if known else "–"


def _peak(results: Results, cells: Sequence[str]) -> str:
    """Most memory any process of these cells held, in GB."""
    known = [float(row["peak_gb"]) for row in results.timing if row.get("cell") in cells and row.get("peak_gb")]
    return f"{max(known):.1f}" if known else "–"


def seeds(report: TaskReport) -> Table:
    """Accuracy of every single seed."""
    rows = tuple(
        (
            Value(arm.label),
            Value(", ".join(percent(v) for v in arm.scores.seed_means)),
            Value(", ".join(str(c.seed) for c in arm.cells)),
        )
        for arm in report.arms
    )
    return Table(("Arm", "Accuracy % by seed", "Seeds"), rows)
