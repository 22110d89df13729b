"""The numeric verifier: the task's fixtures, tolerance rule, golds, and text that must not break it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tao.answers.document import make_document
from tao.errors import InputError
from tao.prompts import Message, Prompt
from tao_bench.fixtures import read_fixtures
from tao_bench.verify.number import NumberVerifier, grade_text, printed_tolerance, read_gold
from tao_bench.verify.verdict import Status

FIXTURES = Path(__file__).parents[1] / "tasks" / "sec_filings" / "fixtures.jsonl"
DOCUMENT = make_document({"columns": ["2023"], "rows": [["Revenue", 4512], ["Cost", 2310]]})
GOLD = {"value": 12.32, "tolerance": 0.025, "unit": "percent"}


def test_every_fixture_gets_its_verdict(tmp_path: Path) -> None:
    verifier = NumberVerifier()
    seen = set()
    for where, prompt, case in read_fixtures(FIXTURES, tmp_path):
        verdict = verifier.grade(prompt, case["gold"], case["candidate"], case.get("finish_reason", "stop"))
        assert (verdict.status.value, verdict.reason) == (case["status"], case["reason"]), (where, case["why"])
        assert verdict.score == (verdict.status is Status.CORRECT)
        seen.add(verdict.reason)
    # every reason that this verifier can give for an answer is shown by at least one case
    assert seen >= {"equal", "value", "sign", "scale", "unit", "bad_citation", "refusal", "length", "empty", "syntax"}


@pytest.mark.parametrize(
    ("printed", "tolerance"),
    [
        ("12.32", "0.02464"),  # 0.2 % is wider than one unit of the last place
        ("1.73", "0.01"),
        ("65.4", "0.1308"),
        ("0.654", "0.001308"),
        ("0.4", "0.05"),  # one significant digit: half a unit
        ("0.01", "0.005"),
        ("-3.70", "0.01"),
        ("8,738", "17.476"),
        ("303", "1"),
    ],
)
def test_tolerance_follows_the_printed_precision(printed: str, tolerance: str) -> None:
    assert printed_tolerance(printed) == Fraction(tolerance)


@pytest.mark.parametrize(
    "gold",
    [
        None, 12.3, {}, {"value": 1, "unit": "percent"}, {"value": 1, "tolerance": 0.1, "unit": "dollars"},
        {"value": float("nan"), "tolerance": 0.1, "unit": "ratio"}, {"value": 1, "tolerance": -1, "unit": "ratio"},
        {"value": 1, "tolerance": 1, "unit": "amount", "scale": 0}, {"value": "x", "tolerance": 1, "unit": "amount"},
    ],
)  # fmt: skip
def test_a_bad_gold_is_missing_data_and_not_a_wrong_answer(gold: Any) -> None:
    with pytest.raises(InputError):
        read_gold(gold)
    prompt = Prompt("p", (Message("user", "x"),))
    assert NumberVerifier().grade(prompt, gold, "12", "stop").status is Status.VERIFIER_ERROR


def test_a_document_that_cannot_be_opened_is_missing_data(tmp_path: Path) -> None:
    prompt = Prompt("p", (Message("user", "x"),), handles={"document": str(tmp_path / "none.json")})
    assert NumberVerifier().grade(prompt, GOLD, "12.32", "stop").status is Status.VERIFIER_ERROR
    bare = Prompt("p", (Message("user", "x"),))
    assert NumberVerifier().grade(bare, GOLD, "12.32", "stop").status is Status.CORRECT
    assert NumberVerifier().grade(bare, GOLD, "[Revenue 2023]", "stop").reason == "bad_citation"


@settings(deadline=None, max_examples=150)
@given(st.text(max_size=120) | st.text(alphabet="0123456789.,()[]+-*/ %$=\nRevnu", max_size=120))
def test_any_response_gets_a_verdict(text: str) -> None:
    verdict = grade_text(text, "stop", read_gold(GOLD), DOCUMENT)
    assert verdict.status in (Status.CORRECT, Status.WRONG, Status.UNPARSABLE)


@settings(deadline=None, max_examples=150)
@given(st.integers(-(10**6), 10**6), st.integers(-(10**6), 10**6), st.integers(0, 500))
def test_correct_exactly_within_the_tolerance(value: int, answer: int, tolerance: int) -> None:
    gold = read_gold({"value": value, "tolerance": tolerance, "unit": "amount"})
    verdict = grade_text(str(answer), "stop", gold, DOCUMENT)
    assert (verdict.status is Status.CORRECT) == (abs(value - answer) <= tolerance)


@settings(deadline=None, max_examples=150)
@given(st.integers(1, 10**6), st.sampled_from(["{:,}", "{}", "${:,}", " {:,} ", "Answer: {:,}", "{:,}.0", "{}."]))
def test_spelling_does_not_change_the_verdict(value: int, style: str) -> None:
    gold = read_gold({"value": value, "tolerance": 0, "unit": "amount"})
    assert grade_text(style.format(value), "stop", gold, DOCUMENT).status is Status.CORRECT
