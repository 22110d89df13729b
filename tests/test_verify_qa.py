"""Verifiers tatqa and finqa, TAT-QA's published metric, and the label-free reader of answers in words."""

from __future__ import annotations

import json
import math
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao.answers.text import TextInterpreter, final_text, split_spans
from tao.meaning import Outcome
from tao.prompts import Message, Prompt
from tao_bench.qa.tatqa_metric import official
from tao_bench.verify.finqa import FinqaVerifier
from tao_bench.verify.tatqa import SCALES, TatqaVerifier, read_gold, write_answer
from tao_bench.verify.verdict import Status, Verifier

FIXTURES = Path(__file__).parent / "fixtures" / "published_qa"
SHARED = os.environ.get("TAO_BENCH_SHARED_DATA", "")
PROMPT = Prompt("q", (Message("user", "q"),))


def rows(name: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in (FIXTURES / name).read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("case", rows("tatqa_official.jsonl"), ids=lambda case: str(case["why"]))
def test_the_published_metric(case: dict[str, object]) -> None:
    assert official(case, case["prediction"], str(case["pred_scale"])) == (case["em"], case["f1"])


@pytest.mark.parametrize("case", rows("readings.jsonl"), ids=lambda case: str(case["answer"])[:40])
def test_readings_of_answers_in_words(case: dict[str, object]) -> None:
    (reading,) = TextInterpreter().read(PROMPT, [str(case["answer"])])
    assert (reading.outcome.value, reading.key) == (case["outcome"], case["key"])


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=30), max_size=4).map("\n".join))
def test_any_text_is_read_and_judged(text: str) -> None:
    (reading,) = TextInterpreter().read(PROMPT, [text])
    assert (reading.key is None) == (reading.outcome is Outcome.INVALID)
    gold = {"answer": ["wages", "rent"], "type": "multi-span", "scale": ""}
    assert TatqaVerifier().grade(PROMPT, gold, text, "stop").status is not Status.VERIFIER_ERROR
    finqa = {"answer": -0.2, "printed": "-20%", "percent": True, "scales": []}
    assert FinqaVerifier().grade(PROMPT, finqa, text, "stop").status is not Status.VERIFIER_ERROR


SPANS = st.text('abc defg;[]",0123456789.%$-', min_size=1, max_size=20).filter(
    # a currency sign behind a number is no way to print one, and a number of billions ("0b") is no percentage
    lambda text: text.strip(" .*`\"';,[]-$%") and "$" not in text.lstrip(" -$") and not re.search(r"[0-9]\s*b", text)
)


@given(st.lists(SPANS, min_size=1, max_size=4, unique_by=lambda text: text.strip()), st.sampled_from(sorted(SCALES)))
def test_a_gold_in_the_form_asked_for_is_right(spans: list[str], scale: str) -> None:
    kind = "span" if len(spans) == 1 else "multi-span"
    gold = {"answer": spans, "type": kind, "scale": scale, "ordered": True}
    verdict = TatqaVerifier().grade(PROMPT, gold, f"Answer: {write_answer(read_gold(gold))}", "stop")
    assert verdict.status is Status.CORRECT, (write_answer(read_gold(gold)), verdict)


@given(st.decimals(-9999, 9999, places=2), st.sampled_from(("", "thousand", "million", "percent")))
def test_an_amount_of_another_size_sign_or_value_is_wrong(value: object, scale: str) -> None:
    number = float(str(value))
    gold = {"answer": number, "type": "arithmetic", "scale": scale}
    verifier = TatqaVerifier()
    suffix = {"": "", "percent": "%"}.get(scale, f" {scale}")
    assert verifier.grade(PROMPT, gold, f"{number}{suffix}", "stop").status is Status.CORRECT
    if abs(number) < 0.05:
        return
    for wrong in (-number, number * 1000, number * 1.01 + math.copysign(0.02, number), number / 1000):
        assert verifier.grade(PROMPT, gold, f"{wrong:f}{suffix}", "stop").status is not Status.CORRECT


@given(st.floats(0.01, 5000).map(lambda value: round(value, 5)), st.booleans())
def test_an_executed_answer_rounded_to_two_digits_or_more_is_right_and_others_are_not(
    value: float, falls: bool
) -> None:
    value = -value if falls else value
    gold = {"answer": value, "printed": f"{value}", "percent": False, "scales": []}
    verifier = FinqaVerifier()

    def right(text: str) -> bool:
        return verifier.grade(PROMPT, gold, text, "stop").status is Status.CORRECT

    assert right(f"{value:.5f}") and right(f"{100 * value:.5f}%") and right(f"add({value:.5f}, 0)")
    if abs(value) >= 10:
        assert right(f"{value:.0f}")
    for wrong in (-value, value * 1000, value * 1.2, value * 0.8, value / 100):
        assert not right(f"{wrong:.6f}") or abs(wrong - value) <= 2e-5


def test_what_ends_a_response_is_read() -> None:
    assert final_text('Two of them.\n["a", "b; c"]') == '["a", "b; c"]'
    assert split_spans('["a", "b; c"]') == ("a", "b; c")
    assert final_text("First line\nAnswer: **wages; rent**.") == "wages; rent"
    assert split_spans("wages;; rent ; ") == ("wages", "rent")
    assert split_spans('["a", {"b": 1}]') == ('["a", {"b": 1}]',)


@pytest.mark.parametrize("verifier", [TatqaVerifier(), FinqaVerifier()])
def test_a_broken_gold_is_no_wrong_answer(verifier: Verifier) -> None:
    for gold in (None, {}, {"answer": None, "type": "span", "scale": ""}, {"answer": float("nan")}, "12"):
        assert verifier.grade(PROMPT, gold, "12", "stop").status is Status.VERIFIER_ERROR


def test_a_report_that_cannot_be_read_is_no_wrong_answer(tmp_path: Path) -> None:
    prompt = Prompt("q", (Message("user", "q"),), (), {"report": str(tmp_path / "gone.json")})
    gold = {"answer": 1.0, "printed": "1", "scales": []}
    assert FinqaVerifier().grade(prompt, gold, "1", "stop").status is Status.VERIFIER_ERROR


@pytest.mark.skipif(not SHARED, reason="TAO_BENCH_SHARED_DATA does not name the folder of the published sets")
def test_published_golds_pass_and_the_sample_predictions_keep_their_score() -> None:
    from tests.benchmarks.qa_agreement import tatqa_rows

    found = tatqa_rows(Path(SHARED) / "tatqa")
    assert len(found) == 1668
    assert [row.uid for row in found if not row.gold_passes] == []
    match, f1 = (sum(values) / len(found) for values in ([r.em for r in found], [r.f1 for r in found]))
    assert (round(match, 4), round(f1, 4)) == (0.4592, 0.5888)
