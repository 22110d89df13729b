"""The comparison with gold against brute force: small tables, every order of the columns and rows."""

from __future__ import annotations

import datetime as dt
import itertools
import random
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from tao.sql.result import Row, canonical_rows, fingerprint, quantise
from tao_bench.sql.compare import EQUAL, Match, RowOrder, compare, same_cell
from tao_bench.sql.pairing import ACROSS_ENGINES, EXACT, SAME_ENGINE, Rule

Raw = list[tuple[Any, ...]]


def pairs_off(gold: Sequence[Row], found: Sequence[Row], rule: Rule) -> bool:
    """Whether some order of the found rows equals the gold, cell by cell."""
    return any(
        all(
            same_cell(a, b, rule)
            for left, right in zip(gold, rows, strict=True)
            for a, b in zip(left, right, strict=True)
        )
        for rows in itertools.permutations(found)
    )


def oracle(
    gold: Sequence[Row], found: Sequence[Row], ties: Sequence[int] | None = None, rule: Rule = SAME_ENGINE
) -> bool:
    """Equal under some order of the columns, tie group by tie group. Shares nothing with `compare` but cells."""
    if len(gold) != len(found):
        return False
    if not gold:
        return True
    if len(gold[0]) != len(found[0]):
        return False
    ends = list(itertools.accumulate(ties if ties is not None else [len(gold)]))
    for order in itertools.permutations(range(len(gold[0]))):
        moved = [tuple(row[column] for column in order) for row in found]
        if all(pairs_off(gold[a:b], moved[a:b], rule) for a, b in zip([0, *ends], ends, strict=False)):
            return True
    return False


def judge(
    gold: Sequence[Row], found: Sequence[Row], ties: Sequence[int] | None = None, rule: Rule = SAME_ENGINE
) -> Match:
    width = len(gold[0]) if gold else 1
    return compare(gold, found, (width, len(found[0]) if found else width), ties, rule)


# Few values, so that twins, ties and near misses are common: steps of 7e-7 make equality intransitive.
FEW = st.sampled_from([0, 1, None, "a", "1", 1.0000007, 1.0000014, 1.0000021])
BITS = st.sampled_from([0, 1])
STEPS = st.integers(0, 6).map(lambda step: 1 + step * 7e-7)
HUGE = st.sampled_from(
    [2**53, 2**53 + 1, float(2**53), Decimal(2**53 + 1), 10**17, 1e17, Decimal("1234567.25"), 1234567.25]
)


@st.composite
def pairs(draw: st.DrawFn, cells: Any, most: int = 4) -> tuple[list[Row], list[Row], list[int]]:
    """Two tables of one size, and tie groups for their rows. The second is drawn anew, or made from the first."""
    width, height = draw(st.integers(1, most)), draw(st.integers(1, most))
    table = st.lists(st.tuples(*[cells] * width), min_size=height, max_size=height)
    gold = draw(table)
    found = draw(table)
    if draw(st.booleans()):
        found = [list(row) for row in gold]
        for _ in range(draw(st.integers(0, 2))):
            found[draw(st.integers(0, height - 1))][draw(st.integers(0, width - 1))] = draw(cells)
        order = draw(st.permutations(range(width)))
        found = [tuple(row[column] for column in order) for row in draw(st.permutations(found))]
    ties = []
    while sum(ties) < height:
        ties.append(draw(st.integers(1, height - sum(ties))))
    return canonical_rows(gold), canonical_rows(found), ties


@settings(max_examples=400, deadline=None)
@given(st.one_of(pairs(FEW), pairs(BITS), pairs(STEPS, 3), pairs(HUGE, 3)), st.booleans())
def test_same_as_brute_force(tables: tuple[list[Row], list[Row], list[int]], ordered: bool) -> None:
    gold, found, groups = tables
    ties = groups if ordered else None
    match = judge(gold, found, ties)
    event(match.value)
    assert (match in EQUAL) is oracle(gold, found, ties)
    assert match is not Match.UNDECIDED
    assert (match is Match.ORDER) is (not oracle(gold, found, ties) and oracle(gold, found))


