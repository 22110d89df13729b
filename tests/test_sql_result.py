"""Canonical cells and fingerprints."""

from __future__ import annotations

import datetime as dt
import random
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tao.sql.result import canonical_cell, canonical_rows, fingerprint, is_empty


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (True, 1),
        (2.0, 2),
        (Decimal("2.00"), 2),
        (Decimal("0.25"), 0.25),
        (float("nan"), None),
        (Decimal("NaN"), None),
        (-0.0, 0),
        (dt.date(2024, 2, 29), dt.datetime(2024, 2, 29)),
        (dt.datetime(2024, 1, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=2))), dt.datetime(2024, 1, 1)),
        (dt.timedelta(days=3), 3),
        (b"\x1f", bytearray(b"\x1f")),
        ([1, 2.0], (1, 2)),
        (2**70, Decimal(2**70)),
        (Decimal("12345678901234567890123456789012345678"), 12345678901234567890123456789012345678),
        ({"b": 1, "a": 2.0}, {"a": 2, "b": True}),
        (dt.time(10, 0), dt.time(10)),
    ],
)
def test_equal_values_have_one_form(a: object, b: object) -> None:
    assert canonical_cell(a) == canonical_cell(b)
    assert fingerprint(canonical_rows([(a, "x")])) == fingerprint(canonical_rows([(b, "x")]))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (None, 0),
        (None, ""),
        (1, "1"),
        ("a", "A"),
        ("a", "a "),
        (dt.date(2024, 1, 1), "2024-01-01"),
        (b"a", "a"),
        (2**60, 2**60 + 1),
        (0.25, 0.2501),
        (float("inf"), float("-inf")),
        ([1, 2], [2, 1]),
        (Decimal(2**60 + 1), 2**60),
        (dt.time(10, 0), "10:00:00"),
        ({"a": 1}, [["a", 1]]),
        ({"a": 1}, {"b": 1}),
    ],
)
def test_different_values_have_different_fingerprints(a: object, b: object) -> None:
    assert fingerprint(canonical_rows([(a,)])) != fingerprint(canonical_rows([(b,)]))


@pytest.mark.parametrize("rows", [[], [(None,)], [(None, float("nan")), (None, None)]])
def test_nothing_but_null_is_empty(rows: list[tuple[object, ...]]) -> None:
    assert is_empty(canonical_rows(rows))


def test_zero_is_not_empty() -> None:
    assert not is_empty(canonical_rows([(0,)]))
    assert not is_empty(canonical_rows([("",)]))


def test_float_noise_does_not_split_a_vote() -> None:
    noisy = [(0.1 + 0.2, "a"), (1e9 / 3, "b")]
    exact = [(0.3, "a"), (333333333.33333331, "b")]
    assert fingerprint(canonical_rows(noisy)) == fingerprint(canonical_rows(exact))


CELLS = st.none() | st.integers(-3, 3) | st.sampled_from([0.5, 1.25, 1e6 + 0.5]) | st.sampled_from(["a", "b", "1", ""])


@st.composite
def tables(draw: st.DrawFn) -> list[tuple[object, ...]]:
    width = draw(st.integers(1, 4))
    return draw(st.lists(st.tuples(*[CELLS] * width), min_size=1, max_size=8))


@settings(max_examples=200, deadline=None)
@given(tables(), st.randoms(use_true_random=False))
def test_row_and_column_order_do_not_change_the_first_fingerprint(
    rows: list[tuple[object, ...]], rng: random.Random
) -> None:
    columns = list(range(len(rows[0])))
    rng.shuffle(columns)
    moved = [tuple(row[column] for column in columns) for row in rows]
    rng.shuffle(moved)
    assert fingerprint(canonical_rows(moved))[0] == fingerprint(canonical_rows(rows))[0]


@settings(max_examples=200, deadline=None)
@given(tables(), st.randoms(use_true_random=False))
def test_column_order_does_not_change_the_second_fingerprint(
    rows: list[tuple[object, ...]], rng: random.Random
) -> None:
    columns = list(range(len(rows[0])))
    rng.shuffle(columns)
    moved = [tuple(row[column] for column in columns) for row in rows]
    assert fingerprint(canonical_rows(moved))[1] == fingerprint(canonical_rows(rows))[1]


@settings(max_examples=200, deadline=None)
@given(tables(), st.data())
def test_a_duplicated_or_missing_row_changes_both(rows: list[tuple[object, ...]], data: st.DataObject) -> None:
    row = data.draw(st.sampled_from(rows))
    for other in ([*rows, row], [r for n, r in enumerate(rows) if n != rows.index(row)]):
        before, after = fingerprint(canonical_rows(rows)), fingerprint(canonical_rows(other))
        assert before[0] != after[0] and before[1] != after[1]


def test_sequence_tells_order_apart_and_multiset_does_not() -> None:
    up, down = canonical_rows([(1, "a"), (2, "b")]), canonical_rows([(2, "b"), (1, "a")])
    assert fingerprint(up)[0] == fingerprint(down)[0]
    assert fingerprint(up)[1] != fingerprint(down)[1]


def test_association_of_cells_in_a_row_counts() -> None:
    straight, crossed = [("a", "x"), ("b", "y")], [("a", "y"), ("b", "x")]
    assert fingerprint(canonical_rows(straight))[0] != fingerprint(canonical_rows(crossed))[0]


def test_decimals_keep_digits_that_a_float_would_lose() -> None:
    assert canonical_cell(Decimal("12345678901234567890.120")) == ("d", "12345678901234567890.12")
    assert canonical_cell(Decimal("99999.5")) == 99999.5
    assert fingerprint([(("d", "1234567.25"),)]) == fingerprint([(1234567.25,)])


def test_times_at_the_ends_of_the_calendar_have_a_form() -> None:
    late = dt.datetime.max.replace(tzinfo=dt.timezone(dt.timedelta(hours=-5)))
    assert canonical_cell(late) == ("t", "9999-12-31T23:59:59.999999")


@pytest.mark.parametrize("width", [5, 8, 20])
def test_any_number_of_columns_with_equal_contents(width: int) -> None:
    rng = random.Random(width)
    columns = [rng.sample([0, 1] * 10, 20) for _ in range(width)]
    rows = list(zip(*columns, strict=True))
    moved = rng.sample(list(zip(*rng.sample(columns, width), strict=True)), 20)
    assert fingerprint(moved)[0] == fingerprint(rows)[0]
    other = list(zip(*(rng.sample([0, 1] * 10, 20) for _ in range(width)), strict=True))
    assert fingerprint(other)[0] != fingerprint(rows)[0]


def test_tables_that_differ_by_no_column_and_no_row() -> None:
    ring = [tuple(int((j - i) % 4 in (0, 1)) for j in range(4)) for i in range(4)]
    two = [(1, 1, 0, 0), (1, 1, 0, 0), (0, 0, 1, 1), (0, 0, 1, 1)]
    two_apart = [(1, 1, 0, 0), (0, 0, 1, 1), (0, 0, 1, 1), (1, 1, 0, 0)]
    assert fingerprint(two)[0] == fingerprint(two_apart)[0] != fingerprint(ring)[0]
    six = [tuple(int((j - i) % 6 in (0, 1)) for j in range(6)) for i in range(6)]
    threes = [tuple(int(i // 3 == j // 3 and (j - i) % 3 in (0, 1)) for j in range(6)) for i in range(6)]
    assert fingerprint(six)[0] != fingerprint(threes)[0]  # alike to colour refinement alone
