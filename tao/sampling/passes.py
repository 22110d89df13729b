"""A round's exploring in passes: what needs nothing but the prompt, a provisional reading, then the rest.

Few-shot examples and answers to repair are the round's own, and adaptive n asks where samples disagree: all three
need a first pass. Files, beside the one that the round is scored from:

- ``rewordings.jsonl``: questions in other words (only with the strategy `reword`); no answers, only charged;
- ``first.jsonl``: samples of the strategies that need nothing but the prompt;
- ``readings.jsonl``: what they amount to, a row a prompt (label-free: gate, interpreter, rule of mentions);
- ``second.jsonl``: the others, numbered on, drawn independently of the first;
- ``samples.jsonl``: both. The round's vote is taken over all of them.

A round that needs one pass is one call of `tao.sampling.explore.explore`, as it always was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tao.compute import Ledger
from tao.meaning import Interpreter, Outcome, Reading
from tao.prompts import Prompt, Sample, pool_digest, read_jsonl
from tao.sampling import lessons, rewording
from tao.sampling.adaptive import Adaptive, allocate, apportion, uncertainty
from tao.sampling.explore import Progress, draw_seed, explore, plan_views, sample_views
from tao.sampling.protocol import Sampler, Settings, TooLong
from tao.sampling.samples import read_samples
from tao.sampling.strategies import Supplies, View, parse, prompt_views
from tao.sampling.wording import WORDINGS, WordingName
from tao.scoring.gate import is_vote
from tao.scoring.score import handles_digest, read_answers
from tao.stage import Stage, file_digest

VERSION = "1"
"""Part of the record of every round in two passes; raise it when examples, failures or shares are chosen otherwise."""
FROM_SUPPLIES = ("few_shot", "repair", "reword")
"""Strategies whose views are longer than the prompt by what they show; too long ones are done without."""


@dataclass(frozen=True, slots=True)
class Exploring:
    """How a round is explored.

    Attributes:
        shares: Parts of the samples by key of the mix.
        samples: Per prompt, over all strategies and both passes: with `adaptive` on average, and at most.
        wording: What views say to the model.
        adaptive: How samples are held back and spent; None gives every prompt the same number.
        mentions: Whether an answer that leaves out what the question mentions loses its vote.
    """

    shares: Mapping[str, float]
    samples: int
    wording: WordingName = "terse"
    adaptive: Adaptive | None = None
    mentions: bool = True

    def _names(self, strategy: str) -> bool:
        return any(parse(key)[0].name == strategy for key in self.shares)

    @property
    def rewords(self) -> bool:
        """Whether questions have to be reworded first."""
        return self._names("reword")

    @property
    def passes(self) -> int:
        """1 or 2."""
        return 1 + (self.adaptive is not None or any(parse(key)[0].second for key in self.shares))

    def first_shares(self) -> dict[str, float]:
        """Shares of what needs no first pass."""
        return {key: share for key, share in self.shares.items() if not parse(key)[0].second}

    def first(self) -> dict[str, int]:
        """Samples of the first pass by key, where a prompt has all that they need."""
        shares = self.first_shares()
        if self.adaptive is None:
            counts = apportion(self.samples, self.shares, 1)
            return {key: counts[key] for key in shares}
        # Two samples at least: one has nothing to disagree with.
        left = max(2, len(shares), self.samples - max(1, round(self.samples * self.adaptive.held)))
        return apportion(left, shares, 1)

    def first_of(self, prompt: Prompt, supplies: Supplies) -> dict[str, int]:
        """Samples of the first pass by key; a strategy that a prompt lacks the means for leaves its own to the rest."""
        counts = self.first()
        shares = {key: share for key, share in self.first_shares().items() if _applies(key, prompt.id, supplies)}
        return counts if len(shares) == len(counts) else _positive(apportion(sum(counts.values()), shares))

    def second_of(self, prompt: Prompt, supplies: Supplies, taken: Sequence[Sample], extra: int) -> dict[str, int]:
        """So many more samples by key: what the first pass lacks of the mix, among strategies that apply."""
        shares = {key: share for key, share in self.shares.items() if _applies(key, prompt.id, supplies)}
        whole = apportion(len(taken) + extra, shares)
        missing = {key: n - sum(sample.strategy == key for sample in taken) for key, n in whole.items()}
        return _positive(apportion(extra, _positive(missing))) if extra else {}


def explore_round(
    prompts: Sequence[Prompt],
    sampler: Sampler,
    exploring: Exploring,
    settings: Settings,
    interpreter: Interpreter,
    *,
    seed: int,
    round: int,
    out: Path,
    ledger: Ledger | None = None,
    progress: Progress | None = None,
    reworder: Callable[[], Sampler] | None = None,
) -> Path:
    """Sample every prompt in one pass or two, resumably: killed anywhere, it ends with the same bytes.

    Args:
        prompts: The round's prompts.
        sampler: Holds the round-start policy.
        exploring: Strategies and their shares.
        settings: As for `tao.sampling.explore.explore`.
        interpreter: Reads the first pass, without labels.
        seed: As for `explore`.
        round: As for `explore`.
        out: ``samples.jsonl``; the passes' files lie beside it.
        ledger: Charged by pass.
        progress: Told samples over both passes.
        reworder: Makes the sampler that rewords questions; the round's own if None.

    Returns:
        `out`.

    Raises:
        InputError: As `explore`. A view of `FROM_SUPPLIES` that is too long is done without instead.
    """
    run = _Passes(prompts, sampler, exploring, settings, seed, round, out, ledger, progress)
    if exploring.passes == 1 and not exploring.rewords:
        return explore(
            prompts,
            sampler,
            exploring.first(),
            settings,
            seed=seed,
            round=round,
            out=out,
            ledger=ledger,
            progress=progress,
            wording=exploring.wording,
        )
    supplies = Supplies(rewordings=_rewordings(run, reworder) if exploring.rewords else {})
    first = run.sample(supplies, exploring.first_of, {}, "first")
    parts = [first]
    if exploring.passes == 2:
        groups = read_samples(first)
        readings = _readings(run, interpreter, groups, first)
        supplies = _learned(run, supplies, groups, readings)
        extra = _extra(run, groups, readings)

        def wanted(prompt: Prompt, known: Supplies) -> dict[str, int]:
            return exploring.second_of(prompt, known, groups[prompt.id], extra[prompt.id])

        parts.append(run.sample(supplies, wanted, groups, "second"))
    return _joined(parts, out)


@dataclass(frozen=True, slots=True)
class _Passes:
    """What stays the same over the passes."""

    prompts: Sequence[Prompt]
    sampler: Sampler
    exploring: Exploring
    settings: Settings
    seed: int
    round: int
    out: Path
    ledger: Ledger | None
    progress: Progress | None

    def record(self) -> dict[str, Any]:
        """How it was asked, for the parts' records."""
        return {
            "pool": pool_digest(self.prompts),
            "exploring": asdict(self.exploring),
            "passes": VERSION,
        }

    def sample(
        self,
        supplies: Supplies,
        wanted: Callable[[Prompt, Supplies], Mapping[str, int]],
        before: Mapping[str, Sequence[Sample]],
        part: str,
    ) -> Path:
        """One pass: samples by prompt and key of the mix, behind those taken before."""
        part_seed = draw_seed(self.seed, self.round, "explore", part)
        said = WORDINGS[self.exploring.wording]
        while True:
            views: list[View] = []
            for prompt in self.prompts:
                if mix := wanted(prompt, supplies):
                    first = len(before.get(prompt.id, ()))
                    views += prompt_views(prompt, mix, part_seed, supplies, said, first_index=first)
            try:
                plan_views(views, self.sampler, self.settings, part_seed)
                break
            except TooLong as error:
                supplies = _shorter(supplies, views, error)
        taken = sum(map(len, before.values()))
        return sample_views(
            views,
            self.sampler,
            self.settings,
            {**self.record(), "part": part},
            seed=self.seed,
            round=self.round,
            out=self.out.with_name(f"{part}.jsonl"),
            ledger=self.ledger,
            progress=self._told(taken, taken + sum(view.request.n for view in views)),
            part=part,
            wording=said,
        )

    def _told(self, before: int, everything: int) -> Progress | None:
        progress = self.progress
        whole = max(everything, len(self.prompts) * self.exploring.samples)
        if progress is None:
            return None
        return lambda stage, done, of: progress(stage, before + done, whole)


