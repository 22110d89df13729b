"""Formula families: the formulas that FinanceBench questions use, as programs over cells, with their near misses.

In programs, ``{a0}`` is line a in the year asked about, ``{a1}`` and ``{a2}`` one and two years earlier; ``{aN}`` is the
first year of a span of ``{n}`` years. In formulas (words), ``{a}`` names the line, ``{y}``, ``{o}``, ``{oo}``, ``{s}``
those years. `Family.variants` are other readings that a careless reader could take; an item whose variant comes within
two tolerances of its gold is dropped (`questions.survives`).
"""

from __future__ import annotations

from dataclasses import dataclass

AMOUNT, PERCENT, RATIO, DAYS = "amount", "percent", "ratio", "days"
EXTRACT, FORMULA, MULTI = "extract", "formula", "multi_year"


@dataclass(frozen=True, slots=True)
class Family:
    """One formula.

    Attributes:
        level: `EXTRACT`, `FORMULA` or `MULTI`.
        unit: Of its value.
        program: Over ``{a0}``...; single spaces around operators and parentheses.
        names: What the figure is called; empty where a line's own name is the figure.
        formula: Wordings of the formula.
        operands: Alternatives, each the concepts of letters a, b, c, d.
        positive: Letters whose amount must be above 0 in every year used, lest the sign mean nothing.
        variants: Other programs that must miss the gold.
        spans: Span lengths in years for programs with ``{n}``.
        held_out: Asked in the test split only, as level ``family``.
        points: A difference of percentages: the unit is said as percentage points.
    """

    level: str
    unit: str
    program: str
    names: tuple[str, ...]
    formula: tuple[str, ...]
    operands: tuple[tuple[str, ...], ...]
    positive: str = ""
    variants: tuple[str, ...] = ()
    spans: tuple[int, ...] = ()
    held_out: bool = False
    points: bool = False


def _each(text: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(group.split("/")) for group in text.split())


_EXTRACTED = _each(
    "capex ppe rev cogs ni inv rec pay tca ta tcl tl ocf div capex ppe rev cogs ni inv rec pay tca ta tcl tl ocf div "
    "gp oi int pbt tax cash sti gw ltd std re te da icf fcf buy seg_a seg_b seg_c opx sga acc"
)
_AVERAGE = (
    "{a} of {y} divided by the average of {b} at the ends of {o} and {y}",
    "{a} of {y} / (average {b} between {o} and {y})",
)
_DIO = "365 * ( ( {a0} + {a1} ) / 2 ) / {b0}"
_DSO = "365 * ( ( {c0} + {c1} ) / 2 ) / {d0}"
_DPO = "365 * ( ( {e0} + {e1} ) / 2 ) / ( {b0} + {a0} - {a1} )"


def _mean(program: str) -> str:
    """The mean over three years of a program for one year."""
    years = [program] + [_back(program, years) for years in (1, 2)]
    return f"( {years[0]} + {years[1]} + {years[2]} ) / 3"


def _back(program: str, years: int) -> str:
    for letter in "abcde":
        program = program.replace(f"{{{letter}0}}", f"{{{letter}{years}}}")
    return program


