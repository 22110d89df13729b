"""A table of facts about one company: what both sources, fictional statements and SEC companyfacts, are turned into."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

SCALES = {"dollars": 1, "thousands": 10**3, "millions": 10**6}


@dataclass(frozen=True, slots=True)
class Facts:
    """Annual amounts of one company.

    Attributes:
        company: Name; the cluster of its items.
        unit: Key of `SCALES`: what one unit of an amount is.
        years: Fiscal years with full statements, latest first. `amounts` may hold an earlier one (opening balances).
        ends: Fiscal year to the day it ended, in words ("June 30, 2023").
        printed: Concept to the name of its line, in statement order.
        amounts: Concept to fiscal year to amount; outflows positive. A fact that is not known has no entry.
        negative: Concepts printed with the other sign, as negatives: outflows of companies that print them so.
        notes: Sentences printed above the table; they change no amount.
    """

    company: str
    unit: str
    years: tuple[int, ...]
    ends: Mapping[int, str]
    printed: Mapping[str, str]
    amounts: Mapping[str, Mapping[int, int]]
    negative: frozenset[str] = frozenset()
    notes: tuple[str, ...] = field(default=())

    def shown(self, concept: str, year: int) -> int:
        """The amount as printed.

        Raises:
            KeyError: It is not known.
        """
        amount = self.amounts[concept][year]
        return -amount if concept in self.negative else amount

    def known(self, concept: str, years: tuple[int, ...]) -> bool:
        """Whether a line has an amount in each of some years."""
        return concept in self.amounts and all(year in self.amounts[concept] for year in years)
