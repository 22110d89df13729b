"""Does a query result equal the gold result? A verdict with a reason, never a bare bool.

Rows are a multiset (duplicates count) and keep their cells together; columns may stand in any
order; numbers compare with a tolerance that is far below what rounding hides; row order counts only
where the gold asks for one, and there not among rows that tie. Where a gold cuts a tie with LIMIT, any
of the tied rows will do. `tests/test_sql_compare_oracle.py` holds these rules against brute force.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tao.sql.colours import refine
from tao.sql.result import Cell, Row
from tao_bench.sql.pairing import (
    SAME_ENGINE,
    Budget,
    Flat,
    Number,
    Rounding,
    Rule,
    Tolerance,
    Undecided,
    flat_rows_cover,
    flatten,
    is_linked,
    sorted_cover,
)

WORK = 10_000_000
"""Cells looked at before a comparison is given up as undecided."""
MAX_ASSIGNMENTS = 2_000
"""Orders of columns, begun or complete, that are tried on rows."""
_ROUNDING_WORK = 400_000  # it only names the reason of a wrong answer


class Match(StrEnum):
    """How two results compare."""

    EQUAL = "equal"
    EQUAL_PERMUTED = "equal_permuted"  # with the columns in another order
    EQUAL_EMPTY = "equal_empty"  # neither has rows: equal, but the item tests nothing
    ROW_COUNT = "row_count"
    EXTRA_COLUMNS = "extra_columns"
    MISSING_COLUMNS = "missing_columns"
    EQUAL_AFTER_ROUNDING = "equal_after_rounding"  # wrong: numbers are rounded where the gold's are not, or inversely
    VALUES = "values"
    ORDER = "order"  # the right rows in the wrong order
    UNDECIDED = "undecided"  # it would take too long, or the gold does not say


EQUAL = frozenset((Match.EQUAL, Match.EQUAL_PERMUTED, Match.EQUAL_EMPTY))


@dataclass(frozen=True, slots=True)
class RowOrder:
    """How far a gold fixes which rows it returns, and in what order.

    Attributes:
        ties: None where order does not count; else the sizes of the groups of gold rows with equal sort
            keys, in order. Rows of a group may stand in any order.
        known: False where the sort keys cannot be had, so that `ties` may be too fine.
        before: Rows that tie with the first group and that OFFSET cut off: as good as those returned.
        after: Rows that tie with the last group and that LIMIT cut off.
        is_open: The last group has more such rows than could be fetched.
    """

    ties: tuple[int, ...] | None = None
    known: bool = True
    before: tuple[Row, ...] = ()
    after: tuple[Row, ...] = ()
    is_open: bool = False

    @property
    def cuts_tie(self) -> bool:
        """Whether another run of the gold may return other rows."""
        return bool(self.before or self.after or self.is_open)


ANY_ORDER = RowOrder()


def same_cell(a: Cell, b: Cell, rule: Rule = SAME_ENGINE) -> bool:
    """Whether two canonical cells are equal; whole numbers exactly, other numbers within tolerance."""
    (shape, numbers), (other_shape, others) = flatten(a), flatten(b)
    return bool(shape == other_shape) and all(map(rule.near, numbers, others))


FlatRow = list[Flat]


@dataclass(frozen=True, slots=True)
class _Segment:
    """Found rows from `start` to `stop` that must come from these gold rows, each from another."""

    start: int
    stop: int
    gold: list[FlatRow] | None  # None: any rows will do

    @property
    def size(self) -> int:
        return self.stop - self.start


def compare(
    gold: Sequence[Row],
    found: Sequence[Row],
    widths: tuple[int, int],
    order: RowOrder | Sequence[int] | None = None,
    rule: Rule = SAME_ENGINE,
) -> Match:
    """Compare a result with the gold's on one database.

    Args:
        gold: Canonical rows of the gold.
        found: Canonical rows of the prediction.
        widths: Number of columns of the gold and of the prediction (known even where there are no rows).
        order: What the gold says about order. A sequence stands for its `RowOrder.ties`, None for any order.
        rule: When two numbers are equal: `SAME_ENGINE`, or `ACROSS_ENGINES` where two engines answered.
    """
    if len(gold) != len(found):
        return Match.ROW_COUNT
    if widths[0] != widths[1]:
        return Match.EXTRA_COLUMNS if widths[1] > widths[0] else Match.MISSING_COLUMNS
    if not gold:
        return Match.EQUAL_EMPTY
    if not isinstance(order, RowOrder):
        order = RowOrder(None if order is None else tuple(order))
    gold, found = list(gold), list(found)
    if _is_same(gold, found, order):
        return Match.EQUAL
    problem = _Problem(_flat(gold), _flat(found), _flat(order.before), _flat(order.after), order)
    try:
        result = _decide(problem, rule, Budget(WORK))
    except Undecided:
        return Match.UNDECIDED
    is_soft = result is Match.VALUES and isinstance(rule, Tolerance) and _is_rounded(problem)
    return Match.EQUAL_AFTER_ROUNDING if is_soft else result


def _is_same(gold: Sequence[Row], found: Sequence[Row], order: RowOrder) -> bool:
    """The common case, without tolerance: the same rows in an order that ties allow."""
    start = 0
    for size in order.ties if order.ties is not None else (len(gold),):
        stop = start + size
        if gold[start:stop] != found[start:stop] and Counter(gold[start:stop]) != Counter(found[start:stop]):
            return False
        start = stop
    return True


@dataclass(frozen=True, slots=True)
class _Problem:
    """What `compare` was asked, cell by cell as `flatten` gives them."""

    gold: list[FlatRow]
    found: list[FlatRow]
    before: list[FlatRow]
    after: list[FlatRow]
    order: RowOrder

    def segments(self, open_ended: bool = False) -> list[_Segment]:
        """One for each group of ties; with `open_ended` the last may hold any rows."""
        sizes = self.order.ties if self.order.ties is not None else (len(self.gold),)
        segments = []
        start = 0
        for number, size in enumerate(sizes):
            rows = self.gold[start : start + size]
            if number == 0:
                rows = self.before + rows
            if number == len(sizes) - 1:
                rows = rows + self.after
                if open_ended:
                    segments.append(_Segment(start, start + size, None))
                    break
            segments.append(_Segment(start, start + size, rows))
            start += size
        return segments


def _flat(rows: Sequence[Row]) -> list[FlatRow]:
    return [[flatten(cell) for cell in row] for row in rows]


def _decide(problem: _Problem, rule: Rule, budget: Budget) -> Match:
    order = problem.order
    result = _match(problem.segments(), problem.found, rule, budget)
    if result in EQUAL:
        return result
    if order.is_open and _match(problem.segments(open_ended=True), problem.found, rule, budget) in EQUAL:
        return Match.UNDECIDED
    if order.ties is not None and len(order.ties) > 1:
        whole = _Segment(0, len(problem.found), problem.before + problem.gold + problem.after)
        if _match([whole], problem.found, rule, budget) in EQUAL:
            return Match.ORDER if order.known else Match.UNDECIDED
    return result


def _is_rounded(problem: _Problem) -> bool:
    try:
        return _match(problem.segments(), problem.found, Rounding(), Budget(_ROUNDING_WORK)) in EQUAL
    except Undecided:
        return False


def _match(segments: Sequence[_Segment], found: list[FlatRow], rule: Rule, budget: Budget) -> Match:
    """Equal, equal with the columns in another order, or neither.

    Raises:
        Undecided: The budget does not suffice.
    """
    table = _Table(segments, found, rule, budget)
    width = len(found[0])
    given = list(range(width))
    if table.fits(given, given):
        return Match.EQUAL
    if width > 1 and next(_fitting_orders(table, width), None) is not None:
        return Match.EQUAL_PERMUTED
    return Match.VALUES


@dataclass(frozen=True, slots=True)
class _Table:
    """Found rows and the segments they fall into."""

    segments: Sequence[_Segment]
    found: list[FlatRow]
    rule: Rule
    budget: Budget

    def fits(self, gold_columns: Sequence[int], found_columns: Sequence[int]) -> bool:
        """Whether the rows pair off on these columns of the gold and of the result, in turn.

        Raises:
            Undecided: The budget does not suffice.
        """
        for segment in self.segments:
            if segment.gold is None:
                continue
            left = [_project(row, found_columns) for row in self.found[segment.start : segment.stop]]
            right = [_project(row, gold_columns) for row in segment.gold]
            self.budget.spend((len(left) + len(right)) * len(gold_columns))
            if not flat_rows_cover(left, right, self.rule, self.budget):
                return False
        return True

    def judged_rows(self) -> list[FlatRow]:
        """Found rows of the segments that not any rows will do for."""
        return [
            row
            for segment in self.segments
            if segment.gold is not None
            for row in self.found[segment.start : segment.stop]
        ]


def _project(row: FlatRow, columns: Sequence[int]) -> Flat:
    cells = [row[column] for column in columns]
    return tuple([shape for shape, _ in cells]), tuple([number for _, numbers in cells for number in numbers])


def _fitting_orders(table: _Table, width: int) -> Iterator[list[int]]:
    """One-to-one choices of a found column for each gold column under which rows pair off.

    The gold column with the fewest candidates is placed first; every choice is tested on the rows so far,
    so that a wrong one is dropped before the rest is tried. Equal found columns are not told apart.

    Raises:
        Undecided: Too many choices, or too much work.
    """
    candidates = _candidates(table, width)
    if not all(candidates):
        return
    if any(len(options) > 1 for options in candidates):
        candidates = _same_colours(table, candidates)
    twin: dict[tuple[Flat, ...], int] = {}
    kind = [twin.setdefault(column, number) for number, column in enumerate(zip(*table.found, strict=True))]
    order = sorted(range(width), key=lambda column: len(candidates[column]))
    forced = all(len({kind[column] for column in options}) == 1 for options in candidates)
    chosen: list[int] = []
    tried = 0

    def extend() -> Iterator[list[int]]:
        nonlocal tried
        if len(chosen) == width:
            yield list(chosen)
            return
        used = set()
        for column in candidates[order[len(chosen)]]:
            if column in chosen or kind[column] in used:
                continue
            used.add(kind[column])
            chosen.append(column)
            if forced and len(chosen) < width:
                yield from extend()
            else:
                tried += 1
                if tried > MAX_ASSIGNMENTS:
                    raise Undecided
                if table.fits(order[: len(chosen)], chosen):
                    yield from extend()
            chosen.pop()

    yield from extend()


def _candidates(table: _Table, width: int) -> list[list[int]]:
    """Found columns that may be each gold column, judged by their contents alone."""
    gold_rows = [row for segment in table.segments for row in segment.gold or ()]
    found_rows = table.judged_rows()
    table.budget.spend((len(gold_rows) + len(found_rows)) * width)
    gold = [_contents([row[column] for row in gold_rows]) for column in range(width)]
    found = [_contents([row[column] for row in found_rows]) for column in range(width)]
    return [
        [other for other in range(width) if _may_be(gold[column], found[other], table.rule)] for column in range(width)
    ]


_Contents = tuple[Counter[object], list[Number]]


def _contents(column: Sequence[Flat]) -> _Contents:
    return Counter([shape for shape, _ in column]), sorted([number for _, numbers in column for number in numbers])


def _may_be(gold: _Contents, found: _Contents, rule: Rule) -> bool:
    if gold[0] != found[0] and found[0] - gold[0]:
        return False
    return found[1] == gold[1] or sorted_cover(found[1], gold[1], rule)


def _same_colours(table: _Table, candidates: list[list[int]]) -> list[list[int]]:
    """Drop candidates that colour refinement tells from their gold column, where each gold row must be taken."""
    if any(segment.gold is None or segment.size != len(segment.gold) for segment in table.segments):
        return candidates
    width = len(candidates)
    gold_rows = [(number, row) for number, segment in enumerate(table.segments) for row in segment.gold or ()]
    found_rows = [
        (number, row)
        for number, segment in enumerate(table.segments)
        for row in table.found[segment.start : segment.stop]
    ]
    table.budget.spend(4 * (len(gold_rows) + len(found_rows)) * width)
    # Numbers that any chain of tolerances links are one cell here: what is told apart then, is apart.
    numbers = {n for _, row in gold_rows + found_rows for _, part in row for n in part}
    link: dict[Number, int] = {}
    last: Number | None = None
    for number in sorted(numbers):
        apart = last is None or not is_linked(last, number, table.rule)
        link[number] = len(link) if apart or last is None else link[last]
        last = number
    names: dict[object, int] = {}

    def coarse(row: FlatRow) -> tuple[int, ...]:
        return tuple([names.setdefault((shape, tuple([link[n] for n in part])), len(names)) for shape, part in row])

    tables = [Counter((group, coarse(row)) for group, row in rows) for rows in (gold_rows, found_rows)]
    gold_colours, found_colours = refine([[0] * width, [0] * width], tables)
    return [
        [other for other in options if found_colours[other] == gold_colours[column]]
        for column, options in enumerate(candidates)
    ]
