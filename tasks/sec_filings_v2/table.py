"""The table a question is about: which lines and years are shown, which hint at others, and what can be derived."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from random import Random
from typing import Any

from tao.answers.document import Document, citation_key

from .facts import Facts
from .lines import CONCEPTS, IDENTITIES, NOTE, SIBLINGS, STATEMENT
from .wording import INSTRUCTION, TAG

Cell = tuple[str, int]
"""Concept and fiscal year."""

MAX_PROMPT_TOK = 680
MAX_TARGET_TOK = 216
"""Longer items are drawn again; estimated by `estimated_tok`."""

_TABLE_TOK = 440
_PRIME = 2**61 - 1
_NEAR = ("Adjusted {}", "Pro forma {}", "Budgeted {}", "{}, discontinued operations", "{}, parent company only")


@dataclass(frozen=True, slots=True)
class Shown:
    """One row: a statement line, or a made-up one from the notes (concept '')."""

    concept: str
    name: str
    values: tuple[int | None, ...]

    @property
    def tag(self) -> str:
        """The word for its statement."""
        return TAG[STATEMENT[self.concept] if self.concept else NOTE]


def estimated_tok(text: str) -> int:
    """Tokens of the reference tokenizer, roughly: digits and marks stand alone, words take 0.43 a letter."""
    letters = sum(map(str.isalpha, text))
    return round(0.43 * letters) + len(text) - letters - text.count(" ")


def choose_columns(rng: Random, facts: Facts, year: int, back: int) -> tuple[int, ...] | None:
    """Two or more consecutive years shown, latest first or (seldom) last, with `year` and those before it in reach.

    Args:
        rng: Random source.
        facts: The company.
        year: The year asked about.
        back: How many earlier years the question needs.
    """
    years = facts.years
    at = years.index(year)
    if at + back >= len(years):
        return None
    first = rng.randint(0, at)
    last = rng.randint(at + back, len(years) - 1)
    if first == last:
        first, last = (first - 1, last) if first else (first, last + 1)
    if last >= len(years):
        return None
    columns = years[first : last + 1]
    return columns[::-1] if rng.random() < 0.15 else columns


def choose_rows(
    rng: Random, facts: Facts, needed: tuple[str, ...], columns: tuple[int, ...], barred: frozenset[str] = frozenset()
) -> list[Shown]:
    """The needed lines among distractors, in statement order: siblings, other lines, near-duplicates from the notes.

    Args:
        rng: Random source.
        facts: The company.
        needed: Concepts that must be shown.
        columns: Years shown.
        barred: Concepts that must not be shown, not even as a near-duplicate.
    """
    known = [c for c in CONCEPTS if c not in barred and any(year in facts.amounts.get(c, ()) for year in columns)]
    concepts = set(needed)
    near = rng.choices((0, 1, 2), (45, 40, 15))[0] if concepts else 0
    size = min(max(rng.randint(8, 13), len(concepts) + 2), len(known))
    siblings = [s for c in needed for s in SIBLINGS.get(c, ()) if s in known]
    budget = _TABLE_TOK - sum(_row_tok(facts, c, columns) for c in concepts)
    while len(concepts) < size - near:
        pick = rng.choice(siblings if siblings and rng.random() < 0.4 else known)
        if pick in concepts:
            siblings = [s for s in siblings if s != pick]
            continue
        budget -= _row_tok(facts, pick, columns)
        if budget < 0:
            break
        concepts.add(pick)
    rows = [
        Shown(c, facts.printed[c], tuple(_cell(facts, c, year) for year in columns)) for c in CONCEPTS if c in concepts
    ]
    bases = [row for row in rows if row.concept in needed] or rows
    for pattern in rng.sample(_NEAR, near):
        base = rng.choice(bases)
        name = base.name[0].lower() + base.name[1:] if pattern[0] != "{" and base.name[1:2].islower() else base.name
        values = tuple(None if v is None else round(v * rng.uniform(0.8, 1.2)) for v in base.values)
        rows.append(Shown("", pattern.format(name), values))
    return rows


def _cell(facts: Facts, concept: str, year: int) -> int | None:
    return facts.shown(concept, year) if year in facts.amounts[concept] else None


def _row_tok(facts: Facts, concept: str, columns: tuple[int, ...]) -> int:
    amounts = facts.amounts[concept]
    digits = sum(len(f"{amounts.get(year, 0):,}") + 1 for year in columns)
    return digits + round(0.43 * len(facts.printed[concept])) + 4


def raw_document(rows: Iterable[Shown], columns: tuple[int, ...]) -> dict[str, Any]:
    """The document file of a table."""
    return {"columns": [str(year) for year in columns], "rows": [[row.name, *row.values] for row in rows]}


def document_of(rows: Iterable[Shown], columns: tuple[int, ...]) -> Document:
    """What `tao.answers.document.make_document` makes of the raw document, quicker, as all amounts are whole."""
    names, kept = tuple(map(str, columns)), tuple(rows)
    cells = {
        citation_key(f"{row.name} {column}"): None if value is None else Fraction(value)
        for row in kept
        for column, value in zip(names, row.values, strict=True)
    }
    return Document(names, tuple((row.name, row.values) for row in kept), cells)


def _printed(value: int | None) -> str:
    if value is None:
        return "-"
    return f"({-value:,})" if value < 0 else f"{value:,}"


def write_prompt(facts: Facts, rows: list[Shown], columns: tuple[int, ...], question: str) -> tuple[str, list[str]]:
    """The prompt's text and its context lines (rows with their statement in front; they may be reordered).

    Args:
        facts: The company.
        rows: Rows shown.
        columns: Years shown.
        question: The question.
    """
    context = [" | ".join((row.tag, row.name, *map(_printed, row.values))) for row in rows]
    latest = max(columns)
    unit = "US dollars" if facts.unit == "dollars" else facts.unit
    head = [INSTRUCTION, f"Report: {facts.company}, in {unit}; fiscal {latest} ended {facts.ends[latest]}"]
    head += [f"Note: {note}" for note in facts.notes]
    table = [" | ".join(("Statement", "Line", *map(str, columns))), *context]
    return "\n".join([*head, *table, f"Question: {question}"]), context


def derivable(missing: frozenset[Cell], known: frozenset[Cell]) -> bool:
    """Whether any linear combination of missing amounts follows from known ones by the identities of statements.

    Eliminates every other unknown amount from all identities of the years at hand; a combination of missing amounts
    that
    is left over is determined. Identities are taken to hold exactly; in real statements they often hold, which errs on
    the side of calling an amount derivable.
    """
    years = {year for _, year in missing | known}
    pivots: list[tuple[Cell, dict[Cell, int]]] = []
    for year in range(min(years), max(years) + 1):
        for identity in IDENTITIES:
            row: dict[Cell, int] = {}
            for factor, concept, back in identity:
                cell = (concept, year - back)
                if cell not in known:
                    row[cell] = row.get(cell, 0) + factor
            for pivot, other in pivots:  # in the order they were made: a later one may come in through an earlier one
                if times := row.get(pivot):
                    for cell, value in other.items():
                        left = (row.get(cell, 0) - times * value) % _PRIME
                        if left:
                            row[cell] = left
                        else:
                            row.pop(cell, None)
            if not row:
                continue
            free = next((cell for cell in row if cell not in missing), None)
            if free is None:
                return True
            inverse = pow(row[free], -1, _PRIME)
            pivots.append((free, {cell: value * inverse % _PRIME for cell, value in row.items()}))
    return False
