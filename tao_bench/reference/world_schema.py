"""Random schemas of the pretraining world, and how conditions on them read in English and in SQL."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from tao_bench.reference import words

DIALECTS = ("databricks", "sqlite", "postgres", "tsql")
DIALECT_WEIGHTS = (55, 17, 17, 11)


@dataclass(frozen=True, slots=True)
class Column:
    """A column: `kind` is key, text, measure, date or flag; `style` fixes how its values look."""

    name: str
    kind: str
    type: str
    style: str = ""

    @property
    def spoken(self) -> str:
        """The name as a person says it."""
        return self.name.replace("_", " ")


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its columns; the first column is its key."""

    name: str
    columns: tuple[Column, ...]
    singular: str
    many: str

    def of(self, kind: str) -> list[Column]:
        """Columns of one kind."""
        return [c for c in self.columns if c.kind == kind]

    def line(self) -> str:
        """The table as the prompt shows it."""
        return f"{self.name} ({', '.join(f'{c.name} {c.type}' for c in self.columns)})"


@dataclass(frozen=True, slots=True)
class Schema:
    """Tables where each (but the last) refers to the next one by a shared key column."""

    tables: tuple[Table, ...]
    dialect: str
    join_style: str


@dataclass(frozen=True, slots=True)
class Condition:
    """A filter: English after the noun, and SQL with ``{c}`` where the column goes."""

    english: str
    sql: str
    column: Column
    adjective: bool = False


def _column_name(rng: Random, pool: list[str]) -> str:
    head = rng.choice(pool) if rng.random() < 1 - words.novelty(rng, 0.3) else words.invented(rng)
    roll = rng.random()
    if roll < 0.45:
        return head
    first = words.adjective(rng) if roll < 0.7 else words.noun(rng)
    return f"{first}_{head}"


def _table(rng: Random, taken: set[str], width: int, foreign: list[str]) -> Table:
    while True:
        base = words.noun(rng)
        if rng.random() < 0.35:
            base = f"{words.adjective(rng) if rng.random() < 0.4 else words.noun(rng)}_{base}"
        if base not in taken and len(base) < 22:
            break
    taken.add(base)
    many = words.plural(base)
    name = many if rng.random() < 0.6 else base
    key = f"{base.split('_')[-1]}_id" if rng.random() < 0.8 else f"{base}_id"
    columns, names = [Column(key, "key", "INT")], {key, *foreign}

    def add(column: Column) -> None:
        if column.name not in names and len(columns) < width:
            names.add(column.name)
            columns.append(column)

    if rng.random() < 0.8:
        label = rng.choice(words.LABELS)
        add(
            Column(
                label if rng.random() < 0.7 else f"{base.split('_')[-1]}_{label}",
                "text",
                "STRING",
                rng.choice(words.VALUE_STYLES),
            )
        )
    add(Column(_column_name(rng, words.MEASURES), "measure", rng.choice(("INT", "INT", "DOUBLE"))))
    rest = []
    for _ in range(width):
        roll = rng.random()
        if roll < 0.36:
            rest.append(Column(_column_name(rng, words.CATEGORIES), "text", "STRING", rng.choice(words.VALUE_STYLES)))
        elif roll < 0.72:
            rest.append(Column(_column_name(rng, words.MEASURES), "measure", rng.choice(("INT", "INT", "DOUBLE"))))
        elif roll < 0.95:
            date = rng.choice(words.DATES)
            rest.append(Column(date if rng.random() < 0.7 else f"{words.noun(rng)}_date", "date", "DATE"))
        else:
            rest.append(Column(rng.choice(words.FLAGS), "flag", "BOOLEAN"))
    for column in rest:
        add(column)
    columns += [Column(k, "foreign", "INT") for k in foreign]
    spoken = base.replace("_", " ")
    return Table(name, tuple(columns), spoken, words.plural(spoken))


def random_schema(rng: Random) -> Schema:
    """A chain of one to three tables; dialect and join style are drawn once and never named in the prompt."""
    n = rng.choices((1, 2, 3), (30, 45, 25))[0]
    taken: set[str] = set()
    tables: list[Table] = []
    for i in range(n):
        foreign = [tables[-1].columns[0].name] if tables and tables[-1].columns[0].name else []
        if i == 2 and rng.random() < 0.5:
            foreign = [tables[0].columns[0].name]  # a star instead of a chain
        tables.append(_table(rng, taken, rng.choice((3, 4, 4, 5, 5, 6)), foreign))
    rng.shuffle(tables)
    dialect = rng.choices(DIALECTS, DIALECT_WEIGHTS)[0]
    return Schema(tuple(tables), dialect, rng.choices(("using", "alias", "full"), (60, 25, 15))[0])


