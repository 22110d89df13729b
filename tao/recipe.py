"""The recipe: everything that decides what a tuning run does, in one flat file that people write."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
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

from tao.endpoint import EndpointSpec, settled
from tao.errors import InputError
from tao.rounds import WATCHED
from tao.sampling.adaptive import Adaptive, apportion
from tao.sampling.passes import FROM_SUPPLIES, Exploring
from tao.sampling.protocol import Settings
from tao.sampling.strategies import at_temperature, parse
from tao.sampling.wording import WordingName
from tao.scoring.combine import Rewards, Source
from tao.scoring.evidence import Rule
from tao.scoring.signals import SignalSpec
from tao.training.clipped import Clipped
from tao.training.dpo import Dpo
from tao.training.drift import KlCap
from tao.training.grpo import Grpo
from tao.training.lora import Lora
from tao.training.objectives import ObjectiveName
from tao.training.offline import Objective
from tao.training.regression import Regression
from tao.training.settings import Optim, Processes


class AdaptiveFields(BaseModel):
    """``adaptive: {held: 0.5}``; see `tao.sampling.adaptive.Adaptive`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    held: float = 0.5
    """Share of the samples that a first pass leaves out, to be spent where its answers disagree."""
    floor: float = 0.0
    """Uncertainty (0: all agree, or nothing works; 1: no two alike) at or below which a prompt gets no more."""
    ceiling: float = 1.0
    """Uncertainty above which it gets no more either."""
    most: float = 1.0
    """Most that a prompt may get on top, as a multiple of `samples`."""


class LoraFields(BaseModel):
    """``lora: {r: 16, alpha: 32, target: all-linear}``; see `tao.training.lora.Lora`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    r: int = Field(default=16, ge=1)
    """Rank of the adapters."""
    alpha: float = Field(default=32.0, gt=0)
    """Their scale is alpha / r."""
    target: Literal["all-linear", "attention", "mlp"] = "all-linear"
    """The matrices of every layer that get one."""


class AccelerateFields(BaseModel):
    """``accelerate: {num_processes: 8, fsdp: true}``; see `tao.training.settings.Processes`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    num_processes: int = Field(ge=2)
    """Processes that train, one a GPU; a divisor of `batch_size`."""
    fsdp: bool = False
    """Whether they share weights, gradients and optimiser state (FSDP2); each holds all of them otherwise."""
    config: str = ""
    """An accelerate configuration to launch with, for what these fields do not say."""


