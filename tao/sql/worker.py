"""The sandboxed process that runs model-written SQL: `python -m tao.sql.worker '{limits}'`.

Reads one JSON line a batch from standard input and answers with one JSON line a statement. It limits
its own processor time, address space and file sizes; the parent (`tao.sql.sandbox`) holds the wall
clock. Nothing but JSON crosses the pipes, so a hostile statement has nothing to unpickle.
"""

from __future__ import annotations

import gc
import json
import math
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

from tao.sql.engine import OUT_OF_MEMORY, Engine, Limits, Ran, RunOutcome
from tao.sql.result import fingerprint

GRACE_S = 0.5  # processor time between the engine's own interrupt and the kernel's


def encode(ran: Ran, with_rows: bool, limit_bytes: float) -> str:
    """One reply line, without its newline."""
    reply: dict[str, Any] = {"o": ran.outcome.value, "n": ran.height, "w": ran.width}
    if ran.error:
        reply["e"] = ran.error
    if ran.outcome in (RunOutcome.OK, RunOutcome.EMPTY):
        if with_rows:
            reply["r"] = ran.rows
            reply["c"] = ran.names
        else:
            reply["p"] = fingerprint(ran.rows)
    line = json.dumps(reply)
    if len(line) > limit_bytes:
        return encode(Ran(RunOutcome.FAILED, error="the result is too large"), with_rows, limit_bytes)
    return line


def limit_process(limits: Limits) -> None:
    """Bound this process for good: address space, no files written, few open, no core dump."""
    space = _address_space() + limits.address_space_mb * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (space, space))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


def _address_space() -> int:
    """Bytes this process has mapped so far; libraries map far more than they touch."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except OSError:  # not Linux
        return 2**30
    return pages * resource.getpagesize()


def limit_statement(limits: Limits) -> None:
    """Let the kernel end this process when the next statement overruns its processor time and cannot be interrupted.

    A profiling timer and not RLIMIT_CPU, whose steps are whole seconds. Its signal is left at its default: death.
    """
    signal.setitimer(signal.ITIMER_PROF, limits.cpu_s + GRACE_S)


def unlimit_statement() -> None:
    """Stop the clock of the last statement: loading the next instance is not its doing."""
    signal.setitimer(signal.ITIMER_PROF, 0.0)


def main() -> None:
    """Serve batches until standard input ends."""
    limits = Limits(**json.loads(sys.argv[1]))
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints must not look like a reply
    engine = Engine(limits)
    limit_process(limits)
    gc.freeze()  # what is here by now stays: no use looking through it for garbage
    replies.write('{"ready": true}\n')
    replies.flush()
    for line in sys.stdin:
        batch = json.loads(line)
        for path, digest, sql in batch["jobs"]:
            key = digest or path
            if not engine.is_loaded(key):
                replies.write('{"loading": true}\n')
                replies.flush()
                failure = engine.load_file(path, digest)
                replies.write('{"loading": false}\n')
                replies.flush()
                if failure is not None:
                    replies.write(encode(failure, batch["rows"], math.inf) + "\n")
                    continue
            limit_statement(limits)
            try:
                reply = encode(engine.run(key, sql), batch["rows"], limits.result_mb * 2**20)
            except MemoryError:
                reply = encode(Ran(RunOutcome.FAILED, error=OUT_OF_MEMORY), batch["rows"], math.inf)
            unlimit_statement()
            replies.write(reply + "\n")
            replies.flush()
        replies.flush()


if __name__ == "__main__":
    main()
