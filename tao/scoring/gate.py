"""The hard gate: only a complete answer in deployment form that works may vote."""

from __future__ import annotations

from tao.meaning import Outcome, Reading
from tao.prompts import Sample

NO_ANSWER = Reading(Outcome.INVALID, detail="no_answer")
TRUNCATED = Reading(Outcome.INVALID, detail="truncated")


def refusal(sample: Sample) -> Reading | None:
    """The reading of a sample that needs no interpreter: no answer could be cut out, or it was cut off.

    Returns:
        An invalid reading, or None when the answer must be read.
    """
    if sample.answer is None or not sample.answer.strip():
        return NO_ANSWER
    if sample.finish_reason != "stop":
        return TRUNCATED
    return None


def is_vote(reading: Reading) -> bool:
    """Whether a reading may vote: it works and says something.

    Empty results never vote: all wrong filters agree on "no rows", so they elect themselves.
    Failures never vote either, or the extractor's way of failing would win.
    """
    return reading.outcome is Outcome.OK and reading.key is not None
