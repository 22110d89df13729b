"""Fills a star with rows, three times: two instances for tuning's votes, one that only the verifier opens.

All are made from the schema alone. A few *anchor* members have the same name in each, so that a name in a question
exists in every instance; everything else differs. The faults of real warehouses are put in on purpose: keys that are
NULL or name no row, cells that are NULL, zeros, text typed by hand, facts dated on the border of two versions.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from . import knobs
from .schemas import Column, Star, Table
from .values import distinct

Cell = str | int | float | bool | datetime.date | datetime.datetime | None
Row = dict[str, Any]
FIRST_FACT, LAST_FACT = datetime.date(2021, 1, 1), datetime.date(2023, 12, 31)
HISTORY_STARTS = datetime.date(2019, 1, 1)
FOREVER = datetime.date(9999, 12, 31)
_DAY = datetime.timedelta(days=1)
_REMARKS = (
    "customer asked for a {w}", "{w} agreed by phone", "see {w} in the file", "second {w} this year", "no {w} needed",
    "{w} pending, call back", "waiting for {w}",
)  # fmt: skip
REMARK_WORDS = ("refund", "delay", "invoice copy", "damage", "discount", "escalation", "photo", "signature")
MAIL_HOSTS = ("nordal.example", "kestrel.example", "vesper.example", "umbra.example", "halden.example")


@dataclass(frozen=True, slots=True)
class Rows:
    """One instance: table name to rows, with an index by column for lookups."""

    tables: dict[str, list[Row]]
    _index: dict[tuple[str, str], dict[Any, list[Row]]] = field(default_factory=dict)

    def by(self, table: str, column: str) -> dict[Any, list[Row]]:
        """Rows of a table by a column's value; rows where it is NULL are left out, as in a join."""
        if (table, column) not in self._index:
            found: dict[Any, list[Row]] = {}
            for row in self.tables[table]:
                if row[column] is not None:
                    found.setdefault(row[column], []).append(row)
            self._index[table, column] = found
        return self._index[table, column]

    def to_json(self, star: Star) -> dict[str, Any]:
        """The contract's form: columns with types, rows as lists."""
        return {
            "tables": {
                t.name: {
                    "columns": [[c.name, c.type] for c in t.columns],
                    "rows": [[_plain(row[c.name]) for c in t.columns] for row in self.tables[t.name]],
                }
                for t in star.tables
            }
        }


def _plain(cell: Cell) -> Any:
    if isinstance(cell, datetime.datetime):
        return cell.isoformat(" ")
    return cell.isoformat() if isinstance(cell, datetime.date) else cell


@dataclass(frozen=True, slots=True)
class Warehouse:
    """A star with its data: two instances for tuning, then the verifier's; and the names that all three hold."""

    star: Star
    anchors: dict[str, list[str]]
    instances: tuple[Rows, Rows, Rows]


def _bounds(column: Column) -> tuple[int, int]:
    low, _, high = column.values.partition("..")
    return int(low), int(high)


def _number(rng: Random, column: Column) -> Cell:
    low, high = _bounds(column)
    value = low + (high - low) * rng.random() ** 1.3  # business figures lean to the small side
    if rng.random() < knobs.ROUND:
        step = 10 ** max(0, len(str(int(value))) - 1)
        value = max(step, round(value / step) * step)
    return round(float(value), 2) if column.kind == "real" else round(value)


def _hole(rng: Random, column: Column, cell: Cell) -> Cell:
    return None if column.nullable and rng.random() < knobs.NO_VALUE else cell


def _case(rng: Random, text: str) -> str:
    return rng.choice((text, text.lower(), text.upper(), text.title()))


def _spaces(rng: Random, text: str) -> str:
    return rng.choice((text, f"{text} ", f" {text}", f"{text}  "))


def messy(rng: Random, column: Column, clean: str) -> str:
    """A value as somebody typed it: short form or long, any case, outer spaces."""
    shorts = [short for short, text in column.shorts if text == clean]
    if shorts and rng.random() < 0.45:
        clean = shorts[0]
    return _spaces(rng, _case(rng, clean)) if rng.random() < knobs.MESSY else clean


def _code(rng: Random, column: Column) -> str:
    areas = [column.texts[0], *[a for a in ("DE", "CH", "BR", "KR") if a != column.texts[0]][:3]]
    area, number = rng.choice(areas), f"{rng.randint(1, 9999):04d}"
    if rng.random() > knobs.MESSY:
        return f"{area}-{number}"
    text = area + rng.choice(("-", "-", " ", "")) + number
    return rng.choice((text, text, text.lower(), f"{area.title()}{text[2:]}"))


