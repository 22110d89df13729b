"""The closed set of verdicts, and what a verifier is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from tao.prompts import Prompt


class Status(StrEnum):
    """How a response was judged. Accuracy = correct / all; only `VERIFIER_ERROR` is missing data."""

    CORRECT = "correct"
    WRONG = "wrong"
    UNPARSABLE = "unparsable"
    TRUNCATED = "truncated"
    TIMEOUT = "timeout"
    VERIFIER_ERROR = "verifier_error"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A verifier's judgement of one response.

    Attributes:
        status: See `Status`.
        score: 1.0 for correct, 0.0 otherwise (partial credit is a later, separate field).
        extracted: The answer as the verifier understood it ('' when nothing could be extracted).
        reason: Short machine-readable code (``equal``, ``row_count``, ``execution_error``, ``refusal``, ...).
    """

    status: Status
    score: float
    extracted: str
    reason: str


def correct(extracted: str, reason: str = "equal") -> Verdict:
    """A correct verdict."""
    return Verdict(Status.CORRECT, 1.0, extracted, reason)


def failed(status: Status, extracted: str, reason: str) -> Verdict:
    """Any verdict but correct; score 0."""
    return Verdict(status, 0.0, extracted, reason)


class Verifier(Protocol):
    """Judges responses against gold. Opened only by the verifier process and arms that declare `uses_labels`."""

    name: str
    version: str

    def grade(self, prompt: Prompt, gold: Any, response: str, finish_reason: str) -> Verdict:
        """Judge one response. `gold` is the label row's ``gold`` value. Never raises for what a response holds."""
        ...

    def close(self) -> None:
        """Release worker processes and connections."""
        ...
