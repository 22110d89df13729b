"""The headline figures: the curve's slope, recovery, labels-equivalent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tao.errors import InputError
from tao_bench.stats.contrasts import Array, Estimate, Scores, align, contrast, difference


def slope(arms: Sequence[Scores], x: Sequence[float]) -> Estimate:
    """Least-squares slope of accuracy on x (log10 of tuning FLOPs: accuracy per decade) with its interval.

    Arms with the same seeds are taken as related runs: the slope of each seed is one draw.

    Raises:
        InputError: Fewer than two different x.
    """
    at = np.asarray(x, dtype=np.float64)
    if len(at) != len(arms) or len(set(at.tolist())) < 2:
        raise InputError("a slope needs arms at two or more different budgets")
    weights = (at - at.mean()) / ((at - at.mean()) ** 2).sum()
    aligned = list(align({str(i): arm for i, arm in enumerate(arms)}).values())
    first = aligned[0]
    if all(arm.seeds == first.seeds for arm in aligned):
        per_seed = sum((w * arm.correct for w, arm in zip(weights, aligned, strict=True)), np.zeros_like(first.correct))
        return contrast([(1.0, replace(first, correct=per_seed))])
    return contrast(list(zip(weights.tolist(), aligned, strict=True)))


@dataclass(frozen=True)
class Recovery:
    """Share of the base's voting gain that tuning moved into the weights.

    Attributes:
        value: (TAO - base) / (base maj@n - base); None where it may not be printed.
        low: Lower end of the 95 % Fieller interval.
        high: Upper end.
        gain: The numerator.
        headroom: The denominator.
        why_absent: Reason in words where value is None, else ''.
    """

    value: float | None
    low: float
    high: float
    gain: Estimate
    headroom: Estimate
    why_absent: str = ""


def recovery(tao: Scores, base: Scores, maj: Scores) -> Recovery:
    """Recovery with its Fieller interval: all ratios r for which TAO - base - r (maj - base) is compatible with 0.

    Absent unless the denominator's interval lies above 0, which is also when the interval is bounded.
    """
    arms = align({"tao": tao, "base": base, "maj": maj})
    tao, base, maj = arms["tao"], arms["base"], arms["maj"]
    gain, headroom = difference(tao, base), difference(maj, base)

    def excess(ratio: float) -> float:
        est = contrast([(1.0, tao), (ratio - 1.0, base), (-ratio, maj)])
        return -1.0 if est.low <= 0 <= est.high else 1.0

    if headroom.low <= 0:
        why = "voting does not clearly help the base (its gain's interval is not above 0)"
        return Recovery(None, math.nan, math.nan, gain, headroom, why)
    ratio = gain.value / headroom.value
    ends = []
    for sign in (-1.0, 1.0):
        step = 0.01
        while excess(ratio + sign * step) < 0 and step < 1e4:
            step *= 2
        if step >= 1e4:
            why = "the ratio's interval is unbounded"
            return Recovery(None, math.nan, math.nan, gain, headroom, why)
        inside, outside = 0.0, step
        for _ in range(40):
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if excess(ratio + sign * middle) < 0 else (inside, middle)
        ends.append(ratio + sign * inside)
    return Recovery(ratio, ends[0], ends[1], gain, headroom)


@dataclass(frozen=True)
class LabelsEquivalent:
    """Labels at which supervised fine-tuning meets TAO.

    Attributes:
        value: Labels; -inf below `smallest`, inf above `largest` (censored).
        low: Lower end of the 95 % interval, censored alike.
        high: Upper end.
        smallest: Fewest labels of the curve.
        largest: Most labels of the curve.
    """

    value: float
    low: float
    high: float
    smallest: int
    largest: int


def labels_equivalent(sft: Mapping[int, Scores], tao: Scores, points: int = 240) -> LabelsEquivalent:
    """Where the SFT curve (isotonic means, linear in log labels) meets TAO's accuracy.

    The interval holds all label counts at which SFT and TAO cannot be told apart at the 5 % level. That is the
    inversion of the same contrast as everywhere (items paired, clusters and seeds), so it needs no random
    numbers and keeps its coverage with three seeds, where a percentile bootstrap over seeds does not.

    Args:
        sft: Label count to arm.
        tao: The arm to place on the curve.
        points: Resolution of the interval, in steps of equal ratio.

    Raises:
        InputError: No arms, a label count below 1, or different items.
    """
    counts = sorted(sft)
    if not counts or counts[0] < 1:
        raise InputError("labels-equivalent needs SFT arms at one or more labels")
    arms = align({"tao": tao} | {str(count): sft[count] for count in counts})
    target, curve = arms["tao"], [arms[str(count)] for count in counts]
    pool = _isotonic_weights([float(arm.correct.mean()) for arm in curve])
    fitted = pool @ np.array([arm.correct.mean() for arm in curve])
    goal = float(target.correct.mean())
    logs = np.log(np.array(counts, dtype=np.float64))

    def ends(low: float, high: float) -> tuple[float, float]:
        return (-math.inf if low <= logs[0] else math.exp(low)), (math.inf if high >= logs[-1] else math.exp(high))

    grid = np.linspace(logs[0], logs[-1], points) if len(counts) > 1 else logs
    verdicts = []
    for at in grid:
        weights = np.array([np.interp(at, logs, pool[:, j]) for j in range(len(counts))])
        est = contrast([(1.0, target)] + [(-w, arm) for w, arm in zip(weights, curve, strict=True) if w > 0])
        verdicts.append(0 if est.low <= 0 <= est.high else (1 if est.low > 0 else -1))
    same = [i for i, verdict in enumerate(verdicts) if verdict == 0]
    if same:
        low, high = ends(grid[same[0]], grid[same[-1]])
    elif verdicts[0] < 0 or verdicts[-1] > 0:
        low = high = -math.inf if verdicts[0] < 0 else math.inf
    else:  # the curve jumps over TAO between two grid points
        last = max(i for i, verdict in enumerate(verdicts) if verdict > 0)
        low = high = math.exp((grid[last] + grid[last + 1]) / 2)
    if goal <= fitted[0]:
        value = -math.inf
    elif goal > fitted[-1]:
        value = math.inf
    else:
        j = int(np.searchsorted(fitted, goal))
        value = math.exp(np.interp(goal, fitted[j - 1 : j + 1], logs[j - 1 : j + 1]))
    return LabelsEquivalent(value, min(low, value), max(high, value), counts[0], counts[-1])


def _isotonic_weights(means: Sequence[float]) -> Array:
    """Matrix of the pool-adjacent-violators fit: fitted = weights @ means, shape (k, k)."""
    blocks: list[list[int]] = []
    for i in range(len(means)):
        blocks.append([i])
        while len(blocks) > 1 and np.mean([means[j] for j in blocks[-2]]) > np.mean([means[j] for j in blocks[-1]]):
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    weights = np.zeros((len(means), len(means)))
    for block in blocks:
        weights[np.ix_(block, block)] = 1 / len(block)
    return weights
