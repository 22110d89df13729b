"""GRPO (arXiv 2402.03300) on a frozen round: every answer counts once, whatever its length.

The rollouts are the round's samples; their old log-probabilities are those of the round-start policy on the deployment
prompt, computed once before the first step, so that the ratio stays a ratio to the policy that sampled, however many
steps and epochs follow. `tao.training.grpo_online` is the version that samples anew for every step.
"""

from __future__ import annotations

import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from tao.errors import InputError
from tao.scoring.combine import Score
from tao.scoring.score import ScoredRound
from tao.training.clipped import check_clips, token_loss
from tao.training.offline import Figures, per_answer
from tao.training.packing import Row, build_rows

if TYPE_CHECKING:
    import torch

EPSILON = 1e-4
"""Added to the standard deviation, as TRL does."""


@dataclass(frozen=True, slots=True)
class Grpo:
    """The objective ``grpo``.

    Attributes:
        clip_low: As for ``clipped``.
        clip_high: As for ``clipped``.
        kl: As for ``clipped``.
        scale: What advantages are divided by: the standard deviation of the ``group`` (the paper's; it cancels every
            weight of a prompt, see `tao.scoring.combine`), of the whole round (``batch``), or nothing (``none``).
    """

    clip_low: float = 0.2
    clip_high: float = 0.28
    kl: float = 0.0
    scale: Literal["none", "batch", "group"] = "none"

    def __post_init__(self) -> None:
        check_clips(self.clip_low, self.clip_high, self.kl)
        if self.scale not in ("none", "batch", "group"):
            raise InputError(f"unknown scale {self.scale!r}", "scale_rewards", "use none, batch or group")

    def rows(
        self, scored: ScoredRound, tokenizer: Any, stop: Collection[int], max_row_tok: int
    ) -> tuple[list[Row], dict[str, int]]:
        """As `tao.training.packing.build_rows`, with scaled advantages."""
        scaled = replace(scored, scores=scaled_scores(scored.scores, self.scale))
        return build_rows(scaled, tokenizer, stop, max_row_tok)

    def loss(self, logp_T: torch.Tensor, batch: Mapping[str, Any], constant_tok: float) -> tuple[torch.Tensor, Figures]:
        """Sum over the micro-batch's samples of the mean of their token losses."""
        import torch

        loss_T, figures = token_loss(logp_T, batch, self.clip_low, self.clip_high, self.kl)
        length_A = per_answer(torch.ones_like(loss_T), batch)
        return (per_answer(loss_T, batch) / length_A * batch["weight_A"]).sum(), figures


def scaled_scores(scores: Mapping[str, Sequence[Score]], scale: str) -> dict[str, list[Score]]:
    """Scores with advantages divided by a standard deviation (of n - 1 degrees of freedom, as TRL's)."""
    if scale == "none":
        return {name: list(group) for name, group in scores.items()}
    everything = [s.advantage for group in scores.values() for s in group if s.advantage is not None]
    scaled = {}
    for name, group in scores.items():
        values = everything if scale == "batch" else [s.advantage for s in group if s.advantage is not None]
        spread = (statistics.stdev(values) if len(values) > 1 else 0.0) + EPSILON
        scaled[name] = [s if s.advantage is None else replace(s, advantage=s.advantage / spread) for s in group]
    return scaled
