"""Draws one company's star schema: a fact, a historised and a plain dimension, and what the layout adds."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from . import knobs
from .values import distinct
from .vocabulary import RESERVED, Domain, Entity, Slot, plural, snake

SQL_TYPE = {
    "name": "STRING", "text": "STRING", "zone": "STRING", "raw": "STRING", "code": "STRING", "amount": "STRING",
    "remark": "STRING", "mail": "STRING", "real": "DOUBLE", "date": "DATE", "from": "DATE", "to": "DATE",
    "stamp": "TIMESTAMP", "current": "BOOLEAN",
}  # fmt: skip
"""Type by kind of column; INT where nothing is said."""
ZONES = (
    "Europe/Berlin", "Europe/London", "America/New_York", "America/Chicago", "America/Los_Angeles", "Asia/Tokyo",
    "Asia/Kolkata", "Australia/Sydney", "America/Sao_Paulo",
)  # fmt: skip
AREAS = ("EU", "NA", "AP", "LA", "ME", "AF", "UK", "JP")
_TAGS = "fragile, urgent, gift, export, recall, audit, vip, seasonal, bulk, loyal, promo, legal, pilot, insured"
_REGIONS = "North, South, East, West, Central, Coast, Highlands, Islands, Delta, Capital"
_SITE = Slot("name", ("site",), (), "@place")
_GENERIC = {
    "site": ("dispatch point", "service point", "hub", "post", "facility", "base", "location"),
    "region": ("sales area", "territory", "district", "zone", "area", "circuit"),
    "tag": ("tag", "label", "flag", "marker", "topic"),
}
_INTERVALS = (
    ("valid_from", "valid_to", "is_current"),
    ("effective_from", "effective_to", "current_flag"),
    ("row_start", "row_end", "is_latest"),
    ("in_force_from", "in_force_to", "is_active"),
)
_STAMPS = ("created_at", "logged_at", "received_at", "entered_at", "captured_at")
_DIRTY_NAMES = {
    "code": ("ref_code", "booking_ref", "file_code", "trace_code"),
    "amount": ("declared_value", "quoted_value", "estimate", "insured_value"),
    "remark": ("remark", "note", "free_text", "memo"),
    "mail": ("contact_mail", "email", "mail_address"),
}
DIRTY_COMMENT = {
    "code": "area of two letters, hyphen, 4 digits ({area}-0412); typed by hand: case varies, hyphen may be a blank",
    "amount": "typed by hand: 1250.50 or 1,250.50; n/a or empty if unknown",
    "remark": "free text, case varies",
    "mail": "case and outer spaces vary",
}
_SPARE = (
    Slot("real", ("handling fee", "surcharge"), (), "5..900"),
    Slot("int", ("item count", "piece count"), (), "1..90"),
    Slot("text", ("priority class",), (), "Low, Normal, High, Rush, Deferred"),
    Slot("text", ("intake",), (), "Desk, Portal, Phone, Letter, Partner"),
    Slot("date", ("record date",), (), ""),
)


@dataclass(frozen=True, slots=True)
class Column:
    """A column.

    Attributes:
        name: As the schema writes it.
        kind: ``key``, ``foreign``, a kind of `vocabulary`, or one of `SQL_TYPE`.
        comment: What the schema says about it, or ''.
        values: Numbers: ``lo..hi``; generated text: the generator; else ''.
        texts: The (clean) text values drawn for this schema.
        shorts: For hand-typed text: (short form, the value it stands for).
        nullable: Whether cells may be NULL.
    """

    name: str
    kind: str
    comment: str = ""
    values: str = ""
    texts: tuple[str, ...] = ()
    shorts: tuple[tuple[str, str], ...] = ()
    nullable: bool = False

    @property
    def type(self) -> str:
        """Databricks type."""
        return SQL_TYPE.get(self.kind, "INT")

    @property
    def spoken(self) -> str:
        """The name as a person says it; a day or a time goes by its column's name ("raised_on" is no noun)."""
        return self.name if self.kind in ("date", "stamp") else self.name.replace("_", " ")


@dataclass(frozen=True, slots=True)
class Table:
    """A table; its first column is its key (of a bridge: the fact's key)."""

    name: str
    singular: str
    columns: tuple[Column, ...]

    @property
    def key(self) -> str:
        """Name of the key column."""
        return self.columns[0].name

    @property
    def things(self) -> str:
        """What its rows are called, in the plural."""
        return plural(self.singular)

    def of(self, *kinds: str) -> list[Column]:
        """Columns of these kinds."""
        return [c for c in self.columns if c.kind in kinds]

    def one(self, kind: str) -> Column:
        """The first column of a kind."""
        return self.of(kind)[0]

    def line(self) -> str:
        """The table as the prompt shows it."""
        parts = (f"{c.name} {c.type}" + (f" COMMENT '{c.comment}'" if c.comment else "") for c in self.columns)
        return f"{self.name} ({', '.join(parts)})"


