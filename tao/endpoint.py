"""A client of OpenAI-compatible chat completions that survives what servers do: limits, restarts, hanging connections.

What every user of a remote model needs and no more: bounded concurrency, a time limit a request, retries with
exponential backoff that honour ``Retry-After``, and token usage of every reply. The key is read from an
environment variable, named in files and never written anywhere.
"""

from __future__ import annotations

import asyncio
import email.utils
import json
import logging
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

from tao.errors import InputError
from tao.prompts import Message

if TYPE_CHECKING:
    import aiohttp

_log = logging.getLogger(__name__)

FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0
MOST_PATIENCE_S = 300.0
"""A server that asks to wait longer than this is taken for dead; the run can go on later."""
RETRIED = frozenset({408, 409, 425, 429, *range(500, 600)})
FINISHED = {"length": "length", "max_tokens": "length", "content_filter": "content_filter"}
"""Reasons of a server that mean something else than the model's own end."""
BROKEN = ("error", "abort")
MANNER = frozenset({"url", "key_env", "concurrency", "timeout_s", "attempts", "usd_per_m_in", "usd_per_m_out"})
"""Fields that say where, how and at what price to ask, never what is answered: a run goes on when they change. The
model's name is what an endpoint is known by, so two servers that serve different weights under one name are taken for
one."""
ENDPOINTS = frozenset({"endpoint", "reworder"})
"""What settings call an `EndpointSpec`."""


def settled(fields: Any) -> Any:
    """Settings, JSON-able, without the manner (`MANNER`) of the endpoints among them, at any depth."""
    if isinstance(fields, list):
        return [settled(one) for one in fields]
    if not isinstance(fields, Mapping):
        return fields
    return {
        name: {key: value for key, value in inner.items() if key not in MANNER}
        if name in ENDPOINTS and isinstance(inner, Mapping)
        else settled(inner)
        for name, inner in fields.items()
    }


Kept = TypeVar("Kept")


def read_kept(path: Path, kind: Callable[..., Kept], what: str) -> Iterator[Kept]:
    """Paid replies that an earlier process noted, one JSON object a line; a line torn by a kill is cut off.

    Args:
        path: The notes; there may be none.
        kind: Makes a reply of an object's fields.
        what: What a line that is none is called in the error.

    Raises:
        InputError: A line is no such reply.
    """
    data = path.read_bytes() if path.exists() else b""
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) != len(data):
        with path.open("r+b") as handle:
            handle.truncate(len(whole))
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            yield kind(**json.loads(line))
        except (ValueError, TypeError) as error:
            raise InputError(what, f"{path}:{number}", "remove the line") from error


class EndpointSpec(BaseModel):
    """Which server and model, and how to ask it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str
    """Base of the API, e.g. ``https://api.openai.com/v1``; ``/chat/completions`` is added."""
    model: str = Field(min_length=1)
    """The model's name there."""
    key_env: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """Environment variable that holds the key; None sends none."""
    concurrency: int = Field(default=8, ge=1)
    """Requests in flight at most."""
    timeout_s: float = Field(default=120.0, gt=0)
    """Of one request, from connecting to the last byte."""
    attempts: int = Field(default=8, ge=1)
    """Times a request is sent before the server is taken for dead."""
    usd_per_m_in: float | None = Field(default=None, ge=0)
    """Price of a million prompt tokens; with `usd_per_m_out` the ledger holds dollars too."""
    usd_per_m_out: float | None = Field(default=None, ge=0)
    """Price of a million completion tokens."""
    body: Mapping[str, Any] = Field(default_factory=dict)
    """Fields of the request to add or replace; null leaves one out, e.g. ``{top_k: -1}`` (a vLLM server otherwise
    applies the checkpoint's own top_k) or ``{max_tokens: null, max_completion_tokens: 256}`` (reasoning models)."""

    @field_validator("url")
    @classmethod
    def _plain_url(cls, url: str) -> str:
        if not url.startswith(("http://", "https://")):
            raise ValueError("write a whole URL, e.g. https://api.openai.com/v1")
        if "@" in url.partition("//")[2].partition("/")[0] or "?" in url:
            raise ValueError("a key does not belong in the URL: put it in an environment variable and name that")
        return url.rstrip("/").removesuffix("/chat/completions")

    def key(self) -> str | None:
        """The key.

        Raises:
            InputError: The environment variable is not set.
        """
        if self.key_env is None:
            return None
        key = os.environ.get(self.key_env, "").strip()
        if not key:
            raise InputError(
                "holds no key", f"environment variable {self.key_env}", f"export {self.key_env}=... and run it again"
            )
        return key

    def usd(self, prompt_tok: int, completion_tok: int) -> float | None:
        """Price of tokens; None where the prices are not given."""
        if self.usd_per_m_in is None or self.usd_per_m_out is None:
            return None
        return (prompt_tok * self.usd_per_m_in + completion_tok * self.usd_per_m_out) / 1e6


class EndpointError(InputError):
    """The server is dead, or refuses a request for good; nothing it answered before is lost."""


