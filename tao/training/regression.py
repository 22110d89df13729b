"""Regression of the advantage: (beta * log-ratio of the whole answer - advantage)^2.

As A*-PO (arXiv 2505.20686) and OAPL (2602.19362), with the group's mean in place of the log-mean-exp value (they agree
as its beta grows). REBEL (2404.16767) regresses differences of pairs instead: the same targets, up to a constant a
prompt.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tao.errors import InputError
from tao.scoring.score import ScoredRound
from tao.training.offline import Figures, kl_from_start, per_answer
from tao.training.packing import Row, build_rows

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Regression:
    """The objective ``regression``.

    Attributes:
        beta: Strength of the pull to the round-start policy: the target log-ratio of an answer is advantage / beta
            nats.
    """

    beta: float = 0.5

    def __post_init__(self) -> None:
        if self.beta <= 0:
            raise InputError("must be positive", "beta", "use 0.5")

    def rows(
        self, scored: ScoredRound, tokenizer: Any, stop: Collection[int], max_row_tok: int
    ) -> tuple[list[Row], dict[str, int]]:
        """See `tao.training.packing.build_rows`."""
        return build_rows(scored, tokenizer, stop, max_row_tok)

    def loss(self, logp_T: torch.Tensor, batch: Mapping[str, Any], constant_tok: float) -> tuple[torch.Tensor, Figures]:
        """Sum over the micro-batch's samples of (beta * log-ratio - advantage)^2."""
        drift = logp_T - batch["reference_T"]
        loss_A = (self.beta * per_answer(drift, batch) - batch["advantage_A"]) ** 2
        weight = batch["weight_A"][batch["answer_T"]]
        tokens = weight.sum().item()
        figures = {"kl": ((kl_from_start(drift) * weight).sum().item(), tokens), "clip_fraction": (0.0, tokens)}
        return (loss_A * batch["weight_A"]).sum(), figures
