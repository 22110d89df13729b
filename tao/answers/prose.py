"""What an answer in prose amounts to, without a gold: the number it concludes in the question's unit, or yes or no.

For agreement votes among long answers. Only the question decides how a number is read (``USD millions``, ``%``), so
two answers vote together when they mean the same: ``$1,577 million``, ``1.577 billion`` and ``1,577``; ``65.4 %`` and
0.654.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from tao.answers import polarity
from tao.answers.conclusion import announces, clean, conclusion, sentences, without_documents
from tao.answers.grounding import grounded, recomputes
from tao.answers.number import canonical
from tao.answers.quantities import Quantity, find_quantities
from tao.answers.question import Question, read_question
from tao.answers.refusal import refuses
from tao.meaning import Outcome, Reading
from tao.prompts import Prompt
from tao.scoring.mentions import question_of

KEY_DIGITS = 3
"""Significant digits that votes compare: answers in prose are rounded now to one place, now to another."""
FRACTION_BELOW = 3
"""A bare number below this stands for a percentage as a fraction, where the question asks for one."""

IMPLAUSIBLE = Decimal(10) ** 13
"""No figure of a filing is as large, in its currency: a bare number that would be is in full already."""


class ProseInterpreter:
    """Reads long answers; needs no gold, no process, no connection.

    Readings: ``invalid`` where an answer is empty, declines, or concludes neither a number nor yes or no; else ``ok``
    with the number's canonical spelling in the question's unit, ``yes`` or ``no`` as key.
    """

    name = "prose"
    version = "1"

    def read(self, prompt: Prompt, answers: Sequence[str]) -> list[Reading]:
        """One reading per answer, in order."""
        question = question_of(prompt)
        return [read_prose(question, answer) for answer in answers]

    def close(self) -> None:
        """Nothing to release."""


def read_prose(question: str, answer: str) -> Reading:
    """The meaning of one answer to one question."""
    text = without_documents(clean(answer))
    if not text.strip():
        return Reading(Outcome.INVALID, detail="empty")
    if refuses(text):
        return Reading(Outcome.INVALID, detail="refusal")
    asked = read_question(question)
    parts = sentences(text, question)
    concluding = [parts[at] for at in conclusion(parts)]
    if asked.yes_no:
        said = polarity.explicit(text) or (polarity.inferred(question, concluding[-1]) if concluding else "")
        return Reading(Outcome.OK, said) if said else Reading(Outcome.INVALID, detail="says neither yes nor no")
    # A sentence that announces its result comes before one that merely stands at the end.
    for sentence in sorted(reversed(concluding), key=lambda part: not announces(part)):
        found = find_quantities(sentence.rpartition("=")[2]) or find_quantities(sentence)
        if found:
            return Reading(Outcome.OK, canonical(in_unit(found[-1], asked), KEY_DIGITS))
    return Reading(Outcome.INVALID, detail="concludes no number")


def in_unit(number: Quantity, asked: Question) -> Fraction:
    """A stated number in the unit that a question asks for.

    Args:
        number: As stated.
        asked: The question: ``USD millions`` has power 6, ``%`` is of the kind percent.
    """
    value = number.value
    if asked.kind == "percent" and not number.percent and not number.power and abs(value) < FRACTION_BELOW:
        return Fraction(value * 100)
    if asked.power is None:
        return Fraction(number.full)
    if number.power:
        return Fraction(number.full.scaleb(-asked.power))
    is_full = abs(value).scaleb(asked.power) > IMPLAUSIBLE
    return Fraction(value.scaleb(-asked.power) if is_full else value)


def declines_not(prompt: Prompt, answers: Sequence[str]) -> list[float | None]:
    """1 for an answer that answers, 0 for one that declines or says nothing.

    Args:
        prompt: Unused; every signal has it.
        answers: Answers in prose.
    """
    return [float(bool(answer.strip()) and not refuses(clean(answer))) for answer in answers]


SIGNALS = {"answers at all": declines_not, "numbers grounded": grounded, "calculations hold": recomputes}
"""Signals of answers in prose beside the vote, by name."""