@settings(max_examples=200, deadline=None)
@given(pairs(FEW, 3), st.data())
def test_rows_that_a_limit_cut_off_are_as_good(
    tables: tuple[list[Row], list[Row], list[int]], data: st.DataObject
) -> None:
    whole, other, ties = tables
    keep = data.draw(st.integers(1, len(whole)))
    ends = list(itertools.accumulate(ties))
    last = next(number for number, end in enumerate(ends) if end >= keep)
    kept = [*ties[:last], keep - (ends[last - 1] if last else 0)]
    order = RowOrder(tuple(kept), after=tuple(whole[keep : ends[last]]))
    found = other[:keep]
    # By definition: equal to what the gold returns for some order of its tied rows.
    group = range(ends[last] - ties[last], ends[last])
    runs = [[*whole[: group.start], *(whole[n] for n in chosen)] for chosen in itertools.permutations(group, kept[-1])]
    match = compare(whole[:keep], found, (len(whole[0]),) * 2, order)
    assert (match in EQUAL) is any(oracle(run, found, kept) for run in runs)


@settings(max_examples=300, deadline=None)
@given(st.one_of(pairs(BITS), pairs(st.sampled_from([0, 1, 2**60, 2**60 + 1, None, "a", "1", "", 0.5]))))
def test_results_share_a_fingerprint_if_and_only_if_they_are_equal(
    tables: tuple[list[Row], list[Row], list[int]],
) -> None:
    gold, found, _ = tables
    same, in_order = (left == right for left, right in zip(fingerprint(gold), fingerprint(found), strict=True))
    assert same is (judge(gold, found, None, EXACT) in EQUAL)
    assert in_order is (judge(gold, found, [1] * len(gold), EXACT) in EQUAL)


# -- perturbations of larger tables ---------------------------------------------------------------------------------

NUMBERS = (
    st.integers(-50, 50) | st.integers(2**53, 2**70) | st.floats(-1e6, 1e6).filter(lambda x: x == 0 or abs(x) > 1e-3)
)
DECIMALS = st.decimals(-(10**20), 10**20, places=2, allow_nan=False)
WORDS = st.sampled_from(["", "a", "A", "1", "0.5", "ünï", "NULL"])
DATES = st.dates(dt.date(1990, 1, 1), dt.date(2030, 1, 1))
TIMES = st.datetimes(dt.datetime(1990, 1, 1), dt.datetime(2030, 1, 1))
COLUMNS = [NUMBERS, DECIMALS, WORDS, DATES, TIMES, st.integers(0, 2)]


@st.composite
def raw_tables(draw: st.DrawFn) -> Raw:
    """One type a column with NULLs among it, as an engine returns them; duplicates and ties are common."""
    cells = [draw(st.sampled_from(COLUMNS)) | st.none() for _ in range(draw(st.integers(1, 4)))]
    rows = draw(st.lists(st.tuples(*cells), min_size=1, max_size=5))
    return rows + [rows[0]] * draw(st.integers(0, 1))


def keyed(raw: Raw, column: int) -> tuple[Raw, list[int]]:
    """Rows sorted by one column, and the sizes of its ties."""
    rows = sorted(raw, key=lambda row: (row[column] is not None, row[column] if row[column] is not None else 0))
    return rows, [
        len(list(group)) for _, group in itertools.groupby(rows, key=lambda row: canonical_rows([row])[0][column])
    ]


def is_number(cell: Any) -> bool:
    return isinstance(cell, int | float | Decimal) and not isinstance(cell, bool)


def each(raw: Raw, change: Any) -> Raw:
    return [tuple(change(cell) for cell in row) for row in raw]


EQUIVALENT = {
    "float_of_int": lambda raw: each(raw, lambda c: float(c) if isinstance(c, int) and int(float(c)) == c else c),
    "decimal_of_int": lambda raw: each(raw, lambda c: Decimal(c) if isinstance(c, int) else c),
    "float_noise": lambda raw: each(raw, lambda c: c * (1 + 1e-12) if isinstance(c, float) and c % 1 else c),
    "midnight": lambda raw: each(raw, lambda c: dt.datetime(c.year, c.month, c.day) if type(c) is dt.date else c),
    "utc": lambda raw: each(raw, lambda c: c.replace(tzinfo=dt.UTC) if isinstance(c, dt.datetime) else c),
    "null_is_nan": lambda raw: each(raw, lambda c: float("nan") if c is None else c),
    "decimal_is_null": lambda raw: each(raw, lambda c: Decimal("NaN") if c is None else c),
}


