"""Writes the data of `warehouse_sql`: schemas, instances, questions, sealed golds. Same seed, same bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from typing import Any

from . import joined, knobs, nested, single
from .common import Draw, Question
from .instances import Warehouse, fill_warehouse
from .schemas import Schema, draw_schema
from .vocabulary import all_domains

_ARTICLE = re.compile(r"\ba (?=[aeio](?!n?e |u))")
"""'a amount' to 'an amount'; not before 'one', 'unit', 'usage', 'european', where the article stays."""
SPLITS = ("pool", "train", "dev", "test")
SHAPES: dict[str, Callable[[Draw], Question | None]] = {
    shape.__name__: shape
    for shape in (
        single.count_rows, single.measure, single.list_values, single.list_distinct, single.count_distinct,
        single.group_rows, single.top_rows,
        joined.join_count, joined.join_measure, joined.join_list, joined.join_distinct, joined.dated_rows,
        joined.join_group, joined.group_having, joined.group_year,
        nested.has_related, nested.lacks_related, nested.beyond_average, nested.largest_group, nested.share_of_rows,
        nested.spread, nested.two_joins, nested.group_beyond_average,
    )
}  # fmt: skip
"""Every shape by name; `knobs.SHAPES` deals them to levels."""


def _write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8", newline="\n")


def _write_instances(out: Path, name: str, warehouse: Warehouse) -> None:
    places = (f"instances/{name}.json", f"instances/{name}_b.json", f"labels/instances/{name}.json")
    for place, instance in zip(places, warehouse.instances, strict=True):
        text = json.dumps(instance.to_json(), ensure_ascii=False, separators=(",", ":"))
        (out / place).write_text(text + "\n", encoding="utf-8", newline="\n")


def _levels(rng: Random, n: int) -> list[str]:
    """`n` levels in the mix's proportion, starting at a random place so that remainders even out."""
    deck = [level for level in knobs.LEVELS for _ in range(knobs.LEVEL_MIX[level])]
    start = rng.randrange(len(deck)) if n % len(deck) else 0
    return [deck[(start + i) % len(deck)] for i in range(n)]


def draw_question(
    rng: Random, level: str, warehouse: Warehouse, labelled: bool, seen: set[str]
) -> tuple[str, Question]:
    """A (shape name, question) of a level that was not asked before in this schema.

    Args:
        rng: Source of randomness.
        level: ``L1``, ``L2`` or ``L3``.
        warehouse: Schema and rows.
        labelled: Whether the verifier's instance too must show that the question is sound (never for the pool).
        seen: Texts and golds drawn so far; grows.
    """
    checked = warehouse.instances if labelled else warehouse.instances[:2]
    weights = knobs.SHAPES[level]
    while True:
        name = rng.choices(tuple(weights), tuple(weights.values()))[0]
        for _ in range(12):  # stay with the shape for a while, or its share would sink with its odds
            question = SHAPES[name](Draw(rng, level, warehouse, checked))
            if question is not None and not {question.text, question.sql} & seen:
                seen.update((question.text, question.sql))
                return name, question


def _prompt(rng: Random, schema: Schema, question: Question) -> tuple[str, list[str]]:
    """(user message, table lines)."""
    needed = () if rng.random() < knobs.UNNEEDED_TABLES_SHOWN else question.tables
    lines = list(schema.lines(needed))
    text = _ARTICLE.sub("an ", question.text)
    return "\n".join(["Schema:", *lines, f"Question: {text}?"]), lines


def _schemas(seed: int) -> dict[str, list[tuple[str, Schema]]]:
    """Named schemas of every split; no table as a whole (name and columns) occurs twice, within or across splits."""
    rng = Random(f"{seed}/schemas")
    domains = all_domains()
    seen: set[str] = set()
    deal: list[int] = []
    made: dict[str, list[tuple[str, Schema]]] = {}
    for split in SPLITS:
        made[split] = []
        for i in range(knobs.SCHEMAS[split]):
            deal = deal or rng.sample(range(len(domains)), len(domains))
            domain = domains[deal.pop()]
            schema = draw_schema(rng, domain)
            while seen & set(schema.lines()):
                schema = draw_schema(rng, domain)
            seen.update(schema.lines())
            made[split].append((f"{split}_{i:03d}_{domain.name.replace(' ', '_')}", schema))
    return made


def _split_rows(out: Path, seed: int, split: str, schemas: list[tuple[str, Schema]]) -> tuple[list[Any], list[Any]]:
    """(items, labels) of a split in shuffled order, so that any first n labels cover many schemas."""
    labelled = split != "pool"
    rows: list[tuple[dict[str, Any], dict[str, Any]]] = []
    share, rest = divmod(knobs.ITEMS[split], len(schemas))
    for i, (name, schema) in enumerate(schemas):
        rng = Random(f"{seed}/{name}")
        warehouse = fill_warehouse(rng, schema)
        _write_instances(out, name, warehouse)
        seen: set[str] = set()
        for j, level in enumerate(_levels(rng, share + (i < rest))):
            shape, question = draw_question(rng, level, warehouse, labelled, seen)
            content, lines = _prompt(rng, schema, question)
            item = {
                "id": f"{split}-{i:03d}-{j:02d}",
                "messages": [{"role": "user", "content": content}],
                "context": lines,
                "handles": {"database": f"instances/{name}.json", "database_2": f"instances/{name}_b.json"},
            }
            if labelled:
                item |= {"cluster": name, "level": level}
            gold = {"sql": question.sql, "databases": [f"labels/instances/{name}.json"], "shape": shape}
            rows.append((item, {"id": item["id"], "gold": gold, "target": question.sql}))
    Random(f"{seed}/{split}/order").shuffle(rows)
    return [item for item, _ in rows], [label for _, label in rows]


def generate(out: Path, seed: int) -> None:
    """Write the whole task.

    Args:
        out: An existing folder.
        seed: Seed of everything.
    """
    (out / "instances").mkdir(parents=True)
    (out / "labels" / "instances").mkdir(parents=True)
    for split, schemas in _schemas(seed).items():
        items, labels = _split_rows(out, seed, split, schemas)
        _write_lines(out / f"{split}.jsonl", items)
        _write_lines(out / "labels" / f"{split}.jsonl", labels)
