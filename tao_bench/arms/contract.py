"""What an arm is: a way to obtain a model, and what it is handed to do so.

An arm is one module with an `ARM` of type `Arm`. Only an arm that declares `uses_labels` is handed
a reader of labels; to any other the field is None and its process refuses to open them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from tao.compute import Ledger
from tao.meaning import Interpreter
from tao.prompts import Prompt
from tao_bench.task import Item, Label, Limits, Split

LabelReader = Callable[[Split], Mapping[str, Label]]
Progress = Callable[[str, int, int], None]
"""Called with a stage's name, what is done of it and how much there is."""


class ArmOptions(BaseModel):
    """Options of an arm in an experiment file; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    GRID: ClassVar[tuple[str, ...]] = ()
    """Fields an experiment file may give as a list, one cell per value."""

    def slug(self) -> str:
        """The part of a cell's id that tells its options, e.g. ``n8-r3``."""
        return ""

    def title(self) -> str:
        """The arm as tables name it, e.g. ``TAO n=8 x3``."""
        raise NotImplementedError

    def labels_used(self) -> int:
        """Labels of the task the arm trains on."""
        return 0

    def budget(self) -> dict[str, int] | None:
        """Samples per prompt and rounds of a label-free arm; None for others."""
        return None

    def inference_samples(self) -> int:
        """Samples generated per answer in deployment."""
        return 1


@dataclass(frozen=True, slots=True)
class Workplace:
    """All an arm gets.

    Attributes:
        options: Its validated options.
        base: Folder of the model every arm of the experiment starts from.
        folder: Where it writes its stages and checkpoints.
        seed: The cell's seed.
        limits: Generation limits, equal for every arm.
        answer_form: ``sql``, ``number`` or ``text``; names the exploring formats.
        pool: The unlabelled prompts.
        train: Items of the labelled training split (prompts only); empty for label-free arms.
        interpreter: Makes the label-free reader of answers; the caller closes it.
        labels: Reads sealed labels; None unless the arm declares `uses_labels`.
        progress: Where to tell how far it is.
        ledger: Where every stage charges its tokens and FLOPs.
        reserved: Labels of the train split that made the deployed assistant; no arm trains on them again.
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
    progress: Progress
    ledger: Ledger
    reserved: int = 0


@dataclass(frozen=True, slots=True)
class Arm:
    """A way to obtain a model.

    Attributes:
        name: As experiment files call it.
        uses_labels: Whether it trains on labels; if not, its process cannot open them.
        options: Its options model.
        tune: Trains and returns the checkpoint's folder; None for arms that use the base as it is.
        decode: How its model answers: one greedy response, or the majority of several samples.
    """

    name: str
    uses_labels: bool
    options: type[ArmOptions]
    tune: Callable[[Workplace], Path] | None
    decode: Literal["greedy", "majority"] = "greedy"