FAMILIES: dict[str, Family] = {
    "line": Family(EXTRACT, AMOUNT, "{a0}", (), ("{a}",), _EXTRACTED),
    "line_rescaled": Family(
        EXTRACT, AMOUNT, "{a0} / 1000", (), ("{a}",), _each("capex ppe rev cogs ni inv rec pay tca ta tcl tl ocf div"), "a"
    ),
    "days_payable": Family(
        FORMULA, DAYS, "365 * ( ( {a0} + {a1} ) / 2 ) / ( {b0} + {c0} - {c1} )", ("days payable outstanding (DPO)",),
        (
            "365 * (average {a} between {o} and {y}) / ({b} of {y} + change in {c} between {o} and {y})",
            "365 times the average of {a} at the ends of {o} and {y}, over {b} of {y} plus the change in {c} from {o} to {y}",
        ),
        _each("pay/cogs/inv"), "abc",
        ("365 * ( ( {a0} + {a1} ) / 2 ) / {b0}", "365 * {a0} / ( {b0} + {c0} - {c1} )", "365 * {a0} / {b0}"),
    ),
    "days_sales": Family(
        FORMULA, DAYS, "365 * ( ( {a0} + {a1} ) / 2 ) / {b0}", ("days sales outstanding (DSO)",),
        ("365 * (average {a} between {o} and {y}) / {b} of {y}",), _each("rec/rev"), "ab", ("365 * {a0} / {b0}",),
    ),
    "days_inventory": Family(
        FORMULA, DAYS, "365 * ( ( {a0} + {a1} ) / 2 ) / {b0}", ("days inventory outstanding (DIO)",),
        ("365 * (average {a} between {o} and {y}) / {b} of {y}",), _each("inv/cogs"), "ab", ("365 * {a0} / {b0}",),
    ),
    "cash_conversion_cycle": Family(
        MULTI, DAYS, f"{_DIO} + {_DSO} - {_DPO}", ("the cash conversion cycle (CCC)",),
        (
            "DIO + DSO - DPO, where DIO is 365 * (average {a} between {o} and {y}) / {b} of {y}, DSO is 365 * (average {c} "
            "between {o} and {y}) / {d} of {y}, and DPO is 365 * (average {e} between {o} and {y}) / ({b} of {y} + change "
            "in {a} between {o} and {y})",
        ),
        _each("inv/cogs/rec/rev/pay"), "abcde",
        (f"{_DIO} + {_DSO} - 365 * ( ( {{e0}} + {{e1}} ) / 2 ) / {{b0}}", f"{_DIO} + {_DSO} + {_DPO}"), held_out=True,
    ),
    "growth": Family(
        FORMULA, PERCENT, "( {a0} - {a1} ) / {a1} * 100", ("the year-over-year change in {a}", "growth in {a} over the prior year"),
        ("({a} of {y} - {a} of {o}) / {a} of {o}", "the change in {a} from {o} to {y} relative to {o}"),
        _each("rev oi ni rev oi cogs gp cash inv rec ta ppe ocf capex seg_a seg_b"), "a", ("( {a0} - {a1} ) / {a0} * 100",),
    ),
    "cagr": Family(
        MULTI, PERCENT, "( ( {a0} / {aN} ) ^ ( 1 / {n} ) - 1 ) * 100",
        ("the {n}-year CAGR of {a} from {s} to {y}", "the compound annual growth rate of {a} over the {n} years from {s} to {y}"),
        ("({a} of {y} / {a} of {s})^(1/{n}) - 1",), _each("rev rev oi ni gp seg_a ocf"), "a",
        ("( {a0} - {aN} ) / {aN} * 100 / {n}", "( {a0} - {aN} ) / {aN} * 100"), spans=(2, 3, 4),
    ),
    "return_on_assets": Family(
        FORMULA, PERCENT, "{a0} / ( ( {b0} + {b1} ) / 2 ) * 100", ("return on assets (ROA)",), _AVERAGE, _each("ni/ta"), "b",
        ("{a0} / {b0} * 100", "{a0} / {b1} * 100"),
    ),
    "return_on_assets_year_end": Family(
        FORMULA, PERCENT, "{a0} / {b0} * 100", ("return on year-end assets",), ("{a} of {y} / {b} at the end of {y}",),
        _each("ni/ta"), "b", ("{a0} / ( ( {b0} + {b1} ) / 2 ) * 100",), held_out=True,
    ),
    "return_on_equity": Family(
        FORMULA, PERCENT, "{a0} / ( ( {b0} + {b1} ) / 2 ) * 100", ("return on equity (ROE)",), _AVERAGE, _each("ni/te"), "b",
        ("{a0} / {b0} * 100",),
    ),
    "plant_turnover": Family(
        FORMULA, RATIO, "{a0} / ( ( {b0} + {b1} ) / 2 )", ("the fixed asset turnover ratio",), _AVERAGE, _each("rev/ppe"), "ab",
        ("{a0} / {b0}",),
    ),
    "asset_turnover": Family(
        FORMULA, RATIO, "{a0} / ( ( {b0} + {b1} ) / 2 )", ("the asset turnover ratio",), _AVERAGE, _each("rev/ta"), "ab",
        ("{a0} / {b0}",),
    ),
    "inventory_turnover": Family(
        FORMULA, RATIO, "{a0} / ( ( {b0} + {b1} ) / 2 )", ("the inventory turnover ratio",), _AVERAGE, _each("cogs/inv"), "ab",
        ("{a0} / {b0}",),
    ),
    "inventory_turnover_year_end": Family(
        FORMULA, RATIO, "{a0} / {b0}", ("inventory turnover on year-end inventory",), ("{a} of {y} / {b} at the end of {y}",),
        _each("cogs/inv"), "ab", ("{a0} / ( ( {b0} + {b1} ) / 2 )",),
    ),
    "cash_flow_ratio": Family(
        FORMULA, RATIO, "{a0} / {b0}", ("the operating cash flow ratio",), ("{a} / {b}", "{a} divided by {b}"),
        _each("ocf/tcl"), "ab",
    ),
    "current_ratio": Family(
        FORMULA, RATIO, "{a0} / {b0}", ("the working capital ratio", "the current ratio"), ("{a} / {b}", "{a} divided by {b}"),
        _each("tca/tcl"), "ab",
    ),
    "quick_less_inventory": Family(
        FORMULA, RATIO, "( {a0} - {b0} ) / {c0}", ("the quick ratio",), ("({a} - {b}) / {c}", "{a} less {b}, divided by {c}"),
        _each("tca/inv/tcl"), "abc", ("{a0} / {c0}",),
    ),
    "quick_less_inventory_prepaid": Family(
        FORMULA, RATIO, "( {a0} - {b0} - {c0} ) / {d0}", ("the quick ratio",),
        ("({a} - {b} - {c}) / {d}", "{a} less {b} and {c}, divided by {d}"), _each("tca/inv/pre/tcl"), "abcd",
        ("( {a0} - {b0} ) / {d0}", "{a0} / {d0}"), held_out=True,
    ),
    "quick_liquid": Family(
        FORMULA, RATIO, "( {a0} + {b0} + {c0} ) / {d0}", ("the quick ratio",),
        ("({a} + {b} + {c}) / {d}", "the sum of {a}, {b} and {c}, divided by {d}"), _each("cash/sti/rec/tcl"), "abcd",
        ("( {a0} + {c0} ) / {d0}",),
    ),
    "cash_ratio": Family(
        FORMULA, RATIO, "( {a0} + {b0} ) / {c0}", ("the cash ratio",), ("({a} + {b}) / {c}",), _each("cash/sti/tcl"), "abc",
        ("{a0} / {c0}",),
    ),
    "working_capital": Family(
        FORMULA, AMOUNT, "{a0} - {b0}", ("net working capital",), ("{a} less {b}", "{a} - {b}"), _each("tca/tcl"), "ab",
    ),
    "operating_working_capital": Family(
        FORMULA, AMOUNT, "{a0} + {b0} - {c0}", ("operating working capital",), ("{a} + {b} - {c}", "{a} plus {b} less {c}"),
        _each("rec/inv/pay"), "abc", ("{a0} - {c0}",),
    ),
    "ebitda": Family(
        FORMULA, AMOUNT, "{a0} + {b0}", ("unadjusted EBITDA",), ("{a} + {b} from the cash flow statement", "{a} plus {b}"),
        _each("oi/da"), "b",
    ),
    "ebitda_margin": Family(
        FORMULA, PERCENT, "( {a0} + {b0} ) / {c0} * 100", ("the unadjusted EBITDA margin",), ("({a} + {b}) / {c}",),
        _each("oi/da/rev"), "bc", ("{a0} / {c0} * 100",),
    ),
    "ebitda_margin_mean": Family(
        MULTI, PERCENT, _mean("( {a0} + {b0} ) / {c0} * 100"), ("the three-year average unadjusted EBITDA margin from {oo} to {y}",),
        ("the mean of the yearly values of ({a} + {b}) / {c} in {oo}, {o} and {y}",), _each("oi/da/rev"), "bc",
        ("( {a0} + {a1} + {a2} + {b0} + {b1} + {b2} ) / ( {c0} + {c1} + {c2} ) * 100",), held_out=True,
    ),
    "ebitda_less_capex": Family(
        FORMULA, AMOUNT, "{a0} + {b0} - {c0}", ("unadjusted EBITDA less capital expenditures",), ("{a} + {b} - {c}",),
        _each("oi/da/capex"), "bc", ("{a0} - {c0}",),
    ),
    "operating_margin": Family(
        FORMULA, PERCENT, "{a0} / {b0} * 100", ("the operating margin",), ("{a} / {b}", "{a} as a share of {b}"), _each("oi/rev"), "b",
    ),
    "operating_margin_change": Family(
        MULTI, PERCENT, "{a0} / {b0} * 100 - {a1} / {b1} * 100", ("the change in operating margin from {o} to {y}",),
        ("{a} / {b} of {y} less the same of {o}",), _each("oi/rev"), "b",
        ("( {a0} / {b0} - {a1} / {b1} ) / ( {a1} / {b1} ) * 100",), points=True,
    ),
    "operating_margin_mean": Family(
        MULTI, PERCENT, _mean("{a0} / {b0} * 100"), ("the three-year average operating margin from {oo} to {y}",),
        ("the mean of the yearly values of {a} / {b} in {oo}, {o} and {y}",), _each("oi/rev"), "b",
        ("( {a0} + {a1} + {a2} ) / ( {b0} + {b1} + {b2} ) * 100",),
    ),
    "gross_margin": Family(
        FORMULA, PERCENT, "( {a0} - {b0} ) / {a0} * 100", ("the gross margin",), ("({a} - {b}) / {a}",), _each("rev/cogs"), "ab",
        ("( {a0} - {b0} ) / {b0} * 100",),
    ),
    "gross_margin_change": Family(
        MULTI, PERCENT, "( {a0} - {b0} ) / {a0} * 100 - ( {a1} - {b1} ) / {a1} * 100", ("the change in gross margin from {o} to {y}",),
        ("({a} - {b}) / {a} of {y} less the same of {o}",), _each("rev/cogs"), "ab", points=True,
    ),
    "cost_margin": Family(
        FORMULA, PERCENT, "{a0} / {b0} * 100", ("the COGS margin",), ("{a} / {b}", "{a} as a share of {b}"), _each("cogs/rev"), "ab",
    ),
    "cost_margin_mean": Family(
        MULTI, PERCENT, _mean("{a0} / {b0} * 100"), ("the three-year average of {a} as a % of {b} from {oo} to {y}",),
        ("the mean of the yearly values of {a} / {b} in {oo}, {o} and {y}",), _each("cogs/rev"), "ab",
        ("( {a0} + {a1} + {a2} ) / ( {b0} + {b1} + {b2} ) * 100",),
    ),
    "net_margin": Family(
        FORMULA, PERCENT, "{a0} / {b0} * 100", ("the net profit margin",), ("{a} / {b}", "{a} as a share of {b}"), _each("ni/rev"), "b",
    ),
    "net_margin_mean": Family(
        MULTI, PERCENT, _mean("{a0} / {b0} * 100"), ("the three-year average net profit margin from {oo} to {y}",),
        ("the mean of the yearly values of {a} / {b} in {oo}, {o} and {y}",), _each("ni/rev"), "b",
        ("( {a0} + {a1} + {a2} ) / ( {b0} + {b1} + {b2} ) * 100",),
    ),
    "depreciation_share": Family(
        FORMULA, PERCENT, "{a0} / {b0} * 100", ("the D&A margin",), ("{a} / {b}", "{a} as a % of {b}"), _each("da/rev"), "ab",
    ),
    "capex_share": Family(
        FORMULA, PERCENT, "{a0} / {b0} * 100", ("capex intensity",), ("{a} / {b}", "{a} as a % of {b}"), _each("capex/rev"), "ab",
    ),
    "capex_share_mean": Family(
        MULTI, PERCENT, _mean("{a0} / {b0} * 100"), ("the three-year average of {a} as a % of {b} from {oo} to {y}",),
        ("the mean of the yearly values of {a} / {b} in {oo}, {o} and {y}",), _each("capex/rev"), "ab",
        ("( {a0} + {a1} + {a2} ) / ( {b0} + {b1} + {b2} ) * 100",),
    ),
    "plant_share": Family(
        FORMULA, PERCENT, "{a0} / {b0} * 100", ("the share of fixed assets",), ("{a} / {b}", "{a} as a % of {b}"), _each("ppe/ta"), "ab",
    ),
    "capital_intensity": Family(
        FORMULA, RATIO, "{a0} / {b0}", ("the capital intensity ratio",), ("{a} / {b}", "{a} divided by {b}"), _each("ta/rev"), "ab",
        held_out=True,
    ),
    "free_cash_flow": Family(
        FORMULA, AMOUNT, "{a0} - {b0}", ("free cash flow (FCF)",), ("{a} - {b}", "{a} less {b}"), _each("ocf/capex"), "b",
    ),
    "cash_conversion": Family(
        FORMULA, PERCENT, "( {a0} - {b0} ) / {c0} * 100", ("free cash flow conversion",), ("({a} - {b}) / {c}",),
        _each("ocf/capex/ni"), "bc", ("{a0} / {c0} * 100",), held_out=True,
    ),
    "payout": Family(
        FORMULA, PERCENT, "{a0} / {b0} * 100", ("the dividend payout ratio",), ("{a} / {b}", "{a} divided by {b}"), _each("div/ni"), "ab",
    ),
    "retention": Family(
        FORMULA, PERCENT, "( {a0} - {b0} ) / {a0} * 100", ("the retention ratio",), ("1 - {b} / {a}", "({a} - {b}) / {a}"),
        _each("ni/div"), "ab", ("{b0} / {a0} * 100",),
    ),
    "tax_rate": Family(
        FORMULA, PERCENT, "{a0} / {b0} * 100", ("the effective tax rate",), ("{a} / {b}", "{a} divided by {b}"), _each("tax/pbt"), "ab",
    ),
    "tax_rate_change": Family(
        MULTI, PERCENT, "{a0} / {b0} * 100 - {a1} / {b1} * 100", ("the change in the effective tax rate from {o} to {y}",),
        ("{a} / {b} of {y} less the same of {o}",), _each("tax/pbt"), "ab", points=True,
    ),
    "debt_change": Family(
        MULTI, AMOUNT, "( {a0} + {b0} ) - ( {a1} + {b1} )", ("the change in total debt from {o} to {y}",),
        ("({a} + {b}) at the end of {y} less the same at the end of {o}",), _each("ltd/std"), "ab", ("{a0} - {a1}",),
        held_out=True,
    ),
    "segment_share": Family(
        FORMULA, PERCENT, "{a0} / {b0} * 100", ("the share of {a} in {b}",), ("{a} / {b}",), _each("seg_a/rev seg_b/rev seg_c/rev"), "ab",
    ),
    "interest_coverage": Family(
        FORMULA, RATIO, "{a0} / {b0}", ("interest coverage",), ("{a} / {b}", "{a} divided by {b}"), _each("oi/int"), "ab",
    ),
}  # fmt: skip
"""Family name to family."""


