"""`tao-bench signals`: how well label-free signals tell right from wrong, measured with labels on dev.

A signal is a number for each sample of a prompt, made without labels (`tao/scoring`, `tao/sql`). Here, and
only here, it is held against the verifier: area under the ROC curve over all samples and within prompts (the one
that matters for choosing among a prompt's own samples), accuracy of the best sample by the signal, and
calibration of the two signals that are shares. Intervals are from a bootstrap over clusters of items.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tao.meaning import Outcome, Reading
from tao.prompts import Prompt, Sample
from tao.scoring.consensus import consensus
from tao.scoring.gate import is_vote
from tao.scoring.mentions import left_out
from tao.scoring.score import read_answers

if TYPE_CHECKING:
    from tao_bench.registry import Task

Floats = NDArray[np.float64]
BINS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
BOOTSTRAP = 1_000


@dataclass(frozen=True, slots=True)
class Group:
    """One prompt's samples as signals see them.

    Attributes:
        prompt: The prompt.
        samples: Its samples.
        readings: What each sample means, by the hard gate and the interpreter alone.
    """

    prompt: Prompt
    samples: Sequence[Sample]
    readings: Sequence[Reading]


Signal = Callable[[Group], Sequence[float]]


def in_form(group: Group) -> list[float]:
    """1 where the answer is in deployment form, whole, and accepted by the gate (grammar, names, dialect)."""
    return [float(r.outcome is not Outcome.INVALID) for r in group.readings]


def runs(group: Group) -> list[float]:
    """1 where the answer works: the query runs, the expression has a value."""
    return [float(r.outcome in (Outcome.OK, Outcome.EMPTY)) for r in group.readings]


def says_something(group: Group) -> list[float]:
    """1 where it works and its result is not empty."""
    return [float(is_vote(r)) for r in group.readings]


def leaves_nothing_out(group: Group) -> list[float]:
    """1 where it says something and leaves out nothing that the question mentions (`tao.scoring.mentions`)."""
    words = left_out(group.prompt, [str(s.answer) for s in group.samples])
    return [float(is_vote(r) and not word) for r, word in zip(group.readings, words, strict=True)]


def vote_share(group: Group) -> list[float]:
    """Share of the valid votes that agree with the sample; 0 where it has no vote."""
    vote = consensus(group.readings)
    return [vote.shares[str(r.key)] if vote and is_vote(r) else 0.0 for r in group.readings]


def support(group: Group) -> list[float]:
    """Share of *all* the prompt's samples that agree with it, failed ones in the denominator."""
    keys = [r.key if is_vote(r) else None for r in group.readings]
    return [keys.count(key) / len(keys) if key is not None else 0.0 for key in keys]


def support_and_mentions(group: Group) -> list[float]:
    """`support` where nothing is left out, else 0: what the published recipe trusts."""
    return [s * kept for s, kept in zip(support(group), leaves_nothing_out(group), strict=True)]


SIGNALS: Mapping[str, Signal] = {
    "in form": in_form,
    "runs": runs,
    "not empty": says_something,
    "leaves nothing out": leaves_nothing_out,
    "vote share": vote_share,
    "support": support,
    "support, nothing left out": support_and_mentions,
}
"""In order of what they cost and know; each a plain function."""


def of_rule(rule: Callable[[Prompt, Sequence[str]], Sequence[float | None]]) -> Signal:
    """A rule of `tao.scoring.signals` as a signal; no evidence is worth the mean of the group's evidence.

    Args:
        rule: Gives each answer a value in [0, 1], or None.
    """

    def signal(group: Group) -> list[float]:
        values = list(rule(group.prompt, [sample.answer or "" for sample in group.samples]))
        known = [value for value in values if value is not None]
        mean = sum(known) / len(known) if known else 0.5
        return [mean if value is None else value for value in values]

    return signal


