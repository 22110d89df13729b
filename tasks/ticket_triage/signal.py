"""Label-free signal of ticket_triage: whether an answer could be one at all."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tao.answers.reading import final_line


def one_priority(question: str, answers: Sequence[str]) -> list[float]:
    """1 for exactly one priority and at least one team, all of them teams that the policy names; else 0."""
    policy = question.partition("\nTicket")[0].casefold()
    return [_fits(policy, answer) for answer in answers]


def _fits(policy: str, answer: str) -> float:
    parts = [part.strip().casefold() for part in re.split(r"[,;|]", final_line(answer)) if part.strip()]
    priorities = [part for part in parts if re.fullmatch(r"p[1-4]", part)]
    teams = [part for part in parts if part not in priorities]
    named = all(re.search(rf"(?<!\w){re.escape(team)}(?!\w)", policy) for team in teams)
    return float(len(priorities) == 1 and bool(teams) and named)
