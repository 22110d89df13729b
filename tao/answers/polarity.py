"""Whether an answer says yes or no, says that something does not apply, and which way it says things went."""

from __future__ import annotations

import re
from typing import Literal

Polarity = Literal["yes", "no", ""]

_EXPLICIT = re.compile(
    r"^\W{0,4}(?:sure[!,.]?\s|certainly[!,.]?\s|based\son[^,.]{0,160},\s|according\sto[^,.]{0,160},\s|"
    r"(?:the|final|short)?\s?answer\s?(?:is|:)?\s?)?\W{0,4}(?P<say>yes|no|yeah|nope)\b(?!\s(?:longer|one|direct|specific|"
    r"information|explicit|mention|data|debt|such|evidence|significant|material|other|indication|restructuring|change))",
    re.IGNORECASE,
)
_ANSWER_IS = re.compile(r"\b(?:answer|conclusion)\b[^.]{0,80}?\b(?:is|would\sbe|:)\s\W{0,3}(?P<say>yes|no)\b|"
                        r"\b(?:therefore|thus|so|hence|overall|in\ssummary|in\sconclusion),?\s\W{0,3}(?P<say2>yes|no),", re.IGNORECASE)  # fmt: skip
_NEGATION = re.compile(
    r"\b(?:not(?!\sonly\b|\snecessarily\b)|no(?!\sdoubt\b)|never|none|neither|nor|cannot|fail(?:s|ed)?\sto|unlikely)\b|n't\b",
    re.IGNORECASE,
)
_UP = re.compile(
    r"\b(?:increas\w+|improv\w+|gr[eo]w\w*|rise[sn]?|rising|rose|higher|up|expand\w*|positive\w*|healthy|strong\w*|"
    r"gain\w*|accelerat\w+|better|above|exceed\w*|raised?|adequate\w*|sufficient\w*|good|outperform\w*|favou?rabl\w+)\b",
    re.IGNORECASE,
)
_DOWN = re.compile(
    r"\b(?:decreas\w+|declin\w+|fell|fall\w*|drop\w*|lower\w*|down|reduc\w+|shr[aiu]nk\w*|negative\w*|unhealthy|weak\w*|"
    r"worse\w*|deteriorat\w+|decelerat\w+|below|contract(?:ed|ion|ing)|loss|poor\w*|deficit|slow\w*|insufficient\w*|"
    r"inadequate\w*|struggl\w+|underperform\w*|unfavou?rabl\w+|challeng\w+)\b",
    re.IGNORECASE,
)
_STEADY = re.compile(r"\b(?:stable|stability|consisten\w+|steady|steadily|unchanged|flat|constant)\b", re.IGNORECASE)
_UNSTEADY = re.compile(
    r"\b(?:unstable|instability|inconsisten\w+|fluctuat\w+|volatil\w+|var(?:y|ied|ies|iation\w*)|uneven|erratic)\b", re.IGNORECASE
)
_NOT_APPLICABLE = re.compile(
    r"\bnot\s(?:\w+\s){0,4}?(?:relevant|useful|meaningful|applicable|measured|appropriate|suitable|typical\w*|common\w*|"
    r"primary|standard|key|usual|used|a\s(?:\w+\s)?metric)|\b(?:irrelevant|inapplicable|less\s(?:relevant|useful|meaningful))\b"
    r"|\b(?:isn't|aren't|doesn't|don't)\s(?:\w+\s){0,4}?(?:relevant|useful|meaningful|applicable|apply|measured|appropriate|use)\b"
    r"|\b(?:does|do)\snot\s(?:\w+\s){0,2}?(?:apply|use)\b",
    re.IGNORECASE,
)


def explicit(text: str) -> Polarity:
    """Yes or no, where an answer opens with it or announces it."""
    match = _EXPLICIT.match(text)
    if match:
        return "no" if match["say"].lower() in ("no", "nope") else "yes"
    found: Polarity = ""
    for match in _ANSWER_IS.finditer(text):
        found = "no" if (match["say"] or match["say2"]).lower() == "no" else "yes"
    return found


def negated(text: str) -> bool:
    """Whether a sentence holds a word of negation."""
    return _NEGATION.search(text) is not None


def not_applicable(text: str) -> bool:
    """Whether a text says that a measure does not apply or is of no use."""
    return _NOT_APPLICABLE.search(text) is not None


def direction(text: str) -> int:
    """Which way a text says things went: above 0 up or well, below 0 down or badly; words counted."""
    return len(_UP.findall(text)) - len(_DOWN.findall(text))


def steadiness(text: str) -> int:
    """Whether a text calls something steady (above 0) or unsteady (below 0); words counted."""
    return len(_STEADY.findall(text)) - len(_UNSTEADY.findall(text))


_ASIDE = re.compile(r"\([^()]*\)")


def inferred(asked: str, sentence: str) -> Polarity:
    """Yes or no from a sentence that speaks of what is asked without saying either.

    It says yes, unless it goes the other way (``declined`` where ``improving`` is asked, ``fluctuates`` where
    ``consistent`` is), and a negation turns that round. A negation in the question itself cancels one in the answer.
    """
    asked = _ASIDE.sub(" ", asked)
    steady = steadiness(asked)
    if steady:
        opposed = steady * steadiness(sentence) < 0
    else:
        way = direction(asked)
        opposed = way * direction(sentence) < 0
        if way and not opposed and direction(sentence) == 0 and steadiness(sentence) > 0:
            opposed = True
    turned = negated(sentence) and not negated(asked)
    return "no" if turned != opposed else "yes"
