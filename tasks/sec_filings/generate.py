"""Make sec_filings: fictional filings, FinanceBench-style questions, golds recomputable from program and operands.

Everything follows from the seed: no clock, no `hash()`, no set order.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from tao.answers.document import Document, make_document
from tao.answers.expression import AnswerError, Expression, parse
from tao_bench.verify.number import printed_tolerance

from .knobs import LEVELS, MAX_PROMPT_TOK, MAX_TARGET_TOK, SPLITS, Knobs
from .sectors import CONCEPTS, SECTORS, SIBLINGS, Naming, company_name
from .shapes import AMOUNT, DAYS, FAMILIES, PERCENT, SHAPES, Shape
from .statements import Company, make_company
from .wording import ask, say_line

SCALES = {"thousands": 10**3, "millions": 10**6}
_MISREAD_MARGIN = 2  # a misread cell must miss the gold by this many tolerances
_LIMITS = {PERCENT: (1.0, 400.0), "ratio": (0.1, 60.0), DAYS: (5.0, 900.0), AMOUNT: (100.0, 10.0**7)}
"""Unit to the smallest and largest absolute gold: at least three significant digits, nothing near zero."""

_NEAR = ("Adjusted {}", "Pro forma {}", "Budgeted {}", "Planned {}")


_FLOAT = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}


class _TryAgain(Exception):
    """A draw that makes no good item."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row shown: a statement line, or a made-up one (concept '')."""

    concept: str
    name: str
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """One item before it is written."""

    company: str
    level: str
    shape: str
    content: str
    context: list[str]
    document: dict[str, Any]
    gold: dict[str, Any]
    target: str


def estimated_tok(text: str) -> int:
    """Tokens of the reference tokenizer, within about 6: digits and marks stand alone, words take 0.43 a letter."""
    letters = sum(char.isalpha() for char in text)
    return round(0.43 * letters) + sum(not (char.isalpha() or char == " ") for char in text)


def _programs(company: Company, shape: Shape, operands: tuple[str, ...], years: tuple[str, str]) -> str:
    cells = {}
    for letter, concept in zip("abcd", operands, strict=False):
        name = company.naming.printed[concept]
        cells[letter], cells[letter.upper()] = f"[{name} {years[0]}]", f"[{name} {years[1]}]"
    return FAMILIES[shape.family].program.format(**cells)


def _choose_years(rng: Random, knobs: Knobs, shape: Shape, columns: list[int]) -> tuple[int, int]:
    """The year asked about and an earlier one, both shown; `columns` is latest first."""
    if not FAMILIES[shape.family].spans:
        at = rng.randrange(1, len(columns)) if rng.random() < knobs.earlier_year else 0
        return columns[at], columns[at] - 1
    at = rng.randrange(1, len(columns) - 1) if len(columns) > 2 and rng.random() < knobs.earlier_year else 0
    old = at + 1 if shape.adjacent else rng.randrange(at + 1, len(columns))
    return columns[at], columns[old]


def _choose_rows(
    rng: Random, knobs: Knobs, company: Company, operands: tuple[str, ...], columns: list[int]
) -> list[Row]:
    """The needed lines among distractors, in statement order."""
    size = rng.randint(*knobs.rows)
    concepts = set(operands)
    near = rng.randint(*knobs.near_duplicates)
    siblings = [sibling for concept in operands for sibling in SIBLINGS.get(concept, ())]
    while len(concepts) < size - near:
        concepts.add(rng.choice(siblings if siblings and rng.random() < knobs.confusable else CONCEPTS))
    rows = [
        Row(concept, company.naming.printed[concept], tuple(company.years[year][concept] for year in columns))
        for concept in CONCEPTS
        if concept in concepts
    ]
    for pattern in rng.sample(_NEAR, near):
        at = rng.choice([i for i, row in enumerate(rows) if row.concept in operands])
        name = pattern.format(rows[at].name[0].lower() + rows[at].name[1:])
        values = tuple(round(value * rng.uniform(0.85, 1.15)) for value in rows[at].values)
        rows.insert(at + rng.randint(0, 1), Row("", name, values))
    return rows


