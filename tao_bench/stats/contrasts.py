"""Contrasts of arms with intervals; see the package docstring for the method."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import special

from tao.errors import InputError

Array = NDArray[np.float64]
MAX_MISSING = 0.005
"""Share of items that may be lost to verifier errors in a comparison before it is refused."""
_FLIP_CLUSTERS = 12  # exact sign-flip test up to 2^12 sign patterns
_TINY = 1e-18


@dataclass(frozen=True)
class Scores:
    """Correctness of one arm on one task.

    Attributes:
        correct: Shape (S, N): seeds by items, 1.0 correct, 0.0 not, NaN where the verifier failed.
        items: The N item ids.
        clusters: The N cluster names.
        seeds: The S seeds.
    """

    correct: Array
    items: tuple[str, ...]
    clusters: tuple[str, ...]
    seeds: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.correct.shape != (len(self.seeds), len(self.items)) or len(self.clusters) != len(self.items):
            raise InputError(
                f"scores of shape {self.correct.shape} for {len(self.seeds)} seeds, "
                f"{len(self.items)} items and {len(self.clusters)} clusters"
            )
        if not self.items or not self.seeds:
            raise InputError("scores need at least one item and one seed")
        if len(set(self.items)) != len(self.items):
            raise InputError("an item occurs twice in the scores of one arm")

    def take(self, keep: Sequence[int] | NDArray[np.intp]) -> Scores:
        """The same arm on the items at the given positions."""
        return Scores(
            self.correct[:, np.asarray(keep, dtype=np.intp)],
            tuple(self.items[i] for i in keep),
            tuple(self.clusters[i] for i in keep),
            self.seeds,
        )

    @property
    def seed_means(self) -> Array:
        """Accuracy of each seed, shape (S,)."""
        return np.asarray(self.correct.mean(axis=1))


@dataclass(frozen=True)
class Estimate:
    """An estimate with its 95 % interval.

    Attributes:
        value: The estimate.
        low: Lower end.
        high: Upper end.
        se: Standard error (0 where nothing varied).
        df: Degrees of freedom of the t distribution that gives this interval.
        p: Two-sided p-value of "the true value is 0"; None for accuracies.
        n_items: Items.
        n_clusters: Clusters.
        n_seeds: The least number of seeds of any arm that has more than one; 1 if none has.
        method: How the interval was made.
    """

    value: float
    low: float
    high: float
    se: float
    df: float
    p: float | None
    n_items: int
    n_clusters: int
    n_seeds: int
    method: str = "t"

    @property
    def clear_of_zero(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0


def drop_missing(arms: Mapping[str, Scores]) -> tuple[dict[str, Scores], tuple[str, ...]]:
    """Drop items that a verifier failed on in any arm and seed, from all arms; name them.

    Args:
        arms: Arms of one comparison over the same items (any order).

    Returns:
        The arms with equally ordered items, and the ids of the dropped items.

    Raises:
        InputError: The arms' items differ, or more than `MAX_MISSING` of the items would be dropped.
    """
    aligned = align(arms)
    first = next(iter(aligned.values()))
    bad = np.zeros(len(first.items), dtype=bool)
    for scores in aligned.values():
        bad |= np.isnan(scores.correct).any(axis=0)
    dropped = tuple(first.items[i] for i in np.flatnonzero(bad))
    if len(dropped) > MAX_MISSING * len(first.items):
        raise InputError(
            f"the verifier failed on {len(dropped)} of {len(first.items)} items, more than {MAX_MISSING:.1%}",
            ", ".join(dropped[:5]) + (", ..." if len(dropped) > 5 else ""),
            "mend the verifier and grade the stored answers again",
        )
    keep = np.flatnonzero(~bad)
    return {name: scores.take(keep) if dropped else scores for name, scores in aligned.items()}, dropped


def align(arms: Mapping[str, Scores]) -> dict[str, Scores]:
    """The arms with items in the first arm's order.

    Raises:
        InputError: An item is missing somewhere, or changes its cluster.
    """
    first = next(iter(arms.values()))
    out: dict[str, Scores] = {}
    for name, scores in arms.items():
        if scores.items != first.items:
            odd = sorted(set(scores.items) ^ set(first.items))
            if odd:
                raise InputError(f"arms judged on different items: {len(odd)} differ, e.g. {odd[0]!r}", name)
            place = {item: i for i, item in enumerate(scores.items)}
            scores = scores.take([place[item] for item in first.items])  # noqa: PLW2901
        if scores.clusters != first.clusters:
            raise InputError("the same item belongs to different clusters in two arms", name)
        out[name] = scores
    return out


def contrast(terms: Sequence[tuple[float, Scores]]) -> Estimate:
    """Weighted sum of arms' mean accuracies over the same items, with its interval.

    Args:
        terms: (weight, arm). Items must be the same, in the same order; seeds of arms are independent draws.

    Raises:
        InputError: Items differ or scores are missing (call `drop_missing` first).
    """
    first = terms[0][1]
    for _, scores in terms:
        if scores.items != first.items or scores.clusters != first.clusters:
            raise InputError("a contrast needs the same items in the same order in every arm")
        if np.isnan(scores.correct).any():
            raise InputError("scores are missing", fix="call drop_missing on all arms of the comparison first")
    codes, sizes = codes_of(first.clusters)
    z = sum((w * s.correct.mean(axis=0) for w, s in terms), np.zeros(len(first.items)))
    value = float(z.mean())
    several = [len(s.seeds) for _, s in terms if len(s.seeds) > 1]
    shape = (len(z), len(sizes), min(several, default=1))

    parts = [cluster_variance(z, codes, sizes)] if len(sizes) > 1 else []
    parts += [_seed_variance(w, s, codes, sizes) for w, s in terms if len(s.seeds) > 1]
    variance = sum(v for v, _ in parts)
    if not parts or len(sizes) < 2 or variance <= _TINY:
        return _no_spread(value, [w for w, _ in terms], shape)
    se = math.sqrt(variance)
    quantile = combined_t(parts, 0.975)
    df = float(special.stdtridf(0.975, quantile))
    p = float(min(1.0, 2 * special.stdtr(df, -abs(value) / se)))
    return Estimate(value, value - quantile * se, value + quantile * se, se, df, p, *shape)


def codes_of(clusters: Sequence[str]) -> tuple[NDArray[np.intp], Array]:
    """Each item's cluster as a number, shape (N,), and the clusters' sizes, shape (K,)."""
    names = {name: i for i, name in enumerate(dict.fromkeys(clusters))}
    codes = np.array([names[c] for c in clusters], dtype=np.intp)
    return codes, np.bincount(codes).astype(np.float64)


def cluster_variance(z: Array, codes: NDArray[np.intp], sizes: Array) -> tuple[float, float]:
    """CR2 variance of the mean of z, shape (N,), over at least 2 clusters, and its degrees of freedom."""
    n, k = len(z), len(sizes)
    share = sizes / n
    sums = np.bincount(codes, z - z.mean(), k)
    variance = float((sums**2 / (1 - share)).sum() / n**2)
    # Intraclass correlation by moments; it matters for the degrees of freedom of unequal clusters only.
    rho = 0.0
    if n > k:
        between = float((sums**2 / sizes).sum()) / (k - 1)
        within = (float(((z - z.mean()) ** 2).sum()) - between * (k - 1)) / (n - k)
        n0 = (n - (sizes**2).sum() / n) / (k - 1)
        total = between + (n0 - 1) * within
        rho = min(1.0, max(0.0, (between - within) / total)) if total > _TINY else 0.0
    spread = sizes * (1 - rho) + sizes**2 * rho
    scale = 1 / np.sqrt(1 - share)
    cov = np.diag(spread) - np.outer(spread, share) - np.outer(share, spread) + np.outer(share, share) * spread.sum()
    cov *= np.outer(scale, scale)
    return variance, float(np.trace(cov) ** 2 / (cov**2).sum())


def seed_noise(scores: Scores, codes: NDArray[np.intp], sizes: Array) -> float:
    """Variance that item noise alone puts into the mean over seeds; 0 for one seed or one cluster."""
    y, count = scores.correct, len(scores.seeds)
    if count < 2 or len(sizes) < 2:
        return 0.0
    means = y.mean(axis=1)
    residual = y - y.mean(axis=0) - (means - means.mean())[:, None]
    inflate = 1 / (1 - sizes / y.shape[1])
    noise = 0.0
    for row in residual:
        noise += float((np.bincount(codes, row, len(sizes)) ** 2 * inflate).sum())
    return float(noise / (y.shape[1] ** 2 * (count - 1) * count))


def _seed_variance(weight: float, scores: Scores, codes: NDArray[np.intp], sizes: Array) -> tuple[float, float]:
    """Variance that seeds add to an arm's mean beyond item noise, and its degrees of freedom."""
    count = len(scores.seeds)
    spread = float(scores.seed_means.var(ddof=1)) / count
    return weight**2 * max(0.0, spread - seed_noise(scores, codes, sizes)), count - 1.0


