"""From facts to questions: one code path for fictional statements and SEC companyfacts.

Every item is checked before it is kept: operands large enough, denominators and bases positive, three significant
digits,
no near miss (another cell of the same line or column, another year throughout, another reading of the formula)
within two
tolerances of the gold, yes/no and rankings clear of their limit, and what is missing for an unanswerable one not
derivable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from tao.answers.document import Document
from tao.answers.filing import CANNOT
from tao.answers.power import parse_powers
from tao_bench.verify.number import printed_tolerance

from .facts import SCALES, Facts
from .families import AMOUNT, CHOICES, DAYS, EXTRACT, FAMILIES, PERCENT, RATIO, TESTS, Family
from .programs import (
    SLOT,
    TryAgain,
    fill,
    near_misses,
    operands_of,
    quick_value,
    slots,
    survives,
    value_of,
)
from .table import (
    MAX_PROMPT_TOK,
    MAX_TARGET_TOK,
    Shown,
    choose_columns,
    choose_rows,
    derivable,
    document_of,
    estimated_tok,
    raw_document,
    write_prompt,
)
from .wording import ask, core_line, core_number, define, say_lines, unit_words, year_style

PRECISIONS = ((0, True), (1, True), (1, False))
"""Where a near miss comes too close, one more decimal is asked for, then answers must be right to that last place."""

LIMITS = {PERCENT: (1.0, 400.0), RATIO: (0.1, 60.0), DAYS: (5.0, 900.0), AMOUNT: (100.0, 10.0**12)}
"""Unit to the smallest and largest absolute gold: at least three significant digits, nothing near zero."""

_RESCALED = {"dollars": "thousands", "thousands": "millions", "millions": "billions"}


@dataclass(frozen=True, slots=True)
class Item:
    """One item before it is written."""

    company: str
    level: str
    content: str
    context: list[str]
    document: dict[str, Any]
    gold: dict[str, Any]
    target: str


def decimals_of(unit: str, value: float) -> int:
    """Decimals that leave at least three significant digits; 0 for amounts, which are exact."""
    if unit == AMOUNT:
        return 0
    if unit == PERCENT:
        return 1 if abs(value) >= 10 else 2
    return 3 if unit == RATIO and abs(value) < 1 else 2


@dataclass(frozen=True, slots=True)
class Scene:
    """A table drawn for some operands, and the words for its lines and years."""

    facts: Facts
    columns: tuple[int, ...]
    rows: list[Shown]
    raw: dict[str, Any]
    document: Document
    said: Mapping[str, str]
    words: dict[str, str]
    company: str

    def item(self, level: str, question: str, gold: dict[str, Any], target: str) -> Item:
        """The item, if it is short enough.

        Raises:
            TryAgain: It is not.
        """
        content, context = write_prompt(self.facts, self.rows, self.columns, question)
        if estimated_tok(content) > MAX_PROMPT_TOK or estimated_tok(target) > MAX_TARGET_TOK:
            raise TryAgain
        return Item(self.facts.company, level, content, context, self.raw, gold, target)


def choose_year(rng: Random, facts: Facts, back: int) -> int:
    """A year that has `back` years before it among those with full statements.

    Raises:
        TryAgain: There is none.
    """
    fitting = facts.years[: len(facts.years) - back]
    if not fitting:
        raise TryAgain
    return rng.choice(fitting)


def check_amounts(
    facts: Facts, program: str, operands: tuple[str, ...], positive: str, years: Mapping[str, int]
) -> None:
    """Refuse unknown or small operands, and those whose sign would make the answer's sign meaningless."""
    for slot, year in years.items():
        amounts = facts.amounts.get(operands["abcde".index(slot[0])], {})
        if year not in amounts or abs(amounts[year]) < 10 or (slot[0] in positive and amounts[year] < 50):
            raise TryAgain


def set_scene(
    rng: Random,
    facts: Facts,
    operands: tuple[str, ...],
    year: int,
    back: int,
    *,
    span: int = 0,
    barred: frozenset[str] = frozenset(),
    columns: tuple[int, ...] | None = None,
) -> Scene:
    """Draw a table that shows the operands (those not barred) and name its lines.

    Raises:
        TryAgain: The years do not fit, or a line cannot be named clearly.
    """
    columns = columns or choose_columns(rng, facts, year, back)
    if columns is None:
        raise TryAgain
    needed = tuple(dict.fromkeys(concept for concept in operands if concept not in barred))
    rows = choose_rows(rng, facts, needed, columns, barred)
    if len({row.name.casefold() for row in rows}) < len(rows):
        raise TryAgain
    said = say_lines(rng, facts, operands, [row.concept for row in rows if row.concept])
    if said is None:
        raise TryAgain
    raw = raw_document(rows, columns)
    styles = year_style(rng, facts, single=back == 0)
    words = {letter: said[concept] for letter, concept in zip("abcde", operands, strict=False)}
    words |= {"y": styles[year], "n": str(span)}
    for name, years in (("o", 1), ("oo", 2), ("s", span)):
        words[name] = styles.get(year - years, "")
    company = facts.company if rng.random() < 0.7 else "the company"
    return Scene(facts, columns, rows, raw, document_of(rows, columns), said, words, company)


