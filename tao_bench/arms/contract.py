"""What an arm is: a way to obtain a model, and what it is handed to do so.

An arm is one module with an `ARM` of type `Arm`. Only an arm that declares `uses_labels` is handed
a reader of labels; to any other the field is None and its process refuses to open them. The same holds for the
task's verifier and `uses_verifier`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from tao.compute import Ledger
from tao.meaning import Interpreter
from tao.prompts import Prompt
from tao.sampling.protocol import Sampler
from tao.scoring.signals import Weighed
from tao_bench.task import Item, Label, Limits, Split
from tao_bench.verify.verdict import Verifier

LabelReader = Callable[[Split], Mapping[str, Label]]
Progress = Callable[[str, int, int], None]
"""Called with a stage's name, what is done of it and how much there is."""


class ArmOptions(BaseModel):
    """Options of an arm in an experiment file; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    GRID: ClassVar[tuple[str, ...]] = ()
    """Fields an experiment file may give as a list, one cell per value."""
    REMOTE: ClassVar[bool] = False
    """Whether a server answers: no weights, no FLOPs, tokens and price only."""
    MANNER: ClassVar[frozenset[str]] = frozenset()
    """Fields that say how the work is done, never what comes of it: a cell goes on when they change."""

    def slug(self) -> str:
        """The part of a cell's id that tells its options, e.g. ``n8-r3``."""
        return ""

    def title(self) -> str:
        """The arm as tables name it, e.g. ``TAO n=8 x3``."""
        raise NotImplementedError

    def labels_used(self, pool: int) -> int:
        """Labels of the task the arm trains on, where the task's pool has so many prompts."""
        return 0

    def budget(self) -> dict[str, int] | None:
        """Samples per prompt and rounds of a label-free arm; None for others."""
        return None

    def inference_samples(self) -> int:
        """Samples generated per answer in deployment."""
        return 1

    def check_here(self) -> None:
        """Refuse, before anything is run, what cannot work on this machine (a key that is not set, say)."""

    def check_pool(self, pool: Callable[[], Sequence[Prompt]]) -> None:
        """Refuse, when an experiment is planned, a pool that the options do not go with.

        Args:
            pool: Reads the prompts; not called where nothing depends on them.
        """

    def usd_of(self, prompt_tok: float, completion_tok: float) -> float | None:
        """Price of tokens of a remote arm; None where there is none or it is unknown."""
        return None


@dataclass(frozen=True, slots=True)
class Workplace:
    """All an arm gets.

    Attributes:
        options: Its validated options.
        base: Folder of the model every arm of the experiment starts from.
        folder: Where it writes its stages and checkpoints.
        seed: The cell's seed.
        limits: Generation limits, equal for every arm.
        answer_form: The task's (`tao.forms`), or ``mixture``.
        pool: The unlabelled prompts.
        train: Items of the labelled training split (prompts only); empty for label-free arms.
        interpreter: Makes the label-free reader of answers; the caller closes it.
        labels: Reads sealed labels; None unless the arm declares `uses_labels`.
        verifier: Makes the task's verifier, the caller closes it; None unless the arm declares `uses_verifier`.
        progress: Where to tell how far it is.
        ledger: Where every stage charges its tokens and FLOPs.
        reserved: Labels of the train split that made the deployed assistant; no arm trains on them again.
        sampler: What the experiment samples with (`tao.sampling.samplers.LOCAL`).
        engine: Keyword arguments of `vllm.LLM`.
        own_signals: Makes the label-free signals that the task itself names, of a weight (all together) and with a
            veto (see `tao_bench.own_signals.tuning_signals`).
        weights: Task to weight where several are tuned on together: `pool` is then a mixture (`tao.mixture`), and the
            task's name stands before the id of every prompt and label. Empty otherwise.
    """

    options: Any
    base: Path
    folder: Path
    seed: int
    limits: Limits
    answer_form: str
    pool: tuple[Prompt, ...]
    train: tuple[Item, ...]
    interpreter: Callable[[], Interpreter]
    labels: LabelReader | None
    verifier: Callable[[], Verifier] | None
    progress: Progress
    ledger: Ledger
    reserved: int = 0
    sampler: str = "transformers"
    engine: Mapping[str, Any] = field(default_factory=dict)
    own_signals: Callable[[float, float | None], Sequence[Weighed]] | None = None
    weights: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Arm:
    """A way to obtain a model.

    Attributes:
        name: As experiment files call it.
        uses_labels: Whether it trains on labels; if not, its process cannot open them.
        uses_verifier: Whether it trains on the verifier's verdicts, which takes labels too. Another version of the
            verifier then means other weights, not only other verdicts on the same answers.
        options: Its options model.
        tune: Trains and returns the checkpoint's folder; None for arms that use the base as it is.
        decode: How its model answers: one greedy response, or the majority of several samples.
        sampler: Makes what answers from the options, for a model that is not on this machine.
    """

    name: str
    uses_labels: bool
    options: type[ArmOptions]
    tune: Callable[[Workplace], Path] | None
    decode: Literal["greedy", "majority"] = "greedy"
    sampler: Callable[[Any], Sampler] | None = None
    uses_verifier: bool = False

    def __post_init__(self) -> None:
        if self.uses_verifier and not self.uses_labels:
            raise ValueError(f"arm {self.name}: verdicts are labels, so an arm that uses them declares uses_labels")
