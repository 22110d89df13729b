"""Reading prose without gold: quantities, questions, conclusions, refusals, polarity, words."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tao.answers.conclusion import MAX_CHARS, clean, conclusion, is_copy, sentences, without_documents
from tao.answers.polarity import direction, explicit, inferred, not_applicable, steadiness
from tao.answers.quantities import Quantity, find_quantities, plain_text
from tao.answers.question import read_question
from tao.answers.refusal import apologises, refuses
from tao.answers.words import content, stem, weight

QUICK = settings(max_examples=150, deadline=None)
ROWS = [
    json.loads(line)
    for line in (Path(__file__).parent / "fixtures" / "quantities.jsonl").read_text(encoding="utf-8").splitlines()
]


def spelled(number: Quantity) -> str:
    marks = (("percent", number.percent), ("currency", number.currency), ("either", number.either))
    return " ".join([f"{number.full:f}", *(name for name, holds in marks if holds)])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["text"][:40])
def test_quantities_of_the_fixtures(row: dict[str, Any]) -> None:
    assert [spelled(number) for number in find_quantities(plain_text(row["text"]))] == row["found"]


@QUICK
@given(st.decimals(min_value=0, max_value=10**9, places=2), st.sampled_from(["thousand", "million", "bn", "trillion"]))
def test_a_scale_word_multiplies_and_changes_nothing_else(value: Decimal, word: str) -> None:
    [plain] = find_quantities(f"it was ${value:,}.")
    [scaled] = find_quantities(f"it was ${value:,} {word}.")
    powers = {"thousand": 3, "million": 6, "bn": 9, "trillion": 12}
    assert plain.value == scaled.value == value
    assert scaled.full == value.scaleb(powers[word])
    assert plain.currency and scaled.currency


@QUICK
@given(st.decimals(min_value=Decimal("0.01"), max_value=10**6, places=2))
def test_the_ways_to_write_a_negative_amount_are_one(value: Decimal) -> None:
    forms = [f"-{value}", f"-${value}", f"$({value})", f"({value})", f"$-{value}", f"−{value}"]
    assert {find_quantities(plain_text(f"it was {form} then"))[0].value for form in forms} == {-value}


@QUICK
@given(st.text(max_size=400), st.text(max_size=100))
def test_any_text_is_survived(text: str, question: str) -> None:
    for number in find_quantities(text, years=True):
        assert 0 <= number.start < number.end <= len(text)
    cleaned = without_documents(clean(text))
    parts = sentences(cleaned, question)
    assert conclusion(parts, 2, 2, 2) == sorted(set(conclusion(parts, 2, 2, 2)))
    assert is_copy(parts, text) in (True, False)
    refuses(cleaned), explicit(cleaned), inferred(question, cleaned), not_applicable(cleaned)
    content(text), read_question(question)


@pytest.mark.parametrize(
    ("text", "kind", "power", "decimals", "yes_no"),
    [
        ("What is the capex (in USD millions)?", "amount", 6, None, False),
        ("Answer in USD billions: what were sales?", "amount", 9, None, False),
        ("How much was it in thousands?", "amount", 3, None, False),
        ("What is the margin in units of percents, rounded to one decimal place?", "percent", None, 1, False),
        ("What is the ratio? Round your answer to two decimal places.", "", None, 2, False),
        ("Is it healthy based on FY2022 data?", "", None, None, True),
        ("For Acme, did sales grow?", "", None, None, True),
        ("Which of the segments is growing?", "", None, None, False),
        ("What was it, and has it grown?", "", None, None, False),
    ],
)
def test_what_a_question_asks_for(text: str, kind: str, power: int, decimals: int, yes_no: bool) -> None:
    found = read_question(text)
    assert (found.kind, found.power, found.decimals, found.yes_no) == (kind, power, decimals, yes_no)


def test_sentences_leave_out_what_states_nothing() -> None:
    text = "Acme Inc. earned $5.5 million. Did it grow?\nSales 12 13 14\nSo it is\n- good\n- old"
    assert sentences(text, "Did it grow?") == ["Acme Inc. earned $5.5 million.", "So it is", "- good", "- old"]
    assert sentences("What is the margin of Acme in FY2022", "Now: What is the margin of  Acme in FY2022, please") == []
    assert sentences("1\n2\n3\n4") == []
    assert sentences("5\n= 7") == ["5", "= 7"]
    assert sentences("word " * 400) == []


def test_the_conclusion_is_first_last_and_announced() -> None:
    parts = ["First.", "Then.", "Therefore it is 3.", "More.", "x = 4", "Aside.", "Last."]
    assert [parts[index] for index in conclusion(parts, 1, 1, 2)] == ["First.", "Therefore it is 3.", "x = 4", "Last."]
    assert conclusion([], 2, 2, 2) == []


PAGE = "\n".join(["Table of contents", "Sales by region", *(f"Region {n}\n{n}1 {n}2" for n in range(1, 9)), "Note 4"])


def test_pages_of_a_document_are_no_part_of_an_answer() -> None:
    said = "The margin was 5 %."
    assert without_documents(f"{said}\n\n{PAGE}") == said
    assert without_documents(f"{PAGE}\n\n{said}").endswith(said)
    assert without_documents(PAGE) == ""
    assert without_documents("a\nb\nc") == "a\nb\nc"
    listed = "\n".join(f"- item {n}" for n in range(20))
    assert without_documents(listed) == listed


def test_a_long_text_is_cut_between_words() -> None:
    text = clean("12345 " * 10_000)
    assert len(text) <= MAX_CHARS + 1
    assert set(text.split()) == {"12345"}


def test_copies_of_the_prompt_are_told_from_quotations() -> None:
    source = "Sales rose by 5 %.\nCosts fell. Debt is\nnil. Staff left."
    assert is_copy(["Sales rose by 5 %.", "Costs fell.", "Debt is nil."], source)
    assert not is_copy(["Sales rose by 5 %."], source)
    assert not is_copy(["Sales rose by 5 %.", "Costs fell.", "So the answer is 5 %."], source)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I'm sorry, but the filing is not included.", True),
        ("The document does not provide this figure.", True),
        ("It cannot be determined from the excerpt.", True),
        ("To compute it, divide A by B. If you can provide the figures, I can do so.", True),
        ("The figure is not directly stated. However, it can be computed as 5 million.", False),
        ("Sales were $5 million.", False),
        ("No debt was issued.", False),
        ("", False),
    ],
)
def test_refusals(text: str, expected: bool) -> None:
    assert refuses(text) is expected


def test_a_caveat_far_from_start_and_end_is_no_refusal() -> None:
    middle = "The exact date is not disclosed. "
    assert not refuses("The sum is 5. " * 40 + middle + "The sum is 5. " * 40)
    assert refuses(middle)
    assert apologises("I am unable to say.") and not apologises("Sales were 5.")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Yes, it is.", "yes"),
        ("**No.** It fell.", "no"),
        ("No the margins fell.", "no"),
        ("Based on the 10-K, yes, it did.", "yes"),
        ("It fell. So, no, it did not.", "no"),
        ("The answer is no.", "no"),
        ("Yes and no.", ""),
        ("No debt is registered.", ""),
        ("Nobody said so.", ""),
        ("It improved.", ""),
    ],
)
def test_explicit_polarity(text: str, said: str) -> None:
    assert explicit(text) == said


@pytest.mark.parametrize(
    ("asked", "sentence", "said"),
    [
        ("Is the margin improving?", "The margin has improved.", "yes"),
        ("Is the margin improving?", "The margin declined.", "no"),
        ("Is the margin improving?", "The margin is not improving.", "no"),
        ("Is the margin improving?", "The margin declined, so it is not improving.", "no"),
        ("Is the margin improving?", "The margin remained stable.", "no"),
        ("Is the margin improving?", "It does not appear that the margin has improved.", "no"),
        ("Was there any drop in cash?", "Cash decreased.", "yes"),
        ("Was there any drop in cash?", "Cash increased.", "no"),
        ("Are margins consistent (not moving by more than 2%)?", "Margins fluctuated.", "no"),
        ("Are margins consistent (not moving by more than 2%)?", "Margins were stable.", "yes"),
        ("Is it capital-intensive?", "It is not considered capital-intensive.", "no"),
        ("Is it capital-intensive?", "It is a capital-intensive business.", "yes"),
        ("Were there events that are not usual?", "This event is not part of the usual business.", "yes"),
    ],
)
def test_inferred_polarity(asked: str, sentence: str, said: str) -> None:
    assert inferred(asked, sentence) == said


def test_direction_counts_a_negated_word_the_other_way() -> None:
    assert direction("it increased") == 1
    assert direction("it has not increased") == -1
    assert direction("not that, but it increased") == 1
    assert steadiness("it is not consistent") == -1


def test_what_does_not_apply() -> None:
    assert not_applicable("Gross margin is not a relevant metric for a bank.")
    assert not_applicable("Performance is not measured through it.")
    assert not not_applicable("Gross margin is a useful metric.")


def test_stems_meet_and_weights_are_fixed() -> None:
    assert stem("packaging") == stem("packaged") == stem("packages")
    assert stem("operations") == stem("operating")
    assert weight(stem("revenue")) < weight(stem("earplugs"))
    assert content("The sales were flat") == ["zero", stem("sales")]
