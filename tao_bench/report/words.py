"""Figures and findings in words. A negative result gets the same sentence as a positive one."""

from __future__ import annotations

import math
from collections.abc import Iterable

from tao_bench.report.analysis import TaskReport
from tao_bench.report.blocks import Finding, Value
from tao_bench.stats import Estimate, LabelsEquivalent, Recovery

_UNITS = ((1e18, "EFLOP"), (1e15, "PFLOP"), (1e12, "TFLOP"), (1e9, "GFLOP"), (1e6, "MFLOP"))


def percent(value: float) -> str:
    """0.4567 -> '45.7'."""
    return f"{100 * value:.1f}".replace("-", "−")


def points(value: float) -> str:
    """0.0123 -> '+1.2' (percentage points)."""
    text = f"{100 * value:+.1f}".replace("-", "−")
    return "0.0" if text in ("+0.0", "−0.0") else text


def span(est: Estimate, show: str = "percent") -> str:
    """The interval: '[40.1, 51.2]'."""
    form = {"percent": percent, "points": points}[show]
    return f"[{form(est.low)}, {form(est.high)}]"


def p_text(p: float | None) -> str:
    """A p-value for a table cell."""
    if p is None:
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def count(value: float) -> str:
    """A count: thousands with commas, a mean over seeds with one decimal."""
    return f"{value:,.0f}" if abs(value - round(value)) < 1e-9 else f"{value:,.1f}"


def labels_text(value: float, est: LabelsEquivalent) -> str:
    """A number of labels, censored at the curve's ends; two significant digits."""
    if value == math.inf:
        return f"> {est.largest:,}"
    if value == -math.inf:
        return f"< {est.smallest:,}"
    digits = max(0, math.floor(math.log10(value)) - 1)
    return f"{round(value / 10**digits) * 10**digits:,}"


def labels_span(est: LabelsEquivalent) -> str:
    """The interval of a number of labels."""
    return f"[{labels_text(est.low, est)}, {labels_text(est.high, est)}]"