def _as_float(expression: Expression, cells: Mapping[str, float]) -> float:
    """Quick evaluation for the misreading check; the gold itself is computed exactly."""
    stack: list[float] = []
    for step in expression.steps:
        if not isinstance(step, str):
            stack.append(float(step))
        elif step[0] == "[":
            stack.append(cells[step])
        else:
            right, left = stack.pop(), stack.pop()
            if step == "/" and right == 0:
                return float("inf")
            stack.append(_FLOAT[step](left, right))
    return stack.pop()


def _survives_misreading(expression: Expression, document: dict[str, Any], gold: float, tolerance: float) -> bool:
    """Whether reading any one cited cell wrongly, as any other cell shown, misses the gold."""
    columns = document["columns"]
    table = {f"[{row[0]} {column}]": float(row[1 + i]) for row in document["rows"] for i, column in enumerate(columns)}
    cited = {step: table[step] for step in expression.steps if isinstance(step, str) and step[0] == "["}
    for cell in cited:
        for other, value in table.items():
            if other == cell:
                continue
            misread = _as_float(expression, {**cited, cell: value})
            if abs(misread - gold) <= _MISREAD_MARGIN * tolerance:
                return False
    return True


def _gold(shape_name: str, scale: int, program: str, expression: Expression, document: Document) -> dict[str, Any]:
    """Value, tolerance and proof of a program; refuses what has no three significant digits."""
    shape = SHAPES[shape_name]
    try:
        exact = expression.evaluate(document.cell)
    except AnswerError as error:
        raise _TryAgain from error
    low, high = _LIMITS[shape.unit]
    if not low <= abs(exact) <= high:
        raise _TryAgain
    gold: dict[str, Any] = {"value": float(exact)}
    if shape.unit == AMOUNT:  # exact in the statement's unit; means may end in a half
        gold |= {"tolerance": 0.5, "unit": AMOUNT, "scale": scale}
    else:
        printed = f"{float(exact):.{2 if abs(exact) >= 1 else 3}f}"
        gold |= {"printed": printed, "tolerance": float(printed_tolerance(printed)), "unit": shape.unit}
    operands = {cell: int(document.cell(cell)) for cell in dict.fromkeys(expression.cells)}
    return gold | {"shape": shape_name, "program": program, "operands": operands}


def _check_operands(shape: Shape, company: Company, operands: tuple[str, ...], years: tuple[int, int]) -> None:
    """Refuse small operands, and those whose sign would make the answer's sign meaningless."""
    family = FAMILIES[shape.family]
    for letter, concept in zip("abcd", operands, strict=False):
        for mark, year in ((letter, years[0]), (letter.upper(), years[1])):
            if f"{{{mark}}}" not in family.program:
                continue
            value = company.years[year][concept]
            if abs(value) < 10 or (mark in family.positive and value < 50):
                raise _TryAgain


