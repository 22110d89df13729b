"""A catalogue of functions over one kind of record, and the records they act on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Any

from tao_bench.suite import people

from . import words
from .words import Domain

ALWAYS = ("add", "move", "close")
KINDS = 8
"""Functions of a catalogue."""
RECORDS = (5, 6)
STYLES = ("snake", "camel", "dotted", "plain")


@dataclass(frozen=True)
class Catalogue:
    """An API: its functions by name (as the verifier reads them) and the name of each kind."""

    domain: Domain
    functions: dict[str, Any]
    names: dict[str, str]

    def lines(self) -> list[str]:
        """One line a function, as the prompt shows it."""
        found = []
        for name, function in self.functions.items():
            parameters = ", ".join(_signature(key, kind) for key, kind in function["parameters"].items())
            found.append(f"{name}({parameters}): {function['about']}")
        return found

    def call(self, does: str, **roles: Any) -> dict[str, Any]:
        """A call of the function of a kind, arguments by role; defaults are left out."""
        name = self.names[does]
        function = self.functions[name]
        arguments = {}
        for role, parameter in function["roles"].items():
            if role in roles and roles[role] != function["parameters"][parameter].get("default"):
                arguments[parameter] = roles[role]
        return {"name": name, "arguments": arguments}


def _signature(name: str, kind: dict[str, Any]) -> str:
    what = {
        "integer": "whole number above 0",
        "date": "YYYY-MM-DD",
        "enum": "|".join(kind.get("values", ())),
        "string": "text",
    }
    default = f" = {kind['default']}" if "default" in kind else ""
    return f"{name}: {what[kind['type']]}{default}"


def _named(style: str, verb: str, domain: Domain, does: str) -> str:
    counts = does in ("set", "add", "cut", "scale", "move")
    thing = domain.amount if counts else domain.noun
    parts = verb.split("_") + thing.replace(" ", "_").split("_")
    if style == "snake":
        return "_".join(parts)
    if style == "camel":
        return parts[0] + "".join(part.title() for part in parts[1:])
    if style == "dotted":
        last = f"_{domain.amount.rsplit(maxsplit=1)[-1]}" if counts else ""
        return f"{domain.noun.split(maxsplit=1)[0]}.{verb}{last}"
    return "".join(part.title() for part in parts)


def draw_catalogue(rng: Random, unseen: bool) -> Catalogue:
    domain = rng.choice(words.HELD_OUT if unseen else words.SEEN)
    style = rng.choice(STYLES)
    kinds = list(ALWAYS) + rng.sample([kind for kind in words.VERBS if kind not in ALWAYS], KINDS - len(ALWAYS))
    rng.shuffle(kinds)
    parameters = {role: rng.choice(bank) for role, bank in words.PARAMETERS.items()}
    functions: dict[str, Any] = {}
    names: dict[str, str] = {}
    for does in kinds:
        verbs = [verb for verb in words.VERBS[does] if _named(style, verb, domain, does) not in functions]
        name = _named(style, rng.choice(verbs), domain, does)
        names[does] = name
        roles = {role: parameters[role] for role in words.ROLES[does]}
        functions[name] = {
            "does": does,
            "roles": roles,
            "parameters": {parameters[role]: _kind(role, does, domain) for role in words.ROLES[does]},
            "about": words.ABOUT[does].format(a=domain.amount, n=domain.noun, d=domain.day, e=domain.end),
        }
    return Catalogue(domain, functions, names)


def _kind(role: str, does: str, domain: Domain) -> dict[str, Any]:
    if role == "state":
        return {"type": "enum", "values": list(domain.states)}
    if role == "urgency":
        return {"type": "enum", "values": ["low", "normal", "urgent"], "default": "normal"}
    if role == "day":
        return {"type": "date"}
    if role in ("amount", "percent"):
        return {"type": "integer"} | ({"default": 100} if does == "open" else {})
    return {"type": "string"}


def draw_records(rng: Random, domain: Domain) -> dict[str, dict[str, Any]]:
    """Key to record; some owners have several."""
    owners = people(rng, 3)
    keys = rng.sample(range(10, 999), rng.randint(*RECORDS))
    return {
        f"{domain.prefix}{key}": {
            "owner": rng.choice(owners),
            "amount": 100 * rng.randint(3, 60),
            "state": rng.choice(domain.states),
            "day": (date(2025, 1, 6) + timedelta(rng.randrange(700))).isoformat(),
            "closed": False,
        }
        for key in keys
    }


def record_lines(domain: Domain, records: dict[str, dict[str, Any]]) -> list[str]:
    """One line a record, as the prompt shows it."""
    return [
        f"{key}: owner {record['owner']}, {domain.amount} {record['amount']} {domain.unit}, status {record['state']}, "
        f"{domain.day} {record['day']}"
        for key, record in records.items()
    ]