class ScaleFields(BaseModel):
    """What a training stage needs on large models; nothing of it is needed by small ones."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lora: LoraFields | None = None
    """Train adapters instead of all weights (extra ``lora``), merged at the end of every round. Wants about ten times
    the learning rate of full fine-tuning."""
    accelerate: AccelerateFields | None = None
    """Train in several processes through ``accelerate launch``; None: in this one."""
    checkpointing: bool = False
    """Whether the layers run once more for the backward pass instead of keeping what they computed: less memory for a
    third more compute."""
    weights: Literal["fp32", "bf16"] = "fp32"
    """Type of the weights in training and in the checkpoint. ``bf16`` loses small updates; it is meant for `lora`."""
    micro_tok: int = Field(default=4096, gt=0)
    """Padded tokens a forward pass and process, at most (a single longer row is one of its own)."""
    logits_chunk: int = Field(default=0, ge=0)
    """Answer tokens whose logits exist at a time; 0: those of a whole forward pass. The objectives' own, not SFT's
    (TRL's fused head never holds them)."""

    def scale(self) -> dict[str, Any]:
        """These settings as arguments of `tao.training.settings.Optim`."""
        spread = self.accelerate
        return {
            "lora": Lora(self.lora.r, self.lora.alpha, self.lora.target) if self.lora else None,
            "checkpointing": self.checkpointing,
            "weights": self.weights,
            "micro_tok": self.micro_tok,
            "logits_chunk": self.logits_chunk,
            "processes": Processes(spread.num_processes, spread.fsdp, spread.config) if spread else None,
        }

    def check_scale(self, batch_size: int) -> None:
        """Refuse what cannot go together.

        Raises:
            ValueError: The processes cannot share a step's rows evenly.
        """
        if self.accelerate and batch_size % self.accelerate.num_processes:
            raise ValueError(
                f"batch_size: {batch_size} rows cannot be shared evenly by {self.accelerate.num_processes} processes"
            )


LATER = frozenset(
    "sampler vllm endpoint source signals scale_rewards margin pairs by_length imitate "
    "kl_base_cap kl_base_steps watch_last thin_evidence wording ladder adaptive reworder".split()
) | frozenset(ScaleFields.model_fields)
"""Fields that came after the first published runs: named in a record only where they are not the default."""


class Recipe(ScaleFields):
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
    """Share of the samples by strategy (any positive numbers), e.g. ``{direct: 2, reorder: 1}``: direct, plan,
    chain_of_thought, reorder, reword, and in a second pass few_shot and repair, which live on the first pass's answers.
    ``plan@0.7`` samples at a temperature of its own."""
    temperature: float = Field(default=1.0, gt=0)
    ladder: tuple[float, ...] = ()
    """Temperatures that the samples of every strategy are spread over, instead of `temperature`, e.g. [0.7, 1.0, 1.3].
    Each reads the prompt anew and counts as a view of its own."""
    wording: WordingName = "terse"
    """What strategies say to the model: ``terse`` is what the small reference model was pretrained on; for a general
    chat model write ``sql``, ``document`` or ``plain`` (any other answer)."""
    adaptive: AdaptiveFields | None = None
    """Hold a part of the samples back and spend it on prompts whose first answers disagree; never more in all than
    `samples` times the prompts."""
    reworder: EndpointSpec | None = None
    """The server that rewords questions for the strategy `reword`; the model itself if None."""
    max_prompt_tok: int = Field(default=512, gt=0)
    """Longest prompt in tokens, in every view; a longer one is an error."""
    max_new_tok: int = Field(default=96, gt=0)
    """Longest completion in tokens; longer ones count as truncated."""
    sampler: Literal["transformers", "vllm", "endpoint"] = "transformers"
    """What generates: ``transformers`` (exact to the byte), ``vllm`` (its offline engine, rebuilt every round), or
    ``endpoint``: a server's samples, which are not this model's unless it serves the very checkpoint."""
    vllm: Mapping[str, Any] = Field(default_factory=dict)
    """Keyword arguments of `vllm.LLM`, e.g. ``{tensor_parallel_size: 4}``."""
    endpoint: EndpointSpec | None = None
    """The server of ``sampler: endpoint``."""

    source: Source = "consensus"
    """Where rewards come from; all but ``consensus`` leave the vote aside: the controls ``execution``, ``format`` and
    ``random``, and ``self_certainty`` (arXiv 2505.19590), measured while sampling with ``sampler: transformers``."""
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

    objective: ObjectiveName = "clipped"
    """``rft`` imitates the winners; the others keep negatives and bound the step (see `tao.training.objectives`)."""
    learning_rate: float = Field(default=2e-4, gt=0)
    epochs: int = Field(default=1, ge=1)
    batch_size: int = Field(default=32, ge=1)
    """Prompts an optimiser step (``rft``: examples)."""
    warmup: int = Field(default=0, ge=0)
    clip_low: float = Field(default=0.2, gt=0, lt=1)
    clip_high: float = Field(default=0.28, gt=0)
    beta: float = Field(default=0.5, gt=0)
    """Pull to the round-start policy (``regression``, ``dpo``)."""
    kl: float = Field(default=0.0, ge=0)
    """Weight of the KL to the round-start policy (``clipped``, ``grpo``)."""
    scale_rewards: Literal["none", "batch", "group"] = "none"
    """What advantages are divided by (``grpo``): nothing, the standard deviation of the round, or of their group."""
    margin: Literal["weight", "offset", "none"] = "weight"
    """What a pair's margin does (``dpo``): weigh its loss, be the lead the winner has to reach, or nothing."""
    pairs: int = Field(default=4, ge=1)
    """Pairs per prompt (``dpo``)."""
    by_length: bool = False
    """Whether log-ratios are divided by the answer's length (``dpo``); wants a larger `beta`."""
    imitate: float = Field(default=0.0, ge=0)
    """Weight of the winner's own likelihood in a pair's loss (``dpo``)."""
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
    kl_base_cap: float | None = Field(default=None, gt=0)
    """Nats per answer token. Where KL(policy || the run's first model), over the round's own samples, exceeds it, the
    round stops training and the run ends with it."""
    kl_base_steps: int = Field(default=4, ge=1)
    """Optimiser steps between two measurements of that KL."""

    watch: bool = True
    """Whether an alarm stops the run and the round before is kept. A round's alarms speak of the model of the round
    before it; the last round's model goes unwatched without `watch_last`."""
    watch_last: bool = False
    """Whether the model that the last round trained answers up to 200 of the first round's prompts, charged to the
    ledger; if an alarm goes off, the model before it is kept."""

    thin_evidence: Rule = "refuse"
    """What to do where hardly any answer works or hardly any vote is trusted (`tao.scoring.evidence`): end the round
    untrained (``refuse``), train and say so (``warn``), or not look (``ignore``)."""

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        try:
            self._check_exploring()
        except InputError as error:
            raise ValueError(f"{error.where}: {error.what}; {error.fix}".removesuffix("; ")) from None
        if self.restart and self.objective != "rft":
            raise ValueError("restart: goes with the objective rft; the others step from the model that sampled")
        if self.objective == "grpo" and self.scale_rewards == "group" and self.confidence:
            raise ValueError(
                "scale_rewards: dividing by the group's standard deviation cancels the weights that 'confidence' gives "
                "to prompts; write confidence: false, or scale by none or batch"
            )
        if (self.endpoint is not None) != (self.sampler == "endpoint"):
            raise ValueError("endpoint: goes with `sampler: endpoint`, which needs its `{url: ..., model: ...}`")
        if self.watch_last and not self.watch:
            raise ValueError("watch_last: goes with `watch: true`")
        if self.watch_last and self.sampler == "endpoint":
            raise ValueError("watch_last: an endpoint's samples are not this model's, so they are no yardstick for it")
        if self.source == "self_certainty" and self.sampler != "transformers":
            raise ValueError(
                f"source: self_certainty needs the probabilities of the whole vocabulary, which the sampler "
                f"{self.sampler} does not give: use `sampler: transformers`"
            )
        if self.vllm and self.sampler != "vllm":
            raise ValueError("vllm: goes with `sampler: vllm`")
        if self.sampler == "endpoint" and self.rounds > 1 and self.objective != "rft":
            raise ValueError(
                f"sampler: an endpoint goes on serving one model, and {self.objective} needs samples of the model it "
                "trains: use `rounds: 1`, or `objective: rft`"
            )
        self.check_scale(self.batch_size)
        if self.kl_base_cap is not None and self.accelerate and self.accelerate.fsdp:
            raise ValueError(
                "kl_base_cap: every process holds the first model whole, which `accelerate: {fsdp: true}` is there "
                "to avoid; bound the step by `kl` or `beta`"
            )
        self.rewards()
        return self

    def _check_exploring(self) -> None:
        named = {key: parse(key) for key in self.mix}
        if not self.mix or any(share <= 0 for share in self.mix.values()):
            raise ValueError("mix: needs at least one strategy, and positive shares")
        if not any(strategy.name not in FROM_SUPPLIES for strategy, _ in named.values()):
            raise ValueError(f"mix: {', '.join(self.mix)} do not apply to every prompt: add direct")
        if self.ladder:
            own = [key for key, (_, temperature) in named.items() if temperature is not None]
            if own:
                raise ValueError(f"ladder: {own[0]!r} in the mix has a temperature of its own")
            if len({f"{rung:g}" for rung in self.ladder}) < len(self.ladder) or min(self.ladder) <= 0:
                raise ValueError("ladder: needs different positive temperatures")
        views = len(self.mix) * max(1, len(self.ladder))
        if views > self.samples:
            rungs = f" at {len(self.ladder)} temperatures" if self.ladder else ""
            raise ValueError(f"mix: {len(self.mix)} strategies{rungs} need at least as many samples")
        if self.reworder is not None and not any(strategy.name == "reword" for strategy, _ in named.values()):
            raise ValueError("reworder: goes with the strategy reword in the mix")
        exploring = self.exploring()
        if exploring.adaptive is not None and sum(exploring.first().values()) >= self.samples:
            raise ValueError(f"adaptive: of {self.samples} samples the first pass takes all; hold more, or sample more")

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leaves later fields out where they are the default: records of runs from before them stay valid."""
        fields: dict[str, Any] = handler(self)
        known = type(self).model_fields
        return {
            name: value
            for name, value in fields.items()
            if name not in LATER or getattr(self, name) != known[name].get_default(call_default_factory=True)
        }

    def record(self) -> dict[str, Any]:
        """What makes a run this run. More rounds of it are no other run: they go on where it ended.

        Neither do addresses, keys, prices and patience of endpoints (`tao.endpoint.MANNER`).
        """
        record: dict[str, Any] = settled(self.model_dump(mode="json", exclude={"rounds"}))
        return record

    def shares(self) -> dict[str, float]:
        """Shares of the samples by strategy and rung of the ladder."""
        if not self.ladder:
            return dict(self.mix)
        return {at_temperature(key, rung): share for key, share in self.mix.items() for rung in self.ladder}

    def counts(self) -> dict[str, int]:
        """Samples per prompt by strategy: the mix's shares of `samples`, every strategy at least 1.

        Largest remainders; ties go to the strategy named first.
        """
        return apportion(self.samples, self.shares(), 1)

    def exploring(self) -> Exploring:
        """How a round is explored."""
        adaptive = Adaptive(**self.adaptive.model_dump()) if self.adaptive else None
        return Exploring(self.shares(), self.samples, self.wording, adaptive, self.mentions)

    def prompts_of(self, number: int, pool: int) -> list[int]:
        """Positions in the pool that a round explores; a walk that reaches the end goes on at the start.

        Args:
            number: The round, from 0.
            pool: Prompts of the pool.
        """
        size = min(self.prompts_per_round or pool, pool)
        return sorted((number * size + at) % pool for at in range(size))

    def watch_share(self, pool: int) -> float:
        """Exploring that the watch of the last model takes, as a share of one round's; 0 without it."""
        each = min(self.prompts_per_round or pool, pool)
        return min(WATCHED, each) / each if self.watch_last else 0.0

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

    def sampling(self) -> Settings:
        """The exploring stage's settings."""
        certainty = self.source == "self_certainty"
        return Settings(self.max_prompt_tok, self.max_new_tok, self.temperature, certainty=certainty)

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
            **self.scale(),
        )

    def cap(self, base: Path) -> KlCap | None:
        """The cap on the drift from the run's first model, if there is one."""
        return KlCap(base, self.kl_base_cap, self.kl_base_steps) if self.kl_base_cap is not None else None

    def loss(self) -> Objective | None:
        """The objective over scored samples; None for ``rft``."""
        made: dict[str, Objective] = {
            "clipped": Clipped(self.clip_low, self.clip_high, self.kl),
            "regression": Regression(self.beta),
            "grpo": Grpo(self.clip_low, self.clip_high, self.kl, self.scale_rewards),
            "dpo": Dpo(self.beta, self.margin, self.pairs, self.by_length, self.imitate),
        }
        return made.get(self.objective)


