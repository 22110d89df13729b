"""SEC companyfacts files as facts: what a company's 10-K filings reported, year by year.

A file is what ``data.sec.gov/api/xbrl/companyfacts/CIK##########.json`` returns: ``entityName`` and
``facts.us-gaap.<Tag>.units.USD[] = {start?, end, val, accn, fy, fp, form, filed, frame?}``. Nothing is downloaded
here. What a careless reader gets wrong, and what is done about it:

- ``fy`` and ``fp`` describe the *filing*: comparatives of earlier years repeat under a later ``fy``. Facts are keyed on
  ``start`` and ``end``.
- Only the form ``10-K`` counts (no 10-Q, 8-K, 10-KT; amendments, ``10-K/A``, neither).
- A flow lasts 350 to 380 days; quarters and stub periods are in the same list.
- A restated amount has several values. The question is asked of one filing, the latest 10-K of the company's table:
  its value counts, for all years it reports; years it does not report come from the latest 10-K that does.
- Two values in one filing for one period are ambiguous: the fact is left out, and with it every question that needs it.
- Companies use different tags for one line: `TAGS` are tried in order, one tag for all years of a line, so that a
  change of tag cannot pass for a change of amount.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from tao.errors import InputError

from .facts import Facts
from .lines import CONCEPTS, STATEMENT

FORM = "10-K"
DAYS = (350, 380)
YEARS = 5
"""Most fiscal years of a company."""

TAGS: dict[str, tuple[tuple[str, str], ...]] = {
    "rev": (
        ("RevenueFromContractWithCustomerExcludingAssessedTax", "Revenues"),
        ("Revenues", "Total revenues"),
        ("SalesRevenueNet", "Net sales"),
        ("RevenueFromContractWithCustomerIncludingAssessedTax", "Revenues"),
    ),
    "cogs": (
        ("CostOfRevenue", "Cost of revenue"),
        ("CostOfGoodsAndServicesSold", "Cost of goods and services sold"),
        ("CostOfGoodsSold", "Cost of goods sold"),
    ),
    "gp": (("GrossProfit", "Gross profit"),),
    "opx": (("ResearchAndDevelopmentExpense", "Research and development"),),
    "sga": (("SellingGeneralAndAdministrativeExpense", "Selling, general and administrative"),),
    "oi": (("OperatingIncomeLoss", "Operating income (loss)"),),
    "int": (("InterestExpense", "Interest expense"), ("InterestExpenseNonoperating", "Interest expense")),
    "pbt": (
        (
            "IncomeLossFromContinuingOperationsBeforeIncomeTaxesExtraordinaryItemsNoncontrollingInterest",
            "Income (loss) before income taxes",
        ),
        (
            "IncomeLossFromContinuingOperationsBeforeIncomeTaxesMinorityInterestAndIncomeLossFromEquityMethodInvestments",
            "Income (loss) before income taxes",
        ),
    ),
    "tax": (("IncomeTaxExpenseBenefit", "Income tax expense (benefit)"),),
    "ni": (("NetIncomeLoss", "Net income (loss)"), ("ProfitLoss", "Net income (loss)")),
    "cash": (("CashAndCashEquivalentsAtCarryingValue", "Cash and cash equivalents"),),
    "sti": (
        ("ShortTermInvestments", "Short-term investments"),
        ("MarketableSecuritiesCurrent", "Marketable securities"),
    ),
    "rec": (
        ("AccountsReceivableNetCurrent", "Accounts receivable, net"),
        ("ReceivablesNetCurrent", "Receivables, net"),
    ),
    "inv": (("InventoryNet", "Inventories"),),
    "pre": (
        ("PrepaidExpenseAndOtherAssetsCurrent", "Prepaid expenses and other current assets"),
        ("PrepaidExpenseCurrent", "Prepaid expenses"),
    ),
    "tca": (("AssetsCurrent", "Total current assets"),),
    "ppe": (("PropertyPlantAndEquipmentNet", "Property, plant and equipment, net"),),
    "gw": (("Goodwill", "Goodwill"),),
    "ta": (("Assets", "Total assets"),),
    "pay": (("AccountsPayableCurrent", "Accounts payable"), ("AccountsPayableTradeCurrent", "Trade accounts payable")),
    "acc": (("AccruedLiabilitiesCurrent", "Accrued liabilities"),),
    "std": (("LongTermDebtCurrent", "Current portion of long-term debt"), ("DebtCurrent", "Current debt")),
    "tcl": (("LiabilitiesCurrent", "Total current liabilities"),),
    "ltd": (("LongTermDebtNoncurrent", "Long-term debt, less current portion"),),
    "tl": (("Liabilities", "Total liabilities"),),
    "re": (("RetainedEarningsAccumulatedDeficit", "Retained earnings (accumulated deficit)"),),
    "te": (("StockholdersEquity", "Total stockholders' equity"),),
    "da": (
        ("DepreciationDepletionAndAmortization", "Depreciation, depletion and amortization"),
        ("DepreciationAndAmortization", "Depreciation and amortization"),
        ("DepreciationAmortizationAndAccretionNet", "Depreciation, amortization and accretion"),
    ),
    "ocf": (("NetCashProvidedByUsedInOperatingActivities", "Net cash provided by operating activities"),),
    "capex": (
        ("PaymentsToAcquirePropertyPlantAndEquipment", "Purchases of property, plant and equipment"),
        ("PaymentsToAcquireProductiveAssets", "Capital expenditures"),
    ),
    "icf": (("NetCashProvidedByUsedInInvestingActivities", "Net cash from investing activities"),),
    "div": (("PaymentsOfDividendsCommonStock", "Dividends paid"), ("PaymentsOfDividends", "Dividends paid")),
    "buy": (("PaymentsForRepurchaseOfCommonStock", "Repurchases of common stock"),),
    "fcf": (("NetCashProvidedByUsedInFinancingActivities", "Net cash from financing activities"),),
}
"""Concept to its tags, best first, each with the name its line is printed with."""

_FLOWS = ("income", "cash")
_FILLERS = frozenset(
    "inc incorporated corp corporation co company companies ltd plc llc the group holdings nv sa de".split()
)


@dataclass(frozen=True, slots=True)
class Fact:
    """One value of one filing for one period; `end` and `filed` as ISO dates."""

    end: str
    value: int
    filing: str
    filed: str


def read_companies(folder: Path, exclude: str | None) -> list[Facts]:
    """All usable companies of a folder, by file name.

    Args:
        folder: Holds companyfacts JSON files.
        exclude: File of companies to leave out, or ``none``.

    Raises:
        InputError: No folder, no file, a malformed file, or `exclude` not said.
    """
    if not folder.is_dir():
        raise InputError("no such folder", str(folder), "name a folder of companyfacts JSON files")
    if exclude is None:
        fix = "exclude=FILE with one company a line (or a JSONL file with a field company), or exclude=none"
        raise InputError("which companies must be left out (those of FinanceBench, say)?", "exclude", fix)
    names = [] if exclude == "none" else read_excluded(Path(exclude))
    files = sorted(folder.glob("*.json"))
    if not files:
        raise InputError("holds no .json file", str(folder), "name a folder of companyfacts JSON files")
    found: dict[str, Facts] = {}
    for path in files:
        facts = read_company(path)
        if facts is None or any(same_company(facts.company, name) for name in names):
            continue
        if facts.company in found:
            raise InputError(f"a second file for {facts.company!r}", str(path), "keep one file a company")
        found[facts.company] = facts
    return list(found.values())


def read_excluded(path: Path) -> list[str]:
    """Company names of a text file (one a line) or of JSONL rows with a field ``company``.

    Raises:
        InputError: It cannot be read or names nothing.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        names = [str(json.loads(line)["company"]) if line.startswith("{") else line for line in lines]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"cannot be read ({error})", str(path), "one company a line, or JSONL with company") from error
    if not names:
        raise InputError("names no company", str(path))
    return sorted(set(names))


