"""What an answer *means*, without knowing the truth: the seam between answers and label-free signals.

An interpreter reads an answer against the prompt's handles (runs a query on the tuning instances,
evaluates an expression over a document's cells) and says whether it works and what it amounts to.
Two answers agree when their keys are equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from tao.prompts import Prompt


class Outcome(StrEnum):
    """How reading an answer ended."""

    OK = "ok"
    EMPTY = "empty"  # it works but says nothing (no rows, all NULL): never a vote
    INVALID = "invalid"  # does not parse, is refused by the gate, cites what does not exist
    FAILED = "failed"  # runs into an error
    TIMEOUT = "timeout"
    UNSCORED = "unscored"  # the interpreter itself failed: no evidence either way, never a low score


@dataclass(frozen=True, slots=True)
class Reading:
    """An answer's outcome and meaning.

    Attributes:
        outcome: See `Outcome`.
        key: Fingerprint of the meaning; None unless the outcome is ok or empty.
        detail: Error text or reason code (what a repair strategy shows the model).
    """

    outcome: Outcome
    key: str | None = None
    detail: str = ""


class Interpreter(Protocol):
    """Reads answers. Implementations: `tao.sql.interpreter`, `tao.answers.interpreter`."""

    name: str
    version: str

    def read(self, prompt: Prompt, answers: Sequence[str]) -> list[Reading]:
        """One reading per answer, in order. Never raises for what an answer holds."""
        ...

    def close(self) -> None:
        """Release worker processes and connections."""
        ...
