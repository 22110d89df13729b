"""Requests as applications send them: chat, completions, Responses-style, tabular; each turned into chat messages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tao.prompts import ROLES, Message

TEXT_FIELDS = ("question", "query", "prompt", "input", "request", "text", "content")
"""Fields of a record that hold a request in words, in the order they are looked for."""
_ROLES = {"developer": "system", "human": "user", "ai": "assistant", "model": "assistant", "bot": "assistant"}


class Skip(Exception):
    """A row that yields no prompt; its text is the reason, in words fit for a count."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request as chat messages.

    Attributes:
        messages: Messages that end with one from the user.
        dropped: Trailing turns of the assistant that were taken off.
        ignored: Other fields of the record that held it.
    """

    messages: tuple[Message, ...]
    dropped: int = 0
    ignored: tuple[str, ...] = ()


def requests(body: Any) -> list[Request]:
    """The requests in a body: one of a chat, one a record of a table.

    Args:
        body: A JSON value or JSON text; plain text is one user message.

    Raises:
        Skip: Nothing to answer in it, or a turn that is not text.
    """
    if body is None:
        raise Skip("no request body")
    if isinstance(body, str):
        body = _decoded(body)
    if isinstance(body, str):
        return [_said(body)]
    if isinstance(body, list):
        return [_chat(body)]
    if not isinstance(body, Mapping):
        raise Skip("a request that is neither text nor an object")
    if "messages" in body:
        return [_chat(body["messages"])]
    for name in ("prompt", "input"):
        if name in body:
            found = _one(body[name])
            system = body.get("instructions")
            if isinstance(system, str) and system.strip():  # Responses API
                found = Request((Message("system", system), *found.messages), found.dropped)
            return [found]
    if isinstance(body.get("dataframe_split"), Mapping):
        split = body["dataframe_split"]
        try:
            return [_record(dict(zip(split["columns"], row, strict=True))) for row in split["data"]]
        except (KeyError, TypeError, ValueError) as error:
            raise Skip("a malformed dataframe_split") from error
    for name in ("dataframe_records", "instances", "inputs"):
        if name in body:
            records = body[name]
            return [_record(record) for record in records] if isinstance(records, list) else [_record(records)]
    return [_record(body)]


def _decoded(text: str) -> Any:
    """The JSON value that a text is, or the text itself: a request in words is no JSON."""
    if text.lstrip()[:1] not in ("{", "["):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _said(text: str) -> Request:
    if not text.strip():
        raise Skip("an empty request")
    return Request((Message("user", text),))


def _one(value: Any) -> Request:
    if isinstance(value, str):
        return _said(value)
    if isinstance(value, list) and value and all(isinstance(part, str) for part in value):
        if len(value) > 1:
            raise Skip("several prompts in one request")
        return _said(value[0])
    if isinstance(value, list):
        return _chat(value)
    raise Skip("a request that is neither text nor messages")


def _record(record: Any) -> Request:
    """A record of a table, or the inputs of an evaluation row."""
    if isinstance(record, str):
        return _said(record)
    if isinstance(record, list):
        return _chat(record)
    if not isinstance(record, Mapping):
        raise Skip("a record that is neither text nor an object")
    if "messages" in record:
        return replace(_chat(record["messages"]), ignored=_others(record, "messages"))
    for name in TEXT_FIELDS:
        if isinstance(record.get(name), str):
            return replace(_said(record[name]), ignored=_others(record, name))
    texts = [value for value in record.values() if isinstance(value, str)]
    if len(texts) == 1 and len(record) == 1:
        return _said(texts[0])
    raise Skip(f"no field that is known to hold a request (of {', '.join(sorted(map(str, record))[:5])})")


def _others(record: Mapping[Any, Any], read: str) -> tuple[str, ...]:
    return tuple(sorted(str(key) for key in record if key != read))


def _chat(turns: Any) -> Request:
    if not isinstance(turns, list) or not turns:
        raise Skip("no messages")
    messages: list[Message] = []
    for turn in turns:
        if not isinstance(turn, Mapping):
            raise Skip("a message that is no object")
        role = str(turn.get("role", "user")).lower()
        role = _ROLES.get(role, role)
        if role not in ROLES:
            raise Skip(f"a turn of the role {role!r}")
        message = Message(role, _text(turn.get("content")))
        if message.content and (not messages or messages[-1] != message):  # payloads repeat the last user message
            messages.append(message)
    dropped = 0
    while messages and messages[-1].role == "assistant":
        messages.pop()
        dropped += 1
    if not messages or messages[-1].role != "user":
        raise Skip("no turn of the user to answer")
    return Request(tuple(messages), dropped)


def _text(content: Any) -> str:
    if content is None:
        return ""  # an assistant's tool call
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = []
        for part in content:
            kind = part.get("type", "text") if isinstance(part, Mapping) else ""
            if kind not in ("text", "input_text", "output_text") or not isinstance(part.get("text"), str):
                raise Skip("content that is not text")
            parts.append(part["text"])
        return "".join(parts)
    raise Skip("content that is not text")
