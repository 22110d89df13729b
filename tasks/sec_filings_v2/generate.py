"""Make sec_filings@2: questions on filings whose golds recompute from program and operands.

Everything follows from the seed: no clock, no `hash()`, no set order. Two sources, one code path: fictional
companies, or real facts from SEC companyfacts files (``companyfacts=FOLDER``).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from tao.errors import InputError

from .companyfacts import read_companies
from .facts import Facts
from .families import CHOICES, EXTRACT, FAMILIES, FORMULA, MULTI, TESTS
from .questions import Item, TryAgain, draw_choice, draw_number, draw_test, draw_unanswerable
from .sectors import SECTORS, company_name
from .statements import make_facts

SPLITS: dict[str, tuple[int, int]] = {"test": (80, 10), "dev": (40, 10), "train": (100, 10), "pool": (100, 8)}
"""Split to companies and questions a company; no company is in two. The pool is last, so that its size moves no
other."""

PER_COMPANY = 18
"""Questions a company where the size of the pool is given (7,200 from 400 companies)."""

WORDS = {"yes": 0.06, "no": 0.06, "choice": 0.04, "unanswerable": 0.05}
"""Shares of items that want no number; the rest are numbers."""

NUMBERS = {EXTRACT: 1 / 3, FORMULA: 1 / 2, MULTI: 1 / 6}
"""Shares of the numeric items, FinanceBench's."""

HELD_OUT = {"family": 0.102, "family_yes": 0.009, "family_no": 0.009}
"""Shares of the test split asked with formula families that no other split has."""

LEVEL = {"yes": "yes_no", "no": "yes_no", "family_yes": "family", "family_no": "family"}
"""Kind to level, where the two differ."""

TRIES = 400
_SAME_FAMILY = 40
"""Draws of one formula before another is tried: what is seldom true must not be asked less for it."""


def kinds_of(split: str, size: int, rng: Random) -> list[str]:
    """What each item of a split is to be: exact shares (largest remainders), in random order."""
    shares = dict(HELD_OUT) if split == "test" else {}
    rest = 1 - sum(shares.values())
    shares |= {kind: rest * share for kind, share in WORDS.items()}
    rest *= 1 - sum(WORDS.values())
    shares |= {kind: rest * share for kind, share in NUMBERS.items()}
    counts = {kind: int(size * share) for kind, share in shares.items()}
    by_remainder = sorted(shares, key=lambda kind: counts[kind] - size * shares[kind])
    for kind in by_remainder[: size - sum(counts.values())]:
        counts[kind] += 1
    kinds = [kind for kind, count in counts.items() for _ in range(count)]
    rng.shuffle(kinds)
    return kinds


def _names(kind: str) -> list[str]:
    """Formula names that a kind of item can be asked with."""
    if kind in ("yes", "no", "family_yes", "family_no"):
        return [name for name, test in TESTS.items() if test.held_out == kind.startswith("family")]
    if kind == "choice":
        return list(CHOICES)
    if kind == "family":
        return [name for name, family in FAMILIES.items() if family.held_out]
    return [name for name, family in FAMILIES.items() if family.level == kind and not family.held_out]


def _weights(kind: str, names: list[str]) -> list[float]:
    return [0.15 if name == "line_rescaled" else 1.0 for name in names]


def draw(rng: Random, facts: Facts, kind: str, name: str) -> Item:
    """One item of a kind about a company.

    Raises:
        TryAgain: This draw is none.
    """
    level = LEVEL.get(kind, kind)
    if kind in ("yes", "no", "family_yes", "family_no"):
        return draw_test(rng, facts, level, name, "Yes" if kind.endswith("yes") else "No")
    if kind == "choice":
        return draw_choice(rng, facts, level, name)
    if kind == "unanswerable":
        return draw_unanswerable(rng, facts, level)
    return draw_number(rng, facts, level, name)


def questions(rng: Random, facts: Facts, kinds: list[str]) -> list[Item | None]:
    """One item a kind, none asked twice; None where a company has no good one."""
    found: list[Item | None] = []
    seen: set[str] = set()
    for kind in kinds:
        names = _names(kind) or [""]
        weights, name = _weights(kind, names), names[0]
        item = None
        for attempt in range(TRIES):
            if attempt % _SAME_FAMILY == 0:
                name = rng.choices(names, weights)[0]
            try:
                drawn = draw(rng, facts, kind, name)
            except TryAgain:
                continue
            proof = {
                k: v
                for k, v in drawn.gold.items()
                if k in ("family", "program", "programs", "missing", "most", "limit")
            }
            if (key := json.dumps(proof, sort_keys=True)) not in seen:
                seen.add(key)
                item = drawn
                break
        found.append(item)
    return found


