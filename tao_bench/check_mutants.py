"""Faulty answers as a check sees them: what became of each, and which of them nobody could tell from the gold.

A mutant that passes is either one that means the same here (it is listed, and its share is the task's blind spot)
or a fault of the verifier. Which of the two is never decided by the verifier's own code.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tao_bench.verify.verdict import Status


@dataclass(frozen=True, slots=True)
class Mutant:
    """One faulty gold and what became of it.

    Attributes:
        item: The item whose gold it was made from.
        kind: The fault, e.g. ``filter dropped``.
        answer: The faulty answer.
        status: The verifier's status.
        reason: Its reason code.
        same: Whether it means what the gold means (same rows, a value within the tolerance); None where that was
            not asked, because it did not pass.
    """

    item: str
    kind: str
    answer: str
    status: str
    reason: str
    same: bool | None = None


def describe(found: Sequence[Mutant]) -> tuple[list[str], str]:
    """Faults (mutants that pass meaning something else, or that could not be judged), and the figures in words."""
    faults = [f"{m.item} passes, meaning something else ({m.kind})" for m in found if m.same is False]
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
