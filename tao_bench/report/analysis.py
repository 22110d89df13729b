"""From checked results to every figure a report prints. All inference is `tao_bench.stats`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tao.errors import InputError
from tao_bench.report.load import REMOTE, Cell, Results, Row
from tao_bench.stats import (
    Estimate,
    LabelsEquivalent,
    Recovery,
    Scores,
    accuracy,
    difference,
    drop_missing,
    flips,
    holm,
    labels_equivalent,
    recovery,
    slope,
)
from tao_bench.verify.verdict import Status

CEILING = "gold_reward"
"""The arm that tunes on the verifier's verdicts; it stands behind the label-free ones."""
BUDGET_OPTIONS = frozenset({"samples", "rounds", "budget_flop", "seed"})
LONGER = 1.1
"""Mean answer length, relative to base, from which a gain is flagged as bought at inference."""
MALFORMED = (Status.UNPARSABLE, Status.TRUNCATED, Status.TIMEOUT)


@dataclass(frozen=True)
class ArmReport:
    """One arm on one task, over its seeds.

    Attributes:
        label: Name in tables.
        arm: Kind of arm.
        recipe: What tells curves of one kind apart (options without the budget).
        cells: Its cells, by seed.
        scores: Correctness, after items with verifier errors were dropped.
        accuracy: Mean over seeds.
        vs_base: Paired difference to base; None for base itself or without a base.
        model_flop: Tuning FLOPs of each seed.
        device_flop: Tuning FLOPs as executed, of each seed.
        tok_mean: Generated tokens per answer (all samples of a vote together).
        tok_p95: 95th percentile of the same.
        statuses: Items per status, mean over seeds.
        longer: A gain that comes with longer answers than the base's (never set for votes, which are meant to cost).
        mended: Items only this arm has right, against base; mean over seeds.
        broken: Items only base has right.
    """

    label: str
    arm: str
    recipe: str
    cells: tuple[Cell, ...]
    scores: Scores
    accuracy: Estimate
    vs_base: Estimate | None
    model_flop: tuple[float, ...]
    device_flop: tuple[float, ...]
    tok_mean: float
    tok_p95: float
    statuses: Mapping[Status, float]
    longer: bool
    mended: float
    broken: float

    @property
    def flop(self) -> float:
        """Tuning model FLOPs, mean over seeds."""
        return float(np.mean(self.model_flop))

    @property
    def labels(self) -> int:
        """Labels the arm trained on."""
        return self.cells[0].labels_arm


@dataclass(frozen=True)
class Curve:
    """Accuracy against tuning compute of one recipe.

    Attributes:
        arms: By rising FLOPs.
        trend: Accuracy per tenfold compute; None with one budget.
        decades: log10 of largest over smallest budget.
        peak: The arm with the highest accuracy.
        drop: Largest budget less peak (biased downwards: the peak is picked on the same items); None at the peak.
    """

    arms: tuple[ArmReport, ...]
    trend: Estimate | None
    decades: float
    peak: ArmReport
    drop: Estimate | None


@dataclass(frozen=True)
class LevelLine:
    """One difficulty level: label of arm to accuracy, and the headline's difference to base."""

    level: str
    n_items: int
    arms: Mapping[str, Estimate]
    gain: Estimate | None


