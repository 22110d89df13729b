"""Do two engines give one result? The one place where porting asks the comparator."""

from __future__ import annotations

import re
from dataclasses import replace

from tao.sql.engines import Reply
from tao.sql.result import Cell
from tao_bench.sql.compare import ANY_ORDER, EQUAL, RowOrder, compare
from tao_bench.sql.pairing import ACROSS_ENGINES

_ISO = re.compile(r"(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d)(:\d\d(?:\.\d+)?)?)?\Z")


def disagreement(gold: Reply, found: Reply, order: RowOrder = ANY_ORDER) -> str:
    """'' where two replies are equal (columns in the given order), else how they differ.

    Args:
        gold: A reply with rows.
        found: Another.
        order: How far the gold fixes the order of its rows.
    """
    match = compare(gold.rows, found.rows, (gold.width, found.width), order, ACROSS_ENGINES)
    return "" if match in EQUAL else match.value


def with_times(reply: Reply, typed: Reply) -> Reply:
    """A reply of SQLite, which has no dates, with ISO text as times in columns where a typed engine has times.

    Text in any other column stays text: a gold that returns a year as text is not equal to one that returns a number.
    """
    if reply.width != typed.width or not reply.rows:
        return reply
    columns = {number for number in range(typed.width) if _is_time_column([row[number] for row in typed.rows])}
    if not columns:
        return reply
    rows = tuple(
        tuple(_as_time(cell) if number in columns else cell for number, cell in enumerate(row)) for row in reply.rows
    )
    return replace(reply, rows=rows)


def _is_time_column(cells: list[Cell]) -> bool:
    present = [cell for cell in cells if cell is not None]
    return bool(present) and all(isinstance(cell, tuple) and cell[0] == "t" for cell in present)


def _as_time(cell: Cell) -> Cell:
    found = _ISO.match(cell) if isinstance(cell, str) else None
    if found is None:
        return cell
    return ("t", f"{found[1]}T{found[2] or '00:00'}{found[3] or ':00'}")
