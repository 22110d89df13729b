"""DuckDB as the emulator of a Databricks warehouse: one engine, one in-memory database an instance.

The engine is the first of three walls around model-written SQL (the gate stands before it, the
sandbox process around it): no files, no network, no extensions, no Python variables, settings
locked, a statement time limit, one thread, bounded memory, and one SELECT a call.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections import OrderedDict
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from tao.sql.instance import Instance, read_instance
from tao.sql.macros import MACROS
from tao.sql.result import Row, canonical_rows, is_empty

TOO_MANY_ROWS = "too many rows"
NOT_EMULATED = "not emulated"
OUT_OF_MEMORY = "out of memory"

_DUCKDB_TYPES = {"INT": "INTEGER", "STRING": "VARCHAR", "BINARY": "BLOB", "TIMESTAMP_NTZ": "TIMESTAMP"}  # else the same
_LOAD_ROWS = 20_000  # rows a load step takes at most: bounds the JSON text that is in memory twice
_START_OPTIONS = {
    "threads": "1",
    "autoload_known_extensions": "false",
    "autoinstall_known_extensions": "false",
    "allow_community_extensions": "false",
    "allow_unsigned_extensions": "false",
    "allow_persistent_secrets": "false",
    "python_enable_replacements": "false",
    "ieee_floating_point_ops": "false",  # x / 0 is an error, NULL / 0 is NULL: as Databricks in ANSI mode
    "default_null_order": "nulls_first_on_asc_last_on_desc",
}
# Optimizer passes that pay for themselves on tables of any size; the others only cost planning time here.
_OPTIMIZERS = frozenset(
    "expression_rewriter filter_pullup filter_pushdown in_clause join_order deliminator unnest_rewriter limit_pushdown "
    "top_n build_side_probe_side unused_columns common_aggregate materialized_cte cte_inlining".split()
)


class RunOutcome(StrEnum):
    """How running one statement ended."""

    OK = "ok"
    EMPTY = "empty"  # ran; no rows, or nothing but NULL
    FAILED = "failed"  # the engine refused or stopped it with an error
    TIMEOUT = "timeout"
    UNSCORED = "unscored"  # not the statement's fault: the sandbox or the instance failed


@dataclass(frozen=True, slots=True)
class Limits:
    """What one statement may use.

    Processor time, not wall time, decides about a time-out: a busy machine must not change an outcome.

    Attributes:
        cpu_s: Processor time of a statement.
        wall_s: Wall time after which the worker process is killed: only what sleeps gets there.
        load_s: Wall time for starting a worker and for loading an instance.
        rows: Most rows a result may have; more is a failure, not a truncation.
        memory_mb: DuckDB's buffer limit.
        address_space_mb: What the worker process may map beyond what it starts with.
        result_mb: Most a result may take on its way out of the worker, as JSON.
        instances: Instances kept loaded; the one used longest ago goes first.
    """

    cpu_s: float = 2.0
    wall_s: float = 60.0
    load_s: float = 300.0
    rows: int = 10_000
    memory_mb: int = 512
    address_space_mb: int = 1_536
    result_mb: float = 16.0
    instances: int = 256

    def as_dict(self) -> dict[str, Any]:
        """The limits as JSON-safe values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Ran:
    """What running one statement gave.

    Attributes:
        outcome: See `RunOutcome`.
        rows: Canonical rows, empty unless the outcome is ok or empty and rows were asked for.
        prints: Fingerprints of the rows (see `tao.sql.result.fingerprint`), if they were asked for.
        height: Rows of the result.
        width: Columns of the result.
        names: Their names, if rows were asked for.
        error: First line of the engine's error, '' if there is none.
    """

    outcome: RunOutcome
    rows: tuple[Row, ...] = ()
    prints: tuple[str, str] | None = None
    height: int = 0
    width: int = 0
    names: tuple[str, ...] = ()
    error: str = ""


