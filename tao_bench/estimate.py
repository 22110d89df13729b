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

from tao.compute import ModelShape, forward_flop, generation_flop, plan_sft
from tao.errors import InputError
from tao.prompts import Prompt
from tao.recipe import ScaleFields
from tao.report import explored_prompts
from tao.sampling.forecast import forecast
from tao.training.lora import training_flop as lora_flop
from tao_bench.joint import Tuned, common_limits, mixture_sizes
from tao_bench.plan import Prepared, Run
from tao_bench.registry import Task, cache_root
from tao_bench.store import CellFolder, read_rows, read_timing, write_json
from tao_bench.task import Limits

ASSUMED_FLOP_S = {"tune": 5.0e10, "answer": 3.0e10}
"""Model FLOPs a second of one thread of a laptop core on a model of a few million parameters."""
ASSUMED_VERIFY_S = 0.01
START_S = {"deploy": 6.0, "tune": 6.0, "model": 6.0, "verify": 1.5}
"""Starting a process and loading its libraries."""
SHARE_OF_LIMIT = 1 / 3
"""Assumed length of an answer as a share of its limit, until a base has answered."""
LONG_ENOUGH_S = 20.0
"""Shorter stages tell of start-up, not of pace."""
TRAINED_SHARE = 0.6
"""Assumed share of prompts, and of a prompt's distinct answers, that training uses."""
DISCORDANCE, ICC = 0.25, 0.05
CHAR_PER_TOK = 3.0
"""Assumed where a tokenizer is not here: below the four of English prose, as tables and schemas take more tokens."""
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
class Tuning:
    """What tuning a cell is expected to take.

    Attributes:
        explore: Model FLOPs of sampling.
        train: Model FLOPs of training.
        layers: FLOPs of one forward pass through the layers over all that is trained on.
        trained_tok: Tokens trained on, once for every pass over them.
        answer_share: Share of them that are answers.
    """

    explore: int
    train: int
    layers: int
    trained_tok: int
    answer_share: float

    @property
    def total(self) -> int:
        """Model FLOPs of tuning."""
        return int(self.explore + self.train)


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
    done = [prepared for prepared in cells if prepared.finished]
    shared = {p.tuned.key: p.tuned.folder for p in done if p.tuned is not None}
    spent = {folder.root: _spent(folder) for folder in (*(p.folder for p in done), *shared.values())}
    for flop, took in spent.values():
        for stage in ("tune", "answer"):
            if flop[stage] and took.get(stage, 0) > LONG_ENOUGH_S:
                seen[stage].append(flop[stage] / took[stage])
    for prepared in done:
        took = spent[prepared.folder.root][1]
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


def _spent(folder: CellFolder) -> tuple[dict[str, int], dict[str, float]]:
    """FLOPs of tuning and answering, and CPU seconds of every stage: a busy neighbour says nothing of the next run."""
    flop, took = {"tune": 0, "answer": 0}, dict[str, float]()
    for row in read_rows(folder.ledger):
        flop["answer" if row["stage"] == "evaluate" else "tune"] += row["model_flop"]
    for row in read_timing(folder.timing):
        took[row["stage"]] = took.get(row["stage"], 0.0) + row["cpu_s"]
    return flop, took


def _some_prompts(task: Task) -> list[Prompt]:
    return [item.prompt for item in task.items("test")] if task.eval_only else task.pool()


