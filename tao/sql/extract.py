"""Take the query out of a response that also holds prose or code fences.

For answers that were not written in deployment form (a chat model's, a spreadsheet's). Tuning and
evaluation of our own arms never use it: there a response is a query or it is not.

One rule, so that nobody can win by listing several queries: the **last** candidate that parses is the
answer. Candidates are looked for in fenced blocks, then in the whole text, then in inline code, then
in lines that start a query; the first of these places that holds one decides. A statement that follows
a semicolon is kept, and refused later: only prose is cut off.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tao.sql.dialect import MAX_CHARS

_BLOCK = re.compile(r"```[ \t]*([A-Za-z0-9_+-]*)[ \t]*\r?\n?(.*?)(?:```|\Z)", re.DOTALL)
_INLINE = re.compile(r"(?<!`)`(?!`)\s*((?:SELECT|WITH)\b[^`]+)`", re.IGNORECASE)
_START = re.compile(r"(?:^|(?<=[:>\n]))[ \t]*((?:SELECT|WITH)\b)", re.IGNORECASE | re.MULTILINE)
_COMMENT = re.compile(r"\A(?:\s+|--[^\n]*(?:\n|\Z)|/\*.*?\*/)+", re.DOTALL)
_QUERY = re.compile(r"\A\(*\s*(?:SELECT|WITH)\b", re.IGNORECASE)
_PARAGRAPH = re.compile(r"\n\s*\n")
_STATEMENT = re.compile(
    r"\A\s*(?:SELECT|WITH|INSERT|UPDATE|DELETE|MERGE|CREATE|ALTER|DROP|TRUNCATE|SET|USE|ATTACH|DETACH|COPY|PRAGMA|CALL|"
    r"GRANT|REVOKE|BEGIN|COMMIT|ROLLBACK|EXPLAIN|SHOW|DESCRIBE|VALUES)\b",
    re.IGNORECASE,
)


def extract_query(response: str, read: str = "databricks") -> str:
    """The query in a response; the response itself, stripped, where there is none.

    Args:
        response: Text as a model or a person wrote it.
        read: sqlglot dialect that decides whether a candidate parses.
    """
    text = response.strip()
    if len(text) > MAX_CHARS:  # the gate refuses it; looking for queries in it is not worth the time
        return text
    for place in (_blocks, _whole, _inlines, _lines):
        found = [query for candidate in place(text) if (query := _query(candidate, read))]
        if found:
            return found[-1]
    return text


def _blocks(text: str) -> Iterator[str]:
    for match in _BLOCK.finditer(text):
        yield match[2]


def _whole(text: str) -> Iterator[str]:
    yield text


def _inlines(text: str) -> Iterator[str]:
    for match in _INLINE.finditer(text):
        yield match[1]


def _lines(text: str) -> Iterator[str]:
    """From each line that starts a query to the end of its paragraph, or to the next such line."""
    starts = [match.start(1) for match in _START.finditer(text)]
    for start in starts:
        yield text[start:]
        yield _PARAGRAPH.split(text[start:], maxsplit=1)[0]


def _query(candidate: str, read: str) -> str:
    """The candidate as one query, prose after its semicolon cut off; '' where it is none."""
    text = candidate.strip()
    if not _QUERY.match(_COMMENT.sub("", text)):
        return ""
    head, tail = _split(text, read)
    if tail and not _STATEMENT.match(_COMMENT.sub("", tail)):
        text = head
    return text if _parses(head, read) else ""


def _split(text: str, read: str) -> tuple[str, str]:
    """What stands before and after the first semicolon that is not inside a string or comment."""
    from sqlglot.errors import SqlglotError
    from sqlglot.tokens import TokenType

    try:
        tokens = _dialect(read).tokenize(text)
    except SqlglotError:  # prose after the query may hold a lone apostrophe
        head, semicolon, tail = text.partition(";")
        return (head.rstrip(), tail.strip()) if semicolon else (text, "")
    for token in tokens:
        if token.token_type == TokenType.SEMICOLON:
            return text[: token.start].rstrip(), text[token.end + 1 :].strip()
    return text, ""


def _parses(sql: str, read: str) -> bool:
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        statements = _dialect(read).parse(sql)
    except (SqlglotError, RecursionError):
        return False
    return len(statements) == 1 and isinstance(statements[0], exp.Query) and _has_substance(statements[0])


def _has_substance(tree: object) -> bool:
    """Not a sentence that happens to parse: 'select the rows' is ``SELECT the AS rows``."""
    from sqlglot import exp

    assert isinstance(tree, exp.Expression)
    return tree.find(exp.From) is not None or not any(
        isinstance(node, exp.Column) for node in tree.find_all(exp.Column)
    )


def _dialect(read: str):  # type: ignore[no-untyped-def]  # sqlglot is untyped here
    from sqlglot.dialects.dialect import Dialect

    return Dialect.get_or_raise(read)
