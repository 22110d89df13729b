"""Closed forms, hand examples and edge cases of the contrasts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

from tao.errors import InputError
from tao_bench.stats import (
    Scores,
    accuracy,
    contrast,
    difference,
    drop_missing,
    flips,
    mcnemar,
)
from tao_bench.stats.contrasts import combined_t


def make(rows: list[list[float]], clusters: list[str] | None = None) -> Scores:
    y = np.array(rows, dtype=float)
    names = clusters or [f"c{i}" for i in range(y.shape[1])]
    return Scores(y, tuple(f"i{i}" for i in range(y.shape[1])), tuple(names), tuple(range(len(y))))


def test_one_seed_single_item_clusters_is_the_textbook_t_interval():
    y = [1.0] * 12 + [0.0] * 18
    est = accuracy(make([y]))
    sample = reference.ttest_1samp(y, 0).confidence_interval(0.95)
    assert est.value == pytest.approx(0.4)
    assert (est.low, est.high) == pytest.approx((sample.low, sample.high))
    assert est.df == pytest.approx(29)
    assert est.p is None


def test_equal_clusters_are_a_t_interval_over_cluster_means_with_k_over_k_minus_1():
    groups = [[1, 1, 0, 1], [0, 0, 0, 1], [1, 0, 1, 1], [0, 1, 0, 0], [1, 1, 1, 1]]
    y = [float(v) for g in groups for v in g]
    est = contrast([(1.0, make([y], [f"c{i // 4}" for i in range(20)]))])
    means = [float(np.mean(g)) for g in groups]
    assert est.se == pytest.approx(np.std(means, ddof=1) / math.sqrt(5))
    assert est.df == pytest.approx(4)
    assert est.high - est.value == pytest.approx(reference.t.ppf(0.975, 4) * est.se)


def test_unequal_clusters_have_fewer_degrees_of_freedom_than_clusters_less_one():
    sizes = [40, 2, 2, 2, 2, 2]
    names = [f"c{i}" for i, n in enumerate(sizes) for _ in range(n)]
    y = [float((i * 7) % 3 == 0) for i in range(50)]
    assert contrast([(1.0, make([y], names))]).df < 3


def test_seed_spread_counts_beyond_item_noise():
    block = [1.0, 0.0] * 20
    same = make([block, block, block])
    assert accuracy(same).se == pytest.approx(accuracy(make([block])).se)
    shifted = make([[1.0] * 40, [0.0] * 40, block])  # seeds differ by everything, items not at all
    est = contrast([(1.0, shifted)])
    seed_sd = np.std([1.0, 0.0, 0.5], ddof=1)
    assert est.se == pytest.approx(math.sqrt(seed_sd**2 / 3), rel=0.1)
    assert est.df == pytest.approx(2, abs=0.3)
    assert est.n_seeds == 3


def test_combined_quantile_lies_between_its_parts():
    t = combined_t([(0.3, 2.0), (0.7, 60.0)], 0.975)
    assert t == pytest.approx(0.3 * reference.t.ppf(0.975, 2) + 0.7 * reference.t.ppf(0.975, 60))


@pytest.mark.parametrize("n", [1, 2, 30])
def test_none_and_all_correct_have_clopper_pearson_intervals(n):
    none, every = accuracy(make([[0.0] * n])), accuracy(make([[1.0] * n]))
    exact = reference.binomtest(0, n).proportion_ci(0.95, method="exact")
    assert (none.low, none.high) == pytest.approx((0.0, exact.high))
    assert (every.low, every.high) == pytest.approx((1 - exact.high, 1.0))


def test_nothing_correct_in_clusters_counts_clusters_not_items():
    est = accuracy(make([[0.0] * 20] * 5, [f"c{i // 5}" for i in range(20)]))
    assert est.high == pytest.approx(1 - 0.025**0.25)
    assert est.high > accuracy(make([[0.0] * 20])).high


def test_one_cluster_gives_bounds_only():
    est = accuracy(make([[1.0, 0.0, 1.0, 1.0]], ["a"] * 4))
    assert est.value == 0.75
    assert est.low < 0.02 and est.high > 0.98
    assert "one cluster" in est.method
    gap = difference(make([[1.0] * 4], ["a"] * 4), make([[0.0] * 4], ["a"] * 4))
    assert gap.low < 0 < gap.high


def test_near_the_edge_the_interval_stays_inside_and_is_exact_for_single_items():
    y = [1.0] + [0.0] * 39
    est = accuracy(make([y]))
    assert 0 < est.low < 0.025 < est.high < 0.2
    assert "effective n = " in est.method
    # the effective n is a little below 40: the t quantile and n - 1 enter
    exact = reference.binomtest(1, 40).proportion_ci(0.95, method="exact")
    assert est.high == pytest.approx(exact.high, rel=0.08)
    assert est.high > exact.high


def test_equal_arms_differ_by_zero_with_an_interval():
    arm = make([[1.0, 0.0] * 10])
    est = difference(arm, arm)
    assert est.value == 0 and est.p == 1
    assert est.high == pytest.approx(1 - 0.025 ** (1 / 20)) and est.low == -est.high


def test_one_discordant_pair_is_no_evidence():
    a, b = [1.0] * 50, [1.0] * 49 + [0.0]
    est = difference(make([a]), make([b]))
    assert est.p == 1.0  # a Wald sign test would say p = 0
    assert est.low <= 0 < est.value < est.high


def test_exact_mcnemar_only_for_one_seed_and_one_item_per_cluster():
    wins, losses = 9, 1
    a = [1.0] * wins + [0.0] * losses + [1.0] * 40
    b = [0.0] * wins + [1.0] * losses + [1.0] * 40
    exact = reference.binomtest(1, 10, 0.5).pvalue
    assert mcnemar(wins, losses) == pytest.approx(exact)
    assert difference(make([a]), make([b])).p == pytest.approx(exact)
    assert "McNemar" not in difference(make([a, a]), make([b])).method
    halves = [f"c{i // 2}" for i in range(50)]
    assert "McNemar" not in difference(make([a], halves), make([b], halves)).method


def test_few_differing_clusters_use_the_exact_sign_flip_test():
    names = [f"c{i // 2}" for i in range(60)]
    a, b = [0.0] * 60, [0.0] * 60
    for cluster in range(5):
        a[2 * cluster] = 1.0
    est = difference(make([a], names), make([b], names))
    assert est.p == pytest.approx(2 / 2**5)
    assert est.low <= 0


def test_arms_with_unequal_seed_counts_are_paired_on_items():
    rng = np.random.default_rng(3)
    base = (rng.random(80) < 0.4).astype(float)
    tuned = np.stack([np.where(rng.random(80) < 0.3, 1.0, base) for _ in range(5)])
    est = difference(make(tuned.tolist()), make([base.tolist()]))
    assert est.value == pytest.approx(tuned.mean() - base.mean())
    unpaired = math.hypot(accuracy(make(tuned.tolist())).se, accuracy(make([base.tolist()])).se)
    assert est.se < unpaired
    assert est.n_seeds == 5


def test_items_are_matched_by_id_not_by_place():
    a = make([[1.0, 0.0, 1.0, 0.0]])
    b = a.take([3, 2, 1, 0])
    assert difference(a, b).value == 0
    assert flips(a, b) == (0.0, 0.0)


def test_flips_average_over_pairs_of_seeds():
    arm = make([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    base = make([[0.0, 0.0, 1.0]])
    assert flips(arm, base) == (1.5, 1.0)


def test_missing_items_are_dropped_everywhere_and_named():
    y = np.ones((2, 400))
    y[1, 7] = np.nan
    good = make([[0.0] * 400])
    arms, dropped = drop_missing({"tao": make(y.tolist()), "base": good})
    assert dropped == ("i7",)
    assert all("i7" not in arm.items and len(arm.items) == 399 for arm in arms.values())
    with pytest.raises(InputError, match="scores are missing"):
        contrast([(1.0, make(y.tolist()))])


def test_too_many_missing_items_are_refused():
    y = np.ones((1, 400))
    y[0, :3] = np.nan
    with pytest.raises(InputError, match=r"3 of 400 items.*0\.5%"):
        drop_missing({"tao": make(y.tolist())})


def test_different_items_or_clusters_are_refused():
    a = make([[1.0, 0.0, 1.0]])
    with pytest.raises(InputError, match="different items"):
        difference(a, a.take([0, 1]))
    other = Scores(a.correct, a.items, ("x", "c1", "c2"), a.seeds)
    with pytest.raises(InputError, match="clusters"):
        difference(a, other)
    with pytest.raises(InputError, match="same order"):
        contrast([(1.0, a), (-1.0, a.take([2, 1, 0]))])


@pytest.mark.parametrize(
    ("y", "items", "clusters", "seeds"),
    [
        (np.ones((1, 2)), ("a",), ("c",), (0,)),
        (np.ones((1, 0)), (), (), (0,)),
        (np.ones((1, 2)), ("a", "a"), ("c", "c"), (0,)),
    ],
)
def test_malformed_scores_are_refused(y, items, clusters, seeds):
    with pytest.raises(InputError):
        Scores(y, items, clusters, seeds)


@st.composite
def two_arms(draw):
    n = draw(st.integers(1, 25))
    names = [f"c{draw(st.integers(0, 6))}" for _ in range(n)]
    bits = st.lists(st.sampled_from([0.0, 1.0]), min_size=n, max_size=n)
    return [make(draw(st.lists(bits, min_size=1, max_size=4)), names) for _ in range(2)]


@given(two_arms())
def test_every_input_has_an_ordered_interval_in_range(pair):
    a, b = pair
    for est, floor in ((accuracy(a), 0.0), (difference(a, b), -1.0)):
        assert floor <= est.low <= est.value + 1e-9
        assert est.value - 1e-9 <= est.high <= 1 + 1e-9
        assert est.high - est.low > 1e-6
    forward, back = difference(a, b), difference(b, a)
    assert (forward.value, forward.low, forward.p) == pytest.approx((-back.value, -back.high, back.p))
    assert (forward.p > 0.05) <= (forward.low <= 0 <= forward.high)