def _amount(rng: Random) -> str:
    value = rng.choice((rng.randint(20, 900), rng.randint(1000, 9000))) + rng.choice((0, 0.5, 0.25))
    if rng.random() < knobs.NO_VALUE:
        return rng.choice(("n/a", ""))
    return f"{value:,.2f}" if rng.random() < 0.6 else f"{value:.2f}"


def _typed(rng: Random, column: Column) -> Cell:
    """A cell of a hand-typed column."""
    if column.kind == "code":
        return _code(rng, column)
    if column.kind == "amount":
        return _amount(rng)
    if column.kind == "remark":
        words = rng.choice(REMARK_WORDS)
        return _case(rng, rng.choice(_REMARKS).format(w=words)) if rng.random() > knobs.NO_VALUE else None
    text = f"{rng.choice(('anna', 'bruno', 'ines', 'office', 'desk', 'mail'))}.{rng.randint(1, 99)}@"
    return _spaces(rng, _case(rng, text + rng.choice(MAIL_HOSTS)))


def _cells(rng: Random, column: Column, n: int, taken: set[str]) -> list[Cell]:
    """Cells of a column that depends on nothing else."""
    if column.kind == "name":
        return list(distinct(rng, column.values, n, taken))
    if column.kind in ("text", "zone", "raw"):
        weights = [0.5 + rng.expovariate(1.0) for _ in column.texts]  # uneven, so that groups differ in size
        picked = rng.choices(column.texts, weights, k=n)
        return [_hole(rng, column, messy(rng, column, t) if column.kind == "raw" else t) for t in picked]
    if column.kind in ("int", "real"):
        return [_hole(rng, column, _number(rng, column)) for _ in range(n)]
    if column.kind == "date":
        return [_day(rng, datetime.date(2015, 1, 1), datetime.date(2020, 12, 31)) for _ in range(n)]
    return [_typed(rng, column) for _ in range(n)]


def _day(rng: Random, first: datetime.date, last: datetime.date) -> datetime.date:
    return first + datetime.timedelta(days=rng.randint(0, (last - first).days))


def _keys(rng: Random, n: int) -> list[int]:
    return rng.sample(range(1, 6 * n), n)


def _members(rng: Random, table: Table, size: int, anchors: list[str], taken: set[str]) -> list[Row]:
    """Rows of a dimension with one row a member; foreign keys are left open."""
    rows: list[Row] = [{table.key: key} for key in _keys(rng, size)]
    for column in table.columns[1:]:
        if column.kind == "foreign":
            continue
        cells = _cells(rng, column, size, taken)
        if column.kind == "name":
            cells = [*anchors, *cells[: size - len(anchors)]]
        elif column.kind == "text" and table.columns[1] is column:  # a table whose name is a closed list
            cells = list(rng.sample(column.texts, size))
        elif column.kind in ("text", "zone"):  # every value somewhere
            cells[: len(column.texts)] = column.texts
        for row, cell in zip(rows, cells, strict=True):
            row[column.name] = cell
    return rows


def _versions(rng: Random, star: Star, anchors: list[str], taken: set[str]) -> list[Row]:
    """Rows of the historised dimension: consecutive intervals of every member, the last one open."""
    table = star.history
    size = rng.randint(*knobs.MEMBERS)
    title, state = table.columns[1], table.columns[2]
    number, start, end, current = table.columns[3:]
    names = [*anchors, *distinct(rng, title.values, size - len(anchors), taken)]
    rows: list[Row] = []
    for key, name in zip(_keys(rng, size), names, strict=True):
        count = rng.choices(tuple(knobs.VERSIONS), tuple(knobs.VERSIONS.values()))[0]
        days = sorted({_day(rng, FIRST_FACT, LAST_FACT) for _ in range(count - 1)})
        starts = [_day(rng, HISTORY_STARTS, datetime.date(2020, 12, 31)), *days]
        value = ""
        for i, first in enumerate(starts):
            # now and then a version changes the number alone: a version is not always a change of state
            value = rng.choice([t for t in state.texts if t != value]) if not value or rng.random() < 0.85 else value
            last = i == len(starts) - 1
            until: Cell = FOREVER if star.open_end else None
            if not last:
                until = starts[i + 1] - _DAY if star.inclusive else starts[i + 1]
            row = {table.key: key, title.name: name, state.name: value, number.name: _number(rng, number)}
            rows.append({**row, start.name: first, end.name: until, current.name: last})
    rng.shuffle(rows)
    return rows


def _refer(rng: Random, keys: Sequence[int], n: int, strays: float) -> list[int | None]:
    """A key for each of `n` facts: uneven, some keys unused, some NULL, some of rows that are gone."""
    used = rng.sample(list(keys), max(2, round(len(keys) * (1 - knobs.UNUSED))))
    weights = [0.25 + rng.expovariate(1.0) for _ in used]
    gone = [k for k in range(900, 930) if k not in keys]
    found: list[int | None] = []
    for _ in range(n):
        draw = rng.random()
        if draw < knobs.NO_KEY:
            found.append(None)
        else:
            found.append(rng.choice(gone) if draw < knobs.NO_KEY + strays else rng.choices(used, weights)[0])
    return found


