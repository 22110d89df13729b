"""Make the spider task from the published files named by TAO_BENCH_SPIDER; see README.md."""

from __future__ import annotations

from pathlib import Path

from tao_bench.sql.published_task import Part, generate_published

DATABASES = ("database/*/*.sqlite",)
PARTS = (
    Part(
        {"train": ("spider_train/train*.json*", "train_spider.json")},
        ("spider_train/database/*/*.sqlite", *DATABASES),
        ("pool", "pool", "train", "pool", "pool"),
    ),
    Part(
        {"dev": ("spider_dev/dev*.json", "dev.json")}, ("spider_dev/database/*/*.sqlite", *DATABASES), ("dev", "test")
    ),
)


def generate(out: Path, seed: int) -> None:
    """Write the task's data (see `generate_published`)."""
    generate_published(out, seed, "TAO_BENCH_SPIDER", PARTS)