class ManyRefused(Exception):
    """The server says that it gives one answer a request."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer: its text, and why it ended (``stop``, ``length``, ``content_filter``).

    `first_tok` holds log-probabilities of candidates for its first token, where the request asks for them and the
    server gives them.
    """

    text: str
    finish_reason: str
    first_tok: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What one request brought.

    Attributes:
        choices: At least one; fewer than asked for from a server that ignores ``n``.
        prompt_tok: As the server counted them, once a request.
        completion_tok: Of all choices together.
        model: The model that the server says it used.
        retries: Attempts before the one that succeeded.
    """

    choices: tuple[Choice, ...]
    prompt_tok: int
    completion_tok: int
    model: str
    retries: int


class Clock:
    """Time as retries see it; tests put in one that does not wait."""

    def now(self) -> float:
        """Seconds since some fixed moment."""
        return time.monotonic()

    def wall(self) -> float:
        """Seconds since the epoch, for ``Retry-After`` dates."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class _Retry(Exception):
    """This attempt failed in a way that another may not.

    Args:
        why: What happened, without secrets.
        wait_s: What the server asked for.
    """

    def __init__(self, why: str, wait_s: float | None = None) -> None:
        super().__init__(why)
        self.why, self.wait_s = why, wait_s


class ChatClient:
    """An open connection pool to one endpoint; use it as an async context manager within one event loop.

    Args:
        spec: The endpoint.
        clock: Replaced in tests.

    Raises:
        InputError: The key's variable is empty, or aiohttp is not installed.
    """

    def __init__(self, spec: EndpointSpec, clock: Clock | None = None) -> None:
        try:
            import aiohttp
        except ModuleNotFoundError as error:
            raise InputError("needs aiohttp", "endpoint", "pip install 'tao-bench[endpoint]'") from error
        self.spec = spec
        self._http = aiohttp
        self._key = spec.key()
        self._clock = clock or Clock()
        self._free = asyncio.Semaphore(spec.concurrency)
        self._jitter = random.Random()  # spreads retries in time; no answer depends on it
        self._closed_until = 0.0
        self._dead: EndpointError | None = None
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> ChatClient:
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        limit = self._http.ClientTimeout(total=self.spec.timeout_s)
        pool = self._http.TCPConnector(limit=self.spec.concurrency)
        self._session = self._http.ClientSession(headers=headers, timeout=limit, connector=pool, trust_env=True)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._session is not None
        await self._session.close()

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        temperature: float,
        max_tok: int,
        seed: int,
        n: int = 1,
        where: str = "",
        extra: Mapping[str, Any] | None = None,
    ) -> Reply:
        """Ask for n answers to one chat.

        Once one request has failed for good no further one is sent, and those waiting to be sent again give up.

        Args:
            messages: The chat.
            temperature: 0 is greedy.
            max_tok: Longest answer.
            seed: Servers that know no seeds ignore it.
            n: Answers wanted.
            where: Names the request in errors.
            extra: Further fields of the request; the endpoint's own `body` goes before them.

        Raises:
            ManyRefused: The server takes no ``n``; ask one by one.
            EndpointError: Refused for good, or every attempt failed.
        """
        body = {
            "model": self.spec.model,
            "messages": [{"role": message.role, "content": message.content} for message in messages],
            "temperature": temperature,
            "top_p": 1.0,
            "max_tokens": max_tok,
            "seed": seed,
            **({"n": n} if n > 1 else {}),
            **(extra or {}),
            **self.spec.body,
        }
        body = {name: value for name, value in body.items() if value is not None}
        async with self._free:
            for attempt in range(self.spec.attempts):
                await self._wait_until_open()
                if self._dead:
                    raise self._dead
                try:
                    return await self._attempt(body, attempt, where)
                except _Retry as failure:
                    if attempt + 1 == self.spec.attempts or (failure.wait_s or 0) > MOST_PATIENCE_S:
                        raise self._die(self._gave_up(failure, attempt + 1, where)) from None
                    if attempt:  # one failure is everyday; who waits longer wants to know for what
                        _log.warning(
                            "%s: %s; asking again (%d of %d)", where, failure.why, attempt + 2, self.spec.attempts
                        )
                    await self._back_off(attempt, failure.wait_s)
        raise AssertionError("unreachable")

    async def _wait_until_open(self) -> None:
        """A server that named a time to come back is left alone by all requests until then."""
        while not self._dead and (wait := self._closed_until - self._clock.now()) > 0:
            await self._clock.sleep(wait)

    async def _back_off(self, attempt: int, asked_s: float | None) -> None:
        if asked_s is not None:
            self._closed_until = max(self._closed_until, self._clock.now() + asked_s)
        most = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**attempt)
        await self._clock.sleep(most * self._jitter.uniform(0.5, 1.0))

    async def _attempt(self, body: Mapping[str, Any], retries: int, where: str) -> Reply:
        assert self._session is not None
        try:
            async with self._session.post(f"{self.spec.url}/chat/completions", json=body) as response:
                status, headers, raw = response.status, response.headers, await response.read()
        except TimeoutError:
            raise _Retry(f"no answer within {self.spec.timeout_s:g} s") from None
        except (self._http.ClientError, OSError) as error:
            raise _Retry(self._safe(f"{type(error).__name__}: {error}")) from None
        try:
            content = json.loads(raw)
        except ValueError:
            content = None
        if status != 200:
            fault = {"message": raw.decode(errors="replace")} if content is None else _fault(content)
            if status in (400, 422) and "n" in body and fault.get("param") == "n":
                raise ManyRefused
            return self._refused(status, headers, fault, body.get("n", 1), where)
        return self._reply(content, retries, where)

    def _refused(self, status: int, headers: Mapping[str, str], fault: Mapping[str, Any], n: int, where: str) -> Reply:
        """What a status other than 200 means: a filtered prompt, another attempt, or the end."""
        code = str(fault.get("code") or fault.get("type") or "")
        # The key is taken out before the text is cut, or a part of it could stay.
        said = self._safe(str(fault.get("message") or ""))[:300]
        why = f"HTTP {status}" + (f": {said}" if said else "")
        if status == 400 and code == "content_filter":
            return Reply((Choice("", "content_filter"),) * n, 0, 0, self.spec.model, 0)
        if status in RETRIED and code != "insufficient_quota":
            raise _Retry(why, self._retry_after(headers))
        fixes = {
            401: f"check the key in {self.spec.key_env}" if self.spec.key_env else "name the key's variable in key_env",
            404: "check url and model",
            429: "the account has no quota left: top it up, then run the same command again",
        }
        fix = fixes.get(status, "the request is at fault: see `body` for fields that this server wants otherwise")
        raise self._die(EndpointError(f"refuses the request ({why})", self._place(where), fix))

    def _reply(self, content: Any, retries: int, where: str) -> Reply:
        """Read a completion; anything that is none is worth another attempt."""
        try:
            choices = tuple(_choice(choice) for choice in content["choices"])
            usage = content.get("usage") or {}
            model = str(content.get("model") or self.spec.model)
        except (TypeError, KeyError, AttributeError, ValueError):
            raise _Retry("the reply is no chat completion") from None
        if not choices:
            raise _Retry("the reply holds no choices")
        try:
            prompt_tok, completion_tok = int(usage["prompt_tokens"]), int(usage["completion_tokens"])
        except (TypeError, KeyError, ValueError):
            raise self._die(
                EndpointError(
                    "the reply does not say how many tokens it took, the ledger would be wrong",
                    self._place(where),
                    "ask a server that reports `usage`",
                )
            ) from None
        return Reply(choices, prompt_tok, completion_tok, model, retries)

    def _gave_up(self, failure: _Retry, attempts: int, where: str) -> EndpointError:
        times = f"{attempts} attempt{'s' * (attempts > 1)}"
        asked = f"; it asks to wait {failure.wait_s:,.0f} s" if (failure.wait_s or 0) > MOST_PATIENCE_S else ""
        return EndpointError(
            f"no answer after {times} ({failure.why}{asked})",
            self._place(where),
            "run the same command again when it answers",
        )

    def _die(self, error: EndpointError) -> EndpointError:
        self._dead = self._dead or error
        return error

    def _place(self, where: str) -> str:
        return f"{self.spec.model} at {self.spec.url}" + (f", {where}" if where else "")

    def _safe(self, text: str) -> str:
        """One line without the key, which some servers repeat."""
        text = " ".join(text.split())
        return text.replace(self._key, "***") if self._key else text

    def _retry_after(self, headers: Mapping[str, str]) -> float | None:
        """Seconds a server asks to wait: a number, or a date (RFC 9110, section 10.2.3)."""
        value = headers.get("Retry-After", "").strip()
        if not value:
            return None
        try:
            return max(0.0, float(value))
        except ValueError:
            pass
        try:
            return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - self._clock.wall())
        except (ValueError, TypeError):
            return None


def _fault(content: Any) -> Mapping[str, Any]:
    """The ``error`` object of a reply; some servers write a text there, or nothing."""
    fault = content.get("error", content) if isinstance(content, dict) else {}
    return fault if isinstance(fault, dict) else {"message": str(fault)}


def _choice(choice: Any) -> Choice:
    message, reason = choice["message"], str(choice.get("finish_reason") or "stop")
    if reason in BROKEN:
        raise ValueError(reason)
    content = message.get("content")
    if isinstance(content, list):  # parts, as some servers write them
        content = "".join(str(part.get("text", "")) for part in content)
    text = str(content or message.get("refusal") or "")
    return Choice(text, FINISHED.get(reason, "stop"), _first_tok(choice.get("logprobs")))


def _first_tok(logprobs: Any) -> Mapping[str, float] | None:
    """Log-probabilities of the first token's candidates; servers that offer none leave them out, or write null."""
    try:
        found = {str(one["token"]): float(one["logprob"]) for one in logprobs["content"][0]["top_logprobs"]}
    except (TypeError, KeyError, IndexError, ValueError):
        return None
    return found or None
