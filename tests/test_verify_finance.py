"""The finance verifier: fixtures, properties of the numeric rule, gaming, and agreement with published labels."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from financebench_folder import VARIABLE, published
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tao.errors import InputError
from tao.prompts import Message, Prompt
from tao_bench.verify.finance import FinanceVerifier, gold_kind, read_finance_gold
from tao_bench.verify.finance_gold import recall
from tao_bench.verify.finance_number import is_numeric, printed_tolerance
from tao_bench.verify.verdict import Status, Verdict

QUICK = settings(max_examples=150, deadline=None)
FIXTURES = Path(__file__).parent / "fixtures" / "finance_answers.jsonl"
ROWS = [json.loads(line) for line in FIXTURES.read_text(encoding="utf-8").splitlines()]
VERIFIER = FinanceVerifier()
MILLIONS = "What is the FY2021 net income of Acme (in USD millions)?"


def grade(question: str, gold: Mapping[str, Any] | str, answer: str, finish: str = "stop") -> Verdict:
    row = {"answer": gold} if isinstance(gold, str) else dict(gold)
    prompt = Prompt("p", (Message("user", question),))
    return VERIFIER.grade(prompt, {"question": question, **row}, answer, finish)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['why']}-{row['answer'][:20]}")
def test_verdicts_of_the_fixtures(row: dict[str, Any]) -> None:
    verdict = grade(row["question"], row["gold"], row["answer"])
    assert (verdict.status.value, verdict.reason) == (row["status"], row["reason"])
    assert verdict.score == (1.0 if row["status"] == "correct" else 0.0)


amounts = st.decimals(min_value=100, max_value=10**6, places=0)


@QUICK
@given(amounts)
def test_an_amount_is_the_same_in_every_unit_that_is_named(value: Decimal) -> None:
    gold = f"${value}.00"
    forms = [f"{value}", f"${value:,} million", f"${value.scaleb(-3)} billion", f"${value.scaleb(6):f}"]
    assume(not 1900 <= value <= 2099)
    assert {grade(MILLIONS, gold, form).status for form in forms} == {Status.CORRECT}
    wrong = [f"{value:,} thousand", f"{value:,} billion", f"{value} %"]
    assert {grade(MILLIONS, gold, form).status for form in wrong} == {Status.WRONG}


@QUICK
@given(st.decimals(min_value=Decimal("0.1"), max_value=99, places=1))
def test_a_percentage_is_the_same_with_sign_without_and_as_a_fraction(value: Decimal) -> None:
    asked = "What is the margin as a percentage?"
    gold = f"{value}%"
    forms = [f"{value}%", f"{value} percent", f"{value}", f"{value * 100:.0f} bps", f"it is {value.scaleb(-2)}."]
    assert {grade(asked, gold, form).status for form in forms} == {Status.CORRECT}
    assert grade(asked, gold, f"-{value}%").reason == "sign"
    assert grade(asked, gold, f"${value}").reason == "unit"


@QUICK
@given(st.permutations("quick ratio liquidity profile segment organic growth freight tariff reinsurance hedge".split()))
def test_the_share_of_words_does_not_hang_on_their_order(words: list[str]) -> None:
    found = {"ratio", "segment", "freight", "hedge"}
    assert recall(words, found) == recall(sorted(words), found)


@QUICK
@given(st.decimals(min_value=10, max_value=99, places=2), st.integers(min_value=2, max_value=40))
def test_tolerance_is_one_unit_of_the_last_printed_place_or_a_fifth_of_a_percent(value: Decimal, steps: int) -> None:
    asked = "What is the ratio? Round to two decimals."
    allowed = max(Decimal("0.01"), value * Decimal("0.002"))
    off = Decimal(steps) / 100
    right = grade(asked, str(value), str(value + off)).status is Status.CORRECT
    assert right == (off <= allowed)


@pytest.mark.parametrize(
    ("digits", "decimals", "tolerance"),
    [
        ("1577.00", None, "1"), ("8.70", None, "0.1"), ("0.40", None, "0.05"), ("0.40", 2, "0.01"),
        ("24.26", 2, "0.01"), ("0.02", 2, "0.005"), ("5", None, "0.5"), ("1800", None, "1"), ("0", None, "0.5"),
    ],
)  # fmt: skip
def test_printed_tolerance(digits: str, decimals: int | None, tolerance: str) -> None:
    assert printed_tolerance(digits, decimals) == Decimal(tolerance)


@QUICK
@given(st.text(max_size=300), st.sampled_from(ROWS))
def test_no_answer_breaks_it_and_only_failures_of_the_answer_come_out(text: str, row: dict[str, Any]) -> None:
    for answer in (text, f"{row['answer']} {text}", f"{text}\n{row['answer']}"):
        verdict = grade(row["question"], row["gold"], answer)
        assert verdict.status in (Status.CORRECT, Status.WRONG, Status.UNPARSABLE)
        assert verdict == grade(row["question"], row["gold"], answer)


@QUICK
@given(st.text(max_size=80), st.text(max_size=80), st.text(max_size=80))
def test_no_gold_breaks_it(question: str, gold: str, answer: str) -> None:
    assert grade(question, gold, answer).status in Status


def page(seed: int) -> str:
    """A page of a filing, written here: headings and rows of figures as text extraction leaves them."""
    rows = [f"Line {n} of statement\n{seed * n * 37 % 9000:,}\n{seed * n * 53 % 9000:,}" for n in range(1, 30)]
    return "\n".join(["Acme Corp", "Consolidated Statements of Income", "(in millions)", *rows, "See notes"])


@QUICK
@given(st.sampled_from(ROWS), st.integers(min_value=1, max_value=50))
def test_a_page_behind_an_answer_changes_no_verdict_to_correct(row: dict[str, Any], seed: int) -> None:
    plain = grade(row["question"], row["gold"], row["answer"])
    padded = grade(row["question"], row["gold"], f"{row['answer']}\n\n{page(seed)}")
    assert padded.score <= plain.score


def test_an_echo_of_the_prompt_with_its_pages_is_a_copy() -> None:
    facts = "Net income was $1,832 million. Sales were $9,000 million. Costs were $7,168 million."
    prompt = Prompt("p", (Message("user", f"{facts}\n{MILLIONS}"),))
    gold = {"question": MILLIONS, "answer": "$1832.00"}
    assert VERIFIER.grade(prompt, gold, facts, "stop").reason == "copied"
    assert VERIFIER.grade(prompt, gold, "Net income was $1,832 million.", "stop").score == 1.0


def test_a_cell_expression_is_judged_by_its_value(tmp_path: Path) -> None:
    path = tmp_path / "document.json"
    path.write_text(json.dumps({"columns": ["2022", "2021"], "rows": [["Income", 200, 160], ["Sales", 800, 640]]}))
    asked = "What is the net margin for 2022, as a percentage?"
    prompt = Prompt("p", (Message("user", asked),), (), {"document": str(path)})
    gold = {"question": asked, "answer": "25.0%"}
    for answer, status, reason in (
        ("[Income 2022] / [Sales 2022] * 100", Status.CORRECT, "equal"),
        ("It follows.\nAnswer: [Income 2022] / [Sales 2022]", Status.CORRECT, "equal"),
        ("[Income 2021] / [Sales 2022] * 100", Status.WRONG, "value"),
        ("[Profit 2022] / [Sales 2022]", Status.WRONG, "bad_citation"),
        ("The margin is 25 % [see page 3].", Status.CORRECT, "equal"),
    ):
        verdict = VERIFIER.grade(prompt, gold, answer, "stop")
        assert (verdict.status, verdict.reason) == (status, reason)
    missing = Prompt("p", (Message("user", asked),), (), {"document": str(tmp_path / "none.json")})
    assert VERIFIER.grade(missing, gold, "[Income 2022]", "stop").status is Status.VERIFIER_ERROR


@pytest.mark.parametrize(
    "gold",
    [
        {}, {"answer": ""}, {"answer": None}, {"answer": "many", "kind": "number"}, {"answer": "5", "kind": "amount"},
        {"answer": "5", "unit": "miles"}, {"answer": "5", "scale": 50}, {"answer": "5", "decimals": -1},
        {"answer": "Retail", "options": "Retail"},
    ],
)  # fmt: skip
def test_a_faulty_gold_is_no_wrong_answer(gold: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        read_finance_gold(gold)
    assert VERIFIER.grade(Prompt("p", (Message("user", "q?"),)), gold, "5", "stop").status is Status.VERIFIER_ERROR


def test_an_answer_cut_off_is_truncated() -> None:
    assert grade(MILLIONS, "$1832.00", "1,832", "length").status is Status.TRUNCATED


def test_kinds_are_told_by_the_gold() -> None:
    assert all(is_numeric(text) for text in ("$1577.00", "-3.7", "65.4%", "0", "$ 1.6 Bn", "(212)", "1.73x"))
    assert not any(is_numeric(text) for text in ("36% of it", "Yes", "1 and 2", "", "There are 3"))
    assert gold_kind({"answer": "5", "kind": "text"}) == "text"
    assert gold_kind({"answer": 5}) == "number"


@pytest.mark.skipif(published() is None, reason=f"{VARIABLE} names no folder with financebench/")
def test_agreement_with_published_labels_is_what_the_report_says() -> None:
    import sys

    sys.path.insert(0, str(Path(__file__).parent / "benchmarks"))
    from finance_agreement import judge_files, read_items

    from tao_bench.agreement import figures, file_errors

    source = published()
    assert source is not None
    rows = judge_files(read_items(source), sorted((source / "results").glob("*.jsonl")), VERIFIER)
    least = {"number": 0.92, "text": 0.65, "": 0.75}
    for kind, kappa in least.items():
        assert figures([row for row in rows if kind in ("", row.kind)], resamples=10).kappa >= kappa
    errors = [abs(each.verifier - each.human) for each in file_errors(rows)]
    assert sum(errors) / len(errors) <= 0.03
