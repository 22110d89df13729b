"""Strategies against the verifier: the half-and-half pass@k against brute force over subsets."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest

from tao.errors import InputError
from tao.meaning import Outcome, Reading
from tao.prompts import Message, Prompt, Sample
from tao_bench.arms.tao import TaoOptions
from tao_bench.signals import Group
from tao_bench.strategy_yield import yields
from tao_bench.task import Limits

RIGHT = {"direct": ((True, False, False, False), (False,) * 4), "plan": ((False, True), (True, False))}
"""By strategy and prompt."""


def group(number: int, strategies: tuple[str, ...]) -> tuple[Group, np.ndarray]:
    named = [(name, flag) for name in strategies for flag in RIGHT[name][number]]
    samples = [Sample(f"q{number}", name, at, "x", "x", (1, 2), 5, "stop") for at, (name, _) in enumerate(named)]
    readings = [Reading(Outcome.OK, str(flag)) for _, flag in named]
    prompt = Prompt(f"q{number}", (Message("user", "?"),))
    return Group(prompt, samples, readings), np.array([flag for _, flag in named])


def brute(direct: tuple[bool, ...], other: tuple[bool, ...], k: int) -> float:
    halves = product(combinations(direct, k // 2), combinations(other, k // 2))
    return float(np.mean([any(one + two) for one, two in halves]))


def test_the_lift_is_that_of_all_half_and_half_choices() -> None:
    groups, right = zip(*(group(number, ("direct", "plan")) for number in (0, 1)), strict=True)
    found, alone = yields(groups, right, ["a", "b"], k=2)
    assert alone == pytest.approx(np.mean([np.mean([any(c) for c in combinations(f, 2)]) for f in RIGHT["direct"]]))
    direct, plan = found
    mixed = np.mean([brute(RIGHT["direct"][n], RIGHT["plan"][n], 2) for n in (0, 1)])
    assert plan.lift == pytest.approx(100 * (mixed - alone))
    assert plan.lift_low <= plan.lift <= plan.lift_high
    assert (direct.strategy, direct.lift, direct.right) == ("direct", 0.0, 1 / 8)
    assert (plan.prompts, plan.right, plan.new, plan.tokens, plan.right_per_1k) == (2, 0.5, 1, 2.0, 250.0)


def test_a_prompt_that_a_strategy_does_not_explore_is_no_gain() -> None:
    parts = [group(0, ("direct",)), group(1, ("direct", "plan"))]
    found, _ = yields([g for g, _ in parts], [r for _, r in parts], ["a", "b"], k=2)
    assert found[1].prompts == 1
    assert found[1].lift == pytest.approx(100 * brute(RIGHT["direct"][1], RIGHT["plan"][1], 2) / 2)
    with pytest.raises(InputError, match="pass@6 needs at least 6 samples"):
        yields([g for g, _ in parts], [r for _, r in parts], ["a", "b"], k=6)


@pytest.mark.parametrize(
    ("recipe", "room"),
    [
        ({}, 16),
        ({"mix": {"direct": 1, "reorder": 1}}, 16),
        ({"mix": {"direct": 1, "repair@0.7": 1}}, 16 + 40 + 16),
        ({"mix": {"direct": 1, "few_shot": 1}}, 200 + 40),
        ({"mix": {"direct": 1, "chain_of_thought": 1}}, 128),
        ({"mix": {"direct": 1, "plan": 1}, "wording": "sql"}, 128),
        ({"mix": {"direct": 1, "few_shot": 1}, "max_prompt_tok": 300}, 100),
    ],
)
def test_the_arm_leaves_room_for_longer_views(recipe: dict[str, object], room: int) -> None:
    made = TaoOptions(recipe=recipe).made(Limits(max_prompt_tok=200, max_new_tok=40))
    assert made.max_prompt_tok == 200 + room
