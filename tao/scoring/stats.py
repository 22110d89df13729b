"""What a round looks like without labels: the figures that alarms and reports are made from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tao.meaning import Outcome
from tao.prompts import Sample
from tao.scoring.combine import Score


@dataclass(frozen=True, slots=True)
class RoundStats:
    """Label-free figures of one round's samples. Shares are in [0, 1].

    Attributes:
        prompts: Prompts with samples.
        samples: Samples in all.
        answer_rate: Samples from which an answer in deployment form could be cut.
        run_rate: Scored samples whose answer works (empty results included) and leaves nothing out.
        empty_rate: Scored samples whose answer works but says nothing.
        unscored: Samples the interpreter could not judge (a count).
        mean_clusters: Distinct meanings a prompt, over the prompts with a valid vote.
        mean_share: Winner's share of the valid votes, over the same prompts.
        abstained: Prompts that give no gradient (untrusted vote, or nothing to tell apart).
        trusted: Prompts whose vote is trusted (they carry pseudo-labels).
        mean_reward: Over the scored samples.
        top_answer: The answer text that wins most prompts.
        top_answer_share: Share of the trusted prompts that `top_answer` wins.
        mean_answer_char: Mean length of the answers in characters.
    """

    prompts: int
    samples: int
    answer_rate: float
    run_rate: float
    empty_rate: float
    unscored: int
    mean_clusters: float
    mean_share: float
    abstained: float
    trusted: float
    mean_reward: float
    top_answer: str
    top_answer_share: float
    mean_answer_char: float


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def round_stats(
    samples: Mapping[str, Sequence[Sample]],
    scores: Mapping[str, Sequence[Score]],
) -> RoundStats:
    """Summarise a round.

    Args:
        samples: Prompt id to its samples.
        scores: Prompt id to its scores, aligned with `samples`.
    """
    everything = [sample for group in samples.values() for sample in group]
    judged = [score for group in scores.values() for score in group if score.reward is not None]
    works = [score for score in judged if score.outcome in (Outcome.OK, Outcome.EMPTY)]
    clusters, shares, winners = [], [], Counter[str]()
    silent = trusted = 0
    for prompt_id, group in scores.items():
        votes = {score.key: score.share for score in group if score.share > 0}
        if votes:
            clusters.append(float(len(votes)))
            shares.append(max(votes.values()))
        silent += all(score.advantage is None for score in group)
        labelled = [s for s, score in zip(samples[prompt_id], group, strict=True) if score.pseudo_label]
        trusted += bool(labelled)
        if labelled:
            winners[str(labelled[0].answer)] += 1
    top_answer, top_count = max(winners.items(), key=lambda item: (item[1], item[0]), default=("", 0))
    answers = [sample.answer for sample in everything if sample.answer is not None]
    return RoundStats(
        prompts=len(scores),
        samples=len(everything),
        answer_rate=len(answers) / len(everything) if everything else 0.0,
        run_rate=len(works) / len(judged) if judged else 0.0,
        empty_rate=_mean([float(score.outcome is Outcome.EMPTY) for score in judged]),
        unscored=len(everything) - len(judged),
        mean_clusters=_mean(clusters),
        mean_share=_mean(shares),
        abstained=silent / len(scores) if scores else 0.0,
        trusted=trusted / len(scores) if scores else 0.0,
        mean_reward=_mean([score.reward for score in judged if score.reward is not None]),
        top_answer=top_answer,
        top_answer_share=top_count / trusted if trusted else 0.0,
        mean_answer_char=_mean([float(len(answer)) for answer in answers]),
    )
