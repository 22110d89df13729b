"""Make the finqa task from the published files; see README.md."""

from __future__ import annotations

from pathlib import Path

from tao_bench.qa.finqa import generate_finqa


def generate(out: Path, seed: int, source: Path) -> None:
    """Write the task's data (see `generate_finqa`)."""
    generate_finqa(out, seed, source)
