"""Replies of a slow engine, kept in a file: the same text on the same tables is asked once, over any number of runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from tao.sql.engines import QueryEngine, Reply, rows_of_json


class Remembered:
    """Implements `tao.sql.engines.QueryEngine` over another one, which is prepared only when it is asked.

    Args:
        engine: The engine; not closed here.
        path: JSON lines, one reply each; a torn last line is asked again.
        tables: What identifies the tables, the engine and its settings: a reply counts for these only.
        prepare: Called before the first question that is not known.
    """

    def __init__(self, engine: QueryEngine, path: Path, tables: str, prepare: Callable[[], None]) -> None:
        self.name = engine.name
        self._engine = engine
        self._path = path
        self._tables = tables
        self._prepare: Callable[[], None] | None = prepare
        self._known: dict[str, Reply] = {}
        stored = path.read_text(encoding="utf-8") if path.is_file() else ""
        self._between = "\n" if stored and not stored.endswith("\n") else ""
        for line in stored.splitlines():
            try:
                row = json.loads(line)
                self._known[row["key"]] = Reply(rows_of_json(row["rows"]), row["width"], row["error"])
            except (ValueError, KeyError):
                continue

    def run(self, sql: str) -> Reply:
        """The reply to a query. Failures of the engine itself are not kept."""
        key = hashlib.sha256(f"{self._tables}\n{sql}".encode()).hexdigest()[:24]
        if key not in self._known:
            if self._prepare is not None:
                self._prepare()
                self._prepare = None
            reply = self._engine.run(sql)
            if reply.is_engine_fault:
                return reply
            self._known[key] = reply
            row = {"key": key, "rows": reply.rows, "width": reply.width, "error": reply.error}
            with self._path.open("a", encoding="utf-8") as lines:
                lines.write(self._between + json.dumps(row) + "\n")
            self._between = ""
        return self._known[key]

    def close(self) -> None:
        """Nothing: the engine belongs to its maker."""
