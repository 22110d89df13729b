"""Fictional companies: ten sectors, each with its own words for its lines and its own proportions."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from .lines import CONCEPTS


@dataclass(frozen=True, slots=True)
class Sector:
    """One industry.

    Attributes:
        name: Of the sector, in words.
        tails: Last words of company names.
        lines: Concept to variants of its line, overriding `COMMON`.
        cost: Range of cost of revenue as a share of revenue.
        overhead: Range of each of the two operating expense lines as a share of revenue.
        plant: Range of net plant as a share of revenue.
        stock_days: Range of inventory in days of cost.
    """

    name: str
    tails: tuple[str, ...]
    lines: dict[str, tuple[str, ...]]
    cost: tuple[float, float]
    overhead: tuple[float, float]
    plant: tuple[float, float]
    stock_days: tuple[int, int]


COMMON: dict[str, tuple[str, ...]] = {
    "rev": ("Revenue", "Net sales", "Total revenue", "Net revenue"),
    "seg_a": (
        "Domestic revenue",
        "Product sales",
        "North segment revenue",
    ),
    "seg_b": ("Foreign revenue", "Service revenue", "South segment revenue"),
    "seg_c": ("Other segment revenue", "Licensing revenue", "West segment revenue"),
    "cogs": ("Cost of sales", "Cost of revenue", "Cost of goods sold"),
    "gp": ("Gross profit", "Gross income"),
    "opx": ("Research and development", "Marketing expenses"),
    "sga": ("Selling and administrative", "Administrative expenses"),
    "oi": (
        "Operating income",
        "Operating profit",
        "Income from operations",
    ),
    "int": ("Interest expense", "Interest costs", "Finance costs"),
    "oth": ("Other income, net", "Other items, net"),
    "pbt": (
        "Income before taxes",
        "Pretax income",
        "Earnings before tax",
    ),
    "tax": ("Income taxes", "Tax expense", "Provision for taxes"),
    "ni": ("Net income", "Net earnings", "Profit for the year"),
    "cash": ("Cash and cash equivalents", "Cash and equivalents"),
    "sti": ("Short-term investments", "Marketable securities"),
    "rec": ("Accounts receivable, net", "Accounts receivable", "Trade receivables"),
    "inv": ("Inventories", "Inventory"),
    "pre": ("Prepaid expenses", "Other current assets"),
    "tca": ("Total current assets", "Current assets"),
    "ppe": (
        "Property and equipment",
        "Net plant and equipment",
        "Fixed assets",
    ),
    "gw": ("Goodwill", "Intangible assets"),
    "ota": ("Other assets", "Deferred charges"),
    "ta": ("Total assets",),
    "pay": ("Accounts payable", "Trade accounts payable"),
    "acc": ("Accrued liabilities", "Accrued expenses"),
    "std": ("Short-term debt", "Current debt", "Short-term borrowings"),
    "tcl": ("Total current liabilities", "Current liabilities"),
    "ltd": ("Long-term debt", "Long-term borrowings"),
    "otl": ("Other liabilities", "Deferred taxes"),
    "tl": ("Total liabilities",),
    "stk": ("Common stock", "Share capital"),
    "re": ("Retained earnings", "Reinvested earnings"),
    "te": ("Total equity", "Shareholder equity", "Owners equity"),
    "da": ("Depreciation and amortization", "Depreciation and amortization expense"),
    "wc": ("Change in working capital",),
    "ocf": (
        "Operating cash flow",
        "Cash from operations",
        "Net cash from operations",
    ),
    "capex": (
        "Capital expenditures",
        "Capital spending",
        "Plant additions",
    ),
    "icf": ("Investing cash flow", "Cash from investing"),
    "div": ("Dividends paid", "Dividends"),
    "buy": ("Share repurchases", "Stock buybacks"),
    "iss": ("Share issuance", "Stock issued"),
    "brw": ("Net borrowings", "Change in debt"),
    "fcf": ("Financing cash flow", "Cash from financing"),
    "chg": ("Net change in cash",),
}
"""Concept to its line in a sector that has no word of its own."""

SECTORS: tuple[Sector, ...] = (
    Sector(
        "textiles and goods",
        ("Mills", "Works", "Textiles", "Manufacturing"),
        {
            "rev": ("Revenue", "Net sales"),
            "seg_a": ("Fabric sales",),
            "seg_b": ("Yarn sales",),
            "seg_c": ("Carpet sales",),
            "opx": ("Research and development", "Freight and delivery"),
            "inv": ("Inventories", "Finished goods"),
        },
        (0.52, 0.70),
        (0.06, 0.13),
        (0.30, 0.60),
        (50, 120),
    ),
    Sector(
        "retail",
        ("Stores", "Markets", "Outfitters", "Retail"),
        {
            "rev": ("Net sales", "Total sales"),
            "seg_a": ("Store sales",),
            "seg_b": ("Online sales",),
            "seg_c": ("Wholesale revenue",),
            "cogs": ("Cost of sales", "Cost of merchandise"),
            "opx": ("Store expenses",),
            "inv": ("Merchandise inventory", "Inventories"),
            "ppe": ("Stores and equipment", "Property and equipment"),
            "capex": ("Store investments", "Capital expenditures"),
        },
        (0.60, 0.75),
        (0.07, 0.12),
        (0.18, 0.40),
        (40, 110),
    ),
    Sector(
        "software",
        ("Software", "Systems", "Data", "Cloud"),
        {
            "rev": ("Total revenue", "Revenues"),
            "seg_a": ("Subscription revenue",),
            "seg_b": ("Support revenue",),
            "seg_c": ("Consulting revenue",),
            "cogs": ("Cost of subscriptions", "Cost of revenue"),
            "opx": ("Research and development",),
            "sga": ("Sales and marketing", "General and administrative"),
            "acc": ("Deferred revenue",),
            "inv": ("Hardware inventory",),
            "ppe": ("Property and equipment", "Computers and premises"),
        },
        (0.20, 0.38),
        (0.18, 0.27),
        (0.12, 0.30),
        (30, 70),
    ),
    Sector(
        "utilities",
        ("Power", "Electric", "Energy", "Water"),
        {
            "rev": ("Operating revenues", "Total operating revenue"),
            "seg_a": ("Residential revenue",),
            "seg_b": ("Industrial revenue",),
            "seg_c": ("Public lighting revenue",),
            "cogs": ("Fuel and purchased power", "Cost of energy"),
            "opx": ("Maintenance",),
            "sga": ("Operation expenses",),
            "inv": ("Fuel and supplies", "Materials and supplies"),
            "rec": ("Customer receivables",),
            "ppe": ("Net utility plant", "Plant in service"),
            "ltd": ("Long-term bonds",),
            "capex": ("Construction spending", "Additions to utility plant"),
            "te": ("Common equity",),
        },
        (0.42, 0.58),
        (0.08, 0.13),
        (1.20, 2.20),
        (30, 80),
    ),
    Sector(
        "airlines",
        ("Airlines", "Air", "Airways"),
        {
            "rev": ("Operating revenue", "Total operating revenues"),
            "seg_a": ("Passenger revenue",),
            "seg_b": ("Cargo revenue",),
            "seg_c": ("Loyalty program revenue",),
            "cogs": ("Flight operations costs", "Cost of flying"),
            "opx": ("Aircraft maintenance",),
            "sga": ("Selling expenses", "Ground services"),
            "inv": ("Spare parts", "Parts and fuel"),
            "acc": ("Air traffic liability",),
            "ppe": ("Flight equipment", "Aircraft and property"),
            "capex": ("Aircraft purchases", "Purchases of equipment"),
        },
        (0.55, 0.72),
        (0.07, 0.12),
        (0.60, 1.10),
        (15, 50),
    ),
    Sector(
        "medicines",
        ("Pharma", "Therapeutics", "Labs", "Biologics"),
        {
            "rev": ("Net product sales", "Net revenues"),
            "seg_a": ("Vaccine sales",),
            "seg_b": ("Generic drug sales",),
            "seg_c": ("Royalty revenue",),
            "cogs": ("Cost of products sold", "Cost of sales"),
            "opx": ("Research and development",),
            "inv": ("Inventories", "Drug inventories"),
            "gw": ("Patents and rights", "Goodwill"),
        },
        (0.22, 0.42),
        (0.14, 0.24),
        (0.25, 0.55),
        (90, 200),
    ),
    Sector(
        "restaurants",
        ("Kitchens", "Diners", "Foods", "Grill"),
        {
            "rev": ("Total revenues", "Sales"),
            "seg_a": ("Restaurant sales",),
            "seg_b": ("Franchise fees",),
            "seg_c": ("Catering sales",),
            "cogs": ("Food and packaging costs", "Food and beverage costs"),
            "opx": ("Restaurant wages",),
            "sga": ("Rent and utilities", "General expenses"),
            "inv": ("Food inventory", "Inventories"),
            "ppe": ("Restaurants and equipment", "Leased property, net"),
            "capex": ("New restaurant spending", "Capital expenditures"),
        },
        (0.30, 0.45),
        (0.16, 0.24),
        (0.50, 1.00),
        (15, 40),
    ),
    Sector(
        "telecoms",
        ("Telecom", "Wireless", "Networks"),
        {
            "rev": ("Service revenues", "Total net revenue"),
            "seg_a": ("Mobile revenue",),
            "seg_b": ("Broadband revenue",),
            "seg_c": ("Roaming revenue",),
            "cogs": ("Cost of services", "Network costs"),
            "opx": ("Device subsidies",),
            "sga": ("Selling and general",),
            "inv": ("Device inventory", "Inventories"),
            "gw": ("Licenses",),
            "ppe": ("Network equipment", "Network and property"),
            "capex": ("Network investment", "Capital expenditures"),
        },
        (0.38, 0.52),
        (0.10, 0.16),
        (0.70, 1.40),
        (20, 60),
    ),
    Sector(
        "mining",
        ("Mining", "Minerals", "Resources", "Metals"),
        {
            "rev": ("Metal sales", "Sales of ore"),
            "seg_a": ("Copper sales",),
            "seg_b": ("Zinc sales",),
            "seg_c": ("Silver sales",),
            "cogs": ("Production costs", "Cost of metal sold"),
            "opx": ("Exploration costs",),
            "sga": ("Royalties and overhead", "Administration"),
            "inv": ("Ore stockpiles", "Ore and supplies"),
            "ppe": ("Mines and equipment", "Mineral property, net"),
            "capex": ("Mine development", "Additions to mines"),
            "da": ("Depletion, depreciation and amortization",),
        },
        (0.48, 0.66),
        (0.05, 0.11),
        (0.80, 1.60),
        (40, 110),
    ),
    Sector(
        "home building",
        ("Homes", "Builders", "Construction"),
        {
            "rev": ("Home sales", "Revenue from homes"),
            "seg_a": ("House sales",),
            "seg_b": ("Land sales",),
            "seg_c": ("Mortgage service revenue",),
            "cogs": ("Cost of homes sold", "Construction costs"),
            "opx": ("Design and planning",),
            "sga": ("Selling and overhead",),
            "inv": ("Homes and land held", "Houses in progress"),
            "acc": ("Customer deposits",),
            "ltd": ("Long-term senior notes", "Long-term debt"),
        },
        (0.64, 0.78),
        (0.04, 0.09),
        (0.08, 0.25),
        (120, 260),
    ),
)

_HEADS = """aster birch cald drev elst finn grav hest ivar jorn kelv lind marv nord orl prid quar
rend salt thor ulv vest wald yor zel ambr brant corv""".split()
_MIDDLES = "a e i o u er en ol an ir".split()
_ENDS = (
    "holm wick grove bury crest fold hart lock mont port rick shaw stead vale worth brook cliff dorn gate mere".split()
)


def company_name(rng: Random, sector: Sector) -> str:
    """An invented company: pronounceable syllables and a word of its sector."""
    middle = rng.choice(_MIDDLES) if rng.random() < 0.6 else ""
    return f"{(rng.choice(_HEADS) + middle + rng.choice(_ENDS)).capitalize()} {rng.choice(sector.tails)}"


def choose_names(rng: Random, sector: Sector) -> dict[str, str]:
    """Concept to printed name: one variant of every line, all different."""
    printed: dict[str, str] = {}
    taken: set[str] = set()
    for concept in CONCEPTS:
        variants = list(sector.lines.get(concept, COMMON[concept]))
        rng.shuffle(variants)
        printed[concept] = next(name for name in [*variants, *COMMON[concept]] if name.casefold() not in taken)
        taken.add(printed[concept].casefold())
    return printed
