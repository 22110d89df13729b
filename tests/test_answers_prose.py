"""Answers in prose that mean the same get one key; a refusal has none; any text is read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao.answers.prose import SIGNALS, ProseInterpreter, read_prose
from tao.meaning import Outcome
from tao.prompts import Message, Prompt

CASES = [
    json.loads(line) for line in (Path(__file__).parent / "fixtures" / "prose_meanings.jsonl").read_text().splitlines()
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["why"])
def test_what_means_the_same_votes_together(case: dict[str, object]) -> None:
    question, answers = str(case["question"]), list(case["answers"])  # type: ignore[call-overload]
    assert [read_prose(question, answer).key for answer in answers] == [case["key"]] * len(answers)


@given(st.integers(1, 10**7), st.sampled_from(["thousands", "millions"]))
def test_scale_words_do_not_change_the_meaning(value: int, unit: str) -> None:
    question = f"What was revenue in USD {unit}?"
    keys = {
        read_prose(question, text).key
        for text in (f"{value:,}", f"${value:,}", f"{value:,} {unit.rstrip('s')}", f"It was ${value:,} {unit}.")
    }
    assert len(keys - {None}) == 1


@given(st.text(max_size=300), st.sampled_from(["Is it so?", "What was it in %?", "How much in USD millions?"]))
def test_any_text_is_read(text: str, question: str) -> None:
    assert read_prose(question, text).outcome in (Outcome.OK, Outcome.INVALID)


def test_the_interpreter_reads_the_question_of_the_prompt() -> None:
    prompt = Prompt("a", (Message("user", "A page.\nWhat was the margin, in %?"),), ("A page.",))
    readings = ProseInterpreter().read(prompt, ["0.25", "25 %", "I cannot answer that."])
    assert [reading.key for reading in readings] == ["25", "25", None]
    assert SIGNALS["answers at all"](prompt, ["25 %", "I am unable to answer.", ""]) == [1.0, 0.0, 0.0]
