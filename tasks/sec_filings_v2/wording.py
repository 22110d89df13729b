"""How a question is put: persona, basis, the question itself, the formula, unit and rounding; all chosen apart."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from random import Random

from .facts import Facts
from .families import AMOUNT, DAYS, PERCENT
from .lines import BALANCE, CASH, GENERAL, INCOME, NOTE, STATEMENT

INSTRUCTION = (
    "Answer on the last line: a number, an expression over cited cells such as [Line A 2023] / [Line B 2023], "
    'Yes or No, an option, or "cannot be determined".'
)
TAG = {INCOME: "income", BALANCE: "balance", CASH: "cash flow", NOTE: "note"}
"""Statement to the word in front of its lines in the printed table."""

_STATEMENTS = {
    INCOME: ("income statement", "statement of income", "P&L statement"),
    BALANCE: ("balance sheet", "statement of financial position"),
    CASH: ("cash flow statement", "statement of cash flows"),
}
_YEARS = ("FY{0}", "FY{0}", "fiscal {0}", "fiscal year {0}")
_OPENINGS = (
    "Assume that you are {a}.",
    "Answer as {a}.",
    "You are {a}.",
    "Take the view of {a}.",
    "We need to calculate a financial metric.",
    "Please help with a financial metric.",
    "For the credit file:",
    "Board memo:",
    "A question from an investor:",
    "Quick check:",
)
_PERSONAS = (
    "a public equities analyst",
    "an investment banker",
    "an equity research analyst without access to data providers",
    "an auditor",
    "a credit officer",
    "a portfolio manager",
    "a financial analyst at a competitor",
    "a treasurer",
)
_BASIS = (
    "Base your judgment on the {s}.",
    "Use only what the {s} shows.",
    "Rely on the {s}.",
    "Work from the {s}.",
    "Primarily use the {s}.",
)
_BASIS_FIRST = ("According to the {s}, ", "Based on the {s}, ", "Going by the {s}, ", "From the {s}: ")
_NAMED = (
    "what is {c}'s {y} {m}?",
    "what was {m} of {c} in {y}?",
    "what is {c}'s {m} for {y}?",
    "compute {c}'s {y} {m}.",
    "how high was {m} at {c} in {y}?",
    "for {c}, find {m} of {y}.",
)
_SPANNED = ("what is {m} for {c}?", "what was {c}'s {m}?", "compute {m} for {c}.", "find {c}'s {m}.")
_FLOW = (
    "what is {c}'s {y} {a}?",
    "what did {c} report as {a} for {y}?",
    "how much was {a} of {c} in {y}?",
    "what is the {y} amount of {a} for {c}?",
)
_STOCK = (
    "what is {c}'s year-end {y} {a}?",
    "how much was {a} of {c} at the end of {y}?",
    "what is the amount of {a} at the end of {y} for {c}?",
    "what did {c} carry as {a} at the close of {y}?",
)
_DEFINE = (
    "It is defined as {f}.",
    "Define it as {f}.",
    "Here it means {f}.",
    "Formula: {f}.",
    "Calculate it as {f}.",
)
_ROUND = {
    1: ("rounded to one decimal place", "to one decimal place"),
    2: ("rounded to two decimal places", "to two decimals"),
    3: ("rounded to three decimal places", "to three decimals"),
    4: ("rounded to four decimal places", "to four decimals"),
}
_POSITIVE = (
    "Count {a}, printed as an outflow, as a positive amount.",
    "{a} is printed in parentheses as an outflow; take it as positive.",
)


def year_style(rng: Random, facts: Facts, *, single: bool) -> dict[int, str]:
    """Fiscal year to the words for it, one style a question; by the day it ended only where one year is asked about."""
    if single and rng.random() < 0.15:
        return {year: f"the fiscal year ended {day}" for year, day in facts.ends.items()}
    style = rng.choice(_YEARS)
    return {year: style.format(year) for year in range(min(facts.years) - 3, max(facts.years) + 2)}


def say_lines(rng: Random, facts: Facts, concepts: tuple[str, ...], shown: list[str]) -> dict[str, str] | None:
    """Concept to the words for its line; None where two lines would be called the same.

    Printed name, or what anybody calls such a line where no other line shown could be meant by it.

    Args:
        rng: Random source.
        facts: The company.
        concepts: Lines asked about.
        shown: Concepts of all lines shown.
    """
    said: dict[str, str] = {}
    for concept in dict.fromkeys(concepts):
        others = [name for other in shown if other != concept for name in _all_names(facts, other)]
        general = [name for name in GENERAL.get(concept, ()) if not any(fits(name, other) for other in others)]
        printed = facts.printed[concept]
        if general and rng.random() < 0.4:
            said[concept] = rng.choice(general)
        else:
            plain = printed[0].lower() + printed[1:] if not printed[1:2].isupper() else printed
            said[concept] = printed if rng.random() < 0.5 else plain
    return said if len({words.casefold() for words in said.values()}) == len(said) else None


def _all_names(facts: Facts, concept: str) -> tuple[str, ...]:
    return (facts.printed[concept], *GENERAL.get(concept, ()))


def fits(words: str, name: str) -> bool:
    """Whether all words of a phrase stand in a line's name, so that the phrase might mean that line."""
    return _words(words) <= _words(name)


