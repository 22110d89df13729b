"""Speed of the SQL path beside its peers' methods: `python tests/benchmarks/sql_speed.py [--out FILE]`.

All judge the same predictions on the same small database, a quarter of them faulty, no two alike. Passes go round
robin, so that a busy machine slows all of them; shown are the best pass and the median. A rate per core counts the
processor time of the calling process and its workers together: what one core gives when nothing else runs on it.
``--out`` writes the tables as Markdown with hardware, versions and command.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import os
import platform
import random
import resource
import shlex
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from sql_peers import PEERS, Pair
from sql_stages import stages

from tao.prompts import Message, Prompt
from tao.sql.dialect import Fault
from tao.sql.engine import Engine, Limits
from tao.sql.gate import check
from tao.sql.instance import read_instance
from tao.sql.interpreter import SqlInterpreter
from tao.sql.readers.sqlite import build_sqlite
from tao.sql.sandbox import Sandbox
from tao_bench.verify.sql import SqlVerifier
from tao_bench.verify.verdict import Status

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "sql"
# In the SQL that Databricks and SQLite share, so that all graders can run them. The last two are faulty everywhere.
SHAPES = (
    "SELECT COUNT(*) AS c{n} FROM stall JOIN region USING (region_id) WHERE title = 'Sund' OR area > {m}",
    "SELECT title, COUNT(*) AS c{n}, AVG(area) FROM stall JOIN region USING (region_id) WHERE "
    "opened >= '20{m:02d}-01-01' AND stall_id <> {m} GROUP BY title HAVING COUNT(*) >= 1 ORDER BY c{n} DESC LIMIT 3",
    "SELECT name AS c{n} FROM stall WHERE stall_id IN (SELECT stall_id FROM sale WHERE amount > {m})",
    "SELECT stall_id, SUM(amount) AS c{n} FROM sale WHERE units < {m} GROUP BY stall_id",
    "SELECT name, opened AS c{n} FROM stall WHERE active AND stall_id < {m} ORDER BY opened DESC",
    "SELECT ROUND(SUM(amount) / COUNT(*), 2) AS c{n} FROM sale WHERE sale_id > {m}",
    "SELECT nme AS c{n} FROM stall WHERE stall_id = {m}",
    "SELECT TOP {m} name AS c{n} FROM stall",
)
GOLDS = tuple(shape.format(n=0, m=3) for shape in SHAPES[:-2])


def predictions(count: int, start: int) -> list[Pair]:
    """Distinct (prediction, gold) pairs over the shapes, in a fixed random order; other ones for another start."""
    made = []
    for n in range(start, start + count):
        kind = n % len(SHAPES)
        made.append((SHAPES[kind].format(n=n, m=n // len(SHAPES) % 9), GOLDS[kind % len(GOLDS)]))
    random.Random(0).shuffle(made)
    return made


def read_pairs(path: Path, number: int) -> list[Pair]:
    """Pairs of a file of one query a line, the first being the gold of all; spaced otherwise for another number."""
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    lines = [line for line in dict.fromkeys(lines) if line and not line.startswith("--")]
    return [(line.replace(" ", " " * (number + 2), 1), lines[0]) for line in lines]


def worker_cpu_s(boxes: Sequence[Sandbox]) -> float:
    """Processor time of live workers so far (Linux: in nanoseconds, thread by thread)."""
    total = 0
    for box in boxes:
        for task in Path(f"/proc/{box.pid}/task").glob("*/schedstat") if box.pid is not None else ():
            total += int(task.read_text(encoding="ascii").split()[0])
    return total / 1e9


def children_cpu_s() -> float:
    """Processor time of child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def resident_mb(pid: int | None) -> float:
    """Resident memory of a process."""
    if pid is None:
        return 0.0
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


