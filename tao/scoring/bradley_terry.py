"""Strengths from paired comparisons (Bradley and Terry 1952), by minorisation-maximisation (Hunter 2004, section 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

PRIOR: Final = 1.0
"""Every item also drew so many games against an item of strength 1: who won all his games has a finite strength."""
TOLERANCE: Final = 1e-10
MOST_STEPS: Final = 10_000


def strengths(wins: Mapping[tuple[int, int], float], items: int) -> list[float | None]:
    """Chance of each item to beat an average one.

    Args:
        wins: (winner, loser) to the games won; a tie is half a win for either.
        items: How many items there are, numbered from 0.

    Returns:
        Values in (0, 1), 0.5 for an item that does as well as the average one; None for an item that played no game.
    """
    games: dict[tuple[int, int], float] = {}
    won = [PRIOR / 2] * items
    for (winner, loser), count in wins.items():
        won[winner] += count
        for pair in ((winner, loser), (loser, winner)):
            games[pair] = games.get(pair, 0.0) + count
    strength = [1.0] * items
    for _ in range(MOST_STEPS):
        faced = [PRIOR / (own + 1.0) for own in strength]
        for (one, other), count in games.items():
            faced[one] += count / (strength[one] + strength[other])
        new = [w / f for w, f in zip(won, faced, strict=True)]
        moved = max((abs(a - b) / b for a, b in zip(new, strength, strict=True)), default=0.0)
        strength = new
        if moved < TOLERANCE:
            break
    played = {one for one, _ in games}
    return [own / (own + 1.0) if item in played else None for item, own in enumerate(strength)]
