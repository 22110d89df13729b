"""Runs the golds of a task's labelled splits on the emulator and on a real Spark, and counts where they agree.

Run as ``python -m tests.benchmarks.certify_task warehouse_sql@3 --python PYTHON_WITH_PYSPARK``.
Spark runs in ANSI mode, in UTC, in a process of its own (`tao.sql.engines.spark`); a gold is certified where it runs on
both and both give the same rows, and its LIMIT cuts no tie. Exit status 1 where one is not.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

from tao.sql.engines.emulator import EmulatorEngine
from tao.sql.engines.spark import SparkEngine
from tao.sql.sandbox import Sandbox
from tao_bench.registry import load_task
from tao_bench.sql.certify import CERTIFIED, Evidence, prove
from tao_bench.task import read_labels


def main() -> int:
    """Certify, print a line a fault and a line of figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task")
    parser.add_argument("--python", default=sys.executable, help="an interpreter that has pyspark")
    parser.add_argument("--split", action="append", choices=("train", "dev", "test"), help="dev and test unless given")
    parser.add_argument("--databases", type=int, help="only so many databases of a split")
    args = parser.parse_args()
    task = load_task(args.task)
    begun = time.perf_counter()
    spark = SparkEngine(args.python)
    counts: Counter[str] = Counter()
    try:
        with Sandbox() as box:
            for split in args.split or ("dev", "test"):
                golds: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
                for name, label in sorted(read_labels(task.data, split).items()):
                    for database in label.gold.get("databases") or [label.gold["database"]]:
                        golds[database].append((name, label.gold["sql"]))
                for database in sorted(golds)[: args.databases]:
                    _certify(task.data / database, golds[database], spark, box, counts)
                    print(f"{split} {database}: {dict(counts)}", file=sys.stderr, flush=True)
    finally:
        spark.close()
    total = counts.total()
    equal = counts[CERTIFIED]
    share, took = equal / max(1, total), time.perf_counter() - begun
    print(f"{task.version_name} ({task.hash}): {equal} of {total} golds equal on Spark and the emulator, none with a")
    print(f"LIMIT that cuts a tie ({share:.1%}; {took:.0f} s)")
    return int(equal != total)


def _certify(path: Path, golds: list[tuple[str, str]], spark: SparkEngine, box: Sandbox, counts: Counter[str]) -> None:
    spark.load(path)
    emulator = EmulatorEngine(path, box)
    for name, sql in golds:
        proof = prove(sql, Evidence(), emulator, spark)
        status = proof.flags[0] if proof.flags else proof.status
        counts[status] += 1
        if status != CERTIFIED:
            print(f"{name}: {status} {proof.reason} | {sql}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
