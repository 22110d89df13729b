"""Arithmetic with powers, for growth rates: ``( ( [Revenue 2023] / [Revenue 2021] ) ^ ( 1 / 2 ) - 1 ) * 100``.

The grammar of `tao.answers.expression` with one more rule, kept apart so that answers without powers mean exactly what
they meant before::

    factor   = base (("^" | "**") exponent)?      binds closer than any other sign; "-2 ^ 2" is -4
    exponent = number | "(" sum ")"               without citations, numerator and denominator up to MAX_EXPONENT

The base of a broken power must not be negative. Roots carry `PRECISION` digits; all else is exact.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction

from tao.answers.expression import (
    _OPERATIONS,
    MAX_CHARS,
    MAX_MAGNITUDE,
    MAX_TOKENS,
    AnswerError,
    Expression,
    _Parser,
    _tokens,
)

MAX_EXPONENT = 12
PRECISION = 40
"""Significant digits of a root."""

_MARK = re.compile(r"(\^|\*\*)")


@dataclass(frozen=True, slots=True)
class PowerExpression(Expression):
    """An expression that may hold the step ``^``: base and exponent before it."""

    def evaluate(self, cell: Callable[[str], Fraction]) -> Fraction:
        """The value.

        Raises:
            AnswerError: As `Expression.evaluate`; ``out_of_range`` also for a root of a negative number.
        """
        stack: list[Fraction] = []
        for step in self.steps:
            if isinstance(step, Fraction):
                stack.append(step)
            elif step[0] == "[":
                stack.append(cell(step[1:-1].strip()))
            elif step == "~":
                stack.append(-stack.pop())
            else:
                right, left = stack.pop(), stack.pop()
                if step == "/" and right == 0:
                    raise AnswerError("division_by_zero", "division by zero")
                stack.append(raised(left, right) if step == "^" else _OPERATIONS[step](left, right))
            if abs(stack[-1]) > MAX_MAGNITUDE:
                raise AnswerError("out_of_range", "number out of range")
        return stack.pop()


def raised(base: Fraction, exponent: Fraction) -> Fraction:
    """`base` to the power of `exponent`.

    Raises:
        AnswerError: ``division_by_zero`` (0 to a power that is not positive), ``out_of_range`` (a root of a negative
            number,
            an exponent beyond `MAX_EXPONENT`).
    """
    if max(abs(exponent.numerator), exponent.denominator) > MAX_EXPONENT:
        raise AnswerError("out_of_range", f"an exponent has at most {MAX_EXPONENT} above and below its line")
    if base == 0 and exponent <= 0:
        raise AnswerError("division_by_zero", "0 to a power that is not positive")
    if exponent.denominator == 1:
        return base**exponent.numerator
    if base < 0:
        raise AnswerError("out_of_range", "root of a negative number")
    context = Context(prec=PRECISION)
    decimal = context.divide(Decimal(base.numerator), Decimal(base.denominator))
    root = context.power(decimal, context.divide(Decimal(1), Decimal(exponent.denominator)))
    return Fraction(root) ** exponent.numerator


class _PowerParser(_Parser):
    def factor(self) -> None:
        signed = self.peek() in ("-", "+")
        super().factor()
        if signed or self.peek() != "^":  # a sign has taken its operand, power and all, one call deeper
            return
        self.at += 1
        before = len(self.steps)
        super().factor()
        if any(isinstance(step, str) and step[0] == "[" for step in self.steps[before:]):
            raise AnswerError("syntax", "an exponent cannot cite a line")
        self.steps.append("^")


def parse_powers(text: str) -> PowerExpression:
    """Parse an expression that may hold powers.

    Raises:
        AnswerError: ``empty``, ``syntax`` or ``too_long``; never anything else, whatever the text.
    """
    text = text.strip()
    if not text:
        raise AnswerError("empty", "empty answer")
    if len(text) > MAX_CHARS:
        raise AnswerError("too_long", f"longer than {MAX_CHARS} characters")
    tokens: list[str] = []
    for part in _MARK.split(text):
        tokens += ["^"] if _MARK.fullmatch(part) else _tokens(part.strip())
    if len(tokens) > MAX_TOKENS:
        raise AnswerError("too_long", f"more than {MAX_TOKENS} parts")
    parser = _PowerParser(tokens)
    parser.sum()
    if parser.peek():
        raise parser.fail()
    return PowerExpression(tuple(parser.steps))
