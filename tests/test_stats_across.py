from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tao.errors import InputError
from tao_bench.stats import Scores, across, contrast, difference, fell_p


def scores(correct: np.ndarray, clusters: int | None = None, seeds: tuple[int, ...] | None = None) -> Scores:
    count, items = correct.shape
    names = tuple(f"i{n}" for n in range(items))
    return Scores(
        correct.astype(float), names, tuple(f"c{n % (clusters or items)}" for n in range(items)),
        seeds or tuple(range(count)),
    )  # fmt: skip


def test_one_task_is_the_plain_contrast() -> None:
    rng = np.random.default_rng(0)
    arm, base = scores(rng.random((3, 80)) < 0.6, 20), scores(rng.random((1, 80)) < 0.5, 20)
    ours, plain = across([[(1, "arm", arm), (-1, "base", base)]]), contrast([(1, arm), (-1, base)])
    for name in ("value", "low", "high", "se", "p", "n_items", "n_clusters", "n_seeds"):
        assert getattr(ours, name) == pytest.approx(getattr(plain, name)), name


def test_two_tasks_of_other_sizes_count_the_same() -> None:
    small, large = scores(np.ones((1, 10))), scores(np.zeros((1, 90)))
    assert across([[(1, "arm", small)], [(1, "arm", large)]]).value == pytest.approx(0.5)


def _seeds_matter(rng: np.random.Generator, shared: bool, sd: float) -> tuple[Scores, Scores]:
    """Three seeds on two tasks, true mean 0.5; the seed moves both tasks together, or each by itself."""
    shift = rng.normal(0, sd, 3)
    shifts = (shift, shift if shared else rng.normal(0, sd, 3))
    first, second = (scores(rng.random((3, 200)) < 0.5 + s[:, None]) for s in shifts)
    return first, second


@pytest.mark.parametrize("shared", [True, False])
def test_intervals_of_a_mean_over_tasks_cover(shared: bool) -> None:
    rng = np.random.default_rng(1)
    hits, rounds = 0, 500
    for _ in range(rounds):
        first, second = _seeds_matter(rng, shared, 0.02)
        est = across([[(1, "a", first)], [(1, "a" if shared else "b", second)]])
        hits += est.low <= 0.5 <= est.high
    assert 0.925 < hits / rounds < 0.985


def test_where_seeds_outweigh_items_three_of_them_cover_as_on_one_task() -> None:
    """Three seeds of six points' spread are few for any method here: both fall short of 95 %, neither more so."""
    rng = np.random.default_rng(5)
    one, two, rounds = 0, 0, 500
    for _ in range(rounds):
        shift = rng.normal(0, 0.06, (3, 1))
        alone = contrast([(1, scores(rng.random((3, 400)) < 0.5 + shift))])
        first, second = _seeds_matter(rng, True, 0.06)
        both = across([[(1, "a", first)], [(1, "a", second)]])
        one += alone.low <= 0.5 <= alone.high
        two += both.low <= 0.5 <= both.high
    assert two / rounds > 0.88
    assert abs(one - two) / rounds < 0.05


def test_a_shared_seed_taken_for_two_would_be_too_sure() -> None:
    rng = np.random.default_rng(2)
    together, apart = [], []
    for _ in range(60):
        first, second = _seeds_matter(rng, True, 0.06)
        together.append(across([[(1, "a", first)], [(1, "a", second)]]).se)
        apart.append(across([[(1, "a", first)], [(1, "b", second)]]).se)
    assert np.mean(together) > 1.15 * np.mean(apart)


def test_no_spread_gives_bounds_and_other_seeds_are_refused() -> None:
    flat = scores(np.ones((2, 30)))
    est = across([[(1, "a", flat)], [(1, "a", flat)]])
    assert (est.value, est.high) == (1.0, 1.0)
    assert 0.85 < est.low < 1
    with pytest.raises(InputError, match="other seeds"):
        across([[(1, "a", flat)], [(1, "a", replace(flat, seeds=(4, 5)))]])
    with pytest.raises(InputError, match="needs one"):
        across([])


@pytest.mark.parametrize(
    ("items", "clusters", "moved", "mended"),
    [(300, 300, 0.02, 0.0), (300, 300, 0.10, 0.08), (300, 60, 0.02, 0.0), (600, 60, 0.06, 0.04), (1000, 1000, 0.02, 0)],
)
def test_a_fall_of_just_the_margin_is_rarely_called_none(
    items: int, clusters: int, moved: float, mended: float
) -> None:
    """Base right on the items that break, wrong on those that mend: the true difference is -0.02."""
    rng = np.random.default_rng(3)
    called, rounds = 0, 200
    for _ in range(rounds):
        kind = rng.random((1, items))
        base = (kind < 0.5).astype(float)
        arm = np.where(kind < moved, 0.0, np.where(kind > 1 - mended, 1.0, base))
        gain = difference(scores(arm, clusters), scores(base, clusters))
        called += fell_p(gain, 0.02) <= 0.05
    assert called / rounds < 0.1  # 5 % and three standard errors


def test_no_change_on_many_items_is_no_fall_and_on_few_is_not_shown() -> None:
    for items, shown in ((600, True), (60, False)):
        same = scores(np.tile([[1.0, 0.0]], (1, items // 2)))
        assert (fell_p(difference(same, same), 0.02) <= 0.05) is shown
    worse = scores(np.zeros((1, 200)))
    assert fell_p(difference(worse, scores(np.ones((1, 200)))), 0.02) == 1.0
    with pytest.raises(InputError, match="no fall"):
        fell_p(difference(worse, worse), 0.0)
