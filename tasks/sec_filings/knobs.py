"""All difficulty knobs. Turned before the task is frozen, so that the base model is right on 30-60 % of each level.

Harder: more synonyms, light forms and loose wording, more rows and near-duplicates, a third column, shapes with more
operands. Easier: the reverse. Weights are relative; a shape's weight of 0 takes it out. After freezing, a change here
is a new version of the task.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Knobs:
    """Difficulty of one level.

    Attributes:
        light: Chance that a line is named by a light form ("sales" for "Net sales").
        synonym: Chance that it is named by another word for the same thing ("turnover"); the rest is verbatim.
        as_printed: Chance that a verbatim name keeps its capitals.
        loose_formula: Chance of the looser wordings of a formula ("what is left of a after b, per unit of c").
        loose_frame: Chance of the less common sentence frames around it.
        state_unit: Chance that a question for an amount repeats the unit of the report's head line.
        persona: Chance of an opening such as "for the credit file:".
        rows: Fewest and most rows of the table.
        near_duplicates: Fewest and most made-up rows that resemble a needed one ("Adjusted net income").
        confusable: Chance that a distractor row is a sibling of a needed one (total assets beside current assets).
        three_columns: Chance of a third fiscal year.
        oldest_first: Chance that the columns run from the oldest year to the latest.
        earlier_year: Chance that a question about one year is not about the latest.
        shapes: Shape to weight.
    """

    light: float
    synonym: float
    as_printed: float
    loose_formula: float
    loose_frame: float
    state_unit: float
    persona: float
    rows: tuple[int, int]
    near_duplicates: tuple[int, int]
    confusable: float
    three_columns: float
    oldest_first: float
    earlier_year: float
    shapes: dict[str, int]


LEVELS: dict[str, Knobs] = {
    "1": Knobs(
        light=0.08,
        synonym=0.04,
        as_printed=0.6,
        loose_formula=0.1,
        loose_frame=0.1,
        state_unit=0.15,
        persona=0.05,
        rows=(6, 8),
        near_duplicates=(0, 1),
        confusable=0.4,
        three_columns=0.05,
        oldest_first=0.1,
        earlier_year=0.5,
        shapes={"lookup": 30, "change": 28, "sum": 16, "difference": 16, "two_year_sum": 10},
    ),
    "2": Knobs(
        light=0.08,
        synonym=0.04,
        as_printed=0.6,
        loose_formula=0.1,
        loose_frame=0.1,
        state_unit=0.15,
        persona=0.05,
        rows=(6, 8),
        near_duplicates=(0, 1),
        confusable=0.4,
        three_columns=0.05,
        oldest_first=0.1,
        earlier_year=0.4,
        shapes={
            "growth": 14,
            "two_year_mean": 6,
            "working_capital": 4,
            "ebitda": 5,
            "free_cash_flow": 5,
            "current_ratio": 4,
            "cash_flow_ratio": 4,
            "interest_coverage": 4,
            "debt_to_equity": 4,
            "asset_intensity": 3,
            "operating_margin": 5,
            "net_margin": 5,
            "cost_margin": 4,
            "overhead_share": 3,
            "capex_share": 4,
            "wear_share": 3,
            "payout": 4,
            "tax_rate": 4,
            "segment_share": 4,
            "plant_share": 3,
            "gross_margin": 5,
            "quick_ratio": 5,
            "cash_quick_ratio": 4,
            "ebitda_margin": 4,
        },
    ),
    "3": Knobs(
        light=0.02,
        synonym=0.0,
        as_printed=0.6,
        loose_formula=0.04,
        loose_frame=0.04,
        state_unit=0.05,
        persona=0.02,
        rows=(5, 7),
        near_duplicates=(0, 0),
        confusable=0.1,
        three_columns=0.02,
        oldest_first=0.05,
        earlier_year=0.3,
        shapes={
            "asset_turnover": 12,
            "plant_turnover": 10,
            "inventory_turnover": 10,
            "return_on_assets": 12,
            "return_on_equity": 10,
            "days_sales": 2,
            "days_inventory": 2,
            "days_payable": 2,
            "operating_margin_change": 12,
            "net_margin_change": 10,
            "cost_margin_change": 8,
            "tax_rate_change": 6,
            "current_ratio_change": 10,
            "ebitda_less_capex": 6,
            "debt_change": 2,
            "cash_conversion": 6,
            "retention": 6,
            "mean_margin": 2,
            "free_cash_change": 2,
            "ebitda_growth": 3,
        },
    ),
}
"""Level to its knobs."""

MAX_PROMPT_TOK = 264
MAX_TARGET_TOK = 84
"""Longer ones are drawn again; estimated by `generate.estimated_tok`."""

SPLITS: dict[str, tuple[int, int]] = {"pool": (200, 8), "train": (200, 10), "dev": (36, 10), "test": (72, 10)}
"""Split to companies and questions a company; no company is in two splits, levels take turns."""
