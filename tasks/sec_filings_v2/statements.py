"""Consistent statements: income adds up, the balance sheet balances, cash, plant and retained earnings roll forward.

The identities are those of `lines.IDENTITIES`; a test holds every company against them.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from .facts import Facts
from .lines import CONCEPTS, OUTFLOWS
from .sectors import Sector, choose_names

Year = dict[str, int]
"""Concept to amount of one fiscal year, in the unit of the statements. Outflows (capex, div, buy) are positive."""

_YEAR_ENDS = (
    ("December 31", 0, 10),
    ("June 30", 0, 4),
    ("September 30", 0, 3),
    ("March 31", 0, 2),
    ("November 30", 0, 1),
    ("January 31", 1, 3),  # such a year is named after the calendar year in which it began
)
"""Day, calendar years after the fiscal year's number, weight."""

_NOTES = (
    "Amounts of fiscal {y} were reclassified to conform to the presentation of later years.",
    "{seg} includes {small} from a contract that ended in fiscal {y}.",
    "At the end of fiscal {y} the company employed {people} people.",
    "{rev} by country is given in the notes, which are not shown here.",
    "In fiscal {y} the company opened {sites} sites and closed {closed}.",
    "{da} is part of several expense lines.",
    "After the end of fiscal {last} the board approved a plan to buy back up to {plan} of stock.",
)


def make_facts(rng: Random, name: str, sector: Sector) -> Facts:
    """Draw a company, its statements over three to five fiscal years, and an opening balance sheet before them."""
    count = rng.choices((3, 4, 5), (30, 40, 30))[0]
    latest = rng.randint(2012, 2025)
    mix = _Mix.draw(rng, sector)
    years = {latest - count: _opening(rng, mix)}
    for fiscal in range(latest - count + 1, latest + 1):
        years[fiscal] = _next_year(rng, mix, years[fiscal - 1])
    day, later, _ = rng.choices(_YEAR_ENDS, [weight for *_, weight in _YEAR_ENDS])[0]
    printed = choose_names(rng, sector)
    amounts = {c: {fiscal: years[fiscal][c] for fiscal in reversed(years) if c in years[fiscal]} for c in CONCEPTS}
    return Facts(
        company=name,
        unit=rng.choice(("thousands", "millions")),
        years=tuple(range(latest, latest - count, -1)),
        ends={fiscal: f"{day}, {fiscal + later}" for fiscal in years},
        printed=printed,
        amounts=amounts,
        negative=frozenset(OUTFLOWS) if rng.random() < 0.5 else frozenset(),
        notes=_draw_notes(rng, printed, latest, count, mix.revenue),
    )


def _draw_notes(rng: Random, printed: dict[str, str], latest: int, count: int, revenue: int) -> tuple[str, ...]:
    words = {
        "y": latest - rng.randrange(count),
        "last": latest,
        "seg": printed[rng.choice(("seg_a", "seg_b", "seg_c"))],
        "rev": printed["rev"],
        "da": printed["da"],
        "small": f"{round(revenue * rng.uniform(0.004, 0.03)):,}",
        "plan": f"{round(revenue * rng.uniform(0.02, 0.1)):,}",
        "people": f"{rng.randint(900, 48000):,}",
        "sites": rng.randint(3, 60),
        "closed": rng.randint(1, 12),
    }
    return tuple(note.format(**words) for note in rng.sample(_NOTES, rng.choices((0, 1, 2), (35, 40, 25))[0]))


