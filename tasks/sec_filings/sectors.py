"""Fictional companies and what they call their lines: ten sectors, each with its own words and proportions.

A line is written ``Printed name|light form|light form``: the light forms are what people say for short and share
words with the printed name. `SYNONYMS` are names of the same thing that may share no word with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


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
    "rev": ("Revenue|revenues", "Net sales|sales", "Total revenue|revenue", "Net revenue|revenue|revenues"),
    "seg_a": (
        "Domestic revenue|domestic sales",
        "Product sales|sales of products",
        "North segment revenue|north segment",
    ),
    "seg_b": ("Foreign revenue|foreign sales", "Service revenue|services", "South segment revenue|south segment"),
    "cogs": ("Cost of sales|sales cost", "Cost of revenue|revenue cost", "Cost of goods sold|goods sold, at cost"),
    "gp": ("Gross profit|gross profits", "Gross income|gross earnings"),
    "opx": ("Research and development|research and development costs|research costs", "Marketing expenses|marketing"),
    "sga": ("Selling and administrative|selling and administrative costs", "Administrative expenses|administration"),
    "oi": (
        "Operating income|income from operating",
        "Operating profit|profit from operating",
        "Income from operations|operations income",
    ),
    "int": ("Interest expense|interest", "Interest costs|interest", "Finance costs|finance cost"),
    "oth": ("Other income, net|other income", "Other items, net|other items"),
    "pbt": (
        "Income before taxes|income before tax",
        "Pretax income|income pretax",
        "Earnings before tax|earnings before taxes",
    ),
    "tax": ("Income taxes|income tax", "Tax expense|taxes", "Provision for taxes|tax provision"),
    "ni": ("Net income|income, net", "Net earnings|earnings, net", "Profit for the year|profit of the year"),
    "cash": ("Cash|cash held", "Cash and equivalents|cash", "Cash at bank|cash"),
    "sti": ("Short-term investments|investments", "Marketable securities|securities"),
    "rec": ("Receivables|receivable amounts", "Accounts receivable|receivables", "Trade receivables|receivables"),
    "inv": ("Inventories|inventory", "Inventory|inventories"),
    "pre": ("Prepaid expenses|prepaid items", "Other current assets|current assets, other"),
    "tca": ("Total current assets|current assets", "Current assets|current assets in total"),
    "ppe": (
        "Property and equipment|property",
        "Net plant and equipment|plant and equipment",
        "Fixed assets|net fixed assets",
    ),
    "gw": ("Goodwill|acquired goodwill", "Intangible assets|intangibles"),
    "ota": ("Other assets|assets, other", "Deferred charges|charges deferred"),
    "ta": ("Total assets|assets in total|assets",),
    "pay": ("Accounts payable|payables", "Trade payables|payables", "Payables|payable amounts"),
    "acc": ("Accrued liabilities|accruals", "Accrued expenses|accruals"),
    "std": ("Short-term debt|debt, short-term", "Current debt|debt, current", "Notes payable|notes"),
    "tcl": ("Total current liabilities|current liabilities", "Current liabilities|current liabilities in total"),
    "ltd": ("Long-term debt|debt, long-term", "Term loans|loans"),
    "otl": ("Other liabilities|liabilities, other", "Deferred taxes|taxes deferred"),
    "tl": ("Total liabilities|liabilities in total|liabilities",),
    "stk": ("Common stock|stock", "Share capital|capital"),
    "re": ("Retained earnings|earnings retained", "Reinvested earnings|earnings reinvested"),
    "te": ("Total equity|equity", "Shareholder equity|equity", "Owners equity|equity"),
    "da": ("Depreciation|depreciation charge", "Depreciation and amortization|depreciation"),
    "wc": ("Change in working capital|working capital change",),
    "ocf": (
        "Operating cash flow|cash flow, operating",
        "Cash from operations|operations cash",
        "Net cash from operations|cash from operations",
    ),
    "capex": (
        "Capital expenditures|capital expenditure",
        "Capital spending|spending on capital",
        "Plant additions|additions to plant",
    ),
    "icf": ("Investing cash flow|cash flow, investing", "Cash from investing|investing cash"),
    "div": ("Dividends paid|dividends", "Dividends|dividends paid"),
    "buy": ("Share repurchases|repurchases", "Stock buybacks|buybacks"),
    "iss": ("Share issuance|issuance", "Stock issued|shares issued"),
    "brw": ("Net borrowings|borrowings", "Change in debt|debt change"),
    "fcf": ("Financing cash flow|cash flow, financing", "Cash from financing|financing cash"),
    "chg": ("Net change in cash|change in cash",),
}
"""Concept to its line in a sector that has no word of its own."""

SYNONYMS: dict[str, tuple[str, ...]] = {
    "rev": ("revenue", "sales", "turnover", "top line"),
    "cogs": ("cost of sales", "direct costs", "cost of goods sold"),
    "gp": ("gross profit", "gross income"),
    "oi": ("operating profit", "operating income", "ebit"),
    "int": ("interest expense", "finance costs"),
    "pbt": ("pretax profit", "income before taxes", "profit before tax"),
    "tax": ("tax charge", "income taxes"),
    "ni": ("net profit", "net income", "bottom line", "profit after tax"),
    "cash": ("cash balance", "cash on hand"),
    "rec": ("accounts receivable", "money owed by customers"),
    "inv": ("inventory", "stock on hand"),
    "ppe": ("fixed assets", "net plant"),
    "pay": ("accounts payable", "money owed to suppliers"),
    "std": ("short-term borrowings", "debt due within a year"),
    "ltd": ("long-term borrowings", "debt due after a year"),
    "te": ("equity", "shareholders' equity", "net worth"),
    "da": ("depreciation and amortization", "d&a"),
    "ocf": ("cash from operations", "operating cash flow", "cash generated by operations"),
    "capex": ("capex", "capital expenditures", "investment in plant"),
    "div": ("dividends", "payouts to shareholders"),
}
"""Other names of a concept; may share no word with the printed line."""

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
    "seg_a": ("seg_b", "rev"),
    "seg_b": ("seg_a", "rev"),
    "gw": ("ota", "ppe"),
}
"""Concept to lines that are easily taken for it."""

SECTORS: tuple[Sector, ...] = (
    Sector(
        "textiles and goods",
        ("Mills", "Works", "Textiles", "Manufacturing"),
        {
            "rev": ("Revenue|revenues", "Net sales|sales"),
            "seg_a": ("Fabric sales|fabrics",),
            "seg_b": ("Yarn sales|yarns",),
            "opx": ("Research and development|research costs", "Freight and delivery|freight"),
            "inv": ("Inventories|inventory", "Finished goods|goods, finished"),
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
            "rev": ("Net sales|sales", "Total sales|sales"),
            "seg_a": ("Store sales|sales in stores",),
            "seg_b": ("Online sales|sales online",),
            "cogs": ("Cost of sales|sales cost", "Cost of merchandise|merchandise cost"),
            "opx": ("Store expenses|expenses of stores",),
            "inv": ("Merchandise inventory|merchandise", "Inventories|inventory"),
            "ppe": ("Stores and equipment|stores", "Property and equipment|property"),
            "capex": ("Store investments|investments in stores", "Capital expenditures|capital expenditure"),
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
            "rev": ("Total revenue|revenue", "Revenues|revenue"),
            "seg_a": ("Subscription revenue|subscriptions",),
            "seg_b": ("Support revenue|support",),
            "cogs": ("Cost of subscriptions|subscription cost", "Cost of revenue|revenue cost"),
            "opx": ("Research and development|research costs",),
            "sga": ("Sales and marketing|marketing", "General and administrative|administrative costs"),
            "acc": ("Deferred revenue|revenue, deferred",),
            "inv": ("Hardware inventory|hardware",),
            "ppe": ("Property and equipment|property", "Computers and premises|premises"),
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
            "rev": ("Operating revenues|revenues", "Total operating revenue|operating revenue"),
            "seg_a": ("Residential revenue|residential",),
            "seg_b": ("Industrial revenue|industrial",),
            "cogs": ("Fuel and purchased power|fuel and power", "Cost of energy|energy cost"),
            "opx": ("Maintenance|maintenance work",),
            "sga": ("Operation expenses|operation",),
            "inv": ("Fuel and supplies|supplies", "Materials and supplies|materials"),
            "rec": ("Customer receivables|receivables",),
            "ppe": ("Net utility plant|utility plant", "Plant in service|plant"),
            "ltd": ("Long-term bonds|bonds",),
            "capex": ("Construction spending|construction", "Additions to utility plant|plant additions"),
            "te": ("Common equity|equity",),
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
            "rev": ("Operating revenue|revenue", "Total operating revenues|operating revenues"),
            "seg_a": ("Passenger revenue|passengers",),
            "seg_b": ("Cargo revenue|cargo",),
            "cogs": ("Flight operations costs|flight operations", "Cost of flying|flying costs"),
            "opx": ("Aircraft maintenance|maintenance",),
            "sga": ("Selling expenses|selling", "Ground services|ground service"),
            "inv": ("Spare parts|parts", "Parts and fuel|fuel and parts"),
            "acc": ("Air traffic liability|traffic liability",),
            "ppe": ("Flight equipment|equipment", "Aircraft and property|aircraft"),
            "capex": ("Aircraft purchases|purchases of aircraft", "Purchases of equipment|equipment purchases"),
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
            "rev": ("Net product sales|product sales", "Net revenues|revenues"),
            "seg_a": ("Vaccine sales|vaccines",),
            "seg_b": ("Generic drug sales|generic drugs",),
            "cogs": ("Cost of products sold|products sold, at cost", "Cost of sales|sales cost"),
            "opx": ("Research and development|research costs",),
            "inv": ("Inventories|inventory", "Drug inventories|inventories"),
            "gw": ("Patents and rights|patents", "Goodwill|acquired goodwill"),
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
            "rev": ("Total revenues|revenues", "Sales|restaurant sales"),
            "seg_a": ("Restaurant sales|restaurants",),
            "seg_b": ("Franchise fees|franchise income",),
            "cogs": ("Food and packaging costs|food and packaging", "Food and beverage costs|food and beverage"),
            "opx": ("Restaurant wages|wages",),
            "sga": ("Rent and utilities|rent", "General expenses|expenses in general"),
            "inv": ("Food inventory|food stock", "Inventories|inventory"),
            "ppe": ("Restaurants and equipment|restaurants", "Leased property, net|leased property"),
            "capex": ("New restaurant spending|new restaurants", "Capital expenditures|capital expenditure"),
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
            "rev": ("Service revenues|services", "Total net revenue|net revenue"),
            "seg_a": ("Mobile revenue|mobile",),
            "seg_b": ("Broadband revenue|broadband",),
            "cogs": ("Cost of services|services cost", "Network costs|network"),
            "opx": ("Device subsidies|subsidies",),
            "sga": ("Selling and general|selling costs",),
            "inv": ("Device inventory|devices", "Inventories|inventory"),
            "gw": ("Licenses|spectrum licenses",),
            "ppe": ("Network equipment|equipment", "Network and property|network property"),
            "capex": ("Network investment|investment in networks", "Capital expenditures|capital expenditure"),
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
            "rev": ("Metal sales|sales", "Sales of ore|ore sales"),
            "seg_a": ("Copper sales|copper",),
            "seg_b": ("Zinc sales|zinc",),
            "cogs": ("Production costs|production", "Cost of metal sold|metal sold, at cost"),
            "opx": ("Exploration costs|exploration",),
            "sga": ("Royalties and overhead|royalties", "Administration|administration costs"),
            "inv": ("Ore stockpiles|stockpiles", "Ore and supplies|supplies"),
            "ppe": ("Mines and equipment|mines", "Mineral property, net|mineral property"),
            "capex": ("Mine development|development of mines", "Additions to mines|mine additions"),
            "da": ("Depletion and depreciation|depletion", "Depreciation|depreciation charge"),
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
            "rev": ("Home sales|homes", "Revenue from homes|homes revenue"),
            "seg_a": ("House sales|houses",),
            "seg_b": ("Land sales|land",),
            "cogs": ("Cost of homes sold|homes sold, at cost", "Construction costs|construction"),
            "opx": ("Design and planning|design",),
            "sga": ("Selling and overhead|overhead",),
            "inv": ("Homes and land held|homes and land", "Houses in progress|houses"),
            "acc": ("Customer deposits|deposits",),
            "ltd": ("Senior notes|notes", "Long-term debt|debt, long-term"),
        },
        (0.64, 0.78),
        (0.04, 0.09),
        (0.08, 0.25),
        (120, 260),
    ),
)

CONCEPTS: tuple[str, ...] = tuple(COMMON)
"""All concepts in statement order: income, balance sheet, cash flow."""

_HEADS = """tal vor bel mar kes dun hal lor fen gar sil wen bro cal dar elm hol jas kir
lun mor nor pel quin ros sor tem ul var wil yar zan""".split()
_MIDDLES = "va ri do la mo ne ta li so ka ve no ra mi de lo".split()
_ENDS = "ne ric den th mor well ton dale field sen mark by ra lin ham go vik ster nia ston".split()


def company_name(rng: Random, sector: Sector) -> str:
    """An invented company: pronounceable syllables and a word of its sector."""
    middle = rng.choice(_MIDDLES) if rng.random() < 0.5 else ""
    return f"{(rng.choice(_HEADS) + middle + rng.choice(_ENDS)).capitalize()} {rng.choice(sector.tails)}"


@dataclass(frozen=True, slots=True)
class Naming:
    """How one company calls its lines: concept to printed name and to the light forms."""

    printed: dict[str, str]
    light: dict[str, tuple[str, ...]]


def choose_names(rng: Random, sector: Sector) -> Naming:
    """Pick one variant of every line, all printed names different."""
    printed: dict[str, str] = {}
    light: dict[str, tuple[str, ...]] = {}
    for concept in CONCEPTS:
        variants = list(sector.lines.get(concept, COMMON[concept]))
        rng.shuffle(variants)
        taken = {name.casefold() for name in printed.values()}
        for variant in [*variants, *COMMON[concept]]:
            name, *forms = variant.split("|")
            if name.casefold() not in taken:
                printed[concept], light[concept] = name, tuple(forms)
                break
    return Naming(printed, light)
