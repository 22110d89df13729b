"""Checks that only SQL tasks have: faulty golds must fail wherever the data can tell them from the gold.

A mutant that passes is either one the data cannot tell apart (same rows; it is listed, and its share is the
task's blind spot) or a fault of the verifier. Which of the two is decided by other code than the verifier's:
the fingerprint that agreement voting uses.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tao_bench.check_mutants import Mutant
from tao_bench.task import Item, Label
from tao_bench.verify.verdict import Status

if TYPE_CHECKING:
    from tao.sql.instance import Schema
    from tao_bench.registry import Task


def judge_mutants(task: Task, judged: Sequence[tuple[Item, Label]]) -> list[Mutant]:
    """Every mutant of the golds given, judged; those that pass are compared with the gold by fingerprint too."""
    from tao.sql.gate import Accepted, check
    from tao.sql.instance import read_instance
    from tao.sql.sandbox import Sandbox
    from tao_bench.sql.mutants import mutants, siblings_of

    verifier = task.verifier()
    found = []
    with Sandbox() as box:

        def prints(sql: str, paths: Sequence[str], schema: Schema) -> list[str | None]:
            accepted = check(sql, schema)
            if not isinstance(accepted, Accepted):
                return []
            ran = box.run([(path, accepted.duckdb) for path in paths], rows=False)
            return [one.prints[0] if one.prints else None for one in ran]

        try:
            for item, label in judged:
                databases = label.gold.get("databases") or [label.gold["database"]]
                paths = [str(task.data / database) for database in databases]
                schema = read_instance(Path(paths[0])).schema
                golds = [label.gold["sql"]] if isinstance(label.gold["sql"], str) else label.gold["sql"]
                for kind, mutant in mutants(golds[0], siblings_of(schema.columns)):
                    verdict = verifier.grade(item.prompt, label.gold, mutant, "stop")
                    passed = verdict.status is Status.CORRECT
                    # a fault of the first gold may make another of the accepted ones of it
                    rows = prints(mutant, paths, schema) if passed else []
                    same = any(rows == prints(sql, paths, schema) for sql in golds) if passed else None
                    found.append(Mutant(item.prompt.id, kind, mutant, verdict.status.value, verdict.reason, same))
        finally:
            verifier.close()
    return found