def _positive(counts: Mapping[str, int]) -> dict[str, int]:
    return {key: n for key, n in counts.items() if n > 0}


def _applies(key: str, prompt_id: str, supplies: Supplies) -> bool:
    """Whether a prompt has what a strategy needs."""
    name = parse(key)[0].name
    needs: dict[str, tuple[Mapping[str, Any], ...]] = {
        "few_shot": (supplies.exemplars, supplies.similar),
        "repair": (supplies.failures,),
        "reword": (supplies.rewordings,),
    }
    return name not in needs or any(prompt_id in pairs for pairs in needs[name])


def _shorter(supplies: Supplies, views: Sequence[View], error: TooLong) -> Supplies:
    """Supplies without one thing for every view that is too long; a too long prompt itself stays an error."""
    long = [view for view in views if view.request.key in error.keys]
    if any(parse(view.strategy)[0].name not in FROM_SUPPLIES for view in long):
        raise error
    fields = {"few_shot": ("similar", "exemplars"), "repair": ("failures",), "reword": ("rewordings",)}
    for name, prompt_id in sorted({(parse(view.strategy)[0].name, view.prompt_id) for view in long}):
        field = next(f for f in fields[name] if prompt_id in getattr(supplies, f))
        supplies = replace(supplies, **{field: lessons.without(getattr(supplies, field), prompt_id)})
    return supplies


