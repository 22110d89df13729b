"""Gate times graded agreement: a reward and an advantage for every sample of one prompt.

A prompt whose vote is not to be trusted *abstains*: nothing is trained on it (RESTRAIN, arXiv
2510.02172, penalises such prompts; ScPO, 2411.04109, filters them). Advantages are rewards minus the
group's mean and are **not** divided by the group's standard deviation (Dr. GRPO, 2503.20783): dividing
would undo any weighting by vote share and turn a 7-to-1 vote into a -2.5 on the odd one out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from tao.errors import InputError
from tao.meaning import Outcome, Reading
from tao.prompts import Sample
from tao.sampling.samples import MeasuredSample
from tao.scoring.consensus import Consensus, consensus, view_weights
from tao.scoring.gate import is_vote

VERSION = "3"
"""Part of every scored round's inputs; raise it when gate, vote or reward change for the same settings."""


Source = Literal["consensus", "execution", "format", "random", "self_certainty"]
"""Where rewards come from. ``consensus`` is the method; the others are what it is held against: every answer that
works is as good as another (``execution``), every answer in deployment form is (``format``), chance decides
(``random``), or how sure the model was (``self_certainty``, arXiv 2505.19590; see `_certainties`)."""


@dataclass(frozen=True, slots=True)
class Rewards:
    """How readings become rewards.

    Attributes:
        source: See `Source`; all but ``consensus`` leave the vote aside.
        consensus_floor: Winner's share of the valid votes below which the prompt abstains.
        min_votes: Samples the winner needs; one lone valid answer among failures is no agreement.
        support: Winner's share of *all* the prompt's samples below which it abstains. Where most samples fail, what
            happens to work is often what left the hard part out.
        mentions: Whether an answer that leaves out what the question mentions loses its vote
            (`tao.scoring.mentions`).
        invalid: Reward of an answer that does not work, is empty or is missing (0, or slightly negative).
        runs: Reward of an answer that works, before its share counts.
        graded: What a minority answer adds to `runs`, times its own cluster's share.
        by_view: Whether every strategy counts equally in the vote, rather than every sample.
        confidence: Whether a prompt's advantages are multiplied by the winner's share (ScPO's vote
            margin in spirit): sure prompts move the model more.
    """

    consensus_floor: float = 0.4
    min_votes: int = 2
    support: float = 0.0
    mentions: bool = True
    invalid: float = 0.0
    runs: float = 0.1
    graded: float = 0.4
    by_view: bool = True
    confidence: bool = True
    source: Source = "consensus"

    def __post_init__(self) -> None:
        if self.source not in get_args(Source):
            raise InputError(f"unknown source {self.source!r}", "source", f"use one of {', '.join(get_args(Source))}")
        for name in ("consensus_floor", "support"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError("a share must be in [0, 1]", name, "use 0.4")
        if self.min_votes < 1:
            raise InputError("must be at least 1", "min_votes", "use 2")
        # The winner's reward is 1: what loses must earn less, or training would run away from the vote.
        if not self.invalid <= self.runs <= self.runs + self.graded < 1:
            raise InputError("rewards must be ordered invalid <= runs <= runs + graded < 1", "rewards")

    def as_record(self) -> dict[str, Any]:
        """Settings as a stage's inputs name them; the default source is left out, as in records from before it."""
        return {name: value for name, value in asdict(self).items() if (name, value) != ("source", "consensus")}


@dataclass(frozen=True, slots=True)
class Score:
    """Label-free score of one sample.

    Attributes:
        reward: None if the sample could not be scored; never a low score instead.
        advantage: Reward minus the group's mean; None if the sample must not be trained on (unscored,
            no answer in deployment form, or the prompt abstains).
        share: Share of the sample's own cluster among the valid votes; 0 if it did not vote.
        pseudo_label: Whether it carries the winning meaning of a prompt that does not abstain.
    """

    outcome: Outcome
    key: str | None
    share: float
    reward: float | None
    advantage: float | None
    pseudo_label: bool


def _reward(reading: Reading, vote: Consensus | None, rewards: Rewards) -> float | None:
    if reading.outcome is Outcome.UNSCORED:
        return None
    if vote is None or not is_vote(reading):
        return rewards.invalid
    if reading.key == vote.key:
        return 1.0
    return rewards.runs + rewards.graded * vote.shares[str(reading.key)]


def _control(sample: Sample, reading: Reading, source: Source) -> float | None:
    """Reward of a control, which knows nothing of the other samples."""
    if source == "random":  # of the content alone: the same draw whenever it is asked for
        body = f"{sample.prompt_id}\0{sample.index}\0{sample.text}".encode()
        return int.from_bytes(hashlib.sha256(body).digest()[:8], "big") / 2**64
    if reading.outcome is Outcome.UNSCORED:
        return None
    works = is_vote(reading) if source == "execution" else reading.outcome is not Outcome.INVALID
    return float(works)


def _certainties(samples: Sequence[Sample]) -> list[float | None]:
    """How sure the model was of each sample, from 0 for the group's least to 1 for its most.

    The gate has no say, as in INTUITOR (arXiv 2505.19590). Its advantages are standardised within the group, which
    undoes any scale: ``objective: grpo``, ``scale_rewards: group`` and ``confidence: false`` give exactly those.
    ``rft`` imitates the surest sample (best-of-n by self-certainty, arXiv 2502.18581).
    """
    measured = [sample for sample in samples if isinstance(sample, MeasuredSample)]
    if len(measured) != len(samples):
        raise InputError(
            "the samples do not say how sure the model was",
            f"prompt {samples[0].prompt_id}",
            "explore with a recipe that says `source: self_certainty`, and `sampler: transformers`",
        )
    low, high = min(s.certainty for s in measured), max(s.certainty for s in measured)
    return [(s.certainty - low) / (high - low) if high > low else 1.0 for s in measured]


def trusted(vote: Consensus | None, rewards: Rewards, samples: int) -> bool:
    """Whether the vote of a prompt with so many samples is strong enough to train on."""
    return (
        vote is not None
        and vote.share >= rewards.consensus_floor
        and vote.votes >= max(rewards.min_votes, rewards.support * samples)
    )


def combine(
    samples: Sequence[Sample],
    readings: Sequence[Reading],
    rewards: Rewards,
    weighed: Sequence[Sequence[tuple[float, float]]] | None = None,
) -> list[Score]:
    """Score all samples of one prompt.

    Args:
        samples: The prompt's samples.
        readings: Their readings after the gate, in the same order.
        rewards: See `Rewards`.
        weighed: For each sample the (weight, value) of every further signal that could judge it
            (`tao.scoring.signals`). A reward becomes the weighted mean of itself, with weight 1, and of them.

    Returns:
        One score a sample, in order.

    Raises:
        InputError: The source is ``self_certainty`` and the samples do not carry theirs.
    """
    if len(samples) != len(readings):
        raise ValueError(f"{len(samples)} samples but {len(readings)} readings")
    weights = view_weights([s.strategy for s in samples]) if rewards.by_view else None
    vote = consensus(readings, weights)
    if rewards.source == "self_certainty":
        earned = _certainties(samples)
    elif rewards.source == "consensus":
        earned = [_reward(reading, vote, rewards) for reading in readings]
    else:
        earned = [_control(s, reading, rewards.source) for s, reading in zip(samples, readings, strict=True)]
    if weighed is not None:
        earned = [_mixed(reward, more) for reward, more in zip(earned, weighed, strict=True)]
    # Samples without an answer cannot be trained on, so they are no part of the baseline either.
    trainable = [r is not None and s.answer is not None for s, r in zip(samples, earned, strict=True)]
    group = [r for r, use in zip(earned, trainable, strict=True) if use and r is not None]
    trust = trusted(vote, rewards, len(samples)) if rewards.source == "consensus" else any(r > 0 for r in group)
    silent = not trust or len(set(group)) < 2
    mean = sum(group) / len(group) if group else 0.0
    is_vote_weighted = rewards.confidence and rewards.source == "consensus" and vote is not None
    factor = vote.share if is_vote_weighted and vote is not None else 1.0
    scores = []
    for reading, reward, use in zip(readings, earned, trainable, strict=True):
        voted = vote is not None and is_vote(reading)
        if rewards.source == "consensus":
            elected = vote is not None and voted and reading.key == vote.key
        else:
            elected = use and reward is not None and reward == max(group)
        scores.append(
            Score(
                outcome=reading.outcome,
                key=reading.key,
                share=vote.shares[str(reading.key)] if vote is not None and voted else 0.0,
                reward=reward,
                advantage=None if silent or not use or reward is None else factor * (reward - mean),
                pseudo_label=trust and elected,
            )
        )
    return scores


def _mixed(reward: float | None, more: Sequence[tuple[float, float]]) -> float | None:
    if reward is None or not more:
        return reward
    return (reward + sum(weight * value for weight, value in more)) / (1.0 + sum(weight for weight, _ in more))