@dataclass(frozen=True, slots=True)
class Test:
    """A yes/no question: whether a program is above a limit.

    Attributes:
        program: Yes if its value is above `limits`' choice (one of several, so that both answers occur), No if below.
        names: What is asked, with ``{limit}``, ``{y}``, ``{o}`` and lines.
        formula: The formula it rests on.
        operands: As in `Family`.
        unit: Unit of the program's value.
        limits: Limits to choose from.
        clear: Least distance between value and limit.
        positive: As in `Family`.
        numbers: Programs of the deciding numbers kept with the gold.
        whole: Amounts: the distance is `clear` percent of the first operand.
    """

    program: str
    names: tuple[str, ...]
    formula: str
    operands: tuple[tuple[str, ...], ...]
    unit: str
    limits: tuple[float, ...] = (0,)
    clear: float = 0.3
    positive: str = ""
    numbers: tuple[str, ...] = ()
    held_out: bool = False


_SHARE0, _SHARE1 = "{a0} / {b0} * 100", "{a1} / {b1} * 100"
_GROSS0, _GROSS1 = "( {a0} - {b0} ) / {a0} * 100", "( {a1} - {b1} ) / {a1} * 100"
_IMPROVED = (
    "did the {m} improve from {o} to {y}",
    "does the company have an improving {m} as of {y}, compared with {o}",
)

