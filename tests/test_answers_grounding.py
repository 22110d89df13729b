"""Calculations stated in words are found and checked; numbers from nowhere are told from those in the prompt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao.answers.grounding import MAX_CHARS, equations, grounded, recomputes
from tao.prompts import Message, Prompt

CASES = [json.loads(line) for line in (Path(__file__).parent / "fixtures" / "equations.jsonl").read_text().splitlines()]
PROMPT = Prompt("a", (Message("user", "Revenue | 800 | 640\nIncome | 200 | (160)\nWhat was net margin in 2023?"),), ())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["why"])
def test_stated_calculations(case: dict[str, object]) -> None:
    found = equations(str(case["answer"]))
    assert (len(found), sum(e.holds for e in found)) == (case["equations"], case["holds"])


@given(st.integers(-9999, 9999), st.integers(1, 9999), st.sampled_from("+-*/"), st.integers(0, 3))
def test_a_right_calculation_holds_and_one_well_off_does_not(left: int, right: int, mark: str, decimals: int) -> None:
    value = {"+": left + right, "-": left - right, "*": left * right, "/": left / right}[mark]
    assert [e.holds for e in equations(f"so {left} {mark} {right} = {value:.{decimals}f}.")] == [True]
    wrong = value + abs(value) * 0.02 + 3 * 10**-decimals
    assert [e.holds for e in equations(f"so {left} {mark} {right} = {wrong:.{decimals}f}.")] == [False]


def test_numbers_from_nowhere_lower_the_share() -> None:
    answers = [
        "200 / 800 = 25 %",
        "The margin was 25 %.",
        "Income fell from $200 to $160.",
        "It rose.",
        "200 / 800 = 31 %",
    ]
    assert grounded(PROMPT, answers) == [1.0, 0.0, 1.0, None, 2 / 3]
    assert recomputes(PROMPT, answers) == [1.0, None, None, None, 0.0]


@given(st.text(max_size=200))
def test_any_text_is_read(text: str) -> None:
    for value in (*grounded(PROMPT, [text]), *recomputes(PROMPT, [text])):
        assert value is None or 0 <= value <= 1


def test_of_a_long_answer_the_end_is_read() -> None:
    assert len(equations("1 + 1 = 2\n" * MAX_CHARS)) <= MAX_CHARS / 10
