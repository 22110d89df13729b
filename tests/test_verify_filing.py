"""The filing verifier: the task's fixtures, malformed golds, and text that must not break it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tao.errors import InputError
from tao.prompts import Message, Prompt
from tao_bench.fixtures import read_fixtures
from tao_bench.registry import make_verifier
from tao_bench.task import read_spec
from tao_bench.verify.filing import FilingVerifier, read_filing_gold
from tao_bench.verify.number import NumberVerifier
from tao_bench.verify.verdict import Status

FOLDER = Path(__file__).parents[1] / "tasks" / "sec_filings_v2"
PROMPT = Prompt("p", (Message("user", "x"),))
NUMBER = {"kind": "number", "form": "number", "value": 412, "tolerance": 0.5, "unit": "amount", "scale": 1000}
YES = {"kind": "text", "form": "yes_no", "answer": "Yes"}
CHOICE = {"kind": "text", "form": "choice", "answer": "2022", "options": ["2021", "2022"]}
NONE = {"kind": "text", "form": "unanswerable", "answer": "cannot be determined"}


def test_every_fixture_gets_its_verdict(tmp_path: Path) -> None:
    verifier = make_verifier(read_spec(FOLDER), tmp_path)
    assert isinstance(verifier, FilingVerifier)
    seen: dict[str, set[str]] = {}
    for where, prompt, case in read_fixtures(FOLDER / "fixtures.jsonl", tmp_path):
        verdict = verifier.grade(prompt, case["gold"], case["candidate"], case.get("finish_reason", "stop"))
        assert (verdict.status.value, verdict.reason) == (case["status"], case["reason"]), (where, case["why"])
        assert verdict.score == (verdict.status is Status.CORRECT)
        seen.setdefault(case["gold"]["form"], set()).add(verdict.status.value)
    assert seen["number"] == seen["choice"] == {"correct", "wrong", "unparsable"}
    assert seen["yes_no"] == {"correct", "wrong", "unparsable", "truncated"} and "wrong" in seen["unanswerable"]


@pytest.mark.parametrize(
    "gold",
    [
        None, "Yes", {}, {"form": "essay", "answer": "Yes"}, {"form": "yes_no"},
        {**YES, "answer": "yes"}, {**YES, "answer": 1},
        {**CHOICE, "options": ["2022"]}, {**CHOICE, "answer": "2023"}, {**CHOICE, "options": "2022"},
        {**NONE, "answer": None},
        {**NONE, "wanted": "essay"}, {**NUMBER, "unit": "dollars"}, {"form": "number", "value": 1},
    ],
)  # fmt: skip
def test_a_malformed_gold_is_missing_data_not_a_wrong_answer(gold: Any) -> None:
    with pytest.raises(InputError):
        read_filing_gold(gold)
    assert FilingVerifier().grade(PROMPT, gold, "Yes", "stop").status is Status.VERIFIER_ERROR


def test_a_document_that_cannot_be_opened_is_missing_data(tmp_path: Path) -> None:
    prompt = Prompt("p", (Message("user", "x"),), handles={"document": str(tmp_path / "none.json")})
    assert FilingVerifier().grade(prompt, YES, "Yes", "stop").status is Status.VERIFIER_ERROR
    assert FilingVerifier().grade(PROMPT, YES, "Yes", "stop").status is Status.CORRECT


TEXT = st.text(max_size=100) | st.text(alphabet="0123456789.,()[]+-*/^ %$=\nYesNocant", max_size=100)


@settings(deadline=None, max_examples=200)
@given(TEXT, st.sampled_from([NUMBER, YES, CHOICE, NONE, {**NONE, "wanted": "yes_no"}]))
def test_any_response_gets_a_verdict(text: str, gold: dict[str, Any]) -> None:
    verdict = FilingVerifier().grade(PROMPT, gold, text, "stop")
    assert verdict.status in (Status.CORRECT, Status.WRONG, Status.UNPARSABLE)


@settings(deadline=None, max_examples=200)
@given(TEXT)
def test_nothing_is_right_on_two_sides(text: str) -> None:
    """No text passes both Yes and No, two options, or a number and its absence."""

    def right(gold: dict[str, Any]) -> bool:
        return FilingVerifier().grade(PROMPT, gold, text, "stop").status is Status.CORRECT

    assert right(YES) + right({**YES, "answer": "No"}) + right({**NONE, "wanted": "yes_no"}) <= 1
    assert right(CHOICE) + right({**CHOICE, "answer": "2021"}) <= 1
    assert right(NUMBER) + right(NONE) <= 1


@settings(deadline=None, max_examples=200)
@given(st.text(alphabet="0123456789.,()- %$kmb", max_size=30))
def test_numbers_are_judged_as_number_does(text: str) -> None:
    ours, theirs = (v.grade(PROMPT, NUMBER, text, "stop") for v in (FilingVerifier(), NumberVerifier()))
    assert ours.status == theirs.status
    if ours.status is not Status.UNPARSABLE:  # what cannot be read is read up to the full stop here, and past it there
        assert ours.reason == theirs.reason
