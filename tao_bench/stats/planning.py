"""Around the estimates: families of comparisons, detectable effects before a run, pass@k."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import TypeVar

import numpy as np

from tao.errors import InputError
from tao_bench.stats.contrasts import combined_t

Name = TypeVar("Name", bound=Hashable)


def holm(p_values: Mapping[Name, float]) -> dict[Name, float]:
    """Holm's step-down adjusted p-values (1979), same keys and order."""
    adjusted: dict[Name, float] = {}
    running = 0.0
    for rank, (name, p) in enumerate(sorted(p_values.items(), key=lambda pair: pair[1])):
        running = max(running, min(1.0, p * (len(p_values) - rank)))
        adjusted[name] = running
    return {name: adjusted[name] for name in p_values}


def minimum_detectable_effect(
    n_items: int, n_clusters: int, *, discordance: float, icc: float, n_seeds: int = 1, seed_sd: float = 0.0
) -> float:
    """Smallest true paired difference found with 80 % power at a two-sided 5 % level.

    Args:
        n_items: Items of the split.
        n_clusters: Clusters they come in (equal sizes assumed).
        discordance: Share of items on which the two arms differ.
        icc: Intraclass correlation of the paired differences.
        n_seeds: Seeds of the tuned arm.
        seed_sd: Standard deviation of the arm's accuracy between seeds (needs two or more seeds).

    Returns:
        Difference in accuracy, at most 1 (then nothing can be detected).

    Raises:
        InputError: An argument out of range.
    """
    if not (1 < n_clusters <= n_items and 0 < discordance <= 1 and 0 <= icc <= 1 and n_seeds >= 1 and seed_sd >= 0):
        raise InputError(
            f"no detectable effect for {n_items} items in {n_clusters} clusters, discordance {discordance}, icc {icc}",
            fix="2 <= clusters <= items, 0 < discordance <= 1, 0 <= icc <= 1",
        )
    if seed_sd > 0 and n_seeds < 2:
        raise InputError("a seed spread needs two or more seeds", "n_seeds")
    parts = [(discordance * (1 + (n_items / n_clusters - 1) * icc) / n_items, n_clusters - 1.0)]
    if seed_sd > 0:
        parts.append((seed_sd**2 / n_seeds, n_seeds - 1.0))
    quantiles = combined_t(parts, 0.975) + combined_t(parts, 0.8)
    return min(1.0, quantiles * math.sqrt(sum(v for v, _ in parts)))


def pass_at_k(n: int, c: int, k: int) -> float:
    """Unbiased chance that one of k samples is right, from c right ones among n (Chen et al. 2021).

    Raises:
        InputError: Not 0 <= c <= n or not 1 <= k <= n.
    """
    if not (0 <= c <= n and 1 <= k <= n):
        raise InputError(f"pass@{k} from {c} of {n} samples is not defined", fix="draw at least k samples")
    return 1.0 if n - c < k else float(1 - np.prod(1 - k / np.arange(n - c + 1, n + 1)))
