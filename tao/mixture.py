"""One model tuned on several pools: a mixture in which every prompt keeps its own interpreter and signals.

The loop sees one pool and one interpreter. What a prompt belongs to is said by its id, ``PART/ID``; the mixed
interpreter and the mixed signals hand it to its own part. Figures and alarms exist for every part as well as for the
whole: a part that collapses must not hide in the mean.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from tao.errors import InputError
from tao.meaning import Interpreter, Reading
from tao.prompts import Prompt
from tao.rounds import WATCHED, Round
from tao.scoring.alarms import Alarm, AlarmLimits, alarms
from tao.scoring.score import ScoredRound
from tao.scoring.signals import Signal, Weighed
from tao.scoring.stats import RoundStats

SEPARATOR = "/"
"""Between the name of a part and the id that a prompt has in it."""


def turns(weights: Mapping[str, float]) -> Iterator[str]:
    """Whose turn it is, for ever, so that shares are kept all the way and not only in the end.

    Earliest deadline first: turn j of a part of share w falls in slots floor(j/w) to ceil((j+1)/w) - 1. So among the
    first k turns every part has its share of k to within one (Liu & Layland 1973; Baruah et al. 1996), a longer list
    begins with the shorter one, and any stretch of it holds a part's share to within two.

    Args:
        weights: Part to its weight, positive; only their ratios matter. Ties go to the part named first.

    Raises:
        InputError: No part, or a weight that is not positive and finite.
    """
    if not weights or not all(math.isfinite(weight) and weight > 0 for weight in weights.values()):
        raise InputError(f"weights {dict(weights)} are no mixture", fix="give every part a positive weight")
    exact = {name: Fraction(str(weight)) for name, weight in weights.items()}
    whole = sum(exact.values(), Fraction(0))
    share = {name: weight / whole for name, weight in exact.items()}
    taken = dict.fromkeys(share, 0)
    slot = 0
    while True:
        ready = [name for name in share if math.floor(taken[name] / share[name]) <= slot]
        name = min(ready, key=lambda part: math.ceil((taken[part] + 1) / share[part]))
        taken[name] += 1
        slot += 1
        yield name


def shares(weights: Mapping[str, float], count: int) -> dict[str, int]:
    """How many of the first `count` turns each part has."""
    found = dict.fromkeys(weights, 0)
    for name, _ in zip(turns(weights), range(count), strict=False):
        found[name] += 1
    return found


def named(part: str, prompt: Prompt) -> Prompt:
    """A prompt as the mixture calls it."""
    return replace(prompt, id=f"{part}{SEPARATOR}{prompt.id}")


def mixed(pools: Mapping[str, Sequence[Prompt]], weights: Mapping[str, float]) -> list[Prompt]:
    """One pool from several, by `turns`: a round that takes the next prompts of it takes them in these shares.

    Every part is read in its own order, from its start. The mixture ends where a part whose turn it is has no
    prompt left: going on would change the shares, and a prompt cannot stand in a pool twice.

    Args:
        pools: Part to its pool.
        weights: Part to its weight.

    Raises:
        InputError: A part without weight or without prompts, or a name with the separator in it.
    """
    if pools.keys() != weights.keys():
        raise InputError("every part of a mixture needs a weight", ", ".join(sorted(pools.keys() ^ weights.keys())))
    for name, pool in pools.items():
        if SEPARATOR in name or not pool:
            raise InputError("a part needs a name without '/', and prompts", name)
    left = {name: iter(pool) for name, pool in pools.items()}
    found: list[Prompt] = []
    for name in turns(weights):
        prompt = next(left[name], None)
        if prompt is None:
            return found
        found.append(named(name, prompt))
    raise AssertionError("turns never end")


def part_of(prompt: Prompt) -> str:
    """The part a mixture's prompt belongs to."""
    return prompt.id.partition(SEPARATOR)[0]


def _own(prompt: Prompt) -> Prompt:
    """The prompt as its part knows it."""
    return replace(prompt, id=prompt.id.partition(SEPARATOR)[2])


class MixedInterpreter:
    """Reads every answer by the interpreter of its prompt's part.

    Args:
        parts: Part to its interpreter; closed with this.
    """

    name = "mixture"

    def __init__(self, parts: Mapping[str, Interpreter]) -> None:
        self._parts = dict(parts)
        self.version = ",".join(f"{part}={one.name}@{one.version}" for part, one in sorted(self._parts.items()))

    def read(self, prompt: Prompt, answers: Sequence[str]) -> list[Reading]:
        """One reading per answer, in order."""
        return self._parts[part_of(prompt)].read(_own(prompt), answers)

    def close(self) -> None:
        """Close all of them."""
        for one in self._parts.values():
            one.close()


@dataclass(frozen=True, slots=True)
class PartSignal:
    """A signal of one part: no evidence about the prompts of others."""

    part: str
    signal: Signal

    @property
    def name(self) -> str:
        """With the part's name before it."""
        return f"{self.part}{SEPARATOR}{self.signal.name}"

    @property
    def version(self) -> str:
        """The signal's."""
        return self.signal.version

    def values(self, prompt: Prompt, answers: Sequence[str]) -> list[float | None]:
        """The signal's values on prompts of its part, None on others."""
        return self.signal.values(_own(prompt), answers) if part_of(prompt) == self.part else [None] * len(answers)

    def flop(self, prompt: Prompt, answers: Sequence[str]) -> int:
        """The signal's FLOPs on prompts of its part."""
        return self.signal.flop(_own(prompt), answers) if part_of(prompt) == self.part else 0

    def close(self) -> None:
        """Close the signal."""
        self.signal.close()


def of_part(part: str, signals: Sequence[Weighed]) -> list[Weighed]:
    """A part's own signals, silent about the prompts of the others."""
    return [replace(one, signal=PartSignal(part, one.signal)) for one in signals]


def part_stats(scored: ScoredRound, interpreter: Interpreter) -> dict[str, RoundStats]:
    """A round's figures by part; none where the pool is no mixture."""
    if not isinstance(interpreter, MixedInterpreter):
        return {}
    by_part: dict[str, list[Prompt]] = {}
    for prompt in scored.prompts:
        by_part.setdefault(part_of(prompt), []).append(prompt)
    return {part: scored.only(by_part[part]).stats() for part in sorted(by_part)}


def limits_of(prompts: int) -> AlarmLimits:
    """Limits for a part of a round: shares of few prompts vary more, so that fewer than `WATCHED` need a larger fall.

    The limits on shares are so many standard errors of `WATCHED` prompts; they grow as the standard error does.
    """
    usual, wider = AlarmLimits(), max(1.0, math.sqrt(WATCHED / max(1, prompts)))
    return replace(usual, run_rate=usual.run_rate * wider, top_answer=usual.top_answer * wider)


def raised(past: Sequence[Round], stats: RoundStats, parts: Mapping[str, RoundStats]) -> tuple[Alarm, ...]:
    """The alarms of a round: of the whole, then of every part, whose name stands before the alarm's.

    Args:
        past: The rounds before, oldest first.
        stats: The newest round's figures.
        parts: The same by part.
    """
    found = alarms([*(done.stats for done in past), stats])
    for part, own in parts.items():
        history = [*(done.parts[part] for done in past if part in done.parts), own]
        limits = limits_of(min(one.prompts for one in history))
        found += [Alarm(f"{part}{SEPARATOR}{a.name}", f"{part}: {a.message}") for a in alarms(history, limits)]
    return tuple(found)