@dataclass
class Way:
    """One way to judge predictions.

    Attributes:
        name: What the table calls it.
        isolation: What stands between a prediction and the rest.
        work: Judges a batch.
        boxes: Sandboxes whose workers do part of it.
        cpu_ms: Processor time per prediction, a number a pass.
        wall_ms: Wall time per prediction, a number a pass.
    """

    name: str
    isolation: str
    work: Callable[[Sequence[Pair]], Any]
    boxes: Sequence[Sandbox] = ()
    cpu_ms: list[float] = field(default_factory=list)
    wall_ms: list[float] = field(default_factory=list)

    def measure(self, pairs: Sequence[Pair]) -> None:
        """Time one pass."""
        before = time.process_time() + worker_cpu_s(self.boxes) + children_cpu_s()
        started = time.perf_counter()
        self.work(pairs)
        self.wall_ms.append(1000 * (time.perf_counter() - started) / len(pairs))
        cpu_s = time.process_time() + worker_cpu_s(self.boxes) + children_cpu_s() - before
        self.cpu_ms.append(1000 * cpu_s / len(pairs))

    def row(self) -> str:
        """The Markdown row: rates of the best pass and of the median, per core and by the wall clock."""
        figures = [pick(times) for times in (self.cpu_ms, self.wall_ms) for pick in (min, statistics.median)]
        rates = [1000 / max(figure, 1e-4) for figure in figures]
        spread = f"{min(self.cpu_ms):.3f} - {max(self.cpu_ms):.3f}"
        return f"| {self.name} | {' | '.join(f'{rate:,.0f}' for rate in rates)} | {spread} | {self.isolation} |"


ISOLATED = "full: worker process, limits, read-only, one SELECT"


class Bench:
    """Every way to judge, on copies of the same instances.

    Each pass gets copies with other bytes, so that no cache of an earlier pass can answer for it.
    """

    def __init__(self, folder: Path, instances: Sequence[Path], samples: int) -> None:
        self.folder, self.sources, self.samples = folder, instances, samples
        self.schema = read_instance(instances[0]).schema
        self.verifier, self.interpreter, self.engine = SqlVerifier(folder), SqlInterpreter(), Engine(Limits())
        self.prompt = Prompt("p", (Message("user", "q"),))
        sqlite_path = str(folder / "small.sqlite")
        with contextlib.closing(sqlite3.connect(sqlite_path)) as target:
            build_sqlite(read_instance(instances[0])).backup(target)
        judging, reading = (self.verifier._box,), (self.interpreter._sandbox,)
        where = f"interpreter, {len(instances)} database{'s' if len(instances) > 1 else ''}, {samples} a prompt"
        self.ways = [
            Way("gate alone", "nothing runs", self.gate),
            Way("gate and engine in this process", "engine settings only", self.bare),
            Way("verifier, 1 database", ISOLATED, self.verify, judging),
            Way("verifier, the same predictions again", ISOLATED, self.verify, judging),
            Way(where, ISOLATED, self.read, reading),
            Way("interpreter, the same predictions again", ISOLATED, self.read, reading),
        ]
        for peer in PEERS:
            self.ways.append(Way(peer.name, peer.isolation, partial(peer.judge, sqlite_path)))

    def move(self, number: int, golds: Sequence[str]) -> None:
        """Go to the copies of a pass; load them and run the golds."""
        self.paths = [self.folder / f"{number}_{n}.json" for n in range(len(self.sources))]
        for source, path in zip(self.sources, self.paths, strict=True):
            path.write_bytes(source.read_bytes() + b"\n" * (number + 1))
        time.sleep(2.5)  # until then a new file is read again at every look
        names = ("database", *(f"database_{n}" for n in range(2, len(self.paths) + 1)))
        handles = dict(zip(names, map(str, self.paths), strict=True))
        self.prompt = replace(self.prompt, handles=handles)
        warm = [("SELECT 1", gold) for gold in dict.fromkeys(golds)]
        for way in self.ways:
            way.work(warm)

    def gate(self, pairs: Sequence[Pair]) -> None:
        for prediction, _ in pairs:
            check(prediction.replace(" ", "\t", 1), self.schema)  # other text: not in the gate's cache

    def bare(self, pairs: Sequence[Pair]) -> None:
        for prediction, _ in pairs:
            checked = check(prediction.replace(" ", "\n", 1), self.schema)
            if not isinstance(checked, Fault):
                self.engine.run(str(self.paths[0]), checked.duckdb)

    def verify(self, pairs: Sequence[Pair]) -> list[bool]:
        found = []
        for prediction, gold in pairs:
            verdict = self.verifier.grade(
                self.prompt, {"sql": gold, "databases": [self.paths[0].name]}, prediction, "stop"
            )
            found.append(verdict.status is Status.CORRECT)
        return found

    def read(self, pairs: Sequence[Pair]) -> None:
        texts = [prediction.replace(" ", "  ", 1) for prediction, _ in pairs]
        for start in range(0, len(texts), self.samples):
            self.interpreter.read(self.prompt, texts[start : start + self.samples])

    def resident(self) -> list[float]:
        """Megabytes of this process and of the two workers."""
        return [resident_mb(pid) for pid in (os.getpid(), self.verifier._box.pid, self.interpreter._sandbox.pid)]

    def close(self) -> None:
        """End the workers and the engine."""
        self.verifier.close()
        self.interpreter.close()
        self.engine.close()


