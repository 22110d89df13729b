"""Golds that allow for several answers: a list of queries, and columns in braces of which any will do."""

from __future__ import annotations

import itertools
import re

MAX_ALTERNATIVES = 256
_PART = re.compile(r"'(?:[^'\\]|''|\\.)*'|\"(?:[^\"\\]|\\.)*\"|`[^`]*`|--[^\n]*|/\*.*?\*/|[{}]", re.DOTALL)
_ALIAS = re.compile(r"\s+AS\s+(\w+|`[^`]*`)\s*$", re.IGNORECASE)


def gold_alternatives(sql: str) -> list[str] | None:
    """Every query that a gold with column options stands for, in the notation of Defog's sql-eval.

    ``SELECT {a, b}, c FROM t GROUP BY {}`` accepts any non-empty subset of the columns in braces; an
    empty pair repeats the choice of the pair before it, without aliases. Braces in strings, quoted names and
    comments are text. Unlike there, a comma inside parentheses does not divide options.

    Returns:
        The queries, fewest columns first; the text itself if it has no braces; None where braces do not
        match, the first pair is empty, or there would be more than `MAX_ALTERNATIVES`.
    """
    marks = [match.start() for match in _PART.finditer(sql) if match.group() in "{}"]
    if "".join(sql[mark] for mark in marks) != "{}" * (len(marks) // 2):
        return None
    pieces: list[str] = []
    choices: list[list[str] | None] = []
    end = 0
    for start, stop in zip(marks[::2], marks[1::2], strict=True):
        pieces.append(sql[end:start])
        options = _options(sql[start + 1 : stop])
        if not options and not choices:
            return None
        choices.append(options or None)
        end = stop + 1
    subsets = [_subsets(options) for options in choices if options is not None]
    count = 1
    for subset in subsets:
        count *= len(subset)
    if count > MAX_ALTERNATIVES:
        return None
    found = []
    for chosen in sorted(itertools.product(*subsets), key=lambda parts: sum(map(len, parts))):
        text, later = "", iter(chosen)
        last: tuple[str, ...] = ()
        for piece, choice in zip(pieces, choices, strict=True):
            if choice is None:
                text += piece + ", ".join(_ALIAS.sub("", option) for option in last)
            else:
                last = next(later)
                text += piece + ", ".join(last)
        found.append(text + sql[end:])
    return found


def _options(text: str) -> list[str]:
    """Column options, divided at commas outside parentheses and quotes."""
    parts, depth = [""], 0
    for token in re.findall(r"'(?:[^']|'')*'|`[^`]*`|\"[^\"]*\"|.", text, re.DOTALL):
        depth += (token == "(") - (token == ")")
        if token == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += token
    return [part.strip() for part in parts if part.strip()]


def _subsets(options: list[str]) -> list[tuple[str, ...]]:
    sizes = range(1, len(options) + 1) if len(options) < 16 else range(0)
    return [part for size in sizes for part in itertools.combinations(options, size)] or [()] * (MAX_ALTERNATIVES + 1)
