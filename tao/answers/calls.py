"""Answers that are calls of an API: what they do to the records a prompt is about, without a gold.

An answer is a JSON list of ``{"name": ..., "arguments": {...}}`` (of a text around it the last JSON counts). The
prompt's document describes the service: ``functions`` by name, each with what it ``does`` (a key of `EFFECTS`), its
``parameters`` (``type``: string, integer, date or enum with its ``values``; a ``default`` makes one optional) and
``roles`` (which parameter plays which part); and ``records`` by key, as they are before the calls. Answers mean the
same when they are the same calls, defaults filled in, in orders that leave the same records and notes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from tao.answers.record import RecordError, read_json
from tao.meaning import Outcome, Reading
from tao.prompts import Prompt

_DAY = re.compile(r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])")
MAX_CALLS = 50
Call = tuple[str, dict[str, Any]]
State = dict[str, dict[str, Any]]
Roles = Mapping[str, Any]


class CallError(ValueError):
    """Calls that are none, or not of this service; a reason code: ``no_calls``, ``too_many``, ``name``, ``schema``."""


class Refused(Exception):
    """A call that the records do not allow: an unknown key, too little to take from, a closed record."""


def load_service(path: str) -> dict[str, Any]:
    """The document of a prompt: functions and records.

    Raises:
        OSError, ValueError: It cannot be read.
    """
    loaded: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    return loaded


def typed(functions: Mapping[str, Any], value: Any) -> list[Call]:
    """The calls of a JSON value, each argument in its type's one spelling and defaults filled in.

    Raises:
        CallError: Not a list of calls, an unknown name, or an argument that is missing, unknown or of another type.
    """
    if not isinstance(value, list) or not all(_is_call(call) for call in value):
        raise CallError("no_calls")
    if len(value) > MAX_CALLS:
        raise CallError("too_many")
    found = []
    for call in value:
        function = functions.get(call["name"])
        if function is None:
            raise CallError("name")
        given, parameters = call["arguments"], function["parameters"]
        lacks = [name for name, kind in parameters.items() if name not in given and "default" not in kind]
        if lacks or set(given) - set(parameters):
            raise CallError("schema")
        filled = {name: _value(given.get(name, kind.get("default")), kind) for name, kind in parameters.items()}
        if None in filled.values():
            raise CallError("schema")
        found.append((str(call["name"]), filled))
    return found


def _is_call(call: Any) -> bool:
    return (
        isinstance(call, dict)
        and set(call) == {"name", "arguments"}
        and isinstance(call["name"], str)
        and isinstance(call["arguments"], dict)
    )


def _value(value: Any, kind: Mapping[str, Any]) -> Any:
    """An argument in its type's one spelling; None where it is of another type."""
    if kind["type"] == "integer":
        number = isinstance(value, int | Decimal) and not isinstance(value, bool)
        return int(value) if number and value == int(value) and value > 0 else None
    if not isinstance(value, str):
        return None
    text = " ".join(value.split()).casefold()
    if kind["type"] == "date":
        return text if _DAY.fullmatch(text) else None
    if kind["type"] == "enum":
        return text if text in kind["values"] else None
    return text or None


def run(service: Mapping[str, Any], calls: Sequence[Call]) -> dict[str, Any]:
    """Records and notes after the calls; the service's own records stay as they are.

    Raises:
        Refused: The records do not allow one of them.
    """
    state = {key.casefold(): dict(record) for key, record in service["records"].items()}
    notes: list[tuple[str, ...]] = []
    for name, arguments in calls:
        function = service["functions"][name]
        roles = {role: arguments[parameter] for role, parameter in function["roles"].items()}
        does = function["does"]
        if does == "open":
            _open(state, roles)
        elif does == "notify":  # closed records may be told about too
            notes.append(_note(_record(state, roles["key"], closed=True), roles))
        else:
            EFFECTS[does](state, _record(state, roles["key"]), roles)
    after = {key: {**record, "amount": str(Fraction(record["amount"]))} for key, record in state.items()}
    return {"records": after, "notes": sorted(notes)}


