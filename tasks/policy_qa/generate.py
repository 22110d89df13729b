"""Make policy_qa@1: a company's policy as clauses, cases it decides, and the clause that decides each.

Everything follows from the seed: no clock, no `hash()`, no set order.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from random import Random

from tao_bench.suite import UNSEEN, Row, TryAgain, clusters, day_words, draw, person, word, write_task

from . import words
from .words import Matter

LEVELS = ("lookup", "exception", "reference")
ABSENT = "absent"
ABSENT_SHARE = 0.18
"""Share of items whose policy does not settle the case."""
GROUPS, MATTERS, SHARED = 3, 2, (1, 2, 2)
MAX_CHARS = 1_150
"""Longest policy: prompts are to fit small models."""
"""Groups of a policy, matters it fixes in each, clauses of a matter beside the first."""
HEAD = (
    "1.1 Where several clauses on one matter fit a case, the one with the highest number decides.",
    "1.2 A clause that names another clause takes the figure that is written there.",
)
ASK = (
    "Answer on the last line with the value as a bare number, a semicolon and the number of the clause that decides, "
    "as in 77; 9.4. "
    "If the policy does not settle the case, write: not stated"
)


@dataclass(frozen=True)
class Case:
    """Whom and when a question is about."""

    grade: str
    city: str
    years: int
    day: date


@dataclass(frozen=True)
class Clause:
    """A clause: whom it fits, and the value it gives (None: an annex that is not here says it)."""

    number: str
    matter: Matter
    text: str
    fits: Callable[[Case], bool]
    value: int | None
    refers: bool


@dataclass(frozen=True)
class Policy:
    """A company's policy; `missing` are matters of the same groups that it does not fix."""

    company: str
    clauses: tuple[Clause, ...]
    missing: tuple[tuple[str, Matter], ...]
    cities: tuple[str, ...]
    grades: tuple[str, ...]
    pivot: date


def condition(
    rng: Random, grades: tuple[str, ...], cities: tuple[str, ...], pivot: date, thing: bool
) -> tuple[str, Callable[[Case], bool]]:
    """A condition in words and as a function; what is about a thing asks for a place or a day, not for a person."""
    kind, grade, city = rng.choice((1, 3, 6) if thing else range(6)), rng.choice(grades), rng.choice(cities)
    other = rng.choice([one for one in cities if one != city])
    years = rng.choice((2, 3, 5, 8, 10, 12))
    if kind == 0:
        return rng.choice((f"For every {grade}", f"Where a {grade} is concerned")), lambda c: c.grade == grade
    if kind == 1:
        return f"In {city} and {other}", lambda c: c.city in (city, other)
    if kind == 2:
        return rng.choice(
            (f"From {years} years of service on", f"With {years} or more years of service")
        ), lambda c: c.years >= years
    if kind == 3:
        return f"From {day_words(pivot)} on", lambda c: c.day >= pivot
    if kind == 4:
        return f"For every {grade} in {city}", lambda c: c.grade == grade and c.city == city
    if kind == 6:
        return f"Outside {city}", lambda c: c.city != city
    return f"Outside {city}, for every {grade}", lambda c: c.grade == grade and c.city != city


def figure(rng: Random, matter: Matter, taken: list[int]) -> int:
    """A figure that no clause of the matter has."""
    choices = [value for value in range(matter.low, matter.high + 1, matter.step) if value not in taken]
    return rng.choice(choices)


def tidy(text: str) -> str:
    """A sentence: a capital, a full stop, `an` before vowels, one of what stands alone."""
    text = re.sub(r"\b([Aa]) (?=[aeio])", r"\1n ", text[:1].upper() + text[1:])
    text = re.sub(r"(?<![\d.,])1 (working )?(\w+)s\b", r"1 \1\2", text)
    return re.sub(r"(?<![\d.,])(1 (?:working )?\w+) apply\b", r"\1 applies", text).removesuffix(".") + "."


def matter_clauses(
    rng: Random,
    start: int,
    section: int,
    matter: Matter,
    draw_condition: Callable[[], tuple[str, Callable[[Case], bool]]],
) -> list[Clause]:
    """The clauses of one matter, the first of which fits every case."""
    base = figure(rng, matter, [])
    taken, figures = [base], {f"{section}.{start}": base}
    first = tidy(rng.choice(words.SETS).format(m=matter.name, v=f"{base:,}", u=matter.unit))
    found = [Clause(f"{section}.{start}", matter, first, lambda case: True, base, False)]
    for step in range(1, rng.choice(SHARED) + 1):
        number = f"{section}.{start + step}"
        said, fits = draw_condition()
        kind = rng.choice(("set", "set", "more", "less", "twice", "same", "annex"))
        at = rng.choice(sorted(figures))
        refer = figures[at]
        distance = matter.step * rng.randint(1, 4)
        values = {
            "set": figure(rng, matter, taken),
            "more": refer + distance,
            "less": refer - distance,
            "twice": 2 * refer,
            "same": refer,
        }
        value = values.get(kind)
        if value is not None and (value <= 0 or (matter.unit == "percent" and value > 100)):
            kind, value = "set", values["set"]
        bank = {
            "set": words.SETS,
            "more": words.MORE,
            "less": words.LESS,
            "twice": words.TWICE,
            "same": words.SAME,
            "annex": words.ANNEX,
        }[kind]
        by = f"{distance:,} {'percentage points' if matter.unit == 'percent' else matter.unit}"
        text = rng.choice(bank).format(
            m=matter.name, v=f"{values['set']:,}", u=matter.unit, by=by, r=at, x=rng.choice("ABCDEFGH")
        )
        if kind == "set":
            figures[number] = values["set"]
        if value is not None:
            taken.append(value)
        found.append(Clause(number, matter, tidy(f"{said}, {text}"), fits, value, kind != "set"))
    return found


