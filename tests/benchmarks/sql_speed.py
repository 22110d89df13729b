"""Speed of the SQL path: `python -m tests.benchmarks.sql_speed [--answers 600]`.

Prints distinct queries a second through the gate, the interpreter (two instances) and the verifier
(one database), by wall clock and by processor time of the calling process and its workers together
(what one core of an otherwise idle machine gives).
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tao.prompts import Message, Prompt
from tao.sql.dialect import Fault
from tao.sql.gate import check
from tao.sql.instance import read_instance
from tao.sql.interpreter import SqlInterpreter
from tao.sql.sandbox import Sandbox
from tao_bench.verify.sql import SqlVerifier

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "sql"
SHAPES = (
    "SELECT COUNT(*) FROM stall JOIN region USING (region_id) WHERE title = 'T{n}' OR area > {n}",
    "SELECT title, COUNT(*) AS n, AVG(area) FROM stall JOIN region USING (region_id) WHERE opened >= '20{m:02d}-01-01' "
    "AND stall_id <> {n} GROUP BY title HAVING COUNT(*) >= 1 ORDER BY n DESC LIMIT 3",
    "SELECT name FROM stall WHERE stall_id IN (SELECT stall_id FROM sale WHERE amount > {n})",
    "SELECT YEAR(sold) AS y, SUM(amount) FROM sale WHERE units < {n} GROUP BY YEAR(sold)",
    "SELECT name, opened FROM stall WHERE active AND stall_id < {n} ORDER BY opened DESC",
    "SELECT ROUND(SUM(amount) / COUNT(*), 2) FROM sale WHERE sale_id > {n}",
    "SELECT nme FROM stall WHERE stall_id = {n}",
    "SELECT TOP {n} name FROM stall",
)


def answers(count: int) -> list[str]:
    """Distinct queries over the shapes, about a quarter of them faulty, in a fixed random order."""
    made = [SHAPES[n % len(SHAPES)].format(n=n, m=n % 24) for n in range(count)]
    random.Random(0).shuffle(made)
    return made


def worker_cpu_s(*boxes: Sandbox) -> float:
    """Processor time of live workers so far."""
    total = 0
    for box in boxes:
        if box.pid is not None:
            fields = Path(f"/proc/{box.pid}/stat").read_text().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def measure(name: str, count: int, work: Callable[[], object], *boxes: Sandbox) -> None:
    """Run `work` once and print its rate."""
    cpu, wall = time.process_time() + worker_cpu_s(*boxes), time.perf_counter()
    work()
    wall_s = time.perf_counter() - wall
    cpu_s = time.process_time() + worker_cpu_s(*boxes) - cpu
    print(f"{name:34s} {count / wall_s:9.0f} /s wall {count / cpu_s:9.0f} /s per core {1000 * cpu_s / count:7.2f} ms")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answers", type=int, default=600, help="distinct answers a measurement")
    parser.add_argument("--samples", type=int, default=16, help="answers a prompt")
    options = parser.parse_args()
    queries = answers(options.answers)
    schema = read_instance(FIXTURES / "market.json").schema
    check("SELECT 1", schema)
    measure("gate, distinct", len(queries), lambda: [check(query, schema) for query in queries])
    measure("gate, repeated (cache)", len(queries), lambda: [check(query, schema) for query in queries])
    accepted = [c.duckdb for c in (check(query, schema) for query in queries) if not isinstance(c, Fault)]
    print(f"accepted {len(accepted)} of {len(queries)}")

    handles = {"database": str(FIXTURES / "market.json"), "database_2": str(FIXTURES / "market_2.json")}
    prompt = Prompt("p", (Message("user", "q"),), (), handles)
    interpreter = SqlInterpreter()
    interpreter.read(prompt, ["SELECT COUNT(*) FROM stall"])
    fresh = [query.replace("SELECT", "SELECT ", 1) for query in queries]  # other text: not in the gate's cache
    groups = [fresh[i : i + options.samples] for i in range(0, len(fresh), options.samples)]
    measure(
        "interpreter, 2 instances, distinct",
        len(fresh),
        lambda: [interpreter.read(prompt, group) for group in groups],
        interpreter._sandbox,
    )
    interpreter.close()

    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(FIXTURES / "market.json", Path(folder) / "x.json")
        verifier = SqlVerifier(Path(folder))
        gold = {"sql": "SELECT COUNT(*) FROM stall", "databases": ["x.json"]}
        verifier.grade(prompt, gold, "SELECT 1", "stop")
        fresh = [query.replace("SELECT", "SELECT  ", 1) for query in queries]
        measure(
            "verifier, 1 database, distinct",
            len(fresh),
            lambda: [verifier.grade(prompt, gold, query, "stop") for query in fresh],
            verifier._box,
        )
        verifier.close()


if __name__ == "__main__":
    main()
