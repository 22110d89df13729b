"""Make the financebench task from the published sample; see README.md."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tao_bench.qa.financebench import generate_financebench


def generate(out: Path, seed: int, source: Path, options: Mapping[str, Any]) -> None:
    """Write the task's data (see `generate_financebench`)."""
    generate_financebench(out, seed, source, options)
