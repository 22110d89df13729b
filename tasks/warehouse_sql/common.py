"""What all query shapes share: drawing filters, testing them on the rows, saying them.

A shape (`single.py`, `joined.py`, `nested.py`) draws a question with its gold, or None where the schema or
the draw cannot carry it. No gold is run: filters are tested on the rows, so that each of them matters and
something is left.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from . import knobs
from .filters import Condition, draw_condition, name_condition
from .instances import Cell, Instance, Row, Warehouse
from .schemas import NUMBERS, Column, Link, Table
from .wording import mention, noun, pick

Result = Callable[[list[Row]], object]


@dataclass(frozen=True, slots=True)
class Draw:
    """What a shape draws from.

    Attributes:
        rng: Source of randomness.
        level: Level of the item.
        warehouse: Schema and rows.
        checked: The instances that tell whether a draw is sound; the last one judges. For the pool these are the
            tuning instances: the verifier's one stays unopened there.
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


def tells(rows: list[Row], conditions: Sequence[Condition], result: Result) -> bool:
    """Whether the result would change if any condition were left out, or had its boundary moved."""
    right = result(passing(rows, conditions))
    for i, condition in enumerate(conditions):
        loose = passing(rows, [*conditions[:i], *conditions[i + 1 :]])
        if result(loose) == right:
            return False
        almost = condition.nearly
        if almost is not None and result([row for row in loose if almost(row[condition.column.name])]) == right:
            return False
    return True


def sound(
    draw: Draw, tables: tuple[Table, ...], conditions: Sequence[Condition], result: Result = len, least: int = 1
) -> bool:
    """Whether enough rows pass in every checked instance, and the judging one shows that each condition matters.

    Args:
        draw: The draw.
        tables: Tables joined, the first one first.
        conditions: Filters.
        result: What the query makes of the rows that pass.
        least: Fewest rows that may pass.
    """
    found = draw.rows(tables)
    return all(len(passing(rows, conditions)) >= least for rows in found) and tells(found[-1], conditions, result)


def repeats(draw: Draw, tables: tuple[Table, ...], column: Column, conditions: Sequence[Condition]) -> bool:
    """Whether DISTINCT matters: the judging instance repeats a value of the column."""
    cells = [row[column.name] for row in passing(draw.rows(tables)[-1], conditions)]
    return len(set(cells)) < len(cells)


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


@dataclass(frozen=True, slots=True)
class Head:
    """What a question asks for: SQL, words ('' for a count of rows), and the same on rows."""

    sql: str
    words: str
    result: Callable[[list[Row]], float]


COUNT = Head("COUNT(*)", "", len)


def aggregate(draw: Draw, column: Column, functions: Sequence[str] = ("SUM", "SUM", "AVG", "MAX", "MIN")) -> Head:
    """An aggregate of a number; scores are not summed."""
    fitting = [f for f in functions if f != "SUM" or column.kind != "score"]
    name = draw.rng.choice(fitting)
    words = draw.say(name).format(c=mention(draw.rng, draw.level, column))
    return Head(f"{name}({column.name})", words, lambda rows: compute(name, column, rows))


def compute(function: str, column: Column, rows: list[Row]) -> float:
    """SUM, AVG, MAX or MIN of a column; NaN over no rows (which equals nothing, as NULL does)."""
    numbers = [float(row[column.name]) for row in rows]
    if not numbers:
        return math.nan
    if function in ("SUM", "AVG"):
        return sum(numbers) / (len(numbers) if function == "AVG" else 1)
    return max(numbers) if function == "MAX" else min(numbers)


def cells_of(*columns: Column) -> Result:
    """A listing as a result: the multiset of its rows."""
    return lambda rows: Counter(tuple(row[c.name] for c in columns) for row in rows)


def groups(rows: list[Row], by: Column, head: Head) -> dict[Cell, float]:
    """What is asked for, per group."""
    members: dict[Cell, list[Row]] = {}
    for row in rows:
        members.setdefault(row[by.name], []).append(row)
    return {key: head.result(found) for key, found in members.items()}


def some_link(draw: Draw) -> Link:
    """A child with its parent."""
    return draw.rng.choice(draw.warehouse.schema.links)


def far_condition(draw: Draw, table: Table, witness: Row) -> Condition | None:
    """A filter on a joined table, by name in a third of the cases."""
    if draw.rng.random() < knobs.NAMED_PARENT:
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
    draw: Draw, tables: tuple[Table, ...], links: tuple[Link, ...], *, by: Column, spoken: str, witness: Row
) -> Question | None:
    """A count or an aggregate of the first table's rows per value of a column."""
    main, rng = tables[0], draw.rng
    near = conditions_on(draw, main, witness, without=(by,), most=1) if rng.random() < knobs.GROUP_FILTER else []
    numbers = main.of(*NUMBERS)
    head = aggregate(draw, rng.choice(numbers)) if numbers and rng.random() < 0.55 else COUNT
    if not sound(draw, tables, near, lambda rows: groups(rows, by, head), 4):
        return None
    words = grouped_words(draw, head, described(draw, main, near))
    text = draw.say("group").format(x=words, p=draw.say("per").format(g=spoken))
    sql = f"SELECT {by.name}, {head.sql} {source(tables, links)}{where(near)} GROUP BY {by.name}"
    return Question(text, sql, tables)


def grouped_words(draw: Draw, head: Head, phrase: str) -> str:
    """'number of orders', 'total freight of orders'."""
    return f"{head.words} of {phrase}" if head.words else draw.say("group_count").format(t=phrase)


def asked(draw: Draw, head: Head, phrase: str) -> str:
    """The question for one number about rows."""
    return draw.say("measure").format(x=head.words, t=phrase) if head.words else draw.say("count").format(t=phrase)