class TableOverlap:
    """Overlap of an answer's table with the consensus table on the tuning database (SQL answers only).

    Args:
        weight: Multiplies the overlap with the winner's support, so that an unsure winner pulls less.
    """

    def __init__(self, weight: bool = True) -> None:
        from tao.sql.sandbox import Sandbox

        self._box = Sandbox()
        self._weight = weight

    def __call__(self, group: Group) -> list[float]:
        """The signal of each sample; 0 where it has no vote, or nothing won."""
        from tao.sql.gate import Accepted, check
        from tao.sql.instance import read_instance
        from tao.sql.overlap import overlap

        vote = consensus(group.readings)
        if vote is None:
            return [0.0] * len(group.samples)
        path = group.prompt.handles["database"]
        schema = read_instance(Path(path)).schema
        checked = {s.answer: check(str(s.answer), schema) for s in group.samples}
        jobs = {text: (path, c.duckdb) for text, c in checked.items() if isinstance(c, Accepted)}
        rows = dict(zip(jobs, (ran.rows for ran in self._box.run(list(jobs.values()))), strict=True))
        winner = next(s.answer for s, r in zip(group.samples, group.readings, strict=True) if r.key == vote.key)
        weight = support(group)[[r.key for r in group.readings].index(vote.key)] if self._weight else 1.0
        return [
            overlap(rows[s.answer], rows[winner]) * weight if is_vote(r) else 0.0
            for s, r in zip(group.samples, group.readings, strict=True)
        ]

    def close(self) -> None:
        """End the worker process."""
        self._box.close()


def auc(signal: Floats, right: NDArray[np.bool_]) -> float:
    """Area under the ROC curve: chance that a right sample scores above a wrong one, ties half (Mann-Whitney).

    NaN where all are right or all are wrong.
    """
    from scipy.stats import rankdata

    n_right = int(right.sum())
    n_wrong = right.size - n_right
    if not n_right or not n_wrong:
        return float("nan")
    ranks = rankdata(signal)
    return float((ranks[right].sum() - n_right * (n_right + 1) / 2) / (n_right * n_wrong))


def pairs_won(signal: Floats, right: NDArray[np.bool_]) -> tuple[float, int]:
    """Of one prompt's pairs of a right and a wrong sample: those the signal orders rightly (ties half), and all."""
    pairs = int(right.sum()) * int((~right).sum())
    return (pairs * auc(signal, right), pairs) if pairs else (0.0, 0)


def auc_within(won: Sequence[tuple[float, int]]) -> float:
    """AUC among each prompt's own samples, prompts weighted by their pairs; NaN where there is no pair."""
    pairs = sum(part for _, part in won)
    return sum(part for part, _ in won) / pairs if pairs else float("nan")


def best_of(signal_PG: Sequence[Floats], right_PG: Sequence[NDArray[np.bool_]]) -> float:
    """Accuracy when each prompt's highest sample answers; among equals, any of them."""
    found = [right[signal == signal.max()].mean() for signal, right in zip(signal_PG, right_PG, strict=True)]
    return float(np.mean(found))


@dataclass(frozen=True, slots=True)
class Quality:
    """How a signal does; intervals are 95 %, from a bootstrap over clusters."""

    signal: str
    auc: float
    auc_low: float
    auc_high: float
    within: float
    within_low: float
    within_high: float
    best: float


def quality(
    name: str,
    signal_PG: Sequence[Floats],
    right_PG: Sequence[NDArray[np.bool_]],
    clusters: Sequence[str],
    seed: int = 0,
) -> Quality:
    """Figures of one signal over prompts in clusters."""
    rng = np.random.default_rng(seed)
    members: dict[str, list[int]] = {}
    for place, cluster in enumerate(clusters):
        members.setdefault(cluster, []).append(place)
    groups = list(members.values())
    won = [pairs_won(signal, right) for signal, right in zip(signal_PG, right_PG, strict=True)]

    def pooled(chosen: Sequence[int]) -> tuple[float, float]:
        signal = np.concatenate([signal_PG[i] for i in chosen])
        right = np.concatenate([right_PG[i] for i in chosen])
        return auc(signal, right), auc_within([won[i] for i in chosen])

    drawn = []
    for _ in range(BOOTSTRAP):
        picked = rng.integers(len(groups), size=len(groups))
        drawn.append(pooled([i for g in picked for i in groups[g]]))
    low, high = np.nanquantile(np.array(drawn), (0.025, 0.975), axis=0)
    whole, within = pooled(range(len(signal_PG)))
    return Quality(name, whole, low[0], high[0], within, low[1], high[1], best_of(signal_PG, right_PG))