def draw_number(rng: Random, facts: Facts, level: str, name: str) -> Item:
    """A question with a numeric answer.

    Raises:
        TryAgain: This draw is none.
    """
    family = FAMILIES[name]
    operands = rng.choice(family.operands)
    span = rng.choice(family.spans) if family.spans else 0
    back = -min(slots(family.program, 0, span).values())
    year = choose_year(rng, facts, back)
    years = slots(family.program, year, span)
    check_amounts(facts, family.program, operands, family.positive, years)
    number_gold(family, name, facts, quick_value(family.program, facts, operands, years, span))
    scene = set_scene(rng, facts, operands, year, back, span=span)
    program = fill(family.program, facts, operands, year, span)
    expression = parse_powers(program)
    value = float(value_of(expression, scene.document))
    if family.unit == AMOUNT and family.level != EXTRACT and abs(value) in _amounts(scene):
        raise TryAgain  # the answer stands in the table
    variants = [parse_powers(fill(v, facts, operands, year, span)) for v in family.variants]
    misses = near_misses(expression, scene.raw, variants)
    for more, relative in PRECISIONS:
        gold, decimals = number_gold(family, name, facts, value, more=more, relative=relative)
        if survives(value, gold["tolerance"], misses):
            gold |= {"program": program, "operands": operands_of(expression, scene.document)}
            question = number_question(rng, scene, family, operands, decimals)
            return scene.item(level, question, gold, program)
    raise TryAgain


def _amounts(scene: Scene) -> set[int]:
    return {abs(value) for row in scene.rows for value in row.values if value is not None}


def number_gold(
    family: Family, name: str, facts: Facts, value: float, *, more: int = 0, relative: bool = True
) -> tuple[dict[str, Any], int]:
    """Gold of a numeric item without its proof, and the decimals the question asks for.

    Args:
        family: What is asked.
        name: Its name.
        facts: The company.
        value: The exact value.
        more: Decimals beyond those that three significant digits need.
        relative: Whether 0.2 % of the gold is tolerated where that is more than one unit of the last place.

    Raises:
        TryAgain: The value is too near zero, or absurd.
    """
    low, high = LIMITS[family.unit]
    gold: dict[str, Any] = {"kind": "number", "form": "number", "family": name, "value": value}
    if name == "line_rescaled":
        if abs(value) < 0.1:
            raise TryAgain
        return gold | {"tolerance": 0.0005, "unit": AMOUNT, "scale": SCALES[facts.unit] * 1000}, 3
    if not low <= abs(value) <= high:
        raise TryAgain
    decimals = decimals_of(family.unit, value)
    if family.unit == AMOUNT:
        return gold | {"tolerance": 0.5, "unit": AMOUNT, "scale": SCALES[facts.unit]}, decimals
    decimals += more
    printed = f"{value:.{decimals}f}"
    tolerance = float(printed_tolerance(printed)) if relative else 10.0**-decimals
    return gold | {"tolerance": tolerance, "unit": family.unit, "printed": printed}, decimals


def number_question(rng: Random, scene: Scene, family: Family, operands: tuple[str, ...], decimals: int) -> str:
    """Put a numeric question into words."""
    facts, words = scene.facts, scene.words
    rescaled = family.program == "{a0} / 1000"
    statement_unit = _RESCALED[facts.unit] if rescaled else facts.unit
    unit = unit_words(rng, family.unit, decimals, statement_unit, points=family.points)
    if family.level == EXTRACT:
        return ask(rng, facts, core_line(rng, operands[0], words, scene.company), scene.said, [unit])
    name = rng.choice(family.names)
    spans = any(slot in name for slot in ("{o}", "{oo}", "{s}"))
    core = core_number(rng, name, words, scene.company, spans=spans)
    return ask(rng, facts, core, scene.said, [define(rng, rng.choice(family.formula).format(**words)), unit])


def draw_unanswerable(rng: Random, facts: Facts, level: str) -> Item:
    """A question that the table cannot answer: a needed line, or the year asked about, is not shown nor derivable.

    Raises:
        TryAgain: This draw is none.
    """
    name = rng.choice([n for n, f in FAMILIES.items() if not f.held_out and not f.spans and n != "line_rescaled"])
    family = FAMILIES[name]
    operands = rng.choice(family.operands)
    program = family.program
    hides_year = rng.random() < 0.2 and len(facts.years) >= 3
    year = facts.years[-1] if hides_year else rng.choice(facts.years)
    years = slots(program, year, 0)
    back = year - min(years.values())
    columns = None
    if hides_year:
        if back:
            raise TryAgain
        columns = facts.years[: rng.randint(2, len(facts.years) - 1)]
    check_amounts(facts, program, operands, family.positive, years)
    barred = frozenset() if hides_year else frozenset((rng.choice(operands),))
    scene = set_scene(rng, facts, operands, year, back, barred=barred, columns=columns)
    wanted = {(operands["abcde".index(slot[0])], at) for slot, at in years.items()}
    shown = frozenset((row.concept, at) for row in scene.rows if row.concept for at in scene.columns)
    missing = frozenset(wanted - shown)
    if not missing or derivable(missing, shown):
        raise TryAgain
    _, decimals = number_gold(family, name, facts, quick_value(program, facts, operands, years))
    gold = {
        "kind": "text",
        "form": "unanswerable",
        "family": name,
        "answer": CANNOT,
        "wanted": "number",
        "missing": sorted(f"{facts.printed[concept]} {at}" for concept, at in missing),
    }
    return scene.item(level, number_question(rng, scene, family, operands, decimals), gold, CANNOT)


