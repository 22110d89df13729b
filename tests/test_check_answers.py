"""Mutants of numeric and text golds: made of every kind, and a verifier that lets one through is caught."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tao.answers.number import find_numbers
from tao.prompts import Message, Prompt
from tao_bench.check_answers import judge_answers, mutants, numeric_gold, spell
from tao_bench.check_mutants import describe
from tao_bench.task import Item, Label
from tao_bench.verify.number import NumberVerifier, read_gold
from tao_bench.verify.verdict import Status, Verdict, correct, failed

ROWS = [["Revenue", 800, 640], ["Cost", 500, 640], ["Income", 200, 160]]
GOLD = {"value": 25, "tolerance": 0.1, "unit": "percent"}
TARGET = "[Income 2023] / [Revenue 2023] * 100"
KINDS = {
    "scale", "sign", "beyond the printed precision", "fraction for a percentage", "neighbouring year",
    "neighbouring row", "right number inside an evidence dump", "all numbers listed", "refusal plus number",
}  # fmt: skip


@pytest.fixture
def prompt(tmp_path: Path) -> Prompt:
    path = tmp_path / "document.json"
    path.write_text(json.dumps({"columns": ["2023", "2022"], "rows": ROWS}))
    text = (
        "Line | 2023 | 2022\nRevenue | 800 | 640\nCost | 500 | 640\nIncome | 200 | 160\nQuestion: net margin of 2023?"
    )
    return Prompt("a", (Message("user", text),), (), {"document": str(path)})


def test_every_kind_is_made_and_arithmetic_says_which_mean_the_same(prompt: Prompt) -> None:
    made = list(mutants(prompt, Label(GOLD, TARGET)))
    assert {kind for kind, _, _ in made} == KINDS
    swapped = {answer: same for kind, answer, same in made if kind.startswith("neighbouring")}
    assert swapped["[Income 2022] / [Revenue 2023] * 100"] is False  # 20 %
    assert not any(same for kind, _, same in made if not kind.startswith("neighbouring"))
    level = Label({**GOLD, "value": 100}, "[Cost 2022] / [Revenue 2022] * 100")
    same = {answer for _, answer, same in mutants(prompt, level) if same}
    assert same == {"[Revenue 2022] / [Revenue 2022] * 100", "[Cost 2022] / [Cost 2022] * 100"}


class AnyNumberVerifier:
    """What not to do: passes wherever the right number occurs."""

    def grade(self, prompt: Prompt, gold: Any, response: str, finish_reason: str) -> Verdict:
        target = read_gold(gold)
        hit = any(abs(n.value - target.value) <= target.tolerance for n in find_numbers(response))
        return correct(response) if hit else failed(Status.WRONG, "", "value")

    def close(self) -> None:
        pass


class OneTask:
    """The part of a task that judging mutants needs."""

    def __init__(self, verifier: Any) -> None:
        self.verifier = lambda: verifier


def test_the_number_verifier_lets_none_through_and_a_lax_one_is_caught(prompt: Prompt) -> None:
    judged = [(Item(prompt, "c", "1"), Label(GOLD, TARGET))]
    faults, words = describe(judge_answers(OneTask(NumberVerifier()), judged))  # type: ignore[arg-type]
    assert faults == [] and words.startswith("13 mutants of 1 golds")
    faults, _ = describe(judge_answers(OneTask(AnyNumberVerifier()), judged))  # type: ignore[arg-type]
    assert [fault.partition("(")[2] for fault in faults] == [
        "right number inside an evidence dump)", "all numbers listed)", "refusal plus number)",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("gold", "question", "value", "unit"),
    [
        ({"kind": "number", "answer": "$1,577.00"}, "in USD millions?", 1577, "amount"),
        ({"kind": "number", "answer": "65.4%"}, "What was it?", Fraction("65.4"), "percent"),
        ({"kind": "number", "answer": "1.73"}, "What is the quick ratio?", Fraction("1.73"), "ratio"),
        ({"kind": "number", "answer": "-3.7"}, "change in USD millions", Fraction("-3.7"), "amount"),
    ],
)
def test_golds_of_either_form_are_read(gold: dict[str, Any], question: str, value: Any, unit: str) -> None:
    found = numeric_gold(gold, question)
    assert found is not None and (found.value, found.unit, found.is_exact) == (value, unit, False)
    assert numeric_gold({"kind": "text", "answer": "Yes"}, question) is None


def test_thousands_upwards_may_be_full_dollars_for_a_grader_of_free_text() -> None:
    text = Prompt("a", (Message("user", "Capex in USD millions?"),), (), {})
    made = [answer for kind, answer, _ in mutants(text, Label({"kind": "number", "answer": "$1577.00"}, "1577"))]
    assert not any(answer.startswith("1,577,000") for answer in made) and "157,700.00" in made


def test_text_golds_are_turned_round() -> None:
    text = Prompt("a", (Message("user", "Did it grow?"),), (), {})
    made = {kind: answer for kind, answer, _ in mutants(text, Label({"kind": "text", "answer": "Yes, by 3"}, "Yes"))}
    assert made == {"the other of yes and no": "No, by 3", "yes and no": "Yes and no."}
    options = {"kind": "choice", "answer": "Alpha", "options": ["Alpha", "Beta"]}
    made = {kind: answer for kind, answer, _ in mutants(text, Label(options, "Alpha"))}
    assert made == {"another option": "Beta", "all options": "Alpha and Beta"}


@pytest.mark.parametrize(("value", "tolerance"), [("1/3", "1/100"), ("-2000/3", "1"), ("5", "0"), ("0", "1/1000")])
def test_spelling_moves_a_value_by_less_than_its_tolerance(value: str, tolerance: str) -> None:
    exact, allowed = Fraction(value), Fraction(tolerance)
    spelt = Fraction(spell(exact, allowed).replace(",", ""))
    assert abs(spelt - exact) <= max(allowed, Fraction(1, 10**6)) / 10