def _facts(rng: Random, star: Star, tables: dict[str, list[Row]], taken: set[str]) -> list[Row]:
    fact = star.fact
    n = rng.randint(*knobs.FACTS)
    rows: list[Row] = [{fact.key: key} for key in _keys(rng, n)]
    for table in (star.history, star.plain, star.site):
        if table is not None:
            keys = sorted({row[table.key] for row in tables[table.name]})
            strays = 0.0 if table is star.history else knobs.ORPHAN
            for row, cell in zip(rows, _refer(rng, keys, n, strays), strict=True):
                row[table.key] = cell
    whole, day, stamp = fact.one("int"), fact.one("date"), fact.one("stamp")
    borders: dict[Any, list[datetime.date]] = {}
    for row in tables[star.history.name]:
        borders.setdefault(row[star.history.key], []).append(row[star.history.one("from").name])
    for row in rows:
        near = [d for d in borders.get(row[star.history.key], []) if d >= FIRST_FACT]
        if near and rng.random() < knobs.ON_A_BORDER:
            row[day.name] = rng.choice(near) - rng.choice((0, 0, 1)) * _DAY
        else:
            row[day.name] = _day(rng, FIRST_FACT, LAST_FACT)
            if rng.random() < 0.12:
                row[day.name] = (row[day.name].replace(day=28) + 4 * _DAY).replace(day=1) - _DAY
        late = rng.choice((0, 0, 1, 2, 3, 5, 8, 13))
        hour = rng.choice((*range(24), 21, 22, 23, 0, 1, 2, 3))  # many near midnight: the local day is another
        noon = datetime.datetime.combine(row[day.name] + late * _DAY, datetime.time(hour, rng.randrange(60)))
        row[stamp.name] = noon + datetime.timedelta(seconds=rng.randrange(60))
    for column in fact.columns[1:]:
        if column.kind not in ("foreign", "date", "stamp"):
            for row, cell in zip(rows, _cells(rng, column, n, taken), strict=True):
                row[column.name] = cell
    for row in rows:
        if rng.random() < knobs.ZERO:
            row[whole.name] = 0
    return rows


def _pairs(rng: Random, star: Star, tables: dict[str, list[Row]]) -> list[Row]:
    """0 to 3 tags a fact."""
    assert star.bridge is not None and star.tag is not None
    keys = [row[star.tag.key] for row in tables[star.tag.name]]
    weights = [0.4 + rng.expovariate(1.0) for _ in keys]
    rows: list[Row] = []
    for fact in tables[star.fact.name]:
        chosen = sorted(set(rng.choices(keys, weights, k=rng.choice((0, 1, 1, 2, 3, 3)))))
        rows += [{star.fact.key: fact[star.fact.key], star.tag.key: key} for key in chosen]
    rng.shuffle(rows)
    return rows


def _instance(rng: Random, star: Star, anchors: dict[str, list[str]], taken: set[str]) -> Rows:
    tables: dict[str, list[Row]] = {}
    if star.region is not None:
        size = rng.randint(*knobs.REGIONS)
        tables[star.region.name] = _members(rng, star.region, size, anchors[star.region.name][:3], taken)
    if star.site is not None:
        tables[star.site.name] = _members(rng, star.site, rng.randint(*knobs.SITES), anchors[star.site.name][:3], taken)
    if star.tag is not None:
        tables[star.tag.name] = _members(rng, star.tag, knobs.TAGS, [], taken)
    size = rng.randint(*knobs.MEMBERS)
    tables[star.plain.name] = _members(rng, star.plain, size, anchors[star.plain.name], taken)
    if star.region is not None:
        regions = [row[star.region.key] for row in tables[star.region.name]]
        for row in tables[star.plain.name]:
            row[star.region.key] = rng.choice(regions)
    tables[star.history.name] = _versions(rng, star, anchors[star.history.name], taken)
    tables[star.fact.name] = _facts(rng, star, tables, taken)
    if star.bridge is not None:
        tables[star.bridge.name] = _pairs(rng, star, tables)
    for rows in tables.values():
        rng.shuffle(rows)
    return Rows(tables)


def fill_warehouse(rng: Random, star: Star) -> Warehouse:
    """All three instances of a star."""
    taken = {t.lower() for table in star.tables for c in table.columns for t in c.texts}
    anchors = {
        t.name: distinct(rng, t.one("name").values, knobs.ANCHORS, taken) if t.of("name") else [] for t in star.tables
    }
    made = [_instance(rng, star, anchors, set(taken)) for _ in range(3)]
    return Warehouse(star, anchors, (made[0], made[1], made[2]))
