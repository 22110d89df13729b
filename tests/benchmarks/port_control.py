"""Negative control of porting: a ported gold held against the source's result of another gold must not be certified.

Example: python tests/benchmarks/port_control.py spider_dev --data DIR --ported ported
"""

from __future__ import annotations

import argparse
import json
import os
from itertools import pairwise
from pathlib import Path

from tao.sql.engines.emulator import EmulatorEngine, port_limits
from tao.sql.engines.sqlite import SqliteEngine
from tao.sql.sandbox import Sandbox
from tao_bench.sql.agreement import disagreement
from tao_bench.sql.certify import UNCERTIFIED, Evidence, prove
from tao_bench.sql.published import read_set


def main() -> None:
    """Print how many wrong pairs were tried and how many were certified."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", nargs="?", default="spider_dev", help="a set whose databases are SQLite files")
    parser.add_argument("--data", type=Path, help="the folder that holds the sets (default: TAO_BENCH_SHARED_DATA)")
    parser.add_argument("--ported", type=Path, default=Path("ported"), help="what tao-bench port wrote")
    options = parser.parse_args()
    data = options.data or Path(os.environ.get("TAO_BENCH_SHARED_DATA", ""))
    golds_file = options.ported / options.set / "golds.jsonl"
    if not golds_file.is_file():
        print(f"skipped: {golds_file} is not there; tao-bench port {options.set} --data DIR makes it")
        return
    published = read_set(options.set, data)
    lines = golds_file.read_text(encoding="utf-8").splitlines()
    ported = {row["id"]: row["sql"] for row in map(json.loads, lines) if row["status"] != UNCERTIFIED}
    tried, certified = 0, []
    with Sandbox(port_limits()) as sandbox:
        for name, path in published.databases.items():
            golds = [gold for gold in published.golds if gold.database == name and gold.id in ported]
            if not golds:
                continue
            source = SqliteEngine(path)
            emulator = EmulatorEngine(options.ported / options.set / "instances" / f"{name}.json", sandbox)
            for gold, other in pairwise(golds):
                right, wrong = source.run(gold.sql), source.run(other.sql)
                if not disagreement(right, wrong):
                    continue  # two questions with one answer
                tried += 1
                if prove(ported[gold.id], Evidence(wrong), emulator, None).status != UNCERTIFIED:
                    certified.append(f"{gold.id} as {other.id}")
            source.close()
    print(f"{options.set}: {tried} ported golds against the result of another gold, {len(certified)} certified")
    for pair in certified:
        print(f"  {pair}")


if __name__ == "__main__":
    main()
