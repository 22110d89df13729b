"""A fake OpenAI-compatible server in this process: real HTTP on a local port, canned answers, faults on demand.

It says nothing about any model; it is there for what clients must survive.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tao.endpoint import Clock

Body = dict[str, Any]
Answer = Callable[[Body, int], str]
"""(request, choice) to the text of an answer."""


@dataclass(frozen=True)
class Raw:
    """A reply as it goes over the wire; `hang` holds the connection until the server closes."""

    status: int = 200
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False
    cut: bool = False
    """Close the connection without a reply."""


def echo(body: Body, choice: int) -> str:
    """Says the question and the seed back."""
    return f"{body['messages'][-1]['content']} / {body.get('seed')} / {choice}"


def completion(body: Body, answer: Answer = echo, *, n: int | None = None, **more: Any) -> Raw:
    """A well-formed reply; a token is a word, an end of text counts one."""
    texts = [answer(body, choice) for choice in range(body.get("n", 1) if n is None else n)]
    words = sum(len(message["content"].split()) for message in body["messages"])
    reply = {
        "id": "fake",
        "object": "chat.completion",
        "model": f"{body['model']}-2026",
        "choices": [
            {"index": i, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            for i, text in enumerate(texts)
        ],
        "usage": {"prompt_tokens": words, "completion_tokens": sum(len(text.split()) + 1 for text in texts)},
        **more,
    }
    return Raw(body=json.dumps(reply))


def fault(status: int, message: str = "sorry", *, headers: dict[str, str] | None = None, **more: Any) -> Raw:
    """An error in OpenAI's form."""
    return Raw(status, json.dumps({"error": {"message": message, **more}}), headers or {})


Script = Callable[[Body, int], Raw]
"""(request, requests before it) to the reply."""


class FakeEndpoint:
    """The server; use it as a context manager. `script` may be exchanged at any time.

    Attributes:
        asked: Every request body, in order of arrival.
        answered: (question, seed) to how often it was answered with 200.
        keys: Authorization headers seen.
    """

    def __init__(self, script: Script = lambda body, before: completion(body)) -> None:
        self.script = script
        self.asked: list[Body] = []
        self.answered: Counter[tuple[str, Any]] = Counter()
        self.keys: set[str | None] = set()
        self.most_at_once = self._at_once = 0
        self._lock, self._closing = threading.Lock(), threading.Event()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # one packet a reply: otherwise each waits for the last one's receipt

            def do_POST(self) -> None:
                fake._serve(self)

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> FakeEndpoint:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        with self._lock:
            before = len(self.asked)
            self.asked.append(body)
            self.keys.add(handler.headers.get("Authorization"))
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            raw = self.script(body, before) if handler.path == "/v1/chat/completions" else fault(404, "no such path")
            if raw.hang:
                self._closing.wait(30)
            if raw.hang or raw.cut:
                handler.close_connection = True
                return
            if raw.status == 200:
                with self._lock:
                    self.answered[body["messages"][-1]["content"], body.get("seed")] += 1
            sent = raw.body.encode()
            handler.send_response(raw.status)
            for name, value in {**raw.headers, "Content-Length": str(len(sent))}.items():
                handler.send_header(name, value)
            handler.end_headers()
            handler.wfile.write(sent)
        finally:
            with self._lock:
                self._at_once -= 1


class FakeClock(Clock):
    """Waits take no time, and are noted."""

    def __init__(self) -> None:
        self.time, self.slept = 0.0, list[float]()

    def now(self) -> float:
        return self.time

    def wall(self) -> float:
        return 1_700_000_000.0 + self.time

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds
