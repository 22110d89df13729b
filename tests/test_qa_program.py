"""FinQA's program language: flat cases, properties, and the published programs where they are at hand."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao.answers.expression import AnswerError
from tao.answers.program import run_program

FIXTURES = Path(__file__).parent / "fixtures" / "published_qa"
SHARED = os.environ.get("TAO_BENCH_SHARED_DATA", "")
TABLE = [
    ["( in millions )", "2019", "2018"],
    ["sales", "$ 1204.5", "$ 1,222.9"],
    ["loss on sale ( 1 )", "-12.5 ( 12.5 )", "-3.5 ( 3.5 )"],
    ["margin", "12.1% ( 12.1 % )", "9.5% ( 9.5 % )"],
    ["rent, rates", "7.0", "6.5"],
    ["notes", "see below", "1"],
    [],
]


def cases() -> list[tuple[str, str]]:
    lines = (FIXTURES / "programs.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.rpartition("->") for line in lines if line and not line.startswith("#")]
    return [(program.strip(), wanted.strip()) for program, _, wanted in pairs]


@pytest.mark.parametrize(("program", "wanted"), cases())
def test_programs(program: str, wanted: str) -> None:
    try:
        got = str(run_program(program, TABLE))
    except AnswerError as error:
        got = f"! {error.code}"
    assert got == wanted


NUMBERS = st.floats(-1e6, 1e6).map(lambda value: round(value, 3))


@given(NUMBERS, NUMBERS, NUMBERS)
def test_steps_and_nesting_mean_the_same(a: float, b: float, c: float) -> None:
    flat = run_program(f"subtract({a}, {b}), multiply(#0, {c})")
    assert flat == run_program(f"multiply(subtract({a}, {b}), {c})") == round((a - b) * c, 5)


@given(st.text(max_size=60) | st.text(alphabet="adsubtrctablem_xp(),#019 .%-", max_size=60))
def test_any_text_runs_or_says_why(text: str) -> None:
    try:
        result = run_program(text, TABLE)
    except AnswerError as error:
        assert error.code in ("syntax", "too_long", "empty", "bad_citation", "division_by_zero", "out_of_range")
    else:
        assert isinstance(result, float) or result in ("yes", "no")


def test_size_is_bounded() -> None:
    for program in (
        "add(1, 2), " * 400 + "add(1, 2)",
        "add(" * 30 + "1, 1" + ", 1)" * 30,
        ", ".join(["add(1,2)"] * 40),
    ):
        with pytest.raises(AnswerError) as caught:
            run_program(program)
        assert caught.value.code in ("too_long", "syntax")


@pytest.mark.skipif(not SHARED, reason="TAO_BENCH_SHARED_DATA does not name the folder of the published sets")
def test_every_published_program_gives_the_published_answer() -> None:
    records = [row for path in sorted((Path(SHARED) / "finqa").glob("*.json")) for row in json.loads(path.read_text())]
    assert len(records) == 300
    for record in records:
        for key in ("program", "program_re"):
            assert run_program(record["qa"][key], record["table"]) == record["qa"]["exe_ans"], record["id"]
