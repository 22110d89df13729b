"""Idioms of other dialects, and clauses out of order, that the parser forgives and Databricks does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tao.sql.dialect import Family, Fault, words_of

_RANKS = {
    "SELECT": 0, "WHERE": 1, "GROUP_BY": 2, "HAVING": 3, "QUALIFY": 4, "ORDER_BY": 5, "LIMIT": 6, "OFFSET": 7,
}  # fmt: skip
_SET_OPERATIONS = frozenset(("UNION", "INTERSECT", "EXCEPT"))
_OPERANDS = frozenset(("VAR", "IDENTIFIER", "STRING", "NUMBER", "R_PAREN", "R_BRACKET"))
_NAME_BEFORE_SELECT = frozenset(("SELECT", "DISTINCT", "COMMA", "DOT", "ALIAS", "ALL"))


def _syntax(near: str) -> Fault:
    return Fault(Family.SYNTAX, "parse", f"syntax error near {near}")


def _dialect(code: str, message: str) -> Fault:
    return Fault(Family.DIALECT, code, message)


def clause_fault(kinds: Sequence[str]) -> Fault | None:
    """The first clause that stands behind one it must precede, or None."""
    ranks = [0]
    for i, kind in enumerate(kinds):
        if kind == "L_PAREN":
            ranks.append(0)
        elif kind == "R_PAREN":
            if len(ranks) > 1:
                ranks.pop()
        elif kind in _SET_OPERATIONS and i and kinds[i - 1] != "STAR":
            if ranks[-1] >= _RANKS["ORDER_BY"]:
                return _syntax(f"{kind} (put a query with ORDER BY or LIMIT in parentheses)")
            ranks[-1] = 0
        elif kind in _RANKS:
            before = kinds[i - 1] if i else ""
            if before in _NAME_BEFORE_SELECT and kind != "SELECT":
                continue  # a column of that name
            rank = _RANKS[kind]
            if 0 < rank < ranks[-1]:
                return _syntax(f"{kind.replace('_', ' ')} (the clauses are out of order)")
            ranks[-1] = rank
    return None


_Check = Callable[[str, Sequence[Any], Sequence[str], Sequence[str], int], Fault | None]


def _insensitive_match(sql: str, tokens: Sequence[Any], words: Sequence[str], kinds: Sequence[str], i: int) -> Fault:
    return _dialect("operator", f"no operator {words[i]}")


def _hex(sql: str, tokens: Sequence[Any], words: Sequence[str], kinds: Sequence[str], i: int) -> Fault | None:
    if sql[tokens[i].start : tokens[i].start + 2].lower() == "0x":
        return _dialect("literal", "no numbers in base 16")
    return None


def _arrow(sql: str, tokens: Sequence[Any], words: Sequence[str], kinds: Sequence[str], i: int) -> Fault | None:
    if kinds[i] == "DARROW" or (i and kinds[i - 1] in ("STRING", "R_PAREN") and kinds[i + 1 : i + 2] == ["STRING"]):
        return _dialect("operator", f"no operator {words[i]}, use GET_JSON_OBJECT")
    return None


def _over(sql: str, tokens: Sequence[Any], words: Sequence[str], kinds: Sequence[str], i: int) -> Fault | None:
    if i and kinds[i - 1] == "R_PAREN" and kinds[i + 1 : i + 2] not in (["L_PAREN"], ["VAR"], ["IDENTIFIER"]):
        return _syntax("OVER")
    return None


def _null(sql: str, tokens: Sequence[Any], words: Sequence[str], kinds: Sequence[str], i: int) -> Fault | None:
    if i > 1 and words[i - 1] == "NOT" and kinds[i - 2] in _OPERANDS:
        return _dialect("operator", "no operator NOT NULL, use IS NOT NULL")
    return None


def _using(sql: str, tokens: Sequence[Any], words: Sequence[str], kinds: Sequence[str], i: int) -> Fault | None:
    if kinds[i + 1 : i + 2] in (["VAR"], ["IDENTIFIER"]):
        return _syntax("USING (its columns need parentheses)")
    return None


def _word(sql: str, tokens: Sequence[Any], words: Sequence[str], kinds: Sequence[str], i: int) -> Fault | None:
    word = words[i]
    if word == "AT" and list(words[i + 1 : i + 3]) == ["TIME", "ZONE"]:
        return _dialect("operator", "no AT TIME ZONE, use FROM_UTC_TIMESTAMP or TO_UTC_TIMESTAMP")
    if word == "MATERIALIZED" and i and words[i - 1] in ("AS", "NOT") and kinds[i + 1 : i + 2] == ["L_PAREN"]:
        return _syntax("MATERIALIZED")
    if word == "EXCLUDE" and i and kinds[i - 1] == "STAR":
        return _dialect("star", "* can be followed by EXCEPT only")
    return None


_CHECKS: dict[str, _Check] = {
    "IRLIKE": _insensitive_match,
    "HEX_STRING": _hex,
    "ARROW": _arrow,
    "DARROW": _arrow,
    "OVER": _over,
    "NULL": _null,
    "USING": _using,
    "VAR": _word,
}


def idiom_fault(sql: str, tokens: Sequence[Any]) -> Fault | None:
    """The first idiom of another dialect that the parser would forgive, or None."""
    words, kinds = words_of(tokens)
    for i, kind in enumerate(kinds):
        check = _CHECKS.get(kind)
        if check is not None and (fault := check(sql, tokens, words, kinds, i)) is not None:
            return fault
    return clause_fault(kinds)