def same_company(one: str, other: str) -> bool:
    """Whether two names mean one company: the words of the shorter open the longer, or one is the other's initials.

    ``Inc``, ``Corp``, ``Holdings`` and the like do not count, nor do case, points and hyphens.
    """
    first, second = _name_words(one), _name_words(other)
    if not first or not second:
        return False
    short, long = sorted((first, second), key=len)
    joined = "".join(short)
    initials = "".join(word[0] for word in long)
    return long[: len(short)] == short or joined == "".join(long) or (len(joined) >= 3 and joined == initials)


def _name_words(name: str) -> list[str]:
    words = re.findall(r"[a-z0-9]+", name.casefold().replace("'", "").replace(".", ""))
    return [word for word in words if word not in _FILLERS]


def read_company(path: Path) -> Facts | None:
    """The facts of one file; None for a company with fewer than two fiscal years of assets and net income.

    Raises:
        InputError: Not companyfacts JSON.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        name, tags = str(raw["entityName"]).strip(), raw["facts"]["us-gaap"]
        facts = {tag: annual(body, flow=flow) for tag, body, flow in _known_tags(tags)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        fix = "entityName and facts.us-gaap.<Tag>.units.USD[] with end, val, accn, form, filed"
        raise InputError(f"is no companyfacts file ({error!r})", str(path), fix) from error
    ends = fiscal_years(facts)
    if len(ends) < 2:
        return None
    latest = {year: end for year, end in sorted(ends.items(), reverse=True)[: YEARS + 1]}
    amounts, printed = _choose(facts, latest)
    years = tuple(
        year for year in latest if year in amounts.get("rev", amounts.get("ni", {})) and year in amounts["ta"]
    )
    years = _consecutive(years)[:YEARS]
    if len(years) < 2:
        return None
    unit, divisor = _unit([value for line in amounts.values() for value in line.values()])
    return Facts(
        company=name,
        unit=unit,
        years=years,
        ends={
            year: f"{date.fromisoformat(end):%B} {date.fromisoformat(end).day}, {end[:4]}"
            for year, end in latest.items()
        },
        printed=printed,
        amounts={
            concept: {year: value // divisor for year, value in line.items()} for concept, line in amounts.items()
        },
    )


def _known_tags(tags: dict[str, Any]) -> list[tuple[str, Any, bool]]:
    wanted = {tag: STATEMENT[concept] in _FLOWS for concept, names in TAGS.items() for tag, _ in names}
    return [(tag, tags[tag], flow) for tag, flow in wanted.items() if tag in tags]


def annual(body: Any, *, flow: bool) -> list[Fact]:
    """A tag's facts in USD from 10-K filings: instants, or flows of about a year."""
    found = []
    for row in body["units"].get("USD", ()):
        if row["form"] != FORM or ("start" in row) != flow:
            continue
        if (
            flow
            and not DAYS[0] <= (date.fromisoformat(row["end"]) - date.fromisoformat(row["start"])).days + 1 <= DAYS[1]
        ):
            continue
        if isinstance(row["val"], int) and not isinstance(row["val"], bool):  # a fraction of a dollar is no amount here
            found.append(Fact(row["end"], row["val"], str(row["accn"]), str(row["filed"])))
    return found


