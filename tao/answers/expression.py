"""Arithmetic over cited cells, read without `eval`: ``( [Revenue 2023] - [Revenue 2022] ) / [Revenue 2022] * 100``.

Grammar (no names, no powers, no exponents, so nothing can grow faster than the text)::

    sum     = product (("+" | "-") product)*
    product = factor (("*" | "/") factor)*
    factor  = ("-" | "+") factor | "(" sum ")" | number | "[" citation "]"

Arithmetic is exact (fractions), hence division by zero is exactly that, and equal meanings give equal values.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from tao.answers.number import DIGITS, MAX_DIGITS

MAX_CHARS = 600
MAX_TOKENS = 160
MAX_DEPTH = 24
MAX_MAGNITUDE = 10**18

_TOKEN = re.compile(rf"\s*(?:(?P<cell>\[[^\[\]]*\])|(?P<number>{DIGITS})|(?P<mark>[-+*/()×·÷\u2212\u2013]))")
_MARKS = {"×": "*", "·": "*", "÷": "/", "\u2212": "-", "\u2013": "-"}
_OPERATIONS: dict[str, Callable[[Fraction, Fraction], Fraction]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}


class AnswerError(Exception):
    """An answer that cannot be read or evaluated.

    Args:
        code: ``empty``, ``syntax``, ``too_long``, ``bad_citation``, ``division_by_zero`` or ``out_of_range``.
        message: Short, fit to be shown to the model that gave the answer.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression in postfix order: literals are fractions, ``[...]`` cells, ``~`` is unary minus."""

    steps: tuple[Fraction | str, ...]

    @property
    def cells(self) -> tuple[str, ...]:
        """Citations in reading order, without brackets."""
        return tuple(step[1:-1].strip() for step in self.steps if isinstance(step, str) and step[0] == "[")

    @property
    def literals(self) -> tuple[Fraction, ...]:
        """Numbers typed out, in reading order."""
        return tuple(step for step in self.steps if isinstance(step, Fraction))

    def evaluate(self, cell: Callable[[str], Fraction]) -> Fraction:
        """The exact value.

        Args:
            cell: Value of a citation; raises `AnswerError` for one that does not exist.

        Raises:
            AnswerError: ``division_by_zero``, ``out_of_range`` (beyond 10**18), or what `cell` raises.
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
                stack.append(_OPERATIONS[step](left, right))
            if abs(stack[-1]) > MAX_MAGNITUDE:
                raise AnswerError("out_of_range", "number out of range")
        return stack.pop()


def _tokens(text: str) -> list[str]:
    tokens: list[str] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise _syntax(text[position:])
        token = match[0].strip()
        tokens.append(_MARKS.get(token, token))
        position = match.end()
        if len(tokens) > MAX_TOKENS:
            raise AnswerError("too_long", f"more than {MAX_TOKENS} parts")
    return tokens


def _syntax(rest: str) -> AnswerError:
    shown = " ".join(rest.split())[:40]
    return AnswerError("syntax", f'does not parse near "{shown}"' if shown else "ends too early")


class _Parser:
    """Recursive descent over a token list; recursion is bounded by `MAX_DEPTH`."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens, self.at, self.depth = tokens, 0, 0
        self.steps: list[Fraction | str] = []

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def fail(self) -> AnswerError:
        return _syntax(" ".join(self.tokens[self.at :]))

    def chain(self, operators: str, operand: Callable[[], None]) -> None:
        operand()
        while (mark := self.peek()) and mark in operators:
            self.at += 1
            operand()
            self.steps.append(mark)

    def sum(self) -> None:
        self.chain("+-", self.product)

    def product(self) -> None:
        self.chain("*/", self.factor)

    def factor(self) -> None:
        token = self.peek()
        self.at += 1
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise AnswerError("too_long", f"nested deeper than {MAX_DEPTH}")
        if token in ("-", "+"):
            self.factor()
            if token == "-":
                self.steps.append("~")
        elif token == "(":
            self.sum()
            if self.peek() != ")":
                raise self.fail()
            self.at += 1
        elif token.startswith("["):
            self.steps.append(token)
        elif token and (token[0].isdigit() or token[0] == "."):
            if len(token) > MAX_DIGITS + MAX_DIGITS // 3 + 1:
                raise AnswerError("out_of_range", "number out of range")
            self.steps.append(Fraction(token.replace(",", "")))
        else:
            self.at -= 1
            raise self.fail()
        self.depth -= 1


def parse(text: str) -> Expression:
    """Parse an expression.

    Raises:
        AnswerError: ``empty``, ``syntax`` or ``too_long``; never anything else, whatever the text.
    """
    text = text.strip()
    if not text:
        raise AnswerError("empty", "empty answer")
    if len(text) > MAX_CHARS:
        raise AnswerError("too_long", f"longer than {MAX_CHARS} characters")
    parser = _Parser(_tokens(text))
    parser.sum()
    if parser.peek():
        raise parser.fail()
    return Expression(tuple(parser.steps))
