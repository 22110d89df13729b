"""Rewards: gate times graded agreement, abstention, and no low score for what could not be scored."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao.errors import InputError
from tao.meaning import Outcome, Reading
from tao.prompts import Sample
from tao.sampling.samples import MeasuredSample
from tao.scoring.combine import Rewards, Score, combine
from tao.scoring.gate import refusal
from tao.training.grpo import EPSILON, scaled_scores

OUTCOMES = {"!": Outcome.INVALID, "x": Outcome.FAILED, "?": Outcome.UNSCORED}
PLAIN = Rewards(by_view=False, confidence=False)


def sample(index: int, answer: str | None, strategy: str = "direct", finish: str = "stop") -> Sample:
    return Sample("p", strategy, index, answer or "", answer, (5, 6), 3, finish)


def scored(votes: str, rewards: Rewards = PLAIN) -> list[Score]:
    """`e` empty, `-` no answer at all, capitals meanings."""
    samples = [sample(i, None if c == "-" else c) for i, c in enumerate(votes)]
    readings = []
    for one, c in zip(samples, votes, strict=True):
        known = {"e": Reading(Outcome.EMPTY, "nothing"), "-": refusal(one)}.get(c)
        readings.append(known or (Reading(OUTCOMES[c]) if c in OUTCOMES else Reading(Outcome.OK, c)))
    return combine(samples, readings, rewards)


def test_majority_minority_invalid_are_ordered() -> None:
    scores = scored("AAABBC!e")
    rewards = [s.reward for s in scores]
    assert rewards[:3] == [1.0] * 3
    assert rewards[3] == pytest.approx(0.1 + 0.4 * 2 / 6)
    assert rewards[5] == pytest.approx(0.1 + 0.4 * 1 / 6)
    assert rewards[6:] == [0.0, 0.0]
    assert [s.pseudo_label for s in scores] == [True] * 3 + [False] * 5
    assert sum(s.advantage for s in scores if s.advantage is not None) == pytest.approx(0)


def test_unscored_gets_no_reward_and_no_gradient_and_shifts_no_baseline() -> None:
    scores = scored("AAB?")
    assert scores[3].reward is None and scores[3].advantage is None and not scores[3].pseudo_label
    assert [s.advantage for s in scores[:3]] == [s.advantage for s in scored("AAB")]


def test_no_answer_is_scored_but_not_trained_on_nor_part_of_the_baseline() -> None:
    scores = scored("AAB-")
    assert scores[3].reward == 0.0 and scores[3].advantage is None
    assert [s.advantage for s in scores[:3]] == [s.advantage for s in scored("AAB")]


@pytest.mark.parametrize(
    ("votes", "why"),
    [
        ("AAAA", "all agree: nothing to tell apart"),
        ("ABCDE", "no cluster of two"),
        ("AABBCCDD", "share under the floor"),
        ("A!!!!!!!", "one lone valid answer is no agreement"),
        ("!!!!", "nothing works"),
        ("eeee", "empty results never vote"),
        ("????", "nothing could be scored"),
        ("A?", "the only scored sample"),
    ],
)
def test_abstains(votes: str, why: str) -> None:
    assert all(s.advantage is None for s in scored(votes)), why


def test_agreement_among_failures_is_a_signal() -> None:
    scores = scored("AA!!")
    assert [s.advantage for s in scores] == [0.5, 0.5, -0.5, -0.5]


def test_pseudo_labels_need_trust_not_disagreement() -> None:
    assert all(s.pseudo_label for s in scored("AAAA"))
    assert not any(s.pseudo_label for s in scored("ABCDE"))


def test_confidence_scales_advantages_by_the_share() -> None:
    plain, weighted = scored("AAB"), scored("AAB", Rewards(by_view=False, confidence=True))
    for a, b in zip(plain, weighted, strict=True):
        assert a.advantage is not None and b.advantage == pytest.approx(a.advantage * 2 / 3)


def test_advantages_are_not_divided_by_the_group_deviation() -> None:
    # 7 to 1: a normalised advantage of the odd one out would be about -2.6.
    odd = scored("AAAAAAAB")[7].advantage
    assert odd is not None and -1 < odd < 0


def test_settings_are_checked() -> None:
    for bad in ({"consensus_floor": 1.5}, {"min_votes": 0}, {"runs": 0.7, "graded": 0.5}, {"invalid": 0.2}):
        with pytest.raises(InputError):
            Rewards(**bad)


@pytest.mark.parametrize(
    ("one", "detail"),
    [
        (sample(0, None), "no_answer"),
        (sample(0, "  "), "no_answer"),
        (sample(0, "12", finish="length"), "truncated"),
    ],
)
def test_the_gate_refuses_before_reading(one: Sample, detail: str) -> None:
    reading = refusal(one)
    assert reading is not None and reading.outcome is Outcome.INVALID and reading.detail == detail
    assert refusal(sample(0, "12")) is None


@given(st.text(alphabet="ABCe!?-x", min_size=1, max_size=16))
def test_invariants(votes: str) -> None:
    scores = scored(votes)
    for score, vote in zip(scores, votes, strict=True):
        assert (score.reward is None) == (vote == "?")
        assert score.reward is None or 0 <= score.reward <= 1
        assert score.advantage is None or score.reward is not None
        assert not score.pseudo_label or score.reward == 1.0
    known = [s.advantage for s in scores if s.advantage is not None]
    assert sum(known) == pytest.approx(0, abs=1e-9)
    assert not known or any(a != 0 for a in known)


def measured(certainties: list[float], answers: str = "") -> list[Sample]:
    answers = answers or "A" * len(certainties)
    return [
        MeasuredSample("p", "direct", i, a, None if a == "-" else a, (5,), 3, "stop", c)
        for i, (a, c) in enumerate(zip(answers, certainties, strict=True))
    ]


SURE = Rewards(source="self_certainty", confidence=False)


def test_self_certainty_knows_no_vote_and_no_gate() -> None:
    readings = [Reading(Outcome.OK, "A")] * 3 + [Reading(Outcome.INVALID)]
    scores = combine(measured([1.0, 2.0, 3.0, 5.0], "AAAB"), readings, SURE)
    assert [s.reward for s in scores] == [0.0, 0.25, 0.5, 1.0]
    assert [s.pseudo_label for s in scores] == [False, False, False, True]  # the majority says A


@given(st.lists(st.floats(0, 20), min_size=2, max_size=8).filter(lambda c: max(c) - min(c) > 0.01))
def test_self_certainty_standardised_within_the_group_is_intuitors_advantage(certainties: list[float]) -> None:
    """arXiv 2505.19590: (u - mean) / std, with TRL's epsilon on our scale."""
    scores = combine(measured(certainties), [Reading(Outcome.OK, "A")] * len(certainties), SURE)
    found = [s.advantage for s in scaled_scores({"p": scores}, "group")["p"]]
    mean, spread = statistics.mean(certainties), max(certainties) - min(certainties)
    expected = [(c - mean) / (statistics.stdev(certainties) + EPSILON * spread) for c in certainties]
    assert found == pytest.approx(expected, abs=1e-6)


def test_equal_certainties_tell_nothing_apart() -> None:
    scores = combine(measured([2.0, 2.0]), [Reading(Outcome.OK, "A")] * 2, SURE)
    assert all(s.advantage is None and s.pseudo_label for s in scores)


def test_self_certainty_asks_for_samples_that_carry_it() -> None:
    with pytest.raises(InputError, match="do not say how sure the model was"):
        combine([sample(0, "1"), sample(1, "2")], [Reading(Outcome.OK, "1"), Reading(Outcome.OK, "2")], SURE)
