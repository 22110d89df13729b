"""Make the kaggle_dbqa task from the published files named by TAO_BENCH_KAGGLE_DBQA; see README.md."""

from __future__ import annotations

from pathlib import Path

from tao_bench.sql.published_task import Part, generate_published

PARTS = (
    Part(
        {"kaggle": ("kaggle_dbqa/[A-Z]*.json", "[A-Z]*.json")},
        ("kaggle_dbqa/databases/*/*.sqlite", "databases/*/*.sqlite"),
        ("pool", "test", "dev", "train"),
    ),
)


def generate(out: Path, seed: int) -> None:
    """Write the task's data (see `generate_published`)."""
    generate_published(out, seed, "TAO_BENCH_KAGGLE_DBQA", PARTS)
