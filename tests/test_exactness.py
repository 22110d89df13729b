"""Same seed twice, and killed at random points, in every stage: `tests/benchmarks/exactness.py` as a test."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked processes")
def test_killed_at_twenty_random_points_it_ends_with_the_same_bytes_and_true_books() -> None:
    command = [sys.executable, "-m", "tests.benchmarks.exactness", "--kills", "20"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "holds" in done.stdout and "then 20 kills" in done.stdout
    for stage in ("explore", "score", "train", "watch"):
        assert re.search(rf"'{stage}': [1-9]", done.stdout), f"never killed in {stage}: {done.stdout}"
