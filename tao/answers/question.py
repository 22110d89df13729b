"""What a question about a filing asks for: the unit and the precision of its answer. Needs no gold."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Kind = Literal["amount", "percent", "ratio", ""]
YES_NO = re.compile(
    r"(?:^|[.,:;?]\s+|\b(?:and|but)\s+)(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|should)"
    r"(?:n't|\snot)?\s+(?!not\b)[\w'&]",
    re.IGNORECASE,
)
_SCALE = re.compile(r"\b(thousand|million|billion|trillion)s?\b|\b(?:usd|\$)\s?(k|m|mn|mm|b|bn)\b", re.IGNORECASE)
_POWERS = {"thousand": 3, "k": 3, "million": 6, "m": 6, "mn": 6, "mm": 6, "billion": 9, "b": 9, "bn": 9, "trillion": 12}
_PERCENT = re.compile(r"%|\bper\s?cents?\b|\bpercents?\b|\bpercentage\b", re.IGNORECASE)
_MONEY = re.compile(r"\b(?:usd|dollars?|eur|euros?)\b|\$", re.IGNORECASE)
_DECIMALS = re.compile(r"\b(one|two|three|four|1|2|3|4)\s+decimals?\b", re.IGNORECASE)
_COUNTS = {"one": 1, "two": 2, "three": 3, "four": 4}
_WHETHER = re.compile(
    r"^(?:yes|no)\b|(?:^|[,.:]\s)(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would)\s", re.IGNORECASE
)
_WH = re.compile(r"\b(?:what|which|who|whom|where|when|why|how)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Question:
    """A question, as far as an answer's form depends on it.

    Attributes:
        kind: Percent, ratio or amount where the question names a unit; '' where it names none.
        power: The unit's power of ten (6 for ``USD millions``), None where it names no scale.
        decimals: Decimals asked for, None where it does not say.
        yes_no: It asks whether something is so.
    """

    kind: Kind
    power: int | None
    decimals: int | None
    yes_no: bool


@lru_cache(maxsize=4096)
def read_question(text: str) -> Question:
    """Read a question's unit, scale, decimals and form."""
    scale = None
    for word, letter in _SCALE.findall(text):
        scale = _POWERS[(word or letter).lower()]
    decimals = None
    if match := _DECIMALS.search(text):
        decimals = _COUNTS.get(match[1].lower()) or int(match[1])
    kind: Kind = ""
    if scale is not None or _MONEY.search(text):
        kind = "amount"
    elif _PERCENT.search(text):
        kind = "percent"
    opening = _WHETHER.search(text)
    wh = _WH.search(text)
    yes_no = opening is not None and (wh is None or opening.start() < wh.start())
    return Question(kind, scale, decimals, yes_no)
