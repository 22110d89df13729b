"""The recipe: everything that decides what a tuning run does, in one flat file that people write."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from tao.errors import InputError
from tao.scoring.combine import Rewards, Source
from tao.scoring.signals import SignalSpec
from tao.training.settings import Objective, Optim

LOOP_STRATEGIES = ("direct", "plan", "reorder")
"""Strategies that need nothing but the prompt. The others need exemplars or failures from a caller."""


class Recipe(BaseModel):
    """How to tune. Defaults are for a model of a few million parameters; see each field."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rounds: int = Field(default=3, ge=1)
    """Rounds of explore, score, train."""
    samples: int = Field(default=8, ge=2)
    """Samples per prompt and round, over all strategies: the dial of the budget."""
    prompts_per_round: int | None = Field(default=None, gt=0)
    """Prompts a round explores, walking through the pool round after round; None: all of them every round. Few prompts
    and many rounds keep the samples close to the model they train (semi-online, arXiv 2506.21495)."""
    mix: Mapping[str, float] = {"direct": 1.0}
    """Share of the samples by strategy (any positive numbers), e.g. ``{direct: 2, reorder: 1}``."""
    temperature: float = Field(default=1.0, gt=0)
    max_prompt_tok: int = Field(default=512, gt=0)
    """Longest prompt in tokens, in every view; a longer one is an error."""
    max_new_tok: int = Field(default=96, gt=0)
    """Longest completion in tokens; longer ones count as truncated."""

    source: Source = "consensus"
    """Where rewards come from; ``execution``, ``format`` and ``random`` are controls that leave the vote aside."""
    signals: tuple[SignalSpec, ...] = ()
    """Further label-free signals beside the vote, e.g. ``[{signal: rules.py:short, weight: 0.2, veto: 0.1}]``."""
    consensus_floor: float = Field(default=0.4, ge=0, le=1)
    """Winner's share of the valid votes below which a prompt abstains."""
    min_votes: int = Field(default=2, ge=1)
    """Samples the winner needs."""
    support: float = Field(default=0.0, ge=0, le=1)
    """Winner's share of all samples, failed ones included, below which a prompt abstains."""
    mentions: bool = True
    """Whether an answer that leaves out a number or name of the question loses its vote."""
    invalid: float = 0.0
    """Reward of an answer that does not work."""
    runs: float = 0.1
    """Reward of an answer that works, before its share counts."""
    graded: float = 0.4
    """What a minority answer adds to `runs`, times its cluster's share."""
    by_view: bool = True
    """Whether every strategy has equal weight in the vote."""
    confidence: bool = True
    """Whether prompts with a surer vote weigh more."""

    objective: Literal["clipped", "regression", "rft"] = "clipped"
    """``clipped`` and ``regression`` keep negatives and bound the step; ``rft`` imitates the winners."""
    learning_rate: float = Field(default=2e-4, gt=0)
    epochs: int = Field(default=1, ge=1)
    batch_size: int = Field(default=32, ge=1)
    """Prompts an optimiser step (``rft``: examples)."""
    warmup: int = Field(default=0, ge=0)
    clip_low: float = Field(default=0.2, gt=0, lt=1)
    clip_high: float = Field(default=0.28, gt=0)
    beta: float = Field(default=0.5, gt=0)
    """Pull to the round-start policy (``regression``)."""
    kl: float = Field(default=0.0, ge=0)
    """Weight of the KL to the round-start policy (``clipped``)."""
    per_prompt: int = Field(default=1, ge=1)
    """Different winners per prompt (``rft``)."""
    restart: bool = False
    """Whether every round trains the run's first model anew, on the winners of all rounds so far (``rft``)."""
    decay: Literal["constant", "linear"] = "constant"
    """Learning rate after the warm-up: constant, or linear to zero within each round."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    max_row_tok: int = Field(default=640, gt=0)
    """Longest training row in tokens."""
    precision: Literal["bf16", "fp32"] = "bf16"

    watch: bool = True
    """Whether an alarm stops the run and the round before is kept."""

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        unknown = [name for name in self.mix if name not in LOOP_STRATEGIES]
        if unknown:
            raise ValueError(f"mix: {unknown[0]!r} is none of {', '.join(LOOP_STRATEGIES)}")
        if not self.mix or any(share <= 0 for share in self.mix.values()):
            raise ValueError("mix: needs at least one strategy, and positive shares")
        if len(self.mix) > self.samples:
            raise ValueError(f"mix: {len(self.mix)} strategies need at least as many samples")
        if self.restart and self.objective != "rft":
            raise ValueError("restart: goes with the objective rft; the others step from the model that sampled")
        self.rewards()
        return self

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leaves later fields out where they are the default: records of runs from before them stay valid."""
        fields: dict[str, Any] = handler(self)
        unset: dict[str, Any] = {"source": "consensus", "signals": ()}
        return {
            name: value for name, value in fields.items() if name not in unset or tuple(value) != tuple(unset[name])
        }

    def counts(self) -> dict[str, int]:
        """Samples per prompt by strategy: the mix's shares of `samples`, every strategy at least 1.

        Largest remainders; ties go to the strategy named first.
        """
        total = sum(self.mix.values())
        exact = {name: self.samples * share / total for name, share in self.mix.items()}
        counts = {name: max(1, int(value)) for name, value in exact.items()}
        while sum(counts.values()) < self.samples:
            counts[max(exact, key=lambda name: exact[name] - counts[name])] += 1
        while sum(counts.values()) > self.samples:
            counts[max((n for n in counts if counts[n] > 1), key=lambda name: counts[name] - exact[name])] -= 1
        return counts

    def prompts_of(self, number: int, pool: int) -> list[int]:
        """Positions in the pool that a round explores; a walk that reaches the end goes on at the start.

        Args:
            number: The round, from 0.
            pool: Prompts of the pool.
        """
        size = min(self.prompts_per_round or pool, pool)
        return sorted((number * size + at) % pool for at in range(size))

    def rewards(self) -> Rewards:
        """The scoring stage's settings."""
        return Rewards(
            consensus_floor=self.consensus_floor,
            min_votes=self.min_votes,
            support=self.support,
            mentions=self.mentions,
            invalid=self.invalid,
            runs=self.runs,
            graded=self.graded,
            by_view=self.by_view,
            confidence=self.confidence,
            source=self.source,
        )

    def optim(self) -> Optim:
        """The training stage's optimiser settings."""
        return Optim(
            learning_rate=self.learning_rate,
            epochs=self.epochs,
            batch_size=self.batch_size,
            warmup=self.warmup,
            decay=self.decay,
            max_grad_norm=self.max_grad_norm,
            max_row_tok=self.max_row_tok,
            precision=self.precision,
        )

    def loss(self) -> Objective | None:
        """The policy-gradient objective; None for ``rft``."""
        if self.objective == "rft":
            return None
        return Objective(self.objective, self.clip_low, self.clip_high, self.beta, self.kl)


