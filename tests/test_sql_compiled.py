"""Compiled sqlglot (package sqlglotc) and the plain one behind the same gate: the same verdicts and texts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import sqlglot.parser

from tao.sql.dialect import Fault
from tao.sql.gate import check
from tao.sql.instance import read_instance
from tao_bench.sql.port import Context, port_gold

FIXTURES = Path(__file__).parent / "fixtures" / "sql"
# Loads sqlglot from its sources even where compiled modules lie beside them.
PLAIN = """
import importlib.machinery as m, sys
class Sources:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.split(".")[0] == "sqlglot":
            for entry in path or sys.path:
                spec = m.FileFinder(entry, (m.SourceFileLoader, [".py"])).find_spec(name)
                if spec is not None:
                    return spec
        return None
sys.meta_path.insert(0, Sources)
sys.path.insert(0, sys.argv[1])
import sqlglot.parser
assert sqlglot.parser.__file__.endswith(".py"), sqlglot.parser.__file__
import json
from test_sql_compiled import answers
print(json.dumps(answers()))
"""


def queries() -> list[tuple[str, str]]:
    """Database and query of all fixtures."""
    found = [("market", line.split(" | ")[1]) for line in _lines("gate_cases.txt", "#")]
    found += [("market", line.split("\t")[-1]) for line in _lines("spark_values.txt", "#")]
    found += [("ledger", line) for name in ("conformance.sql", "foreign.sql") for line in _lines(name, "--")]
    return found


def _lines(name: str, comment: str) -> list[str]:
    lines = (FIXTURES / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith(comment)]


def answers() -> list[list[str]]:
    """What the gate says of every query, and what porting makes of it."""
    schemas = {name: read_instance(FIXTURES / f"{name}.json").schema for name in ("market", "ledger")}
    found = []
    for name, sql in queries():
        checked = check(sql, schemas[name])
        try:
            ported = port_gold(sql, Context("sqlite", schemas[name].columns)).sql
        except Exception as error:
            ported = type(error).__name__
        found.append([checked.message if isinstance(checked, Fault) else checked.duckdb, ported])
    return found


@pytest.mark.skipif(sqlglot.parser.__file__.endswith(".py"), reason="sqlglot is not compiled here")
def test_compiled_and_plain_sqlglot_agree() -> None:
    command = [sys.executable, "-c", PLAIN, str(Path(__file__).parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    plain = json.loads(done.stdout.splitlines()[-1])
    here = answers()
    assert len(here) > 2_000
    assert [pair for pair in zip(queries(), here, plain, strict=True) if pair[1] != pair[2]] == []