@dataclass(frozen=True, slots=True)
class Star:
    """A star schema by role; `tables` in the order in which the prompt shows them.

    Attributes:
        domain: The line of business.
        tables: All tables.
        fact: The fact.
        history: Dimension of type 2; its key repeats, once a version.
        plain: Dimension with one row a member.
        site: Dimension with a time zone, or None.
        region: Parent of `plain`, or None.
        bridge: (fact key, tag key) pairs, or None.
        tag: What the bridge leads to, or None.
        inclusive: Whether the last day of a version's interval belongs to it.
        open_end: ``9999-12-31`` or '' (NULL): the end of the version in force.
    """

    domain: str
    tables: tuple[Table, ...]
    fact: Table
    history: Table
    plain: Table
    site: Table | None
    region: Table | None
    bridge: Table | None
    tag: Table | None
    inclusive: bool
    open_end: str

    def lines(self) -> tuple[str, ...]:
        """Table lines."""
        return tuple(t.line() for t in self.tables)


class _Names:
    """Names in use: of tables, columns and values, so that no word of a question can mean two things."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.taken: set[str] = set()
        self.texts: set[str] = set()

    def choose(self, names: tuple[str, ...]) -> str:
        """One of the synonyms that no other thing has (spoken form); '' if none is free."""
        # "total total" would be said of a column called so
        free = [n for n in names if snake(n) not in self.taken | RESERVED and "total" not in n.split()]
        long = [n for n in free if " " in n]
        short = [n for n in free if " " not in n]
        pick = long if long and (not short or self.rng.random() < knobs.LONG_NAMES) else short
        name = self.rng.choice(pick) if pick else ""
        self.taken.add(snake(name))
        return name

    def column(self, slot: Slot, nullable: bool = False) -> Column | None:
        """A column of a slot, or None if its names or values are used up."""
        texts: tuple[str, ...] = ()
        if slot.kind == "text":
            texts = tuple(distinct(self.rng, slot.values, self.rng.randint(*knobs.VALUES_PER_TEXT_COLUMN), self.texts))
            if len(texts) < 4:
                return None
        name = self.choose(slot.names)
        kind = "int" if slot.kind == "score" else slot.kind
        return Column(snake(name), kind, values=slot.values, texts=texts, nullable=nullable) if name else None

    def table(self, base: str) -> tuple[str, str]:
        """(table name, key name) of a thing."""
        self.taken.update((snake(base), snake(plural(base))))
        key = f"{base.rsplit(maxsplit=1)[-1]}_id"
        if key in self.taken:
            key = f"{snake(base)}_id"
        self.taken.add(key)
        return snake(plural(base)), key


def _first(names: _Names, slots: list[Slot], kinds: tuple[str, ...], nullable: bool = False) -> Column | None:
    """A column of the first slot of these kinds that can be had; the slot is used up."""
    for slot in [*slots, *_SPARE]:
        if slot.kind in kinds and (column := names.column(slot, nullable)):
            if slot in slots:
                slots.remove(slot)
            return column
    return None


def _short_forms(rng: Random, texts: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Two short forms ('SHP' for 'Shipped'), none of them a value, no two alike."""
    found: list[tuple[str, str]] = []
    for text in rng.sample(texts, len(texts)):
        letters = text.replace(" ", "").upper()
        short = letters[0] + "".join(c for c in letters[1:] if c not in "AEIOUY")[:2]
        if len(short) == 3 and short not in {s for s, _ in found} | {t.upper() for t in texts}:
            found.append((short, text))
    return tuple(found[:2])


def _dirty(names: _Names, kind: str, area: str) -> Column:
    name = names.choose(_DIRTY_NAMES[kind])
    return Column(name, kind, DIRTY_COMMENT[kind].format(area=area), texts=(area,) if area else ())


def _fact(names: _Names, entity: Entity, keys: list[Column], dirty: list[Column]) -> Table | None:
    rng = names.rng
    base = names.choose(entity.names)
    name, key = names.table(base)
    slots = list(entity.slots)
    rng.shuffle(slots)
    status = _first(names, slots, ("text",))
    clean = _first(names, slots, ("text",), nullable=True)
    whole = _first(names, slots, ("int",))
    real = _first(names, slots, ("real",), nullable=True)
    day = _first(names, slots, ("date",))
    if status is None or clean is None or whole is None or real is None or day is None:
        return None
    shorts = _short_forms(rng, status.texts)
    if len(shorts) < 2:
        return None
    told = ", ".join(f"{short} = {text}" for short, text in shorts)
    raw = Column(status.name, "raw", f"typed by hand: case and outer spaces vary; {told}", "", status.texts, shorts)
    stamp = Column(names.choose(_STAMPS), "stamp", "UTC")
    body = [clean, whole, real, day, stamp, raw, *dirty]
    rng.shuffle(body)
    return Table(name, base, (Column(key, "key"), *keys, *body))