def _close(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""


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
                inner = {
                    "endpoint": EndpointSpec.model_fields,
                    "reworder": EndpointSpec.model_fields,
                    "lora": LoraFields.model_fields,
                    "adaptive": AdaptiveFields.model_fields,
                    "accelerate": AccelerateFields.model_fields,
                }
                head = name.partition(".")[0] if "." in name else ""
                known = [f"{head}.{field}" for field in inner.get(head, {})] or list(Recipe.model_fields)
                faults.append(f"unknown field {name!r}{_close(name, known)}")
            elif fault["type"] == "literal_error" and isinstance(fault["input"], str):
                allowed = re.findall(r"'([^']+)'", fault["ctx"]["expected"])
                faults.append(
                    f"{name}: {fault['input']!r} is none of {', '.join(allowed)}{_close(fault['input'], allowed)}"
                )
            else:
                message = fault["msg"].removeprefix("Value error, ")
                faults.append(f"{name}: {message}" if name else message)
        # Those of the base class stand first in pydantic's list; what people ask for most comes first here.
        names = sorted(Recipe.model_fields, key=lambda name: name in ScaleFields.model_fields)
        raise InputError("; ".join(faults), where, f"fields: {', '.join(names)}") from error


def read_yaml(path: Path) -> Any:
    """What a YAML file holds.

    Raises:
        InputError: Missing, or not YAML.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", str(path)) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"not YAML ({' '.join(str(error).split())})", str(path)) from error


def read_recipe(path: Path) -> Recipe:
    """Read a recipe from YAML.

    Raises:
        InputError: Missing, not YAML, or not a recipe.
    """
    raw = read_yaml(path)
    if raw is None:
        raw = {}
    if not isinstance(raw, dict):
        raise InputError("a recipe is a mapping of fields", str(path), "write lines such as 'rounds: 3'")
    return make_recipe(raw, str(path))
