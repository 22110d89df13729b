"""Question shapes: what is asked, the program that answers it, and how a formula is put into words.

In programs and wordings ``{a}``..``{d}`` are lines in the year asked about and ``{A}``..``{D}`` the same lines a year
(or, for changes, some years) before; ``{y}`` and ``{o}`` are those two years. Formulas: those that FinanceBench uses.
"""

from __future__ import annotations

from dataclasses import dataclass

AMOUNT, PERCENT, RATIO, DAYS = "amount", "percent", "ratio", "days"


@dataclass(frozen=True, slots=True)
class Family:
    """Shapes that share a program.

    Attributes:
        program: Over ``{a}``.. and ``{A}``..; single spaces around operators and parentheses.
        plain: Wordings of the formula close to its arithmetic.
        loose: Wordings that a person would use.
        positive: Letters of operands that must be above 0 (denominators, bases), lest the sign mean nothing.
        spans: The question is about two years.
    """

    program: str
    plain: tuple[str, ...]
    loose: tuple[str, ...]
    positive: str = ""
    spans: bool = False


FAMILIES: dict[str, Family] = {
    "lookup": Family("{a}", ("{a}",), ("{a}",)),
    "change": Family(
        "{a} - {A}",
        ("the change in {a} from {o} to {y}", "{a} of {y} less {a} of {o}", "the movement of {a} between {o} and {y}"),
        ("the {y} addition to {a} compared with {o}", "the move of {a} from its {o} level by {y}"),
        spans=True,
    ),
    "two_year_sum": Family(
        "{a} + {A}",
        ("{a} of {o} and {y} added up", "{a} in {o} plus {a} in {y}", "{a} for {o} and {y} combined"),
        ("{a} over the two years {o} and {y}, cumulatively", "the {o} and {y} figures for {a}, taken together"),
        spans=True,
    ),
    "mean": Family(
        "( {a} + {A} ) / 2",
        ("the average of {a} in {o} and {y}", "mean {a} of {o} and {y}", "average {a} over {o} and {y}"),
        ("the midpoint between {a} of {o} and {y}", "{a} halfway between its {o} and {y} figures"),
        spans=True,
    ),
    "growth": Family(
        "( {a} - {A} ) / {A} * 100",
        ("the percent change in {a} from {o} to {y}", "growth of {a} from {o} to {y}", "{y} growth in {a} over {o}"),
        ("the rate at which {a} moved between {o} and {y}", "{a} in {y} against {o}, as relative change"),
        "aA",
        True,
    ),
    "sum": Family(
        "{a} + {b}",
        ("{a} plus {b}", "the sum of {a} and {b}", "{a} and {b} together"),
        ("{a} with {b} added back", "{b} on top of {a}"),
    ),
    "difference": Family(
        "{a} - {b}",
        ("{a} less {b}", "{a} minus {b}", "{a} after subtracting {b}"),
        ("the rest of {a} after {b}", "{a} net of {b}"),
    ),
    "ratio": Family(
        "{a} / {b}",
        ("{a} divided by {b}", "{a} over {b}", "the ratio of {a} to {b}"),
        ("{a} relative to {b}", "{a} for each unit of {b}"),
        "ab",
    ),
    "share": Family(
        "{a} / {b} * 100",
        ("{a} divided by {b}", "{a} over {b}", "{a} as a share of {b}"),
        ("the part of {b} that {a} makes up", "{a} per hundred of {b}"),
        "b",
    ),
    "sum_share": Family(
        "( {a} + {b} ) / {c} * 100",
        ("{a} plus {b}, divided by {c}", "the sum of {a} and {b} over {c}"),
        ("{a} with {b} added back, as a share of {c}",),
        "c",
    ),
    "rest_share": Family(
        "( {a} - {b} ) / {c} * 100",
        ("{a} less {b}, divided by {c}", "{a} minus {b}, over {c}"),
        ("the rest of {a} after {b}, as a share of {c}",),
        "ac",
    ),
    "margin_of": Family(
        "( {a} - {b} ) / {a} * 100",
        ("{a} less {b}, divided by {a}", "{a} minus {b}, over {a}"),
        ("the rest of {a} after {b}, as a share of {a}",),
        "a",
    ),
    "sum_ratio": Family(
        "( {a} + {b} ) / {c}",
        ("{a} plus {b}, divided by {c}", "the sum of {a} and {b} over {c}"),
        ("{a} and {b} together, relative to {c}",),
        "c",
    ),
    "rest_ratio": Family(
        "( {a} - {b} ) / {c}",
        ("{a} less {b}, divided by {c}", "{a} minus {b}, over {c}"),
        ("{a} net of {b}, relative to {c}",),
        "abc",
    ),
    "turnover": Family(
        "{a} / ( ( {b} + {B} ) / 2 )",
        (
            "{a} divided by the average of {b} in {o} and {y}",
            "{a} over mean {b} of {o} and {y}",
            "{a} of {y} over average {b} ({o} and {y})",
        ),
        ("{a} relative to {b} halfway between {o} and {y}", "{a} per unit of average {b}, {o} to {y}"),
        "abB",
        True,
    ),
    "return": Family(
        "{a} / ( ( {b} + {B} ) / 2 ) * 100",
        (
            "{a} divided by the average of {b} in {o} and {y}",
            "{a} over mean {b} of {o} and {y}",
            "{a} of {y} over average {b} ({o} and {y})",
        ),
        ("{a} as a share of {b} halfway between {o} and {y}", "{a} earned on average {b}, {o} to {y}"),
        "bB",
        True,
    ),
    "days": Family(
        "365 * ( ( {a} + {A} ) / 2 ) / {b}",
        (
            "365 times the average of {a} in {o} and {y}, divided by {b}",
            "365 times mean {a} of {o} and {y}, over {b} of {y}",
        ),
        ("average {a} of {o} and {y} relative to {b} of {y}, times 365 days",),
        "aAb",
        True,
    ),
    "days_bought": Family(
        "365 * ( ( {a} + {A} ) / 2 ) / ( {b} + {c} - {C} )",
        ("365 times average {a} of {o} and {y}, divided by {b} plus the change in {c}",),
        ("average {a} of {o} and {y} over {b} plus the rise in {c}, times 365 days",),
        "aAbcC",
        True,
    ),
    "share_change": Family(
        "{a} / {b} * 100 - {A} / {B} * 100",
        ("{a} divided by {b}", "{a} over {b}", "{a} as a share of {b}"),
        ("the part of {b} that {a} makes up",),
        "bB",
        True,
    ),
    "ratio_change": Family(
        "{a} / {b} - {A} / {B}",
        ("{a} divided by {b}", "{a} over {b}", "the ratio of {a} to {b}"),
        ("{a} relative to {b}",),
        "abAB",
        True,
    ),
    "sum_less": Family(
        "{a} + {b} - {c}",
        ("{a} plus {b} minus {c}", "{a} and {b} less {c}", "the sum of {a} and {b}, less {c}"),
        ("{a} with {b} added back, net of {c}",),
    ),
    "sum_change": Family(
        "( {a} + {b} ) - ( {A} + {B} )",
        ("{a} plus {b}", "the sum of {a} and {b}"),
        ("{a} and {b} together",),
        spans=True,
    ),
    "rest_change": Family(
        "( {a} - {b} ) - ( {A} - {B} )",
        ("{a} less {b}", "{a} minus {b}"),
        ("the rest of {a} after {b}",),
        spans=True,
    ),
    "mean_share": Family(
        "( {a} / {b} * 100 + {A} / {B} * 100 ) / 2",
        ("{a} divided by {b}", "{a} over {b}"),
        ("{a} as a share of {b}",),
        "bB",
        True,
    ),
    "sum_growth": Family(
        "( {a} + {b} - {A} - {B} ) / ( {A} + {B} ) * 100",
        ("{a} plus {b}", "the sum of {a} and {b}"),
        ("{a} with {b} added back",),
        "aAbB",
        True,
    ),
}
"""Family name to family."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One question shape.

    Attributes:
        family: Key of `FAMILIES`.
        unit: `AMOUNT`, `PERCENT`, `RATIO` or `DAYS`.
        operands: Alternatives, each the concepts of letters a, b, c, d.
        names: What the figure is called; empty where the wording of the formula is the question.
        adjacent: Two-year questions need years that follow each other (averages do).
    """

    family: str
    unit: str
    operands: tuple[tuple[str, ...], ...]
    names: tuple[str, ...] = ()
    adjacent: bool = True


