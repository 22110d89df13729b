"""Answers in words: spans, lists of spans, numbers with a scale, yes and no; their meaning without a gold.

An answer is the last line of a response (`tao.answers.reading.final_line`). Several spans are written as a JSON list,
``["wages", "rent"]``, or with semicolons between them, ``wages; rent``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from tao.answers.number import canonical, parse_number
from tao.answers.reading import final_line
from tao.meaning import Outcome, Reading
from tao.prompts import Prompt

MAX_SPANS = 64
MAX_CHARS = 4000

_REFUSAL = re.compile(
    r"\b(?:(?:can(?:not|'t| not)|could not|couldn't|unable to|not possible to|impossible to)\s+(?:be\s+)?"
    r"(?:answer\w*|determin\w+|calculat\w+|comput\w+|provid\w+|find|found|say|tell)|"
    r"(?:not enough|insufficient|no) (?:information|data|context|details)|"
    r"i (?:do not|don't) (?:know|have)|"
    r"(?:does|do)(?: not|n't) (?:provide|contain|include|show|state|say|mention)|"
    r"(?:is|are|was|were) not (?:provided|given|available|disclosed|stated|shown|mentioned))\b",
    re.IGNORECASE,
)
_POLARITY = re.compile(r"(yes|no)(?=\s*(?:$|[,.;:!–—-]))", re.IGNORECASE)


def is_refusal(text: str) -> bool:
    """Whether a short text declines to answer."""
    return _REFUSAL.search(text) is not None


def final_text(response: str) -> str:
    """The part of a response that answers: a JSON list that ends it, or else its last line."""
    stripped = response.strip().removesuffix("```").strip()
    if stripped.endswith("]"):
        for begin in (stripped.rfind("\n[") + 1, stripped.find("["), stripped.rfind("[")):
            if _json_list(stripped[begin:]) is not None:
                return stripped[begin:]
    return final_line(response).strip("*` ")


def _json_list(text: str) -> list[str] | None:
    if not text.startswith("[") or len(text) > MAX_CHARS:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, list) or any(isinstance(part, list | dict | bool) or part is None for part in found):
        return None
    return [str(part) for part in found]


def split_spans(text: str) -> tuple[str, ...]:
    """The spans of an answer: elements of a JSON list, or what semicolons separate; no empty ones."""
    listed = _json_list(text)
    parts = text.split(";") if listed is None else listed
    return tuple(stripped for part in parts if (stripped := " ".join(part.split())))


def polarity(text: str) -> str:
    """``yes`` or ``no`` where a text is that word or starts with it and a mark, else ``''``."""
    match = _POLARITY.match(text.strip("\"'*( "))
    return match[1].casefold() if match else ""


def words(text: str) -> tuple[str, ...]:
    """Words without case, punctuation and articles; numbers keep their inner marks."""
    found = re.findall(r"\d[\d,.]*\d|\w+", text.casefold())
    return tuple(word.replace(",", "") for word in found if word not in ("a", "an", "the"))


def span_key(text: str) -> str:
    """One spelling for the ways to write a span: numbers in absolute terms (a percentage as a fraction), else words."""
    number = parse_number(text)
    if number is not None:
        return canonical(number.value * number.scale / (100 if number.percent else 1))
    return polarity(text) or " ".join(words(text))


class TextInterpreter:
    """Reads answers in words; needs no gold, no process, no connection (`tao.meaning.Interpreter`).

    Readings: ``empty`` for a refusal (it agrees with every other refusal and says nothing), ``invalid`` where nothing
    can be read or a line is far longer than an answer; else ``ok``, the key being the sorted keys of the spans.
    """

    name = "text"
    version = "1"

    def read(self, prompt: Prompt, answers: Sequence[str]) -> list[Reading]:
        """One reading per answer, in order."""
        return [_read(answer) for answer in answers]

    def close(self) -> None:
        """Nothing to release."""


def _read(answer: str) -> Reading:
    text = final_text(answer)
    spans = split_spans(text)
    if not spans:
        return Reading(Outcome.INVALID, detail="no answer")
    if len(text) > MAX_CHARS or len(spans) > MAX_SPANS:
        return Reading(Outcome.INVALID, detail="too long for an answer")
    if is_refusal(text):
        return Reading(Outcome.EMPTY, "", "declines to answer")
    keys = sorted(span_key(span) for span in spans)
    if not any(keys):
        return Reading(Outcome.INVALID, detail="no answer")
    return Reading(Outcome.OK, "; ".join(keys))
