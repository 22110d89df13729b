"""Engine errors in a few words: what a repair prompt shows the model, and what a table of errors counts."""

from __future__ import annotations

import re

_LIMIT = 100
_NAME_PATTERNS = (
    (re.compile(r'Referenced column "([^"]+)" not found'), "column {} not found"),
    (re.compile(r'column named "([^"]+)"'), "column {} not found"),
    (re.compile(r"Table with name (\S+) does not exist"), "table {} not found"),
    (re.compile(r'Referenced table "([^"]+)" not found'), "table {} not found"),
    (re.compile(r'Ambiguous reference to column name "([^"]+)"'), "column {} is ambiguous"),
)
_PATTERNS = (
    (re.compile(r'column "([^"]+)" must appear in the GROUP BY'), "column {} must be in GROUP BY"),
    (re.compile(r"(?i)aggregate function calls cannot be nested()"), "aggregates cannot be nested"),
    (re.compile(r"(?i)WHERE clause cannot contain (aggregate|window)"), "no {} in WHERE"),
    (re.compile(r"(?i)division by zero()"), "division by zero"),
    (re.compile(r"(?i)More than one row returned by a subquery()"), "a scalar subquery gives more than one row"),
    (re.compile(r"Subquery returns (\d+) columns"), "a subquery gives {} columns, not 1"),
    (re.compile(r"Could not convert string ('[^']*') to (?:\w+)"), "cannot convert {}"),
    (re.compile(r"Cannot compare values of type (\w+(?: and type | and )\w+)"), "cannot compare {}"),
    (re.compile(r"No function matches the given name and argument types '([^']*)'"), "wrong argument types: {}"),
)
_KIND = re.compile(r"\A[A-Z][A-Za-z ]* Error: ")


def short_error(text: str) -> tuple[str, bool]:
    """An engine's error in few words, and whether it is about a name that does not exist."""
    for pattern, message in _NAME_PATTERNS:
        if match := pattern.search(text):
            return message.format(match[1]), True
    for pattern, message in _PATTERNS:
        if match := pattern.search(text):
            return message.format(match[1])[:_LIMIT], False
    return _KIND.sub("", text)[:_LIMIT], False
