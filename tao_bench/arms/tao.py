"""TAO: explore, score without labels, train toward what agreed, round after round (`tao.loop.tune`).

The budget is the one dial: the pool is fixed along a curve, and a budget buys samples per prompt and rounds. With
`prompts_per_round` a round takes the next part of the pool, so that more rounds also reach more of its prompts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, field_validator, model_validator

from tao.errors import InputError
from tao.meaning import Interpreter
from tao.prompts import Prompt
from tao.recipe import Recipe, make_recipe
from tao.scoring.signals import SignalSpec, Weighed, no_reward_model
from tao_bench.arms.contract import Arm, ArmOptions, Progress, Workplace
from tao_bench.task import Limits

if TYPE_CHECKING:
    from tao.rounds import TuneResult

LONGER_VIEW_TOK = 16
"""Room for what a view adds to the deployment prompt (the request for a plan, say)."""
OWN = "task"
"""In a recipe's `signals`: those that the task itself names (`signals` in its `task.yaml`)."""
OWN_WEIGHT = 0.5
"""Of ``signals: task``, all of them together, where the vote has 1. Below 0.7 they order the answers that lost and
temper the winner, but cannot lift a loser above the winner of a vote that is trusted (`tao.scoring.combine`: a loser
earns at most 0.3 against 1). Tuning cannot know how good a signal is, so it may not overrule a clear vote."""
WORDED_VIEW_TOK = 128
"""The same where the request is in plain words."""
STAGE_WEIGHTS = {"explore": (0.0, 0.6), "score": (0.6, 0.7), "train": (0.7, 1.0), "watch": (1.0, 1.0)}
"""Usual parts of a round's seconds, for the time left."""


class TaoOptions(ArmOptions):
    """The budget, and the recipe it is spent by."""

    GRID = ("samples", "rounds")
    DEFAULTS: ClassVar[Mapping[str, Any]] = {}
    """Fields of the recipe that differ from its own defaults unless `recipe` gives them."""

    samples: int = Field(default=8, ge=2)
    """Samples per prompt and round, over all strategies."""
    rounds: int = Field(default=3, ge=1)
    prompts: int | None = Field(default=None, gt=0)
    """Use only the first prompts of the pool; the same for every budget of a curve."""
    budget_flop: float | None = Field(default=None, gt=0)
    """Model FLOPs of tuning not to exceed: a round that would is not begun."""
    leave_out: tuple[str, ...] = ()
    """Handles of the prompts that tuning does without, e.g. ``[database_2]``: what does the second instance add?"""
    recipe: Mapping[str, Any] = Field(default_factory=dict)
    """Fields of `tao.recipe.Recipe` that differ from its defaults. ``signals: task`` uses the signals that the task
    names, ``[{signal: task, weight: 0.3, veto: 0.1}]`` weighs them otherwise; without it they take no part."""

    @model_validator(mode="after")
    def _valid_recipe(self) -> TaoOptions:
        twice = sorted({"samples", "rounds"} & set(self.recipe))
        if twice:
            raise ValueError(f"recipe: {twice[0]!r} is an option of the arm, not of its recipe")
        recipe = self.made(Limits(max_prompt_tok=512, max_new_tok=96))
        own = self.own()
        if own is not None and own.veto is None and (recipe.objective == "rft" or not own.weight):
            raise ValueError(
                "recipe: signals: the objective rft trains on what won the vote, whatever else an answer earned; "
                "give them a veto, or name another objective"
                if own.weight
                else "recipe: signals: without weight or veto they change nothing"
            )
        return self

    @field_validator("leave_out", mode="before")
    @classmethod
    def _one_name(cls, named: object) -> object:
        return [named] if isinstance(named, str) else named

    def check_here(self) -> None:
        """Refuse a reward model that is not there."""
        for signal in self.made(Limits(max_prompt_tok=512, max_new_tok=96)).signals:
            if signal.model and not Path(signal.model).is_dir():
                raise no_reward_model(Path(signal.model))

    def check_pool(self, pool: Callable[[], Sequence[Prompt]]) -> None:
        """Refuse handles to leave out that no prompt has."""
        if self.leave_out:
            without_handles(pool(), self.leave_out)

    def own(self) -> SignalSpec | None:
        """How the task's own signals take part; None where they do not."""
        named = self.recipe.get("signals", ())
        if named == OWN:
            return SignalSpec(signal=OWN, weight=OWN_WEIGHT)
        mine = [one for one in named if isinstance(one, Mapping) and one.get("signal") == OWN]
        return SignalSpec.model_validate(mine[0]) if mine else None

    def _named(self) -> dict[str, Any]:
        """The recipe's fields without the task's own signals, which no recipe can name."""
        named = self.recipe.get("signals", ())
        if self.own() is None:
            return dict(self.recipe)
        others = [] if named == OWN else [one for one in named if one.get("signal") != OWN]
        return {key: value for key, value in self.recipe.items() if key != "signals"} | (
            {"signals": others} if others else {}
        )

    def made(self, limits: Limits) -> Recipe:
        """The full recipe under a task's generation limits.

        Raises:
            InputError: A field is unknown or out of range.
        """
        fields = {
            "max_prompt_tok": limits.max_prompt_tok + self._room(limits),
            "max_new_tok": limits.max_new_tok,
            **self.DEFAULTS,
            **self._named(),
            "samples": self.samples,
            "rounds": self.rounds,
        }
        return make_recipe(fields)

    def _room(self, limits: Limits) -> int:
        """Tokens that views may have beyond the deployment prompt; what is longer is done without in tuning."""
        names = {str(key).partition("@")[0] for key in self.recipe.get("mix", {})}
        terse = self.recipe.get("wording", "terse") == "terse" and "chain_of_thought" not in names
        room = LONGER_VIEW_TOK if terse else WORDED_VIEW_TOK
        if "repair" in names:
            room += limits.max_new_tok + LONGER_VIEW_TOK
        # One whole prompt with its answer, or a few questions about the same context.
        return max(room, limits.max_prompt_tok + limits.max_new_tok) if "few_shot" in names else room

    def slug(self) -> str:
        """E.g. ``n8-r3``."""
        return f"n{self.samples}-r{self.rounds}"

    def title(self) -> str:
        """E.g. ``TAO n=8 x3``."""
        return f"TAO n={self.samples} x{self.rounds}"

    def budget(self) -> dict[str, int] | None:
        """Samples per prompt and rounds."""
        return {"samples_per_prompt": self.samples, "rounds": self.rounds}