@dataclass(frozen=True, slots=True)
class _Mix:
    """A company's proportions, constant over its years up to noise."""

    revenue: int
    cost: float
    opx: float
    sga: float
    plant: float
    stock_days: int
    receivable_days: int
    payable_days: int
    wear: float
    tax: float
    interest: float
    payout: float
    segments: tuple[float, float]
    leverage: float
    liquid: float
    short: float

    @classmethod
    def draw(cls, rng: Random, sector: Sector) -> _Mix:
        low, high = rng.choices(((1500, 6000), (6000, 30000), (30000, 160000)), (30, 45, 25))[0]
        tight = rng.random() < 0.45  # current liabilities near or above current assets
        cost, opx, sga = (rng.uniform(*span) for span in (sector.cost, sector.overhead, sector.overhead))
        if rng.random() < 0.15:  # a company that breaks even at best
            sga = max(sga, 1 - cost - opx - rng.uniform(0.0, 0.06))
        return cls(
            revenue=rng.randint(low, high),
            cost=cost,
            opx=opx,
            sga=sga,
            plant=rng.uniform(*sector.plant),
            stock_days=rng.randint(*sector.stock_days),
            receivable_days=rng.randint(20, 45) if tight else rng.randint(35, 85),
            payable_days=rng.randint(70, 120) if tight else rng.randint(30, 80),
            wear=rng.uniform(0.07, 0.15),
            tax=rng.uniform(0.17, 0.31),
            interest=rng.uniform(0.03, 0.08),
            payout=rng.uniform(0.15, 0.75),
            segments=(rng.uniform(0.3, 0.5), rng.uniform(0.2, 0.35)),
            leverage=rng.uniform(0.15, 0.45),
            liquid=rng.uniform(0.03, 0.07) if tight else rng.uniform(0.09, 0.18),
            short=rng.uniform(0.12, 0.22) if tight else rng.uniform(0.02, 0.07),
        )


def _noisy(rng: Random, value: float, spread: float = 0.10) -> int:
    """A whole number near `value`, at least 1."""
    return max(1, round(value * rng.uniform(1 - spread, 1 + spread)))


def _working(rng: Random, mix: _Mix, year: Year) -> None:
    """Fill in what revenue and cost imply: receivables, inventory, prepaid, payables, accruals."""
    year["rec"] = _noisy(rng, year["rev"] * mix.receivable_days / 365)
    year["inv"] = _noisy(rng, year["cogs"] * mix.stock_days / 365)
    year["pre"] = _noisy(rng, year["rev"] * 0.03, 0.4)
    year["pay"] = _noisy(rng, year["cogs"] * mix.payable_days / 365)
    year["acc"] = _noisy(rng, year["rev"] * 0.07, 0.3)


def _totals(year: Year) -> None:
    year["tca"] = year["cash"] + year["sti"] + year["rec"] + year["inv"] + year["pre"]
    year["ta"] = year["tca"] + year["ppe"] + year["gw"] + year["ota"]
    year["tcl"] = year["pay"] + year["acc"] + year["std"]
    year["tl"] = year["tcl"] + year["ltd"] + year["otl"]
    year["te"] = year["stk"] + year["re"]


def _opening(rng: Random, mix: _Mix) -> Year:
    """A balance sheet to start from; equity is what is left, at least a fifth of the assets."""
    year: Year = {"rev": mix.revenue, "cogs": round(mix.revenue * mix.cost)}
    _working(rng, mix, year)
    year["cash"] = _noisy(rng, mix.revenue * mix.liquid, 0.5)
    year["sti"] = _noisy(rng, mix.revenue * mix.liquid * 0.5, 0.6)
    year["ppe"] = _noisy(rng, mix.revenue * mix.plant)
    year["gw"] = _noisy(rng, mix.revenue * 0.18, 0.7)
    year["ota"] = _noisy(rng, mix.revenue * 0.07, 0.5)
    year["std"] = _noisy(rng, mix.revenue * mix.short, 0.4)
    year["otl"] = _noisy(rng, mix.revenue * 0.06, 0.5)
    year["ltd"] = year["stk"] = year["re"] = 0
    _totals(year)
    if year["ta"] - year["tl"] < 0.2 * year["ta"]:
        year["gw"] += round(1.25 * (year["tl"] - 0.8 * year["ta"]))
        _totals(year)
    free = year["ta"] - year["tl"]
    year["ltd"] = round(free * mix.leverage)
    year["stk"] = round((free - year["ltd"]) * rng.uniform(0.2, 0.5))
    year["re"] = free - year["ltd"] - year["stk"]
    _totals(year)
    del year["rev"], year["cogs"]  # only served to size the balance sheet
    year["_rev"] = mix.revenue
    return year


