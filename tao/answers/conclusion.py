"""Where a long answer says what it concludes: its first and last sentences and those that announce a result.

What is copied from a document (rows of a table, headers, page furniture) is no statement of the writer's, so it is
left out first: an answer with a filing behind it concludes what it concludes without the filing. Linear in the text,
which is cut to `MAX_CHARS` before anything is read. Needs no gold.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from tao.answers.quantities import plain_text

MAX_CHARS = 12_000
"""Longest text that is read; of a longer one a third of that from its start and the rest from its end."""

_END = re.compile(r"[.!?][\"')\]*]{0,3}[^\S\n]+(?=[\"'(*\[$]{0,3}[A-Z0-9$-])")
_ABBREVIATION = re.compile(r"\b(?:inc|corp|co|ltd|no|vs|u\.s|approx|e\.g|i\.e|dr|mr|ms|st|jr|[A-Z])\.$", re.IGNORECASE)
_CUES = frozenset(
    """therefore thus hence accordingly consequently answer answers rounded rounding rounds result overall conclude
    concludes concluded concluding conclusion final so equal equals summary summarize summarise""".split()
)
_LETTERS = re.compile(r"[a-z]+")
_MARKS = tuple("*_`#>\\")
_MARKUP = re.compile(r"[*_`#>]{1,3}|\\[\[\]()]|\\(?:text|boxed|frac|approx|times)")
_DIGIT_RUN = re.compile(r"\d[\d,.]*")
_FIGURE = re.compile(r"(?!(?:19|20)\d\d(?![\d,]|\.\d))(?<![\d,.])\d[\d,.]*")
_WORD = re.compile(r"[A-Za-z]{2,}")
_ENDS = frozenset(".!?:;,)]\"'")
_ITEM = re.compile(r"\s*(?:[-*•+]|\(?\w{1,3}[.)])\s")
_RUN = 8
_GAP = 2
MAX_SENTENCE = 1000
"""A longer stretch without an end is no sentence."""
_STATES = re.compile(r"[A-Za-z]{2}|[=≈]")
_COPIED = 3
_LISTED = 4
"""From so many sentences on that are bare numbers, they are a list of guesses."""
_QUESTION = re.compile(r"[?]\W*$")
_VERB = re.compile(
    r"\b(?:is|are|was|were|be|been|has|have|had|do|does|did|can|could|will|would|may|shows?|"
    r"increas\w+|decreas\w+|declin\w+|gr[eo]w\w*|drove|driven|equals?|amount\w*|report\w*|provid\w*|paid|pays?|"
    r"spent|spends?|invested|earned|recorded|generated|rose|fell|stood|came|went|total(?:l?ed|s)|compared|versus|vs)\b",
    re.IGNORECASE,
)


def clean(text: str) -> str:
    """The text to read: cut to `MAX_CHARS`, one spelling of signs, marks of emphasis taken out."""
    if len(text) > MAX_CHARS:
        start, end = text[: MAX_CHARS // 3], text[-2 * MAX_CHARS // 3 :]
        text = start[: start.rfind(" ") + 1] + "\n" + end[end.find(" ") + 1 :]  # no number is cut in two
    if any(mark in text for mark in _MARKS):
        text = _MARKUP.sub("", text)
    return plain_text(text)


def is_table_row(line: str) -> bool:
    """Whether a line is a row of figures: three or more beside years, no verb and no equation to state anything."""
    if "=" in line or "/" in line:
        return False
    if len(_DIGIT_RUN.findall(line)) < 3:  # the cheaper count settles most lines
        return False
    numbers = len(_FIGURE.findall(line))
    if numbers < 3:
        return False
    return len(_WORD.findall(line)) <= 3 * numbers and _VERB.search(line) is None


def _is_fragment(line: str) -> bool:
    """Whether a line neither ends, nor itemises, nor equates anything."""
    return line.rstrip()[-1:] not in _ENDS and "=" not in line and _ITEM.match(line) is None


def without_documents(text: str) -> str:
    """Leave out pages of a document: runs of 8 or more lines that neither end nor itemise nor equate anything.

    Such lines are headings, cells and wrapped print. Up to two complete lines in between belong to a run, and what
    stands between two runs belongs to the document.
    """
    if text.count("\n") < _RUN - 1:
        return text
    lines = [line for line in text.split("\n") if line.strip()]
    if sum(_is_fragment(line) for line in lines) < _RUN:
        return text
    first, last = len(lines), -1
    start = fragments = gap = end = 0
    for index, line in enumerate([*lines, ".", ".", "."]):
        if not _is_fragment(line):
            gap += 1
            if gap <= _GAP:
                continue
            if fragments >= _RUN:
                first, last = min(first, start), end
            fragments = 0
        else:
            if not fragments:
                start = index
            fragments, gap, end = fragments + 1, 0, index
    return "\n".join(lines[:first] + lines[last + 1 :]) if last >= 0 else text


def sentences(text: str, question: str = "") -> list[str]:
    """Split cleaned text at ends of sentences and lines, without what states nothing.

    Left out: rows of figures, questions, what only repeats the question, stretches of more than `MAX_SENTENCE`
    characters without an end, and numbers without a word from four such sentences on.

    Args:
        text: Cleaned text (`clean`), without documents (`without_documents`).
        question: The question that was asked.
    """
    parts = [part for part in pieces(text) if states(part, question)]
    return without_listed(parts)


def pieces(text: str) -> list[str]:
    """Split cleaned text at ends of sentences and lines."""
    parts: list[str] = []
    for line in text.split("\n"):
        start = 0
        for match in _END.finditer(line):
            if line[match.start()] == "." and _ABBREVIATION.search(line, max(0, match.start() - 12), match.start() + 1):
                continue
            if part := line[start : match.end()].strip():
                parts.append(part)
            start = match.end()
        if part := line[start:].strip():
            parts.append(part)
    return parts


def without_listed(parts: list[str]) -> list[str]:
    """Leave out numbers without a word where there are so many of them that they are a list of guesses."""
    bare = sum(_STATES.search(part) is None for part in parts)
    return parts if bare < _LISTED else [part for part in parts if _STATES.search(part)]


def states(part: str, question: str = "") -> bool:
    """Whether a piece says something: no row of figures, no question, no repetition of the question asked."""
    if len(part) > MAX_SENTENCE or ("?" in part[-4:] and _QUESTION.search(part)) or is_table_row(part):
        return False
    asked = _folded(question)
    return not (15 < len(part) <= len(asked) and " ".join(part.split()).casefold() in asked)


def is_copy(parts: Sequence[str], source: str) -> bool:
    """Whether an answer of three or more sentences holds nothing but sentences of a source: a copy, not an answer."""
    if len(parts) < _COPIED:
        return False
    folded = _folded_source(source)
    return all(" ".join(part.split()).casefold() in folded for part in parts)


@lru_cache(maxsize=64)
def _folded_source(source: str) -> str:
    return " ".join(_MARKUP.sub("", plain_text(source)).split()).casefold()


@lru_cache(maxsize=4096)
def _folded(text: str) -> str:
    return " ".join(plain_text(text).split()).casefold()


def announces(sentence: str) -> bool:
    """Whether a sentence says that it gives the result: an equation, ``therefore``, ``the answer``, ``rounded``."""
    return "=" in sentence or "≈" in sentence or not _CUES.isdisjoint(_LETTERS.findall(sentence.lower()))


def conclusion(parts: Sequence[str], first: int = 1, last: int = 1, announced: int = 3) -> list[int]:
    """Indices of the sentences that conclude: the first and last few, and the last few that announce a result."""
    chosen = set(range(min(first, len(parts)))) | set(range(max(0, len(parts) - last), len(parts)))
    cues = [index for index, part in enumerate(parts) if announces(part)]
    chosen.update(cues[-announced:] if announced else [])
    return sorted(chosen)
