"""Make the bird task from the published files named by TAO_BENCH_BIRD; see README.md."""

from __future__ import annotations

from pathlib import Path

from tao_bench.sql.published_task import Part, generate_published

PARTS = (
    Part(
        {"bird": ("bird_dev/questions*.json", "questions*.json", "mini_dev_sqlite.json", "dev.json")},
        ("bird_dev/databases/*/*.sqlite", "databases/*/*.sqlite", "dev_databases/*/*.sqlite"),
        ("pool", "dev", "test", "train"),
    ),
)


def generate(out: Path, seed: int) -> None:
    """Write the task's data (see `generate_published`)."""
    generate_published(out, seed, "TAO_BENCH_BIRD", PARTS)
