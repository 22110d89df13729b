"""Slope, recovery, labels-equivalent, Holm, detectable effect, pass@k."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats as reference

from tao.errors import InputError
from tao_bench.stats import (
    Scores,
    contrast,
    holm,
    labels_equivalent,
    minimum_detectable_effect,
    pass_at_k,
    recovery,
    slope,
)
from tao_bench.stats.headline import _isotonic_weights


def arm(p: float, *, n: int = 400, seeds: int = 3, seed: int = 0, shared: int = 99, clusters: int = 40) -> Scores:
    """Items share a difficulty (fixed by `shared`); each seed adds noise of its own."""
    hard = np.random.default_rng(shared).random(n)
    noise = np.random.default_rng(seed).normal(0, 0.05, (seeds, n))
    y = (hard + noise < p).astype(float)
    names = tuple(f"c{i % clusters}" for i in range(n))
    return Scores(y, tuple(f"i{i}" for i in range(n)), names, tuple(range(seeds)))


def test_slope_is_accuracy_per_decade_and_finds_a_rise_and_a_fall():
    rising = [arm(p, seed=i) for i, p in enumerate((0.4, 0.5, 0.6, 0.7))]
    est = slope(rising, [12.0, 12.5, 13.0, 13.5])
    assert est.value == pytest.approx(0.2, abs=0.03)
    assert est.low > 0
    assert slope(rising[::-1], [12.0, 12.5, 13.0, 13.5]).high < 0


def test_slope_of_two_budgets_is_the_difference_over_the_distance():
    low, high = arm(0.4, seeds=1), arm(0.5, seeds=2, seed=1)
    est = slope([low, high], [12.0, 14.0])
    direct = contrast([(0.5, high), (-0.5, low)])
    assert (est.value, est.se, est.df) == pytest.approx((direct.value, direct.se, direct.df))


def test_slope_of_related_seeds_uses_each_seeds_slope():
    """Seeds that shift all budgets alike do not blur the slope."""
    base = arm(0.5, seeds=1).correct[0]
    up = np.where(np.arange(400) % 4 == 0, 1.0, base)
    shifts = [np.where(np.arange(400) % 10 < s, 0.0, 1.0) for s in (0, 2, 4)]
    arms = [
        Scores(np.stack([row * s for s in shifts]), arm(0.5).items, arm(0.5).clusters, (0, 1, 2)) for row in (base, up)
    ]
    related = slope(arms, [0.0, 1.0])
    unrelated = slope([arms[0], Scores(arms[1].correct, arms[1].items, arms[1].clusters, (7, 8, 9))], [0.0, 1.0])
    assert related.value == pytest.approx(unrelated.value)
    assert related.se < unrelated.se


def test_slope_needs_two_budgets():
    with pytest.raises(InputError, match="two or more"):
        slope([arm(0.4), arm(0.5)], [3.0, 3.0])


def test_recovery_is_the_ratio_of_gains_with_a_bounded_interval():
    tao, base, maj = arm(0.7, seed=1), arm(0.4, seeds=1, seed=2), arm(0.6, seeds=1, seed=3)
    found = recovery(tao, base, maj)
    assert found.value == pytest.approx(found.gain.value / found.headroom.value)
    assert found.low < found.value < found.high
    for ratio, inside in ((found.low + 1e-6, True), (found.high - 1e-6, True), (found.low - 1e-3, False)):
        est = contrast([(1.0, tao), (ratio - 1, base), (-ratio, maj)])
        assert (est.low <= 0 <= est.high) is inside


def test_recovery_agrees_with_the_fieller_formula_for_independent_items():
    """One seed, one item a cluster: the set is the root interval of a quadratic."""
    n = 300
    one = {"clusters": n, "n": n, "seeds": 1}
    tao, base, maj = (arm(p, seed=i, **one) for i, p in enumerate((0.7, 0.4, 0.6)))
    found = recovery(tao, base, maj)
    up, down = tao.correct[0] - base.correct[0], maj.correct[0] - base.correct[0]
    cov = np.cov(up, down) / n
    t2 = reference.t.ppf(0.975, n - 1) ** 2
    a = down.mean() ** 2 - t2 * cov[1, 1]
    b = -2 * (up.mean() * down.mean() - t2 * cov[0, 1])
    c = up.mean() ** 2 - t2 * cov[0, 0]
    assert (found.low, found.high) == pytest.approx(sorted(np.roots([a, b, c])), rel=1e-4)


@pytest.mark.parametrize("voting", [0.402, 0.4, 0.3])
def test_recovery_is_absent_when_voting_does_not_clearly_help(voting):
    found = recovery(arm(0.7), arm(0.4, seeds=1, seed=2), arm(voting, seeds=1, seed=3))
    assert found.value is None and math.isnan(found.low)
    assert "voting" in found.why_absent


def curve(*means: float) -> dict[int, Scores]:
    return {labels: arm(p, seed=10 + i) for i, (labels, p) in enumerate(zip((50, 200, 800, 2000), means, strict=False))}


def test_labels_equivalent_interpolates_in_log_labels():
    found = labels_equivalent(curve(0.3, 0.5, 0.7, 0.8), arm(0.6, seed=77))
    assert found.value == pytest.approx(400, rel=0.15)  # halfway between 200 and 800 in log labels
    assert found.low < found.value < found.high
    assert found.low > 200 and found.high < 800


def test_labels_equivalent_is_censored_at_both_ends():
    sft = curve(0.3, 0.5, 0.6, 0.65)
    above, below = labels_equivalent(sft, arm(0.9)), labels_equivalent(sft, arm(0.1))
    assert (above.value, above.low, above.high) == (math.inf, math.inf, math.inf)
    assert (below.value, below.low, below.high) == (-math.inf, -math.inf, -math.inf)
    assert (above.smallest, above.largest) == (50, 2000)


def test_labels_equivalent_of_a_tie_with_the_last_point_is_open_above():
    sft = curve(0.3, 0.5, 0.6, 0.7)
    found = labels_equivalent(sft, sft[2000])
    assert found.high == math.inf and 800 < found.low < 2000


def test_labels_equivalent_of_a_falling_curve_is_not_decided_by_noise():
    sft = curve(0.5, 0.5, 0.42, 0.5)
    found = labels_equivalent(sft, arm(0.49, seed=5))
    assert found.low == -math.inf and found.high == math.inf


def test_labels_equivalent_with_one_label_count():
    sft = {200: arm(0.5, seed=1)}
    assert labels_equivalent(sft, arm(0.8)).value == math.inf
    assert labels_equivalent(sft, arm(0.2)).value == -math.inf
    unsure = labels_equivalent(sft, arm(0.5, seed=2))
    assert (unsure.low, unsure.high) == (-math.inf, math.inf)
    for bad in ({}, {0: arm(0.5)}):
        with pytest.raises(InputError):
            labels_equivalent(bad, arm(0.5))


@pytest.mark.parametrize(
    ("means", "fitted"),
    [
        ([0.1, 0.2, 0.3], [0.1, 0.2, 0.3]),
        ([0.3, 0.1, 0.5], [0.2, 0.2, 0.5]),
        ([0.1, 0.5, 0.4, 0.3], [0.1, 0.4, 0.4, 0.4]),
        ([0.4, 0.3, 0.2, 0.1], [0.25] * 4),
    ],
)
def test_isotonic_fit_pools_violators(means, fitted):
    assert _isotonic_weights(means) @ np.array(means) == pytest.approx(fitted)


def test_holm_by_hand():
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}) == pytest.approx(
        {"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02}
    )
    assert holm({"a": 0.9, "b": 0.8}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}


def test_detectable_effect_matches_the_known_arithmetic():
    for n, points in ((200, 9.9), (500, 6.3), (1000, 4.4), (2000, 3.1)):
        found = 100 * minimum_detectable_effect(n, n, discordance=0.25, icc=0.0)
        assert found == pytest.approx(points, abs=0.12)


def test_detectable_effect_grows_with_clustering_seed_spread_and_few_clusters():
    plain = minimum_detectable_effect(600, 60, discordance=0.2, icc=0.0)
    clustered = minimum_detectable_effect(600, 60, discordance=0.2, icc=0.1)
    assert clustered == pytest.approx(plain * math.sqrt(1 + 9 * 0.1))
    assert minimum_detectable_effect(600, 60, discordance=0.2, icc=0.1, n_seeds=3, seed_sd=0.02) > clustered
    assert minimum_detectable_effect(600, 6, discordance=0.2, icc=0.0) > plain
    assert minimum_detectable_effect(3, 2, discordance=1.0, icc=1.0) == 1.0


def test_detectable_effect_has_80_percent_power():
    n, k = 400, 40
    effect = minimum_detectable_effect(n, k, discordance=0.3, icc=0.0)
    se = math.sqrt(0.3 / n)
    noncentral = reference.nct(k - 1, effect / se)
    power = noncentral.sf(reference.t.ppf(0.975, k - 1))
    assert power == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize(
    "bad",
    [
        {"n_items": 10, "n_clusters": 1},
        {"n_items": 10, "n_clusters": 11},
        {"discordance": 0.0},
        {"icc": 1.5},
        {"seed_sd": 0.1},
    ],
)
def test_detectable_effect_refuses_nonsense(bad):
    args = {"n_items": 100, "n_clusters": 20, "discordance": 0.2, "icc": 0.1} | bad
    with pytest.raises(InputError):
        minimum_detectable_effect(**args)


def test_pass_at_k_is_the_mean_over_all_subsets():
    n, c = 7, 3
    answers = [1] * c + [0] * (n - c)
    for k in range(1, n + 1):
        subsets = list(itertools.combinations(answers, k))
        assert pass_at_k(n, c, k) == pytest.approx(np.mean([any(s) for s in subsets]))
    assert pass_at_k(5, 0, 3) == 0 and pass_at_k(5, 5, 1) == 1
    for bad in ((5, 6, 1), (5, 2, 6), (5, 2, 0)):
        with pytest.raises(InputError):
            pass_at_k(*bad)