def printed_number(value: float, unit: str) -> str:
    """A deciding number as people write it."""
    if unit == AMOUNT:
        return f"{value:,.0f}"
    return f"{value:.2f}{' %' if unit == PERCENT else ''}"


def draw_test(rng: Random, facts: Facts, level: str, name: str, answer: str) -> Item:
    """A yes/no question with the given answer.

    Raises:
        TryAgain: This draw is none.
    """
    test = TESTS[name]
    operands = rng.choice(test.operands)
    back = -min(slots(test.program, 0, 0).values())
    year = choose_year(rng, facts, back)
    years = slots(test.program, year, 0)
    limit = rng.choice(test.limits)
    check_amounts(facts, test.program, operands, test.positive, years)
    value = quick_value(test.program, facts, operands, years)
    if ("Yes" if value > limit else "No") != answer or abs(value - limit) < test.clear:
        raise TryAgain
    scene = set_scene(rng, facts, operands, year, back)
    program = fill(test.program, facts, operands, year)
    expression = parse_powers(program)
    words = {**scene.words, "limit": f"{limit:g}"}
    core = rng.choice(test.names).format(**words).replace("the company", scene.company) + "?"
    tail = [define(rng, test.formula.format(**words)), rng.choice(("Answer Yes or No.", "Say Yes or No."))]
    numbers = [fill(text, facts, operands, year) for text in test.numbers]
    amount = test.numbers and all("/" not in text for text in test.numbers)
    gold = {
        "kind": "text",
        "form": "yes_no",
        "family": name,
        "answer": answer,
        "value": float(value_of(expression, scene.document)),
        "limit": limit,
        "numbers": [
            printed_number(float(value_of(parse_powers(text), scene.document)), AMOUNT if amount else test.unit)
            for text in numbers
        ],
        "programs": numbers,
        "program": program,
        "operands": operands_of(expression, scene.document),
    }
    return scene.item(level, ask(rng, facts, core, scene.said, tail), gold, answer)


def draw_choice(rng: Random, facts: Facts, level: str, name: str) -> Item:
    """A question whose answer is one of the lines or years it names.

    Raises:
        TryAgain: This draw is none.
    """
    choice = CHOICES[name]
    operands = rng.choice(choice.operands)
    most = rng.choice(("highest", "lowest"))
    by_lines = choice.by == "lines"
    year = rng.choice(facts.years) if by_lines else facts.years[rng.randrange(max(1, len(facts.years) - 2))]
    back = max(int(b) for _, b in SLOT.findall(choice.program)) if by_lines else 2
    scene = set_scene(rng, facts, operands, year, back)
    asked = [(facts.printed[c], (c,), year) for c in operands] if by_lines else []
    asked = asked or [(str(at), operands, at) for at in scene.columns]
    ranked: dict[str, float] = {}
    programs: dict[str, str] = {}
    for option, concepts, at in asked:
        check_amounts(facts, choice.program, concepts, choice.positive, slots(choice.program, at, 0))
        programs[option] = fill(choice.program, facts, concepts, at)
        ranked[option] = float(value_of(parse_powers(programs[option]), scene.document))
    order = sorted(ranked, key=lambda option: ranked[option], reverse=most == "highest")
    first, second = ranked[order[0]], ranked[order[1]]
    gap = abs(first - second) if choice.unit != AMOUNT else 100 * abs(first - second) / max(abs(first), abs(second), 1)
    if gap < choice.clear:
        raise TryAgain
    options = rng.sample(list(ranked), len(ranked))
    core = rng.choice(choice.names).format(**scene.words, most=most) + "?"
    tail = [define(rng, choice.formula.format(**scene.words))] if choice.formula else []
    tail.append(f"{rng.choice(('Answer with', 'Name'))} one of: {'; '.join(options)}.")
    cited = " + ".join(programs.values())
    gold = {
        "kind": "text",
        "form": "choice",
        "family": name,
        "answer": order[0],
        "options": options,
        "most": most,
        "numbers": [printed_number(first, choice.unit), printed_number(second, choice.unit)],
        "programs": programs,
        "operands": operands_of(parse_powers(cited), scene.document),
    }
    return scene.item(level, ask(rng, facts, core, scene.said, tail), gold, order[0])
