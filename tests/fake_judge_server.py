"""A fake chat-completions server on this machine: a real HTTP server, an invented judge.

It marks a candidate correct if it holds the reference's text, so that tests know what to expect. What it does besides
is set by the test: fail some requests first, prefer a position, or answer without a verdict.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class FakeJudge:
    """What the server does and what it saw."""

    failures: list[int] = field(default_factory=list)
    """HTTP statuses of the next requests; then it answers."""
    prefers_first: bool = False
    """Calls every candidate that stands first correct."""
    reply: str = ""
    """A fixed reply instead of a verdict of its own."""
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    url: str = ""

    def answer(self, body: dict[str, Any]) -> str:
        if self.reply:
            return self.reply
        text = body["messages"][-1]["content"]
        parts = dict(re.findall(r"<(reference|candidate)>\n(.*?)\n</\1>", text, re.DOTALL))
        right = parts["reference"].lower() in parts["candidate"].lower()
        if self.prefers_first:
            right = text.index("<candidate>") < text.index("<reference>")
        if "cannot" in parts["candidate"]:
            return "It declines.\nVERDICT: REFUSAL"
        return f"I compared them.\nVERDICT: {'CORRECT' if right else 'INCORRECT'}"


@contextmanager
def fake_judge_server() -> Iterator[FakeJudge]:
    """Serve on a free local port until the block ends."""
    judge = FakeJudge()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            judge.requests.append({"path": self.path, **body})
            judge.headers.append(dict(self.headers))
            status = judge.failures.pop(0) if judge.failures else 200
            content = {"choices": [{"message": {"role": "assistant", "content": judge.answer(body)}}]}
            raw = json.dumps(content if status == 200 else {"error": "fake"}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    judge.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield judge
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
