"""The surface of Databricks SQL: what can be judged on the tokens, before any parsing.

A transpiler is lenient by design: it reads names, types and idioms of twenty dialects and hands
DuckDB something that runs. So names are checked on the raw text, against the functions that Spark
SQL 4.3 has (`functions.txt`: every name and arity was asked of a running Spark, plus a few names
that Databricks documents on top), the type names that its parser knows, and the idioms of other
dialects that are commonest in generated SQL.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from importlib import resources
from typing import Any, NamedTuple

MAX_CHARS = 20_000
MAX_TOKENS = 2_000
MAX_DEPTH = 40


class Family(StrEnum):
    """What kind of fault keeps a text from being run."""

    SYNTAX = "syntax"  # not one query that can be parsed
    DIALECT = "dialect"  # a query, but not in the SQL of Databricks
    NAME = "name"  # a table or column that the schema does not have
    EMULATOR = "emulator"  # Databricks would run it, the emulator cannot: no evidence either way


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a text is not run.

    Attributes:
        family: See `Family`.
        code: Short machine-readable code, e.g. ``function`` or ``unknown_column``.
        message: One short sentence, fit to be shown to the model that wrote the query.
    """

    family: Family
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Function:
    """One line of `functions.txt`.

    Attributes:
        low: Fewest arguments.
        high: Most arguments; None for any number.
        emulated: False where Databricks has the function and the emulator does not.
    """

    low: int
    high: int | None
    emulated: bool


_FENCE = re.compile(r"\A```[ \t]*(?:sql)?[ \t]*\n?(.*?)\n?[ \t]*```\Z", re.DOTALL | re.IGNORECASE)

TYPE_NAMES = frozenset(
    "BOOLEAN TINYINT BYTE SMALLINT SHORT INT INTEGER BIGINT LONG FLOAT REAL DOUBLE DATE TIMESTAMP TIMESTAMP_NTZ "
    "TIMESTAMP_LTZ STRING CHAR CHARACTER VARCHAR BINARY DECIMAL DEC NUMERIC INTERVAL ARRAY STRUCT MAP VARIANT".split()
)
_TYPES_WITH_LENGTH = frozenset(("CHAR", "CHARACTER", "VARCHAR"))
_TYPE_HINTS = {"TEXT": "STRING", "DATETIME": "TIMESTAMP", "NUMBER": "DECIMAL", "SIGNED": "BIGINT", "INT64": "BIGINT"}

# Words that may stand before a parenthesis without being called.
_NOT_CALLED = frozenset(
    "IN AND OR NOT EXISTS VALUES USING OVER ON WHERE SELECT FROM JOIN AS BETWEEN WHEN THEN ELSE CASE BY HAVING UNION "
    "ALL DISTINCT GROUP LIMIT OFFSET LIKE ILIKE RLIKE REGEXP EXCEPT INTERSECT MINUS IS DIV ROLLUP CUBE SETS PIVOT "
    "UNPIVOT FOR LATERAL QUALIFY ORDER SORT CLUSTER DISTRIBUTE PARTITION TABLESAMPLE ESCAPE SET END NULL INNER OUTER "
    "CROSS FULL NATURAL SEMI ANTI WITH".split()
)
_UNITS = frozenset("YEAR QUARTER MONTH WEEK DAY DAYOFYEAR HOUR MINUTE SECOND MILLISECOND MICROSECOND".split())
_UNIT_FUNCTIONS = frozenset(
    ("date_add", "dateadd", "date_diff", "datediff", "timediff", "timestampadd", "timestampdiff")
)
_QUOTED_UNIT_FUNCTIONS = frozenset(("date_trunc", "trunc", "date_part", "datepart"))
EXTRACT_UNITS = frozenset(
    "YEAR Y YEARS YR YRS YEAROFWEEK QUARTER QTR MONTH MON MONS MONTHS WEEK W WEEKS DAY D DAYS DAYOFWEEK DOW "
    "DAYOFWEEK_ISO DOW_ISO DOY HOUR H HOURS HR HRS MINUTE M MIN MINS MINUTES SECOND S SEC SECONDS SECS".split()
)
_PATTERN_FUNCTIONS = frozenset(("date_format", "to_date", "to_timestamp", "from_unixtime", "unix_timestamp", "to_char"))
_BAD_PATTERN = re.compile(r"[YWwuecABnNp%]")
_QUOTED_PATTERN = re.compile(r"'[^']*'")
_INNER_WORDS = frozenset(("FROM", "IN", "AS", "PLACING", "FOR"))