def companies(seed: int, n: int | None = None) -> Iterator[tuple[str, Facts]]:
    """(split, company) in a fixed order; every name occurs once. `n`: size of the pool."""
    names: set[str] = set()
    for split, (count, _) in SPLITS.items():
        wanted = count if n is None or split != "pool" else -(-n // PER_COMPANY)
        for number in range(wanted):
            rng = Random(f"sec_filings@2:{seed}:{split}:{number}")
            sector = SECTORS[number % len(SECTORS)]
            name = company_name(rng, sector)
            while name in names:
                name = company_name(rng, sector)
            names.add(name)
            yield split, make_facts(rng, name, sector)


def generate(
    out: Path, seed: int, n: int | None = None, companyfacts: str | None = None, exclude: str | None = None
) -> None:
    """Write the task's data into `out` (layout: `tao_bench.task`).

    Args:
        out: Empty folder.
        seed: All randomness.
        n: Prompts of the pool (default 800); the other splits do not depend on it. With `companyfacts` it is the
            size of
            all splits together.
        companyfacts: Folder of SEC companyfacts JSON files; real companies instead of fictional ones.
        exclude: With `companyfacts`: file of companies to leave out (one name a line, or JSONL with a field
            ``company``,
            such as FinanceBench's own question file), or ``none``.

    Raises:
        InputError: A size below 1, unreadable files, or too few companies.
        RuntimeError: A fictional company without a good question (a fault of the generator).
    """
    if n is not None and (isinstance(n, bool) or not isinstance(n, int) or n < 1):
        raise InputError(f"{n!r} is no number of questions", "n", "write a whole number, such as 7200")
    if companyfacts is None:
        if exclude is not None:
            raise InputError("fictional companies need no list of companies to leave out", "exclude")
        by_split: dict[str, list[Facts]] = {split: [] for split in SPLITS}
        for split, facts in companies(seed, n):
            by_split[split].append(facts)
        sizes = {split: count * each for split, (count, each) in SPLITS.items()} | ({"pool": n} if n else {})
        strict = True
    else:
        by_split, sizes = _real_companies(companyfacts, exclude, seed, n)
        strict = False
    (out / "documents").mkdir(parents=True, exist_ok=True)
    for split in ("pool", "train", "dev", "test"):
        items = split_items(seed, split, by_split[split], sizes[split], strict=strict)
        Random(f"sec_filings@2:{seed}:order:{split}").shuffle(items)
        _write_split(out, split, items)


def split_items(seed: int, split: str, found: list[Facts], size: int, *, strict: bool) -> list[Item]:
    """All items of a split. What one company has no good item for (its debt never rose) is asked of the others in turn.

    Raises:
        RuntimeError: `strict`, and no company has a good item of a kind.
    """
    kinds = kinds_of(split, size, Random(f"sec_filings@2:{seed}:kinds:{split}"))
    each = -(-size // len(found))
    items: list[Item] = []
    owed: list[str] = []
    for number, facts in enumerate(found):
        rng = Random(f"sec_filings@2:{seed}:questions:{facts.company}")
        wanted = kinds[number * each : (number + 1) * each]
        drawn = questions(rng, facts, wanted)
        items += [item for item in drawn if item is not None]
        owed += [kind for kind, item in zip(wanted, drawn, strict=True) if item is None]
    texts = {item.content for item in items}
    failed: Counter[str] = Counter()
    for number, kind in enumerate(owed):
        for step in range(len(found)):
            facts = found[(number + step) % len(found)]
            (item,) = questions(Random(f"sec_filings@2:{seed}:owed:{split}:{number}:{facts.company}"), facts, [kind])
            if item is not None and item.content not in texts:
                texts.add(item.content)
                items.append(item)
                break
        else:
            failed[kind] += 1
    if failed and strict:
        raise RuntimeError(f"{split}: no company has a good item for {dict(failed)}")
    if failed:
        print(f"{split}: {sum(failed.values())} of {size} items have no good question: {dict(failed)}")
    return items


def _real_companies(
    folder: str, exclude: str | None, seed: int, n: int | None
) -> tuple[dict[str, list[Facts]], dict[str, int]]:
    """Real companies dealt out to the splits, and the sizes of those."""
    found = read_companies(Path(folder), exclude)
    if len(found) < len(SPLITS):
        raise InputError(f"{len(found)} usable companies, {len(SPLITS)} splits", folder, "add companyfacts files")
    Random(f"sec_filings@2:{seed}:deal").shuffle(found)
    total = sum(count * each for count, each in SPLITS.values())
    by_split: dict[str, list[Facts]] = {}
    left = list(found)
    for at, (split, (count, each)) in enumerate(SPLITS.items()):
        share = max(1, round(len(found) * count * each / total))
        share = min(share, len(left) - (len(SPLITS) - 1 - at))
        by_split[split], left = left[:share], left[share:]
    by_split["pool"] += left
    asked = n or PER_COMPANY * len(found)
    sizes = {split: max(1, round(asked * len(part) / len(found))) for split, part in by_split.items()}
    return by_split, sizes


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def _write_split(out: Path, split: str, items: list[Item]) -> None:
    prompts, labels = [], []
    for number, item in enumerate(items, 1):
        identity = f"sec2-{split}-{number:05d}"
        (out / "documents" / f"{identity}.json").write_text(json.dumps(item.document), encoding="utf-8")
        row: dict[str, Any] = {
            "id": identity,
            "messages": [{"role": "user", "content": item.content}],
            "context": item.context,
            "handles": {"document": f"documents/{identity}.json"},
        }
        if split != "pool":
            row |= {"cluster": item.company.lower().replace(" ", "-"), "level": item.level}
        prompts.append(row)
        labels.append({"id": identity, "gold": item.gold, "target": item.target})
    _write(out / f"{split}.jsonl", prompts)
    _write(out / "labels" / f"{split}.jsonl", labels)
