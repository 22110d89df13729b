"""How people at a company ask: every phrase in three tiers, near-literal, plain and loose.

Slots: {t} noun phrase in the plural, {o} in the singular, {c} column(s), {x} aggregate, {n} column name,
{v} {w} values, {g} what is grouped by, {k} a number, {d} {e} dates, {y} year, {m} month.
"""

from __future__ import annotations

from random import Random

from . import knobs
from .schemas import Column, Table
from .vocabulary import plural

MONTHS = ("january february march april may june july august september october november december").split()

LOOSE = "LOOSE"
"""Stands for a column's own loose phrase ("leaving Oslo"), an adjective ("Shipped orders") or a verb ("placed")."""

Tiers = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]

PHRASES: dict[str, Tiers] = {
    # filters ------------------------------------------------------------------------------
    "text_is": (
        ("with {n} {v}", "whose {n} is {v}", "where {n} is {v}", "that have {n} {v}"),
        ("with {v} as {n}", "having {n} {v}", "marked with {n} {v}", "with {n} set to {v}"),
        ("LOOSE",),
    ),
    "text_not": (
        ("whose {n} is not {v}", "where {n} is not {v}"),
        ("with any {n} except {v}", "with a {n} other than {v}"),
        ("leaving out {n} {v}", "not counting {n} {v}"),
    ),
    "text_either": (
        ("whose {n} is {v} or {w}", "with {n} {v} or {w}"),
        ("with {n} either {v} or {w}", "where {n} is one of {v} and {w}"),
        ("that are {v} or {w}",),
    ),
    "name_is": (
        ("with {n} {v}", "whose {n} is {v}"),
        ("called {v}", "named {v}"),
        ("{v}",),
    ),
    "number_above": (
        ("with {n} above {v}", "whose {n} is greater than {v}", "with {n} over {v}"),
        ("with {n} of more than {v}", "with a {n} higher than {v}"),
        ("with {n} past {v}", "exceeding {v} in {n}"),
    ),
    "number_below": (
        ("with {n} below {v}", "whose {n} is less than {v}", "with {n} under {v}"),
        ("with {n} of less than {v}", "with a {n} lower than {v}"),
        ("staying under {v} in {n}", "with {n} short of {v}"),
    ),
    "number_at_least": (
        ("with {n} of at least {v}", "whose {n} is at least {v}"),
        ("with {n} no lower than {v}", "with {v} or more {n}"),
        ("from {v} {n} upwards",),
    ),
    "number_at_most": (
        ("with {n} of at most {v}", "whose {n} is at most {v}"),
        ("with {n} no higher than {v}", "with {v} or less {n}"),
        ("with {n} capped at {v}",),
    ),
    "number_between": (
        ("with {n} between {v} and {w}", "whose {n} is between {v} and {w}"),
        ("with {n} from {v} to {w}", "with a {n} of {v} to {w}"),
        ("in the {v} to {w} {n} band",),
    ),
    "date_year": (
        ("with {n} in {y}", "whose {n} is in {y}"),
        ("with a {n} in the year {y}", "with {n} during {y}"),
        ("LOOSE in {y}", "LOOSE during {y}"),
    ),
    "date_month": (
        ("with {n} in {m}", "whose {n} is in {m}"),
        ("with a {n} in the month of {m}", "with {n} in any {m}"),
        ("LOOSE in {m}", "LOOSE in any {m}"),
    ),
    "date_month_year": (
        ("with {n} in {m} {y}", "whose {n} is in {m} {y}"),
        ("with a {n} in {m} of {y}",),
        ("LOOSE in {m} {y}",),
    ),
    "date_after": (
        ("with {n} after {d}", "whose {n} is after {d}"),
        ("with a {n} later than {d}",),
        ("LOOSE after {d}",),
    ),
    "date_before": (
        ("with {n} before {d}", "whose {n} is before {d}"),
        ("with a {n} earlier than {d}",),
        ("LOOSE before {d}",),
    ),
    "date_since": (
        ("with {n} on or after {d}", "whose {n} is {d} or later"),
        ("with {n} from {d} onwards",),
        ("LOOSE on {d} or later",),
    ),
    "date_between": (
        ("with {n} between {d} and {e}", "whose {n} is between {d} and {e}"),
        ("with {n} from {d} to {e}",),
        ("LOOSE from {d} through {e}",),
    ),
    # aggregates ---------------------------------------------------------------------------
    "SUM": (("total {c}", "sum of {c}"), ("overall {c}", "combined {c}"), ("cumulative {c}", "grand total of {c}")),
    "AVG": (("average {c}",), ("mean {c}", "average {c}"), ("{c} on average", "typical {c}")),
    "MAX": (("highest {c}", "maximum {c}"), ("largest {c}", "biggest {c}"), ("peak {c}", "record high {c}")),
    "MIN": (("lowest {c}", "minimum {c}"), ("smallest {c}",), ("rock bottom {c}", "record low {c}")),
    # questions on rows --------------------------------------------------------------------
    "count": (
        ("how many {t} are there", "what is the number of {t}", "how many {t} do we have"),
        ("count of {t}", "give me a count of {t}", "number of {t} on record"),
        ("what is our tally of {t}", "i need to know how many {t} we hold", "volume of {t} so far"),
    ),
    "measure": (
        ("what is the {x} of {t}", "what is the {x} over all {t}", "what is the {x} for {t}"),
        ("report the {x} for {t}", "{x} across {t}", "show me the {x} of {t}"),
        ("for {t}, what is the {x}", "management wants the {x} of {t}", "looking at {t}, what {x} do we see"),
    ),
    "list": (
        ("list the {c} of {t}", "show the {c} of {t}", "what is the {c} of {t}"),
        ("give the {c} for {t}", "report the {c} of all {t}", "{c} of {t}"),
        ("pull the {c} for {t}", "for {t}, display the {c}", "i want to see the {c} of {t}"),
    ),
    "list_distinct": (
        ("list the distinct {c} of {t}", "what are the different {c} of {t}"),
        ("show each unique {c} of {t}", "which distinct {c} do {t} have"),
        ("without repeats, list the {c} of {t}", "every unique {c} found among {t}"),
    ),
    "count_distinct": (
        ("how many different {c} do {t} have", "how many distinct {c} are there for {t}"),
        ("count the distinct {c} of {t}", "number of different {c} among {t}"),
        ("how many unique {c} show up across {t}",),
    ),
    "top_many": (
        ("list the {c} of the {k} {t} with the {w} {n}", "what is the {c} of the {k} {t} with the {w} {n}"),
        ("{c} of the top {k} {t} by {w} {n}", "give the {c} for the {k} {t} that have the {w} {n}"),
        ("name the {c} of our {k} {t} ranked by {w} {n}",),
    ),
    "top_one": (
        ("what is the {c} of the {o} with the {w} {n}", "show the {c} of the {o} with the {w} {n}"),
        ("give the {c} of the {o} that has the {w} {n}", "{c} of the {o} with the {w} {n}"),
        ("for the {o} with the {w} {n}, what is the {c}",),
    ),
    "most": (("highest", "largest"), ("greatest", "biggest"), ("top",)),
    "least": (("lowest", "smallest"), ("lowest",), ("least",)),
    "latest": (("latest", "most recent"), ("newest",), ("latest",)),
    "earliest": (("earliest",), ("oldest",), ("first",)),
    # questions on groups ------------------------------------------------------------------
    "per": (
        ("for each {g}", "per {g}"),
        ("by {g}", "in every {g}"),
        ("split by {g}", "broken out by {g}"),
    ),
    "group": (
        ("what is the {x} {p}", "show the {x} {p}"),
        ("report the {x} {p}", "{x} {p}"),
        ("i need the {x} {p}", "give us the {x}, {p}"),
    ),
    "group_count": (("number of {t}",), ("count of {t}", "number of {t}"), ("tally of {t}",)),
    "having_count": (
        ("which {g} have {b} {k} {t}", "list the {g} with {b} {k} {t}"),
        ("show every {g} with {b} {k} {t}", "for which {g} do we see {b} {k} {t}"),
        ("{g} where we count {b} {k} {t}",),
    ),
    "having_measure": (
        ("which {g} have {x} {b} {k} for {t}", "list the {g} with {x} {b} {k} for {t}"),
        ("show every {g} where the {x} of {t} is {b} {k}",),
        ("{g} whose {t} come to {x} {b} {k}",),
    ),
    "more_count": (("more than",), ("over",), ("upwards of",)),
    "fewer_count": (("fewer than",), ("less than",), ("not even",)),
    "more_measure": (("above",), ("over", "greater than"), ("past",)),
    "fewer_measure": (("below",), ("under", "less than"), ("short of",)),
    "largest_count": (
        ("which {g} has the most {t}", "what is the {g} with the most {t}"),
        ("{g} with the largest number of {t}", "which {g} has the highest count of {t}"),
        ("where do most {t} sit by {g}", "leading {g} by number of {t}"),
    ),
    "smallest_count": (
        ("which {g} has the fewest {t}", "what is the {g} with the fewest {t}"),
        ("{g} with the smallest number of {t}",),
        ("{g} where {t} are scarcest",),
    ),
    "largest_measure": (
        ("which {g} has the {w} {x} of {t}", "what is the {g} with the {w} {x} of {t}"),
        ("{g} with the {w} {x} for {t}", "show the {g} that has the {w} {x} of {t}"),
        ("by {x} of {t}, which {g} comes out {w}",),
    ),
    # nested questions ---------------------------------------------------------------------
    "has": (
        ("with at least one of the {t}", "that have {t}", "with at least one {o}"),
        ("having any {t}", "with any {t}"),
        ("that show up in {t}",),
    ),
    "lacks": (
        ("without any {t}", "that have no {t}", "with no {t}"),
        ("that do not have any {t}", "lacking {t}"),
        ("never seen in {t}", "still waiting for {t}"),
    ),
    "over_average": (
        ("with {n} above the average {n}", "whose {n} is higher than the average {n}", "with above average {n}"),
        ("with more {n} than the average", "with {n} over the overall average"),
        ("beating the average {n}",),
    ),
    "under_average": (
        ("with {n} below the average {n}", "whose {n} is lower than the average {n}", "with below average {n}"),
        ("with less {n} than the average", "with {n} under the overall average"),
        ("trailing the average {n}",),
    ),
    "share": (
        ("what share of {t} are those {f}", "what fraction of {t} are those {f}"),
        ("share of {t} {f}", "what proportion of {t} is that of {t} {f}"),
        ("out of all {t}, what part are {t} {f}",),
    ),
    "spread": (
        ("what is the difference between the highest and the lowest {n} of {t}",),
        ("gap between the largest and smallest {n} of {t}", "range of {n} over {t}"),
        ("how far apart are the top and bottom {n} of {t}",),
    ),
    "group_average": (
        ("which {g} have an average {n} above the average {n} of all {t}",),
        ("list the {g} where the average {n} of {t} is over the overall average",),
        ("{g} that beat the overall average {n} of {t}",),
    ),
}