def _next_year(rng: Random, mix: _Mix, last: Year) -> Year:
    before = last.pop("_rev") if "_rev" in last else last["rev"]
    year: Year = {"rev": max(900, round(before * (1 + min(0.35, max(-0.2, rng.gauss(0.05, 0.11))))))}
    year["seg_a"] = round(year["rev"] * mix.segments[0] * rng.uniform(0.88, 1.12))
    year["seg_b"] = round(year["rev"] * mix.segments[1] * rng.uniform(0.88, 1.12))
    year["seg_c"] = year["rev"] - year["seg_a"] - year["seg_b"]
    year["cogs"] = _noisy(rng, year["rev"] * mix.cost, 0.07)
    year["gp"] = year["rev"] - year["cogs"]
    year["opx"] = _noisy(rng, year["rev"] * mix.opx, 0.14)
    year["sga"] = _noisy(rng, year["rev"] * mix.sga, 0.14)
    year["oi"] = year["gp"] - year["opx"] - year["sga"]
    year["int"] = _noisy(rng, (last["ltd"] + last["std"]) * mix.interest + 10)
    year["oth"] = rng.choice((-1, 1)) * _noisy(rng, year["rev"] * 0.012, 0.8)
    year["pbt"] = year["oi"] - year["int"] + year["oth"]
    year["tax"] = round(year["pbt"] * mix.tax * rng.uniform(0.8, 1.2))
    year["ni"] = year["pbt"] - year["tax"]
    _working(rng, mix, year)
    year["da"] = _noisy(rng, last["ppe"] * mix.wear)
    year["capex"] = _noisy(rng, year["da"] * rng.uniform(0.6, 1.7))
    year["ppe"] = last["ppe"] + year["capex"] - year["da"]
    for concept, spread in (("gw", 0.10), ("ota", 0.15), ("sti", 0.3), ("otl", 0.12), ("std", 0.35)):
        year[concept] = _noisy(rng, last[concept], spread)
    year["wc"] = sum(last[c] - year[c] for c in ("rec", "inv", "pre")) + sum(year[c] - last[c] for c in ("pay", "acc"))
    year["ocf"] = year["ni"] + year["da"] + year["wc"] + year["otl"] - last["otl"]
    year["icf"] = -year["capex"] + sum(last[c] - year[c] for c in ("gw", "ota", "sti"))
    year["div"] = _noisy(rng, max(year["ni"], 0.02 * year["rev"]) * mix.payout)
    year["buy"] = _noisy(rng, year["rev"] * 0.015, 0.8)
    year["iss"] = _noisy(rng, year["rev"] * 0.01, 0.9)
    year["stk"] = last["stk"] + year["iss"] - year["buy"]
    if year["stk"] < 20:  # buy back no more than there is
        year["stk"], year["buy"] = last["stk"] + year["iss"], 0
    year["re"] = last["re"] + year["ni"] - year["div"]
    # Debt is what brings cash to its aim; it cannot fall below a floor, then cash takes up the rest.
    aim = _noisy(rng, year["rev"] * mix.liquid, 0.45)
    short = year["std"] - last["std"]
    before_debt = last["cash"] + year["ocf"] + year["icf"] - year["div"] - year["buy"] + year["iss"] + short
    year["ltd"] = max(30, last["ltd"] + aim - before_debt)
    year["brw"] = year["ltd"] - last["ltd"] + short
    year["fcf"] = year["brw"] - year["div"] - year["buy"] + year["iss"]
    year["chg"] = year["ocf"] + year["icf"] + year["fcf"]
    year["cash"] = last["cash"] + year["chg"]
    _totals(year)
    return year
