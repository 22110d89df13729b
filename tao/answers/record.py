"""Answers in JSON: records, and calls of tools; their meaning without a gold.

Of a text around it only the last JSON object or list counts. Records mean the same when they differ in the order of
keys, white space and spelling of numbers (2, 2.0, 2e0), and, where declared, in the order of a list.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from tao.answers.schema import make_validator
from tao.meaning import Outcome, Reading
from tao.prompts import Prompt

MAX_CHARS = 20_000
MAX_TRIES = 200
"""Brackets at which reading is tried before a text is given up."""
MAX_DEPTH = 32
MAX_POWER = 400
"""Powers of ten beyond which a number is refused; doubles end at 308."""
PLAIN = 30
"""Largest power of ten for which a number is spelt without an exponent."""


class RecordError(ValueError):
    """An answer that is no usable JSON; the message is a reason code: ``empty``, ``not_json``, ``schema``, ..."""


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise RecordError("duplicate_key")
    return found


def _never(name: str) -> Any:
    raise RecordError("not_finite")


def _read_number(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except ArithmeticError as error:  # an exponent beyond what even decimals hold
        raise RecordError("out_of_range") from error
    if abs(value.adjusted()) > MAX_POWER:
        raise RecordError("out_of_range")
    return value


_text = json.JSONEncoder(ensure_ascii=False).encode
_DECODER = json.JSONDecoder(
    parse_float=_read_number, parse_int=_read_number, parse_constant=_never, object_pairs_hook=_once
)


def read_json(text: str) -> Any:
    """The last JSON object or list of a text, numbers as exact decimals.

    Raises:
        RecordError: There is none, it is too long or too deep, names a key twice, or holds a number that is not finite.
    """
    if not text.strip():
        raise RecordError("empty")
    if len(text) > MAX_CHARS:
        raise RecordError("too_long")
    found: Any = None
    at, tries = 0, 0
    while (at := _bracket(text, at)) >= 0 and tries < MAX_TRIES:
        tries += 1
        try:
            found, at = _DECODER.raw_decode(text, at)
        except RecordError:
            raise
        except (ValueError, RecursionError):
            at += 1
    if found is None:
        raise RecordError("not_json")
    if _depth(found) > MAX_DEPTH:
        raise RecordError("too_deep")
    return found


def _bracket(text: str, start: int) -> int:
    places = [place for place in (text.find("{", start), text.find("[", start)) if place >= 0]
    return min(places, default=-1)


def _depth(value: Any) -> int:
    deepest, level = 0, [value]
    while level and deepest <= MAX_DEPTH:
        deepest += 1
        inner = [part for part in level if isinstance(part, dict | list)]
        level = [v for part in inner for v in (part.values() if isinstance(part, dict) else part)]
    return deepest


def exact(value: Any) -> Any:
    """A plain JSON value with its numbers as exact decimals, as `read_json` gives them."""
    return _DECODER.decode(json.dumps(value, ensure_ascii=False))


def plain(value: Any) -> Any:
    """The value with integers and floats again, as schemas and people want it."""
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [plain(part) for part in value]
    if isinstance(value, Decimal):
        whole = abs(value.adjusted()) < 64 and value == value.to_integral_value()
        return int(value) if whole else float(value)
    return value


def spell(value: Any) -> str:
    """One spelling for all ways to one value: keys sorted, numbers without trailing zeros."""
    if isinstance(value, dict):
        return "{" + ",".join([f"{_text(key)}:{spell(value[key])}" for key in sorted(value)]) + "}"
    if isinstance(value, list):
        return "[" + ",".join([spell(part) for part in value]) + "]"
    if isinstance(value, Decimal):
        return _number(value)
    return _text(value)


def _number(value: Decimal) -> str:
    """Digits without trailing zeros, all of them: rounding would let long numbers agree that differ."""
    text = f"{value:f}"
    if len(text) <= PLAIN:  # its power of ten is below PLAIN too; most numbers are short
        text = text.rstrip("0").rstrip(".") if "." in text else text
        return "0" if text == "-0" else text
    sign, digits, exponent = value.as_tuple()
    kept = "".join(map(str, digits)).lstrip("0")
    bare = kept.rstrip("0")
    if not bare:
        return "0"
    power = int(exponent) + len(kept) - len(bare)
    if abs(power) <= PLAIN:
        return f"{Decimal((sign, tuple(map(int, bare)), power)):f}"
    return f"{'-' * sign}{bare}E{power}"


def arrange(value: Any, unordered: Sequence[str], path: str = "") -> Any:
    """The value with the lists at the given dotted paths sorted, so that their order does not count.

    Args:
        value: A JSON value.
        unordered: Paths such as ``items`` or ``order.lines``; ``.`` is the value itself. The elements of a list share
            its path.
        path: Where `value` stands.
    """
    if isinstance(value, dict):
        return {key: arrange(part, unordered, f"{path}.{key}" if path else key) for key, part in value.items()}
    if isinstance(value, list):
        parts = [arrange(part, unordered, path) for part in value]
        return sorted(parts, key=spell) if (path or ".") in unordered else parts
    return value


class JsonInterpreter:
    """Reads JSON answers; needs no gold, no process, no connection (`tao.meaning.Interpreter`).

    Readings: ``invalid`` where there is no JSON or the schema refuses it, ``empty`` for ``{}`` and ``[]``; else ``ok``.

    Args:
        schema: JSON Schema that answers must satisfy; None for any object or list.
        unordered: See `arrange`.
    """

    name = "json"
    version = "1"

    def __init__(self, schema: Mapping[str, Any] | None = None, unordered: Sequence[str] = ()) -> None:
        self._complain, self._unordered = make_validator(schema), tuple(unordered)

    def read(self, prompt: Prompt, answers: Sequence[str]) -> list[Reading]:
        """One reading per answer, in order."""
        return [self._read(answer) for answer in answers]

    def close(self) -> None:
        """Nothing to release."""

    def _read(self, answer: str) -> Reading:
        try:
            value = read_json(answer)
        except RecordError as error:
            return Reading(Outcome.INVALID, detail=str(error))
        fault = self._complain(plain(value))
        if fault:
            return Reading(Outcome.INVALID, detail=fault)
        key = spell(arrange(value, self._unordered))
        return Reading(Outcome.OK if value else Outcome.EMPTY, key)