def draw_policy(rng: Random, unseen: bool) -> Policy:
    grades, cities = tuple(rng.sample(words.GRADES, 4)), tuple(rng.sample(words.CITIES, 4))
    pivot = date(2024, 1, 1) + timedelta(30 * rng.randrange(24) + rng.choice((0, 14)))
    groups = words.HELD_OUT if unseen else words.SEEN
    clauses: list[Clause] = []
    missing = []
    for section, name in enumerate(rng.sample(sorted(groups), GROUPS), 2):
        matters = rng.sample(groups[name], len(groups[name]))
        start = 1
        for matter in matters[:MATTERS]:
            thing = name in words.THINGS
            made = matter_clauses(
                rng,
                start,
                section,
                matter,
                lambda: condition(rng, grades, cities, pivot, thing),  # noqa: B023
            )
            clauses += made
            start += len(made)
        missing += [(name, matter) for matter in matters[MATTERS:]]
    company = f"{word(rng)} {rng.choice(('Group', 'Holding', 'Industries', 'Foundation', 'Partners'))}"
    return Policy(company, tuple(clauses), tuple(missing), cities, grades, pivot)


def decides(policy: Policy, matter: Matter, case: Case) -> Clause | None:
    """The clause that decides a case; None where the policy has none on the matter."""
    fitting = [clause for clause in policy.clauses if clause.matter == matter and clause.fits(case)]
    return fitting[-1] if fitting else None


def ask(rng: Random, case: Case, matter: Matter) -> str:
    who, when = person(rng), day_words(case.day)
    years = f"{case.years} years of service" if case.years > 1 else "one year of service"
    scene = rng.choice(
        (
            f"{who} is a {case.grade} in {case.city} with {years}. The day is {when}.",
            f"On {when}, {who} asks: I am a {case.grade}, I work in {case.city}, and I have {years}.",
            f"A {case.grade} in {case.city}, {who}, has {years} on {when}.",
            f"It is {when}. {who} works in {case.city} as a {case.grade} and has {years}.",
        )
    )
    what = rng.choice(
        (
            f"What is the {matter.name}, in {matter.unit}?",
            f"Which {matter.name} applies (in {matter.unit})?",
            f"How many {matter.unit} is the {matter.name} in this case?",
        )
    )
    return re.sub(r"\b([Aa]) (?=a(?:nalyst|pprentice))", r"\1n ", f"{scene} {what}")


def make_row(rng: Random, policy: Policy, level: str, shown: str) -> Row:
    """A question of a level.

    Raises:
        TryAgain: This draw has another level.
    """
    day = policy.pivot + timedelta(rng.choice((-1, 1)) * rng.randint(2, 200))
    case = Case(rng.choice(policy.grades), rng.choice(policy.cities), rng.randint(1, 14), day)
    if level == ABSENT and rng.random() < 0.7:
        matter = rng.choice(policy.missing)[1]
    else:
        matter = rng.choice(policy.clauses).matter
    clause = decides(policy, matter, case)
    kind = ABSENT if clause is None or clause.value is None else "reference" if clause.refers else "exception"
    if (
        clause is not None
        and kind == "exception"
        and clause.fits(case)
        and clause == next(c for c in policy.clauses if c.matter == matter)
    ):
        kind = "lookup"
    if kind != level:
        raise TryAgain
    lines = [f"{clause.number} {clause.text}" for clause in policy.clauses]
    content = "\n".join([f"Policy of {policy.company}", *HEAD, *lines, f"Question: {ask(rng, case, matter)} {ASK}"])
    if clause is None or clause.value is None:
        return Row(content, {"value": None, "clause": None, "form": "unanswerable"}, "not stated", shown, tuple(lines))
    gold = {"value": str(clause.value), "clause": clause.number}
    return Row(content, gold, f"{clause.value}; {clause.number}", shown, tuple(lines))


def fits(policy: Policy, rng: Random) -> bool:
    """Whether a policy is short enough and can be asked at every level."""
    if sum(len(clause.text) for clause in policy.clauses) > MAX_CHARS:
        return False
    try:
        for level in (*LEVELS, ABSENT):
            draw(rng, lambda rng, level=level: make_row(rng, policy, level, level), tries=200)  # type: ignore[misc]
    except RuntimeError:
        return False
    return True


def generate(out: Path, seed: int, n: int | None = None) -> None:
    """Write the task's data into `out` (layout: `tao_bench.task`).

    Args:
        out: Empty folder.
        seed: All randomness.
        n: Prompts of the pool (default 1,000); no other split depends on it.

    Raises:
        InputError: A size below 1.
    """
    made: dict[str, list[tuple[str, Row]]] = defaultdict(list)
    companies: set[str] = set()
    owed: dict[str, float] = defaultdict(float)
    for split, count, unseen, rng in clusters("policy_qa@1", seed, n):
        policy = draw_policy(rng, unseen)
        while policy.company in companies or not fits(policy, rng):
            policy = draw_policy(rng, unseen)
        companies.add(policy.company)
        for number in range(count):
            owed[split] += ABSENT_SHARE
            level = ABSENT if owed[split] >= 1 else LEVELS[number % len(LEVELS)]
            owed[split] -= level == ABSENT
            row = draw(rng, lambda rng: make_row(rng, policy, level, UNSEEN if unseen else level))  # noqa: B023
            made[split].append((policy.company, row))
    write_task(out, "policy", seed, made)
