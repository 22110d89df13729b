"""Report tables of the pretraining world: random lines and columns, answers as expressions over cited cells.

No line of a real statement occurs. The model learns to find the lines a question names, to
follow a formula given in words, and to cite cells as ``[Line 2021]``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tao_bench.reference import words
from tao_bench.reference.world_query import Exchange


@dataclass(frozen=True, slots=True)
class Report:
    """A small table: title line, column names, and rows of (name, numbers)."""

    title: str
    unit: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[int, ...]], ...]

    def lines(self) -> list[str]:
        """The rows as the prompt shows them: thousands separators, negatives in parentheses."""
        return [" | ".join((name, *(f"({-v:,})" if v < 0 else f"{v:,}" for v in values))) for name, values in self.rows]


def _line_name(rng: Random) -> str:
    head = rng.choice(words.MEASURES) if rng.random() < 0.35 else words.noun(rng)
    roll = rng.random()
    if roll < 0.25:
        name = head
    elif roll < 0.60:
        name = f"{words.adjective(rng)} {head}"
    elif roll < 0.80:
        name = f"{words.noun(rng)} {head}"
    else:
        link = rng.choice(("of", "and", "from", "in", "for", "before", "after", "to"))
        name = f"{head} {link} {words.plural(words.noun(rng))}"
    return name.capitalize()


def random_report(rng: Random) -> Report:
    """Four to nine rows, two or three years; some rows differ in one word only."""
    names: list[str] = []
    for _ in range(rng.randint(4, 9)):
        name = _line_name(rng)
        if names and rng.random() < 0.25:  # a near-duplicate distractor
            name = f"{words.adjective(rng)} {rng.choice(names)}".capitalize()
        if name not in names and len(name) < 34:
            names.append(name)
    latest, count = rng.randint(1995, 2026), rng.choices((2, 3), (70, 30))[0]
    years = [str(latest - i) for i in range(count)]
    if rng.random() < 0.2:
        years.reverse()
    scale = rng.choice((100, 1000, 10000, 10000))
    rows = tuple(
        (name, tuple(rng.randint(scale // 10, scale) * (-1 if rng.random() < 0.06 else 1) for _ in years))
        for name in names
    )
    owner = f"{words.invented(rng).capitalize()} {words.noun(rng)}"
    unit = rng.choice(("thousands", "millions", "tons", "units", "hours", "meters"))
    return Report(owner, unit, tuple(years), rows)


def _say(rng: Random, name: str) -> str:
    return name if rng.random() < 0.15 else name.lower()


def _cite(name: str, year: str) -> str:
    return f"[{name} {year}]"


_LOOK = (
    "what was {a} in {y}",
    "{a} in {y}",
    "how much was {a} in {y}",
    "give {a} for {y}",
    "what is the {y} {a}",
    "report {a} of {y}",
    "what does the table show for {a} in {y}",
    "tell me the {a} for the year {y}",
    "state the {a} at the end of {y}",
)


def lookup(rng: Random, r: Report) -> Exchange:
    """One cell."""
    (a, _), y = rng.choice(r.rows), rng.choice(r.columns)
    return Exchange(rng.choice(_LOOK).format(a=_say(rng, a), y=y), _cite(a, y), f"lines {a}; year {y}; value")


def change(rng: Random, r: Report) -> Exchange:
    """Difference of one line between two years."""
    a = rng.choice(r.rows)[0]
    new, old = sorted(rng.sample(r.columns, 2), reverse=True)
    ask = rng.choice(
        (
            "how much did {a} change from {o} to {n}",
            "change in {a} between {o} and {n}",
            "by how much did {a} grow from {o} to {n}",
            "what was the increase in {a} from {o} to {n}",
            "{n} {a} minus {o} {a}",
            "difference in {a}, {n} against {o}",
        )
    )
    return Exchange(
        ask.format(a=_say(rng, a), n=new, o=old),
        f"{_cite(a, new)} - {_cite(a, old)}",
        f"lines {a}; years {new}, {old}; difference",
    )


def growth(rng: Random, r: Report) -> Exchange:
    """Percentage change of one line."""
    a = rng.choice(r.rows)[0]
    new, old = sorted(rng.sample(r.columns, 2), reverse=True)
    ask = rng.choice(
        (
            "by what percent did {a} change from {o} to {n}",
            "percent change in {a} from {o} to {n}",
            "percentage growth of {a} between {o} and {n}",
            "what is the growth rate of {a} from {o} to {n}, in percent",
            "{n} growth of {a} over {o}, as a percent",
        )
    )
    one, two = _cite(a, new), _cite(a, old)
    return Exchange(
        ask.format(a=_say(rng, a), n=new, o=old),
        f"( {one} - {two} ) / {two} * 100",
        f"lines {a}; years {new}, {old}; percent change",
    )


def combine(rng: Random, r: Report) -> Exchange | None:
    """Sum or difference of two or three lines in a year."""
    if len(r.rows) < 4:
        return None
    (a, b, c), y = [name for name, _ in rng.sample(r.rows, 3)], rng.choice(r.columns)
    sa, sb, sc = (_say(rng, n) for n in (a, b, c))
    roll = rng.random()
    if roll < 0.35:
        ask = rng.choice(
            (
                "sum of {a} and {b} in {y}",
                "what were {a} and {b} together in {y}",
                "{a} plus {b} in {y}",
                "add {a} to {b} for {y}",
                "what is the total of {a} and {b} in {y}",
            )
        )
        answer = (
            f"{_cite(a, y)} + {_cite(b, y)}"
            if not ask.startswith("add") or rng.random() < 0.5
            else f"{_cite(b, y)} + {_cite(a, y)}"
        )
    elif roll < 0.75:
        ask = rng.choice(
            (
                "{a} minus {b} in {y}",
                "{a} less {b} in {y}",
                "by how much did {a} exceed {b} in {y}",
                "what remains of {a} after {b} in {y}",
                "difference between {a} and {b} in {y}",
                "what is {a} net of {b} for {y}",
            )
        )
        answer = f"{_cite(a, y)} - {_cite(b, y)}"
    else:
        ask = rng.choice(
            (
                "{a} plus {b} minus {c} in {y}",
                "{a} and {b} less {c} in {y}",
                "add {a} and {b} and take away {c}, for {y}",
            )
        )
        answer = f"{_cite(a, y)} + {_cite(b, y)} - {_cite(c, y)}"
    return Exchange(ask.format(a=sa, b=sb, c=sc, y=y), answer, f"lines {a}, {b}; year {y}; combine")


def ratio(rng: Random, r: Report) -> Exchange | None:
    """A over B, plain or in percent, sometimes under an invented name with its definition."""
    if len(r.rows) < 3:
        return None
    (a, b), y = [name for name, _ in rng.sample(r.rows, 2)], rng.choice(r.columns)
    percent = rng.random() < 0.5
    sa, sb = _say(rng, a), _say(rng, b)
    kinds = ("ratio", "rate", "share", "index", "margin", "score", "turnover", "coverage")
    name = f"{words.noun(rng)} {rng.choice(kinds)}"
    by = rng.choice(("divided by", "over", "relative to", "as a share of", "to"))
    unit = (
        rng.choice((", as a percent", ", in percent", " in percent"))
        if percent
        else rng.choice(("", "", ", as a ratio"))
    )
    roll = rng.random()
    if roll < 0.4:
        question = rng.choice(
            (
                "what is {a} {by} {b} in {y}{u}",
                "{a} {by} {b} for {y}{u}",
                "compute {a} {by} {b} in {y}{u}",
                "ratio of {a} to {b} in {y}{u}",
            )
        ).format(a=sa, b=sb, by=by, y=y, u=unit)
    elif roll < 0.55 and percent:
        question = rng.choice(
            (
                "what percent of {b} was {a} in {y}",
                "{a} as a percentage of {b} in {y}",
                "what percentage of {b} did {a} make up in {y}",
            )
        ).format(a=sa, b=sb, y=y)
    else:
        question = rng.choice(
            (
                "what is the {n} in {y}, defined as {a} divided by {b}{u}",
                "{n} for {y}{u}, where {n} is {a} over {b}",
                "the {n} equals {a} divided by {b}; what was it in {y}{u}",
                "what was the {y} {n} ({a} / {b}){u}",
            )
        ).format(n=name, a=sa, b=sb, y=y, u=unit)
    answer = f"{_cite(a, y)} / {_cite(b, y)}" + (" * 100" if percent else "")
    return Exchange(question, answer, f"lines {a}, {b}; year {y}; ratio{' in percent' if percent else ''}")


def compound_ratio(rng: Random, r: Report) -> Exchange | None:
    """(A ± B) over C."""
    if len(r.rows) < 4:
        return None
    (a, b, c), y = [name for name, _ in rng.sample(r.rows, 3)], rng.choice(r.columns)
    plus, percent = rng.random() < 0.5, rng.random() < 0.5
    name = f"{words.noun(rng)} {rng.choice(('ratio', 'rate', 'margin', 'index'))}"
    pair = f"{_say(rng, a)} {rng.choice(('plus', 'and')) if plus else rng.choice(('minus', 'less'))} {_say(rng, b)}"
    ask = rng.choice(
        (
            "what is {p} divided by {c} in {y}{u}",
            "{n} in {y}{u}, defined as {p}, divided by {c}",
            "the sum or difference {p}, over {c}, for {y}{u}",
            "what is the {n} for {y}{u}? it is {p} over {c}",
        )
    )
    unit = rng.choice((", in percent", ", as a percent")) if percent else ""
    answer = f"( {_cite(a, y)} {'+' if plus else '-'} {_cite(b, y)} ) / {_cite(c, y)}" + (" * 100" if percent else "")
    return Exchange(
        ask.format(p=pair, c=_say(rng, c), y=y, n=name, u=unit), answer, f"lines {a}, {b}, {c}; year {y}; ratio"
    )


def average(rng: Random, r: Report) -> Exchange:
    """Mean of a line over all years or two of them."""
    a = rng.choice(r.rows)[0]
    years = sorted(rng.sample(r.columns, rng.choice((2, len(r.columns)))), reverse=True)
    span = rng.choice(
        (f"over {years[-1]} to {years[0]}", f"of {' and '.join(sorted(years))}", f"across {years[-1]} and {years[0]}")
    )
    if len(years) > 2:
        span = rng.choice(
            (f"over {years[-1]} to {years[0]}", f"over the {len(years)} years", f"from {years[-1]} through {years[0]}")
        )
    ask = rng.choice(("average {a} {s}", "what was the mean {a} {s}", "mean of {a} {s}", "what is the average {a} {s}"))
    total = " + ".join(_cite(a, y) for y in years)
    return Exchange(
        ask.format(a=_say(rng, a), s=span), f"( {total} ) / {len(years)}", f"lines {a}; years {', '.join(years)}; mean"
    )


def over_average(rng: Random, r: Report) -> Exchange | None:
    """A of a year over the two-year mean of B, sometimes scaled."""
    if len(r.rows) < 3:
        return None
    a, b = (name for name, _ in rng.sample(r.rows, 2))
    new, old = r.columns[0], r.columns[1]
    new, old = max(new, old), min(new, old)
    factor = rng.choice(("", "", " * 100"))
    name = f"{words.noun(rng)} {rng.choice(('turnover', 'return', 'ratio', 'rate'))}"
    unit = rng.choice((", in percent", " as a percent")) if factor else ""
    ask = rng.choice(
        (
            "{n} for {y}{u}, defined as {a} divided by the average of {b} in {o} and {y}",
            "what is {a} in {y} over average {b} of {o} and {y}{u}",
            "{a} of {y} divided by mean {b} ({o} and {y}){u}",
            "what is the {y} {n}{u}: {a} over the mean of {b} at {o} and {y}",
        )
    )
    answer = f"{_cite(a, new)} / ( ( {_cite(b, new)} + {_cite(b, old)} ) / 2 ){factor}"
    return Exchange(
        ask.format(n=name, a=_say(rng, a), b=_say(rng, b), y=new, o=old, u=unit),
        answer,
        f"lines {a}, {b}; years {new}, {old}; ratio to mean",
    )


def ratio_change(rng: Random, r: Report) -> Exchange | None:
    """How a ratio moved between two years, plain or in points."""
    if len(r.rows) < 3:
        return None
    a, b = (name for name, _ in rng.sample(r.rows, 2))
    new, old = sorted(rng.sample(r.columns, 2), reverse=True)
    percent = rng.random() < 0.5
    name = f"{words.noun(rng)} {rng.choice(('ratio', 'rate', 'margin', 'share'))}"
    ask = rng.choice(
        (
            "how did {a} divided by {b} change from {o} to {n}{u}",
            "change in the {m} ({a} over {b}) from {o} to {n}{u}",
            "by how much did the {m}, {a} divided by {b}, move from {o} to {n}{u}",
        )
    )
    unit = rng.choice((", in percentage points", ", in points")) if percent else ""
    k = " * 100" if percent else ""
    answer = f"{_cite(a, new)} / {_cite(b, new)}{k} - {_cite(a, old)} / {_cite(b, old)}{k}"
    return Exchange(
        ask.format(a=_say(rng, a), b=_say(rng, b), n=new, o=old, m=name, u=unit),
        answer,
        f"lines {a}, {b}; years {new}, {old}; change of ratio",
    )


def grand_total(rng: Random, r: Report) -> Exchange:
    """The sum of every line: copying at its plainest."""
    y = rng.choice(r.columns)
    ask = rng.choice(
        ("sum of all lines in {y}", "what do all lines add up to in {y}", "grand total of the table for {y}")
    )
    return Exchange(ask.format(y=y), " + ".join(_cite(name, y) for name, _ in r.rows), f"all lines; year {y}; sum")


SHAPES: tuple[tuple[Callable[[Random, Report], Exchange | None], int], ...] = (
    (lookup, 14),
    (change, 10),
    (growth, 12),
    (combine, 14),
    (ratio, 18),
    (compound_ratio, 10),
    (average, 8),
    (over_average, 8),
    (ratio_change, 8),
    (grand_total, 4),
)


def exchanges(rng: Random, n: int) -> tuple[Report, list[Exchange]]:
    """A random report and `n` questions about it."""
    report = random_report(rng)
    shapes, weights = zip(*SHAPES, strict=True)
    found: list[Exchange] = []
    while len(found) < n:
        exchange = rng.choices(shapes, weights)[0](rng, report)
        if exchange is not None:
            found.append(exchange)
    return report, found
