"""Every constant that decides how hard `warehouse_sql` is. Change difficulty here and nowhere else.

The task is frozen once its base accuracy lies in the gate's window; after that a change is a new
version of the task. `generate.py` reads these values when it runs, so a test or a trial may set them.
"""

from __future__ import annotations

LEVELS = ("L1", "L2", "L3")

# --- how much ---------------------------------------------------------------------------------
SCHEMAS = {"pool": 400, "train": 400, "dev": 40, "test": 60}
"""Many schemas in the pool: with 80 the model learned their names by heart (pool answers that run 38 to 56 %, dev +2)."""
ITEMS = {"pool": 1600, "train": 2000, "dev": 360, "test": 720}
LEVEL_MIX = {"L1": 1, "L2": 1, "L3": 1}
"""Share of the levels, dealt out in turn within each schema."""

# --- how the words of a question relate to the schema ------------------------------------------
PARAPHRASE = {"L1": (50, 35, 15), "L2": (100, 0, 0), "L3": (70, 25, 5)}
"""Weights of the wording tiers (near-literal, plain, loose). Loose tier of a filter = its column goes unnamed."""
COLUMN_SYNONYM = {"L1": 0.06, "L2": 0.0, "L3": 0.03}
"""Share of column mentions that use a synonym which is not in the schema ("rebate" for `discount`)."""
TABLE_SYNONYM = {"L1": 0.05, "L2": 0.0, "L3": 0.03}
"""The same for tables ("clients" for `customers`)."""
SHORT_TABLE = 0.1
"""Share of mentions of a two-word table by its last word ("orders" for `sales_orders`)."""
PLURAL_COLUMN = 0.15
"""Share of listed columns said in the plural ("cities" for `city`)."""

# --- what the schema looks like ---------------------------------------------------------------
TABLES = {2: 75, 3: 25}
COLUMNS = {3: 25, 4: 45, 5: 25, 6: 5}
"""Weights of the number of columns of a table (keys included; a table takes what it needs at least)."""
UNNEEDED_TABLES_SHOWN = 1.0
"""Share of the prompts that show the whole schema; the others show only the tables the query needs."""
LONG_NAMES = 0.25
"""Chance that a table or column takes one of its two-word or three-word names."""
SINGULAR_TABLES = 0.25
FOREIGN_KEY_LAST = 0.7
"""Share of the schemas that list foreign keys after all other columns."""

# --- what values look like --------------------------------------------------------------------
MULTIWORD_VALUES = 0.35
"""Chance that a text value has two words or more ("Partner Portal", "Anna Keller")."""
VALUES_PER_TEXT_COLUMN = (4, 7)

# --- what is asked ----------------------------------------------------------------------------
FILTERS = {"L1": (15, 60, 25), "L2": (55, 45, 0), "L3": (45, 55, 0)}
"""Weights of 0, 1, 2 filters where a shape leaves the number open (for joins: besides the far filter)."""
FILTER_KINDS = {
    "L1": {"text": 60, "number": 40, "date": 0},
    "L2": {"text": 50, "number": 25, "date": 25},
    "L3": {"text": 60, "number": 30, "date": 10},
}
TEXT_FILTERS = {"equal": 78, "not_equal": 14, "either": 8}
NUMBER_FILTERS = {"above": 32, "below": 28, "at_least": 14, "at_most": 12, "between": 14}
DATE_FILTERS = {"year": 40, "month": 12, "month_year": 8, "after": 14, "before": 14, "since": 4, "between": 8}
NAMED_PARENT = 0.3
"""Share of the joins that pick the parent by its name ("orders placed by Nordal")."""
GROUP_FILTER = 0.4
"""Chance that a group or top-k question keeps the filter it drew."""
TOP_K = (1, 1, 2, 3, 3, 4, 5)
SHAPES = {
    "L1": {
        "count_rows": 20, "measure": 22, "list_values": 20, "list_distinct": 7, "count_distinct": 6,
        "group_rows": 13, "top_rows": 12,
    },
    "L2": {
        "join_count": 18, "join_measure": 20, "join_list": 10, "join_distinct": 6, "dated_rows": 16,
        "join_group": 16, "group_having": 9, "group_year": 5,
    },
    "L3": {
        "has_related": 15, "lacks_related": 17, "beyond_average": 20, "largest_group": 18, "share_of_rows": 9,
        "spread": 6, "two_joins": 13, "group_beyond_average": 2,
    },
}  # fmt: skip
"""Weights of the shapes of each level; a shape that a schema cannot carry is drawn again."""

# --- how much data ----------------------------------------------------------------------------
CHILD_ROWS = (44, 58)
PARENT_ROWS = (20, 30)
ANCHORS = 9
"""Rows (joined down to every table) that all instances of a schema share; values in questions come from them."""
CHILDLESS = 0.25
"""Share of parent rows that no child row refers to."""
