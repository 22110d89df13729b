"""What it costs to have a worker with torch, transformers and trl loaded: forked from the server, or started anew.

    python -m tests.benchmarks.worker_start

Prints seconds of wall time a worker, best of several, beside each other in one run. The forked worker is told nonsense,
so it ends as soon as it has read it; the one started anew does nothing but load what the server has loaded.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tao_bench import processes


def best(work: Callable[[], object], times: int) -> float:
    """Shortest of several runs, in seconds."""
    found = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return min(found)


def main() -> int:
    """Time both ways and print a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=5, help="runs of each way (%(default)s)")
    times = parser.parse_args().times
    if not processes.can_fork():
        print("workers are started anew here", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch) / "log.txt"

        def forked() -> None:
            worker = processes.start({}, log, {}, fork=True)
            worker.wait()
            worker.close()

        first = best(forked, 1)
        again = best(forked, times)
    load = [sys.executable, "-c", "import tao_bench.preloaded"]
    anew = best(lambda: subprocess.run(load, check=True), times)
    print(f"started anew: {anew:.2f} s a worker")
    print(f"forked: {first:.2f} s the first, which starts the server, then {again:.3f} s a worker")
    return 0


if __name__ == "__main__":
    sys.exit(main())