def pick(rng: Random, level: str, key: str) -> str:
    """A phrase of a tier drawn by the level's mix."""
    tier = rng.choices((0, 1, 2), knobs.PARAPHRASE[level])[0]
    return rng.choice(PHRASES[key][tier])


def mention(rng: Random, level: str, column: Column) -> str:
    """A column as the question calls it: its name, or now and then a synonym."""
    if column.synonyms and rng.random() < knobs.COLUMN_SYNONYM[level]:
        return rng.choice(column.synonyms)
    return column.spoken


def mention_many(rng: Random, level: str, columns: list[Column]) -> str:
    """Listed columns, now and then in the plural."""
    said = [mention(rng, level, c) for c in columns]
    if len(said) == 1 and columns[0].kind in ("text", "name") and rng.random() < knobs.PLURAL_COLUMN:
        return plural(said[0])
    return " and ".join(said)


def noun(rng: Random, level: str, table: Table, many: bool = True) -> str:
    """A table's rows as the question calls them: its name, its last word, or now and then a synonym."""
    word = table.singular
    if table.synonyms and rng.random() < knobs.TABLE_SYNONYM[level]:
        word = rng.choice(table.synonyms)
    elif " " in word and rng.random() < knobs.SHORT_TABLE:
        word = word.split()[-1]
    return plural(word) if many else word
