"""What each attack of tests/fixtures/sql/hostile.txt costs: `python tests/benchmarks/sql_attacks.py [--out FILE]`.

Every attack gets a fresh worker at the default limits, so that its memory is its own. Printed: how it ended, processor
and wall seconds, peak resident memory of the worker, and whether the next statement still saw the data. The summary
holds the worst of each and what was read or written outside; ``--out`` writes it as Markdown with hardware and command.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import duckdb
from hostile import attacks

from tao.sql.dialect import Fault
from tao.sql.engine import Limits
from tao.sql.gate import check
from tao.sql.sandbox import Sandbox

MARKET = str(Path(__file__).resolve().parents[1] / "fixtures" / "sql" / "market.json")
COUNT = "SELECT COUNT(*) FROM stall"
_TICK_S = 0.02


class Cost(NamedTuple):
    """One attack on the sandbox."""

    sql: str
    why: str
    outcome: str
    cpu_s: float
    wall_s: float
    peak_mb: float
    unharmed: bool


class Watch(threading.Thread):
    """Polls the peak memory and the processor time of a process until it is stopped or gone."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.peak_mb, self.cpu_s = pid, 0.0, 0.0
        self._over = threading.Event()

    def run(self) -> None:
        """Poll."""
        while not self._over.wait(_TICK_S):
            try:
                status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
                fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
            except OSError:
                return
            for line in status.splitlines():
                if line.startswith("VmHWM"):
                    self.peak_mb = max(self.peak_mb, int(line.split()[1]) / 1024)
            self.cpu_s = max(self.cpu_s, (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"))

    def stop(self) -> None:
        """End the polling."""
        self._over.set()
        self.join()


def cost(sql: str, why: str, limits: Limits) -> Cost:
    """Run one attack in a worker of its own."""
    with Sandbox(limits) as box:
        box.run([(MARKET, COUNT)])  # started and loaded
        assert box.pid is not None
        watch = Watch(box.pid)
        watch.start()
        time.sleep(2 * _TICK_S)
        before_s = watch.cpu_s
        start = time.perf_counter()
        (ran,) = box.run([(MARKET, sql)])
        wall_s = time.perf_counter() - start
        watch.stop()
        (after,) = box.run([(MARKET, COUNT)])
    return Cost(sql, why, ran.outcome.value, watch.cpu_s - before_s, wall_s, watch.peak_mb, after.rows == ((7,),))


def main() -> None:
    """Print the table, then the summary."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: python tests/benchmarks/sql_attacks.py --out results/sql_attacks.md",
    )  # fmt: skip
    parser.add_argument("--wall-s", type=float, default=10.0, help="wall clock of a statement (default 10)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the summary as Markdown")
    options = parser.parse_args()
    limits = Limits(wall_s=options.wall_s)

    gated = []
    for attack in attacks("gate"):
        start = time.process_time()
        refused = isinstance(check(attack.sql), Fault)
        gated.append((refused, time.process_time() - start, attack.why))
    sandboxed = [cost(attack.sql, attack.why, limits) for attack in attacks("engine", "harmless")]
    for one in sandboxed:
        spent = f"{one.cpu_s:6.2f} s cpu {one.wall_s:6.2f} s wall {one.peak_mb:6.0f} MB"
        print(f"{one.outcome:9s} {spent}  {one.why}: {one.sql[:60]}")

    slowest, longest = max(gated, key=lambda g: g[1]), max(sandboxed, key=lambda c: c.cpu_s)
    sleeper, widest = max(sandboxed, key=lambda c: c.wall_s), max(sandboxed, key=lambda c: c.peak_mb)
    over = [one for one in sandboxed if one.cpu_s > limits.cpu_s + 1 or one.wall_s > limits.wall_s + 1]
    lines = [
        f"- {len(gated)} attacks on the gate: {sum(refused for refused, _, _ in gated)} refused; the slowest refusal "
        f"took {slowest[1]:.2f} s of processor time ({slowest[2]}).",
        f"- {len(sandboxed)} attacks past the gate, on the worker process (limits: {limits.cpu_s:g} s of processor "
        f"time, {limits.wall_s:g} s of wall time, {limits.address_space_mb} MB beyond what it starts with):",
        f"  - outlived a limit by more than 1 s: {len(over)}; most processor time {longest.cpu_s:.2f} s "
        f"({longest.why}), most wall time {sleeper.wall_s:.2f} s ({sleeper.why});",
        f"  - peak memory of a worker: {widest.peak_mb:.0f} MB ({widest.why}); above 2,048 MB: "
        f"{sum(one.peak_mb > 2048 for one in sandboxed)};",
        f"  - next statement saw other data: {sum(not one.unharmed for one in sandboxed)}.",
    ]
    print("\n".join(lines))
    if options.out:
        machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, DuckDB {duckdb.__version__}"
        made = f"`python tests/benchmarks/sql_attacks.py --out {options.out}` on {machine}"
        text = [
            "# Attacks on the SQL sandbox",
            "",
            f"Written by {made}; attacks: `tests/fixtures/sql/hostile.txt`.",
            "",
        ]
        options.out.write_text("\n".join([*text, *lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