def mean_prompt_tok(model: Path, task: Task) -> float:
    """Mean tokens of the pool's prompts, from an even sample of them."""
    from tokenizers import Tokenizer

    pool = _some_prompts(task)
    path = model / "tokenizer.json"
    texts = ["\n".join(m.content for m in prompt.messages) for prompt in pool[:: max(1, len(pool) // _SAMPLED_PROMPTS)]]
    if not path.is_file():
        return statistics.fmean(len(text) / CHAR_PER_TOK for text in texts)
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
        self._mixtures: dict[tuple[tuple[str, float], ...], dict[str, tuple[int, int]]] = {}
        self._tasks: dict[str, dict[int | None, Task]] = {}
        for prepared in run.cells:
            self._tasks.setdefault(prepared.cell.task, {})[prepared.cell.fold] = prepared.task
            for name, task in prepared.tuned.tasks.items() if prepared.tuned is not None else ():
                self._tasks.setdefault(name, {}).setdefault(None, task)

    def _measure(self, name: str) -> tuple[float, float, int, int]:
        task, evaluation = next(iter(self._tasks[name].values())), self.run.experiment.eval
        items = len(task.items(evaluation.split)[: evaluation.limit])
        answer = mean_answer_tok(self.run.root, task, evaluation.split)
        return mean_prompt_tok(self.run.model.path, task), answer, items, 0 if task.eval_only else len(task.pool())

    def cost(self, prepared: Prepared) -> Cost:
        """Planned FLOPs of a cell."""
        prompt, answer, items, _ = self._sizes(prepared.cell.task)
        options: Any = prepared.cell.options
        if options.REMOTE:
            return Cost(0, 0, items, options.usd_of(items * prompt, items * answer))
        tuning = self.tuning(prepared)
        samples = options.inference_samples()
        answering = items * generation_flop(self.shape, round(prompt), [round(answer)] * samples)
        return Cost(tuning.total if tuning else 0, answering, items)

    def sizes(self, name: str) -> tuple[float, float, int, int]:
        """Mean tokens of a task's prompts and of an answer, evaluated items, prompts of the pool."""
        return self._sizes(name)

    def tuning(self, prepared: Prepared) -> Tuning | None:
        """What tuning a cell takes; None for arms that tune nothing."""
        options: Any = prepared.cell.options
        if options.REMOTE:
            return None
        if prepared.tuned is not None:
            return self._joint(prepared.tuned, options)
        prompt, answer, _, pool = self._sizes(prepared.cell.task)
        return self._tuning(options, prepared.task.spec.limits, prompt, answer, pool)

    def _joint(self, tuned: Tuned, options: Any) -> Tuning | None:
        """A model that several cells share: as if each of its tasks had its share of one long pool."""
        mixture = tuple(tuned.weights.items())
        if mixture not in self._mixtures:
            self._mixtures[mixture] = mixture_sizes(tuned.tasks, tuned.weights)
        sizes = self._mixtures[mixture]
        whole = sum(taken for taken, _ in sizes.values())
        measured = {name: self._sizes(name) for name in tuned.tasks}
        prompt = sum(measured[name][0] * taken for name, (taken, _) in sizes.items()) / whole
        answer = sum(measured[name][1] * taken for name, (taken, _) in sizes.items()) / whole
        return self._tuning(options, common_limits(list(tuned.tasks.values())), prompt, answer, whole)

    def _tuning(self, options: Any, limits: Limits, prompt: float, answer: float, pool: int) -> Tuning | None:
        if options.budget() is not None:
            return self._tao(options, limits, min(pool, options.prompts or pool), prompt, answer)
        return self._sft(options, prompt, answer) if hasattr(options, "passes") else None

    def _sft(self, options: Any, prompt_tok: float, answer_tok: float) -> Tuning:
        plan = plan_sft(
            self.shape,
            labels=options.labels,
            prompt_tok=prompt_tok,
            target_tok=answer_tok,
            epochs=options.passes(),
        )
        rows, row_tok = options.labels * options.passes(), round(prompt_tok + answer_tok)
        train = plan.total
        if options.lora:
            train = round(rows * self._lora_flop(options, row_tok, row_tok))
        return Tuning(
            0, train, round(rows * forward_flop(self.shape, row_tok, 0)), rows * row_tok, answer_tok / row_tok
        )

    def _lora_flop(self, scale: ScaleFields, row_tok: int, head_tok: int) -> int:
        adapters = scale.scale()["lora"]
        return lora_flop(self.shape, adapters, row_tok, row_tok**2, head_tok)

    def _tao(self, options: Any, limits: Limits, prompts: int, prompt_tok: float, answer_tok: float) -> Tuning:
        """A label-free cell: training puts a prompt's answers behind one copy of the prompt."""
        recipe = options.made(limits)
        each = min(prompts, recipe.prompts_per_round or prompts)
        one = forecast(self.shape, recipe.exploring(), prompt_tok, answer_tok, rewords=recipe.reworder is None)
        explore = options.rounds * each * one.model_flop
        behind = 1 if recipe.objective == "rft" else options.samples
        row_tok = round(prompt_tok + behind * answer_tok * TRAINED_SHARE)
        head_tok = round(behind * answer_tok * TRAINED_SHARE)
        reference = 0 if recipe.objective == "rft" else 1  # one pass for the round-start log-probabilities
        rows = sum(explored_prompts(recipe, prompts)) * TRAINED_SHARE
        forward = forward_flop(self.shape, row_tok, head_tok)
        train = rows * (3 * recipe.epochs + reference) * forward
        if recipe.lora:
            train = rows * (self._lora_flop(recipe, row_tok, head_tok) * recipe.epochs + reference * forward)
        explore += round(explore / options.rounds * recipe.watch_share(prompts))
        layers = round(rows * recipe.epochs * forward_flop(self.shape, row_tok, 0))
        trained_tok = round(rows * recipe.epochs * row_tok)
        return Tuning(explore, round(train), layers, trained_tok, behind * answer_tok * TRAINED_SHARE / row_tok)

    def seconds(self, prepared: Prepared, work: str) -> float:
        """Expected seconds of one piece of a cell's work on one core."""
        cost = self.cost(prepared)
        if work == "verify":
            return START_S["verify"] + cost.items * self.pace.verify_s
        if work == "tune":
            return START_S["tune"] + cost.tuning_flop / self.pace.tune
        if work == "deploy":
            return START_S["deploy"] + cost.tuning_flop / self.pace.tune
        own = 0 if prepared.tuned is not None else cost.tuning_flop  # a shared model is tuned by a job of its own
        return START_S["model"] + own / self.pace.tune + cost.answer_flop / self.pace.answer

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
