"""Make enterprise_arena@1: case files whose entries overrule each other, and instructions that replies must keep.

Everything follows from the seed: no clock, no `hash()`, no set order.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

from tao_bench.suite import MONTHS, UNSEEN, Row, clusters, day_words, people, word, write_task

from . import words

LEVELS = ("plain", "overruled", "strict")
DAILY, FIXED = "daily", "fixed"


@dataclass(frozen=True)
class Case:
    """A case file and what follows from it."""

    number: str
    customer: str
    contact: str
    me: str
    product: str
    supplier: str
    cause: str
    measure: str
    promised: date
    day: date
    credit: int
    slips: tuple[int, ...]
    """What the credit would be with another number of days."""
    lines: tuple[str, ...]


def draw_case(rng: Random, company: str, level: str) -> Case:
    """A case file; beyond `plain`, later entries overrule earlier ones and the credit has to be worked out."""
    contact, me, other = people(rng, 3)
    product, supplier = f"{word(rng)} {rng.choice(words.PRODUCTS)}", word(rng)
    number = f"{company[:2].upper()}-{rng.randint(10_000, 99_999)}"
    promised = date(2025, 1, 6) + timedelta(rng.randrange(500))
    late, more = rng.randint(6, 20), rng.randint(3, 18)
    rate = 10 * rng.randint(5, 30)  # no credit may look like a year of the file
    cause, measure = rng.choice(words.CAUSES), rng.choice(words.FIXES)
    first, last = promised + timedelta(late), promised + timedelta(late + more)
    customer = f"{word(rng)} {rng.choice(('Dairy', 'Steel', 'Textiles', 'Paper', 'Foods', 'Chemicals', 'Glass'))}"

    def ago(days: int) -> str:
        return day_words(promised - timedelta(days))

    article = "an" if product[0] in "AEIOU" else "a"
    entries = [f"{ago(60)}: {customer} orders {article} {product}, delivery promised for {day_words(promised)}."]
    entries.append(f"{ago(9)}: Delay because of {cause} on the side of our supplier {supplier}.")
    if level == "plain":
        day, credit, slips = first, 10 * rng.randint(20, 400), ()
        entries.append(f"{ago(7)}: New delivery day {day_words(day)}.")
        entries.append(f"{ago(6)}: {measure.capitalize()}. A credit of {credit:,} euros was granted.")
    else:
        day, credit = last, rate * (late + more)
        slips = tuple(rate * days for days in range(2, 61) if days != late + more)
        entries.append(f"{ago(7)}: New delivery day {day_words(first)}; {measure}.")
        entries.append(f"{ago(6)}: Credit agreed: {rate} euros for each day of delay after the day promised.")
        entries.append(f"{ago(2)}: Correction: delivery takes {more} days longer than the last entry on it says.")
    for text in rng.sample(words.NOISE, 2):
        said = text.format(
            who=other,
            day=day_words(promised - timedelta(rng.randint(20, 50))),
            month=rng.choice(MONTHS),
            n=rng.randint(1_000, 9_999),
        )
        entries.insert(rng.randint(1, len(entries)), said)
    head = f"Case {number} of {company}, product {product}, customer {customer}, contact {contact}, handled by {me}."
    return Case(
        number, customer, contact, me, product, supplier, cause, measure, promised, day, credit, slips, (head, *entries)
    )


def day_pattern(*days: date) -> str:
    """Any of some dates as people write them: 3 May 2025, May 3 (2025), 3rd of May, 2025-05-03, 03.05.2025, 3 May."""
    found = []
    for year, number in dict.fromkeys((day.year, day.month) for day in days):
        in_month = [day.day for day in days if (day.year, day.month) == (year, number)]
        one, month = f"0?(?:{'|'.join(map(str, in_month))})", MONTHS[number - 1]
        names = f"(?:{month}|{month[:3]}\\.?)"
        found.append(
            rf"{one}(?:st|nd|rd|th)?\.?\s+(?:of\s+)?{names}|{names}\s+{one}(?:st|nd|rd|th)?(?!\d)"
            rf"|{year}-0?{number}-{one}(?!\d)|{one}[./]0?{number}[./]{year}"
        )
    return rf"(?<!\d)(?:{'|'.join(found)})"


def named(cause: str) -> str:
    """The words of a cause as a pattern in which order, endings and what stands between are free."""
    parts = [part for part in re.findall(r"\w+", cause) if len(part) > 2 and part not in ("the", "two")]
    return r"\A" + "".join(rf"(?=.*\b{re.escape(part[:5])})" for part in parts)


def quoted(text: str) -> str:
    """A text as a pattern in which runs of white space and the marks around them are free."""
    return r"\W+".join(re.escape(part) for part in re.findall(r"\w+", text))


def make_row(rng: Random, company: str, level: str, unseen: bool) -> Row:
    case = draw_case(rng, company, level)
    kind = words.KINDS[-1] if unseen and rng.random() < 0.5 else rng.choice(words.KINDS[:-1])
    bank = words.ASKS[kind]
    ask = (bank[-1] if unseen else rng.choice(bank[:-1] or bank)).format(who=case.contact, product=case.product)
    most = rng.choice((60, 70, 80, 90, 100))
    rules: list[dict[str, Any]] = [{"must": day_pattern(case.day), "why": "the delivery day that holds"}]
    said = {"day": f"The {case.product} will arrive on {day_words(case.day)}."}
    if kind in ("reply", "points"):
        rules.append({"number": case.credit, "why": "the credit"})
        if case.slips:
            sums = "|".join(re.sub(r"(?=\d{3}\Z)", ",?", str(slip)) for slip in case.slips)
            rules.append({"must_not": rf"(?<![\w.,-])(?:{sums})(?![\w-]|[.,]\d)", "why": "another credit"})
        said["credit"] = f"The credit comes to {case.credit:,} euros."
    if kind in ("note", "press"):
        rules.append(
            {
                "must": named(case.cause),
                "why": "the cause",
            }
        )
        said["cause"] = f"The delay came from {case.cause}."
    if kind == "note":
        rules.append({"must": re.escape(case.number), "why": "the case number"})
        said["case"] = f"This is case {case.number}."
    if kind == "press":
        rules.append({"must": quoted(case.product), "why": "the product"})
    if kind == "points":
        key = max(re.findall(r"\w+", case.measure), key=len)
        rules.append({"must": rf"\b{key[:5]}", "why": "the measure"})
        rules.append(
            {"must": r"\A(?:(?!\n- |\A- ).)*(?:(?:\A|\n)- (?:(?!\n- ).)*){3}\Z", "why": "exactly three points"}
        )
        said["measure"] = f"{case.measure.capitalize()}."
    # Days from the one promised on stand for delivery alone: a list of days, or of sums, shall not pass.
    others = [day for day in (case.promised + timedelta(ahead) for ahead in range(61)) if day != case.day]
    rules.append({"must_not": day_pattern(*others), "why": "another delivery day"})
    demands = [
        "Mention no other delivery day.",
        f"Use at most {most} words.",
        f"Do not name {case.supplier}, our supplier.",
    ]
    rules += [{"max_words": most}, {"must_not": rf"\b{case.supplier}\b", "why": "the supplier is not for others"}]
    lines = [f"- {text}" for text in said.values()] if kind == "points" else [" ".join(said.values())]
    if level == "strict" or rng.random() < 0.3:
        last = case.contact.split()[-1]
        opening = rng.choice(words.OPENINGS[:2] if kind == "reply" else words.OPENINGS[2:]).format(
            last=last, case=case.number, product=case.product
        )
        closing = rng.choice(words.CLOSINGS).format(me=case.me)
        demands += [f'Open with "{opening}".', f'End with "{closing}".']
        rules += [
            {"must": rf"\A\W*{quoted(opening)}\b", "why": "the opening"},
            {"must": rf"\b{quoted(closing)}\W*\Z", "why": "the closing"},
        ]
        lines = [f"{opening}:", *lines, closing]
    rng.shuffle(demands)
    content = "\n".join([*case.lines, f"Question: {ask} {' '.join(demands)}"])
    return Row(content, rules, "\n".join(lines), UNSEEN if unseen else level)


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
    for split, count, unseen, rng in clusters("enterprise_arena@1", seed, n):
        company = f"{word(rng)} Machines"
        while company in companies:
            company = f"{word(rng)} Machines"
        companies.add(company)
        for number in range(count):
            made[split].append((company, make_row(rng, company, LEVELS[number % len(LEVELS)], unseen)))
    write_task(out, "arena", seed, made)