TESTS: dict[str, Test] = {
    "operating_margin_improved": Test(
        f"{_SHARE0} - {_SHARE1}", tuple(n.replace("{m}", "operating margin") for n in _IMPROVED), "{a} / {b}",
        _each("oi/rev"), PERCENT, positive="b", numbers=(_SHARE0, _SHARE1),
    ),
    "net_margin_improved": Test(
        f"{_SHARE0} - {_SHARE1}", tuple(n.replace("{m}", "net profit margin") for n in _IMPROVED), "{a} / {b}",
        _each("ni/rev"), PERCENT, positive="b", numbers=(_SHARE0, _SHARE1),
    ),
    "gross_margin_improved": Test(
        f"{_GROSS0} - {_GROSS1}", tuple(n.replace("{m}", "gross margin") for n in _IMPROVED), "({a} - {b}) / {a}",
        _each("rev/cogs"), PERCENT, positive="ab", numbers=(_GROSS0, _GROSS1),
    ),
    "tax_rate_rose": Test(
        f"{_SHARE0} - {_SHARE1}", ("did the effective tax rate rise from {o} to {y}",), "{a} / {b}", _each("tax/pbt"), PERCENT,
        positive="ab", numbers=(_SHARE0, _SHARE1),
    ),
    "quick_ratio_healthy": Test(
        "( {a0} - {b0} ) / {c0}",
        ("was the quick ratio above {limit} at the end of {y}", "does the company have a quick ratio of more than {limit} in {y}"),
        "({a} - {b}) / {c}", _each("tca/inv/tcl"), RATIO, (0.75, 1.0, 1.0, 1.25), 0.03, "abc", ("( {a0} - {b0} ) / {c0}",),
    ),
    "current_ratio_healthy": Test(
        "{a0} / {b0}", ("was the current ratio above {limit} at the end of {y}",), "{a} / {b}", _each("tca/tcl"), RATIO,
        (1.0, 1.5, 2.0), 0.03, "ab", ("{a0} / {b0}",),
    ),
    "working_capital_positive": Test(
        "( {a0} - {b0} ) / {b0} * 100", ("did the company have positive working capital at the end of {y}",), "{a} less {b}",
        _each("tca/tcl"), PERCENT, (0,), 2.0, "ab", ("{a0} - {b0}",),
    ),
    "debt_rose": Test(
        "( {a0} + {b0} - {a1} - {b1} ) / ( {a1} + {b1} ) * 100",
        ("did the company increase its debt between {o} and {y}", "has total debt on the balance sheet gone up from {o} to {y}"),
        "{a} + {b}", _each("ltd/std"), PERCENT, (0,), 2.0, "ab", ("{a0} + {b0}", "{a1} + {b1}"), held_out=True,
    ),
    "line_rose": Test(
        "( {a0} - {a1} ) / {a1} * 100", ("did the company grow its {a} between {o} and {y}", "did {a} rise from {o} to {y}"),
        "{a} of {y} compared with {o}", _each("ppe cash rec inv te ocf gp seg_a seg_b"), PERCENT, (0,), 1.0, "a",
        ("{a0}", "{a1}"),
    ),
    "growth_above": Test(
        "( {a0} - {a1} ) / {a1} * 100", ("did {a} grow by more than {limit} percent from {o} to {y}",),
        "({a} of {y} - {a} of {o}) / {a} of {o}", _each("rev rev gp cogs"), PERCENT, (2, 5, 8, 10), 0.3, "a",
        ("( {a0} - {a1} ) / {a1} * 100",),
    ),
    "segment_above": Test(
        _SHARE0, ("did {a} represent more than {limit} percent of {b} in {y}",), "{a} / {b}",
        _each("seg_a/rev seg_b/rev seg_c/rev"), PERCENT, (20, 25, 30, 40), 0.5, "ab", (_SHARE0,),
    ),
    "capital_intensive": Test(
        _SHARE0, ("was the company capital intensive in {y}, that is, was capex intensity above {limit} percent",), "{a} / {b}",
        _each("capex/rev"), PERCENT, (3, 5, 8, 10), 0.2, "ab", (_SHARE0,),
    ),
    "dividends_covered": Test(
        "( {a0} - {b0} - {c0} ) / {c0} * 100", ("did free cash flow cover the dividends of {y}",), "{a} - {b}, compared with {c}",
        _each("ocf/capex/div"), PERCENT, (0,), 2.0, "bc", ("{a0} - {b0}", "{c0}"),
    ),
    "gross_margin_moved": Test(
        "( {g} ^ 2 ) ^ ( 1 / 2 )".replace("{g}", f"( {_GROSS0} - ( {_GROSS1} ) )"),
        ("did the gross margin move by more than {limit} percentage points, up or down, between {o} and {y}",),
        "({a} - {b}) / {a}", _each("rev/cogs"), PERCENT, (1, 2, 2), 0.2, "ab", (_GROSS0, _GROSS1),
    ),
}  # fmt: skip
"""Yes/no question to its test."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A question whose answer is one of the options it names.

    Attributes:
        by: ``lines`` (options are lines), ``years`` (options are the years shown).
        program: What is compared, over ``{a0}`` (for lines) or the operands (for years).
        names: What is asked, with ``{most}`` for highest or lowest and ``{y}``.
        formula: The formula it rests on.
        operands: By lines: the options. By years: the operands.
        unit: Unit of the program's value.
        clear: Least distance between the first and the second: percentage points, or percent of the first.
        positive: As in `Family`.
    """

    by: str
    program: str
    names: tuple[str, ...]
    formula: str
    operands: tuple[tuple[str, ...], ...]
    unit: str
    clear: float
    positive: str = ""


