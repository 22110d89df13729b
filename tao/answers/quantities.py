"""Numbers in running text with their units and places, for prose that answers a question about a filing.

`tao.answers.number` reads a text that *is* a number; this reads the numbers that a paragraph *states*. Passed over,
because they name things and state no amount: bare years, dates, digits inside words (``FY2022``, ``Q4``), forms
(``10-K``), the company 3M, list markers, notes, pages and items, ordinals, periods (``3-year``, ``65 years``).

Linear in the text; values are `decimal.Decimal`, exact up to 24 digits (longer ones are passed over).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

MAX_DIGITS: Final = 24

_PLAIN: Final = {
    "\u2212": "-", "\u2013": "-", "\u2012": "-", "\u2014": "-", "\u00a0": " ", "\u202f": " ", "\u2009": " ",
    "\u2019": "'", "\u2018": "'", "\u201c": '"', "\u201d": '"',
}  # fmt: skip
_SCALES: Final = {
    **dict.fromkeys(("k", "thousand", "thousands"), 3),
    **dict.fromkeys(("m", "mn", "mm", "mln", "million", "millions"), 6),
    **dict.fromkeys(("b", "bn", "billion", "billions"), 9),
    **dict.fromkeys(("t", "tn", "trillion", "trillions"), 12),
}
_NUMBER = re.compile(
    r"(?<![\w.])(?P<digits>(?:\d{1,3}(?:,\d{3}){1,8}(?!\d)|\d+)(?:\.\d+)?|\.\d+)(?![\d_])"
    r"(?P<close>\s?\))?"
    r"(?:(?P<unit>%|[\s-]{0,2}(?:%|(?:per\s?cent(?:age)?(?:\s?points?)?|pct|ppts?|pp|bps|basis\s?points?|times|"
    r"thousands?|millions?|billions?|trillions?|mln|mm|mn|bn|tn)(?![a-z0-9_]))|[xkmbt](?![a-z0-9_])))?"
    r"(?P<tail>[a-z_]|\s?-?(?:year|month|quarter|week)s?\b|-[a-z])?",
    re.IGNORECASE | re.ASCII,
)
_NAMING: Final = frozenset(
    """january february march april may june july august september october november december jan feb mar apr jun jul aug
    sep sept oct nov dec note notes page pages item items section exhibit table step level form rule part figure
    schedule chapter appendix volume no""".split()
)
"""Words after which a number is a name or a date."""
_SIGNS: Final = "$€£¥"
_CODES: Final = ("usd", "eur", "gbp")
_FURTHEST = 8
"""Marks before a number that are looked at."""
_CURRENCY_AFTER = re.compile(r"\s?(?:usd|dollars?|euros?|us\s?dollars?)\b", re.IGNORECASE)
_LOOK_BACK = 14


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number as text states it.

    Attributes:
        value: As written, before scale and percent are applied (4.5 of ``$4.5 million``); negative after a minus sign
            or in accounting parentheses that hold nothing but the number (``(212)``, ``$(212)``).
        power: Its scale word as a power of ten, 0 without one.
        percent: Percent, percentage points; basis points are turned into percent.
        currency: It carries a currency sign, code or word.
        either: It stands in parentheses that may be an aside as well as a minus sign, as ``(4.2 %)``.
        start: Where its digits start.
        end: Where it ends, unit included.
    """

    value: Decimal
    power: int = 0
    percent: bool = False
    currency: bool = False
    either: bool = False
    start: int = 0
    end: int = 0

    @property
    def full(self) -> Decimal:
        """Value with its scale word applied."""
        return self.value.scaleb(self.power)


def plain_text(text: str) -> str:
    """One spelling of minus signs, quotes and spaces; same length."""
    if not text.isascii():
        for sign, plain in _PLAIN.items():
            text = text.replace(sign, plain)
    return text


def find_quantities(text: str, *, years: bool = False) -> list[Quantity]:
    """Every quantity of a text, in order.

    Args:
        text: Prose; call `plain_text` on it first where it may hold typographic signs.
        years: Keep bare four-digit integers from 1900 to 2099 as well.
    """
    found = []
    for match in _NUMBER.finditer(text):
        quantity = _read(text, match, years)
        if quantity is not None:
            found.append(quantity)
    return found


def _read(text: str, match: re.Match[str], years: bool) -> Quantity | None:
    digits, unit, close, tail = match["digits"], match["unit"], match["close"], match["tail"]
    start, end = match.span("digits")
    if tail and not (unit and tail[0] in " -"):  # 1st, 10-K, 65 years; but "5 % year over year" keeps its number
        return None
    if len(digits) > MAX_DIGITS + MAX_DIGITS // 3:
        return None
    last = text[start - 1] if start else ""
    if last in ("'", "#"):
        return None  # '23, #4
    if last == " ":
        word = text[max(0, start - _LOOK_BACK) : start].split()
        if word and word[-1].rstrip(".").lower() in _NAMING:
            return None
    after = text[end : end + 1]
    marker = len(digits) <= 2 and after in (".", ")", ":") and not unit and text[end + 1 : end + 2] in (" ", "\t")
    if marker and not text[text.rfind("\n", 0, start) + 1 : start].strip():
        return None  # "1. Commercial Airplanes"
    negative, opened, currency = _marks(text, start)
    if close and not opened:
        unit = None
    if unit is not None:
        unit = " ".join(unit.lower().replace("-", " ").split())
    if digits == "3" and after == "M" and not currency:
        return None  # the company
    bare = not currency and unit is None and len(digits) == 4 and digits.isdigit()
    if bare and not years and "1900" <= digits <= "2099":
        return None
    power = _SCALES.get(unit, 0) if unit else 0
    percent = unit is not None and unit[0] in "%pb" and (unit[0] != "b" or unit[:2] in ("bp", "ba"))
    value = Decimal(digits.replace(",", ""))
    if percent and unit is not None and unit[0] == "b":
        value = value.scaleb(-2)
    either = False
    if opened and close:
        negative = True
    elif opened and text[match.end() : match.end() + 1] == ")":
        either = not negative
    if not currency and text[match.end() : match.end() + 2].strip()[:1] in tuple("uUdDeE"):
        currency = _CURRENCY_AFTER.match(text, match.end()) is not None
    return Quantity(-value if negative else value, power, percent, currency, either, start, match.end())


def _marks(text: str, start: int) -> tuple[bool, bool, bool]:
    """Minus, bracket and currency that stand directly before a number: ``-$(``, ``($``, ``USD -``."""
    negative = opened = currency = False
    at = start
    while at > 0 and start - at < _FURTHEST:
        mark = text[at - 1]
        if mark == "-":
            if at > 1 and (text[at - 2].isalnum() or text[at - 2] in ")%"):
                break  # a range or a name: 2.0-2.5, non-5
            negative = True
        elif mark == "(":
            opened = True
        elif mark in _SIGNS:
            currency = True
            if text[max(0, at - 3) : at - 1].lower() == "us":
                at -= 2
        elif mark == " ":
            if at > 1 and text[at - 2] in _SIGNS + "(":
                pass
            elif not currency and text[max(0, at - 4) : at - 1].lower() in _CODES:
                currency = True
                at -= 3
            else:
                break
        elif mark not in "+~":
            break
        at -= 1
    return negative, opened, currency
