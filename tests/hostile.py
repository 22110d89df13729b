"""Reads tests/fixtures/sql/hostile.txt: attacks on the SQL gate and on the sandbox, as a flat file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).parent / "fixtures" / "sql" / "hostile.txt"
_REPEAT = re.compile(r"<<(.*?)\*(\d+)>>")


class Attack(NamedTuple):
    """One line: the wall that must hold, the statement, and why it is an attack."""

    wall: str
    sql: str
    why: str


def attacks(*walls: str) -> list[Attack]:
    """The attacks on the named walls, repetitions written out."""
    found = []
    for line in FILE.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            wall, rest = line.split(" | ", 1)
            sql, why = rest.rsplit(" | ", 1)
            sql = _REPEAT.sub(lambda match: match[1] * int(match[2]), sql).replace("<<NL>>", "\n")
            found.append(Attack(wall, sql, why))
    return [attack for attack in found if attack.wall in walls]