def combined_t(parts: Sequence[tuple[float, float]], quantile: float) -> float:
    """Variance-weighted mean of t quantiles (Cochran & Cox 1950); parts are (variance, degrees of freedom)."""
    total = sum(v for v, _ in parts)
    return float(sum(v / total * special.stdtrit(max(df, 1.0), quantile) for v, df in parts))


def _no_spread(value: float, weights: Sequence[float], shape: tuple[int, int, int]) -> Estimate:
    """Interval where clusters do not differ (0/n, n/n, equal arms, one cluster): no variance can be estimated.

    At most a share b of clusters may behave otherwise without having shown in k draws, where b is the exact
    (Clopper-Pearson) bound for 0 of k; those could be anything. For 0/n this is the Clopper-Pearson interval
    with one observation per cluster.
    """
    bound = 1 - 0.025 ** (1 / shape[1])
    low = (1 - bound) * value + bound * sum(w for w in weights if w < 0)
    high = (1 - bound) * value + bound * sum(w for w in weights if w > 0)
    p = 1.0 if abs(value) < 1e-12 else min(1.0, 2.0 * 0.5 ** shape[1])
    method = "one cluster: bounds only" if shape[1] < 2 else "no spread: exact bounds, one observation per cluster"
    return Estimate(value, low, high, 0.0, max(1.0, shape[1] - 1.0), p, *shape, method=method)


