"""Label-free signal of enterprise_arena: how much of what the instruction itself asks for can be seen in a reply.

It reads the instruction as a person would, without the gold's rules: length, opening, closing, points, a banned name.
Which facts are right it cannot know.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

Check = Callable[[str], bool]


def keeps_the_form(question: str, answers: Sequence[str]) -> list[float]:
    """Share of the visible demands that each reply keeps; 0 for nothing said or the request repeated."""
    asked = question.rpartition("Question: ")[2]
    checks = list(_checks(asked))
    return [
        0.0
        if not text.strip() or asked in text
        else (sum(check(text) for check in checks) / len(checks))
        if checks
        else 0.5
        for text in answers
    ]


def _checks(asked: str) -> list[Check]:
    found: list[Check] = []
    if match := re.search(r"(?:at most|no more than) (\d+) words", asked):
        most = int(match[1])
        found.append(lambda text: 8 <= len(text.split()) <= most)
    if match := re.search(r"[Oo]pen with \"([^\"]+)\"", asked):
        opening = match[1]
        found.append(lambda text: text.lstrip().casefold().startswith(opening.casefold()))
    if match := re.search(r"(?:[Ee]nd|close) with \"([^\"]+)\"", asked):
        closing = match[1]
        found.append(lambda text: text.rstrip(" .\n").casefold().endswith(closing.casefold().rstrip(".")))
    if match := re.search(r"exactly (\d) points", asked):
        points = int(match[1])
        found.append(lambda text: len(re.findall(r"^- ", text, re.MULTILINE)) == points)
    for name in re.findall(r"Do not name (\w+)", asked):
        found.append(lambda text, name=name: name.casefold() not in text.casefold())  # type: ignore[misc]
    return found
