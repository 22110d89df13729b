"""From the text of an answer to an exact value: one reading, shared by votes (no gold) and by the verifier.

The deployment form is one line: a number, or an expression over cited cells. Of a longer text only the last line
counts, without an ``Answer:`` in front: a list of guesses is one guess.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from tao.answers.document import Document
from tao.answers.expression import AnswerError, Expression, parse
from tao.answers.number import Number, parse_number

_LEAD = re.compile(r"(?:the\s+)?(?:final\s+)?answer\s*(?:is\b|[:=])\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, understood.

    Attributes:
        text: The line that was read.
        value: Its exact value; for a plain number the value as written (12.3 of ``12.3 %``, 4.5 of ``4.5 million``).
        number: The number, where the line is one; else None.
        expression: The expression, where the line is one; else None.
    """

    text: str
    value: Fraction
    number: Number | None = None
    expression: Expression | None = None

    def grounded(self, document: Document) -> bool:
        """Whether it rests on the document: it cites a cell, or types out a value that the document prints."""
        if self.expression is not None and self.expression.cells:
            return True
        typed = self.expression.literals if self.expression is not None else (self.value,)
        printed = {abs(value) for value in document.cells.values() if value is not None}
        return any(abs(value) in printed for value in typed)


def final_line(text: str) -> str:
    """The last line that says something, without ``Answer:``, emphasis marks and a full stop."""
    lines = [line for line in text.splitlines() if line.strip()]
    line = lines[-1].strip().strip("*`").strip() if lines else ""
    line = _LEAD.sub("", line, count=1) if _LEAD.match(line) else line
    return line.strip("*`").strip().removesuffix(".").strip()


def read_answer(text: str, document: Document) -> Answer:
    """Read an answer: its last line as a number or else as an expression over `document`.

    Raises:
        AnswerError: It does not parse, cites what does not exist, or divides by zero.
    """
    line = final_line(text)
    if (number := parse_number(line)) is not None:
        return Answer(line, number.value, number=number)
    expression = parse(line)
    return Answer(line, expression.evaluate(document.cell), expression=expression)


def says_nothing(answer: Answer, document: Document) -> bool:
    """Whether an answer cites cells but would be the same whatever they held, as ``[A 2023] / [A 2023] * 100``.

    Such a constant is what a policy collapses to when only agreement is rewarded. Found by evaluating once more with
    every cell moved by its own factor.
    """
    if answer.expression is None or not answer.expression.cells:
        return False
    keys = list(document.cells)
    moved = {
        key: Fraction(0) if value is None else value * (1 + Fraction(keys.index(key) + 1, 997)) + (value == 0)
        for key, value in document.cells.items()
    }
    shifted = Document(document.columns, document.rows, moved)
    try:
        return answer.expression.evaluate(shifted.cell) == answer.value
    except AnswerError:
        return False
