"""How many samples a prompt gets: shares of a mix in whole numbers, and adaptive n.

Adaptive n holds a part of the round's samples back and spends it where a first pass disagrees. More samples of a
prompt on which all agree, or on which nothing works, teach nothing: such groups have no gradient (DAPO's dynamic
sampling, arXiv 2503.14476, section 3.2), and voting can stop early where the vote is clear (adaptive consistency,
arXiv 2305.11860). The measure here is the entropy of what a prompt's samples amount to, all that fail counting as
one answer, so that both ends come out as 0 without a rule of their own; the budget is shared in proportion to it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tao.errors import InputError


@dataclass(frozen=True, slots=True)
class Adaptive:
    """When and how the samples held back are spent.

    Attributes:
        held: Share of a prompt's samples that the first pass leaves out, in (0, 1).
        floor: Uncertainty at or below which a prompt gets no more.
        ceiling: Uncertainty above which it gets no more either; 1 for never.
        most: Samples of the second pass a prompt may get, as a multiple of the recipe's samples.
    """

    held: float = 0.5
    floor: float = 0.0
    ceiling: float = 1.0
    most: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.held < 1:
            raise InputError("a share between 0 and 1 is held back", "adaptive: held", "write 0.5")
        if not 0 <= self.floor < self.ceiling <= 1:
            raise InputError("must be ordered 0 <= floor < ceiling <= 1", "adaptive: floor, ceiling")
        if self.most <= 0:
            raise InputError("must be positive", "adaptive: most", "write 1")


def apportion(total: int, shares: Mapping[str, float], least: int = 0) -> dict[str, int]:
    """Whole numbers that sum to `total`, in proportion to shares.

    Largest remainders; ties go to the name that comes first. Where `least` takes more than a share, the largest
    surpluses give way.

    Args:
        total: At least ``least * len(shares)``.
        shares: Positive numbers.
        least: What every name gets at least.
    """
    whole = sum(shares.values())
    exact = {name: total * share / whole for name, share in shares.items()}
    counts = {name: max(least, int(value)) for name, value in exact.items()}
    short = max(0, total - sum(counts.values()))
    for name in sorted(exact, key=lambda name: counts[name] - exact[name])[:short]:
        counts[name] += 1
    while sum(counts.values()) > total:
        counts[max((n for n in counts if counts[n] > least), key=lambda name: counts[name] - exact[name])] -= 1
    return counts


def uncertainty(keys: Sequence[str | None]) -> float:
    """Entropy of a prompt's samples over what they amount to, in [0, 1].

    Shannon entropy of the shares of distinct meanings, with all samples that have none (failed, empty, cut off)
    as one more, divided by its largest possible value, ``log(samples)``.

    Args:
        keys: Meaning of each sample; None where it may not vote.
    """
    if len(keys) < 2:
        return 0.0
    shares = [count / len(keys) for count in Counter(keys).values()]
    # Rounded: the order of additions may not decide who gets a sample.
    return round(-sum(share * math.log(share) for share in shares) / math.log(len(keys)), 12) + 0.0


def allocate(uncertain: Mapping[str, float], spare: int, adaptive: Adaptive, samples: int) -> dict[str, int]:
    """Samples of the second pass by prompt: the spare ones in proportion to uncertainty, none beyond them.

    Args:
        uncertain: Prompt id to its `uncertainty` after the first pass.
        spare: All samples held back.
        adaptive: Between which uncertainties a prompt is worth more, and how much at most.
        samples: The recipe's samples per prompt.

    Returns:
        Prompts that get something; together at most `spare`, less where the most that a prompt may get binds.
    """
    most = max(1, int(adaptive.most * samples))
    open_ids = [i for i, value in uncertain.items() if adaptive.floor < value <= adaptive.ceiling]
    given: dict[str, int] = {}
    while open_ids and spare > 0:
        part = apportion(spare, {i: uncertain[i] for i in open_ids})
        full = [i for i in open_ids if part[i] >= most]
        if not full:
            return {**given, **{i: n for i, n in part.items() if n}}
        # Who would get more than the most gets just that; the rest is shared out anew.
        full = full[: max(1, spare // most)]
        given |= {i: min(most, spare) for i in full}
        spare -= sum(given[i] for i in full)
        open_ids = [i for i in open_ids if i not in given]
    return given