def joinable(schema: Schema) -> list[tuple[Table, Table, str]]:
    """(child, parent, key): the child holds the parent's key as a foreign column."""
    found = []
    for child in schema.tables:
        for column in child.of("foreign"):
            found += [
                (child, p, column.name) for p in schema.tables if p is not child and p.columns[0].name == column.name
            ]
    return found


_MONTHS = "january february march april may june july august september october november december".split()
_LESS = ("below {v}", "under {v}", "less than {v}", "smaller than {v}", "lower than {v}")
_MORE = ("above {v}", "over {v}", "more than {v}", "greater than {v}", "higher than {v}", "exceeding {v}")


def date_literal(dialect: str, date: str) -> str:
    """A date constant in the dialect."""
    return f"DATE '{date}'" if dialect == "databricks" else f"'{date}'"


def year_of(dialect: str, column: str) -> str:
    """The year of a date column as a number, in the dialect."""
    return {"sqlite": f"CAST(STRFTIME('%Y', {column}) AS INTEGER)", "postgres": f"EXTRACT(YEAR FROM {column})"}.get(
        dialect, f"YEAR({column})"
    )


def month_of(dialect: str, column: str) -> str:
    """The month of a date column as a number, in the dialect."""
    return {"sqlite": f"CAST(STRFTIME('%m', {column}) AS INTEGER)", "postgres": f"EXTRACT(MONTH FROM {column})"}.get(
        dialect, f"MONTH({column})"
    )


def _number(rng: Random, column: Column) -> str:
    value = rng.choice((rng.randint(1, 20), rng.randint(10, 99), rng.randint(100, 999), rng.randint(1000, 90000)))
    return f"{value}.{rng.randint(1, 9)}" if column.type == "DOUBLE" and rng.random() < 0.3 else str(value)


def _text_condition(rng: Random, table: Table, column: Column) -> Condition:
    value = words.cell_value(rng, column.style)
    name, literal = column.spoken, "'" + value + "'"
    roll = rng.random()
    if roll < 0.12:
        phrase = rng.choice(
            (
                "whose {n} is not {v}",
                "with a {n} other than {v}",
                "excluding {n} {v}",
                "not having {n} {v}",
                "where the {n} differs from {v}",
            )
        )
        return Condition(phrase.format(n=name, v=value), f"{{c}} {rng.choice(('<>', '<>', '!='))} {literal}", column)
    if roll < 0.20:
        other = words.cell_value(rng, column.style)
        phrase = rng.choice(("whose {n} is {v} or {w}", "with {n} {v} or {w}", "where {n} is either {v} or {w}"))
        return Condition(phrase.format(n=name, v=value, w=other), f"{{c}} IN ({literal}, '{other}')", column)
    if roll < 0.26:
        prefix = value[: rng.randint(1, 3)]
        phrase = rng.choice(("whose {n} starts with {v}", "with a {n} beginning with {v}"))
        return Condition(phrase.format(n=name, v=prefix), f"{{c}} LIKE '{prefix}%'", column)
    if roll < 0.36 and column.style in ("lower", "title", "title2", "upper"):
        return Condition(value, f"{{c}} = {literal}", column, adjective=True)  # "amber boats": the column is not named
    phrase = rng.choice(
        (
            "whose {n} is {v}",
            "with {n} {v}",
            "where the {n} is {v}",
            "with the {n} {v}",
            "having {n} {v}",
            "of {n} {v}",
            "where {n} equals {v}",
            "with {v} as {n}",
            "for {n} {v}",
            "that have {v} as their {n}",
            "in the {n} {v}",
            "under {n} {v}",
            "from {n} {v}",
            "({n}: {v})",
            "from the {v} {n}",
            "in the {v} {n}",
            "in {v}",
            "from {v}",
        )
    )
    return Condition(phrase.format(n=name, v=value), f"{{c}} = {literal}", column)


