"""What the generators of the enterprise suite share: sizes, names, dates, and the files of a task.

The hashes of published tasks hold this file's bytes, since their generators import it: a later version of a task gets
another function here, never another result of the same one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

from tao.errors import InputError

SIZES = {"test": (100, 6), "dev": (50, 6), "train": (100, 8), "pool": (125, 8)}
"""Split to clusters and items a cluster; no cluster is in two. The pool comes last, so that its size moves no other."""
UNSEEN = "unseen"
"""Level of the test clusters that are made of parts no other split has."""
UNSEEN_EACH = 5
"""Every so many-th test cluster is one of those."""
TRIES = 4_000

MONTHS = (
    "January February March April May June July August September October November December".split()
)  # fmt: skip
FIRST = (
    "Ada Aisha Anders Bruno Carla Chidi Dana Elif Emil Farah Femke Goran Hana Ines Ivo Jaya Jonas Kaito "
    "Keira Lars Leila Luis Mads Malik Mei Mira Nadia Noor Olga Omar Paulo Priya Quinn Rafa Rosa Sami Signe "
    "Tariq Tess Uma Vera Viktor Wanda Yara Yusuf Zoe"
).split()
LAST = (
    "Abara Andersen Bakker Berg Castillo Chen Diallo Dumont Eriksen Fischer Garcia Haddad Hansen Ito Jansen Kaya Kim "
    "Kowalski Larsen Lindqvist Marino Mensah Moreau Nakamura Novak Okafor Olsen Patel Petrov Quist Rahman Rossi Santos "
    "Schmidt Silva Sato Tanaka Torres Ueda Varga Visser Weber Wolff Yilmaz Zhou"
).split()
_HEAD = (
    "Al Bar Bel Bran Cal Cor Dal Del Dor El Fal Fen Gal Gar Hal Har Hol Il Jar Kel Kor Lan Lor Mal Mar Mer "
    "Nor Or Pel Quar Ral Ren Sal Sel Sor Tal Ter Tor Ul Val Ver Vor Wil Yar Zel"
).split()
_MIDDLE = "a e i o u an en in on ar er or el il ul ad ed id os us".split()
_TAIL = (
    "by dale den dor fell ford gate ham holm la lund mere mond na nia ra ridge rin ro sen stead ta ton vale "
    "vik wick worth"
).split()


@dataclass(frozen=True, slots=True)
class Row:
    """An item with its label, before they part.

    Attributes:
        content: The user's message.
        gold: What the verifier judges against.
        target: The answer fine-tuning trains on.
        level: Its level.
        context: Lines of `content` that may change places.
        document: What the prompt is about, for its handle; None for no handle.
    """

    content: str
    gold: Any
    target: str
    level: str
    context: tuple[str, ...] = ()
    document: Any = None


class TryAgain(Exception):
    """A draw that makes no good item."""


def word(rng: Random) -> str:
    """An invented proper name, one of some 25,000."""
    return rng.choice(_HEAD) + rng.choice(_MIDDLE) + rng.choice(_TAIL)


def person(rng: Random) -> str:
    """First and last name, one of some 2,000."""
    return f"{rng.choice(FIRST)} {rng.choice(LAST)}"


def people(rng: Random, count: int) -> list[str]:
    """That many persons of different first and last names."""
    first, last = rng.sample(FIRST, count), rng.sample(LAST, count)
    return [f"{one} {other}" for one, other in zip(first, last, strict=True)]


def day_words(day: date) -> str:
    """A date in words, as in 3 May 2025."""
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


def draw(rng: Random, make: Callable[[Random], Row], tries: int = TRIES) -> Row:
    """The first good draw.

    Raises:
        RuntimeError: `tries` draws in a row were none: a fault of the generator.
    """
    for _ in range(tries):
        try:
            return make(rng)
        except TryAgain:
            continue
    raise RuntimeError(f"no good item in {tries} draws")


def clusters(task: str, seed: int, n: int | None) -> Iterator[tuple[str, int, bool, Random]]:
    """(split, items, made of unseen parts, its own randomness) of every cluster, in a fixed order.

    Args:
        task: Name and version; part of every seed.
        seed: All randomness.
        n: Prompts of the pool; None for the published size. No other split depends on it.

    Raises:
        InputError: A size below 1.
    """
    if n is not None and (isinstance(n, bool) or not isinstance(n, int) or n < 1):
        raise InputError(f"{n!r} is no number of prompts", "n", "write a whole number, such as 7200")
    for split, (count, each) in SIZES.items():
        left = n if n is not None and split == "pool" else count * each
        for number in range(-(-left // each)):
            unseen = split == "test" and number % UNSEEN_EACH == UNSEEN_EACH - 1
            yield split, min(each, left - number * each), unseen, Random(f"{task}:{seed}:{split}:{number}")


def write_task(
    out: Path, stem: str, seed: int, made: Mapping[str, Sequence[tuple[str, Row]]], documents: bool = False
) -> None:
    """Write prompts, sealed labels and documents (layout: `tao_bench.task`).

    Args:
        out: Empty folder.
        stem: Start of every id.
        seed: Shuffles each split's items.
        made: Split to (cluster, row).
        documents: Whether rows have documents.
    """
    for split in ("pool", "train", "dev", "test"):
        rows = list(made[split])
        Random(f"{stem}:{seed}:order:{split}").shuffle(rows)
        prompts, labels = [], []
        for number, (cluster, row) in enumerate(rows, 1):
            name = f"{stem}-{split}-{number:05d}"
            prompt: dict[str, Any] = {"id": name, "messages": [{"role": "user", "content": row.content}]}
            if row.context:
                prompt["context"] = list(row.context)
            if documents:
                path = out / "documents" / f"{name}.json"
                path.parent.mkdir(exist_ok=True)
                path.write_text(json.dumps(row.document, ensure_ascii=False), encoding="utf-8")
                prompt["handles"] = {"document": f"documents/{name}.json"}
            if split != "pool":
                prompt |= {"cluster": cluster, "level": row.level}
            prompts.append(prompt)
            labels.append({"id": name, "gold": row.gold, "target": row.target})
        _write(out / f"{split}.jsonl", prompts)
        _write(out / "labels" / f"{split}.jsonl", labels)


def _write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
