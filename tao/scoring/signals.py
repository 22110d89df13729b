"""Further label-free signals beside the vote: rules in plain Python, and models that judge.

A signal gives each answer of a prompt a value in [0, 1], or None where it cannot say: that is no evidence, never a
low score. It takes part in two ways. Its *weight* moves the reward: a reward is the weighted mean of the vote's reward
(weight 1) and the values of the signals that could judge. Below its *veto* an answer loses its vote, as one that does
not run does.

A rule is a function ``rule(prompt, answers)`` that returns a value or None for each answer, named by its dotted path
(``mypackage.rules:short``) or by file (``rules.py:short``).
"""

from __future__ import annotations

import importlib
import importlib.util
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from tao.endpoint import EndpointSpec
from tao.errors import InputError
from tao.meaning import Outcome, Reading
from tao.prompts import Prompt, Sample
from tao.stage import digest, file_digest

Rule = Callable[[Prompt, Sequence[str]], Sequence[float | None]]

KNOWN = {
    "grounded": "tao.answers.grounding:grounded",
    "recomputes": "tao.answers.grounding:recomputes",
    "answers_at_all": "tao.answers.prose:declines_not",
}
"""Built-in rules by short name."""


JUDGES = ("endpoint", "mode", "verdict", "guidelines", "pairs")
"""Fields of a recipe's signal that belong to ``judge``."""


class SignalSpec(BaseModel):
    """A signal as a recipe names it."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    signal: str
    """A built-in name, ``package.module:function``, ``file.py:function``, ``reward_model`` or ``judge``."""
    model: str = ""
    """Checkpoint of ``reward_model``."""
    weight: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """Its weight in the reward; the vote's is 1."""
    veto: float | None = Field(default=None, ge=0, le=1)
    """An answer with a value below this loses its vote."""
    endpoint: EndpointSpec | None = None
    """The server of ``judge``: ``{url: ..., model: ..., key_env: ...}``."""
    mode: Literal["pointwise", "pairwise"] = "pointwise"
    """Whether ``judge`` sees one answer at a time, or two (see `tao.scoring.judge`)."""
    verdict: Literal["score", "yes_no", "probability"] = "score"
    """What ``judge`` is asked for, pointwise."""
    guidelines: tuple[str, ...] = ()
    """What ``judge`` shall look for, in plain words."""
    pairs: int = Field(default=28, ge=1)
    """Most pairs of a prompt's answers, each judged in both orders (``pairwise``); 28 are all pairs of 8."""

    @model_validator(mode="after")
    def _consistent(self) -> SignalSpec:
        if self.signal == "judge":
            if self.endpoint is None:
                raise ValueError("judge: which server? add `endpoint: {url: ..., model: ...}`")
            if not self.weight and self.veto is None:
                raise ValueError("judge: it would be paid for and change nothing; add `weight: 0.5` or a veto")
        elif set(JUDGES) & self.model_fields_set:
            raise ValueError(f"{min(set(JUDGES) & self.model_fields_set)}: goes with `signal: judge`")
        return self

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leaves the judge's fields out of other signals: records of runs from before them stay valid."""
        fields: dict[str, Any] = handler(self)
        return fields if self.signal == "judge" else {n: v for n, v in fields.items() if n not in JUDGES}


class Signal(Protocol):
    """Judges the answers of one prompt without a label."""

    @property
    def name(self) -> str:
        """As the recipe names it."""
        ...

    @property
    def version(self) -> str:
        """Changes whenever its values may."""
        ...

    def values(self, prompt: Prompt, answers: Sequence[str]) -> list[float | None]:
        """A value in [0, 1] for each answer; None where it cannot say."""
        ...

    def flop(self, prompt: Prompt, answers: Sequence[str]) -> int:
        """Model FLOPs of asking about these answers."""
        ...

    def close(self) -> None:
        """Give back what it holds (weights, replies); asked again after that, it takes it up again."""
        ...


@runtime_checkable
class Pads(Protocol):
    """A signal that executes more than it needs: padding, say."""

    def device_flop(self, prompt: Prompt, answers: Sequence[str]) -> int:
        """FLOPs of asking about these answers as executed; those of `Signal.flop` where a signal lacks this."""
        ...


@runtime_checkable
class Served(Protocol):
    """What a signal behind a server has besides: replies that are paid for, and some that do not come."""

    def keep_replies(self, path: Path) -> None:
        """Note every reply in this file as it arrives, until `close`, and reuse what is noted there already."""
        ...

    def spent(self) -> tuple[int, int, float | None]:
        """Prompt tokens, completion tokens and price (None where it is unknown) of the replies kept."""
        ...

    def shortfalls(self) -> list[str]:
        """What it could not judge, in words; empty where nothing is missing."""
        ...


