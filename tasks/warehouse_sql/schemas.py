"""Draws one company's schema from a domain: which tables, under which names, with which columns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from . import knobs
from .values import distinct
from .vocabulary import RESERVED, Domain, Entity, Slot, plural, snake

NUMBERS = ("int", "real", "score")
SQL_TYPE = {"name": "STRING", "text": "STRING", "int": "INT", "real": "DOUBLE", "score": "INT", "date": "DATE"}


@dataclass(frozen=True, slots=True)
class Column:
    """A column.

    Attributes:
        name: As the schema writes it.
        kind: ``key``, ``foreign``, or a kind of `vocabulary`.
        synonyms: Other words for it, none of which names a column of this schema.
        loose: Phrases that filter on it without naming it; for a date, a verb.
        values: Text: the values it may hold; numbers: the bounds as ``lo..hi``; else ''.
        texts: The text values drawn for this schema (empty for other kinds and for unique text).
    """

    name: str
    kind: str
    synonyms: tuple[str, ...] = ()
    loose: tuple[str, ...] = ()
    values: str = ""
    texts: tuple[str, ...] = ()

    @property
    def type(self) -> str:
        """Databricks type."""
        return SQL_TYPE.get(self.kind, "INT")

    @property
    def spoken(self) -> str:
        """The name as a person says it."""
        return self.name.replace("_", " ")


@dataclass(frozen=True, slots=True)
class Table:
    """A table; its first column is its key."""

    name: str
    singular: str
    synonyms: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def key(self) -> str:
        """Name of the key column."""
        return self.columns[0].name

    def of(self, *kinds: str) -> list[Column]:
        """Columns of these kinds."""
        return [c for c in self.columns if c.kind in kinds]

    def line(self) -> str:
        """The table as the prompt shows it."""
        return f"{self.name} ({', '.join(f'{c.name} {c.type}' for c in self.columns)})"


@dataclass(frozen=True, slots=True)
class Link:
    """A child table refers to a parent table by the parent's key; verbs say how ("placed by")."""

    child: Table
    parent: Table
    verbs: tuple[str, ...]

    @property
    def key(self) -> str:
        """The shared column."""
        return self.parent.key


@dataclass(frozen=True, slots=True)
class Schema:
    """Tables in the order in which the prompt shows them; two links form a chain or a star."""

    domain: str
    tables: tuple[Table, ...]
    links: tuple[Link, ...]

    def lines(self, needed: tuple[Table, ...] = ()) -> tuple[str, ...]:
        """Table lines; only those of `needed` if given."""
        return tuple(t.line() for t in self.tables if not needed or t.name in {n.name for n in needed})


Tree = tuple[tuple[str, str, tuple[str, ...]], ...]


def _trees(domain: Domain, size: int) -> list[Tree]:
    """Links (child, parent, verbs) of every chain or star of `size` tables."""
    links = [(e.names[0], p, verbs) for e in domain.entities for p, verbs in e.parents]
    if size == 2:
        return [(link,) for link in links]
    pairs = [(a, b) for i, a in enumerate(links) for b in links[i + 1 :]]
    return [
        (a, b) for a, b in pairs if (a[0] == b[0] or a[1] == b[0] or b[1] == a[0]) and len({*a[:2], *b[:2]}) == size
    ]


def _parents_first(tree: Tree) -> list[str]:
    """Entity names, every parent before its children: a child needs its parents' keys."""
    waiting = list(dict.fromkeys(n for child, parent, _ in tree for n in (parent, child)))
    order: list[str] = []
    while waiting:
        ready = [n for n in waiting if all(p in order for c, p, _ in tree if c == n)]
        order += ready
        waiting = [n for n in waiting if n not in ready]
    return order


def _choose_name(rng: Random, names: tuple[str, ...], taken: set[str]) -> str:
    """One of the synonyms, long or short by the knob, that no other thing of the schema has."""
    free = [n for n in names if snake(n) not in taken and snake(n) not in RESERVED]
    long = [n for n in free if " " in n]
    short = [n for n in free if " " not in n]
    pick = long if long and (not short or rng.random() < knobs.LONG_NAMES) else short
    return rng.choice(pick) if pick else ""


