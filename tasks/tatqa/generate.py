"""Make the tatqa task from the published files; see README.md."""

from __future__ import annotations

from pathlib import Path

from tao_bench.qa.tatqa import generate_tatqa


def generate(out: Path, seed: int, source: Path) -> None:
    """Write the task's data (see `generate_tatqa`)."""
    generate_tatqa(out, seed, source)
