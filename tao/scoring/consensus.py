"""Agreement of a prompt's samples: cluster by meaning, share of the valid votes.

Majority voting over final answers is self-consistency (arXiv 2203.11171); as a training signal it is
TTRL (2504.16084); shares as soft votes follow EMPO (2504.05812). Voting across different views of the
same prompt follows Co-rewarding (2508.00410).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tao.meaning import Reading
from tao.scoring.gate import is_vote


@dataclass(frozen=True, slots=True)
class Consensus:
    """The vote of one prompt's samples.

    Attributes:
        key: Meaning of the winning cluster.
        share: The winner's share of the valid votes' weight, in (0, 1].
        votes: Samples in the winning cluster.
        valid: Samples that voted at all.
        shares: Every cluster's share by key, in order of first appearance; they add up to 1.
    """

    key: str
    share: float
    votes: int
    valid: int
    shares: Mapping[str, float]

    @property
    def clusters(self) -> int:
        """Number of distinct meanings among the valid votes."""
        return len(self.shares)


def view_weights(strategies: Sequence[str]) -> list[float]:
    """Weights (one a sample) that let every view of the prompt count equally, whatever it was sampled.

    A view's weight is spread over all its samples, so a view that mostly fails to answer also says less.
    """
    counts = Counter(strategies)
    return [1.0 / counts[strategy] for strategy in strategies]


def consensus(readings: Sequence[Reading], weights: Sequence[float] | None = None) -> Consensus | None:
    """Cluster readings by key and find the winner.

    Ties go to the cluster with more samples, then to the one that appeared first: the result depends on
    the samples alone.

    Args:
        readings: One prompt's readings in sample order.
        weights: Vote weight of each sample; equal if None.

    Returns:
        The vote, or None if no sample may vote.
    """
    if weights is not None and len(weights) != len(readings):
        raise ValueError(f"{len(readings)} readings but {len(weights)} weights")
    weight: dict[str, float] = {}
    count: Counter[str] = Counter()
    for position, reading in enumerate(readings):
        if is_vote(reading):
            key = str(reading.key)
            # Rounded so that the order of additions cannot break a tie between equal shares.
            weight[key] = round(weight.get(key, 0.0) + (1.0 if weights is None else weights[position]), 12)
            count[key] += 1
    if not weight:
        return None
    winner = max(weight, key=lambda key: (weight[key], count[key]))  # max keeps the first of equals
    total = sum(weight.values())
    shares = {key: value / total for key, value in weight.items()}
    return Consensus(winner, shares[winner], count[winner], sum(count.values()), shares)


def majority(readings: Sequence[Reading]) -> tuple[str, float] | None:
    """The most frequent meaning and its share of the valid votes, or None if nothing voted."""
    vote = consensus(readings)
    return None if vote is None else (vote.key, vote.share)


def elected(readings: Sequence[Reading]) -> int:
    """The maj@n rule: position of the sample to return, the first one of the winning cluster.

    Where no sample may vote (all failed or empty) it is the first sample, as without voting.

    Raises:
        ValueError: There are no samples.
    """
    if not readings:
        raise ValueError("no samples to elect from")
    vote = consensus(readings)
    if vote is None:
        return 0
    return next(i for i, reading in enumerate(readings) if is_vote(reading) and reading.key == vote.key)
