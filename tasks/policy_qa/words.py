"""What policies of policy_qa are about: groups of matters, each with a unit and the figures it may have."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Matter:
    """Something a policy fixes: a noun phrase, its unit, and the least, the largest and the step of its figures."""

    name: str
    unit: str
    low: int
    high: int
    step: int


def _group(*rows: tuple[str, str, int, int, int]) -> tuple[Matter, ...]:
    return tuple(Matter(*row) for row in rows)


SEEN = {
    "Travel": _group(
        ("hotel limit per night", "euros", 80, 240, 5),
        ("meal allowance per day", "euros", 18, 72, 2),
        ("mileage rate per kilometre", "cents", 20, 62, 1),
        ("fare limit for a train trip", "euros", 60, 320, 10),
    ),
    "Leave": _group(
        ("annual leave", "days", 20, 34, 1),
        ("parental leave on full pay", "weeks", 6, 30, 1),
        ("care leave per year", "days", 3, 15, 1),
        ("leave that may be carried over", "days", 2, 12, 1),
    ),
    "Equipment": _group(
        ("laptop replacement interval", "months", 24, 60, 3),
        ("budget for a desk at home", "euros", 150, 900, 25),
        ("phone budget per contract", "euros", 200, 900, 20),
        ("loan period of a projector", "days", 2, 30, 1),
    ),
    "Remote work": _group(
        ("number of remote days per month", "days", 3, 16, 1),
        ("remote work abroad per year", "weeks", 2, 12, 1),
        ("notice for a remote day", "hours", 12, 96, 6),
        ("presence at the office per quarter", "days", 8, 40, 1),
    ),
    "Purchasing": _group(
        ("purchase limit without approval", "euros", 500, 9_500, 250),
        ("review time of a contract", "working days", 3, 25, 1),
        ("largest advance payment", "percent", 10, 60, 5),
        ("validity of a quote", "days", 14, 120, 2),
    ),
    "Records": _group(
        ("retention of job applications", "months", 3, 36, 1),
        ("retention of visitor logs", "days", 10, 180, 5),
        ("retention of call recordings", "days", 14, 365, 7),
        ("retention of offsite backups", "weeks", 4, 104, 2),
    ),
    "Security": _group(
        ("least length of a password", "characters", 8, 24, 1),
        ("screen lock delay", "minutes", 2, 20, 1),
        ("validity of a visitor badge", "hours", 2, 72, 2),
        ("interval of access reviews", "months", 1, 18, 1),
    ),
    "Gifts": _group(
        ("gift limit per giver and year", "euros", 20, 150, 5),
        ("limit for a business meal per guest", "euros", 30, 130, 5),
        ("reporting period for a gift", "days", 2, 30, 1),
        ("limit for an event ticket", "euros", 25, 200, 5),
    ),
    "Training": _group(
        ("training budget per year", "euros", 400, 4_000, 100),
        ("training time per year", "days", 2, 15, 1),
        ("repayment period after a course", "months", 6, 36, 2),
        ("study leave before an exam", "days", 1, 10, 1),
    ),
    "Overtime": _group(
        ("overtime bonus", "percent", 15, 75, 5),
        ("overtime cap per month", "hours", 8, 50, 2),
        ("period to take time off", "weeks", 4, 40, 2),
        ("allowance for a day on call", "euros", 20, 140, 5),
    ),
    "Leaving": _group(
        ("notice period", "weeks", 2, 26, 1),
        ("probation", "months", 2, 9, 1),
        ("handover period", "working days", 3, 30, 1),
        ("period to return equipment", "days", 1, 21, 1),
    ),
    "Expenses": _group(
        ("deadline for a claim", "days", 14, 120, 2),
        ("sum from which a receipt is needed", "euros", 5, 60, 5),
        ("cash advance limit", "euros", 100, 1_500, 50),
        ("time to pay a claim out", "working days", 3, 30, 1),
    ),
    "Health": _group(
        ("subsidy for glasses", "euros", 50, 400, 10),
        ("gym subsidy per month", "euros", 10, 60, 2),
        ("paid time for a medical check", "hours", 1, 12, 1),
        ("wage in long illness", "percent", 50, 95, 5),
    ),
    "Commuting": _group(
        ("parking fee per month", "euros", 10, 120, 5),
        ("cap for a leased bicycle", "euros", 800, 5_000, 100),
        ("subsidy for public transport", "percent", 20, 95, 5),
        ("charging allowance per month", "euros", 15, 110, 5),
    ),
}
HELD_OUT = {
    "Laboratory": _group(
        ("storage time of samples", "weeks", 2, 60, 2),
        ("interval of calibration", "days", 10, 180, 5),
        ("exposure cap per shift", "minutes", 10, 180, 10),
        ("crew needed at night", "persons", 2, 9, 1),
    ),
    "Fleet": _group(
        ("lease term of a company car", "months", 18, 60, 3),
        ("price cap of a company car", "euros", 18_000, 60_000, 500),
        ("excess after an accident", "euros", 100, 1_200, 50),
        ("private mileage per year", "kilometres", 2_000, 20_000, 500),
    ),
    "Volunteering": _group(
        ("volunteer time per year", "hours", 4, 60, 2),
        ("matching of donations", "percent", 10, 100, 5),
        ("donation cap per project", "euros", 200, 5_000, 100),
        ("size of a volunteer team", "persons", 2, 20, 1),
    ),
    "Housing": _group(
        ("rent subsidy per month", "euros", 100, 900, 25),
        ("stay in a company flat", "weeks", 2, 52, 2),
        ("deposit for a company flat", "euros", 200, 2_400, 50),
        ("cap for moving costs", "euros", 500, 6_000, 100),
    ),
}
THINGS = ("Records", "Laboratory")
"""Groups about things, whose clauses depend on no person."""
GRADES = ("apprentice", "contractor", "specialist", "team lead", "manager", "director", "analyst", "technician")
CITIES = (
    "Oslo|Lisbon|Vienna|Dublin|Prague|Geneva|Porto|Bergen|Gdansk|Lyon|Turin|Bilbao|Ghent|Aarhus|Tampere|Riga|"
    "Graz|Leeds|Malaga|Basel|Bremen|Utrecht|Cork|Nantes|Split|Brno|Linz|Parma|Varna|Izmir"
).split("|")
SETS = (
    "the {m} is {v} {u}",
    "a {m} of {v} {u} applies",
    "{v} {u} apply as {m}",
    "{m}: {v} {u}",
)
MORE = (
    "the {m} is {by} more than in clause {r}",
    "the figure of clause {r} for the {m} rises by {by}",
)
LESS = (
    "the {m} is {by} less than in clause {r}",
    "the figure of clause {r} for the {m} falls by {by}",
)
TWICE = ("the {m} is twice the figure of clause {r}", "the figure of clause {r} for the {m} is doubled")
SAME = ("the {m} is as in clause {r}", "clause {r} goes for the {m} again")
ANNEX = ("the {m} is set in annex {x}", "annex {x} says what the {m} is")