@dataclass(frozen=True)
class TaskReport:
    """All figures of one task.

    Attributes:
        task: Task with version.
        arms: In table order: base, base maj, SFT by labels, tuned by FLOPs, their ceiling on gold rewards, endpoints.
        p_base: Arm label to the p-value against base, Holm-adjusted (see `analyse`).
        base: Greedy base.
        maj: Base with voting at inference.
        sft: SFT arms by labels.
        headline: The label-free arm that claims are made about: the one that the experiment file names, else
            of the arm ``tao`` the one with most seeds, then the largest budget.
            The rule looks at no result.
        curve: The headline recipe's curve.
        others: Curves of other recipes.
        versus: Headline less every other arm that is not base nor on its own curve.
        p_versus: The same, Holm-adjusted within the task.
        recovery: None without voting or headline.
        equivalent: None without SFT or headline.
        levels: By level.
        changes: (base status, headline status) to items, mean over seeds.
        dropped: Items lost to verifier errors, for all arms.
        n_items: Items that count.
        n_clusters: Their clusters.
    """

    task: str
    arms: tuple[ArmReport, ...]
    p_base: Mapping[str, float]
    base: ArmReport | None
    maj: ArmReport | None
    sft: tuple[ArmReport, ...]
    headline: ArmReport | None
    curve: Curve | None
    others: tuple[Curve, ...]
    versus: Mapping[str, Estimate]
    p_versus: Mapping[str, float]
    recovery: Recovery | None
    equivalent: LabelsEquivalent | None
    levels: tuple[LevelLine, ...]
    changes: Mapping[tuple[Status, Status], float]
    dropped: tuple[str, ...]
    n_items: int
    n_clusters: int


def tuned_on(arm: ArmReport) -> tuple[str, ...]:
    """Tasks that an arm was tuned on, by name with version: its own, unless `tune_on` names others."""
    named = arm.cells[0].raw.get("tune_on")
    if named:
        return tuple(named)
    return (arm.cells[0].task,) if arm.flop > 0 else ()


def analyse(results: Results) -> tuple[TaskReport, ...]:
    """All tasks of an experiment.

    Holm's correction of the comparisons with base runs over the headline arms of all tasks (the claim), and apart
    from them over all other arms of all tasks.

    Raises:
        InputError: Arms of a task judged on different items, or too many verifier errors.
    """
    reports = [_task(results, task) for task in results.tasks]
    family = {
        (i, arm.label, arm is report.headline): arm.vs_base.p
        for i, report in enumerate(reports)
        for arm in report.arms
        if arm.vs_base is not None and arm.vs_base.p is not None
    }
    adjusted = holm({key: p for key, p in family.items() if key[2]}) | holm(
        {key: p for key, p in family.items() if not key[2]}
    )
    return tuple(
        replace(report, p_base={label: p for (at, label, _), p in adjusted.items() if at == i})
        for i, report in enumerate(reports)
    )


def _task(results: Results, task: str) -> TaskReport:
    groups: dict[str, list[Cell]] = {}
    for cell in results.cells:
        if cell.task == task:
            groups.setdefault(cell.label, []).append(cell)
    for cells in groups.values():
        cells.sort(key=lambda cell: cell.seed)
    scores, dropped = drop_missing({label: _scores(cells, results.rows) for label, cells in groups.items()})
    base_label = next((label for label, cells in groups.items() if cells[0].arm == "base"), None)
    base_tok = None
    if base_label is not None:
        base_tok = float(np.mean([row.completion_tok for c in groups[base_label] for row in results.rows[c.id]]))
    arms = [
        _arm(results, cells, scores[label], scores[base_label] if base_label not in (None, label) else None, base_tok)
        for label, cells in groups.items()
    ]
    kinds = {"base": 0, "base_maj": 1, "sft": 2, REMOTE: 5}
    order = {**kinds, CEILING: 4}
    arms.sort(key=lambda a: (order.get(a.arm, 3), a.arm if a.arm not in kinds else "", a.recipe, a.labels, a.flop))
    base = next((a for a in arms if a.arm == "base"), None)
    majors = [a for a in arms if a.arm == "base_maj"]
    maj = max(majors, key=lambda a: a.cells[0].inference_samples, default=None)
    sft = _longest_recipe([a for a in arms if a.arm == "sft" and a.labels > 0 and task in tuned_on(a)])
    tuned = [a for a in arms if a.arm not in kinds]
    # What was tuned on other tasks alone makes no claim about this one.
    eligible = [a for a in tuned if a.arm == "tao" and task in tuned_on(a)]
    named = [a for a in eligible if a.cells[0].raw.get("headline")]
    headline = max(named or eligible, key=lambda a: (len(a.cells), a.flop), default=None)
    curves = _curves(tuned, headline)
    mine = next((c for c in curves if headline in c.arms), None)
    versus = {}
    if headline is not None:
        rivals = [a for a in arms if a is not base and (mine is None or a not in mine.arms)]
        versus = {a.label: difference(headline.scores, a.scores) for a in rivals}
    first = arms[0].scores
    return TaskReport(
        task=task,
        arms=tuple(arms),
        p_base={},
        base=base,
        maj=maj,
        sft=sft,
        headline=headline,
        curve=mine,
        others=tuple(c for c in curves if c is not mine),
        versus=versus,
        p_versus=holm({label: est.p for label, est in versus.items() if est.p is not None}),
        recovery=recovery(headline.scores, base.scores, maj.scores) if headline and base and maj else None,
        equivalent=labels_equivalent({a.labels: a.scores for a in sft}, headline.scores) if headline and sft else None,
        levels=_levels(results, base, maj, sft, headline),
        changes=_changes(results, base, headline, set(first.items)),
        dropped=dropped,
        n_items=len(first.items),
        n_clusters=len(set(first.clusters)),
    )