def _column(rng: Random, slot: Slot, taken: set[str], texts: set[str]) -> Column | None:
    name = _choose_name(rng, slot.names, taken)
    if not name:
        return None
    drawn: tuple[str, ...] = ()
    if slot.kind == "text":
        drawn = tuple(distinct(rng, slot.values, rng.randint(*knobs.VALUES_PER_TEXT_COLUMN), texts))
        if len(drawn) < 3:
            return None
    taken.add(snake(name))
    others = tuple(n for n in slot.names if n != name)
    return Column(snake(name), slot.kind, others, slot.loose, slot.values, drawn)


def _pick_slots(rng: Random, entity: Entity, n: int, child: bool) -> list[Slot]:
    """Slots in an order that gives every table what the questions need before anything else."""
    slots = list(entity.slots)
    rng.shuffle(slots)
    wanted = [("name",), ("text",), NUMBERS, ("date",)] if child else [("name",), ("text",)]
    chosen: list[Slot] = []
    for kinds in wanted:
        fitting = [s for s in slots if s.kind in kinds and s not in chosen]
        if fitting:
            chosen.append(fitting[0])
    chosen += [s for s in slots if s not in chosen and s.kind != "name"]
    return chosen[: max(n, 3 if child else 2)]


def _table(
    rng: Random, entity: Entity, *, foreign: list[str], taken: set[str], texts: set[str], single: bool
) -> Table | None:
    child = bool(foreign)
    base = _choose_name(rng, tuple(n for n in entity.names if snake(plural(n)) not in taken), taken)
    if not base:
        return None
    key = f"{base.split()[-1]}_id" if rng.random() < 0.75 or len(base) > 14 else f"{snake(base)}_id"
    if key in taken:
        return None
    taken.update((snake(base), snake(plural(base)), key))
    width = rng.choices(tuple(knobs.COLUMNS), tuple(knobs.COLUMNS.values()))[0]
    columns = [_column(rng, s, taken, texts) for s in _pick_slots(rng, entity, width - 1 - len(foreign), child)]
    body = [c for c in columns if c is not None]
    if not any(c.kind in ("text", "name") for c in body) or (child and not any(c.kind in NUMBERS for c in body)):
        return None
    keys = [Column(name, "foreign") for name in foreign]
    body = body + keys if rng.random() < knobs.FOREIGN_KEY_LAST else keys + body
    others = tuple(n for n in entity.names if n != base)
    name = snake(base if single else plural(base))
    return Table(name, base, others, (Column(key, "key"), *body))


def _unambiguous(tables: list[Table]) -> list[Table]:
    """Drop synonyms that name something else in the schema."""
    said = {t.singular for t in tables} | {c.spoken for t in tables for c in t.columns}
    synonyms = [s for t in tables for c in t.columns for s in c.synonyms] + [s for t in tables for s in t.synonyms]
    clear = {s for s in synonyms if s not in said and synonyms.count(s) == 1}

    def keep(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(n for n in names if n in clear)

    return [
        replace(t, synonyms=keep(t.synonyms), columns=tuple(replace(c, synonyms=keep(c.synonyms)) for c in t.columns))
        for t in tables
    ]


def draw_schema(rng: Random, domain: Domain) -> Schema:
    """A schema of two or three tables of one domain."""
    while True:
        size = rng.choices(tuple(knobs.TABLES), tuple(knobs.TABLES.values()))[0]
        tree = rng.choice(_trees(domain, size))
        order = _parents_first(tree)
        taken: set[str] = set()
        texts: set[str] = set()
        single = rng.random() < knobs.SINGULAR_TABLES
        made: dict[str, Table] = {}
        for name in order:
            parents = [p for c, p, _ in tree if c == name]
            keys = [made[p].key for p in parents]
            table = _table(rng, domain.entity(name), foreign=keys, taken=taken, texts=texts, single=single)
            if table is None:
                break
            made[name] = table
        if len(made) < len(order):
            continue
        clear = dict(zip(made, _unambiguous(list(made.values())), strict=True))
        links = tuple(Link(clear[c], clear[p], verbs) for c, p, verbs in tree)
        shown = list(clear.values())
        rng.shuffle(shown)
        return Schema(domain.name, tuple(shown), links)
