"""Checks that only SQL tasks have: faulty golds must fail wherever the data can tell them from the gold.

A mutant that passes is either one the data cannot tell apart (same rows; it is listed, and its share is the
task's blind spot) or a fault of the verifier. Which of the two is decided by other code than the verifier's:
the fingerprint that agreement voting uses.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tao_bench.task import Item, Label
from tao_bench.verify.verdict import Status

if TYPE_CHECKING:
    from tao.sql.instance import Schema
    from tao_bench.registry import Task

ITEMS = 60
"""Golds of a task whose mutants are judged, unless a sample says otherwise: a few hundred mutants."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One faulty gold and what became of it.

    Attributes:
        item: The item whose gold it was made from.
        kind: The fault, e.g. ``filter dropped``.
        sql: The faulty query.
        status: The verifier's status.
        reason: Its reason code.
        same: Whether its rows are those of the gold, by fingerprint; None where that was not asked.
    """

    item: str
    kind: str
    sql: str
    status: str
    reason: str
    same: bool | None = None


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


def describe(found: Sequence[Mutant]) -> tuple[list[str], str]:
    """Faults (mutants that pass with other rows, or that could not be judged), and the figures in words."""
    faults = [f"{m.item} passes with other rows ({m.kind})" for m in found if m.same is False]
    lost = [m for m in found if m.status == Status.VERIFIER_ERROR.value]
    faults += [f"{m.item} cannot be judged ({m.kind}: {m.reason})" for m in lost]
    survivors = Counter(m.kind for m in found if m.same)
    total = Counter(m.kind for m in found)
    blind = ", ".join(f"{kind} {survivors[kind]}/{total[kind]}" for kind, _ in survivors.most_common())
    told = 1 - survivors.total() / max(1, len(found))
    words = f"{len(found)} mutants of {len({m.item for m in found})} golds, the data tells {told:.1%} apart"
    return faults, words + (f"; indistinguishable here: {blind}" if blind else "")


def write_survivors(path: Path, found: Sequence[Mutant]) -> None:
    """Write the mutants that the data cannot tell from their gold, one JSON row each."""
    rows = [json.dumps(asdict(m), ensure_ascii=False) + "\n" for m in found if m.same]
    path.write_text("".join(rows), encoding="utf-8")
