"""The comparison of a result with the gold's: equivalent results are accepted, wrong ones are not."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tao.sql.result import canonical_rows
from tao_bench.sql.compare import EQUAL, Match, compare, same_cell

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


def test_too_many_column_orders_are_undecided() -> None:
    rng = random.Random(0)
    columns = [rng.sample(range(8), 8) for _ in range(8)]
    other = [rng.sample(range(8), 8) for _ in range(8)]
    gold, found = list(zip(*columns, strict=True)), list(zip(*other, strict=True))
    assert judge(gold, found) in (Match.UNDECIDED, Match.VALUES)


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        (1, 1.0000000001, True),
        (10**17, 10**17 + 1, False),
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
