"""The parent's side of the sandbox: batches of statements in, one outcome each out, whatever they do.

A worker process (`tao.sql.worker`) runs them under resource limits. The parent holds the wall clock:
a statement that outstays it costs the worker its life and is a time-out; the others go on in a new
worker. Nothing a statement does raises here.

A sandbox may keep results. Their key is the hash of the database's content and the statement as it came
out of the gate; the engine's version and the limits are those of the sandbox, which keeps nothing on disk.
What could end otherwise next time is not kept: time-outs, failures of the sandbox or for want of memory,
and statements that name the clock or chance.
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
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from tao.sql.cache import Cache, Digests
from tao.sql.engine import OUT_OF_MEMORY, Limits, Ran, RunOutcome
from tao.sql.result import Cell, Row

Job = tuple[str, str]  # instance file, DuckDB statement

CRASHED = "the engine crashed"
_BATCH = 256
_ENTRY_BYTES = 512  # of an entry beside its texts
# Words of DuckDB's functions that are not the same at every call; in any place of a statement.
VOLATILE = frozenset(
    "random uuid uuidv4 uuidv7 gen_random_uuid setseed nextval currval setval sleep_ms write_log stats "
    "vector_type now today current_date current_time current_timestamp localtime localtimestamp "
    "get_current_time get_current_timestamp transaction_timestamp txid_current current_query current_query_id "
    "current_connection_id current_transaction_id current_setting current_database current_schema current_schemas "
    "in_search_path getvariable".split()
)
_WORD = re.compile(r"[a-z_]\w*")
_STARTS = 3  # attempts to start a worker before statements are given up as unscored


class _Died(Exception):
    """The worker is gone; `code` as in `subprocess` (negative: a signal), or None if it was killed by the clock."""

    def __init__(self, code: int | None) -> None:
        self.code = code
        super().__init__(str(code))


class Sandbox:
    """Runs statements in a worker process. Not safe across threads; one per thread or process.

    Args:
        limits: Time, memory and row limits of a statement.
        kept_mb: Most that kept results may take, as the JSON that came from the worker (in memory it is a few
            times that); 0 keeps none, so that every statement runs.
    """

    def __init__(self, limits: Limits | None = None, *, kept_mb: float = 0.0) -> None:
        self.limits = limits or Limits()
        self._digests = Digests()
        self._kept: Cache[tuple[str, str, bool], Ran] = Cache(int(kept_mb * 2**20))
        self._line_bytes = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: Any = None
        self._buffer = b""
        self.restarts = 0  # workers lost so far

    def run(self, jobs: Sequence[Job], rows: bool = True) -> list[Ran]:
        """Run statements in order, each on its instance. Never raises for a statement.

        Args:
            jobs: Pairs of instance file and DuckDB statement (out of the gate).
            rows: True for canonical rows, False for fingerprints only.

        Returns:
            One outcome a job, in the jobs' order.
        """
        digests = {path: self._digests.of(path) for path in {path for path, _ in jobs}}
        found = [self._kept.get((digests[path], sql, rows)) if digests[path] else None for path, sql in jobs]
        todo = [number for number, ran in enumerate(found) if ran is None]
        fresh = self._run([(jobs[n][0], digests[jobs[n][0]], jobs[n][1]) for n in todo], rows)
        for number, (ran, size) in zip(todo, fresh, strict=True):
            path, sql = jobs[number]
            found[number] = ran
            if digests[path] and _is_lasting(sql, ran):
                self._kept.put((digests[path], sql, rows), ran, size + len(sql) + _ENTRY_BYTES)
        return [ran for ran in found if ran is not None]

    def digest(self, path: str) -> str:
        """Hash of an instance file's content, '' where it cannot be read; see `tao.sql.cache.Digests`."""
        return self._digests.of(path)

    @property
    def pid(self) -> int | None:
        """Process id of the live worker, None where there is none."""
        return self._process.pid if self._process is not None else None

    def close(self) -> None:
        """End the worker process."""
        self._kill()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- the process -----------------------------------------------------------------------------

    def _run(self, jobs: Sequence[tuple[str, str, str]], rows: bool) -> list[tuple[Ran, int]]:
        """Outcomes of (instance file, its hash, statement), and how many bytes each took on its way here."""
        results: list[tuple[Ran, int]] = []
        retried = -1
        failed_starts = 0
        while len(results) < len(jobs):
            batch = jobs[len(results) : len(results) + _BATCH]
            try:
                self._start()
                failed_starts = 0
            except (_Died, OSError) as error:
                why = f"the sandbox cannot start a worker: {error}{self._last_words()}"
                self._kill()
                failed_starts += 1
                if failed_starts >= _STARTS:
                    results += [(Ran(RunOutcome.UNSCORED, error=why), 0)] * (len(jobs) - len(results))
                continue
            try:
                self._send({"jobs": batch, "rows": rows})
                for _ in batch:
                    results.append((self._reply(), self._line_bytes))
            except _Died as death:
                self._kill()
                self.restarts += 1
                verdict = _verdict(death.code, self.limits)
                if verdict.outcome is not RunOutcome.TIMEOUT and retried != len(results):
                    retried = len(results)  # once more, first in a fresh worker: was it this statement?
                else:
                    results.append((verdict, 0))
        return results

    def _start(self) -> None:
        if self._process is not None:
            return
        self._buffer = b""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the worker
        package_root = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join([package_root, *(p for p in sys.path if p)])
        self._process = subprocess.Popen(
            # -P: this package's worker, and not whatever the working directory holds under the same names
            [sys.executable, "-P", "-m", "tao.sql.worker", json.dumps(self.limits.as_dict())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "LC_ALL": "C.UTF-8", "PYTHONUTF8": "1"},
            start_new_session=True,
        )
        if "ready" not in self._line(self.limits.load_s):
            raise _Died(None)

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process is not None and self._process.stdin is not None
        try:
            self._process.stdin.write((json.dumps(message) + "\n").encode())
            self._process.stdin.flush()
        except OSError:
            raise _Died(self._exit_code()) from None

    def _reply(self) -> Ran:
        message = self._line(self.limits.wall_s)
        while "loading" in message:
            message = self._line(self.limits.load_s if message["loading"] else self.limits.wall_s)
        rows = message.get("r")
        prints = message.get("p")
        return Ran(
            RunOutcome(message["o"]),
            rows=tuple(_row(row) for row in rows) if rows else (),
            prints=(prints[0], prints[1]) if prints else None,
            height=message["n"],
            width=message["w"],
            names=tuple(message.get("c", ())),
            error=message.get("e", ""),
        )

    def _line(self, wait_s: float) -> dict[str, Any]:
        """The worker's next message.

        Raises:
            _Died: The worker ended, or said nothing for `wait_s`.
        """
        assert self._process is not None and self._process.stdout is not None
        handle = self._process.stdout.fileno()
        deadline = time.monotonic() + wait_s
        while (end := self._buffer.find(b"\n")) < 0:
            ready, _, _ = select.select([handle], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise _Died(None)
            chunk = os.read(handle, 1 << 16)
            if not chunk:
                raise _Died(self._exit_code())
            self._buffer += chunk
        line, self._buffer = self._buffer[:end], self._buffer[end + 1 :]
        self._line_bytes = end
        message: dict[str, Any] = json.loads(line)
        return message

    def _exit_code(self) -> int:
        assert self._process is not None
        try:
            return self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return -int(signal.SIGABRT)

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):  # a half-written batch has nowhere to go
                        pipe.close()
            if self._errors is not None:
                self._errors.close()
                self._errors = None
            self._process = None

    def _last_words(self) -> str:
        """The end of what the worker wrote to standard error."""
        if self._errors is None:
            return ""
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return f" ({lines[-1][:200]})" if lines else ""


def _is_lasting(sql: str, ran: Ran) -> bool:
    """Whether a statement would end like this again on the same data."""
    if ran.outcome in (RunOutcome.TIMEOUT, RunOutcome.UNSCORED) or ran.error in (CRASHED, OUT_OF_MEMORY):
        return False
    return VOLATILE.isdisjoint(_WORD.findall(sql.lower()))


def _verdict(code: int | None, limits: Limits) -> Ran:
    """What the death of a worker says about the statement it was running."""
    if code is None:
        return Ran(RunOutcome.TIMEOUT, error=f"killed after {limits.wall_s:g} s")
    if code == -signal.SIGPROF:
        return Ran(RunOutcome.TIMEOUT, error=f"killed after {limits.cpu_s:g} s of processor time")
    if code == -signal.SIGKILL:  # not ours: the machine ran out of memory, or somebody ended it
        return Ran(RunOutcome.UNSCORED, error="the worker was killed from outside")
    return Ran(RunOutcome.FAILED, error=CRASHED)


def _row(row: list[Any]) -> Row:
    return tuple(_cell(cell) for cell in row)


def _cell(cell: Any) -> Cell:
    return tuple(_cell(item) for item in cell) if isinstance(cell, list) else cell
