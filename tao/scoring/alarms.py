"""Alarms without labels: has the last training step hurt the model?

Tuning on a model's own agreement rises and then falls (arXiv 2603.08660): the reward keeps growing while
accuracy drops. What shows without labels is the *form* of the fall: answers become one answer, grow or
shrink, stop working, or all meanings collapse into one at a stroke. The first round, sampled from the
starting model, is the yardstick.

What they do not see. A round's samples come from the model of the round before, so the model that a run ends with is
watched only where the recipe says ``watch_last``. And a fall smaller than the limits passes: in the published
``trials_objectives``, regression at 8e-4 fell by 17.5 points on dev; its second round already showed answers that work
at 38 % after 52 %, a fall of 13.5 points where the limit is 15. Nor is a model seen that learned to leave the hard part
out: its answers work *more* often (`tao.scoring.mentions` is there for that one). Where a run falls slowly none of them
goes off; drift from the first model tells more (the page of ``tao-bench trace overoptimisation``), and the recipe's
``kl_base_cap`` ends a run by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tao.scoring.stats import RoundStats


@dataclass(frozen=True, slots=True)
class Alarm:
    """A named reason not to trust the newest model, and the figures behind it."""

    name: str
    message: str


@dataclass(frozen=True, slots=True)
class AlarmLimits:
    """Where the alarms go off.

    Attributes:
        clusters: Fraction of the first round's *spare* meanings (mean clusters minus 1) that must be left
            after a single round. Slow sharpening is what tuning does; losing nearly all at a stroke is not.
        top_answer: Rise, in points of share, of one answer text over different prompts.
        length: Factor by which the mean answer length may grow or shrink.
        run_rate: Fall, in points of share, of answers that work.
    """

    clusters: float = 0.05
    top_answer: float = 0.3
    length: float = 2.0
    run_rate: float = 0.15


def alarms(history: Sequence[RoundStats], limits: AlarmLimits | None = None) -> list[Alarm]:
    """Compare the newest round with the first and the one before.

    Args:
        history: Statistics of the rounds so far, oldest first. A round's samples come from the model that
            the round *before* trained, so an alarm speaks against that model, and none against the last one.
        limits: Thresholds; the defaults if None.

    Returns:
        The alarms that went off, in a fixed order. Empty for the first round.
    """
    if len(history) < 2:
        return []
    limits = limits or AlarmLimits()
    first, before, now = history[0], history[-2], history[-1]
    found = []
    spare, left = before.mean_clusters - 1.0, now.mean_clusters - 1.0
    if first.mean_clusters - 1.0 > 0.1 and spare > 0.5 and left < limits.clusters * spare:
        found.append(
            Alarm(
                "cluster_collapse", f"distinct meanings a prompt {before.mean_clusters:.2f} -> {now.mean_clusters:.2f}"
            )
        )
    if now.top_answer_share - first.top_answer_share > limits.top_answer:
        found.append(
            Alarm(
                "one_answer",
                f"{now.top_answer!r} wins {now.top_answer_share:.0%} of the prompts "
                f"(commonest answer of the first round: {first.top_answer_share:.0%})",
            )
        )
    if first.mean_answer_char > 0 and not (
        1 / limits.length <= now.mean_answer_char / first.mean_answer_char <= limits.length
    ):
        found.append(
            Alarm(
                "length_drift",
                f"mean answer length {first.mean_answer_char:.0f} -> {now.mean_answer_char:.0f} characters",
            )
        )
    if first.run_rate - now.run_rate > limits.run_rate:
        found.append(Alarm("run_rate", f"answers that work {first.run_rate:.0%} -> {now.run_rate:.0%}"))
    return found
