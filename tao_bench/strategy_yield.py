"""Which exploring strategy pays, measured with labels: works, right, and what it finds that direct sampling does not.

pass@k is the unbiased estimator of Chen et al. (arXiv 2107.03374, section 2.1) per prompt. For half the samples by
one strategy and half direct, the chance that all miss is the product of the two unbiased chances: given the prompt,
the two halves are drawn independently.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tao.sampling.diversity import pass_at_k
from tao.scoring.gate import is_vote
from tao_bench.signals import Group

BASELINE = "direct"
BOOTSTRAP = 2_000


@dataclass(frozen=True, slots=True)
class Yield:
    """One strategy over all prompts that it explored.

    Attributes:
        strategy: Key of the mix.
        prompts: Prompts that it explored: repair and few_shot do not apply to all.
        works: Share of its samples that work and say something.
        right: Share of its samples that the verifier calls right.
        tokens: Mean tokens it generates a sample.
        right_per_1k: Right samples per 1,000 generated tokens.
        new: Prompts where it has a right sample and no direct one is right.
        lift: pass@k of half its samples and half direct ones, minus pass@k of direct ones alone, in points, over all
            prompts (those that it does not explore gain nothing); with 95 % interval from a bootstrap over clusters.
    """

    strategy: str
    prompts: int
    works: float
    right: float
    tokens: float
    right_per_1k: float
    new: int
    lift: float
    lift_low: float
    lift_high: float


def yields(
    groups: Sequence[Group], right: Sequence[NDArray[np.bool_]], clusters: Sequence[str], k: int, seed: int = 0
) -> tuple[list[Yield], float]:
    """Figures by strategy, `BASELINE` first, and pass@k of the baseline.

    Args:
        groups: Prompts with their samples, at least k of them by the baseline.
        right: Whether each sample is right, aligned.
        clusters: Of each prompt.
        k: Even; samples per prompt that are compared.
        seed: Of the bootstrap.

    Raises:
        InputError: A prompt has fewer than k samples of the baseline, or k // 2 of a strategy that explored it.
    """
    names = sorted({sample.strategy for group in groups for sample in group.samples}, key=lambda n: (n != BASELINE, n))
    rng = np.random.default_rng(seed)
    homes = sorted(set(clusters))
    members = [np.array([at for at, home in enumerate(clusters) if home == name]) for name in homes]
    draws = [np.concatenate([members[i] for i in rng.integers(len(homes), size=len(homes))]) for _ in range(BOOTSTRAP)]
    direct = [_flags(group, flags, BASELINE) for group, flags in zip(groups, right, strict=True)]
    alone = np.array([pass_at_k(flags, k) for flags in direct])
    found = []
    for name in names:
        flags_P = [_flags(group, flags, name) for group, flags in zip(groups, right, strict=True)]
        mine = [(s, r) for g in groups for s, r in zip(g.samples, g.readings, strict=True) if s.strategy == name]
        spent = sum(sample.completion_tok for sample, _ in mine)
        hits = sum(map(sum, flags_P))
        gains = np.zeros(len(groups))
        if name != BASELINE:
            for at, (flags, base) in enumerate(zip(flags_P, direct, strict=True)):
                if flags:
                    gains[at] = 1 - (1 - pass_at_k(flags, k // 2)) * (1 - pass_at_k(base, k // 2)) - alone[at]
        low, high = np.quantile([gains[draw].mean() for draw in draws], (0.025, 0.975))
        found.append(
            Yield(
                strategy=name,
                prompts=sum(bool(flags) for flags in flags_P),
                works=sum(is_vote(reading) for _, reading in mine) / len(mine),
                right=hits / len(mine),
                tokens=spent / len(mine),
                right_per_1k=1000 * hits / spent if spent else 0.0,
                new=sum(any(flags) and not any(base) for flags, base in zip(flags_P, direct, strict=True)),
                lift=100 * float(gains.mean()),
                lift_low=100 * float(low),
                lift_high=100 * float(high),
            )
        )
    return found, float(alone.mean())


def _flags(group: Group, right: NDArray[np.bool_], strategy: str) -> list[bool]:
    return [bool(flag) for sample, flag in zip(group.samples, right, strict=True) if sample.strategy == strategy]
