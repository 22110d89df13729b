"""Verifier of policy_qa: the value and the clause that decides, or that the policy does not say.

Gold: ``{"value": "120", "clause": "3.2"}``, or ``{"value": null, "clause": null}`` where nothing is stated. A wrong
answer's reason says how: ``citation`` (right value, another clause), ``value``, ``both``, ``refusal`` (there is an
answer), ``unanswerable`` (there is none).
"""

from __future__ import annotations

import re
from typing import Any

from tao.answers.number import parse_number
from tao.answers.reading import final_line
from tao.prompts import Prompt
from tao_bench.verify.verdict import Status, Verdict, correct, failed

MAX_CHARS = 200
_NOTHING = re.compile(r"[\"'(]?not stated(?: in the policy)?[\"')]?", re.IGNORECASE)
_CLAUSE = re.compile(r"[(\[]?(?:clause|section|no\.|§)?\s*(\d{1,2}\.\d{1,2})[)\]]?", re.IGNORECASE)
_VALUE = re.compile(r"€?\s*(.*?\d)\s*+(?:(?!(?:hundred|thousand|million|k)\b)[a-z ]*|[€%])", re.IGNORECASE)


def grade(prompt: Prompt, gold: Any, response: str) -> Verdict:
    """Judge one response; its last line is the answer."""
    wanted, clause = _gold(gold)
    line = final_line(response)
    if not line or len(line) > MAX_CHARS:
        return failed(Status.UNPARSABLE, "", "too_long" if line else "empty")
    if _NOTHING.fullmatch(line):
        return correct("not stated") if wanted is None else failed(Status.WRONG, "not stated", "refusal")
    parts = [part.strip() for part in line.split(";")]
    cited = _CLAUSE.fullmatch(parts[1]) if len(parts) == 2 else None
    value = _number(parts[0])
    if cited is None or value is None:
        return failed(Status.UNPARSABLE, line, "form")
    shown = f"{parts[0]}; {cited[1]}"
    if wanted is None:
        return failed(Status.WRONG, shown, "unanswerable")
    right, at = value == wanted, cited[1] == clause
    if right and at:
        return correct(shown)
    return failed(Status.WRONG, shown, "citation" if right else "value" if at else "both")


def _number(text: str) -> Any:
    """The number of ``120``, ``1,200`` or ``14 days``; None where there is none, or a text with more in it."""
    match = _VALUE.fullmatch(text)
    number = parse_number(match[1]) if match else None
    return None if number is None else number.value * number.scale


def _gold(gold: Any) -> tuple[Any, str]:
    if gold["value"] is None:
        return None, ""
    value = _number(str(gold["value"]))
    if value is None:
        raise ValueError(f"the gold is no number: {gold['value']!r}")
    return value, str(gold["clause"])
