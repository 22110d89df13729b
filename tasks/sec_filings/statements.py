"""Consistent statements: income adds up, the balance sheet balances, cash and retained earnings roll forward."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from .sectors import Naming, Sector, choose_names

YEARS_SHOWN = 3

Year = dict[str, int]
"""Concept to amount of one fiscal year, in the unit of the statements. Outflows (capex, div, buy) are positive."""


@dataclass(frozen=True, slots=True)
class Company:
    """A fictional company.

    Attributes:
        name: Unique over the task; the cluster of its items.
        sector: Name of its sector.
        unit: ``thousands`` or ``millions``.
        naming: What it calls its lines.
        years: Fiscal year to amounts, latest first; `YEARS_SHOWN` + 1 of them, the last one an opening balance sheet.
    """

    name: str
    sector: str
    unit: str
    naming: Naming
    years: dict[int, Year]

    @property
    def shown(self) -> list[int]:
        """Fiscal years with full statements, latest first."""
        return list(self.years)[:YEARS_SHOWN]


def make_company(rng: Random, name: str, sector: Sector) -> Company:
    """Draw a company and its statements."""
    latest = rng.randint(2012, 2025)
    mix = _Mix.draw(rng, sector)
    year = _opening(rng, mix)
    years = {latest - YEARS_SHOWN: year}
    for fiscal in range(latest - YEARS_SHOWN + 1, latest + 1):
        year = _next_year(rng, mix, year)
        years[fiscal] = year
    unit = rng.choice(("thousands", "millions"))
    return Company(name, sector.name, unit, choose_names(rng, sector), dict(reversed(years.items())))


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
    segment: float
    leverage: float

    @classmethod
    def draw(cls, rng: Random, sector: Sector) -> _Mix:
        scale = rng.choices((rng.randint(1200, 3000), rng.randint(3000, 9000), rng.randint(9000, 40000)), (30, 50, 20))[
            0
        ]
        return cls(
            scale,
            rng.uniform(*sector.cost),
            rng.uniform(*sector.overhead),
            rng.uniform(*sector.overhead),
            rng.uniform(*sector.plant),
            rng.randint(*sector.stock_days),
            rng.randint(25, 85),
            rng.randint(30, 95),
            rng.uniform(0.07, 0.15),
            rng.uniform(0.17, 0.31),
            rng.uniform(0.03, 0.08),
            rng.uniform(0.15, 0.55),
            rng.uniform(0.35, 0.75),
            rng.uniform(0.15, 0.45),
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
    """A balance sheet to start from; equity is what is left."""
    year: Year = {"rev": mix.revenue, "cogs": round(mix.revenue * mix.cost)}
    _working(rng, mix, year)
    year["cash"] = _noisy(rng, mix.revenue * 0.12, 0.5)
    year["sti"] = _noisy(rng, mix.revenue * 0.06, 0.6)
    year["ppe"] = _noisy(rng, mix.revenue * mix.plant)
    year["gw"] = _noisy(rng, mix.revenue * 0.18, 0.7)
    year["ota"] = _noisy(rng, mix.revenue * 0.07, 0.5)
    year["std"] = _noisy(rng, mix.revenue * 0.05, 0.6)
    year["otl"] = _noisy(rng, mix.revenue * 0.06, 0.5)
    year["ltd"] = year["stk"] = year["re"] = 0
    _totals(year)
    free = year["ta"] - year["tl"]
    year["ltd"] = round(free * mix.leverage)
    year["stk"] = round((free - year["ltd"]) * rng.uniform(0.2, 0.5))
    year["re"] = free - year["ltd"] - year["stk"]
    _totals(year)
    return year


def _next_year(rng: Random, mix: _Mix, last: Year) -> Year:
    year: Year = {"rev": max(400, round(last["rev"] * (1 + min(0.35, max(-0.2, rng.gauss(0.06, 0.10))))))}
    year["seg_a"] = round(year["rev"] * min(0.9, mix.segment * rng.uniform(0.9, 1.1)))
    year["seg_b"] = year["rev"] - year["seg_a"]
    year["cogs"] = _noisy(rng, year["rev"] * mix.cost, 0.06)
    year["gp"] = year["rev"] - year["cogs"]
    year["opx"] = _noisy(rng, year["rev"] * mix.opx)
    year["sga"] = _noisy(rng, year["rev"] * mix.sga)
    year["oi"] = year["gp"] - year["opx"] - year["sga"]
    year["int"] = _noisy(rng, (last["ltd"] + last["std"]) * mix.interest + 10)
    year["oth"] = rng.choice((-1, 1)) * _noisy(rng, year["rev"] * 0.012, 0.8)
    year["pbt"] = year["oi"] - year["int"] + year["oth"]
    year["tax"] = round(year["pbt"] * mix.tax * rng.uniform(0.85, 1.15))
    year["ni"] = year["pbt"] - year["tax"]
    _working(rng, mix, year)
    year["da"] = _noisy(rng, last["ppe"] * mix.wear)
    year["capex"] = _noisy(rng, year["da"] * rng.uniform(0.8, 1.7))
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
    aim = _noisy(rng, year["rev"] * 0.12, 0.4)
    short = year["std"] - last["std"]
    before_debt = last["cash"] + year["ocf"] + year["icf"] - year["div"] - year["buy"] + year["iss"] + short
    year["ltd"] = max(30, last["ltd"] + aim - before_debt)
    year["brw"] = year["ltd"] - last["ltd"] + short
    year["fcf"] = year["brw"] - year["div"] - year["buy"] + year["iss"]
    year["chg"] = year["ocf"] + year["icf"] + year["fcf"]
    year["cash"] = last["cash"] + year["chg"]
    _totals(year)
    return year
