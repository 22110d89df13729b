"""Fills a schema with rows, three times: two instances for tuning's votes, one that only the verifier opens.

All are made from the schema alone. A few *anchor* rows (a child row with its parents) are the same in
each, so that a value named in a question exists in every instance; everything else differs.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from . import knobs
from .schemas import NUMBERS, Column, Link, Schema, Table
from .values import distinct

Cell = str | int | float
Row = dict[str, Cell]


@dataclass(frozen=True, slots=True)
class Instance:
    """Rows of every table, and joins of them."""

    schema: Schema
    tables: dict[str, list[Row]]
    _joined: dict[tuple[str, ...], list[Row]] = field(default_factory=dict)

    def rows(self, tables: tuple[Table, ...]) -> list[Row]:
        """Rows of the inner join of linked tables (column names are unique but for the keys)."""
        names = tuple(t.name for t in tables)
        if names not in self._joined:
            self._joined[names] = list(self._join(names))
        return self._joined[names]

    def _join(self, names: tuple[str, ...]) -> Iterator[Row]:
        found = list(self.tables[names[0]])
        done = {names[0]}
        for name in names[1:]:
            link = next(
                k
                for k in self.schema.links
                if name in (k.child.name, k.parent.name) and done & {k.child.name, k.parent.name}
            )
            index: dict[Cell, list[Row]] = {}
            for row in self.tables[name]:
                index.setdefault(row[link.key], []).append(row)
            found = [{**left, **right} for left in found for right in index.get(left[link.key], [])]
            done.add(name)
        yield from found

    def to_json(self) -> dict[str, Any]:
        """The contract's form: columns with types, rows as lists."""
        return {
            "tables": {
                t.name: {
                    "columns": [[c.name, c.type] for c in t.columns],
                    "rows": [[row[c.name] for c in t.columns] for row in self.tables[t.name]],
                }
                for t in self.schema.tables
            }
        }


@dataclass(frozen=True, slots=True)
class Warehouse:
    """A schema with its data.

    Attributes:
        schema: The schema.
        anchors: Joined rows that every instance holds (without key values, which differ).
        instances: Two for tuning, then the verifier's.
    """

    schema: Schema
    anchors: list[Row]
    instances: tuple[Instance, Instance, Instance]


def _bounds(column: Column) -> tuple[int, int]:
    low, _, high = column.values.partition("..")
    return int(low), int(high)


def round_number(value: float) -> int:
    """To two leading digits: what a person would ask about."""
    step = 10 ** max(0, len(str(int(value))) - 2)
    return int(round(value / step) * step)


def _number(rng: Random, column: Column) -> Cell:
    low, high = _bounds(column)
    value = low + (high - low) * rng.random() ** 1.3  # business figures lean to the small side
    cents: Cell = round(value, 2)
    return cents if column.kind == "real" else round(value)


def _date(rng: Random, first: int, years: int) -> str:
    day = datetime.date(first, 1, 1) + datetime.timedelta(days=rng.randrange(365 * years))
    return day.isoformat()


def _first_year(schema: Schema, table: Table) -> int:
    """Reference data is older than what happened lately."""
    return 2020 if any(link.child.name == table.name for link in schema.links) else 2012


def _anchor_cells(rng: Random, schema: Schema, table: Table, n: int, taken: set[str]) -> list[Row]:
    """Attribute values of `n` anchor rows: round numbers, all different; text values spread over the domain."""
    rows: list[Row] = [{} for _ in range(n)]
    for column in table.columns:
        cells: list[Cell] = []
        if column.kind == "name":
            cells = list(distinct(rng, column.values, n, taken))
        elif column.kind == "text":
            usable = list(column.texts[: max(3, len(column.texts) - 1)])  # one value stays out: instances differ in it
            cells = [usable[i % len(usable)] for i in range(n)]
            rng.shuffle(cells)
        elif column.kind in NUMBERS:
            low, high = _bounds(column)
            spread = [round_number(low + (high - low) * (i + rng.random()) / (n + 1)) for i in range(1, n + 1)]
            cells = [float(v) if column.kind == "real" else v for v in spread]
            rng.shuffle(cells)
        elif column.kind == "date":
            years = 4 if _first_year(schema, table) == 2020 else 12
            cells = [_date(rng, _first_year(schema, table), years) for _ in range(n)]
            cells = [f"{str(d)[:8]}01" if rng.random() < 0.5 else d for d in cells]
        for row, cell in zip(rows, cells, strict=bool(cells)):
            row[column.name] = cell
    return rows


