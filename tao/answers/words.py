"""Words that carry meaning in an answer, and how much. Needs no gold.

The weight of a word is a fixed stand-in for its inverse document frequency in English business prose: 0 for words of
grammar, 0.3 for words that any report of results is full of (below), 1 for all others. The two lists were written by
hand from general knowledge of such reports, not counted on any test's questions or golds, so that a weight can be
read here and does not change with the data at hand.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

GRAMMAR: Final = frozenset(
    """a an the this that these those it its it's they their them there here he she his her we our us you your i my me
    and or but nor if then than as so such of in on at by for from to into onto out up down over under between among
    through during before after about above below within without against per via with both either each every any all
    some most more less few many much other another own same which who whom whose what when where why how is are was
    were be been being am do does did done have has had having can could may might must shall should will would not no
    yes also only just very too well while because since due although though however therefore thus hence however also
    still yet again once ever even rather quite almost nearly roughly approximately around primarily mainly mostly
    bn mn mm including include includes included based according given provided provides using use used s t re ve ll d m
    etc ie eg vs versus compared compare one two following evident like""".split()
)
COMMON: Final = frozenset(
    """company companies corporation corp inc business fiscal year years quarter quarters month months annual quarterly
    fy q q1 q2 q3 q4 2017 2018 2019 2020 2021 2022 2023 2024 ended end close million millions billion billions thousand
    usd dollar dollars amount amounts total value number percent percentage point points rate ratio times data report
    reported reports reporting statement statements financial information filing document answer question show shows
    shown increase increased increases increasing decrease decreased decreases decreasing decline declined change
    changed changes growth grow grew grown higher lower high low highest lowest large larger largest small significant
    revenue revenues sale sales net income cost costs expense expenses margin margins operating operation operations
    profit loss cash flow asset assets liability liabilities current period prior previous overall result results
    resulting driven drive drove factor factors related relate item items segment segments region product products
    service services market markets major main key specific various certain several new expected expect mention
    mentioned indicate indicates indicated state stated states refer refers relevant metric metrics consider
    considered considers global world leader leaders leading use uses case cases production produce produced producing
    start started strong stronger experience experienced first second third early late good better best main primary
    type types kind group groups part parts area areas area time times day days week end ends begin make made making
    take taken took give given gave help helps helped continue continued continues remain remained remains become
    became need needs new old big bigger biggest top bottom full further important major minor general common
    public private name named purpose nature impact effect effects due reason reasons work place number country
    per share shares stock available able industry sector activity activities account accounts note notes table
    plan plans order level levels list well set way form position addition additional respectively approximately
    calculate calculated calculation performance measure measured""".split()
)
COMMON_WEIGHT: Final = 0.3

_WORD = re.compile(r"[a-z][a-z&']*[a-z]|[a-z]", re.IGNORECASE)
_ENDINGS = ("ization", "isation", "ments", "ment", "ings", "ing", "ies", "ions", "ion", "ers", "ed", "er", "es", "ly",
            "al", "s", "e", "y")  # fmt: skip
_SHORTEST = 4


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """Fold a word's common endings (``packaging`` and ``packaged`` meet); short words stay as they are."""
    word = word.removesuffix("'s").replace("'", "").replace("-", "")
    for _ in range(2):
        for ending in _ENDINGS:
            if len(word) - len(ending) >= _SHORTEST and word.endswith(ending):
                word = word[: -len(ending)]
                break
        else:
            break
    return word


_COMMON_STEMS = frozenset(stem(word) for word in COMMON)


@lru_cache(maxsize=65536)
def weight(word: str) -> float:
    """Weight of a stem: 0.3 where any report is full of it, else 1."""
    return COMMON_WEIGHT if word in _COMMON_STEMS else 1.0


_NIL = frozenset(("flat", "unchanged", "zero", "nil"))
_NOTHING = re.compile(
    r"\b(?:flat|unchanged|zero|nil)\b|\bno\s(?:\w+\s){0,2}(?:change|growth)\b|\bin\sline\swith\b|(?<![\d.,])0(?:\.0+)?\s?%|\$0(?![\d.,])",
    re.IGNORECASE,
)


def content(text: str) -> list[str]:
    """Stems of the words that are not grammar, in order; one letter alone is no word.

    The ways to say that nothing changed or that an amount is nil (``flat``, ``no change``, ``0 %``) add the one stem
    ``zero``.
    """
    found = ["zero"] if _NOTHING.search(text) else []
    for word in _WORD.findall(text.lower()):
        if len(word) > 1 and word.removesuffix("'s") not in GRAMMAR and word not in _NIL:
            found.append(stem(word))
    return found
