"""Signals and their figures: AUC against counting pairs, calibration by hand, overlap of tables by property."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tao.meaning import Outcome, Reading
from tao.prompts import Message, Prompt, Sample
from tao.sql.overlap import overlap
from tao_bench.report.signals import Page, as_markdown, write_page
from tao_bench.signals import (
    SIGNALS,
    Bin,
    Group,
    TableOverlap,
    auc,
    auc_within,
    best_of,
    calibration,
    pairs_won,
    quality,
)

MARKET = str(Path(__file__).parent / "fixtures" / "sql" / "market.json")
SCORED = st.lists(st.tuples(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.booleans()), min_size=1, max_size=12)
ROWS = st.lists(st.tuples(st.sampled_from([1, 2.5, "x", None]), st.integers(0, 2)), max_size=5)


def arrays(scored: list[tuple[float, bool]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([s for s, _ in scored]), np.array([r for _, r in scored])


@settings(deadline=None)  # the first example imports scipy
@given(SCORED)
def test_auc_is_the_share_of_pairs_in_order(scored: list[tuple[float, bool]]) -> None:
    signal, right = arrays(scored)
    pairs = list(itertools.product(signal[right], signal[~right]))
    if not pairs:
        assert math.isnan(auc(signal, right))
        assert pairs_won(signal, right) == (0.0, 0)
        return
    expected = sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs)
    assert auc(signal, right) == pytest.approx(expected / len(pairs))
    assert pairs_won(signal, right) == (pytest.approx(expected), len(pairs))


def test_within_a_prompt_only_its_own_pairs_count() -> None:
    easy = arrays([(0.9, True), (0.9, True)])  # no pair
    upside_down = arrays([(0.1, True), (0.2, False)])
    good = arrays([(1.0, True), (0.0, False), (0.0, False)])
    won = [pairs_won(*one) for one in (easy, upside_down, good)]
    assert auc_within(won) == pytest.approx(2 / 3)
    assert math.isnan(auc_within([pairs_won(*easy)]))
    assert best_of([s for s, _ in (easy, upside_down, good)], [r for _, r in (easy, upside_down, good)]) == (
        pytest.approx(2 / 3)
    )


def test_calibration_by_hand() -> None:
    found = calibration(np.array([0.1, 0.15, 0.9, 1.0, 0.0]), np.array([True, False, True, True, False]))
    assert found == [Bin(0.0, 0.2, 2, pytest.approx(0.125), 0.5), Bin(0.8, 1.0, 2, pytest.approx(0.95), 1.0)]


def test_intervals_hold_the_estimate_and_are_the_same_again() -> None:
    rng = np.random.default_rng(3)
    right = [rng.random(8) < 0.5 for _ in range(30)]
    signal = [r + rng.normal(size=8) for r in right]
    clusters = [str(i // 3) for i in range(30)]
    one = quality("s", signal, right, clusters)
    assert one == quality("s", signal, right, clusters)
    assert one.auc_low < one.auc < one.auc_high and one.within_low < one.within < one.within_high
    assert 0.6 < one.auc < 0.9


@given(ROWS, ROWS)
def test_overlap_is_a_similarity(a: list, b: list) -> None:
    assert overlap(a, b) == pytest.approx(overlap(b, a))
    assert 0 <= overlap(a, b) <= 1
    assert overlap(a, list(reversed(a))) == 1
    if sorted(map(repr, a)) != sorted(map(repr, b)):
        assert overlap(a, b) < 1


def test_overlap_of_other_widths_counts_half() -> None:
    assert overlap([(1, 2)], [(1,), (2,)]) == 0.5
    assert overlap([(1,)], [(1, 9)]) == pytest.approx(0.25)
    assert overlap([(1,)], []) == 0


def group(answers: list[str], readings: list[Reading], question: str = "How many in Sund?") -> Group:
    prompt = Prompt("p", (Message("user", f"Question: {question}"),), handles={"database": MARKET})
    samples = [Sample("p", "direct", i, a, a, (1,), 3, "stop") for i, a in enumerate(answers)]
    return Group(prompt, samples, readings)


def test_signals_say_what_they_are_named() -> None:
    ok = [Reading(Outcome.OK, "k"), Reading(Outcome.OK, "k"), Reading(Outcome.OK, "other")]
    bad = [Reading(Outcome.EMPTY, "e"), Reading(Outcome.FAILED), Reading(Outcome.INVALID)]
    answers = ["SELECT 1 FROM a WHERE t = 'Sund'", "SELECT 1 FROM b WHERE t = 'Sund'", "SELECT 2", "x", "y", "z"]
    values = {name: list(signal(group(answers, ok + bad))) for name, signal in SIGNALS.items()}
    assert values["in form"] == [1, 1, 1, 1, 1, 0]
    assert values["runs"] == [1, 1, 1, 1, 0, 0]
    assert values["not empty"] == [1, 1, 1, 0, 0, 0]
    assert values["leaves nothing out"] == [1, 1, 0, 0, 0, 0]
    assert values["vote share"] == pytest.approx([2 / 3, 2 / 3, 1 / 3, 0, 0, 0])
    assert values["support"] == pytest.approx([1 / 3, 1 / 3, 1 / 6, 0, 0, 0])
    assert values["support, nothing left out"] == pytest.approx([1 / 3, 1 / 3, 0, 0, 0, 0])


def test_overlap_with_the_consensus_table_on_a_real_database() -> None:
    answers = ["SELECT name FROM stall"] * 2 + ["SELECT name FROM stall WHERE active", "SELECT nme FROM stall"]
    key = [Reading(Outcome.OK, "k")] * 2 + [Reading(Outcome.OK, "o"), Reading(Outcome.INVALID)]
    signal = TableOverlap(weight=False)
    try:
        all_names, again, some, broken = signal(group(answers, key))
    finally:
        signal.close()
    assert all_names == again == 1
    assert 0 < some < 1
    assert broken == 0


def test_the_page_shows_every_signal(tmp_path: Path) -> None:
    right = [np.array([True, False])] * 4
    found = [quality("support", [np.array([0.9, 0.1])] * 4, right, ["a", "a", "b", "b"])]
    page = Page("toy@1", "`m` (abc)", 4, 2, "tao-bench signals --task toy")
    bins = {"support": [Bin(0.8, 1.0, 4, 0.9, 1.0)]}
    text = as_markdown(page, found, bins)
    assert "| support | 1.000 [1.000, 1.000] | 1.000 [1.000, 1.000] | 100.0% |" in text
    assert "expected calibration error | 10.0% |" in text
    write_page(tmp_path, page, found, bins)
    assert (tmp_path / "reliability.png").stat().st_size > 1000