def _fill(rng: Random, schema: Schema, table: Table, n: int, *, anchors: list[Row], taken: set[str]) -> list[Row]:
    """Rows without keys: the anchors first, then random ones."""
    rows = [dict(a) for a in anchors] + [{} for _ in range(n - len(anchors))]
    fresh = rows[len(anchors) :]
    for column in table.columns:
        cells: list[Cell] = []
        if column.kind == "name":
            cells = list(distinct(rng, column.values, len(fresh), taken))
        elif column.kind == "text":
            seen = {a[column.name] for a in anchors}
            texts = [t for t in column.texts if t in seen or rng.random() < 0.5]
            weights = [0.5 + rng.expovariate(1.0) for _ in texts]  # uneven, so that groups differ in size
            cells = list(rng.choices(texts, weights, k=len(fresh)))
        elif column.kind in NUMBERS:
            cells = [_number(rng, column) for _ in fresh]
        elif column.kind == "date":
            first = _first_year(schema, table)
            cells = [_date(rng, first, 4 if first == 2020 else 12) for _ in fresh]
        for row, cell in zip(fresh, cells, strict=bool(cells)):
            row[column.name] = cell
    return rows


def _refer(rng: Random, link: Link, tables: dict[str, list[Row]], pairs: list[int]) -> None:
    """Give every child row a parent: anchors theirs, the others by uneven chance, some parents none."""
    children, parents = tables[link.child.name], tables[link.parent.name]
    others = list(range(len(pairs), len(parents)))
    rng.shuffle(others)
    idle = set(others[: int(len(parents) * knobs.CHILDLESS)])
    weights = [0.0 if i in idle else 0.25 + rng.expovariate(1.0) for i in range(len(parents))]
    for position, child in enumerate(children):
        chosen = pairs[position] if position < len(pairs) else rng.choices(range(len(parents)), weights)[0]
        child[link.key] = parents[chosen][link.key]


def fill_warehouse(rng: Random, schema: Schema) -> Warehouse:
    """All three instances of a schema."""
    n = knobs.ANCHORS
    texts = {t.lower() for table in schema.tables for c in table.columns for t in c.texts}
    anchors = {t.name: _anchor_cells(rng, schema, t, n, texts) for t in schema.tables}
    # an anchor child refers to an anchor parent; one parent may serve two children
    pairs = [[rng.randrange(n) for _ in range(n)] for _ in schema.links]
    joined: list[Row] = []
    top = next(t for t in schema.tables if not any(link.parent.name == t.name for link in schema.links))
    for i in range(n):
        place = {top.name: i}
        for link, pair in sorted(zip(schema.links, pairs, strict=True), key=lambda x: x[0].child.name != top.name):
            place[link.parent.name] = pair[place[link.child.name]]
        joined.append({k: v for name, j in place.items() for k, v in anchors[name][j].items()})
    made: list[Instance] = []
    for _ in range(3):
        taken, tables = set(texts), {}
        for table in schema.tables:
            child = any(link.child.name == table.name for link in schema.links)
            size = rng.randint(*(knobs.CHILD_ROWS if child and table.name == top.name else knobs.PARENT_ROWS))
            rows = _fill(rng, schema, table, size, anchors=anchors[table.name], taken=taken)
            keys = rng.sample(range(1, 4 * size), size)
            for row, key in zip(rows, keys, strict=True):
                row[table.key] = key
            tables[table.name] = rows
        for link, pair in zip(schema.links, pairs, strict=True):
            _refer(rng, link, tables, pair)
        for rows in tables.values():
            rng.shuffle(rows)
        made.append(Instance(schema, tables))
    return Warehouse(schema, joined, (made[0], made[1], made[2]))
