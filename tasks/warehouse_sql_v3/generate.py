"""Writes the data of `warehouse_sql@3`: schemas, instances, questions, sealed golds. Same seed, same bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from typing import Any

from . import knobs, level_dirty, level_history, level_missing, level_star, level_time
from .common import Ask, Question
from .instances import Warehouse, fill_warehouse
from .plan import cuts_tie, evaluate, is_empty, tells
from .schemas import Star, draw_star
from .vocabulary import all_domains

Shape = Callable[[Ask], Question | None]
SPLITS = ("pool", "train", "dev", "test")
SHAPES: dict[str, dict[Shape, int]] = {
    "L1": dict(level_star.SHAPES),
    "L2": dict(level_history.SHAPES),
    "L3": dict(level_dirty.SHAPES),
    "L4": dict(level_missing.SHAPES),
    "L5": dict(level_time.SHAPES),
}
"""Level to shapes with their weights; a shape that a schema cannot carry is drawn again."""
TRIES = 12
"""Draws of one shape before another is taken."""
_ARTICLE = re.compile(r"\ba (?=[aeio](?!n?e |u))")
"""'a amount' to 'an amount'; not before 'one', 'unit', 'usage', 'european', where the article stays."""


def _write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8", newline="\n")


def _write_instances(out: Path, name: str, warehouse: Warehouse) -> None:
    places = (f"instances/{name}.json", f"instances/{name}_b.json", f"labels/instances/{name}.json")
    for place, instance in zip(places, warehouse.instances, strict=True):
        text = json.dumps(instance.to_json(warehouse.star), ensure_ascii=False, separators=(",", ":"))
        (out / place).write_text(text + "\n", encoding="utf-8", newline="\n")


def is_sound(question: Question, warehouse: Warehouse, labelled: bool) -> bool:
    """Whether a question is worth asking.

    It has an answer on both tuning instances. For labelled splits the verifier's instance must tell it from all its
    slips besides, and no LIMIT may cut a tie there; the pool is never filtered by that.
    """
    plan = question.plan
    first, second, judging = warehouse.instances
    for rows in (first, second, *((judging,) if labelled else ())):
        result = evaluate(plan, rows)
        if is_empty(result) or cuts_tie(plan, rows) or any(level_star.TIED in row for row in result):
            return False
    return not labelled or tells(plan, judging)


def draw_question(
    rng: Random, level: str, warehouse: Warehouse, labelled: bool, seen: set[str]
) -> tuple[str, Question]:
    """A (shape name, question) of a level that was not asked before in this schema.

    Args:
        rng: Source of randomness.
        level: ``L1`` to ``L5``.
        warehouse: Schema and rows.
        labelled: Whether the verifier's instance too must show that the question is sound (never for the pool).
        seen: Texts and golds drawn so far; grows.
    """
    shapes = SHAPES[level]
    ask = Ask(rng, warehouse, warehouse.instances[2 if labelled else 0])
    while True:
        shape = rng.choices(tuple(shapes), tuple(shapes.values()))[0]
        for _ in range(TRIES):  # stay with the shape for a while, or its share would sink with its odds
            question = shape(ask)
            if question is None:
                break
            if not {question.text, question.sql} & seen and is_sound(question, warehouse, labelled):
                seen.update((question.text, question.sql))
                return shape.__name__, question


def _prompt(star: Star, question: Question) -> tuple[str, list[str]]:
    """(user message, table lines)."""
    text = _ARTICLE.sub("an ", question.text)
    return "\n".join(["Schema:", *star.lines(), f"Question: {text}?"]), list(star.lines())


def _stars(seed: int) -> dict[str, list[tuple[str, Star]]]:
    """Named schemas of every split; no table as a whole (name and columns) occurs twice, within or across splits."""
    rng = Random(f"{seed}/schemas")
    domains = all_domains()
    seen: set[str] = set()
    deal: list[int] = []
    made: dict[str, list[tuple[str, Star]]] = {}
    for split in SPLITS:
        made[split] = []
        for i in range(knobs.SCHEMAS[split]):
            deal = deal or rng.sample(range(len(domains)), len(domains))
            domain = domains[deal.pop()]
            star = draw_star(rng, domain)
            while seen & _own_lines(star):
                star = draw_star(rng, domain)
            seen.update(_own_lines(star))
            made[split].append((f"{split}_{i:03d}_{domain.name.replace(' ', '_')}", star))
    return made


def _own_lines(star: Star) -> set[str]:
    """Lines of the tables that a schema is known by; regions, sites, tags and bridges are small and recur."""
    return {table.line() for table in (star.fact, star.history, star.plain)}


def _split_rows(out: Path, seed: int, split: str, stars: list[tuple[str, Star]]) -> tuple[list[Any], list[Any]]:
    """(items, labels) of a split in shuffled order, so that any first n labels cover many schemas."""
    labelled = split != "pool"
    rows: list[tuple[dict[str, Any], dict[str, Any]]] = []
    share, rest = divmod(knobs.ITEMS[split], len(stars))
    for i, (name, star) in enumerate(stars):
        rng = Random(f"{seed}/{name}")
        warehouse = fill_warehouse(rng, star)
        _write_instances(out, name, warehouse)
        seen: set[str] = set()
        first = rng.randrange(len(knobs.LEVELS))
        for j in range(share + (i < rest)):
            level = knobs.LEVELS[(first + j) % len(knobs.LEVELS)]
            shape, question = draw_question(rng, level, warehouse, labelled, seen)
            content, lines = _prompt(star, question)
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
    for split, stars in _stars(seed).items():
        items, labels = _split_rows(out, seed, split, stars)
        _write_lines(out / f"{split}.jsonl", items)
        _write_lines(out / "labels" / f"{split}.jsonl", labels)
