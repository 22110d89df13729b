"""A real Spark in a process of its own: it has no sandbox, so it serves golds, and is thrown away when it hangs.

ANSI mode, UTC, one core. `tao.sql.engines.spark_worker` is the other side; messages are JSON lines.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tao.errors import InputError
from tao.sql.engines import Reply, rows_of_json

_START_S = 600.0  # a busy machine starts a JVM slowly
_LOAD_S = 600.0
_JAVA_OPTIONS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"  # golds are many and short: start fast, stay small
# What leaves the JVM or reads files: golds have no use for it, and there is no wall behind this one.
_REFUSED = re.compile(
    r"\b(reflect|java_method|try_reflect|transform\s*\([^)]*\)\s*using|(?:text|csv|json|parquet|orc)\.`)", re.I
)


class SparkEngine:
    """Runs Databricks queries on Spark; implements `tao.sql.engines.QueryEngine`.

    Args:
        python: The interpreter that has pyspark; None for this one.
        wall_s: Time of one statement, after which the process is killed and started anew.

    Raises:
        InputError: Spark does not start (at the first `load`).
    """

    name = "spark"

    def __init__(self, python: str | None = None, wall_s: float = 600.0) -> None:
        self._python = python or sys.executable
        self._wall_s = wall_s
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._loaded: Path | None = None
        self._buffer = b""

    def load(self, path: Path) -> None:
        """Serve the instance of a file from now on.

        Raises:
            InputError: Spark does not start, or cannot hold the instance.
        """
        self._loaded = path
        if self._process is None:
            self._start()
        answer = self._ask({"load": str(path.resolve())}, _LOAD_S)
        if answer is None or "error" in answer:
            raise InputError(f"Spark cannot load it: {(answer or {}).get('error', 'no answer')}", str(path))

    def run(self, sql: str) -> Reply:
        """Run one query. Never raises for what the statement holds."""
        if _REFUSED.search(sql):
            return Reply(error="refused: reaches outside of the engine")
        try:
            if self._process is None and self._loaded is not None:
                self.load(self._loaded)
            answer = self._ask({"sql": sql}, self._wall_s)
        except InputError as error:
            return Reply(error=error.what, is_engine_fault=True)
        if answer is None:
            self._kill()
            return Reply(error=f"no answer within {self._wall_s:g} s", is_engine_fault=True)
        if "error" in answer:
            return Reply(error=answer["error"])
        return Reply(rows_of_json(answer["rows"]), answer["width"])

    def close(self) -> None:
        """End the process."""
        self._kill()

    def _start(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="spark-")
        root = str(Path(__file__).resolve().parents[3])
        path = os.pathsep.join(part for part in (root, os.environ.get("PYTHONPATH", "")) if part)
        environment = {**os.environ, "PYTHONPATH": path, "TZ": "UTC", "SPARK_LOCAL_DIRS": self._folder.name}
        environment.setdefault("JDK_JAVA_OPTIONS", _JAVA_OPTIONS)
        log = (Path(self._folder.name) / "stderr").open("wb")
        self._process = subprocess.Popen(
            [self._python, "-m", "tao.sql.engines.spark_worker"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=self._folder.name,
            env=environment, start_new_session=True,
        )  # fmt: skip
        log.close()
        self._buffer = b""
        if self._line(_START_S) is None:
            lines = (Path(self._folder.name) / "stderr").read_text(errors="replace").strip().splitlines()
            self._kill()
            fix = "pip install 'tao-bench[spark]', install Java 17 or later, or leave Spark out"
            raise InputError(f"Spark does not start ({lines[-1][:200] if lines else 'no message'})", self._python, fix)

    def _ask(self, message: dict[str, Any], wait_s: float) -> dict[str, Any] | None:
        assert self._process is not None and self._process.stdin is not None
        try:
            self._process.stdin.write((json.dumps(message) + "\n").encode())
            self._process.stdin.flush()
        except OSError:
            return None
        return self._line(wait_s)

    def _line(self, wait_s: float) -> dict[str, Any] | None:
        """The next message; None where the process ends or stays silent."""
        assert self._process is not None and self._process.stdout is not None
        handle = self._process.stdout.fileno()
        deadline = time.monotonic() + wait_s
        while (end := self._buffer.find(b"\n")) < 0:
            ready, _, _ = select.select([handle], [], [], max(0.0, deadline - time.monotonic()))
            chunk = os.read(handle, 1 << 16) if ready else b""
            if not chunk:
                return None
            self._buffer += chunk
        line, self._buffer = self._buffer[:end], self._buffer[end + 1 :]
        message: dict[str, Any] = json.loads(line)
        return message

    def _kill(self) -> None:
        if self._process is not None:
            with contextlib.suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)  # the JVM is a child in the same session
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                with contextlib.suppress(OSError):
                    if pipe is not None:
                        pipe.close()
            self._process = None
        if self._folder is not None:
            with contextlib.suppress(OSError):
                self._folder.cleanup()
            self._folder = None
