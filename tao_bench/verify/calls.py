"""Verifier ``calls@1``: calls of an API by name and typed arguments, and by what they do in their order.

Gold: the list of calls, as an answer has it; the service is the prompt's document (`tao.answers.calls`). Correct is
the same calls, defaults filled in, in any order that leaves the same records and notes. Else the reason says what is
wrong: ``name`` (no such function), ``schema`` (an argument missing, unknown or of another type), ``calls:2/3`` (how
many are right), ``order`` (the right calls in an order that does something else, or that the records refuse).
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from tao.answers.calls import CallError, Refused, call_key, load_service, meaning, typed
from tao.answers.record import RecordError, exact, read_json, spell
from tao.prompts import Prompt
from tao_bench.verify.verdict import Status, Verdict, correct, failed


class CallsVerifier:
    """Judges calls; needs no process and no connection."""

    name = "calls"
    version = "1"

    def grade(self, prompt: Prompt, gold: Any, response: str, finish_reason: str) -> Verdict:
        """Judge one response (`tao_bench.verify.verdict.Verifier`)."""
        try:
            service = load_service(prompt.handles["document"])
        except (KeyError, OSError, ValueError):
            return failed(Status.VERIFIER_ERROR, "", "no_document")
        try:
            wanted = typed(service["functions"], exact(gold))
            after = meaning(service, wanted)
        except (CallError, Refused, TypeError, ValueError) as error:
            return failed(Status.VERIFIER_ERROR, "", f"gold_{error}")
        if finish_reason == "length":
            return failed(Status.TRUNCATED, "", "length")
        try:
            value = read_json(response)
        except RecordError as error:
            return failed(Status.UNPARSABLE, "", str(error))
        try:
            given = typed(service["functions"], value)
        except CallError as error:
            unreadable = str(error) in ("no_calls", "too_many")
            return failed(Status.UNPARSABLE if unreadable else Status.WRONG, spell(value)[:200], str(error))
        shown = spell(value)
        want, have = Counter(map(call_key, wanted)), Counter(map(call_key, given))
        if want != have:
            return failed(Status.WRONG, shown, f"calls:{(want & have).total()}/{max(want.total(), have.total())}")
        try:
            same = meaning(service, given) == after
        except Refused:
            same = False
        return correct(shown) if same else failed(Status.WRONG, shown, "order")

    def close(self) -> None:
        """Nothing to release."""
