"""Pair rows off within a tolerance: does every found row have a gold row of its own?

Equality within a tolerance is not transitive, so neither hashing nor a greedy choice decides it. Three
steps, each exact, cheapest first: equal rows by counting; one numeric column in sorted order, where a
perfect pairing exists only if the sorted one is such; else a maximum flow between distinct rows inside
blocks that no tolerance bridges. Work is counted; where it runs out the answer is `Undecided`, never a guess.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from tao.sql.result import Cell

Number = int | float | Decimal
Numbers = tuple[Number, ...]
Flat = tuple[Any, Numbers]  # what must be equal exactly, and the numbers in it

_WHOLE_FLOATS = 2**53  # from here on every float is whole, so being whole says nothing


class Undecided(Exception):
    """The work allowed was spent before an answer was found."""


@dataclass(slots=True)
class Budget:
    """Work that is left, in cells looked at.

    Attributes:
        left: Falls as work is done.
    """

    left: int

    def spend(self, work: int) -> None:
        """Count work.

        Raises:
            Undecided: Nothing is left.
        """
        self.left -= work
        if self.left < 0:
            raise Undecided


class Rule(Protocol):
    """When two numbers count as the same."""

    def near(self, a: Number, b: Number) -> bool:
        """Whether they are the same."""
        ...

    def reach(self, size: float) -> float:
        """Most that two numbers of at most this absolute value may differ; grows slower than its argument."""
        ...

    def is_plain(self, numbers: Sequence[Number]) -> bool:
        """Whether `near` is nothing but `reach` on these numbers."""
        ...


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Numbers that differ by no more than binary rounding, or than an engine rounds.

    Two whole numbers must be equal exactly, at any size, and a float of 2**53 or more meets an integer
    only if their values are equal. Otherwise the difference may be at most the largest of three:
    `relative` times the larger absolute value (`relative_exact` where both are decimals or integers,
    which are exact); `absolute`, but no more than a thousandth of the number, or small ratios would
    all be equal; and `floor`, for what is left where terms cancel.

    Attributes:
        relative: Share of the larger number, where a float is involved.
        relative_exact: The same between decimals and integers.
        absolute: Absolute difference.
        share: Largest share of a number that `absolute` may amount to.
        floor: Absolute difference that is never seen.
    """

    relative: float
    relative_exact: float
    absolute: float
    share: float
    floor: float

    def near(self, a: Number, b: Number) -> bool:
        """Whether two numbers are the same."""
        if a == b:
            return True
        if isinstance(a, int) and isinstance(b, int):
            return False
        if not (isinstance(a, float) or isinstance(b, float)):
            size = max(abs(_float(a)), abs(_float(b)))
            return abs(Decimal(a) - Decimal(b)) <= Decimal(max(self.relative_exact * size, self._fixed(size)))
        x, y = _float(a), _float(b)
        if math.isinf(x) or math.isinf(y):
            return False
        if (isinstance(a, int) and abs(y) >= _WHOLE_FLOATS) or (isinstance(b, int) and abs(x) >= _WHOLE_FLOATS):
            return False
        return abs(x - y) <= self.reach(max(abs(x), abs(y)))

    def reach(self, size: float) -> float:
        """Most that two numbers of at most this absolute value may differ."""
        return max(self.relative * size, self.relative_exact * size, self._fixed(size))

    def _fixed(self, size: float) -> float:
        return max(min(self.absolute, self.share * size), self.floor)

    def is_plain(self, numbers: Sequence[Number]) -> bool:
        """No decimals, and no integers so large that the tolerance bridges two."""
        if all(type(number) is float for number in numbers):
            return True
        if any(isinstance(number, Decimal) for number in numbers):
            return False
        return self.reach(max(abs(_float(number)) for number in numbers)) < 1


# Measured: engines that sum in another order stay within 1e-12; a cent in a thousand million is 1e-11.
SAME_ENGINE = Tolerance(relative=1e-11, relative_exact=0.0, absolute=1e-6, share=1e-3, floor=1e-9)
# Spark rounds averages and quotients of DECIMAL at six digits; DuckDB answers with a DOUBLE.
ACROSS_ENGINES = Tolerance(relative=1e-6, relative_exact=1e-6, absolute=1e-6, share=math.inf, floor=1e-9)


