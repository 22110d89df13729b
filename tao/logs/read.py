"""Logs to prompts: the kind of a log is known by its columns, and of a row nothing but the request is kept.

Answers, expectations, scores and who asked are never read into a prompt: they are listed as ignored. Sources of the
formats: OpenAI's chat, batch and completion files; Databricks inference tables (legacy, AI Gateway, Unity AI Gateway);
MLflow traces (v2, v3) and evaluation rows.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tao.errors import InputError
from tao.logs.bodies import Request, Skip, requests
from tao.logs.rows import Row, read_rows
from tao.prompts import PROMPT_FIELDS, Message, Prompt, read_prompts

EXAMPLES_NAMED = 3


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of log.

    Attributes:
        name: As reports print it.
        marks: Columns that all must be there.
        one_of: Columns of which one must be there, if any are named.
        request: Column with the request.
        ids: Columns with the row's id, in order of preference.
    """

    name: str
    marks: frozenset[str]
    request: str
    ids: tuple[str, ...] = ()
    one_of: frozenset[str] = frozenset()


FORMATS = (
    Format("OpenAI batch", frozenset({"custom_id", "body"}), "body", ("custom_id",)),
    Format(
        "Databricks inference table",
        frozenset({"request", "status_code"}),
        "request",
        ("databricks_request_id", "invocation_id"),
        frozenset({"databricks_request_id", "invocation_id"}),
    ),
    Format("MLflow trace", frozenset({"info", "data"}), "data"),
    Format(
        "MLflow trace",
        frozenset({"request", "spans"}),
        "request",
        ("trace_id", "request_id"),
        frozenset({"trace_id", "request_id"}),
    ),
    Format("MLflow evaluation rows", frozenset({"inputs"}), "inputs"),
    Format("OpenAI chat", frozenset({"messages"}), "messages"),
    Format("OpenAI completion", frozenset({"prompt", "completion"}), "prompt"),
)
"""Tried in this order; the first whose columns are there."""

_KNOWN_CHAT = frozenset({"messages", "tools", "parallel_tool_calls", "functions", "metadata", "weight"})


@dataclass(slots=True)
class LogRead:
    """What reading a log came to.

    Attributes:
        prompts: Its prompts, in file order, each once.
        format: Kind of log.
        rows: Rows of the file.
        skipped: Reason to rows skipped for it.
        examples: Reason to the first rows skipped for it, as ``file:line``.
        ignored: Column to rows that had it, of the columns that were not read.
        dropped_turns: Trailing turns of the assistant that were taken off.
        repeated: Rows whose id or request came before.
    """

    format: str = ""
    prompts: list[Prompt] = field(default_factory=list)
    rows: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    ignored: Counter[str] = field(default_factory=Counter)
    dropped_turns: int = 0
    repeated: int = 0

    def skip(self, reason: str, where: str) -> None:
        """Count a row that yields no prompt."""
        self.skipped[reason] += 1
        named = self.examples.setdefault(reason, [])
        if len(named) < EXAMPLES_NAMED:
            named.append(where)

    def summary(self) -> str:
        """A few lines for people: what was kept, skipped and ignored, and why."""
        lines = [f"{self.format}: {len(self.prompts)} prompts of {self.rows} rows"]
        if self.repeated:
            lines.append(f"  {self.repeated} repeated an earlier id or request")
        for reason, count in self.skipped.most_common():
            lines.append(f"  {count} skipped: {reason} ({', '.join(self.examples[reason])})")
        if self.dropped_turns:
            lines.append(f"  {self.dropped_turns} trailing turns of the assistant dropped")
        if self.ignored:
            lines.append(f"  columns not read: {', '.join(sorted(self.ignored))}")
        return "\n".join(lines)


