"""Calls by what they do: orders that change nothing agree, orders that do differ, hostile text is no call."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao.answers.calls import CallError, CallsInterpreter, Refused, meaning, run, typed
from tao.meaning import Outcome
from tao.prompts import Message, Prompt

FIXTURES = Path(__file__).parents[1] / "tasks" / "tool_calls" / "fixtures.jsonl"
SERVICE: dict[str, Any] = json.loads(FIXTURES.read_text(encoding="utf-8").splitlines()[0])["document"]
KEYS = sorted(SERVICE["records"])
CALLS = st.one_of(
    st.builds(lambda key, sum: {"name": "add_budget", "arguments": {"ref": key, "sum": sum}},
              st.sampled_from(KEYS), st.integers(1, 50)),
    st.builds(lambda key, pct: {"name": "grow_budget", "arguments": {"ref": key, "pct": pct}},
              st.sampled_from(KEYS), st.integers(1, 50)),
    st.builds(lambda key, who: {"name": "alert_project", "arguments": {"who": who, "ref": key}},
              st.sampled_from(KEYS), st.sampled_from(("Ada", "Ivo"))),
)  # fmt: skip


def of(key: str, calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [call for call in calls if call["arguments"]["ref"] == key]


@given(st.lists(CALLS, max_size=6))
def test_only_the_order_of_calls_on_one_record_can_count(calls: list[dict[str, Any]]) -> None:
    apart = [call for key in KEYS for call in of(key, calls)]
    functions = SERVICE["functions"]
    assert meaning(SERVICE, typed(functions, calls)) == meaning(SERVICE, typed(functions, apart))


@given(st.lists(CALLS, min_size=1, max_size=5))
def test_a_call_more_or_less_is_another_meaning(calls: list[dict[str, Any]]) -> None:
    functions = SERVICE["functions"]
    assert meaning(SERVICE, typed(functions, calls)) != meaning(SERVICE, typed(functions, calls[:-1]))


def test_amounts_are_exact_and_records_stay() -> None:
    grow = {"name": "grow_budget", "arguments": {"ref": "PRJ-7", "pct": 7}}
    after = run(SERVICE, typed(SERVICE["functions"], [grow, grow]))
    assert after["records"]["prj-7"]["amount"] == "11449/10"
    assert SERVICE["records"]["PRJ-7"]["amount"] == 1000


def test_what_the_records_do_not_allow_is_refused() -> None:
    move = {"name": "pass_on_budget", "arguments": {"ref": "PRJ-9", "into": "PRJ-7", "sum": 500}}
    self_move = {"name": "pass_on_budget", "arguments": {"ref": "PRJ-9", "into": "PRJ-99", "sum": 5}}
    for call in (move, self_move):
        with pytest.raises(Refused):
            run(SERVICE, typed(SERVICE["functions"], [call]))


@pytest.mark.parametrize("value", [None, 3, {}, [3], [{"name": 3, "arguments": {}}], [{"name": "add_budget"}]])
def test_what_is_no_list_of_calls_is_named_so(value: Any) -> None:
    with pytest.raises(CallError, match="no_calls"):
        typed(SERVICE["functions"], value)


def test_readings(tmp_path: Path) -> None:
    path = tmp_path / "service.json"
    path.write_text(json.dumps(SERVICE), encoding="utf-8")
    prompt = Prompt("p", (Message("user", "do it"),), (), {"document": str(path)})
    good = '[{"name": "close_project", "arguments": {"ref": "prj-7"}}]'
    same = '[{"arguments": {"ref": "PRJ-7"}, "name": "close_project"}]'
    twice = json.dumps(json.loads(good) * 2)
    found = CallsInterpreter().read(prompt, [good, same, "[]", twice, "close it", '[{"name": "x", "arguments": {}}]'])
    assert [one.outcome.value for one in found] == ["ok", "ok", "empty", "failed", "invalid", "invalid"]
    assert found[0].key == found[1].key != found[2].key
    nowhere = Prompt("p", (Message("user", "do it"),), (), {})
    assert CallsInterpreter().read(nowhere, [good])[0].outcome is Outcome.UNSCORED


@pytest.mark.parametrize(
    "text",
    ["", "[" * 5000, "[{}]", '[{"name": "add_budget", "arguments": {"ref": [], "sum": {}}}]', "[1e400]", "\x00[null]"],
)
def test_hostile_text_is_read_without_raising(text: str, tmp_path: Path) -> None:
    path = tmp_path / "service.json"
    path.write_text(json.dumps(SERVICE), encoding="utf-8")
    prompt = Prompt("p", (Message("user", "do it"),), (), {"document": str(path)})
    assert CallsInterpreter().read(prompt, [text])[0].outcome in (Outcome.INVALID, Outcome.EMPTY)