@dataclass(frozen=True, slots=True)
class Exact:
    """Numbers of one value, whatever their type."""

    def near(self, a: Number, b: Number) -> bool:
        """Whether they are equal."""
        return a == b

    def reach(self, size: float) -> float:
        """Nothing."""
        return 0.0

    def is_plain(self, numbers: Sequence[Number]) -> bool:
        """Not where floats are too coarse to hold the difference."""
        return all(abs(_float(number)) < _WHOLE_FLOATS for number in numbers)


EXACT = Exact()


@dataclass(frozen=True, slots=True)
class Rounding:
    """Numbers of which one is the other, rounded to the decimals that it shows."""

    def near(self, a: Number, b: Number) -> bool:
        """Whether the number with fewer decimals is the other, rounded."""
        if SAME_ENGINE.near(a, b):
            return True
        x, y = _float(a), _float(b)
        if math.isinf(x) or math.isinf(y) or (isinstance(a, int) and isinstance(b, int)):
            return False
        if max(abs(x), abs(y)) >= _WHOLE_FLOATS:
            return x == y
        shown = (_decimals(a), _decimals(b))
        return shown[0] != shown[1] and abs(x - y) <= 0.5 * 10.0 ** -min(shown) * (1 + 1e-9)

    def reach(self, size: float) -> float:
        """Half a unit, or what binary rounding explains."""
        return max(0.5 * (1 + 1e-9), SAME_ENGINE.reach(size))

    def is_plain(self, numbers: Sequence[Number]) -> bool:
        """Never: it depends on digits, not on distance alone."""
        return False


def _float(number: Number) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def _decimals(number: Number) -> int:
    if isinstance(number, int):
        return 0
    exponent = Decimal(repr(number) if isinstance(number, float) else number).normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def flatten(cell: Cell) -> Flat:
    """A canonical cell as what must be equal exactly, and the numbers in it."""
    kind = type(cell)
    if kind is int or kind is float:
        return "#", (cell,)
    if kind is not tuple:
        return ("=", cell), ()
    numbers: list[Number] = []

    def shape(part: Cell) -> Any:
        if isinstance(part, int | float):
            numbers.append(part)
            return "#"
        if isinstance(part, tuple) and part:
            if part[0] == "d":
                numbers.append(Decimal(part[1]))
                return "#"
            if part[0] in ("l", "m"):
                return (part[0], *map(shape, part[1:]))
        return ("=", part)

    found = shape(cell)
    return found, tuple(numbers)


def flat_rows_cover(found: Sequence[Flat], gold: Sequence[Flat], rule: Rule, budget: Budget) -> bool:
    """Whether the found rows can be paired with gold rows, each with another; gold rows may be left over.

    Raises:
        Undecided: The budget does not suffice.
    """
    if len(found) == 1 and len(gold) == 1:
        budget.spend(1)
        return found[0][0] == gold[0][0] and all(map(rule.near, found[0][1], gold[0][1]))
    budget.spend(len(found) + len(gold))
    buckets: dict[Any, tuple[list[Numbers], list[Numbers]]] = defaultdict(lambda: ([], []))
    for side, rows in enumerate((found, gold)):
        for shape, numbers in rows:
            buckets[shape][side].append(numbers)
    return all(_cover(left, right, rule, budget) for left, right in buckets.values())


def _cover(found: list[Numbers], gold: list[Numbers], rule: Rule, budget: Budget) -> bool:
    if len(found) > len(gold):
        return False
    if not found or not found[0] or not Counter(found) - Counter(gold):
        return True
    width = len(found[0])
    budget.spend((len(found) + len(gold)) * width)
    found, gold = sorted(found), sorted(gold)
    if width == 1 and rule.is_plain([row[0] for rows in (found, gold) for row in rows]):
        return sorted_cover([row[0] for row in found], [row[0] for row in gold], rule)
    if len(found) == len(gold) and all(all(map(rule.near, a, b)) for a, b in zip(found, gold, strict=True)):
        return True
    blocks = _blocks(found, gold, rule, budget)
    if any(len(left) > len(right) for left, right in blocks):
        return False
    return all(_flow(left, right, rule, budget) for left, right in blocks if left)


