"""The figures as CSV files: unrounded, FLOPs as counts, one row an arm, level, curve point or cell."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tao_bench.report.analysis import ArmReport, TaskReport
from tao_bench.report.load import REMOTE, Results
from tao_bench.stats import Estimate

Cell = str | int | float | None


def write_all(
    results: Results, reports: Sequence[TaskReport], out: Path, matrix: Sequence[Mapping[str, Cell]] = ()
) -> tuple[Path, ...]:
    """Write `arms.csv`, `versus.csv`, `levels.csv`, `headline.csv` and `cells.csv`; `matrix.csv` where there is one."""
    files: dict[str, list[Mapping[str, Cell]]] = {
        "arms": [_arm(report, arm) for report in reports for arm in report.arms],
        "versus": [
            {"task": r.task, "headline": r.headline.label, "other": label, **_estimate("difference", est)}
            | {"p": est.p, "p_holm": r.p_versus.get(label)}
            for r in reports
            if r.headline
            for label, est in r.versus.items()
        ],
        "levels": [
            {"task": r.task, "level": line.level, "items": line.n_items, "arm": label, **_estimate("accuracy", est)}
            for r in reports
            for line in r.levels
            for label, est in line.arms.items()
        ],
        "headline": [_headline(report) for report in reports],
        "cells": list(_cells(results, reports)),
    }
    if matrix:
        files["matrix"] = list(matrix)
    return tuple(_write(out / f"{name}.csv", rows) for name, rows in files.items())


def _estimate(name: str, est: Estimate | None) -> dict[str, Cell]:
    if est is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    return {name: est.value, f"{name}_low": est.low, f"{name}_high": est.high}


def _arm(report: TaskReport, arm: ArmReport) -> dict[str, Cell]:
    first = arm.cells[0]
    budget = first.budget or {}
    return {
        "task": report.task,
        "arm": arm.arm,
        "label": arm.label,
        "seeds": len(arm.cells),
        "items": report.n_items,
        "clusters": report.n_clusters,
        **_estimate("accuracy", arm.accuracy),
        **_estimate("vs_base", arm.vs_base),
        "p": arm.vs_base.p if arm.vs_base else None,
        "p_holm": report.p_base.get(arm.label),
        "labels_base": first.labels_base,
        "labels_arm": first.labels_arm,
        "labels_dev": first.labels_dev,
        "samples_per_prompt": budget.get("samples_per_prompt"),
        "rounds": budget.get("rounds"),
        "model_flop": None if arm.arm == REMOTE else arm.flop,
        "device_flop": None if arm.arm == REMOTE else sum(arm.device_flop) / len(arm.device_flop),
        "inference_samples": first.inference_samples,
        "answer_tok_mean": arm.tok_mean,
        "answer_tok_p95": arm.tok_p95,
        "tok_per_correct": arm.tok_mean / arm.accuracy.value if arm.accuracy.value else None,
        "mended": arm.mended,
        "broken": arm.broken,
        **{status.value: n for status, n in arm.statuses.items()},
    }


def _headline(report: TaskReport) -> dict[str, Cell]:
    found, est = report.recovery, report.equivalent
    trend = report.curve.trend if report.curve else None
    known = found is not None and found.value is not None
    return {
        "task": report.task,
        "headline": report.headline.label if report.headline else None,
        "recovery": found.value if found and known else None,
        "recovery_low": found.low if found and known else None,
        "recovery_high": found.high if found and known else None,
        "labels_equivalent": est.value if est else None,
        "labels_equivalent_low": est.low if est else None,
        "labels_equivalent_high": est.high if est else None,
        "labels_smallest": est.smallest if est else None,
        "labels_largest": est.largest if est else None,
        **_estimate("per_decade", trend),
        "decades": report.curve.decades if report.curve else None,
        "peak": report.curve.peak.label if report.curve else None,
        "dropped_items": " ".join(report.dropped),
    }


def _cells(results: Results, reports: Sequence[TaskReport]) -> Iterable[Mapping[str, Cell]]:
    for report in reports:
        for arm in report.arms:
            for cell, mean in zip(arm.cells, arm.scores.seed_means, strict=True):
                yield {
                    "cell": cell.id,
                    "task": cell.task,
                    "label": cell.label,
                    "seed": cell.seed,
                    "accuracy": float(mean),
                    "model_flop": None if cell.arm == REMOTE else results.flop(cell.id),
                    "device_flop": None if cell.arm == REMOTE else results.flop(cell.id, device=True),
                    **_answering(results, cell.id),
                }


def _answering(results: Results, cell: str) -> dict[str, Cell]:
    """Tokens and price of a cell's answers, in experiments where an endpoint takes part."""
    if not results.any_remote:
        return {}
    tok, usd = results.answering([cell])
    return {"answering_tok": tok, "answering_usd": usd}


def _write(path: Path, rows: Sequence[Mapping[str, Cell]]) -> Path:
    names = list(rows[0]) if rows else []
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([_text(row[name]) for name in names] for row in rows)
    return path


def _text(value: Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        if math.isinf(value):
            return "inf" if value > 0 else "-inf"
        return f"{value:.10g}"
    return str(value)
