"""A seeded, plausible results folder, to draw reports from before any model has run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

FROZEN = {"model": "aaaaaaaaaaaa", "generator": "bbbbbbbbbbbb", "splits": "cccccccccccc", "verifier": "dddddddddddd"}


@dataclass(frozen=True)
class Plan:
    """What a synthetic experiment holds; means are latent (0 is 50 %)."""

    tasks: tuple[tuple[str, int, int], ...] = (("warehouse_sql@1", 600, 60), ("sec_filings@1", 360, 36))
    """(task, items, clusters)"""
    base: float | None = -0.15
    maj: float | None = 0.28
    sft: tuple[tuple[int, float], ...] = ((50, -0.12), (200, 0.12), (800, 0.42), (2000, 0.55))
    tao: tuple[tuple[int, int, float], ...] = ((4, 1, 0.12), (8, 2, 0.3), (16, 3, 0.44), (32, 3, 0.5))
    """(samples per prompt, rounds, mean)"""
    seeds: int = 3
    headline_seeds: int = 5
    tuned_tok: float = 1.0
    """Answer length of tuned models relative to base."""
    options: dict[str, object] = field(default_factory=dict)
    drift: tuple[str, ...] = ()
    """What differs from the frozen versions."""


COLLAPSE = Plan(tao=((4, 1, 0.2), (8, 2, 0.38), (16, 3, 0.3), (32, 4, -0.05)))


def build(folder: Path, plan: Plan = Plan(), seed: int = 0) -> Path:
    """Write `cells.jsonl`, `rows/`, `ledger.jsonl` and `timing.jsonl`; the same plan and seed give the same bytes."""
    (folder / "rows").mkdir(parents=True, exist_ok=True)
    cells: list[dict[str, object]] = []
    ledger: list[dict[str, object]] = []
    timing: list[dict[str, object]] = []
    for number, (task, items, clusters) in enumerate(plan.tasks):
        rng = np.random.default_rng([seed, number])
        draw = _world(rng, items, clusters, shift=-0.25 * number)
        short = task.partition("@")[0]

        def add(
            arm: str, label: str, cell: str, k: int, mean: float, *, labels: int = 0,
            budget: tuple[int, int] | None = None, votes: int = 1, stages: Iterable[tuple[str, float]] = (),
            noise: float = 0.5, short: str = short, task: str = task, rng: np.random.Generator = rng,
            draw: Callable[[float, float], list[dict[str, object]]] = draw,
        ) -> None:  # fmt: skip
            name = f"{short}--{cell}--seed{k}"
            cells.append(
                {
                    "cell": name, "experiment": folder.name, "arm": arm, "arm_label": label, "task": task, "seed": k,
                    "arm_options": {"samples": budget[0], "rounds": budget[1]} if budget else dict(plan.options),
                    "labels_base": 0, "labels_arm": labels, "labels_dev": 200 if arm in ("sft", "tao") else 0,
                    "budget": {"samples_per_prompt": budget[0], "rounds": budget[1]} if budget else None,
                    "inference_samples": votes, "frozen": FROZEN, "frozen_id": "0123456789ab",
                    "frozen_drift": list(plan.drift),
                    "uses_labels": labels > 0, "model": "reference", "eval": {"split": "test", "limit": None},
                    "versions": {"tao-bench": "0.1.0", "torch": "2.13.0", "trl": "1.16.0"},
                }
            )  # fmt: skip
            length = plan.tuned_tok if budget else 1.0
            lines = []
            for row in draw(mean, noise):
                tok = max(1, round(float(rng.normal(34, 7)) * length)) * votes
                lines.append(
                    {
                        "cell": name, "arm": arm, "task": task, "seed": k, "prompt_tok": 140, "completion_tok": tok,
                        "finish_reason": "length" if row["status"] == "truncated" else "stop",
                        "frozen": "0123456789ab", "extracted": row["answer"], **row,
                    }
                )  # fmt: skip
            _write(folder / "rows" / f"{name}.jsonl", lines)
            for stage, flop in (*stages, ("evaluate", 9e11 * votes)):
                exact = int(flop * float(rng.uniform(0.97, 1.03)))
                ledger.append(
                    {
                        "cell": name, "stage": stage, "round": 0, "model_flop": exact, "device_flop": int(exact * 1.21),
                        "prompt_tok": int(flop / 9e6), "completion_tok": int(flop / 2e7), "train_tok": 0, "note": "",
                    }
                )  # fmt: skip
                host = {"cpu": "2 cores, x86-64", "memory_gb": 8, "os": "Linux"}
                timing.append(
                    {"cell": name, "stage": stage, "wall_s": flop / 3e10, "cpu_s": flop / 3.1e10, "host": host}
                )

        if plan.base is not None:
            add("base", "base", "base", 0, plan.base, noise=0.0)
        if plan.maj is not None:
            add("base_maj", "base maj@16", "base_maj-n16", 0, plan.maj, votes=16, noise=0.25)
        for labels, mean in plan.sft:
            for k in range(plan.seeds):
                flop = 2.4e10 * labels
                add("sft", f"SFT {labels:,}", f"sft-l{labels}", k, mean, labels=labels, stages=[("train", flop)])
        for at, (n, rounds, mean) in enumerate(plan.tao):
            for k in range(plan.headline_seeds if at == len(plan.tao) - 1 else plan.seeds):
                explore = 1.1e12 * n * rounds
                stages = [("explore", explore), ("score", explore / 500), ("train", 1.6 * explore)]
                add("tao", f"TAO n={n} ×{rounds}", f"tao-n{n}-r{rounds}", k, mean, budget=(n, rounds), stages=stages)
    _write(folder / "cells.jsonl", cells)
    _write(folder / "ledger.jsonl", ledger)
    _write(folder / "timing.jsonl", timing)
    return folder


def _world(
    rng: np.random.Generator, items: int, clusters: int, shift: float
) -> Callable[[float, float], list[dict[str, object]]]:
    """A function that draws one arm's verdicts on shared items."""
    code = np.arange(items) % clusters
    level = np.arange(items) // clusters % 3
    hard = rng.normal(0, 0.45, clusters)[code] + rng.normal(0, 0.8, items) + 0.5 * (1 - level)

    def draw(mean: float, noise: float) -> list[dict[str, object]]:
        latent = shift + mean + hard + noise * rng.normal(0, 0.9, items) + noise * rng.normal(0, 0.1)
        kind = rng.random(items)
        rows: list[dict[str, object]] = []
        for i in range(items):
            right = latent[i] > 0
            odd = max(0.02, 0.14 - 0.2 * mean)
            status = (
                "correct" if right else "unparsable" if kind[i] < odd else "truncated" if kind[i] > 0.97 else "wrong"
            )
            reason = {"correct": "equal", "wrong": ("row_count", "values", "execution_error")[i % 3]}.get(
                status, status
            )
            where = "Norvik" if right else "Norviks"
            answer = f"SELECT COUNT(*) FROM stall_{i} JOIN region USING (region_id) WHERE title = '{where}'"
            rows.append(
                {
                    "item": f"t-{i:04d}", "cluster": f"schema-{code[i]}", "level": str(level[i] + 1), "status": status,
                    "score": float(right), "reason": reason,
                    "answer": answer[:40] if status == "unparsable" else answer,
                }
            )  # fmt: skip
        return rows

    return draw


def _write(path: Path, rows: Iterable[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
