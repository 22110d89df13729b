"""Make the defog task from the published files named by TAO_BENCH_DEFOG; see README.md."""

from __future__ import annotations

from pathlib import Path

from tao_bench.sql.published_task import Part, generate_published

PARTS = (
    Part(
        {
            name: (f"defog/questions/{file}_sqlite.csv", f"questions/{file}_sqlite.csv")
            for name, file in (("gen", "questions_gen"), ("basic", "instruct_basic"))
        },
        ("defog/databases/*/*.sql", "databases/*/*.sql"),
        ("pool", "test", "dev", "train"),
    ),
)


def generate(out: Path, seed: int) -> None:
    """Write the task's data (see `generate_published`)."""
    generate_published(out, seed, "TAO_BENCH_DEFOG", PARTS)
