"""Before compute is spent: FLOPs, seconds and the smallest effect an experiment could show.

Seconds come from what this machine measured in earlier runs (kept beside the task cache), or from a
plain assumption that is named as such.
"""

from __future__ import annotations

import functools
import json
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tao.compute import ModelShape, forward_flop, generation_flop, plan_sft, plan_tao
from tao.errors import InputError
from tao.prompts import Prompt
from tao.report import explored_prompts
from tao_bench.plan import Prepared, Run
from tao_bench.registry import Task, cache_root
from tao_bench.store import CellFolder, read_rows, read_timing, write_json

ASSUMED_FLOP_S = {"tune": 5.0e10, "answer": 3.0e10}
"""Model FLOPs a second of one thread of a laptop core on a model of a few million parameters."""
ASSUMED_VERIFY_S = 0.01
START_S = {"deploy": 6.0, "model": 6.0, "verify": 1.5}
"""Starting a process and loading its libraries."""
SHARE_OF_LIMIT = 1 / 3
"""Assumed length of an answer as a share of its limit, until a base has answered."""
LONG_ENOUGH_S = 20.0
"""Shorter stages tell of start-up, not of pace."""
TRAINED_SHARE = 0.6
"""Assumed share of prompts, and of a prompt's distinct answers, that training uses."""
DISCORDANCE, ICC = 0.25, 0.05
_SAMPLED_PROMPTS = 64


@dataclass(frozen=True, slots=True)
class Cost:
    """What a cell is expected to take.

    Attributes:
        tuning_flop: Model FLOPs of tuning: the budget axis.
        answer_flop: Model FLOPs of answering the evaluated split.
        items: Items of the evaluated split.
        usd: Price of a remote arm's answers; None for local ones and unknown prices.
    """

    tuning_flop: int
    answer_flop: int
    items: int
    usd: float | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """FLOPs a second of tuning and answering, seconds a verdict, and whether they were measured here."""

    tune: float
    answer: float
    verify_s: float
    measured: bool


def _pace_file() -> Path:
    return cache_root() / "pace.json"


def read_pace() -> Pace:
    """What this machine measured, or the assumption."""
    try:
        found = json.loads(_pace_file().read_text(encoding="utf-8"))
        return Pace(float(found["tune"]), float(found["answer"]), float(found["verify_s"]), True)
    except (OSError, ValueError, KeyError, TypeError):
        return Pace(ASSUMED_FLOP_S["tune"], ASSUMED_FLOP_S["answer"], ASSUMED_VERIFY_S, False)


def learn_pace(cells: Iterable[Prepared]) -> None:
    """Keep the pace of finished cells for the next estimate. Never fails: an estimate is a courtesy."""
    seen: dict[str, list[float]] = {"tune": [], "answer": [], "verify_s": []}
    for prepared in cells:
        if not prepared.finished:
            continue
        flop = {"tune": 0, "answer": 0}
        for row in read_rows(prepared.folder.ledger):
            flop["answer" if row["stage"] == "evaluate" else "tune"] += row["model_flop"]
        took: dict[str, float] = {}
        for row in read_timing(prepared.folder.timing):  # CPU seconds: a busy neighbour says nothing of the next run
            took[row["stage"]] = took.get(row["stage"], 0.0) + row["cpu_s"]
        for stage in ("tune", "answer"):
            if flop[stage] and took.get(stage, 0) > LONG_ENOUGH_S:
                seen[stage].append(flop[stage] / took[stage])
        rows = len(read_rows(prepared.folder.rows))
        if rows and took.get("verify", 0) > 1:
            seen["verify_s"].append(took["verify"] / rows)
    before = read_pace()
    known = {"tune": before.tune, "answer": before.answer, "verify_s": before.verify_s}
    known.update({name: statistics.median(values) for name, values in seen.items() if values})
    if any(seen.values()):
        try:
            write_json(_pace_file(), known)
        except OSError:
            return


def _some_prompts(task: Task) -> list[Prompt]:
    return [item.prompt for item in task.items("test")] if task.eval_only else task.pool()


