from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao.compute import Ledger
from tao.errors import InputError
from tao.meaning import Outcome, Reading
from tao.mixture import MixedInterpreter, limits_of, mixed, named, of_part, part_of, raised, shares, turns
from tao.model_card import CardFacts, render_card
from tao.prompts import Message, Prompt
from tao.report import render_rounds
from tao.rounds import Round
from tao.scoring.evidence import Finding
from tao.scoring.signals import Weighed
from tao.scoring.stats import RoundStats

WEIGHTS = st.dictionaries(
    st.sampled_from("abcdef"), st.one_of(st.integers(1, 9), st.floats(0.05, 20).map(lambda w: round(w, 2))), min_size=1
)


def pool(part: str, count: int) -> list[Prompt]:
    return [Prompt(f"{part}{i}", (Message("user", f"{part}{i}?"),)) for i in range(count)]


@given(WEIGHTS, st.integers(0, 120))
def test_every_prefix_keeps_every_share_to_within_one(weights: dict[str, float], count: int) -> None:
    whole = sum(weights.values())
    for part, found in shares(weights, count).items():
        assert abs(found - count * weights[part] / whole) < 1 + 1e-9


@given(WEIGHTS, st.integers(0, 40), st.integers(0, 40))
def test_a_longer_list_of_turns_begins_with_the_shorter(weights: dict[str, float], few: int, more: int) -> None:
    small, large = shares(weights, few), shares(weights, few + more)
    assert all(small[part] <= large[part] for part in weights)


def test_turns_by_hand() -> None:
    assert "".join(itertools.islice(turns({"a": 2, "b": 1}), 6)) == "aabaab"
    assert "".join(itertools.islice(turns({"a": 1, "b": 1}), 4)) == "abab"


@pytest.mark.parametrize("weights", [{}, {"a": 0.0}, {"a": 1.0, "b": float("nan")}, {"a": -1.0}])
def test_weights_that_are_none_are_refused(weights: dict[str, float]) -> None:
    with pytest.raises(InputError, match="no mixture"):
        next(turns(weights))


def test_a_mixture_reads_every_pool_in_order_and_ends_with_the_first_that_is_empty() -> None:
    found = mixed({"x": pool("p", 9), "y": pool("p", 2)}, {"x": 2, "y": 1})
    assert [prompt.id for prompt in found] == ["x/p0", "x/p1", "y/p0", "x/p2", "x/p3", "y/p1", "x/p4", "x/p5"]
    assert len({prompt.id for prompt in found}) == len(found)
    with pytest.raises(InputError, match="needs a weight"):
        mixed({"x": pool("p", 2)}, {"y": 1})
    with pytest.raises(InputError, match="without '/'"):
        mixed({"x/y": pool("p", 2)}, {"x/y": 1})


class Says:
    """Reads every answer as one word, and remembers which prompts it saw."""

    version = "1"

    def __init__(self, name: str) -> None:
        self.name, self.seen, self.closed = name, [], False

    def read(self, prompt: Prompt, answers: Sequence[str]) -> list[Reading]:
        self.seen.append(prompt.id)
        return [Reading(Outcome.OK, self.name)] * len(answers)

    def close(self) -> None:
        self.closed = True


def test_every_prompt_is_read_by_its_own_interpreter_under_its_own_id() -> None:
    sql, number = Says("sql"), Says("number")
    both = MixedInterpreter({"x": sql, "y": number})
    keys = [both.read(named(part, pool("p", 1)[0]), ["7"])[0].key for part in "xyx"]
    assert keys == ["sql", "number", "sql"]
    assert (sql.seen, number.seen) == (["p0", "p0"], ["p0"])
    assert both.version == "x=sql@1,y=number@1"
    both.close()
    assert sql.closed
    assert number.closed


class Half:
    name, version = "half", "1"

    def values(self, prompt: Prompt, answers: Sequence[str]) -> list[float | None]:
        assert prompt.id == "p0"
        return [0.5] * len(answers)

    def flop(self, prompt: Prompt, answers: Sequence[str]) -> int:
        return 7

    def close(self) -> None: ...


def test_a_part_s_signal_says_nothing_about_the_others() -> None:
    (own,) = of_part("x", [Weighed(Half(), 0.5, None)])
    here, there = (named(part, pool("p", 1)[0]) for part in "xy")
    assert own.signal.name == "x/half"
    assert (own.signal.values(here, ["a", "b"]), own.signal.flop(here, ["a"])) == ([0.5, 0.5], 7)
    assert (own.signal.values(there, ["a", "b"]), own.signal.flop(there, ["a"])) == ([None, None], 0)
    assert part_of(there) == "y"


GOOD = RoundStats(
    prompts=200, samples=1600, answer_rate=1.0, run_rate=0.8, empty_rate=0.0, unscored=0, mean_clusters=3.0,
    mean_share=0.6, abstained=0.1, trusted=0.9, mean_reward=0.6, top_answer="7", top_answer_share=0.02,
    mean_answer_char=30.0,
)  # fmt: skip


def test_a_part_that_collapses_does_not_hide_in_the_mean() -> None:
    first = Round(0, None, GOOD, (), {}, parts={"big": GOOD, "small": GOOD})
    whole = replace(GOOD, run_rate=0.70)  # ten points: below the limit of the whole
    parts = {"big": replace(GOOD, run_rate=0.82), "small": replace(GOOD, run_rate=0.4)}
    assert raised([first], whole, {}) == ()
    (alarm,) = raised([first], whole, parts)
    assert alarm.name == "small/run_rate"
    assert alarm.message == "small: answers that work 80% -> 40%"


def test_report_and_card_show_every_part_and_what_is_thin(tmp_path: Path) -> None:
    small = replace(GOOD, prompts=50, run_rate=0.4)
    thin = (Finding("run_rate", "warn", "only 25.0% of the answers work"),)
    rounds = [Round(0, None, GOOD, (), {}, parts={"big": GOOD, "small": small}, evidence=thin)]
    report = render_rounds(rounds)
    facts = CardFacts("m", "b", "d", 250, "sql", {}, Ledger(tmp_path / "ledger.jsonl"), rounds=rounds, stopped="rounds")
    for text in (report, render_card(facts)):
        (line,) = [line for line in text.splitlines() if "0 small" in line]
        assert line.replace("|", "").split()[2:4] == ["50", "40%"] and "0 big" in text
    assert report.endswith("\n\nthin evidence in round 0: only 25.0% of the answers work")
    assert "Alarms: none. Thin evidence: run_rate (round 0)." in render_card(facts)
    alone = [replace(rounds[0], parts={}, evidence=())]
    assert "part" not in render_rounds(alone)
    assert "Thin evidence: none." in render_card(replace(facts, rounds=alone))


def test_few_prompts_need_a_larger_fall_so_that_false_alarms_stay_as_rare() -> None:
    rng = np.random.default_rng(0)
    rates = {}
    for prompts in (25, 50, 100, 200, 800):
        # The worst case: all samples of a prompt work, or none does.
        before, after = rng.binomial(prompts, 0.5, (2, 20_000)) / prompts
        rates[prompts] = float(np.mean(before - after > limits_of(prompts).run_rate))
    assert max(rates.values()) < 0.004
    assert limits_of(200) == limits_of(800)
