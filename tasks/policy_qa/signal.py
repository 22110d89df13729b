"""Label-free signal of policy_qa: whether the clause cited is one of the policy's and could carry the value."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tao.answers.reading import final_line

_CONDITION = re.compile(r"From \d+ \w+ \d{4} on|\d+(?: or more)? years")


def cites(question: str, answers: Sequence[str]) -> list[float]:
    """1 for a clause that holds the value itself, 0.5 for one that refers to another or for ``not stated``, else 0.

    A figure that a clause adds to another's is no value of its own, nor is one of a condition.
    """
    clauses = dict(re.findall(r"^(\d+\.\d+) (.*)$", question, re.MULTILINE))
    return [_value(clauses, final_line(answer)) for answer in answers]


def _value(clauses: dict[str, str], line: str) -> float:
    if line.casefold() == "not stated":
        return 0.5
    value, _, clause = line.partition(";")
    text = clauses.get(clause.strip().removeprefix("clause "))
    figure = re.match(r"\d[\d.,]*", value.strip())
    if text is None or figure is None:
        return 0.0
    said = _plain(_CONDITION.sub("", text))
    held = re.search(rf"(?<![\d.]){re.escape(_plain(figure[0]))}(?![\d]|\.\d)", said) is not None
    if "clause" in text:
        return 0.0 if held else 0.5
    return float(held)


def _plain(text: str) -> str:
    """Numbers without marks between thousands."""
    return re.sub(r"(?<=\d),(?=\d{3})", "", text)
