"""Verifier ``json@1``: a record, or calls of tools, against a gold record field by field.

Gold: any JSON object or list. Correct is the whole record; a wrong one's reason counts the fields that are right, such
as ``fields:3/4`` (`field_score` turns it into a share). Fields are the leaves of both records: one too many counts as
one too few does. A value that the schema refuses is ``unparsable`` with reason ``schema``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any

from tao.answers.record import RecordError, arrange, exact, plain, read_json, spell
from tao.answers.schema import make_validator
from tao.errors import InputError
from tao.prompts import Prompt
from tao_bench.verify.verdict import Status, Verdict, correct, failed

_FIELDS = re.compile(r"fields:(\d+)/(\d+)")
GOLDS = 4096
"""Golds kept as fields; a run judges each of them many times."""
_INDEX = re.compile(r"\[\d+\]")


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """(path, value) of every leaf; an empty object or list is one."""
    if isinstance(value, dict) and value:
        for key, part in value.items():
            yield from leaves(part, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and value:
        for index, part in enumerate(value):
            yield from leaves(part, f"{path}[{index}]")
    else:
        yield path, value


def field_score(verdict: Verdict) -> float:
    """Share of the fields that are right: 1 for a correct record, 0 where nothing could be read."""
    if verdict.status is Status.CORRECT:
        return 1.0
    match = _FIELDS.fullmatch(verdict.reason)
    return int(match[1]) / int(match[2]) if match else 0.0


class JsonVerifier:
    """Judges JSON answers.

    Args:
        schema: JSON Schema an answer must satisfy.
        unordered: Dotted paths of lists whose order does not count; ``.`` is the answer itself.
        tolerance: Dotted path (without indices) to the largest accepted absolute difference of a number.
        ignore_case: Whether text is compared without regard to case and runs of white space.

    Raises:
        InputError: No JSON Schema, or a tolerance that is no number.
    """

    name = "json"
    version = "1"

    def __init__(
        self,
        schema: Mapping[str, Any] | None = None,
        unordered: Sequence[str] = (),
        tolerance: Mapping[str, float] | None = None,
        ignore_case: bool = False,
    ) -> None:
        self._complain, self._unordered, self._fold = make_validator(schema), tuple(unordered), ignore_case
        for path, most in (tolerance or {}).items():
            if isinstance(most, bool) or not isinstance(most, int | float) or most < 0:
                raise InputError(f"{most!r} is no tolerance", f"verifier_options.tolerance.{path}")
        self._tolerance = {path: Decimal(str(most)) for path, most in (tolerance or {}).items()}
        self._gold = lru_cache(GOLDS)(self._read_gold)

    def grade(self, prompt: Prompt, gold: Any, response: str, finish_reason: str) -> Verdict:
        """Judge one response (`tao_bench.verify.verdict.Verifier`)."""
        if not isinstance(gold, dict | list):
            return failed(Status.VERIFIER_ERROR, "", "gold_not_json")
        fault, wanted = self._gold(json.dumps(gold, ensure_ascii=False))
        if fault:
            return failed(Status.VERIFIER_ERROR, fault, "gold_schema")
        if finish_reason == "length":
            return failed(Status.TRUNCATED, "", "length")
        try:
            value = read_json(response)
        except RecordError as error:
            return failed(Status.UNPARSABLE, "", str(error))
        if fault := self._complain(plain(value)):
            return failed(Status.UNPARSABLE, fault, "schema")
        shown = spell(value)
        given = self._fields(value)
        right = sum(path in given and self._same(path, given[path], want) for path, want in wanted.items())
        every = len(wanted.keys() | given.keys())
        return correct(shown) if right == every else failed(Status.WRONG, shown, f"fields:{right}/{every}")

    def close(self) -> None:
        """Nothing to release."""

    def _read_gold(self, text: str) -> tuple[str, dict[str, Any]]:
        """What is wrong with a gold ('' if nothing), and its fields by path."""
        value = json.loads(text)
        if fault := self._complain(value):
            return fault, {}
        try:
            return "", self._fields(exact(value))
        except RecordError as error:  # a number without end
            return str(error), {}

    def _fields(self, value: Any) -> dict[str, Any]:
        return dict(leaves(arrange(value, self._unordered) if self._unordered else value))

    def _same(self, path: str, given: Any, wanted: Any) -> bool:
        if isinstance(given, Decimal) and isinstance(wanted, Decimal):
            if given == wanted or not self._tolerance:
                return given == wanted
            return abs(given - wanted) <= self._tolerance.get(_INDEX.sub("", path), Decimal(0))
        if self._fold and isinstance(given, str) and isinstance(wanted, str):
            return " ".join(given.split()).casefold() == " ".join(wanted.split()).casefold()
        return type(given) is type(wanted) and given == wanted