@settings(max_examples=300, deadline=None)
@given(raw_tables(), st.sampled_from(sorted(EQUIVALENT)), st.data())
def test_equivalent_results_are_accepted(raw: Raw, name: str, data: st.DataObject) -> None:
    changed = EQUIVALENT[name](raw)
    order = data.draw(st.permutations(range(len(raw[0]))))
    moved = [tuple(row[column] for column in order) for row in data.draw(st.permutations(changed))]
    assert judge(canonical_rows(raw), canonical_rows(moved)) in EQUAL
    # Under ORDER BY, ties may stand in any order.
    column = data.draw(st.integers(0, len(raw[0]) - 1))
    gold, ties = keyed(raw, column)
    found: Raw = []
    for size in ties:
        found += data.draw(st.permutations(gold[len(found) : len(found) + size]))
    found = [tuple(row[place] for place in order) for row in EQUIVALENT[name](found)]
    assert judge(canonical_rows(gold), canonical_rows(found), ties) in EQUAL


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(-1e5, 1e5)), min_size=1, max_size=6))
def test_averages_at_six_digits_are_equal_across_engines_only(raw: Raw) -> None:
    rounded = [(name, Decimal(str(round(value, 6)))) for name, value in raw]
    assert judge(canonical_rows(raw), canonical_rows(rounded), None, ACROSS_ENGINES) in EQUAL
    coarse = [(name, round(value, 2)) for name, value in raw]
    assume(any(abs(a[1] - b[1]) > 2e-3 for a, b in zip(raw, coarse, strict=True)))
    assert judge(canonical_rows(raw), canonical_rows(coarse)) not in EQUAL


def put(raw: Raw, row: int, column: int, value: Any) -> Raw:
    cells = [list(cells) for cells in raw]
    cells[row][column] = value
    return [tuple(row) for row in cells]


def off(cell: Any, rng: random.Random) -> Any:
    if isinstance(cell, float):
        return cell + rng.choice([1, -1]) if abs(cell) < 1e5 or rng.random() < 0.5 else cell * 1.01
    return cell + rng.choice([1, -1])


def wrong(raw: Raw, name: str, rng: random.Random) -> Raw | None:
    """The perturbed result, None where it does not apply."""
    height, width = len(raw), len(raw[0])
    row, column = rng.randrange(height), rng.randrange(width)
    cell = raw[row][column]
    if name == "empty":
        return []
    if name == "row_duplicated":
        return [*raw, raw[row]]
    if name == "all_twice":
        return raw * 2
    if name == "reversed":
        return raw[::-1]
    if name == "column_rotated":
        turned = [raw[(n + 1) % height][column] for n in range(height)]
        return [(*cells[:column], new, *cells[column + 1 :]) for cells, new in zip(raw, turned, strict=True)]
    if name == "extra_column":
        return [(*cells, cells[column]) for cells in raw]
    if name == "missing_column":
        return [cells[:column] + cells[column + 1 :] for cells in raw] if width > 1 else None
    if name == "numbers_as_strings":
        return each(raw, lambda c: str(c) if is_number(c) else c)
    if name == "number_off":
        return put(raw, row, column, off(cell, rng)) if is_number(cell) else None
    if name == "ratio_off":
        return put(raw, row, column, cell + 0.005) if isinstance(cell, float) else None
    if name == "row_replaced":
        return [*raw[:row], rng.choice(raw), *raw[row + 1 :]]
    if name == "cells_swapped":
        other = rng.randrange(height)
        return put(put(raw, row, column, raw[other][column]), other, column, cell)
    if name == "null_is_zero":
        return each(raw, lambda c: 0 if c is None else c)
    assert name == "null_is_text"
    return each(raw, lambda c: "" if c is None else c)


WRONG = (
    "empty row_duplicated all_twice reversed column_rotated extra_column missing_column numbers_as_strings number_off "
    "ratio_off row_replaced cells_swapped null_is_zero null_is_text".split()
)


@settings(max_examples=600, deadline=None)
@given(raw_tables(), st.sampled_from(WRONG), st.randoms(use_true_random=False))
def test_wrong_results_are_refused_unless_they_are_equal_after_all(raw: Raw, name: str, rng: random.Random) -> None:
    ties: list[int] | None = None
    if name == "reversed":
        raw, ties = keyed(raw, 0)
    changed = wrong(raw, name, rng)
    assume(changed is not None)
    assert changed is not None
    gold, found = canonical_rows(raw), canonical_rows(changed)
    match = judge(gold, found, ties)
    in_truth = oracle(gold, found, ties, EXACT)  # no tolerance: what merely looks equal is still wrong
    event(f"{name}: {'equal after all' if in_truth else match.value}")
    assert (match in EQUAL) is in_truth


def test_quantised_cells_that_compare_equal_differ_only_at_a_rounding_edge() -> None:
    rng = random.Random(0)
    split = 0
    for _ in range(20_000):
        value = rng.uniform(-1e4, 1e4)
        noisy = value * (1 + rng.uniform(-1e-15, 1e-15))
        assert same_cell(value, noisy)
        split += quantise(value) != quantise(noisy)
    assert split <= 2