def _measure_condition(rng: Random, column: Column) -> Condition:
    name, value = column.spoken, _number(rng, column)
    lead = rng.choice(
        (
            "with {n} {p}",
            "with a {n} {p}",
            "whose {n} is {p}",
            "where {n} is {p}",
            "having a {n} {p}",
            "that have {n} {p}",
            "with a {n} of {p}",
        )
    )
    roll = rng.random()
    if roll < 0.33:
        phrase, op = rng.choice(_MORE), ">"
    elif roll < 0.60:
        phrase, op = rng.choice(_LESS), "<"
    elif roll < 0.72:
        phrase, op = (
            rng.choice(("at least {v}", "{v} or more", "no less than {v}", "not below {v}", "of {v} and up")),
            ">=",
        )
    elif roll < 0.82:
        phrase, op = rng.choice(("at most {v}", "{v} or less", "up to {v}", "no more than {v}", "not above {v}")), "<="
    elif roll < 0.90:
        phrase, op = rng.choice(("equal to {v}", "exactly {v}", "{v}")), "="
    else:
        high = str(int(float(value)) + rng.randint(2, 500))
        phrase = rng.choice(("between {v} and {w}", "from {v} to {w}", "in the range {v} to {w}"))
        return Condition(
            lead.format(n=name, p=phrase.format(v=value, w=high)), f"{{c}} BETWEEN {value} AND {high}", column
        )
    return Condition(lead.format(n=name, p=phrase.format(v=value)), f"{{c}} {op} {value}", column)


def _date_condition(rng: Random, schema: Schema, column: Column) -> Condition:
    name, year = column.spoken, rng.randint(1985, 2025)
    month = rng.randint(1, 12)
    date = f"{year}-{month:02d}-{rng.randint(1, 28):02d}"
    roll, dialect = rng.random(), schema.dialect
    if roll < 0.4:
        phrase = rng.choice(
            (
                "whose {n} is in {y}",
                "with {n} in {y}",
                "with a {n} in the year {y}",
                "{n} in {y}",
                "where {n} falls in {y}",
                "with a {n} during {y}",
                "from {y} by {n}",
            )
        )
        return Condition(phrase.format(n=name, y=year), f"{year_of(dialect, '{c}')} = {year}", column)
    if roll < 0.52:
        phrase = rng.choice(
            ("with {n} in {m}", "whose {n} is in {m}", "{n} in the month of {m}", "with a {n} during {m}")
        )
        return Condition(phrase.format(n=name, m=_MONTHS[month - 1]), f"{month_of(dialect, '{c}')} = {month}", column)
    if roll < 0.60:
        phrase = rng.choice(("with {n} in {m} {y}", "whose {n} is in {m} {y}", "{n} in {m} {y}"))
        return Condition(
            phrase.format(n=name, m=_MONTHS[month - 1], y=year),
            f"{year_of(dialect, '{c}')} = {year} AND {month_of(dialect, '{c}')} = {month}",
            column,
        )
    if roll < 0.78:
        phrase = rng.choice(
            ("with {n} after {d}", "whose {n} is later than {d}", "{n} after {d}", "with a {n} past {d}")
        )
        return Condition(phrase.format(n=name, d=date), f"{{c}} > {date_literal(dialect, date)}", column)
    if roll < 0.92:
        phrase = rng.choice(
            ("with {n} before {d}", "whose {n} is earlier than {d}", "{n} before {d}", "with a {n} prior to {d}")
        )
        return Condition(phrase.format(n=name, d=date), f"{{c}} < {date_literal(dialect, date)}", column)
    later = f"{year + rng.randint(1, 3)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
    phrase = rng.choice(("with {n} between {d} and {e}", "whose {n} is from {d} to {e}"))
    return Condition(
        phrase.format(n=name, d=date, e=later),
        f"{{c}} BETWEEN {date_literal(dialect, date)} AND {date_literal(dialect, later)}",
        column,
    )


def _flag_condition(rng: Random, schema: Schema, column: Column) -> Condition:
    word, positive = column.name.split("_", 1)[1].replace("_", " "), rng.random() < 0.7
    verb = "have" if column.name.startswith("has") else "are"
    value = ("TRUE", "FALSE") if schema.dialect in ("databricks", "postgres") else ("1", "0")
    return Condition(
        f"that {verb} {'' if positive else 'not '}{word}", f"{{c}} = {value[0] if positive else value[1]}", column
    )


def random_condition(rng: Random, schema: Schema, table: Table) -> Condition:
    """A filter on any column of the table but its keys."""
    column = rng.choice([c for c in table.columns if c.kind in ("text", "text", "measure", "date", "flag")])
    if column.kind == "text":
        return _text_condition(rng, table, column)
    if column.kind == "measure":
        return _measure_condition(rng, column)
    if column.kind == "date":
        return _date_condition(rng, schema, column)
    return _flag_condition(rng, schema, column)
