"""Verifier ``rubric@1``: free text against the rules of its row; no model judges.

Gold: a list of rules, each an object with one of ``must`` or ``must_not`` (a regular expression, found anywhere, case
ignored), ``number`` (a value that must be stated, with an optional ``tolerance``), ``max_words`` or ``min_words``; and
an optional ``why``. Correct is a response that keeps every rule; the reason counts those kept, such as ``rules:2/3``.
One that repeats the request word for word answers nothing, whatever the rules find in it (``echo``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any

from tao.answers.number import find_numbers
from tao.errors import InputError
from tao.prompts import Prompt
from tao_bench.verify.verdict import Status, Verdict, correct, failed

KINDS = ("must", "must_not", "number", "max_words", "min_words")
MAX_CHARS = 20_000
Rule = Callable[[str], bool]


@lru_cache(4096)
def _pattern(text: str) -> re.Pattern[str]:
    """A rule's expression; `re` itself keeps 512, fewer than a split has."""
    return re.compile(text, re.IGNORECASE | re.DOTALL)


def read_rule(raw: Any) -> Rule:
    """A rule as a function of a response.

    Raises:
        InputError: Not one rule, or one that cannot be read.
    """
    fix = f"write one of {', '.join(KINDS)}, such as {{must: refund}}"
    kinds = [kind for kind in KINDS if isinstance(raw, Mapping) and kind in raw]
    if len(kinds) != 1 or set(raw) - {kinds[0], "why", "tolerance"}:
        raise InputError(f"no rule: {str(raw)[:60]!r}", "gold", fix)
    kind, value = kinds[0], raw[kinds[0]]
    try:
        if kind in ("must", "must_not"):
            pattern = _pattern(str(value))
            return lambda text: (pattern.search(text) is not None) == (kind == "must")
        if kind == "number":
            wanted, most = Fraction(str(value)), Fraction(str(raw.get("tolerance", 0)))
            return lambda text: any(abs(found.value * found.scale - wanted) <= most for found in find_numbers(text))
        count = int(value)
    except (re.error, ValueError, TypeError) as error:
        raise InputError(f"rule {kind} cannot be read ({error})", "gold", fix) from error
    return (
        (lambda text: len(text.split()) <= count) if kind == "max_words" else (lambda text: len(text.split()) >= count)
    )


class RubricVerifier:
    """Judges free text by rules."""

    name = "rubric"
    version = "1"

    def grade(self, prompt: Prompt, gold: Any, response: str, finish_reason: str) -> Verdict:
        """Judge one response (`tao_bench.verify.verdict.Verifier`)."""
        try:
            rules = [read_rule(raw) for raw in gold] if isinstance(gold, list) else []
        except InputError as error:
            return failed(Status.VERIFIER_ERROR, "", error.what)
        if not rules:
            return failed(Status.VERIFIER_ERROR, "", "gold_without_rules")
        if finish_reason == "length":
            return failed(Status.TRUNCATED, "", "length")
        if not response.strip() or len(response) > MAX_CHARS:
            return failed(Status.UNPARSABLE, "", "too_long" if response.strip() else "empty")
        kept = sum(rule(response) for rule in rules)
        shown = " ".join(response.split())[:200]
        if " ".join(prompt.messages[-1].content.split()) in " ".join(response.split()):
            return failed(Status.WRONG, shown, "echo")
        return correct(shown) if kept == len(rules) else failed(Status.WRONG, shown, f"rules:{kept}/{len(rules)}")

    def close(self) -> None:
        """Nothing to release."""