def _draw(rng: Random, company: Company, level: str) -> Question:
    """One question about a company, or `_TryAgain`."""
    knobs = LEVELS[level]
    shape_name = rng.choices(list(knobs.shapes), list(knobs.shapes.values()))[0]
    shape = SHAPES[shape_name]
    operands = rng.choice(shape.operands)
    count = 3 if rng.random() < knobs.three_columns else 2
    first = rng.randint(0, len(company.shown) - count)
    columns = company.shown[first : first + count]
    years = _choose_years(rng, knobs, shape, columns)
    _check_operands(shape, company, operands, years)
    if rng.random() < knobs.oldest_first:
        columns = columns[::-1]
    rows = _choose_rows(rng, knobs, company, operands, columns)
    if len({row.name.casefold() for row in rows}) < len(rows):
        raise _TryAgain
    raw = {"columns": [str(year) for year in columns], "rows": [[row.name, *row.values] for row in rows]}
    document = make_document(raw)
    names = (str(years[0]), str(years[1]))
    program = _programs(company, shape, operands, names)
    expression = parse(program)
    gold = _gold(shape_name, SCALES[company.unit], program, expression, document)
    shown = {abs(value) for row in rows for value in row.values}
    if shape.unit == AMOUNT and shape.family != "lookup" and abs(gold["value"]) in shown:
        raise _TryAgain  # the answer stands in the table
    if not _survives_misreading(expression, raw, gold["value"], gold["tolerance"]):
        raise _TryAgain
    slots = _name_lines(rng, knobs, company.naming, operands, rows)
    question = ask(rng, knobs, shape, slots, names, unit=company.unit)
    context = document.lines()
    title = f"Report: {company.name}, in {company.unit}"
    content = "\n".join((title, document.header(), *context, f"Question: {question}"))
    if estimated_tok(content) > MAX_PROMPT_TOK or estimated_tok(program) > MAX_TARGET_TOK:
        raise _TryAgain
    return Question(company.name, level, shape_name, content, context, raw, gold, program)


def _name_lines(
    rng: Random, knobs: Knobs, naming: Naming, operands: tuple[str, ...], rows: list[Row]
) -> dict[str, str]:
    """Letter to the words for that line; no words fit another statement line that is shown.

    Near-duplicates do not count: "net income" means that line even beside "Adjusted net income".
    """
    shown = [row.concept for row in rows if row.concept]
    said: dict[str, str] = {}
    for concept in operands:
        names = [name for other in shown if other != concept for name in (naming.printed[other], *naming.light[other])]
        others = {name.casefold() for name in names}
        said.setdefault(concept, say_line(rng, knobs, naming, concept, others))
    if len({words.casefold() for words in said.values()}) < len(said):
        raise _TryAgain
    return {letter: said[concept] for letter, concept in zip("abcd", operands, strict=False)}


def questions(rng: Random, company: Company, levels: list[str]) -> list[Question]:
    """One question a level asked for, no program twice.

    Raises:
        RuntimeError: The knobs leave a company without a good question.
    """
    found: list[Question] = []
    seen: set[str] = set()
    for level in levels:
        for _ in range(400):
            try:
                question = _draw(rng, company, level)
            except _TryAgain:
                continue
            if question.target not in seen:
                seen.add(question.target)
                found.append(question)
                break
        else:
            raise RuntimeError(f"no question of level {level} for {company.name} in 400 draws: loosen the knobs")
    return found


def companies(seed: int) -> Iterator[tuple[str, Company]]:
    """(split, company) in a fixed order; every name occurs once."""
    names: set[str] = set()
    for split, (count, _) in SPLITS.items():
        for number in range(count):
            rng = Random(f"sec_filings:{seed}:{split}:{number}")
            sector = SECTORS[number % len(SECTORS)]
            name = company_name(rng, sector)
            while name in names:
                name = company_name(rng, sector)
            names.add(name)
            yield split, make_company(rng, name, sector)


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def generate(out: Path, seed: int) -> None:
    """Write the task's data into `out` (layout: `tao_bench.task`)."""
    drawn: dict[str, list[Question]] = {split: [] for split in SPLITS}
    for split, company in companies(seed):
        each = SPLITS[split][1]
        start = len(drawn[split])
        levels = [list(LEVELS)[(start + i) % len(LEVELS)] for i in range(each)]
        rng = Random(f"sec_filings:{seed}:questions:{company.name}")
        drawn[split] += questions(rng, company, levels)
    (out / "documents").mkdir(parents=True, exist_ok=True)
    for split, items in drawn.items():
        Random(f"sec_filings:{seed}:order:{split}").shuffle(items)
        _write_split(out, split, items)


def _write_split(out: Path, split: str, items: list[Question]) -> None:
    prompts, labels = [], []
    for number, item in enumerate(items, 1):
        identity = f"sec-{split}-{number:04d}"
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
