"""What all query shapes share: drawing filters, testing them on the rows, saying them.

A shape (`single.py`, `joined.py`, `nested.py`) draws a question with its gold, or None where the schema or
the draw cannot carry it. No gold is run: filters are tested on the rows, so that each of them matters and
something is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from . import knobs
from .filters import Condition, draw_condition, name_condition
from .instances import Cell, Instance, Row, Warehouse
from .schemas import NUMBERS, Column, Link, Table
from .wording import mention, noun, pick


@dataclass(frozen=True, slots=True)
class Draw:
    """What a shape draws from.

    Attributes:
        rng: Source of randomness.
        level: Level of the item.
        warehouse: Schema and rows.
        checked: The instances that tell whether a draw is sound. For the pool these are the tuning instances: the
            verifier's one stays unopened there.
    """

    rng: Random
    level: str
    warehouse: Warehouse
    checked: tuple[Instance, ...]

    def say(self, key: str) -> str:
        """A phrase at the level's tier mix."""
        return pick(self.rng, self.level, key)

    def rows(self, tables: tuple[Table, ...]) -> list[list[Row]]:
        """Joined rows, one list per checked instance."""
        return [instance.rows(tables) for instance in self.checked]


@dataclass(frozen=True, slots=True)
class Question:
    """A question, its gold, and the tables the gold reads."""

    text: str
    sql: str
    tables: tuple[Table, ...]


def source(tables: tuple[Table, ...], links: Sequence[Link]) -> str:
    """The FROM clause."""
    text = f"FROM {tables[0].name}"
    for table, link in zip(tables[1:], links, strict=True):
        text += f" JOIN {table.name} USING ({link.key})"
    return text


def where(conditions: Sequence[Condition]) -> str:
    """The WHERE clause with a leading space, or ''."""
    return " WHERE " + " AND ".join(c.sql for c in conditions) if conditions else ""


def passing(rows: list[Row], conditions: Sequence[Condition]) -> list[Row]:
    """Rows that pass every condition."""
    return [row for row in rows if all(c.holds(row) for c in conditions)]


def sound(draw: Draw, tables: tuple[Table, ...], conditions: Sequence[Condition], least: int = 1) -> bool:
    """Whether enough rows pass in every checked instance, and no condition could be left out."""
    for rows in draw.rows(tables):
        left = len(passing(rows, conditions))
        if left < least:
            return False
        for i in range(len(conditions)):
            if len(passing(rows, [*conditions[:i], *conditions[i + 1 :]])) == left:
                return False
    return True


def conditions_on(
    draw: Draw, table: Table, witness: Row, *, least: int = 0, without: tuple[Column, ...] = (), most: int = 2
) -> list[Condition]:
    """Filters on a table's own columns; their number is drawn by the level's knob."""
    weights = knobs.FILTERS[draw.level]
    wanted = min(most, max(least, draw.rng.choices((0, 1, 2), weights)[0]))
    used = {c.name for c in without}
    found: list[Condition] = []
    for _ in range(4 * wanted):
        condition = draw_condition(
            draw.rng,
            draw.level,
            table,
            anchors=draw.warehouse.anchors,
            witness=witness,
            without=used,
            kinds=knobs.FILTER_KINDS[draw.level],
        )
        if condition is not None and len(found) < wanted:
            used.add(condition.column.name)
            found.append(condition)
    return found


def described(draw: Draw, table: Table, conditions: Sequence[Condition], many: bool = True) -> str:
    """'Shipped orders with amount above 400 and quantity below 12'."""
    before = " ".join(c.before for c in conditions if c.before)
    after = " and ".join(c.after for c in conditions if c.after)
    return " ".join(part for part in (before, noun(draw.rng, draw.level, table, many), after) if part)


def linked(draw: Draw, link: Link, condition: Condition) -> str:
    """'placed by customers with region EMEA'; a name may stand for its row ('placed by customer Nordal')."""
    verb = draw.rng.choice((*link.verbs, "of"))
    if condition.column.kind == "name" and condition.after[:1].isupper():
        return f"{verb} {noun(draw.rng, draw.level, link.parent, many=False)} {condition.after}"
    return f"{verb} {described(draw, link.parent, [condition])}"


def some_table(draw: Draw, *kinds: str) -> Table | None:
    """A table that has a column of one of these kinds."""
    fitting = [t for t in draw.warehouse.schema.tables if t.of(*kinds)]
    return draw.rng.choice(fitting) if fitting else None


def witness_row(draw: Draw) -> Row:
    """An anchor row: what is asked about exists in every instance."""
    return draw.rng.choice(draw.warehouse.anchors)


def aggregate(draw: Draw, column: Column) -> tuple[str, str]:
    """(function, words): scores are not summed."""
    name = draw.rng.choice(("AVG", "MAX", "MIN") if column.kind == "score" else ("SUM", "SUM", "AVG", "MAX", "MIN"))
    return name, draw.say(name).format(c=mention(draw.rng, draw.level, column))


def compute(function: str, cells: list[Cell]) -> float:
    """An aggregate of numbers, or COUNT."""
    if function == "COUNT":
        return len(cells)
    numbers = [float(c) for c in cells]
    return {"SUM": sum(numbers), "AVG": sum(numbers) / len(numbers), "MAX": max(numbers), "MIN": min(numbers)}[function]


def groups(rows: list[Row], by: Column, function: str, column: Column) -> dict[Cell, float]:
    """Aggregate per group."""
    cells: dict[Cell, list[Cell]] = {}
    for row in rows:
        cells.setdefault(row[by.name], []).append(row[column.name])
    return {key: compute(function, members) for key, members in cells.items()}


def some_link(draw: Draw) -> Link:
    """A child with its parent."""
    return draw.rng.choice(draw.warehouse.schema.links)


def far_condition(draw: Draw, table: Table, witness: Row) -> Condition | None:
    """A filter on a joined table, by name in a third of the cases."""
    if draw.rng.random() < 0.3:
        named = name_condition(draw.rng, draw.level, table, witness)
        if named is not None:
            return named
    found = conditions_on(draw, table, witness, least=1, most=1)
    return found[0] if found else None


def spoken_far(draw: Draw, link: Link, column: Column) -> str:
    """'customer region': a parent's column, with its owner said half of the time."""
    words = mention(draw.rng, draw.level, column)
    owner = noun(draw.rng, draw.level, link.parent, many=False)
    return words if words.startswith(owner) or draw.rng.random() < 0.5 else f"{owner} {words}"


def group_question(
    draw: Draw, tables: tuple[Table, ...], links: tuple[Link, ...], *, by: Column, spoken: str, near: list[Condition]
) -> Question:
    """A count or an aggregate of the first table's rows per value of a column."""
    main, rng = tables[0], draw.rng
    numbers = main.of(*NUMBERS)
    if numbers and rng.random() < 0.55:
        column = rng.choice(numbers)
        function, words = aggregate(draw, column)
        head = f"{function}({column.name})"
        words = f"{words} of {described(draw, main, near)}"
    else:
        head, words = "COUNT(*)", draw.say("group_count").format(t=described(draw, main, near))
    text = draw.say("group").format(x=words, p=draw.say("per").format(g=spoken))
    sql = f"SELECT {by.name}, {head} {source(tables, links)}{where(near)} GROUP BY {by.name}"
    return Question(text, sql, tables)
