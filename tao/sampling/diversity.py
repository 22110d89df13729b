"""How different a prompt's samples are: the fuel of tuning, measured without labels.

pass@k needs flags of correctness and is for the benchmark's side; it takes them as plain booleans.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tao.errors import InputError
from tao.prompts import Sample


@dataclass(frozen=True, slots=True)
class StrategyReport:
    """One strategy's samples; shares are between 0 and 1.

    Attributes:
        prompts: Prompts that it explored.
        samples: How many.
        kept_form: Share whose answer in deployment form could be cut out.
        truncated: Share that hit the length limit.
        completion_tok: Mean tokens generated.
        answers: Mean number of different answers, as texts, over the prompts it explored.
        meanings: Mean number of different meanings, over the same prompts.
        votes: Share of its samples that mean something.
        alone: Share of its answers that no other strategy gave for the same prompt.
        won: Share of its votes that carry the winning meaning of a trusted vote.
        won_share: Share of all winning votes that are its own.
        won_per_1k: Winning votes per 1,000 tokens that it generated: which strategy pays.
    """

    prompts: int
    samples: int
    kept_form: float
    truncated: float
    completion_tok: float
    answers: float
    meanings: float
    votes: float
    alone: float
    won: float
    won_share: float
    won_per_1k: float


@dataclass(frozen=True, slots=True)
class DiversityReport:
    """Over all prompts.

    Attributes:
        prompts: How many.
        distinct: Mean number of different answers per prompt (texts, or the meanings given as keys).
        distinct_share: Mean of different answers / answers.
        agreeing: Mean share of the commonest answer among a prompt's answers.
        strategies: By name.
    """

    prompts: int
    distinct: float
    distinct_share: float
    agreeing: float
    strategies: Mapping[str, StrategyReport]


def diversity_report(
    groups: Mapping[str, Sequence[Sample]],
    keys: Mapping[str, Sequence[str | None]] | None = None,
    won: Mapping[str, Sequence[bool]] | None = None,
) -> DiversityReport:
    """Summarise samples.

    Args:
        groups: Prompt id to samples (`tao.sampling.samples.read_samples`).
        keys: Prompt id to the meaning of each sample (None: no vote), aligned with `groups`; answers
            are compared as texts when left out.
        won: Prompt id to whether each sample carries the winning meaning; nothing won when left out.

    Raises:
        InputError: No samples, or keys that do not line up.
    """
    if not any(groups.values()):
        raise InputError("no samples to report on")
    named = {
        prompt: _keys(samples, None if keys is None else keys.get(prompt, ()), prompt)
        for prompt, samples in groups.items()
    }
    said = {prompt: [key for key in listed if key is not None] for prompt, listed in named.items()}
    counted = [listed for listed in said.values() if listed]
    strategies = sorted({sample.strategy for samples in groups.values() for sample in samples})
    rows = [
        _Row(prompt, sample, key, won is not None and won[prompt][at])
        for prompt, samples in groups.items()
        for at, (sample, key) in enumerate(zip(samples, named[prompt], strict=True))
    ]
    return DiversityReport(
        prompts=len(groups),
        distinct=_mean([len(set(listed)) for listed in said.values()]),
        distinct_share=_mean([len(set(listed)) / len(listed) for listed in counted]),
        agreeing=_mean([max(map(listed.count, set(listed))) / len(listed) for listed in counted]),
        strategies={name: _strategy(name, rows) for name in strategies},
    )


def pass_at_k(flags: Sequence[bool], k: int) -> float:
    """Unbiased pass@k of one prompt: the chance that k of its n samples hold a correct one.

    ``1 - C(n - c, k) / C(n, k)`` as a product (Chen et al., arXiv 2107.03374, section 2.1).

    Args:
        flags: Whether each of the n samples is correct.
        k: At most n.

    Raises:
        InputError: k outside 1..n.
    """
    n, c = len(flags), sum(flags)
    if not 1 <= k <= n:
        raise InputError(f"pass@{k} needs at least {k} samples, there are {n}", fix="sample more or lower k")
    if n - c < k:
        return 1.0
    missed = 1.0
    for i in range(n - c + 1, n + 1):
        missed *= 1.0 - k / i
    return 1.0 - missed


def _keys(samples: Sequence[Sample], keys: Sequence[str | None] | None, prompt: str) -> list[str | None]:
    if keys is None:
        return [None if sample.answer is None else sample.answer.strip() for sample in samples]
    if len(keys) != len(samples):
        raise InputError(f"{len(keys)} keys for {len(samples)} samples", prompt)
    return list(keys)


@dataclass(frozen=True, slots=True)
class _Row:
    prompt: str
    sample: Sample
    key: str | None
    won: bool


def _strategy(name: str, rows: Sequence[_Row]) -> StrategyReport:
    mine = [row for row in rows if row.sample.strategy == name]
    others = {(row.prompt, row.key) for row in rows if row.sample.strategy != name}
    prompts = len({row.prompt for row in mine})
    votes = [row for row in mine if row.key is not None]
    wins = sum(row.won for row in mine)
    all_wins = sum(row.won for row in rows)
    spent = sum(row.sample.completion_tok for row in mine)
    texts = {(row.prompt, row.sample.answer.strip()) for row in mine if row.sample.answer is not None}
    return StrategyReport(
        prompts=prompts,
        samples=len(mine),
        kept_form=_mean([row.sample.answer is not None for row in mine]),
        truncated=_mean([row.sample.finish_reason == "length" for row in mine]),
        completion_tok=_mean([row.sample.completion_tok for row in mine]),
        answers=len(texts) / prompts,
        meanings=len({(row.prompt, row.key) for row in votes}) / prompts,
        votes=len(votes) / len(mine),
        alone=_mean([(row.prompt, row.key) not in others for row in votes]),
        won=wins / len(votes) if votes else 0.0,
        won_share=wins / all_wins if all_wins else 0.0,
        won_per_1k=1000 * wins / spent if spent else 0.0,
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
