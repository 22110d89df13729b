"""The comparison of a result with the gold's: equivalent results are accepted, wrong ones are not."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tao.sql.result import canonical_rows
from tao_bench.sql.compare import EQUAL, Match, RowOrder, compare, same_cell
from tao_bench.sql.pairing import ACROSS_ENGINES

Rows = list[tuple[Any, ...]]

CELLS = st.none() | st.integers(-5, 5) | st.floats(-1e6, 1e6, width=32) | st.sampled_from(["a", "b", "A", "1", ""])


@st.composite
def tables(draw: st.DrawFn, cells: Any = CELLS, min_rows: int = 1) -> Rows:
    width = draw(st.integers(1, 4))
    return canonical_rows(draw(st.lists(st.tuples(*[cells] * width), min_size=min_rows, max_size=8)))


def judge(gold: Rows, found: Rows, ties: list[int] | None = None) -> Match:
    return compare(gold, found, (len(gold[0]), len(found[0]) if found else len(gold[0])), ties)


@settings(max_examples=200, deadline=None)
@given(tables(), st.randoms(use_true_random=False))
def test_rows_shuffled(gold: Rows, rng: random.Random) -> None:
    found = list(gold)
    rng.shuffle(found)
    assert judge(gold, found) is Match.EQUAL


@settings(max_examples=200, deadline=None)
@given(tables(), st.randoms(use_true_random=False), st.booleans())
def test_columns_permuted(gold: Rows, rng: random.Random, ordered: bool) -> None:
    order = list(range(len(gold[0])))
    rng.shuffle(order)
    found = [tuple(row[column] for column in order) for row in gold]
    assert judge(gold, found, [1] * len(gold) if ordered else None) in EQUAL


@settings(max_examples=200, deadline=None)
@given(tables(), st.floats(-1e-12, 1e-12))
def test_numbers_as_floats_with_noise(gold: Rows, noise: float) -> None:
    found = [tuple(float(c) * (1 + noise) if isinstance(c, int | float) else c for c in row) for row in gold]
    assert judge(gold, found) in EQUAL
    assert judge(gold, found, [1] * len(gold)) in EQUAL


@settings(max_examples=200, deadline=None)
@given(tables(), st.data(), st.integers(1, 3))
def test_one_number_off(gold: Rows, data: st.DataObject, by: int) -> None:
    places = [(r, c) for r, row in enumerate(gold) for c, cell in enumerate(row) if isinstance(cell, int | float)]
    assume(places)
    row, column = data.draw(st.sampled_from(places))
    found = [list(cells) for cells in gold]
    found[row][column] += by
    assert judge(gold, [tuple(cells) for cells in found]) not in EQUAL


@settings(max_examples=200, deadline=None)
@given(tables(), st.data())
def test_row_missing_or_duplicated(gold: Rows, data: st.DataObject) -> None:
    row = data.draw(st.integers(0, len(gold) - 1))
    assert judge(gold, gold[:row] + gold[row + 1 :]) is Match.ROW_COUNT
    assert judge(gold, [*gold, gold[row]]) is Match.ROW_COUNT


@settings(max_examples=200, deadline=None)
@given(tables())
def test_columns_added_or_taken(gold: Rows) -> None:
    assert judge(gold, [(*row, 1) for row in gold]) is Match.EXTRA_COLUMNS
    assert judge([(*row, 1) for row in gold], gold) is Match.MISSING_COLUMNS


@settings(max_examples=200, deadline=None)
@given(tables(st.integers(0, 2) | st.sampled_from("ab"), min_rows=2))
def test_one_row_in_place_of_another(gold: Rows) -> None:
    assume(gold[0] != gold[1])
    found = [gold[1], *gold[1:]]
    sorted_columns = [sorted(map(str, column)) for column in zip(*gold, strict=True)]
    assume(sorted_columns != [sorted(map(str, column)) for column in zip(*found, strict=True)])
    widths = (
        sorted(map(str, sorted_columns)),
        sorted(str(sorted(map(str, column))) for column in zip(*found, strict=True)),
    )
    assume(widths[0] != widths[1])
    assert judge(gold, found) is Match.VALUES


def test_numbers_as_strings_are_wrong() -> None:
    assert judge([(1, "a")], [("1", "a")]) is Match.VALUES


def test_one_column_rotated_against_the_rest_is_wrong() -> None:
    gold = canonical_rows([("a", 1), ("b", 2), ("c", 3)])
    assert judge(gold, canonical_rows([("a", 2), ("b", 3), ("c", 1)])) is Match.VALUES


def test_ties_may_stand_in_any_order_and_others_may_not() -> None:
    gold = canonical_rows([("x", 5), ("a", 3), ("b", 3), ("z", 1)])
    assert judge(gold, [gold[0], gold[2], gold[1], gold[3]], [1, 2, 1]) is Match.EQUAL
    assert judge(gold, [gold[1], gold[0], gold[2], gold[3]], [1, 2, 1]) is Match.ORDER
    assert judge(gold, gold[::-1], [1, 2, 1]) is Match.ORDER
    assert judge(gold, gold[::-1]) is Match.EQUAL
    assert judge(gold, [*gold[:3], ("z", 2)], [1, 2, 1]) is Match.VALUES


def test_empty_results() -> None:
    assert compare([], [], (1, 1), None) is Match.EQUAL_EMPTY
    assert compare([], [], (1, 2), None) is Match.EXTRA_COLUMNS
    assert compare([], [(1,)], (1, 1), None) is Match.ROW_COUNT
    assert compare([(0,)], [], (1, 1), None) is Match.ROW_COUNT


def test_association_survives_permutation() -> None:
    gold = canonical_rows([(1, 2), (2, 1), (3, 3)])
    assert judge(gold, [(2, 1), (1, 2), (3, 3)]) is Match.EQUAL
    assert judge(gold, [(1, 1), (2, 2), (3, 3)]) is Match.VALUES


def test_many_equal_columns_are_not_tried_one_by_one() -> None:
    gold = [tuple([row] * 9) for row in range(5)]
    wrong = [(*[row] * 8, row + (row == 4)) for row in range(5)]
    assert judge(gold, gold) is Match.EQUAL
    assert judge(gold, wrong) is Match.VALUES


def circulant(size: int, steps: set[int], parts: int = 1) -> Rows:
    """A 0/1 table: row i has a 1 where column - row is one of the steps, within its part."""
    part = size // parts
    return [tuple(int(i // part == j // part and (j - i) % part in steps) for j in range(size)) for i in range(size)]


@pytest.mark.parametrize(
    ("gold", "found", "match"),
    [
        (circulant(20, {0}), circulant(20, {3}), Match.EQUAL),
        (
            circulant(20, {0}),
            [(1, 1, *row[2:]) if n == 0 else row for n, row in enumerate(circulant(20, {0}))],
            Match.VALUES,
        ),
        ([(i,) * 20 for i in range(500)], [(i, i ^ 1, *[i] * 18) for i in range(500)], Match.VALUES),
        # One ring of 20 or two of 10: no column differs from another by anything it touches.
        (circulant(20, {0, 1}), circulant(20, {0, 1}, 2), Match.UNDECIDED),
    ],
)
def test_many_columns_alike(gold: Rows, found: Rows, match: Match) -> None:
    assert judge(gold, found) is match


def test_many_columns_alike_in_another_order() -> None:
    rng = random.Random(0)
    columns = [rng.sample([0, 1] * 40, 80) for _ in range(20)]
    other = [rng.sample([0, 1] * 40, 80) for _ in range(20)]
    gold, wrong = list(zip(*columns, strict=True)), list(zip(*other, strict=True))
    found = rng.sample(list(zip(*rng.sample(columns, 20), strict=True)), 80)
    assert judge(gold, found) is Match.EQUAL_PERMUTED
    assert judge(gold, wrong) is Match.VALUES


def test_pairing_that_no_greedy_choice_finds() -> None:
    step = 8e-7  # neighbours are equal, next neighbours are not
    gold = [(1 + 1 * step, 1.5), (1 + 2 * step, 1.5 + step), (1 + 3 * step, 1.5)]
    found = [(1 + 2 * step, 1.5), (1 + 1 * step, 1.5 + step), (1 + 4 * step, 1.5)]
    assert judge(gold, found) is Match.EQUAL
    assert judge(gold, [*found[:2], (1 + 5 * step, 1.5)]) is Match.VALUES


def test_many_numbers_nearly_equal_are_decided_or_undecided_never_guessed() -> None:
    rng = random.Random(0)
    gold = [(1 + rng.random() * 1e-5, 1 + rng.random() * 1e-5) for _ in range(5_000)]
    noisy = [(a + rng.uniform(-9e-7, 9e-7), b + rng.uniform(-9e-7, 9e-7)) for a, b in rng.sample(gold, 5_000)]
    assert judge(gold, noisy) in {Match.UNDECIDED, *EQUAL}
    assert judge(gold, [*noisy[:-1], (1.1, 1.0)]) is Match.VALUES
    assert judge([(a,) for a, _ in gold], [(a,) for a, _ in noisy]) is Match.EQUAL


def test_rounded_numbers_are_wrong_but_told_apart() -> None:
    gold = canonical_rows([("a", 3.14159), ("b", 2.71828)])
    assert judge(gold, canonical_rows([(2.72, "b"), (3.14, "a")])) is Match.EQUAL_AFTER_ROUNDING
    assert judge(canonical_rows([("a", 3.14), ("b", 2.72)]), gold) is Match.EQUAL_AFTER_ROUNDING
    assert judge(gold, canonical_rows([("a", 3.15), ("b", 2.72)])) is Match.VALUES
    assert judge(gold, canonical_rows([("a", 3.14158), ("b", 2.71828)])) is Match.VALUES
    assert judge(canonical_rows([(7,)]), canonical_rows([(8,)])) is Match.VALUES


def test_engines_that_round_at_six_digits() -> None:
    gold = canonical_rows([(1 / 3, 2e6 / 3)])
    found = canonical_rows([(Decimal("0.333333"), Decimal("666666.666667"))])
    assert compare(gold, found, (2, 2), None, ACROSS_ENGINES) is Match.EQUAL
    assert (
        compare(canonical_rows([(2**60,)]), canonical_rows([(2**60 + 1,)]), (1, 1), None, ACROSS_ENGINES)
        is Match.VALUES
    )


def test_rows_cut_off_a_tie_are_as_good_as_those_kept() -> None:
    gold = canonical_rows([("a", 9), ("b", 5)])
    order = RowOrder((1, 1), after=tuple(canonical_rows([("c", 5), ("d", 5)])))
    assert compare(gold, canonical_rows([("a", 9), ("d", 5)]), (2, 2), order) is Match.EQUAL
    assert compare(gold, canonical_rows([(9, "a"), (5, "d")]), (2, 2), order) is Match.EQUAL_PERMUTED
    assert compare(gold, canonical_rows([("c", 5), ("a", 9)]), (2, 2), order) is Match.ORDER
    assert compare(gold, canonical_rows([("a", 9), ("e", 5)]), (2, 2), order) is Match.VALUES
    assert order.cuts_tie
    open_ended = RowOrder((1, 1), is_open=True)
    assert compare(gold, canonical_rows([("a", 9), ("z", 5)]), (2, 2), open_ended) is Match.UNDECIDED
    assert compare(gold, canonical_rows([("x", 9), ("b", 5)]), (2, 2), open_ended) is Match.VALUES


def test_unknown_sort_keys_are_no_evidence_against_an_order() -> None:
    gold = canonical_rows([("a",), ("b",)])
    assert compare(gold, gold[::-1], (1, 1), RowOrder((1, 1), known=False)) is Match.UNDECIDED
    assert compare(gold, gold, (1, 1), RowOrder((1, 1), known=False)) is Match.EQUAL
    assert compare(gold, [("a",), ("c",)], (1, 1), RowOrder((1, 1), known=False)) is Match.VALUES


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        (1, 1.0000000001, True),
        (10**17, 10**17 + 1, False),
        (2**53 + 1, float(2**53), False),
        (2**53, float(2**53), True),
        (10**40, 10**40 + 1, False),
        (1e17, 1e17 * (1 + 1e-12), True),
        (1_234_567_890.25, 1_234_567_891.25, False),
        (("d", "12345678901.23"), ("d", "12345678901.25"), False),
        (("d", "12345678901.23"), 12345678901.23, True),
        (("d", "12345678901.5"), 12345678901, False),
        (3.2e-7, 4.1e-7, False),
        (0, 5e-17, True),
        (0, 5e-7, False),
        (("l", ("m", ("l", "k", 0.1 + 0.2))), ("l", ("m", ("l", "k", 0.3))), True),
        (("t", "10:00:00"), "10:00:00", False),
        (("b", "31"), "31", False),
        (1.0e12 + 0.5, 1.0e12 + 0.50001, True),
        (0.5, 0.505, False),
        (float("inf"), float("inf"), True),
        (float("inf"), 1e308, False),
        (None, 0, False),
        (("t", "2024-01-01T00:00:00"), "2024-01-01T00:00:00", False),
        (("l", 1, 0.1 + 0.2), ("l", 1, 0.3), True),
    ],
)
def test_cells(a: Any, b: Any, equal: bool) -> None:
    assert same_cell(a, b) is equal
    assert same_cell(b, a) is equal


def test_float_noise_that_changes_the_sort_order_still_pairs() -> None:
    gold = canonical_rows([(0.30000000000000004, 1.5), (0.3, 2.5)])
    found = canonical_rows([(0.3, 1.5), (0.30000000000000004, 2.5)])
    assert judge(gold, found) is Match.EQUAL


def test_numbers_inside_lists_compare_within_tolerance_in_any_row_order() -> None:
    gold = canonical_rows([([0.1 + 0.2, "a"],), ([2.5, "b"],)])
    assert judge(gold, canonical_rows([([2.5, "b"],), ([0.3, "a"],)])) is Match.EQUAL
    assert judge(gold, canonical_rows([(["a", 0.3],), ([2.5, "b"],)])) is Match.VALUES
