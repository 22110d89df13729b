"""Whether an answer declines to answer. Needs no gold."""

from __future__ import annotations

import re

ZONE = 300
"""Characters at the start of an answer in which a refusal declares itself; later ones are caveats."""
END_ZONE = 280
"""Characters at its end in which a refusal sums itself up or asks for what is missing."""

_MISSING = (
    r"(?:provided|given|available|disclosed|stated|shown|mentioned|specified|included|found|listed|reported|contained|"
    r"present|enough|sufficient|possible|determinable)"
)
_OPENS = re.compile(
    r"\b(?:can(?:not|'t|\snot)|could\s?n[o']t|unable\sto|not\s(?:able|possible)\sto|impossible\sto|"
    r"(?:do|does|did)(?:\snot|n't))\s+(?:(?:directly|accurately|explicitly|specifically|currently)\s)?"
    r"(?:be\s|have\s(?:access|the|real|enough|specific|any|information|sufficient|up|direct)|provide|contain|include|"
    r"mention|specify|give|disclose|state|calculate|determin\w+|compute|answer|find|locate|identif\w+|assess|ascertain|"
    r"conclude|confirm|say|know|offer|list|seem|appear|detail|outline|present|see\b)"
    rf"|\b(?:not|isn't|aren't)\s(?:(?:been|be|explicitly|directly|specifically|clearly|readily|fully)\s)*{_MISSING}"
    r"|\binsufficient\b|\b(?:no|without|lacks?)\s(?:\w+\s){0,2}(?:information|data|access|mention|details?|evidence)\b"
    r"|\bi(?:'m|\sam)\s(?:sorry|unable|not\sable)|\bapologi[sz]e|\bas\san\sai\b|\bn/a\b"
    r"|\b(?:we|you|one|i)(?:'d|\swould)\s(?:need|have)\s(?:to\s(?:check|look|refer|review|consult|have|know|access|examine)|"
    r"the\sfollowing|the\sactual|the\sspecific|two\spieces|access)"
    r"|\b(?:requires?|please)\s(?:\w+\s){0,3}(?:additional|access|refer|check|consult|provide)\b",
    re.IGNORECASE,
)
_STRONG = re.compile(
    r"\bi(?:'m|\sam)\s(?:sorry|unable|not\sable)|\bas\san\sai\b|\bi\scan(?:not|'t)\b|\bi\s(?:do\snot|don't)\shave\b|"
    r"\bcannot\sbe\sdetermined\b|\bunable\sto\b",
    re.IGNORECASE,
)
_TAKEN_BACK = re.compile(
    r"\b(?:however|but|nevertheless|nonetheless)\b[^.]{0,80}\b(?:we\scan|can\sbe|does|did|it\s(?:is|does|can)|according)\b"
    r"|\b(?:therefore|thus|hence)\b(?![^.]{0,80}\b(?:can(?:not|'t)|not\spossible|unable|difficult|impossible)\b)"
    r"|\b(?:closest|estimate|approximate|typically|proxy)\b",
    re.IGNORECASE,
)
_ENDS = re.compile(
    r"\bif\syou\s(?:can|could|have|would\slike|are\sable|provide|need|wish)\b|\bplease\s(?:provide|refer|note\sthat\sthe\sactual|consult)"
    r"|\b(?:can(?:not|'t|\snot)|unable\sto|not\spossible\sto)\s+(?:be\s)?(?:\w+ly\s)?(?:provide|calculat\w+|determin\w+|answer\w*|comput\w+|say|"
    r"conclu\w+|confirm|identif\w+|ascertain|give|assess)"
    r"|\b(?:would|will)\s(?:be\s)?(?:need(?:ed)?|required?|necessary)\b"
    r"|\bdo(?:es)?(?:\snot|n't)\s(?:have|provide|contain|include|specif\w+)\s(?:\w+\s){0,4}(?:information|data|details?|figures?|enough|sufficient)"
    r"|\b(?:insufficient|not\senough)\b|\bmore\sinformation\b"
    r"|\byou\s(?:should|would\sneed\sto|may\swant\sto|will\sneed\sto)\s(?:\w+\s)?(?:refer|consult|check|look|review)\b",
    re.IGNORECASE,
)


_SIGNALS = (
    "not", "n't", "unable", "sorry", "impossible", "without", "no ", "lack", "insufficient", "please", "would", "will",
    "need", "require", "if you", "you ", "n/a", "as an ai", "apolog", "more information",
)  # fmt: skip
"""One of these is in every text that the patterns above match: most answers are let go without a search."""


def _may_refuse(zone: str) -> bool:
    low = zone.lower()
    return any(signal in low for signal in _SIGNALS)


def apologises(text: str) -> bool:
    """Whether the start says plainly that no answer will follow: sorry, no access, unable."""
    start = text[:ZONE]
    return _may_refuse(start) and _STRONG.search(start) is not None


def ends_refusing(text: str) -> bool:
    """Whether the end says that the question cannot be answered, or asks for what is missing."""
    end = text[-END_ZONE:]
    return _may_refuse(end) and _ENDS.search(end) is not None


def refuses(text: str) -> bool:
    """Whether an answer as a whole declines.

    It does if its end does, if its start apologises or has no access, or if its start says that something is missing
    and nothing within the next 600 characters takes that back (``however, it can be estimated``, ``therefore``).
    """
    if ends_refusing(text) or apologises(text):
        return True
    start = text[:ZONE]
    match = _OPENS.search(start) if _may_refuse(start) else None
    return match is not None and _TAKEN_BACK.search(text, match.end(), match.end() + 600) is None