def is_linked(low: Number, high: Number, rule: Rule) -> bool:
    """Whether two numbers are close enough that `near` might pair them, or numbers on either side of them."""
    x, y = _float(low), _float(high)
    return x == y or abs(x - y) <= rule.reach(max(abs(x), abs(y)))


def sorted_cover(found: Sequence[Number], gold: Sequence[Number], rule: Rule) -> bool:
    """The same for sorted numbers, by distance alone: never False where `near` would pair them.

    Both ends of what a number reaches grow with it, so the lowest free partner is never a wrong choice.
    """
    place = 0
    for number in found:
        while place < len(gold):
            place += 1
            if number == gold[place - 1] or is_linked(number, gold[place - 1], rule):
                break
            if gold[place - 1] > number:
                return False
        else:
            return False
    return True


def _blocks(
    found: list[Numbers], gold: list[Numbers], rule: Rule, budget: Budget
) -> list[tuple[list[Numbers], list[Numbers]]]:
    """Cut both sides wherever, in some column, a gap is wider than the tolerance."""
    done: list[tuple[list[Numbers], list[Numbers]]] = []
    pending = [(found, gold, 0, 0)]  # column to look at next, columns looked at since the last cut
    width = len(found[0])
    while pending:
        left, right, column, idle = pending.pop()
        if idle == width or not left:
            done.append((left, right))
            continue
        budget.spend(len(left) + len(right))
        marked = sorted(
            [(row[column], 0, row) for row in left] + [(row[column], 1, row) for row in right], key=lambda m: m[0]
        )
        parts: list[tuple[list[Numbers], list[Numbers]]] = [([], [])]
        last = marked[0][0]
        for number, side, row in marked:
            if not is_linked(last, number, rule):
                parts.append(([], []))
            parts[-1][side].append(row)
            last = number
        idle = idle + 1 if len(parts) == 1 else 1
        pending.extend((a, b, (column + 1) % width, idle) for a, b in parts)
    return done


def _flow(found: list[Numbers], gold: list[Numbers], rule: Rule, budget: Budget) -> bool:
    """Whether a flow from distinct found rows to distinct gold rows near them carries every found row."""
    supply, room = Counter(found), Counter(gold)
    budget.spend(len(supply) * len(room))
    partners = {row: [other for other in room if all(map(rule.near, row, other))] for row in supply}
    carried: dict[Numbers, Counter[Numbers]] = {other: Counter() for other in room}  # by gold row, then found row
    for row, wanted in supply.items():
        left = wanted
        while left:
            path = _free_path(row, partners, carried, room, budget)
            if path is None:
                return False
            amount = min([left, room[path[-1]], *(carried[path[n]][path[n + 1]] for n in range(1, len(path) - 1, 2))])
            for n in range(0, len(path), 2):
                carried[path[n + 1]][path[n]] += amount
                if n:
                    carried[path[n - 1]][path[n]] -= amount
            room[path[-1]] -= amount
            left -= amount
    return True


def _free_path(
    start: Numbers,
    partners: dict[Numbers, list[Numbers]],
    carried: dict[Numbers, Counter[Numbers]],
    room: Counter[Numbers],
    budget: Budget,
) -> list[Numbers] | None:
    """Shortest alternating path (found, gold, found, ..., gold) from a found row to a gold row with room."""
    came_from: dict[Numbers, Numbers] = {}  # gold row: the found row that led there
    led_by: dict[Numbers, Numbers | None] = {start: None}  # found row: the gold row that it would give up
    queue = deque([start])
    while queue:
        row = queue.popleft()
        budget.spend(1 + len(partners[row]))
        for other in partners[row]:
            if other in came_from:
                continue
            came_from[other] = row
            if room[other] > 0:
                path = [other]
                step: Numbers | None = other
                while step is not None:
                    path.append(came_from[step])
                    step = led_by[came_from[step]]
                    if step is not None:
                        path.append(step)
                return path[::-1]
            for holder, amount in carried[other].items():
                if amount > 0 and holder not in led_by:
                    led_by[holder] = other
                    queue.append(holder)
    return None
