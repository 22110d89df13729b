"""The lines of financial statements: which statement each stands in, what it is generally called, how lines add up."""

from __future__ import annotations

INCOME, BALANCE, CASH, NOTE = "income", "balance", "cash", "note"

STATEMENT: dict[str, str] = {
    **dict.fromkeys("rev seg_a seg_b seg_c cogs gp opx sga oi int oth pbt tax ni".split(), INCOME),
    **dict.fromkeys(
        "cash sti rec inv pre tca ppe gw ota ta pay acc std tcl ltd otl tl stk re te".split(),
        BALANCE,
    ),
    **dict.fromkeys("da wc ocf capex icf div buy iss brw fcf chg".split(), CASH),
}
"""Concept to statement, in statement order."""

CONCEPTS: tuple[str, ...] = tuple(STATEMENT)

OUTFLOWS = ("capex", "div", "buy")
"""Lines of the cash flow statement that some companies print positive and others as negatives, in parentheses."""

GENERAL: dict[str, tuple[str, ...]] = {
    "rev": ("revenue", "total revenue"),
    "cogs": ("COGS", "cost of goods sold"),
    "gp": ("gross profit",),
    "oi": ("operating income", "unadjusted operating income"),
    "int": ("interest expense",),
    "pbt": ("pre-tax income", "income before income taxes"),
    "tax": ("income tax expense", "the tax provision"),
    "ni": ("net income",),
    "cash": ("cash and cash equivalents",),
    "sti": ("short-term investments",),
    "rec": ("accounts receivable", "net AR"),
    "inv": ("inventories", "inventory"),
    "pre": ("prepaid expenses",),
    "tca": ("total current assets",),
    "ppe": ("net PP&E", "net property, plant and equipment"),
    "gw": ("goodwill and intangibles",),
    "ta": ("total assets",),
    "pay": ("accounts payable",),
    "std": ("short-term debt", "debt due within a year"),
    "tcl": ("total current liabilities",),
    "ltd": ("long-term debt",),
    "tl": ("total liabilities",),
    "re": ("retained earnings",),
    "te": ("total equity", "shareholders' equity"),
    "da": ("depreciation and amortization", "D&A"),
    "ocf": ("cash from operations", "cash flow from operating activities"),
    "capex": ("capital expenditures", "capex"),
    "icf": ("cash flow from investing activities",),
    "div": ("cash dividends paid", "dividends"),
    "buy": ("share repurchases",),
    "fcf": ("cash flow from financing activities",),
    "chg": ("net change in cash",),
}
"""Concept to what anybody calls it, whatever the company prints."""

SIBLINGS: dict[str, tuple[str, ...]] = {
    "rev": ("cogs", "seg_a", "seg_b", "gp"),
    "cogs": ("rev", "gp", "inv"),
    "gp": ("oi", "rev"),
    "oi": ("gp", "pbt", "ni", "oth"),
    "pbt": ("oi", "ni", "tax"),
    "ni": ("pbt", "oi", "ocf"),
    "tax": ("pbt", "int"),
    "int": ("tax", "ltd"),
    "tca": ("ta", "tcl", "pre"),
    "ta": ("tca", "tl", "ota"),
    "tcl": ("tl", "tca", "acc"),
    "tl": ("tcl", "ta", "otl"),
    "te": ("re", "stk", "tl"),
    "cash": ("sti", "chg", "ocf"),
    "rec": ("pay", "inv", "sti"),
    "pay": ("rec", "acc", "std"),
    "inv": ("rec", "pre", "cogs"),
    "ppe": ("capex", "da", "gw"),
    "ocf": ("icf", "fcf", "wc"),
    "capex": ("icf", "ppe", "da"),
    "da": ("capex", "ppe"),
    "div": ("buy", "re", "fcf"),
    "ltd": ("std", "otl", "brw"),
    "std": ("ltd", "acc"),
    "seg_a": ("seg_b", "seg_c", "rev"),
    "seg_b": ("seg_a", "seg_c", "rev"),
    "seg_c": ("seg_a", "seg_b", "rev"),
    "gw": ("ota", "ppe"),
}
"""Concept to lines that are easily taken for it."""

Term = tuple[int, str, int]
"""Coefficient, concept, years back."""


def _sum(total: str, parts: str, back: str = "") -> tuple[Term, ...]:
    """``total = parts`` of one year, with ``back`` taken from the year before; a leading ``-`` subtracts."""
    terms: list[Term] = [(-1, total, 0)]
    for years, text in ((0, parts), (1, back)):
        for name in text.split():
            terms.append((-1 if name.startswith("-") else 1, name.lstrip("-"), years))
    return tuple(terms)


IDENTITIES: tuple[tuple[Term, ...], ...] = (
    _sum("rev", "seg_a seg_b seg_c"),
    _sum("gp", "rev -cogs"),
    _sum("oi", "gp -opx -sga"),
    _sum("pbt", "oi -int oth"),
    _sum("ni", "pbt -tax"),
    _sum("tca", "cash sti rec inv pre"),
    _sum("ta", "tca ppe gw ota"),
    _sum("tcl", "pay acc std"),
    _sum("tl", "tcl ltd otl"),
    _sum("ta", "tl te"),
    _sum("te", "stk re"),
    _sum("re", "ni -div", "re"),
    _sum("stk", "iss -buy", "stk"),
    _sum("ppe", "capex -da", "ppe"),
    _sum("brw", "ltd std", "-ltd -std"),
    _sum("fcf", "brw -div -buy iss"),
    _sum("chg", "ocf icf fcf"),
    _sum("cash", "chg", "cash"),
    _sum("wc", "-rec -inv -pre pay acc", "rec inv pre -pay -acc"),
    _sum("ocf", "ni da wc otl", "-otl"),
    _sum("icf", "-capex -gw -ota -sti", "gw ota sti"),
)
"""What holds between the amounts of a statement set (outflows positive); sums to zero term by term."""
