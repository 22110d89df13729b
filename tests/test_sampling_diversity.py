"""Diversity of samples, and pass@k against brute force."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao.errors import InputError
from tao.prompts import Sample
from tao.sampling.diversity import diversity_report, pass_at_k


def sample(strategy: str, index: int, answer: str | None, reason: str = "stop") -> Sample:
    return Sample("q", strategy, index, answer or "", answer, (5, 6, 1), 9, reason)


@given(st.lists(st.booleans(), min_size=1, max_size=8), st.integers(1, 8))
def test_pass_at_k_is_the_share_of_subsets_with_a_correct_one(flags: list[bool], k: int) -> None:
    if k > len(flags):
        with pytest.raises(InputError, match=f"pass@{k} needs"):
            pass_at_k(flags, k)
        return
    subsets = list(combinations(flags, k))
    assert pass_at_k(flags, k) == pytest.approx(sum(map(any, subsets)) / len(subsets))


def test_report_counts_answers_and_strategies() -> None:
    groups = {
        "a": [sample("direct", 0, "x"), sample("direct", 1, "x "), sample("plan", 2, "y"), sample("plan", 3, None)],
        "b": [sample("direct", 0, "x"), sample("plan", 1, "x", "length")],
    }
    report = diversity_report(groups)
    assert report.prompts == 2
    assert report.distinct == 1.5
    assert report.distinct_share == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert report.agreeing == pytest.approx((2 / 3 + 1) / 2)
    plan = report.strategies["plan"]
    assert (plan.samples, plan.kept_form, plan.truncated) == (3, pytest.approx(2 / 3), pytest.approx(1 / 3))
    assert plan.alone == 0.5
    assert report.strategies["direct"].alone == pytest.approx(2 / 3)
    assert plan.completion_tok == 3


def test_report_by_meaning() -> None:
    groups = {"a": [sample("direct", 0, "x"), sample("direct", 1, "y")]}
    assert diversity_report(groups, {"a": ["same", "same"]}).distinct == 1
    assert diversity_report(groups, {"a": [None, None]}).agreeing == 0
    with pytest.raises(InputError, match="1 keys for 2 samples"):
        diversity_report(groups, {"a": ["same"]})
    with pytest.raises(InputError, match="no samples"):
        diversity_report({})


def test_what_a_strategy_won_and_what_it_cost() -> None:
    groups = {
        "a": [sample("direct", 0, "x"), sample("direct", 1, "y"), sample("repair", 2, "x"), sample("repair", 3, None)],
        "b": [sample("direct", 0, "z"), sample("direct", 1, "z ")],
    }
    keys = {"a": ["1", "2", "1", None], "b": ["3", None]}
    won = {"a": [True, False, True, False], "b": [True, False]}
    report = diversity_report(groups, keys, won)
    direct, repair = report.strategies["direct"], report.strategies["repair"]
    assert (direct.prompts, direct.samples, repair.prompts, repair.samples) == (2, 4, 1, 2)
    assert (direct.answers, direct.meanings, direct.votes) == (1.5, 1.5, 0.75)
    assert (repair.answers, repair.meanings, repair.votes, repair.alone) == (1.0, 1.0, 0.5, 0.0)
    assert (direct.won, direct.won_share) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert (repair.won, repair.won_share) == (1.0, pytest.approx(1 / 3))
    assert direct.won_per_1k == pytest.approx(1000 * 2 / (4 * 3))
    assert diversity_report(groups, keys).strategies["direct"].won_share == 0
