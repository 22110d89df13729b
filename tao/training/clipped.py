"""PPO's clipped ratio (arXiv 1707.06347) with GRPO's group baseline and Dr. GRPO's constant length normalisation.

Token by token against the round-start policy; advantages as `tao.scoring.combine` made them (2402.03300, 2503.20783).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tao.errors import InputError
from tao.scoring.score import ScoredRound
from tao.training.offline import Figures, kl_from_start
from tao.training.packing import Row, build_rows

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Clipped:
    """The objective ``clipped``.

    Attributes:
        clip_low: Ratio may fall to 1 - clip_low before a sample stops pushing.
        clip_high: Ratio may rise to 1 + clip_high; higher than `clip_low` keeps rare answers alive (DAPO's
            clip-higher).
        kl: Weight of the k3 estimate of KL from the round-start policy, added per token.
    """

    clip_low: float = 0.2
    clip_high: float = 0.28
    kl: float = 0.0

    def __post_init__(self) -> None:
        check_clips(self.clip_low, self.clip_high, self.kl)

    def rows(
        self, scored: ScoredRound, tokenizer: Any, stop: Collection[int], max_row_tok: int
    ) -> tuple[list[Row], dict[str, int]]:
        """See `tao.training.packing.build_rows`."""
        return build_rows(scored, tokenizer, stop, max_row_tok)

    def loss(self, logp_T: torch.Tensor, batch: Mapping[str, Any], constant_tok: float) -> tuple[torch.Tensor, Figures]:
        """Sum over the micro-batch's samples of their token losses, divided by a constant length."""
        weight = batch["weight_A"][batch["answer_T"]]
        loss_T, figures = token_loss(logp_T, batch, self.clip_low, self.clip_high, self.kl)
        return (loss_T * weight).sum() / constant_tok, figures


def check_clips(clip_low: float, clip_high: float, kl: float) -> None:
    """Refuse bounds that bound nothing.

    Raises:
        InputError: One is out of range.
    """
    if not 0 < clip_low < 1 or clip_high <= 0 or kl < 0:
        raise InputError("clip_low is in (0, 1), clip_high is positive, kl is not negative", "objective")


def token_loss(
    logp_T: torch.Tensor, batch: Mapping[str, Any], clip_low: float, clip_high: float, kl: float
) -> tuple[torch.Tensor, Figures]:
    """The clipped loss of every answer token, shape (T,), and what the logged figures are made of."""
    import torch

    advantage, weight = batch["advantage_A"][batch["answer_T"]], batch["weight_A"][batch["answer_T"]]
    drift = logp_T - batch["reference_T"]
    ratio = drift.exp()
    bounded = ratio.clamp(1 - clip_low, 1 + clip_high)
    loss_T = -torch.minimum(ratio * advantage, bounded * advantage)
    kl_T = kl_from_start(drift)
    if kl:
        loss_T = loss_T + kl * kl_T
    clipped = (ratio * advantage > bounded * advantage).float()
    tokens = weight.sum().item()
    figures = {
        "kl": ((kl_T * weight).sum().item(), tokens),
        "clip_fraction": ((clipped * weight).sum().item(), tokens),
    }
    return loss_T, figures