def accuracy(scores: Scores) -> Estimate:
    """Mean accuracy over seeds with its 95 % interval.

    A t interval, or Clopper-Pearson with the effective number of items (Korn & Graubard 1998) where fewer than
    five effective successes or failures make the t interval unfit.
    """
    est = replace(contrast([(1.0, scores)]), p=None)
    if est.se == 0:
        return est
    p = est.value
    narrower = special.ndtri(0.975) / special.stdtrit(est.df, 0.975)
    n_eff = min(float(est.n_items), max(1.0, p * (1 - p) / est.se**2 * narrower**2))
    if min(p, 1 - p) * n_eff >= 5 and est.low >= 0 and est.high <= 1:
        return est
    hits = p * n_eff
    low = float(special.betaincinv(hits, n_eff - hits + 1, 0.025)) if hits > 0 else 0.0
    high = float(special.betaincinv(hits + 1, n_eff - hits, 0.975)) if hits < n_eff else 1.0
    return replace(est, low=low, high=high, method=f"Clopper-Pearson, effective n = {n_eff:.0f}")


def difference(arm: Scores, other: Scores) -> Estimate:
    """Paired difference in accuracy, arm - other, items matched by id, seed counts free.

    The p-value is exact McNemar for one seed and one item a cluster. Where few clusters differ at all, the t
    test is too bold, so an exact sign-flip test over clusters has a say too (the larger p counts), and an
    interval never excludes 0 where the exact test does not.
    """
    pair = align({"arm": arm, "other": other})
    a, b = pair["arm"], pair["other"]
    est = contrast([(1.0, a), (-1.0, b)])
    if est.se == 0:
        return est
    z = a.correct.mean(axis=0) - b.correct.mean(axis=0)
    codes, sizes = codes_of(a.clusters)
    sums = np.bincount(codes, z, len(sizes))
    moved = sums[np.abs(sums) > 1e-12]
    p, method = est.p if est.p is not None else 1.0, est.method
    if len(a.seeds) == len(b.seeds) == 1 and sizes.max() == 1:
        p, method = mcnemar(int((z > 0).sum()), int((z < 0).sum())), "t; exact McNemar p"
    elif 0 < len(moved) <= _FLIP_CLUSTERS:
        signs = 1 - 2.0 * ((np.arange(2 ** len(moved))[:, None] >> np.arange(len(moved))) & 1)
        exact = float((np.abs(signs @ moved) >= abs(moved.sum()) - 1e-12).mean())
        p, method = max(p, exact), "t; few clusters differ: exact sign-flip p" if exact > p else method
    low, high = max(-1.0, est.low), min(1.0, est.high)
    if p > 0.05:
        low, high = min(low, 0.0), max(high, 0.0)
    return replace(est, low=low, high=high, p=p, method=method)


def mcnemar(wins: int, losses: int) -> float:
    """Exact two-sided McNemar p-value of discordant counts."""
    n = wins + losses
    return float(min(1.0, 2 * special.bdtr(min(wins, losses), n, 0.5))) if n else 1.0


def flips(arm: Scores, base: Scores) -> tuple[float, float]:
    """(mended, broken): items where only the arm, or only the base, is right; mean over all pairs of seeds."""
    pair = align({"arm": arm, "base": base})
    a, b = pair["arm"].correct.mean(axis=0), pair["base"].correct.mean(axis=0)
    return float((a * (1 - b)).sum()), float((b * (1 - a)).sum())
