"""Whether an answer says yes or no, says that something does not apply, and which way it says things went."""

from __future__ import annotations

import re
from typing import Literal

Polarity = Literal["yes", "no", ""]

_SAY = (
    r"(?P<say>(?i:yes|yeah)\b(?!\s(?:and|or)\sno\b)|(?i:true|false|correct|incorrect|indeed)\b(?=\W*$|[.,;!])|"
    r"(?i:no|nope)\b(?=\s*[,.;:!-]|\s*$|\s(?:it|the|they|this|there|that)\b|\s[A-Z]))"  # "No debt is" says none
)
_EXPLICIT = re.compile(
    r"^\W{0,4}(?i:sure[!,.]?\s|certainly[!,.]?\s|(?:actually|well|wait)[!,.]?\s|(?:based\son|according\sto)[^,.]{0,160},\s|"
    rf"(?:the|final|short)?\s?answer\s?(?:is|:)?\s?)?\W{{0,4}}{_SAY}"
)
_ANSWER_IS = re.compile(
    r"(?i:\b(?:answer|conclusion)\b[^.]{0,80}?\b(?:is|would\sbe|:)\s\W{0,3}|"
    r"\b(?:therefore|thus|so|hence|overall|in\ssummary|in\sconclusion),?\s\W{0,3})"
    r"(?P<say>(?i:yes|no)\b)(?=\W*$|[,.;:!])"
)
_NO = frozenset(("no", "nope", "false", "incorrect"))
_NEGATION = re.compile(
    r"\b(?:not(?!\sonly\b|\snecessarily\b)|(?<!yes\sand\s)no(?!\sdoubt\b)|never|none|neither|nor|cannot|fail(?:s|ed)?\sto|unlikely)\b|n't\b",
    re.IGNORECASE,
)
_UP = re.compile(
    r"\b(?:increas\w+|improv\w+|gr[eo]w(?:n|s|ing)?|rise[sn]?|rising|rose|higher|up|expand\w*|positive\w*|healthy|strong\w*|"
    r"gain\w*|accelerat\w+|better|above|exceed\w*|raised?|adequate\w*|sufficient\w*|good|outperform\w*|favou?rabl\w+|"
    r"climb\w*|widen\w*|advanc(?:ed?|es)|jump\w*|surg(?:ed?|es|ing)|soar\w*|rebound\w*)\b",
    re.IGNORECASE,
)
_DOWN = re.compile(
    r"\b(?:decreas\w+|declin\w+|fell|fall\w*|drop\w*|lower\w*|down|reduc\w+|shr[aiu]nk\w*|negative\w*|unhealthy|weak\w*|"
    r"worse\w*|deteriorat\w+|decelerat\w+|below|contract(?:ed|ion|ing)|loss|poor\w*|deficit|slow\w*|insufficient\w*|"
    r"inadequate\w*|struggl\w+|underperform\w*|unfavou?rabl\w+|challeng\w+|"
    r"slip(?:s|ped|ping)?|slid(?:e|es|ing)?|narrow(?:s|ed|ing)?|dip(?:s|ped)?|plung\w+|plummet\w*|tumbl\w+|erod\w+)\b",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"[,;:.]|\b(?:but|however|while|whereas|although)\b", re.IGNORECASE)
_REACH = 90
"""Characters before a word in which a negation turns it."""
_ASIDE = re.compile(r"\([^()]*\)")
_STEADY = re.compile(r"\b(?:stable|stability|consisten\w+|steady|steadily|unchanged|flat|constant)\b", re.IGNORECASE)
_UNSTEADY = re.compile(
    r"\b(?:unstable|instability|inconsisten\w+|fluctuat\w+|volatil\w+|var(?:y|ied|ies|iation\w*)|uneven|erratic)\b",
    re.IGNORECASE,
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
        return "no" if match["say"].lower() in _NO else "yes"
    found: Polarity = ""
    for match in _ANSWER_IS.finditer(text):
        found = "no" if match["say"].lower() == "no" else "yes"
    return found


def negated(text: str) -> bool:
    """Whether a sentence holds a word of negation."""
    return _NEGATION.search(text) is not None


def not_applicable(text: str) -> bool:
    """Whether a text says that a measure does not apply or is of no use."""
    return _NOT_APPLICABLE.search(text) is not None


def direction(text: str) -> int:
    """Which way a text says things went: above 0 up or well, below 0 down or badly.

    Words are counted; one that a negation stands before in the same clause counts the other way.
    """
    return _lean(text, _UP, 1) + _lean(text, _DOWN, -1)


def steadiness(text: str) -> int:
    """Whether a text calls something steady (above 0) or unsteady (below 0); counted as `direction` does."""
    return _lean(text, _STEADY, 1) + _lean(text, _UNSTEADY, -1)


def _lean(text: str, words: re.Pattern[str], sign: int) -> int:
    total = 0
    for match in words.finditer(text):
        clause = _CLAUSE.split(text[max(0, match.start() - _REACH) : match.start()])[-1]
        total += -sign if negated(clause) else sign
    return total


def inferred(asked: str, sentence: str) -> Polarity:
    """Yes or no from a sentence that speaks of what is asked without saying either.

    Where the question asks which way something went or whether it is steady and the sentence says so, that decides
    (``declined`` or ``not improving`` where ``improving`` is asked; steady is not improving). Elsewhere a sentence says
    yes unless it negates, and a negation in the question itself cancels one in the answer.
    """
    asked = _ASIDE.sub(" ", asked)
    steady = steadiness(asked)
    way = 0 if steady else direction(asked)
    said = steadiness(sentence) if steady else direction(sentence)
    if (steady or way) and said:
        return "yes" if said * (steady or way) > 0 else "no"
    if way and steadiness(sentence) > 0:
        return "no"
    return "no" if negated(sentence) and not negated(asked) else "yes"
