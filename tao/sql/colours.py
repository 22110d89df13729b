"""Colour refinement of tables: which columns can be told apart by the rows they stand in.

The rows and columns of a table are the two sides of a bipartite graph whose edges carry the cells. Columns
that keep one colour may still differ, but columns of different colours can never take each other's place
(1-dimensional Weisfeiler-Leman; McKay and Piperno, Practical graph isomorphism II, 2014, section 2).
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any


def ranks(keys: Sequence[Any]) -> list[int]:
    """Position of each key among the distinct keys, sorted."""
    places = sorted(range(len(keys)), key=keys.__getitem__)
    result = [0] * len(keys)
    for before, place in itertools.pairwise(places):
        result[place] = result[before] + (keys[before] != keys[place])
    return result


def row_key(row: Sequence[Any], colours: Sequence[int]) -> list[tuple[int, Any]]:
    """A row as far as the colours of its columns tell: no order of columns of one colour."""
    return sorted(zip(colours, row, strict=True))


def refine(
    colours: Sequence[Sequence[int]], tables: Sequence[Mapping[tuple[Any, tuple[Any, ...]], int]]
) -> list[list[int]]:
    """Split colours of columns by rows, and rows by colours, until nothing splits.

    Args:
        colours: For each table, a colour for each of its columns.
        tables: For each table, its distinct rows and how often each occurs. A row is a pair: what tells it
            apart whatever its cells (a group it must stay in), and its cells. Both must sort.

    Returns:
        For each table, a finer colour for each column; colours mean the same in all tables.
    """
    current = [list(part) for part in colours]
    widths = [len(part) for part in current]
    while True:
        keys = [
            [(group, count, row_key(row, own)) for (group, row), count in table.items()]
            for own, table in zip(current, tables, strict=True)
        ]
        place = {repr(key): rank for rank, key in enumerate(sorted(key for part in keys for key in part))}
        columns = []
        for own, part, table in zip(current, keys, tables, strict=True):
            ranked = [(place[repr(key)], row) for key, (_, row) in zip(part, table, strict=True)]
            columns += [
                (colour, sorted([(rank, row[column]) for rank, row in ranked])) for column, colour in enumerate(own)
            ]
        flat = ranks(columns)
        finer = []
        for width in widths:
            finer.append(flat[:width])
            flat = flat[width:]
        count = len({colour for part in finer for colour in part})
        if count == len({colour for part in current for colour in part}) or all(_discrete(part) for part in finer):
            return finer
        current = finer


def _discrete(colours: Sequence[int]) -> bool:
    return max(Counter(colours).values()) == 1
