"""95 % intervals must cover 92.5-97.5 % of the time, with few seeds and few clusters.

Data are drawn from a probit model with cluster, item, seed, seed x cluster and seed x item effects;
the truth is known in closed form.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from tao_bench.stats import Scores, accuracy, difference, recovery

REPLICATES = 1200
WITHIN = (0.925, 0.975)
# standard deviations of: seed, cluster, item, seed x cluster, seed x item
QUIET = (0.0, 0.5, 1.0, 0.0, 0.5)
MIDDLE = (0.08, 0.5, 1.0, 0.3, 0.7)
SEEDY = (0.2, 0.5, 1.0, 0.2, 0.5)


def total(effects: tuple[float, ...]) -> float:
    return math.sqrt(sum(e * e for e in effects))


class World:
    """Items that two arms share, and arms drawn on them."""

    def __init__(self, rng: np.random.Generator, clusters: int, size: int) -> None:
        self.rng, self.k = rng, clusters
        self.codes = np.repeat(np.arange(clusters), size)
        self.items = tuple(f"i{i}" for i in range(len(self.codes)))
        self.names = tuple(f"c{c}" for c in self.codes)
        self.redraw()

    def redraw(self) -> None:
        self.cluster, self.item = self.rng.normal(size=self.k)[self.codes], self.rng.normal(size=len(self.codes))

    def arm(self, mean: float, effects: tuple[float, ...], seeds: int) -> Scores:
        s, c, i, sc, si = effects
        n, rng = len(self.codes), self.rng
        latent = mean + c * self.cluster + i * self.item
        latent = latent + s * rng.normal(size=(seeds, 1)) + sc * rng.normal(size=(seeds, self.k))[:, self.codes]
        latent = latent + si * rng.normal(size=(seeds, n))
        return Scores((latent > 0).astype(float), self.items, self.names, tuple(range(seeds)))


@pytest.mark.parametrize(("clusters", "size"), [(8, 12), (30, 6)])
@pytest.mark.parametrize(("seeds", "effects"), [(1, QUIET), (3, QUIET), (3, MIDDLE), (3, SEEDY), (5, MIDDLE)])
def test_accuracy_intervals_cover(clusters, size, seeds, effects):
    world = World(np.random.default_rng([clusters, seeds, int(100 * effects[0])]), clusters, size)
    truth, hits = norm.cdf(0.3 / total(effects)), 0
    for _ in range(REPLICATES):
        world.redraw()
        est = accuracy(world.arm(0.3, effects, seeds))
        hits += est.low <= truth <= est.high
    assert WITHIN[0] <= hits / REPLICATES <= WITHIN[1]


@pytest.mark.parametrize(("clusters", "size"), [(8, 12), (30, 6)])
@pytest.mark.parametrize(("seeds", "effects"), [(1, QUIET), (3, MIDDLE), (3, SEEDY), (5, SEEDY)])
def test_paired_difference_intervals_cover(clusters, size, seeds, effects):
    """The base has one greedy seed and no seed effects; its items and clusters are the tuned arm's."""
    fixed = (0.0, effects[1], effects[2], 0.0, 0.0)
    world = World(np.random.default_rng([7, clusters, seeds, int(100 * effects[0])]), clusters, size)
    truth, hits, calls = norm.cdf(0.4 / total(effects)) - norm.cdf(-0.2 / total(fixed)), 0, 0
    for _ in range(REPLICATES):
        world.redraw()
        est = difference(world.arm(0.4, effects, seeds), world.arm(-0.2, fixed, 1))
        hits += est.low <= truth <= est.high
        calls += est.p is not None and (est.p <= 0.05) == (est.low <= 0 <= est.high)
    assert WITHIN[0] <= hits / REPLICATES <= WITHIN[1]
    assert calls <= 0.01 * REPLICATES  # interval and test say the same


def test_no_difference_is_called_one_about_one_time_in_twenty():
    world, wrong = World(np.random.default_rng(11), 30, 6), 0
    for _ in range(REPLICATES):
        world.redraw()
        est = difference(world.arm(0.2, MIDDLE, 3), world.arm(0.2, MIDDLE, 3))
        wrong += est.p is not None and est.p <= 0.05
    assert 0.025 <= wrong / REPLICATES <= 0.075


def test_rare_successes_are_covered_at_least_as_promised():
    effects = (0.0, 0.3, 1.0, 0.0, 0.0)
    world, truth, hits = World(np.random.default_rng(12), 30, 6), norm.cdf(-2.2 / total((0.0, 0.3, 1.0))), 0
    for _ in range(REPLICATES):
        world.redraw()
        est = accuracy(world.arm(-2.2, effects, 1))
        hits += est.low <= truth <= est.high
    assert hits / REPLICATES >= WITHIN[0]


def test_recovery_intervals_cover():
    fixed = (0.0, 0.5, 1.0, 0.0, 0.0)
    voted = (0.0, 0.5, 1.0, 0.0, 0.3)
    world = World(np.random.default_rng(13), 30, 6)
    base, maj = norm.cdf(-0.5 / total(fixed)), norm.cdf(0.2 / total(voted))
    truth = (norm.cdf(0.3 / total(MIDDLE)) - base) / (maj - base)
    hits = seen = 0
    for _ in range(400):
        world.redraw()
        found = recovery(world.arm(0.3, MIDDLE, 3), world.arm(-0.5, fixed, 1), world.arm(0.2, voted, 1))
        if found.value is not None:
            seen += 1
            hits += found.low <= truth <= found.high
    assert seen > 380
    assert 0.92 <= hits / seen <= 0.98