def _rewordings(run: _Passes, reworder: Callable[[], Sampler] | None) -> dict[str, tuple[tuple[str, str], ...]]:
    """Sound rewordings by prompt."""
    sampler = reworder() if reworder else run.sampler
    wording = WORDINGS[run.exploring.wording]
    views = rewording.ask_views(run.prompts, wording)
    try:
        path = sample_views(
            views,
            sampler,
            replace(run.settings, certainty=False),  # of answers alone
            {**run.record(), "part": "rewordings"},
            seed=run.seed,
            round=run.round,
            out=run.out.with_name("rewordings.jsonl"),
            ledger=run.ledger,
            part="rewordings",
            wording=wording,
        )
    finally:
        if reworder:
            sampler.close()
    return rewording.accepted(run.prompts, read_samples(path))


def _readings(
    run: _Passes, interpreter: Interpreter, groups: Mapping[str, Sequence[Sample]], samples: Path
) -> dict[str, list[Reading]]:
    """What the first pass amounts to. On disk, as a time-out need not end the same way twice."""
    made_from = {
        "samples": file_digest(samples),
        "handles": handles_digest(run.prompts),
        "interpreter": f"{interpreter.name}@{interpreter.version}",
        "mentions": run.exploring.mentions,
    }
    stage = Stage(run.out.with_name("readings.jsonl"), made_from)
    rows = stage.rows()
    if not stage.done:
        for prompt in run.prompts[len(rows) :]:
            read = read_answers(prompt, groups[prompt.id], interpreter, rule=run.exploring.mentions)
            rows.append({"prompt_id": prompt.id, "readings": [[str(r.outcome), r.key, r.detail] for r in read]})
            stage.append(rows[-1:])
        stage.finish()
    return {row["prompt_id"]: [Reading(Outcome(o), key, detail) for o, key, detail in row["readings"]] for row in rows}


def _learned(
    run: _Passes,
    supplies: Supplies,
    groups: Mapping[str, Sequence[Sample]],
    readings: Mapping[str, Sequence[Reading]],
) -> Supplies:
    """Failures and examples of the first pass."""
    failed = {i: found for i, group in groups.items() if (found := lessons.failures(group, readings[i]))}
    won = [w for p in run.prompts if (w := lessons.winner(p, groups[p.id], readings[p.id])) is not None]
    same, similar = lessons.examples(run.prompts, won)
    return replace(supplies, failures=failed, exemplars=same, similar=similar)


def _extra(
    run: _Passes, groups: Mapping[str, Sequence[Sample]], readings: Mapping[str, Sequence[Reading]]
) -> dict[str, int]:
    """Samples of the second pass by prompt: what the first left, evenly or where samples disagree."""
    exploring = run.exploring
    left = {prompt.id: max(0, exploring.samples - len(groups[prompt.id])) for prompt in run.prompts}
    if exploring.adaptive is None:
        return left
    uncertain = {p.id: uncertainty([r.key if is_vote(r) else None for r in readings[p.id]]) for p in run.prompts}
    given = allocate(uncertain, sum(left.values()), exploring.adaptive, exploring.samples)
    return dict.fromkeys(left, 0) | given


def _joined(parts: Sequence[Path], out: Path) -> Path:
    """All samples of the round in one file."""
    stage = Stage(out, {part.stem: file_digest(part) for part in parts})
    if not stage.done:
        stage.keep(0)
        for part in parts:
            stage.append(row for _, row in read_jsonl(part))
        stage.finish()
    return out