class Engine:
    """Runs single SELECT statements on loaded instances. Not safe across threads.

    Args:
        limits: Time, memory and row limits of a statement.
    """

    def __init__(self, limits: Limits) -> None:
        import duckdb

        self._errors = duckdb
        self._limits = limits
        self._cursors: OrderedDict[str, Any] = OrderedDict()
        self._attached = 0
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._running: tuple[Any, float] | None = None  # cursor and processor time at the statement's start
        threading.Thread(target=self._watch, daemon=True).start()
        options = dict(_START_OPTIONS)
        options["memory_limit"] = f"{limits.memory_mb}MB"
        options["max_execution_time"] = str(int(limits.wall_s * 900))  # before the kill, if it listens
        self._root = duckdb.connect(":memory:", config=options)
        passes = [row[0] for row in self._root.execute("SELECT * FROM duckdb_optimizers()").fetchall()]
        skipped = ",".join(name for name in passes if name not in _OPTIMIZERS)
        self._root.execute("ATTACH ':memory:' AS spark")
        for macro in MACROS:
            self._root.execute(f"CREATE MACRO spark.main.{macro}")
        for setting in (
            f"GLOBAL disabled_optimizers = '{skipped}'",
            "GLOBAL TimeZone = 'UTC'",
            "GLOBAL temp_directory = ''",
            "GLOBAL max_temp_directory_size = '0B'",
            "enable_progress_bar = false",
            "GLOBAL enable_external_access = false",
            "GLOBAL lock_configuration = true",
        ):
            self._root.execute(f"SET {setting}")

    def load(self, key: str, instance: Instance) -> None:
        """Load an instance under a key, dropping the one used longest ago when there are too many."""
        while len(self._cursors) >= self._limits.instances:
            _, (old, name) = self._cursors.popitem(last=False)
            old.close()
            self._root.execute(f"DETACH {name}")
        self._attached += 1
        name = f"i{self._attached}"
        self._root.execute(f"ATTACH ':memory:' AS {name}")
        cursor = self._root.cursor()
        cursor.execute(f"USE {name}")
        for table, columns in instance.schema.tables:
            body = ", ".join(f"{_quote(column)} {_DUCKDB_TYPES.get(kind, kind)}" for column, kind in columns)
            cursor.execute(f"CREATE TABLE {_quote(table)} ({body})")
            rows = instance.rows[table]
            cells = ", ".join(
                f"unhex(row->>{number})" if kind == "BINARY" else f"row->>{number}"
                for number, (_, kind) in enumerate(columns)
            )
            for start in range(0, len(rows), _LOAD_ROWS):
                cursor.execute(
                    f"INSERT INTO {_quote(table)} SELECT {cells} FROM (SELECT unnest(CAST(? AS JSON[])) AS row)",
                    [_json_rows(rows[start : start + _LOAD_ROWS])],
                )
        self._cursors[key] = (cursor, name)

    def is_loaded(self, key: str) -> bool:
        """Whether an instance is loaded under a key."""
        return key in self._cursors

    def load_file(self, path: str, digest: str = "") -> Ran | None:
        """Load an instance file under its content's hash, or where that is '' under its path.

        Returns:
            What to answer where that fails, else None.
        """
        try:
            self.load(digest or path, read_instance(Path(path), digest))
        except Exception as error:  # the instance is the harness's, not the statement's
            return Ran(RunOutcome.UNSCORED, error=f"instance cannot be loaded: {error}")
        return None

    def run(self, key: str, sql: str) -> Ran:
        """Run one DuckDB statement on an instance. Never raises for the statement.

        Args:
            key: What the instance was loaded under; if it was not yet, the path of its file.
            sql: Text that came out of the gate.
        """
        if key not in self._cursors and (failure := self.load_file(key)) is not None:
            return failure
        self._cursors.move_to_end(key)
        cursor = self._cursors[key][0]
        try:
            statements = cursor.extract_statements(sql)
            if len(statements) != 1 or statements[0].type != self._errors.StatementType.SELECT:
                return Ran(RunOutcome.FAILED, error="not exactly one SELECT")
            with self._lock:
                self._running = (cursor, time.process_time())
            try:
                cursor.execute(statements[0])  # what was looked at is what runs, and it is parsed once
                raw = cursor.fetchmany(self._limits.rows + 1)
            finally:
                with self._lock:
                    self._running = None
        except self._errors.InterruptException:
            return Ran(RunOutcome.TIMEOUT, error=f"stopped after {self._limits.cpu_s:g} s")
        except self._errors.CatalogException as error:
            text = str(error).split("\n", 1)[0][:200]
            missing = "Function with name" in text  # the gate knows it, so Databricks has it: our gap
            if missing:
                return Ran(RunOutcome.UNSCORED, error=f"{NOT_EMULATED}: {text}")
            return Ran(RunOutcome.FAILED, error=text)
        except (self._errors.OutOfMemoryException, MemoryError):
            return Ran(RunOutcome.FAILED, error=OUT_OF_MEMORY)
        except (self._errors.Error, UnicodeError, OverflowError, ValueError) as error:
            return Ran(RunOutcome.FAILED, error=str(error).split("\n", 1)[0][:200])
        if len(raw) > self._limits.rows:
            return Ran(RunOutcome.FAILED, error=f"{TOO_MANY_ROWS}, more than {self._limits.rows}")
        rows = tuple(canonical_rows(raw))
        return Ran(
            RunOutcome.EMPTY if is_empty(rows) else RunOutcome.OK,
            rows,
            height=len(rows),
            width=len(cursor.description),
            names=tuple(str(column[0]) for column in cursor.description),
        )

    def _watch(self) -> None:
        """Interrupt the running statement when its processor time is up (a thread of the engine)."""
        while not self._closed.wait(0.05):
            with self._lock:
                if self._running is not None and time.process_time() - self._running[1] > self._limits.cpu_s:
                    self._running[0].interrupt()

    def close(self) -> None:
        """Close every connection."""
        self._closed.set()
        for cursor, _ in self._cursors.values():
            cursor.close()
        self._cursors.clear()
        self._root.close()


def _json_rows(rows: list[list[Any]]) -> str:
    """Rows as JSON text that DuckDB reads without loss: what JSON or a double cannot hold goes as a string."""

    def exact(cell: Any) -> Any:
        is_special = isinstance(cell, float) and not math.isfinite(cell)
        is_large = isinstance(cell, int) and abs(cell) >= 2**63
        return str(cell) if is_special or is_large else cell

    return json.dumps([[exact(cell) for cell in row] for row in rows], ensure_ascii=False)


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
