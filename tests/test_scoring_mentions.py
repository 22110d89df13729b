"""The rule that an answer may not leave out what its question mentions; cases are in fixtures/mentions.jsonl."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao.prompts import Message, Prompt
from tao.scoring.mentions import left_out, mentions, tokens

CASES = [json.loads(line) for line in (Path(__file__).parent / "fixtures" / "mentions.jsonl").read_text().splitlines()]


def asked(question: str, context: tuple[str, ...] = ()) -> Prompt:
    content = "\n".join([*(["Schema:", *context] if context else []), f"Question: {question}"])
    return Prompt("p", (Message("user", content),), context, {})


@pytest.mark.parametrize("case", CASES, ids=[case["why"] for case in CASES])
def test_what_is_left_out(case: dict) -> None:
    prompt = asked(case["question"], tuple(case.get("context", ())))
    assert left_out(prompt, case["answers"]) == case["left_out"]


@given(st.text(), st.lists(st.text(), max_size=5))
def test_it_refuses_only_for_words_that_several_answers_use_and_never_one_that_repeats_the_question(
    question: str, answers: list[str]
) -> None:
    prompt = asked(question.replace("\n", " "))
    found = left_out(prompt, [*answers, prompt.messages[-1].content])
    assert found[-1] == ""
    for word in filter(None, found):
        assert word in mentions(prompt)
        assert sum(word in tokens(answer) for answer in [*answers, prompt.messages[-1].content]) >= 2