def mean_prompt_tok(model: Path, task: Task) -> float:
    """Mean tokens of the pool's prompts, from an even sample of them."""
    from tokenizers import Tokenizer

    pool = _some_prompts(task)
    path = model / "tokenizer.json"
    texts = ["\n".join(m.content for m in prompt.messages) for prompt in pool[:: max(1, len(pool) // _SAMPLED_PROMPTS)]]
    if not path.is_file():
        return statistics.fmean(len(text) / 3 for text in texts)
    tokenizer = Tokenizer.from_file(str(path))
    return statistics.fmean(len(tokenizer.encode(text).ids) + 4 for text in texts)


def mean_answer_tok(run_root: Path, task: Task, split: str) -> float:
    """Mean tokens of the base's answers where it has answered already, a share of the limit otherwise."""
    plain = task.name.replace(f":{task.variant}", "")  # the first variant goes by the plain name too
    names = [task.name, *([plain] if task.variant == next(iter(task.spec.variants), "") else [])]
    for config in (path for name in names for path in (run_root / "cells").glob(f"{name}--base--*/cell.json")):
        rows = read_rows(CellFolder(config.parent, split).answers)
        if rows:
            return statistics.fmean(row["completion_tok"] for row in rows)
    return task.spec.limits.max_new_tok * SHARE_OF_LIMIT


class Estimator:
    """Expected cost of a run's cells; reads each task's prompts once."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.shape = ModelShape.from_config(run.model.path)
        self.pace = read_pace()
        self._sizes = functools.cache(self._measure)
        self._tasks: dict[str, dict[int | None, Task]] = {}
        for prepared in run.cells:
            self._tasks.setdefault(prepared.cell.task, {})[prepared.cell.fold] = prepared.task

    def _measure(self, name: str) -> tuple[float, float, int, int]:
        task, evaluation = next(iter(self._tasks[name].values())), self.run.experiment.eval
        items = len(task.items(evaluation.split)[: evaluation.limit])
        answer = mean_answer_tok(self.run.root, task, evaluation.split)
        return mean_prompt_tok(self.run.model.path, task), answer, items, 0 if task.eval_only else len(task.pool())

    def cost(self, prepared: Prepared) -> Cost:
        """Planned FLOPs of a cell."""
        prompt, answer, items, pool = self._sizes(prepared.cell.task)
        options: Any = prepared.cell.options
        if options.REMOTE:
            return Cost(0, 0, items, options.usd_of(items * prompt, items * answer))
        tuning = 0
        if prepared.cell.arm == "sft":
            tuning = plan_sft(
                self.shape, labels=options.labels, prompt_tok=prompt, target_tok=answer, epochs=options.passes()
            ).total
        elif options.budget() is not None:
            tuning = self._tao(prepared, min(pool, options.prompts or pool), prompt, answer)
        samples = options.inference_samples()
        return Cost(tuning, items * generation_flop(self.shape, round(prompt), [round(answer)] * samples), items)

    def _tao(self, prepared: Prepared, prompts: int, prompt_tok: float, answer_tok: float) -> int:
        """Tuning FLOPs of a label-free cell: training puts a prompt's answers behind one copy of the prompt."""
        options: Any = prepared.cell.options
        recipe = options.made(prepared.task.spec.limits)
        each = min(prompts, recipe.prompts_per_round or prompts)
        explore = plan_tao(
            self.shape,
            prompts=each,
            prompt_tok=prompt_tok,
            completion_tok=answer_tok,
            samples=options.samples,
            rounds=options.rounds,
            views=len(recipe.mix),
        ).explore
        behind = 1 if recipe.objective == "rft" else options.samples
        row_tok = round(prompt_tok + behind * answer_tok * TRAINED_SHARE)
        passes = 3 * recipe.epochs + (0 if recipe.objective == "rft" else 1)
        rows = sum(explored_prompts(recipe, prompts)) * TRAINED_SHARE
        train = rows * passes * forward_flop(self.shape, row_tok, round(behind * answer_tok * TRAINED_SHARE))
        explore += round(explore / options.rounds * recipe.watch_share(prompts))
        return int(explore + round(train))

    def seconds(self, prepared: Prepared, work: str) -> float:
        """Expected seconds of one piece of a cell's work on one core."""
        cost = self.cost(prepared)
        if work == "verify":
            return START_S["verify"] + cost.items * self.pace.verify_s
        if work == "deploy":
            return START_S["deploy"] + cost.tuning_flop / self.pace.tune
        return START_S["model"] + cost.tuning_flop / self.pace.tune + cost.answer_flop / self.pace.answer

    def detectable(self, name: str) -> str:
        """The smallest difference to base a task could show with 80 % power, in words."""
        from tao_bench.stats import minimum_detectable_effect

        evaluation = self.run.experiment.eval
        items = [i for task in self._tasks[name].values() for i in task.items(evaluation.split)[: evaluation.limit]]
        clusters = len({item.cluster for item in items})
        seeds = max(
            len({p.cell.seed for p in self.run.cells if p.cell.task == name and p.cell.arm_label == q.cell.arm_label})
            for q in self.run.cells
            if q.cell.task == name
        )
        try:
            effect = minimum_detectable_effect(len(items), clusters, discordance=DISCORDANCE, icc=ICC, n_seeds=seeds)
        except InputError as error:
            return error.what
        return (
            f"{100 * effect:.1f} points ({len(items)} items in {clusters} clusters, {seeds} seed{'s' * (seeds > 1)}; "
            f"if {DISCORDANCE:.0%} of the items change and items of a cluster correlate by {ICC})"
        )
