"""What the APIs of tool_calls are about, how their functions are named, and how requests say what they want."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Domain:
    """A kind of record: its noun, what is counted, in what, its date, its states, how it ends, the start of keys."""

    noun: str
    amount: str
    unit: str
    day: str
    states: tuple[str, ...]
    end: str
    prefix: str


def _domains(text: str) -> tuple[Domain, ...]:
    rows = [tuple(part.strip() for part in line.split("|")) for line in text.strip().splitlines()]
    return tuple(Domain(r[0], r[1], r[2], r[3], tuple(s.strip() for s in r[4].split(",")), r[5], r[6]) for r in rows)


SEEN = _domains(
    """
    project|budget|euros|deadline|planned, running, on hold|archive|PRJ-
    wallet|balance|credits|review date|active, frozen, watched|close|W
    vehicle|fuel quota|litres|service date|free, rented, in repair|retire|CAR-
    warehouse|stock|boxes|count date|open, full, under audit|shut down|WH
    campaign|spend cap|dollars|launch date|draft, live, paused|end|CMP-
    course|number of seats|seats|start date|announced, booked out, moved|cancel|C-
    grant|award|pounds|report date|requested, approved, contested|terminate|GR/
    server|storage|gigabytes|patch date|up, degraded, isolated|decommission|srv
    shipment|load|crates|departure date|packed, at customs, delayed|scrap|SHP-
    lease|rent|euros|renewal date|current, in arrears, disputed|dissolve|L-
    subscription|licence count|licences|billing date|trial, paid, overdue|revoke|SUB
    tank|volume|barrels|inspection date|filling, resting, sealed|drain off|T-
    fund|holding|shares|valuation date|watched, locked, traded|wind up|FD-
    clinic|bed count|beds|visit date|staffed, short, quarantined|discontinue|CL
    farm plot|seed stock|kilograms|sowing date|fallow, sown, flooded|abandon|PLT-
    case file|fee estimate|francs|hearing date|new, argued, adjourned|withdraw|CF-
    """
)
HELD_OUT = _domains(
    """
    museum loan|insured sum|crowns|return date|agreed, shipped, on show|rescind|ML-
    reactor test|dose|millilitres|run date|queued, heated, aborted|void|RT
    choir season|ticket quota|tickets|opening date|rehearsed, on sale, postponed|call off|CS-
    dam gate|flow limit|cubic metres|check date|raised, lowered, blocked|seal for good|DG
    """
)
VERBS = {
    "set": ("set", "assign", "fix", "write", "put"),
    "add": ("add_to", "raise", "increase", "top_up", "credit"),
    "cut": ("lower", "reduce", "take_from", "decrease", "debit"),
    "scale": ("raise_percent", "scale", "grow", "adjust_percent", "uplift"),
    "move": ("transfer", "move", "shift", "reallocate", "pass_on"),
    "state": ("mark", "set_status", "change_status", "flag", "update_state"),
    "date": ("reschedule", "set_date", "shift_date", "plan", "set_day"),
    "owner": ("reassign", "hand_over", "set_owner", "give", "change_owner"),
    "close": ("finish", "close", "terminate", "lock", "end"),
    "open": ("create", "open", "register", "add_new", "start"),
    "notify": ("notify", "alert", "message", "inform", "ping"),
}
PARAMETERS = {
    "key": ("id", "ref", "target", "key", "code", "subject"),
    "other": ("to_id", "destination", "receiver", "into", "dest"),
    "amount": ("amount", "value", "quantity", "sum", "units"),
    "percent": ("percent", "pct", "by_percent", "rate"),
    "state": ("status", "state", "new_status", "mark_as"),
    "day": ("date", "day", "on", "new_date", "when"),
    "person": ("owner", "person", "user", "assignee", "who"),
    "urgency": ("urgency", "level", "priority", "importance"),
}
ROLES = {
    "set": ("key", "amount"),
    "add": ("key", "amount"),
    "cut": ("key", "amount"),
    "scale": ("key", "percent"),
    "move": ("key", "other", "amount"),
    "state": ("key", "state"),
    "date": ("key", "day"),
    "owner": ("key", "person"),
    "close": ("key",),
    "open": ("key", "person", "amount"),
    "notify": ("person", "key", "urgency"),
}
"""What each kind of function takes; `amount` of an open record and `urgency` of a note have defaults."""
ABOUT = {
    "set": "sets the {a} of a {n}",
    "add": "adds to the {a} of a {n}",
    "cut": "takes off the {a} of a {n}",
    "scale": "raises the {a} of a {n} by a percentage of what it is then",
    "move": "moves {a} from one {n} to another",
    "state": "sets the status of a {n}",
    "date": "sets the {d} of a {n}",
    "owner": "gives a {n} to another owner",
    "close": "will {e} a {n}; it cannot be changed afterwards",
    "open": "makes a new {n}",
    "notify": "sends a person a note about a {n} as it stands then",
}
SAY = {
    "set": ("set the {a} of {k} to {v}", "put the {a} of {k} at {v}", "make {v} {u} the {a} of {k}"),
    "add": ("add {v} {u} to the {a} of {k}", "raise the {a} of {k} by {v} {u}", "give {k} {v} {u} more of {a}"),
    "cut": ("take {v} {u} off the {a} of {k}", "lower the {a} of {k} by {v} {u}", "let {k} have {v} {u} less of {a}"),
    "scale": (
        "raise the {a} of {k} by {p} percent",
        "let the {a} of {k} grow by {p} percent",
        "add {p} percent to the {a} of {k}",
    ),
    "move": (
        "move {v} {u} of {a} from {k} to {j}",
        "shift {v} {u} from {k} to {j}",
        "let {j} have {v} {u} that {k} holds",
    ),
    "state": ("mark {k} as {s}", "change the status of {k} to {s}", "let {k} count as {s}"),
    "date": ("set the {d} of {k} to {day}", "put the {d} of {k} on {day}", "let {k} have {day} as its {d}"),
    "owner": ("hand {k} over to {w}", "make {w} the owner of {k}", "let {w} have {k}"),
    "close": ("{e} {k}", "{e} {k} for good", "{e} {k} once and for all"),
    "open": (
        "make a new {n} {k} for {w} with a {a} of {v} {u}",
        "start a {n} called {k}, owned by {w}, {a} {v} {u}",
        "let {w} have a new {n} {k} of {v} {u}",
    ),
    "notify": ("send {w} a note about {k}", "tell {w} about {k}", "let {w} know how {k} stands"),
}
"""Wordings by kind; the last of each is for the test split's unseen catalogues alone."""
IN_ORDER = ("First {0}. Then {1}.", "{0}, and after that {1}.", "Please {0}; next, {1}.")
TURNED = ("Before you {1}, {0}.", "{1}, but only after you {0}.", "I want you to {1}. What comes first, though: {0}.")
"""Joins of two steps, the first argument being the one to do first."""