def _scores(cells: Sequence[Cell], rows: Mapping[str, tuple[Row, ...]]) -> Scores:
    """Stack a group's seeds over the first seed's items; other items are refused."""
    first = rows[cells[0].id]
    stack = []
    for cell in cells:
        by_item = {row.item: row for row in rows[cell.id]}
        odd = {row.item for row in first} ^ set(by_item)
        if odd:
            raise InputError(
                f"seeds judged on different items: {len(odd)} differ, e.g. {min(odd)!r}",
                f"cells {cells[0].id} and {cell.id}",
                "finish the run, then export it again",
            )
        moved = next((r for r in first if by_item[r.item].cluster != r.cluster), None)
        if moved:
            raise InputError(f"item {moved.item!r} belongs to two clusters", f"cells {cells[0].id} and {cell.id}")
        stack.append([_score(by_item[row.item].status) for row in first])
    return Scores(
        np.array(stack), tuple(r.item for r in first), tuple(r.cluster for r in first), tuple(c.seed for c in cells)
    )


def _score(status: Status) -> float:
    return math.nan if status == Status.VERIFIER_ERROR else float(status == Status.CORRECT)


def _arm(
    results: Results, cells: Sequence[Cell], scores: Scores, base: Scores | None, base_tok: float | None
) -> ArmReport:
    first = cells[0]
    for cell in cells:
        for name in ("arm", "labels_base", "labels_arm", "labels_dev", "budget", "inference_samples", "folds"):
            if getattr(cell, name) != getattr(first, name):
                raise InputError(f"cells {first.id!r} and {cell.id!r} share a label but differ in {name}", first.label)
    kept = set(scores.items)
    rows = [row for cell in cells for row in results.rows[cell.id] if row.item in kept]
    tok = np.array([row.completion_tok for row in rows], dtype=np.float64)
    gain = difference(scores, base) if base is not None else None
    mended, broken = flips(scores, base) if base is not None else (0.0, 0.0)
    options = {k: v for k, v in first.options.items() if k not in BUDGET_OPTIONS | {"labels"}}
    options |= {"tune_on": first.raw["tune_on"]} if first.raw.get("tune_on") else {}
    return ArmReport(
        label=first.label,
        arm=first.arm,
        recipe=json.dumps(options, sort_keys=True, default=str),
        cells=tuple(cells),
        scores=scores,
        accuracy=accuracy(scores),
        vs_base=gain,
        model_flop=tuple(results.flop(cell.id) for cell in cells),
        device_flop=tuple(results.flop(cell.id, device=True) for cell in cells),
        tok_mean=float(tok.mean()),
        tok_p95=float(np.quantile(tok, 0.95, method="inverted_cdf")),
        statuses={s: sum(row.status == s for row in rows) / len(cells) for s in Status if s != Status.VERIFIER_ERROR},
        longer=gain is not None
        and base_tok is not None
        and first.inference_samples == 1
        and first.arm != REMOTE  # it counts in another tokenizer's tokens
        and gain.value > 0
        and float(tok.mean()) > LONGER * base_tok,
        mended=mended,
        broken=broken,
    )


