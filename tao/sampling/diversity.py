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
        samples: How many.
        kept_form: Share whose answer in deployment form could be cut out.
        truncated: Share that hit the length limit.
        completion_tok: Mean tokens generated.
        alone: Share of its answers that no other strategy gave for the same prompt.
    """

    samples: int
    kept_form: float
    truncated: float
    completion_tok: float
    alone: float


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
    groups: Mapping[str, Sequence[Sample]], keys: Mapping[str, Sequence[str | None]] | None = None
) -> DiversityReport:
    """Summarise samples.

    Args:
        groups: Prompt id to samples (`tao.sampling.samples.read_samples`).
        keys: Prompt id to the meaning of each sample (None: no vote), aligned with `groups`; answers
            are compared as texts when left out.

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
    return DiversityReport(
        prompts=len(groups),
        distinct=_mean([len(set(listed)) for listed in said.values()]),
        distinct_share=_mean([len(set(listed)) / len(listed) for listed in counted]),
        agreeing=_mean([max(map(listed.count, set(listed))) / len(listed) for listed in counted]),
        strategies={name: _strategy(name, groups, named) for name in strategies},
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


def _strategy(
    name: str, groups: Mapping[str, Sequence[Sample]], named: Mapping[str, Sequence[str | None]]
) -> StrategyReport:
    mine = [sample for samples in groups.values() for sample in samples if sample.strategy == name]
    alone = answers = 0
    for prompt, samples in groups.items():
        others = {key for sample, key in zip(samples, named[prompt], strict=True) if sample.strategy != name}
        said = [k for s, k in zip(samples, named[prompt], strict=True) if s.strategy == name and k is not None]
        answers += len(said)
        alone += sum(key not in others for key in said)
    return StrategyReport(
        samples=len(mine),
        kept_form=_mean([sample.answer is not None for sample in mine]),
        truncated=_mean([sample.finish_reason == "length" for sample in mine]),
        completion_tok=_mean([sample.completion_tok for sample in mine]),
        alone=alone / answers if answers else 0.0,
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