def make_recipe(fields: Mapping[str, Any], where: str = "recipe") -> Recipe:
    """Validate a recipe's fields.

    Raises:
        InputError: An unknown field (with the closest known one), or a value out of range.
    """
    try:
        return Recipe.model_validate(dict(fields))
    except ValidationError as error:
        faults = []
        for fault in error.errors():
            name = ".".join(str(part) for part in fault["loc"])
            if fault["type"] == "extra_forbidden":
                close = difflib.get_close_matches(name, list(Recipe.model_fields), n=1, cutoff=0.5)
                faults.append(f"unknown field {name!r}" + (f" (did you mean {close[0]!r}?)" if close else ""))
            else:
                message = fault["msg"].removeprefix("Value error, ")
                faults.append(f"{name}: {message}" if name else message)
        raise InputError("; ".join(faults), where, f"fields: {', '.join(Recipe.model_fields)}") from error


def read_recipe(path: Path) -> Recipe:
    """Read a recipe from YAML.

    Raises:
        InputError: Missing, not YAML, or not a recipe.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", str(path)) from error
    except yaml.YAMLError as error:
        raise InputError(f"not YAML ({' '.join(str(error).split())})", str(path)) from error
    if raw is None:
        raw = {}
    if not isinstance(raw, dict):
        raise InputError("a recipe is a mapping of fields", str(path), "write lines such as 'rounds: 3'")
    return make_recipe(raw, str(path))
