"""A schema as a prompt shows it: a line a table with types and a few values, then the foreign keys.

Made from schema and data alone.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from tao.sql.instance import Instance
from tao.sql.readers.keys import ForeignKey

SAMPLES = 3
"""Most values shown of a text column."""
SAMPLE_CHARS = 20
"""Longest value shown."""
SCHEMA_CHARS = 2000
"""Where the lines would be longer than this, fewer values are shown of every column."""
_PLAIN = re.compile(r"[A-Za-z_]\w*\Z")


def quoted(name: str) -> str:
    """A name as Databricks SQL needs it: in backticks unless it is a plain word."""
    return name if _PLAIN.match(name) else f"`{name.replace('`', '``')}`"


def schema_lines(instance: Instance, keys: Sequence[ForeignKey] = ()) -> list[str]:
    """One line a table: ``name (column TYPE ('value', 'value'), ...)``.

    Text columns show their commonest values, as many (three at most) as keep the whole under `SCHEMA_CHARS`, without
    those that are longer than `SAMPLE_CHARS`, have a quote or a line break. Columns of `keys` show none: their values
    mean nothing.
    """
    joined = {(key.table, key.column) for key in keys} | {(key.to_table, key.to_column) for key in keys}
    values = {
        (table, index): _samples([row[index] for row in instance.rows[table]])
        for table, columns in instance.schema.tables
        for index, (name, kind) in enumerate(columns)
        if kind == "STRING" and (table, name) not in joined
    }
    for count in range(SAMPLES, 0, -1):
        lines = _lines(instance, {place: found[:count] for place, found in values.items()})
        if len("\n".join(lines)) <= SCHEMA_CHARS:
            return lines
    return _lines(instance, {})


def _lines(instance: Instance, values: dict[tuple[str, int], list[str]]) -> list[str]:
    lines = []
    for table, columns in instance.schema.tables:
        parts = []
        for index, (name, kind) in enumerate(columns):
            shown = ", ".join(f"'{value}'" for value in values.get((table, index), []))
            parts.append(f"{quoted(name)} {kind}" + (f" ({shown})" if shown else ""))
        lines.append(f"{quoted(table)} ({', '.join(parts)})")
    return lines


def _samples(cells: Sequence[object]) -> list[str]:
    counts = Counter(str(cell) for cell in cells if cell is not None and str(cell).strip())
    common = sorted(counts, key=lambda value: (-counts[value], value))[:SAMPLES]
    return [value for value in common if len(value) <= SAMPLE_CHARS and not set(value) & set("'\n\r")]


def key_lines(keys: Sequence[ForeignKey]) -> list[str]:
    """The line ``Foreign keys: a.x = b.y, ...``; none where no key is declared."""
    if not keys:
        return []
    pairs = [f"{quoted(k.table)}.{quoted(k.column)} = {quoted(k.to_table)}.{quoted(k.to_column)}" for k in keys]
    return [f"Foreign keys: {', '.join(pairs)}"]