def _history(names: _Names, entity: Entity, inclusive: bool, open_end: str) -> Table | None:
    rng = names.rng
    base = names.choose(entity.names)
    name, key = names.table(base)
    slots = list(entity.slots)
    rng.shuffle(slots)
    title = _first(names, slots, ("name",))
    state = _first(names, slots, ("text",))
    number = _first(names, slots, ("int", "real", "score"))
    if title is None or state is None or number is None:
        return None
    start, end, current = rng.choice(_INTERVALS)
    names.taken.update((start, end, current))
    last = "last valid day" if inclusive else "first day no longer valid"
    span = (
        Column(start, "from", "first valid day"),
        Column(end, "to", f"{last}, {open_end or 'NULL'} while current"),
        Column(current, "current"),
    )
    return Table(name, base, (Column(key, "key", "repeats: one row a version"), title, state, number, *span))


def _plain(names: _Names, entity: Entity, keys: list[Column], dirty: list[Column]) -> Table | None:
    base = names.choose(entity.names)
    name, key = names.table(base)
    slots = list(entity.slots)
    names.rng.shuffle(slots)
    title = _first(names, slots, ("name",))
    text = _first(names, slots, ("text",))
    number = _first(names, slots, ("int", "real", "score"), nullable=True)
    if title is None or text is None or number is None:
        return None
    return Table(name, base, (Column(key, "key"), title, text, number, *dirty, *keys))


def _site(names: _Names) -> Table:
    base = names.choose(_GENERIC["site"])
    name, key = names.table(base)
    title = Column(f"{snake(base)}_name", "name", values="@place")
    zones = tuple(names.rng.sample(ZONES, 3))
    kind = Column(f"{snake(base)}_kind", "text", texts=tuple(distinct(names.rng, _SITE_KINDS, 4, names.texts)))
    return Table(name, base, (Column(key, "key"), title, kind, Column("time_zone", "zone", texts=zones)))


_SITE_KINDS = "Flagship, Standard, Satellite, Leased, Mobile, Shared"


def _region(names: _Names) -> Table:
    base = names.choose(_GENERIC["region"])
    name, key = names.table(base)
    texts = tuple(distinct(names.rng, _REGIONS, knobs.REGIONS[1], names.texts))
    title = Column(f"{snake(base)}_name", "text", texts=texts)
    lead = Column(f"{snake(base)}_lead", "name", values="@person")
    return Table(name, base, (Column(key, "key"), title, lead))


def _tags(names: _Names, fact: Table) -> tuple[Table, Table]:
    base = names.choose(_GENERIC["tag"])
    name, key = names.table(base)
    texts = tuple(distinct(names.rng, _TAGS, knobs.TAGS, names.texts))
    tag = Table(name, base, (Column(key, "key"), Column(f"{snake(base)}_name", "text", texts=texts)))
    pairs = Table(f"{snake(fact.singular)}_{name}", "pair", (Column(fact.key, "foreign"), Column(key, "foreign")))
    return pairs, tag


def _draw(rng: Random, domain: Domain) -> Star | None:
    names = _Names(rng)
    layout = rng.choice(knobs.LAYOUTS)
    inclusive, open_end = rng.random() < 0.5, rng.choice(("", "9999-12-31"))
    facts = [e for e in domain.entities if len(e.parents) >= 2]
    entity = rng.choice(facts)
    first, second = rng.sample([p for p, _ in entity.parents], 2)
    kinds = rng.sample(knobs.DIRTY_KINDS, knobs.DIRTY_PER_SCHEMA)
    area = rng.choice(AREAS)
    dirty = {kind: _dirty(names, kind, area if kind == "code" else "") for kind in kinds}
    region = _region(names) if "region" in layout else None
    site = _site(names) if "site" in layout else None
    history = _history(names, domain.entity(first), inclusive, open_end)
    upward = [Column(region.key, "foreign")] if region else []
    plain = _plain(names, domain.entity(second), upward, [dirty[k] for k in kinds if k == "mail"])
    if history is None or plain is None:
        return None
    keys = [Column(t.key, "foreign", nullable=True) for t in (history, plain, site) if t]
    fact = _fact(names, entity, keys, [dirty[k] for k in kinds if k != "mail"])
    if fact is None:
        return None
    bridge, tag = _tags(names, fact) if "tags" in layout else (None, None)
    tables = [t for t in (fact, history, plain, site, region, bridge, tag) if t]
    rng.shuffle(tables)
    if len({c.name for t in tables for c in t.columns if c.kind != "foreign"}) < sum(
        c.kind != "foreign" for t in tables for c in t.columns
    ):
        return None
    return Star(
        domain.name, tuple(tables), fact, history, plain, site, region, bridge, tag, inclusive, open_end
    )  # fmt: skip


def draw_star(rng: Random, domain: Domain) -> Star:
    """A star schema of 4 to 6 tables of one domain."""
    while (star := _draw(rng, domain)) is None:
        pass
    return star
