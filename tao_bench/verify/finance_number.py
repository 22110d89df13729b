"""Numeric golds of questions on filings, against what an answer concludes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from tao.answers.conclusion import announces, clean, conclusion, sentences
from tao.answers.quantities import Quantity, find_quantities
from tao.answers.question import Kind, Question
from tao.answers.refusal import refuses
from tao_bench.verify.verdict import Status, Verdict, correct, failed

RELATIVE = Decimal("0.002")
MAX_NUMBERS = 8

_DECLINE = re.compile(r"\b(?:declin|decreas|negativ|loss|losses|lower|drop|fell|fall|reduc|shr[aiu]nk|down\b|deficit|contract)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FinanceGold:
    value: Decimal
    kind: Kind
    power: int | None
    tolerance: Decimal


def printed_unit(digits: str, decimals: int | None) -> Decimal:
    whole, _, part = digits.partition(".")
    part = part.rstrip("0")
    places = max(len(part), min(decimals or 0, 6))
    unit = Decimal(1).scaleb(-places)
    significant = len((whole + part.ljust(places, "0")).lstrip("0"))
    return unit / 2 if significant <= 1 else unit


def numeric_gold(quantity: Quantity, digits: str, question: Question) -> FinanceGold:
    kind: Kind = "percent" if quantity.percent else "amount" if quantity.currency or quantity.power else question.kind
    if kind == "percent" and not quantity.percent and abs(quantity.value) < 1:
        kind = "ratio"
    if kind == "":
        kind = "ratio"
    power = quantity.power or question.power
    tolerance = max(printed_unit(digits, question.decimals), abs(quantity.value) * RELATIVE)
    return FinanceGold(quantity.value, kind, power, tolerance)


def readings(q: Quantity, gold: FinanceGold) -> Iterator[Decimal]:
    if gold.kind == "amount":
        if q.percent:
            return
        if q.power:
            yield q.value.scaleb(q.power - (gold.power or 0))
            if gold.power is None:
                yield q.value
            return
        yield q.value
        if gold.power:
            yield q.value.scaleb(-gold.power)
        return
    if q.power or (q.currency and gold.kind == "percent"):
        return
    if gold.kind == "percent":
        yield q.value
        if not q.percent and abs(q.value) < 3:
            yield q.value * 100
    else:
        yield q.value / 100 if q.percent else q.value


def matches(q: Quantity, gold: FinanceGold, sentence: str) -> str:
    """'' if it does not match, else 'equal' or 'sign'."""
    for value in readings(q, gold):
        if abs(value - gold.value) <= gold.tolerance:
            return "equal"
        if abs(value + gold.value) <= gold.tolerance:
            if gold.kind == "amount" or q.either or (value > 0 > gold.value and _DECLINE.search(sentence)):
                return "equal"
            return "sign"
    return ""
