"""Verifier ``choice@1``: labels of a closed set against the gold's, as sets.

Gold: the label, or (with ``several``) a list of labels or one text with separators. A wrong answer's reason says how it
misses: ``label``, ``missing`` (a label too few), ``extra`` (one too many) or ``labels`` (both).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tao.answers.choice import Choices
from tao.prompts import Prompt
from tao_bench.verify.verdict import Status, Verdict, correct, failed


class ChoiceVerifier:
    """Judges labels; see `tao.answers.choice.Choices` for its options."""

    name = "choice"
    version = "1"

    def __init__(self, choices: Sequence[str], several: bool = False, none: str = "") -> None:
        self._choices = Choices(choices, several, none)

    def grade(self, prompt: Prompt, gold: Any, response: str, finish_reason: str) -> Verdict:
        """Judge one response (`tao_bench.verify.verdict.Verifier`)."""
        try:
            wanted = self._gold(gold)
        except ValueError as error:
            return failed(Status.VERIFIER_ERROR, "", f"gold_{error}")
        if finish_reason == "length":
            return failed(Status.TRUNCATED, "", "length")
        try:
            named = self._choices.read(response)
        except ValueError as error:
            return failed(Status.UNPARSABLE, "", str(error))
        shown = ", ".join(sorted(named))
        if named == wanted:
            return correct(shown)
        if not self._choices.several:
            return failed(Status.WRONG, shown, "label")
        reason = "missing" if named < wanted else "extra" if named > wanted else "labels"
        return failed(Status.WRONG, shown, reason)

    def close(self) -> None:
        """Nothing to release."""

    def _gold(self, gold: Any) -> frozenset[str]:
        if isinstance(gold, list) and not gold and self._choices.several:
            return frozenset()
        return self._choices.read(gold if isinstance(gold, str) else json.dumps(gold, ensure_ascii=False))