@dataclass(frozen=True, slots=True)
class RuleSignal:
    """A plain function as a signal.

    Attributes:
        name: As the recipe names it.
        version: Hash of the file it is written in.
        rule: The function.
    """

    name: str
    version: str
    rule: Rule

    def values(self, prompt: Prompt, answers: Sequence[str]) -> list[float | None]:
        """The rule's values, held to their contract.

        Raises:
            InputError: The rule failed, or gave something else than one value in [0, 1] or None an answer.
        """
        where = f"signal {self.name}, prompt {prompt.id}"
        try:
            found = list(self.rule(prompt, answers))
        except Exception as error:  # the user's code
            raise InputError(f"the rule failed ({type(error).__name__}: {error})", where, "mend the rule") from error
        if len(found) != len(answers):
            raise InputError(f"the rule gave {len(found)} values for {len(answers)} answers", where)
        for value in found:
            number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
            if value is not None and not (number and 0 <= value <= 1):
                raise InputError(f"the rule gave {value!r}", where, "give a number in [0, 1], or None for no evidence")
        return [None if value is None else float(value) for value in found]

    def flop(self, prompt: Prompt, answers: Sequence[str]) -> int:
        """Rules cost no model FLOPs."""
        return 0

    def close(self) -> None:
        """Nothing to give back."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """A signal with its part in the score."""

    signal: Signal
    weight: float
    veto: float | None

    def record(self) -> list[Any]:
        """What a scored round names it by."""
        return [self.signal.name, self.signal.version, self.weight, self.veto]


def load_rule(path: str) -> RuleSignal:
    """The rule of a built-in name, dotted path or file.

    Raises:
        InputError: No such module, file or function.
    """
    module, separator, function = KNOWN.get(path, path).rpartition(":")
    if not separator:
        known = ", ".join(KNOWN)
        raise InputError(
            f"no signal is called {path!r}", "signals", f"use {known}, package.module:function or file.py:function"
        )
    try:
        loaded = _from_file(Path(module)) if module.endswith(".py") else importlib.import_module(module)
        rule = getattr(loaded, function)
    except (ImportError, OSError, SyntaxError) as error:
        raise InputError(f"cannot be imported ({error})", f"signal {path}") from error
    except AttributeError as error:
        raise InputError(f"{module} has no function {function!r}", f"signal {path}") from error
    source = getattr(loaded, "__file__", None)
    return RuleSignal(path, file_digest(Path(source))[:12] if source else "", rule)


def _from_file(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"_tao_rule_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ImportError(f"no file {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_signals(specs: Iterable[SignalSpec]) -> list[Weighed]:
    """The signals a recipe names.

    Raises:
        InputError: One cannot be found.
    """
    return [Weighed(_load(spec), spec.weight, spec.veto) for spec in specs]


def _load(spec: SignalSpec) -> Signal:
    if spec.endpoint is not None:
        from tao.scoring.judge import JudgeSignal

        guidelines, pairs = spec.guidelines, spec.pairs
        return JudgeSignal(spec.endpoint, mode=spec.mode, verdict=spec.verdict, guidelines=guidelines, pairs=pairs)
    if spec.signal != "reward_model":
        if spec.model:
            raise InputError("only reward_model takes a model", f"signal {spec.signal}", "leave `model` out")
        return load_rule(spec.signal)
    if not spec.model:
        raise InputError("which checkpoint?", "signal reward_model", "add `model: FOLDER`")
    from tao.scoring.reward_model import RewardModelSignal

    if not Path(spec.model).is_dir():
        raise no_reward_model(Path(spec.model))
    return RewardModelSignal(Path(spec.model))


def no_reward_model(folder: Path) -> InputError:
    """The error for a reward model whose folder is not there."""
    fix = f"train one: tao reward-model --run RUN --model MODEL --out {folder}"
    return InputError("no reward model here", str(folder), fix)


@contextmanager
def released(signals: Iterable[Weighed]) -> Iterator[None]:
    """Close signals at the end, whatever happens; one that fails to close does not keep the others open."""
    with ExitStack() as held:
        for weighed in signals:
            held.callback(weighed.signal.close)
        yield


def signals_digest(signals: Sequence[Weighed]) -> str:
    """Hash of all that decides the signals' part in a score."""
    return digest([weighed.record() for weighed in signals])[:12]


def distinct_answers(samples: Sequence[Sample]) -> list[str]:
    """The different answers of a prompt's samples, in order of first appearance: each is asked about once."""
    return list(dict.fromkeys(sample.answer for sample in samples if sample.answer is not None))


def consult(
    prompt: Prompt, answers: Sequence[str], signals: Sequence[Weighed]
) -> tuple[dict[str, str], dict[str, list[tuple[float, float]]]]:
    """Ask all signals about different answers.

    Args:
        prompt: The prompt.
        answers: Its answers, each once.
        signals: The signals.

    Returns:
        Answer to the name of the first signal that vetoes it; answer to the (weight, value) of those that could judge.
    """
    vetoed: dict[str, str] = {}
    weighed: dict[str, list[tuple[float, float]]] = {answer: [] for answer in answers}
    for one in signals:
        for answer, value in zip(answers, one.signal.values(prompt, answers), strict=True):
            if value is None:
                continue
            if one.veto is not None and value < one.veto:
                vetoed.setdefault(answer, one.signal.name)
            if one.weight:
                weighed[answer].append((one.weight, value))
    return vetoed, weighed


def veto(reading: Reading, answer: str, vetoed: Mapping[str, str]) -> Reading:
    """The reading of an answer after the vetoes."""
    if answer in vetoed and reading.outcome in (Outcome.OK, Outcome.EMPTY):
        return Reading(Outcome.INVALID, detail=f"vetoed by {vetoed[answer]}")
    return reading
