"""Strategies show other views of a prompt and cut the deployment answer out of what comes back."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao.errors import InputError
from tao.prompts import Message, Prompt
from tao.sampling.rewording import lost, question_in
from tao.sampling.strategies import (
    REORDERED_VIEWS,
    STRATEGIES,
    VERSION,
    Supplies,
    build_views,
    check_mix,
    deployment_form,
)
from tao.sampling.wording import WORDINGS, WordingName
from tao.stage import digest

FORMS = [json.loads(x) for x in (Path(__file__).parent / "fixtures/sampling/deployment_forms.jsonl").open()]
TABLES = ("stall (stall_id INT, name STRING, region_id INT)", "region (region_id INT, title STRING)", "fee (fee INT)")


def prompt(tables: tuple[str, ...] = TABLES, id: str = "q1") -> Prompt:
    text = "Schema:\n" + "\n".join(tables) + "\nQuestion: how many stalls are there?"
    return Prompt(id, (Message("user", text),), tables)


@pytest.mark.parametrize("case", FORMS, ids=[f"{case['strategy']}: {case['why']}" for case in FORMS])
def test_deployment_forms(case: dict[str, str]) -> None:
    assert deployment_form(case["strategy"], case["text"]) == case["answer"]


@given(st.text(), st.sampled_from(sorted(STRATEGIES)))
def test_an_answer_is_part_of_the_text_and_never_blank(text: str, strategy: str) -> None:
    answer = deployment_form(strategy, text)
    assert answer is None or (answer in text and answer.strip())


def test_direct_asks_what_deployment_asks() -> None:
    (view,) = build_views([prompt()], {"direct": 8}, seed=0)
    assert view.request.messages == prompt().messages
    assert (view.request.n, view.first_index, view.strategy) == (8, 0, "direct")


def test_plan_asks_for_a_plan_first() -> None:
    (view,) = build_views([prompt()], {"plan": 4}, seed=0)
    assert view.request.messages[-1].content == prompt().messages[-1].content + "\nPlan first."


@given(st.lists(st.text("abc", min_size=1), min_size=1, max_size=5, unique=True), st.integers(1, 9), st.integers())
def test_reorder_permutes_the_context_and_nothing_else(lines: list[str], n: int, seed: int) -> None:
    asked = prompt(tuple(lines))
    views = build_views([asked], {"reorder": n}, seed=seed)
    assert sum(view.request.n for view in views) == n
    assert len(views) == min(n, REORDERED_VIEWS, 1 if len(lines) < 3 else REORDERED_VIEWS)
    contents = [view.request.messages[-1].content for view in views]
    assert len(set(contents)) == len(contents)
    assert (asked.messages[-1].content in contents) == (len(lines) == 1)
    for content in contents:
        assert sorted(content.splitlines()) == sorted(asked.messages[-1].content.splitlines())
        assert content.startswith("Schema:\n") and content.endswith("\nQuestion: how many stalls are there?")


def test_reorder_is_seeded_per_prompt_and_run() -> None:
    prompts = [prompt(id=f"q{i}") for i in range(8)]

    def orders(seed: int, asked: list[Prompt]) -> dict[str, list[str]]:
        views = build_views(asked, {"reorder": 4}, seed=seed)
        return {p.id: [v.request.messages[-1].content for v in views if v.prompt_id == p.id] for p in asked}

    assert orders(1, prompts) == orders(1, prompts[::-1])
    assert orders(1, prompts) != orders(2, prompts)
    assert len({tuple(contents) for contents in orders(1, prompts).values()}) > 1


def test_few_shot_shows_the_context_once() -> None:
    supplies = Supplies(exemplars={"q1": [("which fees?", "SELECT fee FROM fee"), ("Question: all?", "SELECT 1")]})
    (view,) = build_views([prompt()], {"few_shot": 2}, seed=0, supplies=supplies)
    head = "Schema:\n" + "\n".join(TABLES) + "\n"
    assert [(m.role, m.content) for m in view.request.messages] == [
        ("user", head + "Question: which fees?"),
        ("assistant", "SELECT fee FROM fee"),
        ("user", "Question: all?"),
        ("assistant", "SELECT 1"),
        ("user", "Question: how many stalls are there?"),
    ]


def test_few_shot_without_exemplars_asks_nothing_and_without_a_question_is_refused() -> None:
    assert build_views([prompt()], {"few_shot": 2}, seed=0) == []
    plain = Prompt("q1", (Message("user", "hello"),))
    with pytest.raises(InputError, match="last line that begins with"):
        build_views([plain], {"few_shot": 2}, seed=0, supplies=Supplies(exemplars={"q1": [("a", "b")]}))


def test_repair_shows_the_failure_and_skips_prompts_without_one() -> None:
    supplies = Supplies(failures={"q2": [("SELECT x", "no column x")]})
    views = build_views([prompt(), prompt(id="q2")], {"direct": 1, "repair": 2}, seed=0, supplies=supplies)
    assert [(v.prompt_id, v.strategy, v.first_index) for v in views] == [
        ("q1", "direct", 0),
        ("q2", "direct", 0),
        ("q2", "repair", 1),
    ]
    assert [(m.role, m.content) for m in views[-1].request.messages[1:]] == [
        ("assistant", "SELECT x"),
        ("user", "Error: no column x"),
    ]


def test_samples_of_a_prompt_are_numbered_through_the_mix() -> None:
    views = build_views([prompt()], {"plan": 4, "direct": 8, "reorder": 5}, seed=0)
    taken = [i for view in views for i in range(view.first_index, view.first_index + view.request.n)]
    assert taken == list(range(17))
    assert [view.strategy for view in views] == ["direct", "plan", "reorder", "reorder"]
    assert len({view.request.key for view in views}) == len(views)


@pytest.mark.parametrize(
    ("mix", "message"),
    [
        ({"reoder": 4}, "did you mean 'reorder'"),
        ({"direct": 0}, "0 is no number of samples"),
        ({"direct": True}, "True is no number of samples"),
        ({"direct": 1.5}, "1.5 is no number of samples"),
        ({}, "the mix is empty"),
    ],
)
def test_bad_mixes_are_refused(mix: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_mix(mix)


def test_views_are_pinned_to_their_version() -> None:
    """A changed view or extraction must raise VERSION, or old stages would be taken for new ones."""
    supplies = Supplies(exemplars={"q1": [("a?", "b")]}, failures={"q1": [("x", "y")]})
    mix = dict.fromkeys(("direct", "plan", "reorder", "few_shot", "repair"), 3)
    views = [asdict(view) for view in build_views([prompt()], mix, seed=7, supplies=supplies)]
    forms = [deployment_form(case["strategy"], case["text"]) for case in FORMS]
    assert (VERSION, digest([views, forms])) == ("1", "62924fd9cb7494fb")


CHAT_FORMS = [json.loads(x) for x in (Path(__file__).parent / "fixtures/sampling/chat_forms.jsonl").open()]


@pytest.mark.parametrize("case", CHAT_FORMS, ids=[f"{case['strategy']}: {case['why']}" for case in CHAT_FORMS])
def test_deployment_forms_of_chat_models(case: dict[str, str]) -> None:
    assert deployment_form(case["strategy"], case["text"], WORDINGS["sql"]) == case["answer"]


@pytest.mark.parametrize("name", WORDINGS)
@pytest.mark.parametrize("strategy", ["plan", "chain_of_thought"])
def test_every_wording_asks_behind_the_prompt_and_is_its_own_view(name: WordingName, strategy: str) -> None:
    (view,) = build_views([prompt()], {strategy: 2}, seed=0, wording=WORDINGS[name])
    said = view.request.messages[-1].content.removeprefix(prompt().messages[-1].content)
    assert said in (WORDINGS[name].plan, WORDINGS[name].chain_of_thought) and said.startswith("\n")
    assert (name, strategy) == ("terse", "plan") or "Answer:" in said
    supplies = Supplies(failures={"q1": [("SELECT {x}", "no {x}")]})
    (view,) = build_views([prompt()], {"repair": 1}, seed=0, supplies=supplies, wording=WORDINGS[name])
    assert "no {x}" in view.request.messages[-1].content


def test_repair_spreads_over_different_failures() -> None:
    supplies = Supplies(failures={"q1": [("a", "no a"), ("b", "no b")]})
    views = build_views([prompt()], {"repair": 5}, seed=0, supplies=supplies)
    assert [(v.request.messages[-2].content, v.request.n, v.first_index) for v in views] == [("a", 3, 0), ("b", 2, 3)]
    assert [v.request.n for v in build_views([prompt()], {"repair": 1}, seed=0, supplies=supplies)] == [1]


def test_reword_replaces_the_question_and_nothing_else() -> None:
    said = ("how many stalls are there?", "what is the number of stalls?")
    supplies = Supplies(rewordings={"q1": [said]})
    (view,) = build_views([prompt()], {"reword": 3}, seed=0, supplies=supplies)
    assert view.request.messages[-1].content == prompt().messages[-1].content.replace(*said)
    assert build_views([prompt(id="q2")], {"reword": 3}, seed=0, supplies=supplies) == []


REWORDINGS = [json.loads(x) for x in (Path(__file__).parent / "fixtures/sampling/rewordings.jsonl").open()]


@pytest.mark.parametrize("case", REWORDINGS, ids=[case["why"] for case in REWORDINGS])
def test_a_rewording_that_loses_something_is_refused(case: dict[str, str]) -> None:
    asked = Prompt("q", (Message("user", f"{case['context']}\nQuestion: {case['question']}"),), (case["context"],))
    assert question_in(asked) == case["question"]
    assert lost(asked, case["question"], case["rewording"]) == case["lost"]


@pytest.mark.parametrize(
    ("content", "question"),
    [
        ("how many?", "how many?"),
        ("Table\n\nQuestion: how many?\nAnswer in SQL.", "how many?"),
        ("stall\nhow many stalls?\nAnswer in SQL.", "how many stalls?"),
        ("stall\nGive all.\nAnswer in SQL.", None),
    ],
)
def test_the_question_is_told_from_the_rest(content: str, question: str | None) -> None:
    context = ("stall",) if content.startswith("stall") else ()
    assert question_in(Prompt("q", (Message("user", content),), context)) == question
