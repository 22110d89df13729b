"""Label-free signal of policy_qa: whether the clause cited is one of the policy's and could carry the value."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tao.answers.reading import final_line


def cites(question: str, answers: Sequence[str]) -> list[float]:
    """1 for a clause that holds the value itself, 0.5 for one that refers to another or for ``not stated``, else 0."""
    clauses = dict(re.findall(r"^(\d+\.\d+) (.*)$", question, re.MULTILINE))
    return [_value(clauses, final_line(answer)) for answer in answers]


def _value(clauses: dict[str, str], line: str) -> float:
    if line.casefold() == "not stated":
        return 0.5
    value, _, clause = line.partition(";")
    text = clauses.get(clause.strip())
    if text is None or not re.fullmatch(r"[\d.,]+", value.strip()):
        return 0.0
    if re.search(rf"(?<![\d.]){re.escape(value.strip())}(?![\d]|\.\d)", text):
        return 1.0
    return 0.5 if "clause" in text else 0.0
