"""Answers to filing questions without gold: forms, powers, votes."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tao.answers.expression import AnswerError, parse
from tao.answers.filing import Form, Wanted, read_choice, read_form
from tao.answers.filing_interpreter import FilingInterpreter
from tao.answers.power import MAX_EXPONENT, parse_powers
from tao.meaning import Outcome
from tao.prompts import Message, Prompt
from tao_bench.registry import make_interpreter

ROWS = {"columns": ["2023", "2022"], "rows": [["Revenue", 4512, 4100], ["Net income", -212, 180]]}
READINGS = [json.loads(line) for line in (Path(__file__).parent / "fixtures" / "filing_readings.jsonl").open()]
ASKED = {
    "yes_no": "Question: Did revenue rise? Answer Yes or No.",
    "choice": "Question: Which was largest? Name one of: Cash from investing; Operating cash flow.",
    "number": "Question: What is the change in revenue? Answer in USD thousands.",
}


def prompt(text: str, folder: Path) -> Prompt:
    path = folder / "document.json"
    path.write_text(json.dumps(ROWS))
    return Prompt(
        "p", (Message("user", f"Answer Yes or No, or one of: A; B.\n{text}"),), handles={"document": str(path)}
    )


@pytest.mark.parametrize("case", READINGS, ids=lambda case: f"{case['wants']}: {case['answer'][:40]}")
def test_readings(case: dict[str, str], tmp_path: Path) -> None:
    reader = make_interpreter("filing")
    assert isinstance(reader, FilingInterpreter)
    (reading,) = reader.read(prompt(ASKED[case["wants"]], tmp_path), [case["answer"]])
    assert (reading.outcome, reading.key) == (Outcome(case["outcome"]), case.get("key")), reading.detail


def test_the_form_is_read_from_the_last_line(tmp_path: Path) -> None:
    assert read_form(prompt(ASKED["yes_no"], tmp_path)) == Form(Wanted.YES_NO)
    assert read_form(prompt(ASKED["choice"], tmp_path)) == Form(
        Wanted.CHOICE, ("Cash from investing", "Operating cash flow")
    )
    assert read_form(prompt(ASKED["number"], tmp_path)) == Form(Wanted.NUMBER)


def test_a_document_that_cannot_be_opened_is_no_evidence() -> None:
    bare = Prompt("p", (Message("user", "Question: what?"),))
    assert [r.outcome for r in FilingInterpreter().read(bare, ["1", ""])] == [Outcome.UNSCORED] * 2


def value(text: str) -> Fraction:
    return parse_powers(text).evaluate({"A": Fraction(9), "B": Fraction(4), "N": Fraction(-8)}.__getitem__)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("2 ^ 3", 8), ("2**3", 8), ("-2 ^ 2", -4), ("( -2 ) ^ 2", 4), ("- - 2 ^ 2", 4), ("2 ^ -1", Fraction(1, 2)),
        ("[A] ^ 0.5", 3), ("( [A] / [B] ) ^ ( 1 / 2 )", Fraction(3, 2)), ("27 ^ ( 2 / 3 )", 9), ("[N] ^ 2", 64),
        ("2 * 3 ^ 2", 18), ("2 ^ 2 * 3", 12), ("0 ^ 2", 0), ("5 ^ 0", 1),
    ],
)  # fmt: skip
def test_powers(text: str, result: Fraction) -> None:
    assert abs(value(text) - result) < Fraction(1, 10**30)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("[N] ^ 0.5", "out_of_range"), ("0 ^ -1", "division_by_zero"), ("2 ^ 3 ^ 2", "syntax"), ("2 ^", "syntax"),
        ("^ 2", "syntax"),
        ("2 ^ [A]", "syntax"), ("10 ^ 99", "out_of_range"), ("( 10 ^ 12 ) ^ 12", "out_of_range"), ("", "empty"),
        ("2 ^ 0.3333333333333333", "out_of_range"), ("1 ^ 2" * 200, "too_long"),
    ],
)  # fmt: skip
def test_powers_that_are_refused(text: str, code: str) -> None:
    with pytest.raises(AnswerError) as error:
        value(text)
    assert error.value.code == code


@settings(deadline=None, max_examples=200)
@given(st.text(alphabet="0123456789.()[]AB+-*/^ ", max_size=60))
def test_without_a_power_nothing_changes_and_nothing_else_is_raised(text: str) -> None:
    def outcome(read: object) -> object:
        try:
            return read(text).evaluate({"A": Fraction(9), "B": Fraction(4)}.get)  # type: ignore[operator]
        except AnswerError as error:
            return error.code
        except TypeError:  # a cell that is not there: `.get` gave None
            return "bad_citation"

    new = outcome(parse_powers)
    if "^" not in text and "**" not in text:
        assert new == outcome(parse)


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(2, MAX_EXPONENT))
def test_a_root_undoes_a_power(a: int, b: int, n: int) -> None:
    root = parse_powers(f"( {a} / {b} ) ^ ( 1 / {n} )").evaluate(lambda cell: Fraction(0))
    assert abs(float(root) ** n / (a / b) - 1) < 1e-9


@given(st.text(max_size=60))
def test_a_choice_names_one_option_or_none(text: str) -> None:
    assert read_choice(text, ("2022", "2023")) in ("", "2022", "2023")
    assert read_choice(f"{text} 2022 {text} 2023", ("2022", "2023")) == ""
