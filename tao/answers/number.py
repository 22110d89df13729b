"""Numbers as financial reports and people write them, read exactly; and one canonical spelling for votes.

Read: sign, thousands commas, accounting parentheses, currency, percent, basis points, scale words. Values are
`fractions.Fraction`, so that 0.1 is one tenth and two ways to one number compare equal.

Not read, on purpose: exponents (``1e999999999`` would cost memory), commas that are not thousands
separators (``12,34`` is ambiguous), more than 24 digits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal, localcontext
from fractions import Fraction

MAX_DIGITS = 24
KEY_DIGITS = 6

_MINUS = str.maketrans({"\u2212": "-", "\u2013": "-", "\u2012": "-", "\u00a0": " ", "\u202f": " ", "\u2009": " "})
_SCALES = {
    **dict.fromkeys(("k", "thousand", "thousands"), 10**3),
    **dict.fromkeys(("m", "mn", "mm", "million", "millions"), 10**6),
    **dict.fromkeys(("b", "bn", "billion", "billions"), 10**9),
    **dict.fromkeys(("t", "tn", "trillion", "trillions"), 10**12),
}
_PERCENT = ("%", "percent", "per cent", "pct", "percentage points", "percentage point", "pp")
_CURRENCY = r"(?:us\$|\$|€|£|¥|usd|eur|gbp)"
DIGITS = r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+"
"""Regular expression of an unsigned number; commas only as thousands separators."""

_NUMBER = re.compile(
    rf"(?P<sign>[-+])?\s*(?P<open>\(\s*)?(?P<sign2>[-+])?\s*(?P<currency>{_CURRENCY})?\s*(?P<open2>\(\s*)?(?P<sign3>-)?"
    rf"(?P<digits>{DIGITS})\s*(?P<close2>\))?\s*"
    r"(?P<unit>%|(?:per ?cent(?:age points?)?|pct|pp|bps|basis points?|x|times|"
    r"thousands?|millions?|billions?|trillions?|mm|mn|bn|tn|[kmbt])(?![a-z0-9_]))?"
    rf"(?:\s*(?:{_CURRENCY}|dollars|euros|pounds))?\s*(?P<close>\))?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it was written.

    Attributes:
        value: The value before scale and percent are applied: 4.5 of ``$4.5 million``, 12.3 of ``12.3 %``.
        percent: It carries a percent sign or word (basis points are turned into percent).
        scale: Factor of its scale word (10**6 for ``million``), 1 without one.
        currency: It carries a currency sign or code.
    """

    value: Fraction
    percent: bool = False
    scale: int = 1
    currency: bool = False


def _build(match: re.Match[str]) -> Number | None:
    opened, closed = (match["open"], match["open2"]), (match["close"], match["close2"])
    brackets = sum(part is not None for part in opened)
    if brackets > 1 or brackets != sum(part is not None for part in closed):
        return None
    signs = [sign for sign in (match["sign"], match["sign2"], match["sign3"]) if sign]
    if len(signs) > 1 or (brackets and signs):
        return None
    digits = match["digits"].replace(",", "")
    if sum(char.isdigit() for char in digits) > MAX_DIGITS:
        return None
    value = Fraction(digits)
    unit = re.sub(r"\s+", " ", (match["unit"] or "").lower())
    if unit in ("bps", "basis point", "basis points"):
        value, unit = value / 100, "%"
    percent = unit in _PERCENT or unit == "percentage"
    negative = brackets == 1 or signs == ["-"]
    return Number(-value if negative else value, percent, _SCALES.get(unit, 1), match["currency"] is not None)


def parse_number(text: str) -> Number | None:
    """Read a text that is one number and nothing else.

    Args:
        text: For example ``4,512``, ``(212)``, ``-$1.5 million``, ``12.3 %``, ``45 bps``, ``1.73x``.

    Returns:
        The number; None where the text is anything else, an exponent or a malformed group of digits included.
    """
    match = _NUMBER.fullmatch(text.translate(_MINUS).strip())
    return _build(match) if match else None


def find_numbers(text: str) -> list[Number]:
    """Read every number in running text, in order.

    Passed over: bare years (1900-2099), digits inside words (``FY2022``, ``Q4``) and names of forms (``10-K``).
    """
    text = text.translate(_MINUS)
    found: list[Number] = []
    position = 0
    while match := _NUMBER.search(text, position):
        start, end = match.span("digits")
        position = max(match.end(), end)
        before, after = text[max(0, start - 1) : start], text[end : end + 2]
        in_word = before.isalnum() or before in ("_", ".", ",") or after[:1] == "_" or after[:1].isdigit()
        form = len(after) == 2 and after[0] == "-" and after[1].isalpha()
        if in_word or form:
            continue
        number = _build(match)
        if number is None:  # brackets that belong to the sentence, as in "(up 412)"
            alone = _NUMBER.fullmatch(match[0].strip("() "))
            number = _build(alone) if alone else None
        if number is not None and not _is_year(match["digits"], number):
            found.append(number)
    return found


def _is_year(digits: str, number: Number) -> bool:
    plain = not (number.percent or number.currency or number.scale != 1)
    return plain and len(digits) == 4 and digits.isdigit() and 1900 <= int(digits) <= 2099


def format_number(value: int | float | Fraction, decimals: int = 0) -> str:
    """Spell a number as statements do: thousands commas, negatives in parentheses, halves rounded away from zero."""
    step = Decimal(1).scaleb(-decimals)
    with localcontext(Context(prec=60)):
        exact = Fraction(value)
        rounded = (Decimal(exact.numerator) / Decimal(exact.denominator)).quantize(step, rounding=ROUND_HALF_UP)
    text = f"{abs(rounded):,f}"
    return f"({text})" if rounded < 0 else text


def canonical(value: Fraction, digits: int = KEY_DIGITS) -> str:
    """One spelling for all ways to one number: `digits` significant digits, half to even, no trailing zeros.

    Two answers vote together when their spellings are equal. Exact arithmetic comes before this one rounding, so
    ``a / b * 100`` and ``100 * a / b`` always meet; 6 digits let answers typed with fewer decimals differ.
    """
    with localcontext(Context(prec=digits, rounding=ROUND_HALF_EVEN)):
        rounded = (Decimal(value.numerator) / Decimal(value.denominator)).normalize()
    if rounded == 0:
        return "0"
    return f"{rounded:f}" if -7 < rounded.adjusted() < 24 else str(rounded)