CHOICES: dict[str, Choice] = {
    "largest_cash_flow": Choice(
        "lines", "{a0}", ("which of the three kinds of cash flow was {most} in {y}, signs counted",), "", _each("ocf/icf/fcf"),
        AMOUNT, 2.0,
    ),
    "largest_expense": Choice("lines", "{a0}", ("which of these expenses was {most} in {y}",), "", _each("cogs/opx/sga opx/sga/int"), AMOUNT, 2.0),
    "segment_growth": Choice(
        "lines", "( {a0} - {a1} ) / {a1} * 100", ("which segment had the {most} growth from {o} to {y}",),
        "(revenue of {y} - revenue of {o}) / revenue of {o}", _each("seg_a/seg_b/seg_c"), PERCENT, 0.5, "a",
    ),
    "segment_revenue": Choice("lines", "{a0}", ("which segment had the {most} revenue in {y}",), "", _each("seg_a/seg_b/seg_c"), AMOUNT, 2.0),
    "operating_margin_year": Choice("years", _SHARE0, ("in which year was the operating margin {most}",), "{a} / {b}", _each("oi/rev"), PERCENT, 0.3, "b"),
    "gross_margin_year": Choice("years", _GROSS0, ("in which year was the gross margin {most}",), "({a} - {b}) / {a}", _each("rev/cogs"), PERCENT, 0.3, "ab"),
    "capex_share_year": Choice("years", _SHARE0, ("in which year was capex intensity {most}",), "{a} / {b}", _each("capex/rev"), PERCENT, 0.2, "ab"),
    "current_ratio_year": Choice("years", "{a0} / {b0}", ("in which year was the current ratio {most}",), "{a} / {b}", _each("tca/tcl"), RATIO, 0.03, "ab"),
}  # fmt: skip
"""Choice question to its ranking."""
