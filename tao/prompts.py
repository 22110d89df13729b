"""What an application sends, and what a model answered: the nouns every stage passes on.

`Prompt` has **no field that could hold a label**, and its reader refuses a file that carries
one. Everything a stage may use about a prompt besides its text is a *handle*: the path of a
sandboxed database instance or of a document.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tao.errors import InputError

ROLES = ("system", "user", "assistant")
PROMPT_FIELDS = ("id", "messages", "context", "handles")


@dataclass(frozen=True, slots=True)
class Message:
    """One chat message."""

    role: str
    content: str

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise InputError(f"unknown role {self.role!r}", fix=f"use one of {', '.join(ROLES)}")


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a deployed application sends.

    Attributes:
        id: Unique within a pool; stable across runs.
        messages: Chat messages, the last one from the user.
        context: Lines of the last message that may be reordered without changing what is asked
            (tables of a schema, rows of a statement). Joined by newlines they occur verbatim in
            the last message, so a *view* of the prompt is one text replacement. May be empty.
        handles: Name to path of what the prompt is about, e.g. ``{"database": ".../tuning/x.json"}``.
            Only data that a deployed application could open too.
    """

    id: str
    messages: tuple[Message, ...]
    context: tuple[str, ...] = ()
    handles: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.id or not self.messages or self.messages[-1].role != "user":
            raise InputError("a prompt needs an id and messages that end with one from the user", where=self.id)
        if self.context and "\n".join(self.context) not in self.messages[-1].content:
            raise InputError("the context lines do not occur verbatim in the last message", where=self.id)

    def digest(self) -> str:
        """Content hash of everything but the handles' location on disk."""
        body = {"id": self.id, "messages": [asdict(m) for m in self.messages], "context": list(self.context)}
        return hashlib.sha256(json.dumps(body, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Sample:
    """One generated response to one prompt.

    Attributes:
        prompt_id: The prompt it answers.
        strategy: How the prompt was explored (see `tao.sampling.strategies`).
        index: 0-based position among the prompt's samples in this round.
        text: Raw completion, special tokens stripped.
        answer: The answer in deployment form, cut out of `text` (equal to it for ``direct``);
            None where the strategy's form was not kept, so that nothing could be cut out.
        token_ids: Completion token ids, end-of-text included when it was produced.
        prompt_tok: Prompt length in tokens, as fed (without padding).
        finish_reason: ``stop`` or ``length``.
    """

    prompt_id: str
    strategy: str
    index: int
    text: str
    answer: str | None
    token_ids: tuple[int, ...]
    prompt_tok: int
    finish_reason: str

    @property
    def completion_tok(self) -> int:
        """Generated tokens, end-of-text included."""
        return len(self.token_ids)


def _parse_prompt(row: Any, where: str, base: Path) -> Prompt:
    if not isinstance(row, dict):
        raise InputError("a prompt row must be a JSON object", where)
    unknown = sorted(set(row) - set(PROMPT_FIELDS))
    if unknown:
        raise InputError(
            f"unknown column {unknown[0]!r}: a pool holds prompts only, never labels or extra columns",
            where,
            f"keep only {', '.join(PROMPT_FIELDS)}; labels belong in labels/",
        )
    try:
        return Prompt(
            id=str(row["id"]),
            messages=tuple(Message(str(m["role"]), str(m["content"])) for m in row["messages"]),
            context=tuple(row.get("context", ())),
            handles={k: str((base / v).resolve()) for k, v in row.get("handles", {}).items()},
        )
    except InputError as error:
        raise InputError(error.what, where, error.fix) from error
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"malformed prompt row ({error!r})", where, 'write {"id": ..., "messages": [...]}') from error


def read_jsonl(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield (``file:line``, row) for every non-empty line of a JSONL file.

    Raises:
        InputError: The file is missing or a line is not JSON.
    """
    try:
        handle = path.open(encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", str(path)) from error
    with handle:
        for number, line in enumerate(handle, 1):
            if line.strip():
                where = f"{path}:{number}"
                try:
                    yield where, json.loads(line)
                except json.JSONDecodeError as error:
                    raise InputError(f"not JSON ({error.msg})", where) from error


def read_prompts(path: Path) -> list[Prompt]:
    """Read a pool: one JSON object a line with ``id``, ``messages``, ``context``, ``handles`` and nothing else.

    Relative handle paths are resolved against the file's folder.

    Raises:
        InputError: Missing file, malformed row, duplicate id, or any other column (a label, say).
    """
    prompts: list[Prompt] = []
    seen: set[str] = set()
    for where, row in read_jsonl(path):
        prompt = _parse_prompt(row, where, path.parent)
        if prompt.id in seen:
            raise InputError(f"duplicate id {prompt.id!r}", where)
        seen.add(prompt.id)
        prompts.append(prompt)
    if not prompts:
        raise InputError("no prompts in the file", str(path))
    return prompts


def request_digest(prompt: Prompt) -> str:
    """Hash of what is asked of what: messages and handles, the id aside."""
    body = [[asdict(message) for message in prompt.messages], sorted(prompt.handles.items())]
    return hashlib.sha256(json.dumps(body, ensure_ascii=False).encode()).hexdigest()[:16]


def write_prompts(path: Path, prompts: Sequence[Prompt]) -> None:
    """Write a pool that `read_prompts` reads; handles are written as they stand.

    Raises:
        InputError: The file cannot be written.
    """
    rows = [
        {
            "id": prompt.id,
            "messages": [asdict(message) for message in prompt.messages],
            **({"context": list(prompt.context)} if prompt.context else {}),
            **({"handles": dict(prompt.handles)} if prompt.handles else {}),
        }
        for prompt in prompts
    ]
    try:
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror})", str(path)) from error


def pool_digest(prompts: Sequence[Prompt]) -> str:
    """Content hash of a list of prompts, order included."""
    return hashlib.sha256("".join(p.digest() for p in prompts).encode()).hexdigest()[:16]
