"""`tao-bench bench`: speed as ratios measured in one run. The heavier benchmarks live in the checkout."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tao.errors import InputError

STARTUP = "startup"
REPEATS = 5
MANY = 200
"""Users' tasks that a list is timed with."""
SCRIPTS = Path(__file__).resolve().parent.parent / "tests" / "benchmarks"


def cpu_s(code: str) -> float:
    """CPU seconds of a fresh interpreter that runs a piece of code, the least of several."""
    import resource

    def used() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    taken = []
    for _ in range(REPEATS):
        before = used()
        subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
        taken.append(used() - before)
    return min(taken)


def startup() -> None:
    """Print what importing and asking for help cost, beside an empty interpreter."""
    help_of = "from tao_bench.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass"
    cases = {
        "empty interpreter": "pass",
        "import tao, tao_bench": "import tao, tao_bench",
        "tao-bench --help": help_of,
        "tao-bench tasks list": "from tao_bench.cli import main\nmain(['tasks', 'list'])",
    }
    print(f"start-up, CPU seconds, least of {REPEATS} (aim: under 0.3)")
    for name, code in cases.items():
        print(f"  {name:32} {cpu_s(code):.3f}")
    with tempfile.TemporaryDirectory(prefix="tao-bench-startup-") as scratch:
        from tao_bench.new import new_task

        for number in range(MANY):
            new_task(f"task_{number}", "classify", Path(scratch))
        code = f"from tao_bench.cli import main\nmain(['tasks', 'list', '--tasks', {scratch!r}])"
        name = f"tasks list, {MANY} users' tasks"
        print(f"  {name:32} {cpu_s(code):.3f}")


def run_bench(names: Sequence[str] = ()) -> int:
    """The command ``tao-bench bench [NAME ...]``.

    Args:
        names: ``startup`` or ``*_speed`` scripts of tests/benchmarks; none means all that are here. The other scripts
            there hold the SQL machinery against outside evidence and take data: they are run by themselves.

    Returns:
        0, or 1 if a benchmark failed.

    Raises:
        InputError: Unknown name.
    """
    scripts = {path.stem: path for path in sorted(SCRIPTS.glob("*_speed.py"))}
    unknown = [name for name in names if name != STARTUP and name not in scripts]
    if unknown:
        where = "" if scripts else " (the heavier ones come with the repository's checkout)"
        raise InputError(f"no such benchmark{where}", unknown[0], f"use {', '.join([STARTUP, *scripts])}")
    failed = 0
    for name in names or (STARTUP, *scripts):
        if name == STARTUP:
            startup()
            continue
        print(f"\n{name}", flush=True)
        root = SCRIPTS.parent.parent
        done = subprocess.run([sys.executable, "-m", f"tests.benchmarks.{name}"], cwd=root, check=False)
        failed |= done.returncode != 0
    return int(failed)
