"""Database instances: the real one, and a second one made from schema and data alone."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from random import Random

from .source import Table

KEEP_ROW = 0.75
"""Share of droppable rows that the second instance keeps."""


def _measures(table: Table) -> list[int]:
    """Positions of numeric columns."""
    return [index for index, (_, kind) in enumerate(table.columns) if kind != "STRING"]


def _shuffle_measures(table: Table, rng: Random) -> Table:
    """Hand the numbers of one entity to another, as one tuple, so that what belongs together stays together.

    An entity is a value of the first column where its numbers are the same in all its rows (a river
    listed once a state), else a row. Density stays population over area.
    """
    measures = _measures(table)
    if not measures:
        return table
    by_name: dict[object, set[tuple[object, ...]]] = {}
    for row in table.rows:
        by_name.setdefault(row[0], set()).add(tuple(row[i] for i in measures))
    per_name = all(len(values) == 1 for values in by_name.values())
    entities: list[object] = list(by_name) if per_name else list(range(len(table.rows)))
    tuples = [
        next(iter(by_name[entity])) if per_name else tuple(table.rows[index][i] for i in measures)
        for index, entity in enumerate(entities)
    ]
    rng.shuffle(tuples)
    handed = dict(zip(entities, tuples, strict=True))
    rows = []
    for index, row in enumerate(table.rows):
        new = list(row)
        for position, value in zip(measures, handed[row[0] if per_name else index], strict=True):
            new[position] = value
        rows.append(tuple(new))
    return Table(table.columns, tuple(rows))


def _drop_rows(table: Table, rng: Random) -> Table:
    """Drop some rows, never the last one that holds a name; a relation that is symmetric stays so."""
    names = [index for index, (_, kind) in enumerate(table.columns) if kind == "STRING"]
    present = set(table.rows)
    symmetric = len(table.columns) == 2 and len(names) == 2 and all((b, a) in present for a, b in table.rows)
    held = Counter((index, row[index]) for row in table.rows for index in names)
    dropped: set[int] = set()
    positions: dict[tuple[object, ...], list[int]] = {}
    for index, row in enumerate(table.rows):
        positions.setdefault(row, []).append(index)
    order = list(range(len(table.rows)))
    rng.shuffle(order)
    for index in order:
        group = {index}
        if symmetric:
            row = table.rows[index]
            group = set(positions[row]) | set(positions[(row[1], row[0])])
        if dropped & group or rng.random() < KEEP_ROW:
            continue
        loss = Counter((i, table.rows[one][i]) for one in group for i in names)
        if all(held[name] > count for name, count in loss.items()):
            held -= loss
            dropped |= group
    return Table(table.columns, tuple(row for index, row in enumerate(table.rows) if index not in dropped))


def second_instance(tables: Mapping[str, Table], rng: Random) -> dict[str, Table]:
    """The same schema and names with other numbers and fewer relations.

    Two queries that mean different things but agree on the real data by chance part here. Nothing about
    questions or golds goes in.
    """
    return {name: _drop_rows(_shuffle_measures(table, rng), rng) for name, table in tables.items()}


def shuffled_rows(tables: Mapping[str, Table], rng: Random) -> dict[str, Table]:
    """The same data in another row order: a query whose result changes has no defined answer."""
    return {
        name: Table(table.columns, tuple(rng.sample(table.rows, len(table.rows)))) for name, table in tables.items()
    }


def write_instance(path: Path, tables: Mapping[str, Table]) -> None:
    """Write the instance format that `tao.sql` loads."""
    body = {
        "tables": {
            name: {"columns": [list(c) for c in table.columns], "rows": [list(row) for row in table.rows]}
            for name, table in tables.items()
        }
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(body, ensure_ascii=False) + "\n", encoding="utf-8")
