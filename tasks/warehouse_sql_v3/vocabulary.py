"""Reads the business vocabulary: which things a company keeps, their synonyms and their columns.

Notation of `domains_*.py`, one thing a line::

    @ shipping                                             a domain
    shipment | consignment > carrier (carried by, ...)     an entity: names, then parents with linking verbs
      text origin | origin city ~ leaving {v} = @city      a column: kind, names, ~ loose phrases, = values

Kinds: ``name`` (unique text), ``text`` (a few values), ``int`` and ``real`` (may be summed), ``score`` (an
INT that may not), ``date`` (its loose phrase is a verb). Values: ``a, b, c``; ``lo..hi``; or a generator of
`values.py` (``@city``).
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from .domains_services import SERVICES
from .domains_trade import TRADE

RESERVED = frozenset("group order use table column condition call type check default desc end use view to".split())
"""Words that are no plain identifiers in every engine; a name that is one of them is never drawn."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A column an entity may have: `names` are synonyms, of which a schema takes one."""

    kind: str
    names: tuple[str, ...]
    loose: tuple[str, ...]
    values: str


@dataclass(frozen=True, slots=True)
class Entity:
    """A thing a company keeps a table of; `parents` maps an entity to the verbs that link to it."""

    names: tuple[str, ...]
    parents: tuple[tuple[str, tuple[str, ...]], ...]
    slots: tuple[Slot, ...]


@dataclass(frozen=True, slots=True)
class Domain:
    """A line of business: its entities by first name."""

    name: str
    entities: tuple[Entity, ...]

    def entity(self, name: str) -> Entity:
        """The entity with this first name."""
        return next(e for e in self.entities if e.names[0] == name)


def snake(words: str) -> str:
    """'order date' to 'order_date'."""
    return words.replace(" ", "_")


def plural(words: str) -> str:
    """English plural of the last word, by the regular rules."""
    if words.endswith(("s", "x", "z", "ch", "sh")):
        return words + "es"
    if words.endswith("y") and words[-2:-1] not in "aeiou":
        return words[:-1] + "ies"
    return words + "s"


def _split(text: str, mark: str) -> tuple[str, ...]:
    return tuple(" ".join(part.split()) for part in text.split(mark) if part.strip())


def _slot(line: str) -> Slot:
    kind, rest = line.split(None, 1)
    head, _, values = rest.partition("=")
    names, _, loose = head.partition("~")
    return Slot(kind, _split(names, "|"), _split(loose, ","), values.strip())


def _parse(text: str) -> list[Domain]:
    domains: list[Domain] = []
    for block in text.split("@ ")[1:]:
        title, *lines = [line for line in block.splitlines() if line.strip()]
        heads: list[tuple[tuple[str, ...], tuple[tuple[str, tuple[str, ...]], ...], list[Slot]]] = []
        for line in lines:
            if line.startswith("  "):
                heads[-1][2].append(_slot(line.strip()))
                continue
            names, _, parents = line.partition(">")
            links = tuple((p.strip(), _split(verbs, ",")) for p, verbs in re.findall(r"([a-z ]+)\(([^)]*)\)", parents))
            heads.append((_split(names, "|"), links, []))
        domains.append(Domain(title.strip(), tuple(Entity(n, p, tuple(s)) for n, p, s in heads)))
    return domains


@functools.cache
def all_domains() -> tuple[Domain, ...]:
    """The whole vocabulary."""
    return tuple(_parse(TRADE) + _parse(SERVICES))
