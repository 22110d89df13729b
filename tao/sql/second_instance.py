"""A second instance of a database for agreement votes: the same schema and values, other facts.

Two queries that mean different things can return the same rows by chance on the one instance there is. On the second
they part. It is made from schema and data alone, and keeps what two right queries may both rely on: keys still join,
texts that a question may mention are still there, and columns that fix one another still do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from tao.sql.instance import Columns, Instance
from tao.sql.readers.keys import ForeignKey

KEEP_ROW = 0.75
"""Share of the droppable rows that are kept."""
REPEATS = 2
"""A column fixes another where each of its values occurs so often on average; else that may be chance."""


def second_instance(instance: Instance, keys: Sequence[ForeignKey], rng: Random) -> Instance:
    """Hand attributes from row to row and drop some rows.

    Columns that join (declared keys, names ending in ``id``, ``code`` or ``key``) and texts that name their row stay.
    All others are handed to other rows of their table, columns that fix one another together. Then a quarter of the
    rows goes, but never the last one that holds a text, or a value that another table refers to.

    Args:
        instance: The real data; not changed.
        keys: Its declared foreign keys.
        rng: Decides who gets what; its state alone varies the outcome.
    """
    joined = _joined(instance, keys)
    rows = {}
    for table, columns in instance.schema.tables:
        links, shared = _links(table, columns, joined, keys)
        moved = _shuffled(columns, instance.rows[table], links, rng)
        held = [index for index, (_, kind) in enumerate(columns) if kind == "STRING" or index in shared]
        rows[table] = _thinned(moved, held, rng)
    return Instance(instance.schema, rows)


def _joined(instance: Instance, keys: Sequence[ForeignKey]) -> set[tuple[str, str]]:
    """(table, column), in lower case, of every column that another table's column joins to."""
    homes = Counter(name.lower() for _, columns in instance.schema.tables for name in {n.lower() for n, _ in columns})
    named = {
        (table.lower(), name.lower())
        for table, columns in instance.schema.tables
        for name, _ in columns
        if homes[name.lower()] > 1 and _is_id(name)
    }
    declared = {(k.table.lower(), k.column.lower()) for k in keys}
    return named | declared | {(k.to_table.lower(), k.to_column.lower()) for k in keys}


def _is_id(name: str) -> bool:
    return name.lower().endswith(("id", "code", "key"))


def _links(
    table: str, columns: Columns, joined: set[tuple[str, str]], keys: Sequence[ForeignKey]
) -> tuple[set[int], set[int]]:
    """Positions of the columns that stay because they join, and of those whose values other tables refer to."""
    shared = {index for index, (name, _) in enumerate(columns) if (table.lower(), name.lower()) in joined}
    return shared | {index for index, (name, _) in enumerate(columns) if _is_id(name)}, shared


def _groups(columns: Columns, rows: Sequence[Sequence[Any]], links: set[int]) -> list[list[int]]:
    """Columns that are handed on, those that fix one another in one group."""
    width = range(len(columns))
    values = [Counter(row[index] for row in rows) for index in width]
    home = list(width)
    stays = set(links)
    for index, (_, kind) in enumerate(columns):
        if kind == "STRING" and len(values[index]) == len(rows):
            stays.add(index)
    for one in width:
        if len(values[one]) < 2 or len(values[one]) * REPEATS > len(rows):
            continue
        for other in width:
            if one != other and len(values[other]) > 1 and len({(r[one], r[other]) for r in rows}) == len(values[one]):
                old, new = home[other], home[one]
                home = [new if place == old else place for place in home]
    fixed = {home[index] for index in stays}
    found: dict[int, list[int]] = {}
    for index in width:
        if home[index] not in fixed:
            found.setdefault(home[index], []).append(index)
    return list(found.values())


def _shuffled(columns: Columns, rows: Sequence[Sequence[Any]], links: set[int], rng: Random) -> list[list[Any]]:
    result = [list(row) for row in rows]
    for group in _groups(columns, rows, links):
        handed = [tuple(row[index] for index in group) for row in rows]
        rng.shuffle(handed)
        for row, cells in zip(result, handed, strict=True):
            for index, cell in zip(group, cells, strict=True):
                row[index] = cell
    return result


def _thinned(rows: Sequence[list[Any]], held: Sequence[int], rng: Random) -> list[list[Any]]:
    left: Mapping[int, Counter[Any]] = {index: Counter(row[index] for row in rows) for index in held}
    dropped: set[int] = set()
    for place in rng.sample(range(len(rows)), len(rows)):
        row = rows[place]
        last = len(rows) - len(dropped) == 1 or any(left[index][row[index]] == 1 for index in held)
        if last or rng.random() < KEEP_ROW:
            continue
        dropped.add(place)
        for index in held:
            left[index][row[index]] -= 1
    return [row for place, row in enumerate(rows) if place not in dropped]