def hardware() -> str:
    """Processor, cores, load and memory of this machine."""
    facts = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.split(":", 1)[1].strip() for line in facts if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    name = names[0] if names else platform.machine()
    return f"{name}, {os.cpu_count()} cores, {memory:.0f} GB, {platform.system()}"


def versions() -> str:
    """Versions of what decides about speed."""
    found = {"Python": platform.python_version(), "SQLite": sqlite3.sqlite_version}
    for name in ("duckdb", "sqlglot", "sqlglotc", "pandas"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return ", ".join(f"{name} {version}" for name, version in found.items())


def report(options: argparse.Namespace) -> str:
    """Measure everything; the report as Markdown."""
    instances = [Path(path) for path in options.instance] or [FIXTURES / "market.json", FIXTURES / "market_2.json"]
    loads, memory = [os.getloadavg()[0]], []
    pairs: list[Pair] = []
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name), instances, options.samples)
        for number in range(options.passes):
            own = options.queries
            pairs = read_pairs(own, number) if own else predictions(options.predictions, number * 10**5)
            bench.move(number, [gold for _, gold in pairs])
            for way in bench.ways:
                way.measure(pairs)
            loads.append(os.getloadavg()[0])
            memory.append(bench.resident())
        verdicts = {way.name: way.work(pairs) for way in (bench.ways[2], *bench.ways[-len(PEERS) :])}
        bench.close()
    command = shlex.join(["python", "tests/benchmarks/sql_speed.py", *sys.argv[1:]])
    spent = stages([prediction for prediction, _ in pairs], instances[0], pairs[0][1], options.passes)
    lines = [
        "# Speed of judging SQL",
        "",
        f"Made by `{command}`. Hardware: {hardware()}; load {min(loads):.1f} to {max(loads):.1f}. {versions()}.",
        "",
        f"{options.passes} passes of {len(pairs)} distinct predictions on {instances[0].name}; processor time of the",
        "calling process and its workers. Golds of the verifier run once, before; the peers' methods run them each",
        "time, as their scripts do, and were written anew (tests/benchmarks/sql_peers.py).",
        "",
        "| way | /s per core, best | median | /s wall, best | median | ms of processor time, from - to | isolation |",
        "|---|---|---|---|---|---|---|",
        *(way.row() for way in bench.ways),
        "",
        "Judged correct of the last pass: "
        + ", ".join(f"{name} {sum(found)}" for name, found in verdicts.items())
        + ".",
        "",
        "## Where time goes",
        "",
        "Stage by stage over the predictions of one pass, each stage alone in this process; processor time per",
        "prediction, best of the passes. Predictions that the gate refuses take part in its stages only.",
        "",
        "| stage | ms |",
        "|---|---|",
        *(f"| {stage} | {ms:.3f} |" for stage, ms in spent),
        "",
        "## Memory",
        "",
        "| after pass | calling process, MB | verifier's worker | interpreter's worker |",
        "|---|---|---|---|",
        *(f"| {n} | {' | '.join(f'{mb:.0f}' for mb in row)} |" for n, row in enumerate(memory, start=1)),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print the report, and write it where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--predictions", type=int, default=800, help="distinct predictions a pass (default 800)")
    parser.add_argument("--passes", type=int, default=5, help="passes (default 5)")
    parser.add_argument("--samples", type=int, default=16, help="predictions a prompt of the interpreter (default 16)")
    parser.add_argument("--instance", action="append", default=[], metavar="FILE", help="instance file(s) of your own")
    parser.add_argument("--queries", type=Path, metavar="FILE", help="queries of your own for --instance, one a line")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the report there too")
    options = parser.parse_args()
    if bool(options.instance) != bool(options.queries):
        parser.error("--instance and --queries go together")
    text = report(options)
    print(text, end="")
    if options.out is not None:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
