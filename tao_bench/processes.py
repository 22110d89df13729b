"""How workers are started: forked from one process that has loaded torch, transformers and trl, else each anew.

Loading them costs 6 to 9 CPU seconds, which every piece of work of a short experiment would pay again
(`tests/benchmarks/worker_start.py`). The server is the standard library's fork server; it runs no work itself, so a
worker inherits modules and nothing else, and its memory holds their pages once.

Workers are started anew where forking is not safe: beside a GPU (what has asked for devices cannot be forked), outside
Linux, and from a script of the user's, which the standard library would run once more in every worker.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import multiprocessing.forkserver
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "PYTHONHASHSEED": "0",
}
ANEW_VARIABLE = "TAO_BENCH_START_ANEW"
"""Set to anything, every worker is started anew."""
COMMAND_NAME = "tao-bench-work"
"""What `ps -o comm` and `top` call a forked worker (at most 15 bytes)."""
_PRELOAD = "tao_bench.preloaded"
_DEVICES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg", "/dev/accel")
_ENTRY_POINTS = ("tao-bench", "tao", "pytest", "py.test")
"""Scripts that a fork server can run once more without doing anything; so are these packages' modules."""
_PACKAGES = ("tao_bench", "tao", "tests", "pytest")


@dataclass(slots=True)
class Worker:
    """A started worker.

    Attributes:
        pid: Its process, which leads a session of its own.
    """

    pid: int
    _process: subprocess.Popen[bytes] | multiprocessing.process.BaseProcess
    _life_line: Any
    """Closing it ends the worker."""
    _log: IO[bytes] | None

    def poll(self) -> int | None:
        """Its exit status once it has ended, minus a signal's number where that ended it."""
        if isinstance(self._process, subprocess.Popen):
            return self._process.poll()
        return self._process.exitcode

    def wait(self, timeout_s: float | None = None) -> int:
        """Wait for its end and return its exit status.

        Raises:
            TimeoutError: It still runs.
        """
        if isinstance(self._process, subprocess.Popen):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout_s)
        else:
            self._process.join(timeout_s)
        status = self.poll()
        if status is None:
            raise TimeoutError
        return status

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it and to the processes it started."""
        if self.poll() is None:
            with contextlib.suppress(OSError):
                os.killpg(self.pid, number)

    def close(self) -> None:
        """Let go of its life line and log."""
        for stream in (self._life_line, self._log):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


def can_fork() -> bool:
    """Whether workers can be forked here (see the module)."""
    main = sys.modules.get("__main__")
    path, spec = getattr(main, "__file__", None), getattr(main, "__spec__", None)
    ours = spec is not None and spec.name.split(".")[0] in _PACKAGES
    return (
        (path is None or ours or Path(path).name in _ENTRY_POINTS)
        and sys.platform == "linux"
        and not os.environ.get(ANEW_VARIABLE)
        and not any(Path(device).exists() for device in _DEVICES)
    )


def start(message: Mapping[str, Any], log: Path, more: Mapping[str, str], *, fork: bool) -> Worker:
    """Start a worker in its own session, with a life line that ends it when this process dies, however it dies.

    Args:
        message: What the worker is told, JSON-able.
        log: Where it writes; where that cannot be opened (a full disk) it writes nowhere, and its exit status tells.
        more: Further environment variables.
        fork: Whether to fork it where that is safe; not worth the server for work without torch.
    """
    environment = {**os.environ, **ENVIRONMENT, **more}
    if fork and can_fork():
        return _forked(json.dumps(message), log, environment)
    return _anew(json.dumps(message), log, environment)


def _anew(message: str, log: Path, environment: Mapping[str, str]) -> Worker:
    stream: IO[bytes] | None = None
    with contextlib.suppress(OSError):
        stream = log.open("ab")
    process = subprocess.Popen(
        [sys.executable, "-m", "tao_bench.worker"],
        stdin=subprocess.PIPE,
        stdout=stream or subprocess.DEVNULL,
        stderr=stream or subprocess.DEVNULL,
        env=environment,
        start_new_session=True,
    )
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it died at once: its exit status tells
        process.stdin.write(message.encode() + b"\n")
        process.stdin.flush()
    return Worker(process.pid, process, process.stdin, stream)


def _forked(message: str, log: Path, environment: Mapping[str, str]) -> Worker:
    context = multiprocessing.get_context("forkserver")
    # the seed of hashes is read when an interpreter starts; locks that a stopped worker held are no news to a user
    with _environment({**ENVIRONMENT, "PYTHONWARNINGS": "ignore:resource_tracker:UserWarning"}):
        context.set_forkserver_preload([_PRELOAD])
        multiprocessing.forkserver.ensure_running()
    reader, writer = context.Pipe(duplex=False)
    process = context.Process(target=_serve, args=(message, str(log), dict(environment), reader))
    process.start()
    reader.close()
    assert process.pid is not None
    return Worker(process.pid, process, writer, None)


@contextlib.contextmanager
def _environment(more: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(more)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _serve(message: str, log: str, environment: Mapping[str, str], life_line: Any) -> None:
    """In the forked process: take the place of `python -m tao_bench.worker`."""
    import atexit

    from tao_bench.worker import main

    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    with contextlib.suppress(OSError):
        Path("/proc/self/comm").write_text(COMMAND_NAME)
    os.dup2(life_line.fileno(), 0)
    life_line.close()
    try:
        out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    except OSError:
        out = os.open(os.devnull, os.O_WRONLY)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.close(out)
    try:
        status = main(message)
    finally:
        atexit._run_exitfuncs()  # the fork server leaves without them
    sys.exit(status)
