"""The embedded emulator of Databricks (gate, DuckDB, sandbox) behind the engine protocol."""

from __future__ import annotations

from pathlib import Path

from tao.sql.dialect import Fault
from tao.sql.engine import NOT_EMULATED, Limits, RunOutcome
from tao.sql.engines import Reply
from tao.sql.gate import check
from tao.sql.instance import read_instance
from tao.sql.sandbox import Sandbox


class EmulatorEngine:
    """Runs Databricks queries on an instance file; implements `tao.sql.engines.QueryEngine`.

    Args:
        path: Instance file.
        sandbox: Where statements run; shared, and closed by whoever made it.

    Raises:
        InputError: The file is missing or not an instance.
    """

    name = "duckdb"

    def __init__(self, path: Path, sandbox: Sandbox) -> None:
        self._path = str(path)
        self._sandbox = sandbox
        self.schema = read_instance(path).schema

    def run(self, sql: str) -> Reply:
        """Gate and run one query. Never raises for what the statement holds."""
        checked = check(sql, self.schema)
        if isinstance(checked, Fault):
            return Reply(error=f"{checked.code}: {checked.message}")
        return self.run_accepted(checked.duckdb)

    def run_accepted(self, duckdb: str) -> Reply:
        """Run a statement that came out of the gate."""
        [ran] = self._sandbox.run([(self._path, duckdb)])
        if ran.outcome in (RunOutcome.OK, RunOutcome.EMPTY):
            return Reply(ran.rows, ran.width)
        fault = ran.outcome is RunOutcome.UNSCORED
        return Reply(error=ran.error or ran.outcome.value, is_engine_fault=fault or ran.error.startswith(NOT_EMULATED))

    def close(self) -> None:
        """Nothing: the sandbox belongs to its maker."""


def port_limits() -> Limits:
    """Limits for golds, which are trusted more than a model's answers and may be slow."""
    return Limits(cpu_s=20.0, rows=100_000, result_mb=64.0, instances=8, memory_mb=1_024, address_space_mb=4_096)