def over_rounds(report: Progress, rounds: int, folder: Path) -> Progress:
    """Progress of one stage after another as progress of the whole run.

    Args:
        report: The caller's, told thousandths of the whole.
        rounds: Rounds of the run.
        folder: The run's folder; rounds finished by an earlier process are not reported again.
    """
    number, last = len(list(folder.glob("round-*/round.json"))), "explore"

    def tell(stage: str, done: int, everything: int) -> None:
        nonlocal number, last
        if stage == "explore" and last != "explore":
            number += 1
        last = stage
        start, end = STAGE_WEIGHTS.get(stage, (0.0, 0.0))
        share = (min(number, rounds - 1) + start + (end - start) * done / max(1, everything)) / rounds
        report(f"round {min(number, rounds - 1) + 1}/{rounds} {stage}", round(1000 * share), 1000)

    return tell


def without_handles(prompts: Sequence[Prompt], names: Sequence[str]) -> Sequence[Prompt]:
    """Prompts without some of their handles.

    Raises:
        InputError: No prompt has a handle of that name.
    """
    known = {name for prompt in prompts for name in prompt.handles}
    for name in names:
        if name not in known:
            has = f"it may name {', '.join(sorted(known))}" if known else "this task's prompts have none: leave it out"
            raise InputError(f"no prompt has a handle {name!r}", "leave_out", has)
    if not names:
        return prompts
    return [replace(p, handles={k: v for k, v in p.handles.items() if k not in names}) for p in prompts]


def tune(place: Workplace) -> Path:
    """Run the loop on the pool's prompts; nothing it is given could hold a label."""
    return run_loop(place, place.interpreter()).checkpoint


def run_loop(place: Workplace, interpreter: Interpreter) -> TuneResult:
    """Run the loop on the pool's prompts, read by an interpreter that is closed at the end."""
    from tao.loop import tune as run

    options: TaoOptions = place.options
    recipe = options.made(place.limits)
    if "sampler" not in options.recipe:
        recipe = recipe.model_copy(update={"sampler": place.sampler, "vllm": place.engine})
    further: Sequence[Weighed] = ()
    own = options.own()
    if own is not None:
        further = place.own_signals(own.weight, own.veto) if place.own_signals else ()
        if not further:
            fix = "name FILE.py:FUNCTION or a rule of tao.scoring.signals under `signals` in its task.yaml"
            raise InputError("`signals: task`, and it names none that the vote does not hold already", "recipe", fix)
    try:
        return run(
            place.base,
            without_handles(place.pool[: options.prompts], options.leave_out),
            interpreter,
            recipe,
            place.folder,
            seed=place.seed,
            budget_flop=options.budget_flop,
            ledger=place.ledger,
            progress=over_rounds(place.progress, options.rounds, place.folder),
            further=further,
        )
    finally:
        interpreter.close()


ARM = Arm(name="tao", uses_labels=False, options=TaoOptions, tune=tune)
