"""Engines behind one small protocol: a statement goes in, canonical rows or an error come out.

`emulator` (DuckDB behind the gate and the sandbox), `sqlite`, `spark` (a real one, in a process that
can be thrown away) and `dbapi` (any Python driver, PostgreSQL among them). They run golds and settle
which result is right; model-written SQL goes through `tao.sql.interpreter`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from tao.sql.result import Cell, Row

MAX_ROWS = 100_000


@dataclass(frozen=True, slots=True)
class Reply:
    """What a statement gave.

    Attributes:
        rows: Canonical rows (see `tao.sql.result`); empty where it failed.
        width: Number of columns.
        error: One line, '' where the statement ran.
        is_engine_fault: The engine itself failed (crashed, lacks the function): no evidence about the statement.
    """

    rows: tuple[Row, ...] = ()
    width: int = 0
    error: str = ""
    is_engine_fault: bool = False


class QueryEngine(Protocol):
    """Runs single queries on one database."""

    name: str

    def run(self, sql: str) -> Reply:
        """Run one query. Never raises for what the statement holds."""
        ...

    def close(self) -> None:
        """Give back what it holds."""
        ...


def first_line(error: BaseException) -> str:
    """The first line of an error, short enough for a table."""
    return (str(error).strip().split("\n", 1)[0] or type(error).__name__)[:200]


def rows_of_json(raw: list[list[Any]]) -> tuple[Row, ...]:
    """Canonical rows that went through JSON, where tuples became lists."""
    return tuple(tuple(_cell(cell) for cell in row) for row in raw)


def _cell(cell: Any) -> Cell:
    return tuple(_cell(item) for item in cell) if isinstance(cell, list) else cell