@lru_cache(maxsize=4096)
def _words(text: str) -> frozenset[str]:
    return frozenset(text.casefold().replace(",", " ").replace("'", "").split())


def _join(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', the '.join(parts[:-1])} and the {parts[-1]}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def unit_words(rng: Random, unit: str, decimals: int, statement_unit: str, *, points: bool = False) -> str:
    """The sentence that states unit and rounding.

    Args:
        rng: Random source.
        unit: Unit of the answer.
        decimals: Decimals the gold is printed with; 0 for amounts that are exact.
        statement_unit: ``thousands``, ``millions``, ``billions`` or ``dollars``; for amounts.
        points: A difference of percentages.
    """
    rounded = rng.choice(_ROUND[decimals]) if decimals else ""
    if unit == AMOUNT:
        currency = "US dollars" if statement_unit == "dollars" else f"USD {statement_unit}"
        return f"Answer in {currency}{', ' + rounded if rounded else ''}."
    if unit == PERCENT:
        words = "percentage points" if points else rng.choice(("percent", "units of percents"))
        return f"Answer in {words}, {rounded}."
    if unit == DAYS:
        return f"Answer in days, {rounded}."
    return rng.choice((f"Give the ratio {rounded}.", f"Answer {rounded}."))


def ask(
    rng: Random,
    facts: Facts,
    core: str,
    said: Mapping[str, str],
    tail: list[str],
) -> str:
    """A whole question.

    Args:
        rng: Random source.
        facts: The company.
        core: The question proper, beginning in lower case.
        said: Concepts of the lines it needs, whose statements are named, to their words.
        tail: Sentences that follow: formula, unit, form of the answer (last).
    """
    kinds = dict.fromkeys(STATEMENT[concept] for concept in said)
    statements = [rng.choice(_STATEMENTS[kind]) for kind in kinds]
    rng.shuffle(statements)
    parts: list[str] = []
    if rng.random() < 0.45:
        parts.append(rng.choice(_OPENINGS).format(a=rng.choice(_PERSONAS)))
    outflows = [concept for concept in said if concept in facts.negative]
    sentences = [_capital(rng.choice(_POSITIVE).format(a=said[concept])) for concept in outflows]
    if rng.random() < 0.5:
        parts.append(rng.choice(_BASIS_FIRST).format(s=_join(statements)) + core)
        basis = ""
    else:
        parts.append(_capital(core))
        basis = rng.choice(_BASIS).format(s=_join(statements))
    middle = [*tail[:-1], *sentences]
    if basis:
        middle.insert(rng.choice((0, len(middle))), basis)
    return " ".join([*parts, *middle, *tail[-1:]])


def _fitting(frames: tuple[str, ...], year: str) -> list[str]:
    """Frames that a year's words fit: "FY2023 revenue" does, "the fiscal year ended June 30, 2023 revenue" does not."""
    return [frame for frame in frames if not (year.startswith("the ") and ("{y} {" in frame or "year-end" in frame))]


def core_number(rng: Random, name: str, words: Mapping[str, str], company: str, *, spans: bool) -> str:
    """The question proper for a named figure.

    Args:
        rng: Random source.
        name: Name of the figure, with slots of lines and years.
        words: Letters and years to words.
        company: How the company is called.
        spans: The name already says which years are meant.
    """
    frame = rng.choice(_SPANNED if spans else _fitting(_NAMED, words["y"]))
    figure = name.format(**words)
    possessive = "'s {m}" in frame or "{y} {m}" in frame or "'s {y}" in frame
    return frame.format(c=company, m=figure.removeprefix("the ") if possessive else figure, y=words["y"])


def core_line(rng: Random, concept: str, words: Mapping[str, str], company: str) -> str:
    """The question proper for one line."""
    frame = rng.choice(_fitting(_STOCK if STATEMENT[concept] == BALANCE else _FLOW, words["y"]))
    return frame.format(c=company, a=words["a"], y=words["y"])


def define(rng: Random, formula: str) -> str:
    """The sentence that states a formula."""
    return rng.choice(_DEFINE).format(f=formula)
