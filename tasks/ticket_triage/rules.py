"""The rules of a triage policy: each a sentence and what it does, so that the sentence is the label's only source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

TECHNICAL = ("data", "devices", "mobile", "network", "platform")
REGIONS = ("North", "South", "East", "West", "Coast", "Islands")
PLANS = ("Basic", "Plus", "Gold")
LAST, FIRST = 4, 1


@dataclass(frozen=True)
class Ticket:
    """What a ticket says; the text is made from it and the labels follow from it."""

    subject: str
    """A product, or a matter that is no fault of a product."""
    fault: bool
    plan: str
    region: str
    users: int = 1
    stopped: bool = False
    leak: bool = False
    times: int = 1
    amount: int = 0
    leaving: bool = False
    deadline: bool = False
    workaround: bool = False
    trial: bool = False
    public: bool = False
    """From a public body."""
    announced: bool = False
    """Happens in announced maintenance."""


@dataclass(frozen=True)
class Route:
    """Where a ticket goes: teams and priority (1 is the most urgent)."""

    teams: frozenset[str]
    priority: int

    def labels(self) -> list[str]:
        """Teams in alphabetical order, then the priority."""
        return [*sorted(self.teams), f"p{self.priority}"]

    def add(self, team: str) -> Route:
        """With one more team."""
        return Route(self.teams | {team}, self.priority)

    def at(self, priority: int) -> Route:
        """With another priority, kept within p1 to p4."""
        return Route(self.teams, min(LAST, max(FIRST, priority)))


Effect = Callable[[Ticket, Route], Route]


@dataclass(frozen=True)
class Rule:
    """A rule in words and as a function."""

    kind: str
    text: str
    apply: Effect


def _when(holds: Callable[[Ticket], bool], then: Callable[[Route], Route]) -> Effect:
    return lambda ticket, route: then(route) if holds(ticket) else route


def users(rng: Random, owners: list[str]) -> Rule:
    most, level = rng.choice((10, 20, 25, 40, 50, 80, 100, 150)), rng.choice((1, 2))
    text = rng.choice(
        (
            f"If more than {most} people are affected, the priority is p{level}.",
            f"With over {most} people affected, set p{level}.",
        )
    )
    return Rule("users", text, _when(lambda t: t.users > most, lambda r: r.at(level)))


def stopped(rng: Random, owners: list[str]) -> Rule:
    text = rng.choice(
        ("Where work has come to a stop, at least p2.", "A standstill of the customer's work is p2 or more urgent.")
    )
    return Rule("stopped", text, _when(lambda t: t.stopped, lambda r: r.at(min(2, r.priority))))


def plan(rng: Random, owners: list[str]) -> Rule:
    name = rng.choice(PLANS[1:])
    text = rng.choice(
        (
            f"Customers on the {name} plan move up by one priority (p1 stays p1).",
            f"Raise the priority by one for {name} customers; p1 stays.",
        )
    )
    return Rule("plan", text, _when(lambda t: t.plan == name, lambda r: r.at(r.priority - 1)))


def basic(rng: Random, owners: list[str]) -> Rule:
    text = "Customers on the Basic plan move down by one priority (p4 stays p4)."
    return Rule("plan", text, _when(lambda t: t.plan == "Basic", lambda r: r.at(r.priority + 1)))


def trial(rng: Random, owners: list[str]) -> Rule:
    text = rng.choice(("Trial accounts never get above p3.", "During a trial the priority is p3 at most."))
    return Rule("trial", text, _when(lambda t: t.trial, lambda r: r.at(max(3, r.priority))))


def leak(rng: Random, owners: list[str]) -> Rule:
    team, level = rng.choice(("compliance", "security")), rng.choice((1, 2))
    text = f"If personal data was seen by someone who should not have seen it, add {team} and set p{level}."
    return Rule("leak", text, _when(lambda t: t.leak, lambda r: r.add(team).at(level)))


def times(rng: Random, owners: list[str]) -> Rule:
    if rng.random() < 0.5:
        text = "From the third report of the same thing on, raise the priority by one (p1 stays p1)."
        return Rule("times", text, _when(lambda t: t.times >= 3, lambda r: r.at(r.priority - 1)))
    text = "From the third report of the same thing on, add success."
    return Rule("times", text, _when(lambda t: t.times >= 3, lambda r: r.add("success")))


def region(rng: Random, owners: list[str]) -> Rule:
    team, place = rng.choice([one for one in owners if one in TECHNICAL] or owners), rng.choice(REGIONS)

    def moved(route: Route) -> Route:
        return Route(route.teams - {team} | {"field"}, route.priority) if team in route.teams else route

    text = rng.choice(
        (
            f"In region {place}, field takes what would go to {team}.",
            f"Tickets from {place}: replace {team} by field.",
        )
    )
    return Rule("region", text, _when(lambda t: t.region == place, moved))


def amount(rng: Random, owners: list[str]) -> Rule:
    most = rng.choice((500, 1_000, 2_000, 2_500, 5_000, 10_000))
    text = rng.choice(
        (
            f"If more than {most:,} euros are in dispute, add legal.",
            f"Disputes over more than {most:,} euros also go to legal.",
        )
    )
    return Rule("amount", text, _when(lambda t: t.amount > most, lambda r: r.add("legal")))


def leaving(rng: Random, owners: list[str]) -> Rule:
    text = rng.choice(
        (
            "If the customer talks of leaving, add success.",
            "Whoever considers to cancel also goes to success, at least p3.",
        )
    )
    least = 3 if "p3" in text else LAST
    return Rule("leaving", text, _when(lambda t: t.leaving, lambda r: r.add("success").at(min(least, r.priority))))


def deadline(rng: Random, owners: list[str]) -> Rule:
    text = rng.choice(
        ("A deadline within a day makes it at least p2.", "If something is due within 24 hours: p2 or more urgent.")
    )
    return Rule("deadline", text, _when(lambda t: t.deadline, lambda r: r.at(min(2, r.priority))))


def workaround(rng: Random, owners: list[str]) -> Rule:
    text = rng.choice(
        (
            "With a workaround in place, lower the priority by one (p4 stays p4).",
            "A known way around lowers the priority by one; p4 stays.",
        )
    )
    return Rule("workaround", text, _when(lambda t: t.workaround, lambda r: r.at(r.priority + 1)))


def together(rng: Random, owners: list[str]) -> Rule:
    keeps, drops = rng.choice(
        (("legal", "success"), ("compliance", "legal"), ("security", "success"), ("compliance", "success"))
    )

    def alone(ticket: Ticket, route: Route) -> Route:
        return Route(route.teams - {drops}, route.priority) if {keeps, drops} <= route.teams else route

    return Rule("together", f"Where both {keeps} and {drops} are set, drop {drops}.", alone)


def urgent(rng: Random, owners: list[str]) -> Rule:
    team = rng.choice(("security", "success", "platform"))

    def more(ticket: Ticket, route: Route) -> Route:
        return route.add(team) if route.priority == 1 else route

    return Rule("urgent", f"Whatever is p1 by now also goes to {team}.", more)


def public(rng: Random, owners: list[str]) -> Rule:
    text = "Tickets of public bodies also go to compliance and move up by one priority (p1 stays p1)."
    return Rule("public", text, _when(lambda t: t.public, lambda r: r.add("compliance").at(r.priority - 1)))


def announced(rng: Random, owners: list[str]) -> Rule:
    text = "What happens during announced maintenance is p4 and goes to nobody but platform."
    return Rule("announced", text, _when(lambda t: t.announced, lambda r: Route(frozenset({"platform"}), LAST)))


SEEN = (
    users,
    stopped,
    plan,
    basic,
    trial,
    leak,
    times,
    region,
    amount,
    leaving,
    deadline,
    workaround,
    together,
    urgent,
)
HELD_OUT = (public, announced)
"""Rules that only the test split's unseen companies have, beside others."""