@lru_cache(maxsize=1)
def functions() -> dict[str, Function]:
    """The functions of Databricks SQL by lower-case name."""
    table: dict[str, Function] = {}
    for line in resources.files("tao.sql").joinpath("functions.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, low, high, *mark = line.split()
            table[name] = Function(int(low), None if high == "*" else int(high), mark != ["-"])
    return table


def clean(response: str) -> str:
    """The query in a response: outer white space, one ```` ```sql ```` fence and one last semicolon taken off."""
    text = response.strip()
    if text.startswith("```") and (fence := _FENCE.match(text)):
        text = fence[1].strip()
    return text[:-1].rstrip() if text.endswith(";") else text


def _dialect(code: str, message: str) -> Fault:
    return Fault(Family.DIALECT, code, message)


def _syntax(code: str, message: str) -> Fault:
    return Fault(Family.SYNTAX, code, message)


@lru_cache(maxsize=1)
def databricks() -> Any:
    """The source dialect (`sqlglot`); nobody changes it."""
    from sqlglot.dialects.databricks import Databricks

    return Databricks()


@lru_cache(maxsize=1)
def _kind_names() -> dict[Any, str]:
    """Names of the token types: a look-up here takes a tenth of the enumeration's own."""
    from sqlglot.tokens import TokenType

    return {kind: kind.name for kind in TokenType}


def words_of(tokens: Sequence[Any]) -> tuple[list[str], list[str]]:
    """Upper-case texts of tokens, and names of their types."""
    names = _kind_names()
    return [token.text.upper() for token in tokens], [names[token.token_type] for token in tokens]


def tokenize(sql: str) -> list[Any] | Fault:
    """Databricks tokens of a cleaned text, or why there are none.

    The list is ready for the parser: ``'it''s'`` is one string (Spark 4 reads it as an escaped
    quote; the tokenizer as two strings).
    """
    from sqlglot.errors import SqlglotError
    from sqlglot.tokens import Token, TokenType

    if len(sql) > MAX_CHARS:
        return _syntax("too_long", f"the query is longer than {MAX_CHARS} characters")
    try:
        raw: list[Any] = databricks().tokenize(sql)
    except SqlglotError as error:
        return _syntax("parse", f"syntax error ({str(error).splitlines()[0][:80]})")
    if not raw:
        return _syntax("empty", "no query")
    if len(raw) > MAX_TOKENS:
        return _syntax("too_long", f"the query has more than {MAX_TOKENS} words")
    if "''" not in sql:
        return raw
    tokens: list[Any] = []
    for token in raw:
        last = tokens[-1] if tokens else None
        if (
            last is not None
            and token.token_type == last.token_type == TokenType.STRING
            and token.start == last.end + 1
            and sql[token.start] == sql[last.end] == "'"
        ):
            tokens[-1] = Token(
                TokenType.STRING, f"{last.text}'{token.text}", last.line, last.col, last.start, token.end, last.comments
            )
        else:
            tokens.append(token)
    return tokens


class _Text(NamedTuple):
    """A token list, its upper-case texts and its kinds, index by index."""

    tokens: Sequence[Any]
    words: Sequence[str]
    kinds: Sequence[str]


@dataclass(slots=True)
class _Frame:
    """An open parenthesis: what stands before it, and where its arguments begin."""

    name: str  # lower-case called name, '' when nothing is called
    open: int
    starts: list[int] = field(default_factory=list)
    inner_word: bool = False


def surface_fault(sql: str, tokens: Sequence[Any], columns: Collection[str] = ()) -> Fault | None:
    """The first fault that tokens alone show, or None.

    Args:
        sql: The cleaned text.
        tokens: Its tokens, from `tokenize`.
        columns: Lower-case names of the schema's columns; a unit word that is one is left alone.
    """
    first = tokens[0].text.upper()
    if first not in ("SELECT", "WITH", "(", "VALUES", "FROM"):
        return _syntax("not_a_query", "not a SELECT query")
    stack: list[_Frame] = []
    words, kinds = words_of(tokens)
    text = _Text(tokens, words, kinds)
    last = len(tokens) - 1
    for i, kind in enumerate(kinds):
        fault: Fault | None = None
        if kind == "L_PAREN":
            stack.append(_Frame(_called(words, kinds, i), i, [i + 1]))
            if len(stack) > MAX_DEPTH:
                return _syntax("too_deep", f"more than {MAX_DEPTH} nested parentheses")
        elif kind == "R_PAREN":
            if not stack:
                return _syntax("parse", "syntax error (unbalanced parentheses)")
            frame = stack.pop()
            if frame.name and not _names_columns(frame, words, kinds, i):
                fault = _call_fault(frame, text, i, columns)
        elif kind == "COMMA":
            if stack:
                stack[-1].starts.append(i + 1)
            if i < last and words[i + 1] == "FROM":
                fault = _syntax("parse", "syntax error near FROM (a comma too many)")
        elif kind == "ORDER_BY":
            if stack and stack[-1].name and not _is_subquery(stack[-1], words):
                fault = _dialect("order_in_call", f"function {stack[-1].name} takes no ORDER BY, use WITHIN GROUP")
        elif stack and words[i] in _INNER_WORDS and kind != "STRING":
            stack[-1].inner_word = True
            if words[i] == "AS" and i < last:
                is_type = stack[-1].name in ("cast", "try_cast")
                fault = _type_fault(words, kinds, i + 1) if is_type else _after_as(words, kinds, i)
        elif kind == "DCOLON":
            if i < last and tokens[i].start != tokens[i - 1].start:  # 1.5D is tokenized as 1.5::DOUBLE
                fault = _type_fault(words, kinds, i + 1)
        elif kind in _KIND_CHECKS:
            fault = _KIND_CHECKS[kind](words, kinds, i)
        if fault is not None:
            return fault
    if stack:
        return _syntax("parse", "syntax error (unbalanced parentheses)")
    return None


def _called(words: Sequence[str], kinds: Sequence[str], i: int) -> str:
    """Lower-case name called by the parenthesis at `i`, or ''."""
    if i == 0:
        return ""
    word, kind = words[i - 1], kinds[i - 1]
    if (
        word in _NOT_CALLED
        or kind == "GROUPING_SETS"
        or kind.endswith("_BY")  # ORDER BY (x), GROUP BY (x)
        or kind in ("STRING", "NUMBER", "R_PAREN")
        or not (word[0].isalpha() or word[0] == "_")
    ):
        return ""
    before = words[i - 2] if i > 1 else ""
    before_kind = kinds[i - 2] if i > 1 else ""
    if before in ("AS", "::") or before_kind in ("VAR", "IDENTIFIER", "R_PAREN", "DOT"):
        return ""  # a type, or an alias with its column list
    if word in ("ANY", "SOME", "LEFT", "RIGHT") and before in ("LIKE", "ILIKE", "=", "<", ">", "<=", ">=", "<>", "!="):
        return ""  # LIKE ANY (...); quantified comparisons are judged on the tree
    return word.lower()


def _is_subquery(frame: _Frame, words: Sequence[str]) -> bool:
    return words[frame.open + 1] in ("SELECT", "WITH")


def _names_columns(frame: _Frame, words: Sequence[str], kinds: Sequence[str], end: int) -> bool:
    """Whether the parenthesis is the column list of a common table expression: ``x(a, b) AS (SELECT``."""
    if words[end + 1 : end + 3] != ["AS", "("] or end + 3 >= len(words):
        return False
    names = all(kind in ("VAR", "IDENTIFIER", "COMMA") for kind in kinds[frame.open + 1 : end])
    return names and words[end + 3] in ("SELECT", "WITH", "VALUES", "FROM", "(")


def _call_fault(frame: _Frame, text: _Text, end: int, columns: Collection[str]) -> Fault | None:
    tokens, words, kinds = text
    name = frame.name
    known = functions().get(name)
    if known is None:
        return _dialect("function", f"function {name} not found")
    if not known.emulated:
        return Fault(Family.EMULATOR, "not_emulated", f"function {name} is not emulated")
    count = 0 if end == frame.open + 1 else len(frame.starts)
    if not frame.inner_word and (count < known.low or (known.high is not None and count > known.high)):
        return _dialect("arity", f"function {name} takes {_span(known)}, not {count}")
    if name == "map" and count % 2:
        return _dialect("arity", f"function map takes pairs of a key and a value, not {count} arguments")
    if name == "extract":
        unit = words[frame.open + 1]
        if unit not in EXTRACT_UNITS or kinds[frame.open + 1] == "STRING":
            return _dialect("unit", f"EXTRACT knows no unit {unit}")
    if name in _UNIT_FUNCTIONS:
        if count == 3 and (words[frame.open + 1] not in _UNITS or kinds[frame.open + 1] == "STRING"):
            return _dialect("unit", f"function {name} needs a bare unit such as MONTH first")
        if count == 2 and words[frame.starts[1]] == "INTERVAL":
            return _dialect("type_mismatch", f"function {name} takes a number of days, not an INTERVAL")
    elif name in _QUOTED_UNIT_FUNCTIONS:
        for start, stop in zip(frame.starts, [*(s - 1 for s in frame.starts[1:]), end], strict=True):
            is_bare_unit = stop - start == 1 and kinds[start] != "STRING" and words[start] in _UNITS
            if is_bare_unit and words[start].lower() not in columns:
                return _dialect("unit", f"function {name} needs its unit in quotes")
    if name in _PATTERN_FUNCTIONS and count == 2 and kinds[frame.starts[1]] == "STRING":
        pattern = tokens[frame.starts[1]].text
        if _BAD_PATTERN.search(_QUOTED_PATTERN.sub("", pattern)):
            return _dialect("date_pattern", f"date pattern '{pattern}' is not of the form yyyy-MM-dd")
    return None


def _span(known: Function) -> str:
    if known.high is None:
        return f"at least {known.low} arguments"
    if known.low == known.high:
        return f"{known.low} argument{'' if known.low == 1 else 's'}"
    return f"{known.low} to {known.high} arguments"


def _type_fault(words: Sequence[str], kinds: Sequence[str], i: int) -> Fault | None:
    name = words[i]
    following = words[i + 1] if i + 1 < len(words) else ""
    if name not in TYPE_NAMES or following == "PRECISION":
        hint = _TYPE_HINTS.get(name, "")
        return _dialect("type_name", f"type {name} not found" + (f", use {hint}" if hint else ""))
    if name in _TYPES_WITH_LENGTH and following != "(":
        return _dialect("type_name", f"type {name} needs a length, use STRING")
    return None


def _semicolon(words: Sequence[str], kinds: Sequence[str], i: int) -> Fault | None:
    return _syntax("several_statements", "more than one statement")


def _bracket(words: Sequence[str], kinds: Sequence[str], i: int) -> Fault | None:
    if kinds[i - 1] in ("VAR", "IDENTIFIER", "R_PAREN", "R_BRACKET"):
        return None
    return _dialect("brackets", "square brackets do not quote names or make arrays")


def _limit(words: Sequence[str], kinds: Sequence[str], i: int) -> Fault | None:
    if i + 2 < len(words) and kinds[i + 2] == "COMMA":
        return _dialect("limit", "LIMIT takes one number, use LIMIT n OFFSET m")
    if i >= 2 and words[i - 2] == "OFFSET":
        return _dialect("limit", "OFFSET comes after LIMIT")
    if i + 1 < len(words) and kinds[i + 1] == "NUMBER" and not words[i + 1].isdigit():
        return _dialect("limit", "LIMIT takes a whole number")
    return None


def _fetch(words: Sequence[str], kinds: Sequence[str], i: int) -> Fault | None:
    return _dialect("limit", "no FETCH FIRST, use LIMIT")


def _postfix(words: Sequence[str], kinds: Sequence[str], i: int) -> Fault | None:
    if i + 1 < len(words) and kinds[i + 1] == "L_PAREN":
        return None
    return _dialect("operator", f"no operator {words[i]}, use IS NULL or IS NOT NULL")


def _operator(words: Sequence[str], kinds: Sequence[str], i: int) -> Fault | None:
    if i and kinds[i - 1] in ("VAR", "IDENTIFIER", "STRING", "NUMBER", "R_PAREN"):
        return _dialect("operator", f"no operator {words[i]}")
    return None


def _literal(words: Sequence[str], kinds: Sequence[str], i: int) -> Fault | None:
    return _dialect("literal", "strings have no prefix but r")


def _always(words: Sequence[str], kinds: Sequence[str], i: int) -> Fault | None:
    return _dialect("operator", f"no operator {words[i]}")


def _parameter(words: Sequence[str], kinds: Sequence[str], i: int) -> Fault | None:
    return _dialect("parameter", "a query cannot have parameters")


def _select(words: Sequence[str], kinds: Sequence[str], i: int) -> Fault | None:
    if i + 2 < len(words) and words[i + 1] == "TOP" and (kinds[i + 2] == "NUMBER" or kinds[i + 2] == "L_PAREN"):
        return _syntax("parse", "syntax error near TOP, use LIMIT")
    return None


def _after_as(words: Sequence[str], kinds: Sequence[str], i: int) -> Fault | None:
    if i + 1 < len(words) and kinds[i + 1] == "STRING" and words[i - 1] != "DISTINCT":  # IS DISTINCT FROM 'x'
        return _dialect("quoted_name", f"a name cannot be in quotes: {words[i + 1].lower()}; use backticks")
    return None


def _dot(words: Sequence[str], kinds: Sequence[str], i: int) -> Fault | None:
    if i + 2 < len(words) and kinds[i + 2] == "L_PAREN" and kinds[i + 1] != "NUMBER":
        return _dialect("function", f"function {words[i - 1]}.{words[i + 1]} not found".lower())
    return _after_as(words, kinds, i)


_KIND_CHECKS = {
    "SEMICOLON": _semicolon,
    "L_BRACKET": _bracket,
    "LIMIT": _limit,
    "FETCH": _fetch,
    "ISNULL": _postfix,
    "NOTNULL": _postfix,
    "TILDE": _operator,
    "PARAMETER": _parameter,
    "PLACEHOLDER": _parameter,
    "SELECT": _select,
    "ALIAS": _after_as,
    "FROM": _after_as,
    "JOIN": _after_as,
    "DOT": _dot,
    "GLOB": _always,
    "SIMILAR_TO": _always,
    "DSTAR": _always,
    "NATIONAL_STRING": _literal,
}
