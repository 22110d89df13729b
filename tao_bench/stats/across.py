"""Several tasks at once: a mean over tasks, and whether a task fell.

Tasks are fixed, not drawn: the interval of a mean over them speaks of these tasks. Their items are independent, but a
model that answers all of them carries its seed into every one, so seeds are averaged over tasks before their variance
is taken.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import special

from tao.errors import InputError
from tao_bench.stats.contrasts import Array, Estimate, Scores, cluster_variance, codes_of, combined_t, seed_noise

Term = tuple[float, str, Scores]
"""Weight, name of the model, its scores. Terms of one name are the same models, seed by seed, whatever the task."""
_TINY = 1e-18


def across(tasks: Sequence[Sequence[Term]]) -> Estimate:
    """Mean over tasks of a contrast of arms, every task counting the same, with its 95 % interval.

    Args:
        tasks: For each task the terms of its contrast, e.g. ``[(1, "TAO", tao), (-1, "base", base)]``, over the same
            items in the same order.

    Raises:
        InputError: No task, items that differ within a task, scores that are missing, or one name with other seeds.
    """
    if not tasks:
        raise InputError("a mean over tasks needs one")
    value, parts, least_clusters, n_items, n_clusters = 0.0, [], 10**9, 0, 0
    means: dict[str, Array] = {}
    noise: dict[str, float] = {}
    seeds: dict[str, tuple[int, ...]] = {}
    for terms in tasks:
        first = terms[0][2]
        codes, sizes = codes_of(first.clusters)
        z = np.zeros(len(first.items))
        for weight, name, scores in terms:
            if scores.items != first.items or np.isnan(scores.correct).any():
                raise InputError("a contrast needs the same items in every arm, and all their scores", name)
            if seeds.setdefault(name, scores.seeds) != scores.seeds:
                raise InputError("has other seeds on another task", name, "run all its tasks with the same seeds")
            share = weight / len(tasks)
            z += share * scores.correct.mean(axis=0)
            means[name] = means.get(name, np.zeros(len(scores.seeds))) + share * scores.seed_means
            noise[name] = noise.get(name, 0.0) + share**2 * seed_noise(scores, codes, sizes)
        value += float(z.mean())
        if len(sizes) > 1:
            parts.append(cluster_variance(z, codes, sizes))
        least_clusters = min(least_clusters, len(sizes))
        n_items, n_clusters = n_items + len(first.items), n_clusters + len(sizes)
    several = [len(found) for found in seeds.values() if len(found) > 1]
    shape = (n_items, n_clusters, min(several, default=1))
    for name, per_seed in means.items():
        count = len(per_seed)
        if count > 1:
            parts.append((max(0.0, float(per_seed.var(ddof=1)) / count - noise[name]), count - 1.0))
    variance = sum(v for v, _ in parts)
    if least_clusters < 2 or variance <= _TINY:
        # As for one task, with the clusters of the task that has fewest: at most such a share behaves otherwise.
        bound = 1 - 0.025 ** (1 / least_clusters)
        down = sum(w for terms in tasks for w, _, _ in terms if w < 0) / len(tasks)
        up = sum(w for terms in tasks for w, _, _ in terms if w > 0) / len(tasks)
        p = 1.0 if abs(value) < 1e-12 else min(1.0, 2.0 * 0.5**least_clusters)
        low, high = (1 - bound) * value + bound * down, (1 - bound) * value + bound * up
        df = max(1.0, least_clusters - 1.0)
        return Estimate(value, low, high, 0.0, df, p, *shape, method="no spread: bounds only")
    se, quantile = math.sqrt(variance), combined_t(parts, 0.975)
    df = float(special.stdtridf(0.975, quantile))
    p = float(min(1.0, 2 * special.stdtr(df, -abs(value) / se)))
    return Estimate(value, value - quantile * se, value + quantile * se, se, df, p, *shape)


def fell_p(gain: Estimate, margin: float) -> float:
    """One-sided p-value of "this task fell by the margin or more": small means that it did not (non-inferiority).

    The t test of the difference plus the margin. Where few answers changed, their variance is estimated too small and
    the plain test is too bold; but a task that fell by m had at least a share m of its items change, so the variance
    of the difference is at least m (1 - m) / n under what is tested, and no less is used (after Tango 1998, who takes
    the variance under the hypothesis throughout).

    Args:
        gain: Paired difference to base, from `tao_bench.stats.difference`.
        margin: Fall in accuracy that counts as none, above 0.

    Raises:
        InputError: A margin outside (0, 1).
    """
    if not 0 < margin < 1:
        raise InputError(f"a margin of {margin} is no fall", fix="use 0.02 for two points")
    if gain.value <= -margin:
        return float(max(0.5, special.stdtr(gain.df, -(gain.value + margin) / gain.se))) if gain.se else 1.0
    if gain.n_clusters < 2:
        return 1.0
    least = math.sqrt(margin * (1 - margin) / gain.n_items)
    p = float(special.stdtr(gain.df, -(gain.value + margin) / max(gain.se, least)))
    if gain.se == 0:
        # No cluster behaved otherwise; a share b of them must, to bring the difference down to the margin.
        share = (margin + gain.value) / (1 + gain.value)
        p = max(p, (1 - share) ** gain.n_clusters)
    return p