@dataclass(frozen=True, slots=True)
class Bin:
    """Winners whose share lies in one bin: how many, mean share, and how many of them are right."""

    low: float
    high: float
    winners: int
    share: float
    right: float


def calibration(shares: Floats, right: NDArray[np.bool_]) -> list[Bin]:
    """Reliability of the winners' shares, in the bins of `BINS`."""
    found = []
    for low, high in pairwise(BINS):
        inside = (shares > low) & (shares <= high)
        if inside.any():
            found.append(Bin(low, high, int(inside.sum()), float(shares[inside].mean()), float(right[inside].mean())))
    return found


def read_groups(task: Task, samples: Mapping[str, Sequence[Sample]]) -> list[Group]:
    """The dev prompts with their samples, read without labels."""
    interpreter = task.interpreter()
    try:
        groups = []
        for item in task.items("dev"):
            mine = samples.get(item.prompt.id)
            if mine is not None:
                groups.append(Group(item.prompt, mine, read_answers(item.prompt, mine, interpreter, rule=False)))
        return groups
    finally:
        interpreter.close()


def judge(task: Task, groups: Sequence[Group]) -> list[NDArray[np.bool_]]:
    """Whether each sample of each group is right; equal answers are judged once."""
    from tao_bench.task import read_labels

    labels = read_labels(task.data, "dev")
    verifier = task.verifier()
    found = []
    try:
        for group in groups:
            gold = labels[group.prompt.id].gold
            known: dict[tuple[str, str], bool] = {}
            for sample in group.samples:
                key = (sample.text, sample.finish_reason)
                if key not in known:
                    known[key] = verifier.grade(group.prompt, gold, *key).score == 1.0
            found.append(np.array([known[s.text, s.finish_reason] for s in group.samples]))
    finally:
        verifier.close()
    return found


def measure(task: Task, samples: Mapping[str, Sequence[Sample]]) -> tuple[list[Quality], dict[str, list[Bin]]]:
    """Quality of every signal, and calibration of the winners' share by `vote share` and `support`."""
    groups = read_groups(task, samples)
    right = judge(task, groups)
    home = {item.prompt.id: item.cluster for item in task.items("dev")}
    clusters = [home[group.prompt.id] for group in groups]
    from tao_bench.own_signals import task_signals

    known: dict[str, Any] = task_signals(task)
    table = None
    if task.spec.answer == "sql":
        table = known["overlap with the consensus table"] = TableOverlap()
    try:
        values = {name: [np.asarray(signal(g), dtype=np.float64) for g in groups] for name, signal in known.items()}
    finally:
        if table is not None:
            table.close()
    bins: dict[str, list[Bin]] = {}
    shares: list[str] = [name for name in ("vote share", "support") if name in values]
    for name in shares:
        top = [(float(v.max()), bool(r[int(v.argmax())])) for v, r in zip(values[name], right, strict=True)]
        bins[name] = calibration(np.array([t[0] for t in top]), np.array([t[1] for t in top]))
    return [quality(name, found, right, clusters) for name, found in values.items()], bins


def run_signals(options: argparse.Namespace) -> int:
    """The command ``tao-bench signals``: one page a task under ``reports/signals``."""
    from rich.console import Console

    from tao.sampling.samples import read_samples
    from tao_bench.gate import available, cell_of, dev_run
    from tao_bench.models import resolve_model
    from tao_bench.report.signals import Page, write_page

    console = Console()
    names = options.task or available(console, options.tasks)
    run = dev_run(console, options, names)
    if isinstance(run, int):
        return run
    model = resolve_model(options.model)
    for name in names:
        voted = cell_of(run, name, "base_maj")
        samples = read_samples(voted.folder.evaluation / "samples.jsonl")
        found, bins = measure(voted.task, samples)
        by = f"tao-bench signals --task {name}" + (f" --limit {options.limit}" if options.limit else "")
        page = write_page(
            options.reports / "signals" / name,
            Page(
                task=voted.task.version_name,
                model=f"`{options.model}` ({model.hash[:12]})",
                prompts=len(samples),
                samples=options.samples,
                command=by,
            ),
            found,
            bins,
        )
        print(page.read_text(encoding="utf-8"))
        print(f"page: {page}")
    return 0
