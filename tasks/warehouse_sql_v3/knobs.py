"""Every constant that decides how large and how hard `warehouse_sql@3` is. Change difficulty here and nowhere else.

`generate.py` reads these values when it runs, so a test or a trial may set them. Once the version is published, a
change here is a new version of the task.
"""

from __future__ import annotations

LEVELS = ("L1", "L2", "L3", "L4", "L5")

# --- how much ---------------------------------------------------------------------------------
SCHEMAS = {"pool": 200, "train": 200, "dev": 40, "test": 75}
ITEMS = {"pool": 1000, "train": 1000, "dev": 400, "test": 750}
"""Levels are dealt in turn within each schema, so every level has a fifth of a split."""

# --- what the schema looks like ---------------------------------------------------------------
LAYOUTS = (("site",), ("region",), ("tags",), ("site", "region"), ("site", "tags"), ("region", "tags"))
"""What stands beside the fact, its historised and its plain dimension: 4 to 6 tables (tags: a bridge and a table)."""
LONG_NAMES = 0.25
"""Chance that a table or column takes one of its two-word or three-word names."""
SINGULAR_TABLES = 0.25
DIRTY_KINDS = ("code", "amount", "remark", "mail")
DIRTY_PER_SCHEMA = 2
"""Hand-typed columns besides the status that every fact has."""
MULTIWORD_VALUES = 0.35
"""Chance that a text value has two words or more."""
VALUES_PER_TEXT_COLUMN = (4, 6)

# --- how much data, and how bad ---------------------------------------------------------------
FACTS = (95, 120)
MEMBERS = (16, 22)
"""Members of the plain and of the historised dimension."""
SITES = (7, 9)
REGIONS = (5, 6)
TAGS = 7
VERSIONS = {1: 25, 2: 35, 3: 25, 4: 15}
"""Weights of the number of versions of a member of the historised dimension."""
ANCHORS = 6
"""Members that all instances of a schema share by name, so that a name in a question exists in each."""
NO_KEY = 0.07
"""Share of the facts whose foreign key is NULL (per key)."""
ORPHAN = 0.07
"""Share of the facts whose key of the plain dimension or of the site names no row of it."""
UNUSED = 0.25
"""Share of the members that no fact refers to."""
NO_VALUE = 0.16
"""Share of the cells of nullable columns that are NULL."""
ZERO = 0.12
"""Share of the zeros in the fact's whole-number measure."""
ROUND = 0.4
"""Share of the numbers of one leading digit: several rows stand on the bound that a question names."""
ON_A_BORDER = 0.3
"""Share of the facts dated on the first or last day of a version of their member."""
MESSY = 0.75
"""Share of the hand-typed cells that are not written as they should be."""

# --- what is asked ----------------------------------------------------------------------------
SECOND_FILTER = 0.35
"""Chance that a question which may carry one more filter does."""
