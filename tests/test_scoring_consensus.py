"""Voting: clusters, shares, ties, views, and the maj@n rule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao.meaning import Outcome, Reading
from tao.scoring.consensus import consensus, elected, majority, view_weights

OUTCOMES = {"!": Outcome.INVALID, "x": Outcome.FAILED, "t": Outcome.TIMEOUT, "?": Outcome.UNSCORED}


def readings(text: str) -> list[Reading]:
    """One letter a reading: a capital is a meaning, `e` an empty result, the rest in OUTCOMES."""
    return [
        Reading(Outcome.EMPTY, "nothing")
        if c == "e"
        else Reading(OUTCOMES[c])
        if c in OUTCOMES
        else Reading(Outcome.OK, c)
        for c in text
    ]


@pytest.mark.parametrize(
    ("votes", "key", "share", "chosen"),
    [
        ("AAB", "A", 2 / 3, 0),
        ("BAA", "A", 2 / 3, 1),
        ("ABBA", "A", 0.5, 0),  # tie: the first to appear
        ("BAAB", "B", 0.5, 0),
        ("!A", "A", 1.0, 1),  # failures are not in the denominator
        ("eeeA", "A", 1.0, 3),  # nor are empty results, however many agree
        ("????AB", "A", 0.5, 4),
        ("!x!xtA", "A", 1.0, 5),
    ],
)
def test_majority_and_elected(votes: str, key: str, share: float, chosen: int) -> None:
    assert majority(readings(votes)) == (key, pytest.approx(share))
    assert elected(readings(votes)) == chosen


@pytest.mark.parametrize("votes", ["!", "ee", "?!xt"])
def test_nothing_to_vote_elects_the_first_sample(votes: str) -> None:
    assert majority(readings(votes)) is None
    assert elected(readings(votes)) == 0


def test_electing_from_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="no samples"):
        elected([])


def test_every_view_counts_equally() -> None:
    strategies = ["direct"] * 6 + ["plan"] * 2
    votes = readings("AAAABBBB")
    assert majority(votes) == ("A", 0.5)
    vote = consensus(votes, view_weights(strategies))
    assert vote is not None
    assert (vote.key, vote.votes) == ("B", 4)  # a third of direct and all of plan
    assert vote.share == pytest.approx((1 / 3 + 1) / 2)


def test_a_view_that_mostly_fails_says_less() -> None:
    vote = consensus(readings("AABB" + "!!!A"), view_weights(["direct"] * 4 + ["plan"] * 4))
    assert vote is not None
    assert vote.shares == pytest.approx({"A": 0.75 / 1.25, "B": 0.5 / 1.25})


def test_weighted_ties_do_not_hang_on_rounding() -> None:
    # 0.1 three times against 0.3 once differ in the last bit; the larger cluster wins the tie.
    vote = consensus(readings("BAAA"), [0.3, 0.1, 0.1, 0.1])
    assert vote is not None and vote.key == "A"


@given(st.text(alphabet="ABCe!?", min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_shares_add_up_and_do_not_depend_on_order(votes: str, rng: object) -> None:
    vote = consensus(readings(votes))
    if vote is None:
        assert not set(votes) & set("ABC")
        return
    assert sum(vote.shares.values()) == pytest.approx(1)
    assert vote.share == max(vote.shares.values())
    assert readings(votes)[elected(readings(votes))].key == vote.key
    shuffled = list(votes)
    rng.shuffle(shuffled)  # type: ignore[attr-defined]
    other = consensus(readings("".join(shuffled)))
    assert other is not None and dict(other.shares) == pytest.approx(dict(vote.shares))
    assert other.share == pytest.approx(vote.share)


def test_lengths_must_match() -> None:
    with pytest.raises(ValueError, match="weights"):
        consensus(readings("AB"), [1.0])
