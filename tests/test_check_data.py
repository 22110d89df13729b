"""Near duplicates, licences and the smallest effect a split can show."""

from __future__ import annotations

import random

import pytest

from tao.prompts import Message, Prompt
from tao_bench.check_data import near_duplicates, smallest_effect
from tao_bench.stats.planning import minimum_detectable_effect
from tao_bench.task import Item

WORDS = [f"{first}{last}" for first in ("bar", "cel", "dor", "fin", "gal", "hem", "lor", "mir") for last in "aeiouy"]
HEAD = "Schema: customers with name and city and orders with amount and status and the day on which each was placed."


def prompts(prefix: str, number: int, seed: int, words: int = 14) -> list[Prompt]:
    rng = random.Random(seed)
    texts = [" ".join(rng.choice(WORDS) for _ in range(words)) for _ in range(number)]
    return [Prompt(f"{prefix}{at}", (Message("user", f"{HEAD}\nQuestion: {text}?"),)) for at, text in enumerate(texts)]


def copied(prompt: Prompt, name: str, old: str = "", new: str = "") -> Prompt:
    text = prompt.messages[0].content
    return Prompt(name, (Message("user", text.replace(old, new, 1) if old else text),))


def test_what_all_prompts_share_makes_none_alike() -> None:
    assert near_duplicates({"pool": prompts("p", 60, 1), "test": prompts("t", 40, 2)}) == []


def test_a_copy_with_a_word_changed_is_found_in_either_order() -> None:
    pool, test = prompts("p", 60, 1, words=30), prompts("t", 40, 2, words=30)
    last = pool[7].messages[0].content.split()[-1]
    near = copied(pool[7], "copy", last, "another?")
    for splits in ({"pool": pool, "test": [*test, near]}, {"test": [*test, near], "pool": pool}):
        (pair,) = near_duplicates(splits)
        assert {pair[0], pair[1]} == {"pool p7", "test copy"} and 0.8 <= pair[2] < 1


def test_copies_inside_a_split_and_between_pool_and_train_are_no_leak() -> None:
    pool = prompts("p", 30, 1)
    assert near_duplicates({"pool": [*pool, copied(pool[0], "x")], "train": [copied(pool[1], "y")]}) == []
    assert near_duplicates({"pool": pool, "dev": [copied(pool[1], "y")]}) == [("pool p1", "dev y", pytest.approx(1.0))]


def test_the_smallest_effect_is_that_of_planning_and_none_for_one_cluster() -> None:
    items = [Item(prompt, f"c{at % 20}", "1") for at, prompt in enumerate(prompts("t", 40, 1))]
    assert smallest_effect(items) == minimum_detectable_effect(40, 20, discordance=0.25, icc=0.05)
    assert smallest_effect(items[:1]) == smallest_effect([]) == 1.0
