"""Direct preference optimisation (arXiv 2305.18290) on the votes' own pairs, by how much the winner won.

Pairs are made within a group: an answer of the highest reward (the winning meaning) against one of a lower. The
margin, the difference of their advantages, weighs the loss (as ScPO, 2411.04109, weighs by the vote's margin) or is the
lead the winner has to reach (ODPO, 2402.10571). The reference is the round-start policy, which bounds the step.

TRL's `DPOTrainer` is not used here, but as the oracle of the tests: it knows no weight or offset of a pair, and it runs
the prompt, which dominates, twice for every pair and an answer again for every pair it is in.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tao.errors import InputError
from tao.prompts import Prompt
from tao.scoring.score import ScoredRound
from tao.training.offline import Figures, kl_from_start, per_answer
from tao.training.packing import Branch, Pair, Row, token_ids, too_long
from tao.training.tokens import prompt_ids

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Dpo:
    """The objective ``dpo``.

    Attributes:
        beta: Strength of the pull to the round-start policy.
        margin: What a pair's margin does: ``weight`` the loss, be the ``offset`` by which the beta-scaled log-ratios
            have to differ, or ``none``.
        per_prompt: Pairs a prompt gives at most.
        by_length: Whether an answer's log-ratio is divided by its length (TRL's ``sigmoid_norm``); wants a larger
            `beta`.
        imitate: Weight of the winner's own mean negative log-likelihood, added to the loss (ScPO's second term).
    """

    beta: float = 0.1
    margin: Literal["weight", "offset", "none"] = "weight"
    per_prompt: int = 4
    by_length: bool = False
    imitate: float = 0.0

    def __post_init__(self) -> None:
        if self.beta <= 0 or self.per_prompt < 1 or self.imitate < 0:
            raise InputError("beta and pairs are positive, imitate is not negative", "objective")
        if self.margin not in ("weight", "offset", "none"):
            raise InputError(f"unknown margin {self.margin!r}", "margin", "use weight, offset or none")

    def rows(
        self, scored: ScoredRound, tokenizer: Any, stop: Collection[int], max_row_tok: int
    ) -> tuple[list[Row], dict[str, int]]:
        """Pack every prompt's pairs into rows of at most `max_row_tok` tokens.

        Returns:
            Rows in pool order, and how many samples are in no pair, by reason (``unscored``, ``no_answer``,
            ``abstained`` and ``unpaired``: beyond `per_prompt`).

        Raises:
            InputError: A prompt with a single pair is longer than `max_row_tok`.
        """
        rows: list[Row] = []
        skipped: dict[str, int] = {}
        for prompt in scored.prompts:
            winners, losers = _sides(prompt, scored, tokenizer, stop, skipped)
            chosen = _pairs(winners, losers, self.per_prompt)
            used = {branch for pair in chosen for branch in pair}
            idle = sum(branch.count for branch in [*winners, *losers] if branch not in used)
            if idle:
                skipped["unpaired"] = skipped.get("unpaired", 0) + idle
            if chosen:
                rows += _pack(prompt.id, tuple(prompt_ids(tokenizer, prompt.messages)), chosen, max_row_tok)
        return rows, skipped

    def loss(self, logp_T: torch.Tensor, batch: Mapping[str, Any], constant_tok: float) -> tuple[torch.Tensor, Figures]:
        """Sum of the losses of the micro-batch's pairs."""
        import torch

        drift = logp_T - batch["reference_T"]
        ratio_A, logp_A = per_answer(drift, batch), per_answer(logp_T, batch)
        length_A = per_answer(torch.ones_like(logp_T), batch)
        if self.by_length:
            ratio_A = ratio_A / length_A
        winner, loser, margin = batch["winner_P"], batch["loser_P"], batch["margin_P"]
        lead = self.beta * (ratio_A[winner] - ratio_A[loser])
        if self.margin == "offset":
            loss_P = -torch.nn.functional.logsigmoid(lead - margin)
        else:
            loss_P = -torch.nn.functional.logsigmoid(lead)
        if self.imitate:
            loss_P = loss_P - self.imitate * logp_A[winner] / length_A[winner]
        if self.margin == "weight":
            loss_P = loss_P * margin
        weight = batch["weight_A"][batch["answer_T"]]
        figures = {
            "kl": ((kl_from_start(drift) * weight).sum().item(), weight.sum().item()),
            "pair_accuracy": ((lead > 0).float().sum().item(), float(len(lead))),
        }
        return loss_P.sum(), figures


def _sides(
    prompt: Prompt, scored: ScoredRound, tokenizer: Any, stop: Collection[int], skipped: dict[str, int]
) -> tuple[list[Branch], list[Branch]]:
    """Distinct answers of the highest reward and the others, the most frequent first (ties: first sampled)."""
    found: dict[tuple[int, ...], list[float]] = {}
    for sample, score in zip(scored.samples[prompt.id], scored.scores[prompt.id], strict=True):
        if score.advantage is None or sample.answer is None:
            why = "unscored" if score.reward is None else "no_answer" if sample.answer is None else "abstained"
            skipped[why] = skipped.get(why, 0) + 1
            continue
        ids = token_ids(sample, prompt, tokenizer, stop)
        found.setdefault(ids, []).append(score.advantage)
    branches = [Branch(ids, sum(a) / len(a), len(a)) for ids, a in found.items() if ids]
    branches.sort(key=lambda branch: -branch.count)
    best = max((branch.advantage for branch in branches), default=0.0)
    winners = [branch for branch in branches if math.isclose(branch.advantage, best)]
    return winners, [branch for branch in branches if branch not in winners]


def _pairs(winners: list[Branch], losers: list[Branch], most: int) -> list[tuple[Branch, Branch]]:
    """Up to `most` pairs that vary both sides: every loser once before a loser comes twice."""
    found = []
    for turn in range(len(winners)):
        for at, loser in enumerate(losers):
            winner = winners[(at + turn) % len(winners)]
            found.append((winner, loser))
    return found[:most]


def _pack(prompt_id: str, head: tuple[int, ...], chosen: list[tuple[Branch, Branch]], max_row_tok: int) -> list[Row]:
    """Rows of whole pairs; an answer stands once in a row, however many of its pairs the row holds."""
    rows: list[Row] = []
    branches: list[Branch] = []
    pairs: list[Pair] = []

    def length(added: list[Branch]) -> int:
        return len(head) + sum(len(branch.ids) - 1 for branch in added)

    for winner, loser in chosen:
        wanted = branches + [branch for branch in (winner, loser) if branch not in branches]
        if pairs and length(wanted) > max_row_tok:
            rows.append(Row(prompt_id, head, tuple(branches), tuple(pairs)))
            pairs, wanted = [], [winner, loser]
        if length(wanted) > max_row_tok:
            raise too_long(length(wanted), max_row_tok, prompt_id)
        branches = wanted
        pairs.append(Pair(branches.index(winner), branches.index(loser), winner.advantage - loser.advantage))
    rows.append(Row(prompt_id, head, tuple(branches), tuple(pairs)))
    return rows