def _record(state: State, key: str, *, closed: bool = False) -> dict[str, Any]:
    record = state.get(key)
    if record is None or (record["closed"] and not closed):
        raise Refused(f"no open record {key}")
    return record


def _open(state: State, roles: Roles) -> None:
    if roles["key"] in state:
        raise Refused(f"{roles['key']} exists")
    amount = Fraction(roles["amount"])
    state[roles["key"]] = {"owner": roles["person"], "amount": amount, "state": "", "day": "", "closed": False}


def _note(record: Mapping[str, Any], roles: Roles) -> tuple[str, ...]:
    """A note says what the record says when it is sent, so that the order of a note and a change counts."""
    stands = {key: str(value).casefold() for key, value in record.items()}
    return roles["person"], roles["key"], roles["urgency"], str(sorted(stands.items()))


def _take(record: dict[str, Any], amount: int) -> None:
    if record["amount"] < amount:
        raise Refused("too little to take from")
    record["amount"] -= amount


def _add(state: State, record: dict[str, Any], roles: Roles) -> None:
    record["amount"] += roles["amount"]


def _cut(state: State, record: dict[str, Any], roles: Roles) -> None:
    _take(record, roles["amount"])


def _scale(state: State, record: dict[str, Any], roles: Roles) -> None:
    record["amount"] = Fraction(record["amount"]) * (100 + roles["percent"]) / 100


def _move(state: State, record: dict[str, Any], roles: Roles) -> None:
    other = _record(state, roles["other"])
    _take(record, roles["amount"])
    other["amount"] += roles["amount"]


def _sets(field: str, role: str) -> Callable[[State, dict[str, Any], Roles], None]:
    def effect(state: State, record: dict[str, Any], roles: Roles) -> None:
        record[field] = roles[role]

    return effect


def _close(state: State, record: dict[str, Any], roles: Roles) -> None:
    record["closed"] = True


EFFECTS: Mapping[str, Callable[[State, dict[str, Any], Roles], None]] = {
    "set": _sets("amount", "amount"),
    "add": _add,
    "cut": _cut,
    "scale": _scale,
    "move": _move,
    "state": _sets("state", "state"),
    "date": _sets("day", "day"),
    "owner": _sets("owner", "person"),
    "close": _close,
}
"""What a function can do to a record that is there; ``open`` makes one and ``notify`` tells about one."""


def call_key(call: Call) -> str:
    """One spelling of a call."""
    return json.dumps([call[0], sorted(call[1].items())], ensure_ascii=False)


def meaning(service: Mapping[str, Any], calls: Sequence[Call]) -> str:
    """One spelling for all orders of the same calls that do the same.

    Raises:
        Refused: The records do not allow one of them.
    """
    after = run(service, calls)
    return json.dumps([sorted(map(call_key, calls)), after], ensure_ascii=False, sort_keys=True)


class CallsInterpreter:
    """Reads calls and runs them on the records of the prompt's document (`tao.meaning.Interpreter`).

    Readings: ``invalid`` where there are no calls or the service does not know them, ``failed`` where the records
    refuse one, ``empty`` for no call at all, ``unscored`` where the document cannot be read; else ``ok``.
    """

    name = "calls"
    version = "1"

    def read(self, prompt: Prompt, answers: Sequence[str]) -> list[Reading]:
        """One reading per answer, in order."""
        try:
            service = load_service(prompt.handles["document"])
        except (KeyError, OSError, ValueError) as error:
            return [Reading(Outcome.UNSCORED, detail=f"no document ({type(error).__name__})")] * len(answers)
        return [_read(service, answer) for answer in answers]

    def close(self) -> None:
        """Nothing to release."""


def _read(service: Mapping[str, Any], answer: str) -> Reading:
    try:
        calls = typed(service["functions"], read_json(answer))
        return Reading(Outcome.OK if calls else Outcome.EMPTY, meaning(service, calls))
    except (RecordError, CallError) as error:
        return Reading(Outcome.INVALID, detail=str(error))
    except Refused as error:
        return Reading(Outcome.FAILED, detail=str(error))