def unit_of(flops: Iterable[float]) -> tuple[float, str]:
    """The unit in which a set of FLOP counts reads best, from their median."""
    known = sorted(f for f in flops if f > 0)
    middle = known[len(known) // 2] if known else 1e12
    return next((pair for pair in _UNITS if middle >= pair[0]), _UNITS[-1])


def flop_text(value: float, scale: float) -> str:
    """FLOPs in a unit, three significant digits."""
    if value <= 0:
        return "0"
    shown = value / scale
    digits = max(0, 2 - math.floor(math.log10(shown)))
    return f"{shown:,.{min(digits, 6)}f}"


def estimate_value(est: Estimate | None, show: str = "percent") -> Value:
    """A table cell of an estimate."""
    if est is None:
        return Value("–")
    sign = "†" if est.n_seeds == 1 else ""
    return Value(points(est.value) if show == "points" else percent(est.value), span(est, show), sign)


def recovery_text(found: Recovery | None) -> Value:
    """A table cell of a recovery."""
    if found is None or found.value is None:
        return Value("–", found.why_absent if found else "")
    return Value(f"{found.value:.2f}", f"[{found.low:.2f}, {found.high:.2f}]".replace("-", "−"))


def findings(report: TaskReport, unit: tuple[float, str]) -> list[Finding]:
    """One sentence per hypothesis about a task."""
    return [_gain(report), _trend(report, unit), _recovery(report), _equivalent(report)]


def _gain(report: TaskReport) -> Finding:
    question = "TAO above base?"
    tao, base = report.headline, report.base
    if tao is None or base is None or tao.vs_base is None:
        if tao is None and any(arm.arm == "tao" for arm in report.arms):
            return Finding(question, "Absent", "No TAO arm was tuned on this task; see the table of all tasks.")
        return Finding(question, "Absent", f"There is no {'TAO arm' if tao is None else 'base'} in this experiment.")
    est, p = tao.vs_base, report.p_base.get(tao.label)
    numbers = (
        f"{tao.label} answers {percent(tao.accuracy.value)} % of {report.n_items:,} items, the base "
        f"{percent(base.accuracy.value)} %: {points(est.value)} points {span(est, 'points')}, "
        f"p {_p_words(p)} after Holm's correction."
    )
    clear = est.clear_of_zero and (p is None or p <= 0.05)
    if clear and est.value > 0:
        return Finding(question, "Yes", numbers + _seed_words(est) + _length_words(report))
    if clear:
        return Finding(question, "No, below", numbers + _seed_words(est))
    bounds = f" Gains above {percent(max(0.0, est.high))} points are outside the interval."
    return Finding(question, "Not shown", numbers + bounds + _seed_words(est))


def _p_words(p: float | None) -> str:
    text = p_text(p)
    return text if text.startswith("<") else f"= {text}"


def _seed_words(est: Estimate) -> str:
    return " One seed: the interval says nothing about other seeds." if est.n_seeds == 1 else ""


def _length_words(report: TaskReport) -> str:
    tao, base = report.headline, report.base
    if tao is None or base is None or not tao.longer:
        return ""
    ratio = tao.tok_mean / base.tok_mean
    return f" The gain comes with answers {ratio:.1f} times as long, so it is in part bought at inference."


def _trend(report: TaskReport, unit: tuple[float, str]) -> Finding:
    question = "Does accuracy rise with tuning compute?"
    curve = report.curve
    if curve is None or curve.trend is None:
        return Finding(question, "Absent", "A trend needs TAO arms at two or more budgets.")
    est, last, peak = curve.trend, curve.arms[-1], curve.peak
    at = f"{flop_text(peak.flop, unit[0])} {unit[1]}"
    text = (
        f"{points(est.value)} points per tenfold compute {span(est, 'points')}, over {curve.decades:.1f} decades and "
        f"{len(curve.arms)} budgets. "
    )
    if curve.drop is None:
        text += f"The largest budget, {at}, is the best: {percent(last.accuracy.value)} %."
    else:
        text += (
            f"The peak is {percent(peak.accuracy.value)} % at {at} ({peak.label}); the largest budget reaches "
            f"{percent(last.accuracy.value)} %, {points(curve.drop.value)} points {span(curve.drop, 'points')} from it "
            "(the peak is picked on these items, which overstates the drop)."
        )
    # The drop is picked among the other budgets, so it has to pass a test that allows for the choice.
    fell = curve.drop is not None and curve.drop.p is not None and curve.drop.p <= 0.05 / (len(curve.arms) - 1)
    if fell:
        answer = "No, it falls" if peak is curve.arms[0] else "No, it rises and then falls"
    else:
        answer = "Yes" if est.low > 0 else "No, it falls" if est.high < 0 else "Not shown, flat within the interval"
    return Finding(question, answer, text + _seed_words(est))


def _recovery(report: TaskReport) -> Finding:
    question = "Recovery above 1?"
    found = report.recovery
    if found is None:
        return Finding(question, "Absent", "Recovery needs base, base with voting, and TAO.")
    name = report.maj.label if report.maj else ""
    headroom = f"{name} gains {points(found.headroom.value)} points {span(found.headroom, 'points')} over greedy"
    if found.value is None:
        return Finding(question, "Absent", f"{headroom}; no ratio is given: {found.why_absent}.")
    value = recovery_text(found)
    text = f"TAO's gain is {value.main} times that of voting {value.sub}: {headroom}, TAO {points(found.gain.value)}."
    if found.low > 1:
        return Finding(question, "Yes", text + " It passed its own teacher.")
    if found.high < 1:
        return Finding(question, "No", text + " Part of what voting finds did not reach the weights.")
    return Finding(question, "Not shown", text + " The interval holds 1.")


def _equivalent(report: TaskReport) -> Finding:
    question = "How many labels does SFT need to match TAO?"
    est = report.equivalent
    if est is None:
        return Finding(question, "Absent", "Labels-equivalent needs SFT arms and TAO.")
    curve = f"SFT ran at {', '.join(f'{a.labels:,}' for a in report.sft)} labels"
    if est.low == -math.inf and est.high == math.inf:
        tail = "the data do not narrow it down within this range"
    elif est.low == math.inf:
        tail = f"TAO is above SFT at every one, {est.largest:,} labels included"
    elif est.high == -math.inf:
        tail = f"TAO is below SFT at every one, {est.smallest:,} labels included"
    else:
        tail = "interpolated in log labels along isotonic means"
    return Finding(
        question, f"{labels_text(est.value, est)} labels", f"95 % interval {labels_span(est)}; {curve}; {tail}."
    )
