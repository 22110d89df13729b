"""Labels and records: what they mean without a gold, and how their verifiers judge them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tao.answers.record import JsonInterpreter, arrange, exact, plain, read_json, spell
from tao.errors import InputError
from tao.meaning import Interpreter, Outcome
from tao.prompts import Message, Prompt
from tao_bench.registry import make_interpreter
from tao_bench.verify.choice import ChoiceVerifier
from tao_bench.verify.custom import CustomVerifier
from tao_bench.verify.json import JsonVerifier, field_score
from tao_bench.verify.rubric import RubricVerifier
from tao_bench.verify.text import TextVerifier
from tao_bench.verify.verdict import Status, Verifier

FORMS = yaml.safe_load((Path(__file__).parent / "fixtures" / "answer_forms.yaml").read_text())
ASKED = Prompt("p", (Message("user", "Question: what is due?"),))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
RECORDS = st.dictionaries(st.text(), VALUES, max_size=4) | st.lists(VALUES, max_size=4)


def interpreter(form: str) -> Interpreter:
    return make_interpreter("json" if form == "json" else "choice", FORMS[form]["options"])


@pytest.mark.parametrize(
    ("form", "case"), [(form, case) for form, body in FORMS.items() for case in body["cases"]], ids=str
)
def test_what_an_answer_means(form: str, case: dict[str, Any]) -> None:
    (reading,) = interpreter(form).read(ASKED, [case["text"]])
    if "key" in case:
        assert (reading.outcome, reading.key) == (Outcome.OK, case["key"])
    else:
        assert (reading.outcome, reading.detail) == (Outcome.INVALID, case["invalid"])


@given(RECORDS)
def test_a_record_survives_being_written_and_read(value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False)
    assert spell(read_json(f"It is:\n{text}")) == spell(exact(value))
    assert spell(exact(plain(read_json(text)))) == spell(exact(value))


@given(RECORDS, st.randoms(use_true_random=False))
def test_neither_order_of_keys_nor_white_space_changes_the_meaning(value: Any, rng: Any) -> None:
    def shuffled(part: Any) -> Any:
        if isinstance(part, dict):
            keys = list(part)
            rng.shuffle(keys)
            return {key: shuffled(part[key]) for key in keys}
        return [shuffled(one) for one in part] if isinstance(part, list) else part

    other = json.dumps(shuffled(value), indent=3)
    readings = JsonInterpreter().read(ASKED, [json.dumps(value), other])
    assert readings[0] == readings[1]
    verdict = JsonVerifier().grade(ASKED, value, other, "stop")
    assert verdict.status is Status.CORRECT and field_score(verdict) == 1.0


@given(st.text(alphabet='{}[]",:0123456789eE.-trufalsn \\', max_size=300))
@settings(max_examples=200)
def test_reading_never_raises_for_what_an_answer_holds(text: str) -> None:
    assert JsonInterpreter().read(ASKED, [text])[0].outcome in (Outcome.OK, Outcome.EMPTY, Outcome.INVALID)
    assert JsonVerifier().grade(ASKED, {"a": 1}, text, "stop").status in (Status.WRONG, Status.UNPARSABLE)


@pytest.mark.parametrize("text", ["[" * 9000, "[" * 200 + "]" * 200, '{"a": 1e999999999}', '{"a": ' + "9" * 6000 + "}"])
def test_hostile_records_end_at_once(text: str) -> None:
    verdict = JsonVerifier(tolerance={"a": 0.1}).grade(ASKED, {"a": 1}, text, "stop")
    assert verdict.status in (Status.WRONG, Status.UNPARSABLE)


def test_fields_are_counted_on_both_sides() -> None:
    gold = {"name": "Elm", "lines": [{"sum": 2.5}, {"sum": 3}]}
    judge = JsonVerifier(tolerance={"lines.sum": 0.01}, ignore_case=True, unordered=("lines",))
    texts = {
        '{"name": "ELM", "lines": [{"sum": 3}, {"sum": 2.5}]}': ("equal", 1.0),
        '{"name": "Elm", "lines": [{"sum": 2.5}]}': ("fields:2/3", 2 / 3),
        '{"name": "Elm", "lines": [{"sum": 2.5}, {"sum": 3}], "more": 1}': ("fields:3/4", 3 / 4),
        '{"name": "Elm", "lines": []}': ("fields:1/4", 1 / 4),
    }
    for text, (reason, share) in texts.items():
        verdict = judge.grade(ASKED, gold, text, "stop")
        assert (verdict.reason, field_score(verdict)) == (reason, share), text
        assert verdict.score == (1.0 if share == 1 else 0.0)
    assert arrange([2, 1], ["."]) == [1, 2] and arrange([2, 1], []) == [2, 1]


def test_golds_that_are_kept_do_not_mix() -> None:
    judge = JsonVerifier({"properties": {"a": {"type": "number"}}})
    golds: list[dict[str, Any]] = [{"a": 1}, {"a": 2}, {"b": 1}, {"a": 1.5}, {"a": "x"}]
    for _ in range(2):
        found = [judge.grade(ASKED, gold, '{"a": 1}', "stop").reason for gold in golds]
        assert found == ["equal", "fields:0/1", "fields:0/2", "fields:0/1", "gold_schema"]


@pytest.mark.parametrize(
    ("judge", "gold", "text", "status", "reason"),
    [
        (ChoiceVerifier(["a", "b"]), "a", "A.", "correct", "equal"),
        (ChoiceVerifier(["a", "b"]), "c", "a", "verifier_error", "gold_no_label"),
        (ChoiceVerifier(["a", "b", "c"], several=True), "a; b", "b, a", "correct", "equal"),
        (ChoiceVerifier(["a", "b", "c"], several=True), ["a", "b"], "a", "wrong", "missing"),
        (ChoiceVerifier(["a", "b", "c"], several=True), ["a"], "a, c", "wrong", "extra"),
        (ChoiceVerifier(["a", "b", "c"], several=True), ["a", "b"], "a, c", "wrong", "labels"),
        (ChoiceVerifier(["a", "b"], several=True, none="none"), [], "none", "correct", "equal"),
        (TextVerifier(), ["The Elm", "Elm tree"], "elm tree.", "correct", "equal"),
        (TextVerifier(), "1,200", "1200.0", "correct", "equal"),
        (TextVerifier(exact=True), "Elm", "elm", "wrong", "text"),
        (TextVerifier(several=True), "a; b", "B; A", "correct", "equal"),
        (TextVerifier(), [], "x", "verifier_error", "gold_not_text"),
        (RubricVerifier(), [{"must": "paid"}, {"number": 5, "tolerance": 1}], "Paid 6 euros", "correct", "equal"),
        (RubricVerifier(), [{"must": "paid"}, {"must_not": "never"}], "never paid", "wrong", "rules:1/2"),
        (RubricVerifier(), [{"must": "due"}], "Question: what is due? Now.", "wrong", "echo"),
        (RubricVerifier(), [{"mus": "due"}], "x", "verifier_error", "no rule: \"{'mus': 'due'}\""),
        (JsonVerifier(), "text", "{}", "verifier_error", "gold_not_json"),
        (JsonVerifier(), {"a": float("inf")}, "{}", "verifier_error", "gold_schema"),
        (CustomVerifier(lambda p, g, r: r == g, "v"), "x", "x", "correct", "graded"),
        (CustomVerifier(lambda p, g, r: 0.25, "v"), "x", "x", "wrong", "score:0.25"),
        (CustomVerifier(lambda p, g, r: 1 / 0, "v"), "x", "x", "verifier_error", "ZeroDivisionError: division by zero"),
        (CustomVerifier(lambda p, g, r: failed_verdict(), "v"), "x", "x", "timeout", "slow"),
    ],
)  # fmt: skip
def test_verdicts(judge: Verifier, gold: Any, text: str, status: str, reason: str) -> None:
    verdict = judge.grade(ASKED, gold, text, "stop")
    assert (verdict.status.value, verdict.reason) == (status, reason)
    if status != "verifier_error":
        assert judge.grade(ASKED, gold, text, "length").status is Status.TRUNCATED


def failed_verdict() -> Any:
    from tao_bench.verify.verdict import failed

    return failed(Status.TIMEOUT, "", "slow")


@pytest.mark.parametrize("choices", [["a"], ["a", "A"], "ab", [True, False], ["a", ""]])
def test_choices_that_cannot_be_told_apart_are_refused(choices: Any) -> None:
    with pytest.raises(InputError, match=r"choices|case alone"):
        ChoiceVerifier(choices)