def read_log(path: Path, request: str | None = None, instructions: str = "") -> LogRead:
    """Read the prompts of a log.

    Args:
        path: A file of `tao.logs.rows`.
        request: Column with the request; None recognises the kind of log by its columns.
        instructions: A system message put before every request that has none.

    Raises:
        InputError: Missing or damaged file, columns of no known kind, a pool with a column that could hold a label, or
            no prompt in it at all.
    """
    if request is None and path.suffix.lower() in (".jsonl", ".ndjson") and _is_pool(path):
        try:
            prompts = [_instructed(prompt, instructions) for prompt in read_prompts(path)]
        except UnicodeDecodeError as error:
            raise InputError("not UTF-8", str(path), "save it as UTF-8") from error
        return LogRead("pool", prompts, len(prompts))
    read = LogRead()
    seen: set[str] = set()
    known: Format | None = None
    for row in read_rows(path):
        read.rows += 1
        if row.fault:
            read.skip(row.fault, row.where)
            continue
        if known is None:
            known = _declared(row, request) if request is not None else _recognised(row)
            read.format = known.name
        read.ignored.update(set(row.fields) - {known.request, *known.ids})
        try:
            found = _of_row(row.fields, known)
        except Skip as reason:
            read.skip(str(reason), row.where)
            continue
        name = next((str(row.fields[column]) for column in known.ids if row.fields.get(column)), "")
        for number, one in enumerate(found):
            read.dropped_turns += one.dropped
            read.ignored.update(f"{known.request}.{part}" for part in one.ignored)
            body = hashlib.sha256(json.dumps([asdict(m) for m in one.messages]).encode()).hexdigest()[:16]
            prompt_id = (name if number == 0 else f"{name}.{number}") if name else f"p-{body}"
            if body in seen or prompt_id in seen:
                read.repeated += 1
                continue
            seen.update((body, prompt_id))
            read.prompts.append(_instructed(Prompt(prompt_id, one.messages), instructions))
    if not read.prompts:
        named = (f"{n} {why}: {', '.join(read.examples[why])}" for why, n in read.skipped.most_common(3))
        reasons = "; ".join(named) or "no rows"
        raise InputError(f"no prompts in the file ({reasons})", str(path))
    return read


def _instructed(prompt: Prompt, instructions: str) -> Prompt:
    if not instructions or prompt.messages[0].role == "system":
        return prompt
    return Prompt(prompt.id, (Message("system", instructions), *prompt.messages), prompt.context, prompt.handles)


def _is_pool(path: Path) -> bool:
    """Whether the first row is one of our own pools: an id beside messages (and then strictly so)."""
    for row in read_rows(path):
        return not row.fault and {"id", "messages"} <= set(row.fields)
    return False


def _recognised(row: Row) -> Format:
    columns = set(row.fields)
    for known in FORMATS:
        if known.marks <= columns and (not known.one_of or known.one_of & columns):
            break
    else:
        shown = ", ".join(sorted(columns)[:8])
        raise InputError(
            f"no known kind of log has these columns: {shown}",
            row.where,
            "name the one with the request: --request-column",
        )
    if known.name == "OpenAI chat" and (odd := sorted(columns - _KNOWN_CHAT)):
        raise InputError(
            f"unknown column {odd[0]!r}: a pool holds prompts only, never labels or extra columns",
            row.where,
            f"keep only {', '.join(PROMPT_FIELDS)}, or say --request-column messages: then nothing else is read",
        )
    return known


def _declared(row: Row, request: str) -> Format:
    if request not in row.fields:
        raise InputError(f"no column {request!r}", row.where, f"there are {', '.join(sorted(row.fields)[:12])}")
    known = next((f for f in FORMATS if f.request == request and f.ids and f.marks <= set(row.fields)), None)
    return known or Format(f"rows with the request in {request!r}", frozenset(), request, ("id",))


def _of_row(fields: Mapping[str, Any], known: Format) -> list[Request]:
    status = fields.get("status_code")
    if known.name == "Databricks inference table":
        if status not in (None, "") and not str(status).startswith("2"):
            raise Skip(f"status {status}")
        codes = fields.get("logging_error_codes")
        if fields.get("request") in (None, "", "null") and codes:
            raise Skip(f"no request body ({codes if isinstance(codes, str) else ', '.join(map(str, codes))})")
    if known.request == "data":
        return requests(_root_inputs(fields["data"]))
    if known.request not in fields:
        raise Skip(f"no field {known.request!r}")
    return requests(fields[known.request])


def _root_inputs(data: Any) -> Any:
    """Inputs of the root span of an MLflow trace in its JSON form."""
    if isinstance(data, str):
        try:
            data = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise Skip("a trace that is not JSON") from error
    spans = data.get("spans") if isinstance(data, Mapping) else None
    for span in spans if isinstance(spans, list) else []:
        if isinstance(span, Mapping) and not (span.get("parent_id") or span.get("parent_span_id")):
            given = span.get("inputs")
            attributes = span.get("attributes")
            if given is None and isinstance(attributes, Mapping):
                given = attributes.get("mlflow.spanInputs")
            return given
    raise Skip("a trace without a root span")
