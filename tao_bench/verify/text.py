"""Verifier ``text@1``: a short text against one or several accepted ones.

Gold: a text, or a list of accepted texts. An answer is its last line (`tao.answers.text.final_text`); compared are
words without case, punctuation and articles, and numbers by value. With ``exact`` every character counts.
"""

from __future__ import annotations

from typing import Any

from tao.answers.text import MAX_CHARS, final_text, is_refusal, span_key, split_spans
from tao.prompts import Prompt
from tao_bench.verify.verdict import Status, Verdict, correct, failed


class TextVerifier:
    """Judges short texts.

    Args:
        exact: Whether every character counts, the white space around it aside.
        several: Whether gold and answer are lists of spans (``a; b``) whose order does not count.
    """

    name = "text"
    version = "1"

    def __init__(self, exact: bool = False, several: bool = False) -> None:
        self._exact, self._several = exact, several

    def grade(self, prompt: Prompt, gold: Any, response: str, finish_reason: str) -> Verdict:
        """Judge one response (`tao_bench.verify.verdict.Verifier`)."""
        accepted = gold if isinstance(gold, list) else [gold]
        if not accepted or not all(isinstance(one, str) and self._key(one) for one in accepted):
            return failed(Status.VERIFIER_ERROR, "", "gold_not_text")
        if finish_reason == "length":
            return failed(Status.TRUNCATED, "", "length")
        text = final_text(response)
        if not text or len(text) > MAX_CHARS:
            return failed(Status.UNPARSABLE, "", "too_long" if text else "empty")
        if self._key(text) in {self._key(one) for one in accepted}:
            return correct(text)
        return failed(Status.WRONG, text, "refusal" if is_refusal(text) else "text")

    def close(self) -> None:
        """Nothing to release."""

    def _key(self, text: str) -> str:
        if self._exact:
            return text.strip()
        if self._several:
            return "; ".join(sorted(span_key(span) for span in split_spans(text)))
        return span_key(text)
