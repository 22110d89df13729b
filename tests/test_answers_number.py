"""Numbers as written: fixtures, and format-then-parse for any number."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tao.answers.number import canonical, find_numbers, format_number, parse_number

QUICK = settings(deadline=None, max_examples=60)
FIXTURES = Path(__file__).parent / "fixtures"
CASES = [json.loads(line) for line in (FIXTURES / "numbers.jsonl").read_text(encoding="utf-8").splitlines()]

decimals = st.decimals(-(10**9), 10**9, allow_nan=False, allow_infinity=False, places=3)
fractions = st.fractions(max_denominator=10**6).filter(lambda value: abs(value) < 10**12)


@pytest.mark.parametrize("case", CASES, ids=[case["text"] or "empty" for case in CASES])
def test_a_text_is_read_as_the_fixture_says(case: dict[str, Any]) -> None:
    number = parse_number(case["text"])
    if case["value"] is None:
        assert number is None
    else:
        assert number is not None
        assert number.value == Fraction(case["value"])
        assert number.percent == case.get("percent", False)
        assert number.scale == case.get("scale", 1)
        assert number.currency == case.get("currency", False)


@QUICK
@given(decimals)
def test_what_is_formatted_is_read_back(value: Decimal) -> None:
    number = parse_number(format_number(Fraction(value), 3))
    assert number is not None and number.value == Fraction(value)


@QUICK
@given(
    decimals, st.sampled_from(["%", " %", " percent", " million", "k", " bn", "x"]), st.sampled_from(["", "$", "USD "])
)
def test_units_and_currency_do_not_change_the_digits(value: Decimal, unit: str, currency: str) -> None:
    magnitude = f"{abs(value):,}"
    text = f"({currency}{magnitude}){unit}" if value < 0 else f"{currency}{magnitude}{unit}"
    number = parse_number(text)
    assert number is not None and number.value == Fraction(value)
    assert number.percent == (unit.strip() in ("%", "percent"))
    assert number.currency == bool(currency)


@QUICK
@given(st.text(max_size=80))
def test_any_text_is_survived(text: str) -> None:
    parse_number(text)
    find_numbers(text)


@QUICK
@given(fractions)
def test_the_canonical_spelling_is_a_fixed_point_within_its_digits(value: Fraction) -> None:
    text = canonical(value)
    again = Fraction(text)
    assert canonical(again) == text
    assert abs(again - value) <= abs(value) * Fraction(1, 2 * 10**5)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Fraction(0), "0"),
        (Fraction(4512), "4512"),
        (Fraction(-1, 3), "-0.333333"),
        (Fraction(123456789), "123457000"),
        (Fraction(10), "10"),
        (Fraction(1, 10**9), "1E-9"),
        (Fraction(5, 2), "2.5"),
        (Fraction(10000005, 10), "1000000"),
    ],
)
def test_canonical_spellings(value: Fraction, text: str) -> None:
    assert canonical(value) == text


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("The margin was 12.3 % in 2023.", ["12.3"]),
        ("It rose from 4,100 to 4,512 (up 412).", ["4100", "4512", "412"]),
        ("Sales fell by $1.5 million in FY2022, see 10-K.", ["1.5"]),
        ("(up 12%) or (down $3 million)", ["12", "3"]),
        ("a loss of (212) then", ["-212"]),
        ("between 2019 and 2021", []),
        ("R2D2 has 3 months", ["3"]),
    ],
)
def test_numbers_in_sentences(text: str, values: list[str]) -> None:
    assert [number.value for number in find_numbers(text)] == [Fraction(value) for value in values]