def _longest_recipe(arms: Sequence[ArmReport]) -> tuple[ArmReport, ...]:
    """SFT arms of the recipe with most label counts (ties: the first), one arm a label count."""
    recipes: dict[str, dict[int, ArmReport]] = {}
    for arm in arms:
        recipes.setdefault(arm.recipe, {}).setdefault(arm.labels, arm)
    best = max(recipes.values(), key=len, default={})
    return tuple(best[count] for count in sorted(best))


def _curves(tuned: Sequence[ArmReport], headline: ArmReport | None) -> list[Curve]:
    """A curve a recipe; an arm of equal recipe and budget is a repeat (A/A), and no further point of the curve."""
    parts: dict[tuple[str, str, int], list[ArmReport]] = {}
    seen: dict[tuple[str, str, str], int] = {}
    for arm in sorted(tuned, key=lambda a: a is not headline):
        options = arm.cells[0].options
        budget = json.dumps({name: options.get(name) for name in sorted(BUDGET_OPTIONS)}, default=str)
        repeat = seen[arm.arm, arm.recipe, budget] = seen.get((arm.arm, arm.recipe, budget), -1) + 1
        parts.setdefault((arm.arm, arm.recipe, repeat), []).append(arm)
    place = {id(arm): number for number, arm in enumerate(tuned)}
    return [_curve(arms) for arms in sorted(parts.values(), key=lambda arms: min(place[id(a)] for a in arms))]


def _curve(arms: Sequence[ArmReport]) -> Curve:
    ordered = tuple(sorted(arms, key=lambda a: a.flop))
    logs = [math.log10(a.flop) for a in ordered if a.flop > 0]
    several = len(logs) == len(ordered) and len(set(logs)) > 1
    peak = max(ordered, key=lambda a: a.accuracy.value)
    return Curve(
        arms=ordered,
        trend=slope([a.scores for a in ordered], logs) if several else None,
        decades=logs[-1] - logs[0] if several else 0.0,
        peak=peak,
        drop=difference(ordered[-1].scores, peak.scores) if peak is not ordered[-1] else None,
    )


def _levels(
    results: Results,
    base: ArmReport | None,
    maj: ArmReport | None,
    sft: Sequence[ArmReport],
    headline: ArmReport | None,
) -> tuple[LevelLine, ...]:
    shown = [a for a in (base, maj, sft[-1] if sft else None, headline) if a is not None]
    if not shown:
        return ()
    level = {row.item: row.level for row in results.rows[shown[0].cells[0].id]}
    lines = []
    for name in sorted(set(level.values())):

        def part(arm: ArmReport, name: str = name) -> Scores:
            return arm.scores.take([i for i, item in enumerate(arm.scores.items) if level[item] == name])

        if not any(level[item] == name for item in shown[0].scores.items):
            continue
        gain = difference(part(headline), part(base)) if headline and base else None
        arms = {arm.label: accuracy(part(arm)) for arm in shown}
        lines.append(LevelLine(name, next(iter(arms.values())).n_items, arms, gain))
    return tuple(lines)


def _changes(
    results: Results, base: ArmReport | None, headline: ArmReport | None, kept: set[str]
) -> dict[tuple[Status, Status], float]:
    if base is None or headline is None:
        return {}
    before = [{r.item: r.status for r in results.rows[c.id]} for c in base.cells]
    after = [{r.item: r.status for r in results.rows[c.id]} for c in headline.cells]
    counts: dict[tuple[Status, Status], float] = {}
    for b in before:
        for a in after:
            for item in kept:
                key = (b[item], a[item])
                counts[key] = counts.get(key, 0.0) + 1 / (len(before) * len(after))
    return counts