def fiscal_years(facts: dict[str, list[Fact]]) -> dict[int, str]:
    """Fiscal year to its last day, from year-long net income or revenue that has total assets on the same day.

    A year has the number of the calendar year it ends in; one that ends in the first week of January that of the
    year before, so that years of 52 and 53 weeks keep numbers apart.
    """
    flows = {fact.end for concept in ("rev", "ni") for tag, _ in TAGS[concept] for fact in facts.get(tag, ())}
    days = sorted(flows & {fact.end for fact in facts.get("Assets", ())})
    found: dict[int, str] = {}
    for end in days:
        day = date.fromisoformat(end)
        found[day.year - (day.month == 1 and day.day <= 7)] = end
    return found


def _choose(facts: dict[str, list[Fact]], ends: dict[int, str]) -> tuple[dict[str, dict[int, int]], dict[str, str]]:
    """Concept to year to value, and to printed name: the first tag that reports the latest year."""
    amounts: dict[str, dict[int, int]] = {}
    printed: dict[str, str] = {}
    for concept in (c for c in CONCEPTS if c in TAGS):
        for tag, name in TAGS[concept]:
            line = values(facts.get(tag, []), ends)
            if max(ends) in line and name not in printed.values():
                amounts[concept], printed[concept] = line, name
                break
    amounts.setdefault("ta", {})
    return amounts, printed


def values(facts: list[Fact], ends: dict[int, str]) -> dict[int, int]:
    """Fiscal year to value.

    It is the value of the latest filing that reports the year; there is none where that filing has two values for it.
    As the latest 10-K reports its own comparatives, a restated year has the value that stands beside the latest one.
    """
    by_day: dict[str, list[Fact]] = defaultdict(list)
    for fact in facts:
        by_day[fact.end].append(fact)
    found = {}
    for year, end in ends.items():
        if not by_day[end]:
            continue
        _, filing = max((fact.filed, fact.filing) for fact in by_day[end])
        said = {fact.value for fact in by_day[end] if fact.filing == filing}
        if len(said) == 1:
            found[year] = said.pop()
    return found


def _consecutive(years: tuple[int, ...]) -> tuple[int, ...]:
    """The years, latest first, up to the first gap."""
    kept = years[:1]
    for year in years[1:]:
        if year != kept[-1] - 1:
            break
        kept += (year,)
    return kept


def _unit(amounts: list[int]) -> tuple[str, int]:
    """The largest unit in which every amount is whole."""
    for unit, divisor in (("millions", 10**6), ("thousands", 10**3)):
        if all(amount % divisor == 0 for amount in amounts):
            return unit, divisor
    return "dollars", 1