def _each(text: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(group.split("/")) for group in text.split())


_ANY = _each(
    "rev seg_a seg_b cogs gp opx sga oi int oth pbt tax ni cash sti rec inv pre tca ppe gw ota ta "
    "pay acc std tcl ltd otl tl stk re te da wc ocf capex icf div brw fcf chg"
)
_FLOWS = _each("rev seg_a seg_b cogs gp opx sga oi pbt ni da ocf capex div")
_LEVELS = _each("cash sti rec inv tca ppe gw ta pay acc std tcl ltd tl te re")
_PAIRS_ADDED = _each(
    "rec/inv cash/sti ltd/std opx/sga pay/acc capex/div div/buy cash/rec int/tax cogs/sga ppe/gw std/acc te/ltd "
    "inv/pre stk/re"
)
_PAIRS_SUBTRACTED = _each(
    "tca/inv rec/pay inv/pay sga/opx ltd/cash ta/gw tca/cash cash/std oi/int ppe/ltd rev/sga te/gw ni/div gp/sga "
    "tl/cash seg_a/seg_b"
)

SHAPES: dict[str, Shape] = {
    "lookup": Shape("lookup", AMOUNT, _ANY),
    "change": Shape("change", AMOUNT, _FLOWS + _LEVELS, adjacent=False),
    "sum": Shape("sum", AMOUNT, _PAIRS_ADDED),
    "difference": Shape("difference", AMOUNT, _PAIRS_SUBTRACTED),
    "two_year_sum": Shape("two_year_sum", AMOUNT, _each("rev cogs ni oi capex div da ocf tax int opx sga")),
    "growth": Shape("growth", PERCENT, _FLOWS + _LEVELS, adjacent=False),
    "two_year_mean": Shape("mean", AMOUNT, _LEVELS + _each("rev capex ni ocf")),
    "working_capital": Shape("difference", AMOUNT, _each("tca/tcl"), ("net working capital", "working capital")),
    "ebitda": Shape("sum", AMOUNT, _each("oi/da"), ("unadjusted ebitda", "ebitda")),
    "free_cash_flow": Shape("difference", AMOUNT, _each("ocf/capex"), ("free cash flow",)),
    "current_ratio": Shape("ratio", RATIO, _each("tca/tcl"), ("the current ratio", "the working capital ratio")),
    "cash_flow_ratio": Shape(
        "ratio", RATIO, _each("ocf/tcl ocf/tl"), ("the operating cash flow ratio", "the cash flow ratio")
    ),
    "interest_coverage": Shape("ratio", RATIO, _each("oi/int"), ("interest coverage", "times interest earned")),
    "debt_to_equity": Shape("ratio", RATIO, _each("ltd/te tl/te"), ("the leverage ratio", "debt to equity")),
    "asset_intensity": Shape("ratio", RATIO, _each("ta/rev"), ("capital intensity", "asset intensity")),
    "operating_margin": Shape("share", PERCENT, _each("oi/rev"), ("the operating margin", "operating margin")),
    "net_margin": Shape("share", PERCENT, _each("ni/rev"), ("the net margin", "net profit margin")),
    "cost_margin": Shape("share", PERCENT, _each("cogs/rev"), ("the cost margin", "the cost ratio")),
    "overhead_share": Shape("share", PERCENT, _each("sga/rev opx/rev"), ("the overhead ratio", "the expense ratio")),
    "capex_share": Shape("share", PERCENT, _each("capex/rev"), ("the reinvestment rate", "capital intensity")),
    "wear_share": Shape("share", PERCENT, _each("da/rev da/ppe"), ("the depreciation rate", "the depreciation burden")),
    "payout": Shape("share", PERCENT, _each("div/ni"), ("the payout ratio", "dividend payout")),
    "tax_rate": Shape("share", PERCENT, _each("tax/pbt"), ("the effective tax rate", "the tax rate")),
    "segment_share": Shape("share", PERCENT, _each("seg_a/rev seg_b/rev")),
    "plant_share": Shape("share", PERCENT, _each("ppe/ta gw/ta inv/tca"), ("the asset mix", "asset weight")),
    "gross_margin": Shape("margin_of", PERCENT, _each("rev/cogs"), ("the gross margin", "gross margin")),
    "quick_ratio": Shape("rest_ratio", RATIO, _each("tca/inv/tcl"), ("the quick ratio", "the acid test")),
    "cash_quick_ratio": Shape(
        "sum_ratio", RATIO, _each("cash/rec/tcl cash/sti/tcl"), ("the quick ratio", "the liquid ratio")
    ),
    "ebitda_margin": Shape("sum_share", PERCENT, _each("oi/da/rev"), ("the ebitda margin", "ebitda margin")),
    "asset_turnover": Shape("turnover", RATIO, _each("rev/ta"), ("asset turnover",)),
    "plant_turnover": Shape("turnover", RATIO, _each("rev/ppe"), ("fixed asset turnover", "plant turnover")),
    "inventory_turnover": Shape("turnover", RATIO, _each("cogs/inv"), ("inventory turnover", "stock turnover")),
    "return_on_assets": Shape("return", PERCENT, _each("ni/ta oi/ta"), ("return on assets",)),
    "return_on_equity": Shape("return", PERCENT, _each("ni/te"), ("return on equity",)),
    "days_sales": Shape("days", DAYS, _each("rec/rev"), ("days sales outstanding",)),
    "days_inventory": Shape("days", DAYS, _each("inv/cogs"), ("days inventory outstanding",)),
    "days_payable": Shape("days_bought", DAYS, _each("pay/cogs/inv"), ("days payable outstanding",)),
    "operating_margin_change": Shape("share_change", PERCENT, _each("oi/rev"), ("operating margin",)),
    "net_margin_change": Shape("share_change", PERCENT, _each("ni/rev"), ("net margin",)),
    "cost_margin_change": Shape("share_change", PERCENT, _each("cogs/rev gp/rev"), ("the margin",)),
    "tax_rate_change": Shape("share_change", PERCENT, _each("tax/pbt"), ("the effective tax rate",)),
    "current_ratio_change": Shape("ratio_change", RATIO, _each("tca/tcl ocf/tcl"), ("the liquidity ratio",)),
    "ebitda_less_capex": Shape("sum_less", AMOUNT, _each("oi/da/capex"), ("ebitda less capex", "cash earnings")),
    "debt_change": Shape("sum_change", AMOUNT, _each("ltd/std"), ("total debt", "debt")),
    "cash_conversion": Shape(
        "rest_share", PERCENT, _each("ocf/capex/ni"), ("cash conversion", "free cash flow conversion")
    ),
    "retention": Shape("rest_share", PERCENT, _each("ni/div/ni"), ("the retention ratio", "earnings retention")),
    "mean_margin": Shape("mean_share", PERCENT, _each("oi/rev ni/rev capex/rev da/rev"), ("the margin", "the ratio")),
    "free_cash_change": Shape("rest_change", AMOUNT, _each("ocf/capex"), ("free cash flow",)),
    "ebitda_growth": Shape("sum_growth", PERCENT, _each("oi/da"), ("ebitda",)),
}
"""Shape name to shape; `knobs.LEVELS` gives each its level and weight."""
