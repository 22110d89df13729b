"""One query put to Spark and to the emulator: how the two answers compare."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any

from tao.sql.dialect import Family, Fault
from tao.sql.engine import Engine, RunOutcome
from tao.sql.gate import check
from tao.sql.instance import Schema, read_instance
from tests.benchmarks.spark_oracle import FIXTURES, LEDGER, Question, own_questions

ANSWERS = FIXTURES / "spark_answers.jsonl"
KNOWN = FIXTURES / "known_differences.txt"
OWN = ("conformance", "foreign")


def read_answers(path: Path) -> dict[str, dict[str, Any]]:
    """Spark's answers by database and text, joined by a tab."""
    if not path.exists():
        return {}
    lines = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return {f"{line['database']}\t{line['sql']}": line for line in lines}


class Finding(StrEnum):
    """How the emulator's answer to one query compares with Spark's."""

    EQUAL = "equal"  # the same rows
    BOTH_REJECT = "both_reject"
    DIFFERENT = "different"  # both run, other rows
    ACCEPTED = "accepted"  # the emulator runs what Spark rejects
    REFUSED = "refused"  # the gate refuses what Spark runs
    FAILED = "failed"  # the engine fails on what Spark runs
    NOT_EMULATED = "not_emulated"  # said to be beyond the emulator: no evidence, so never wrong
    SKIPPED = "skipped"  # Spark gave no answer that can be compared


GOOD = frozenset((Finding.EQUAL, Finding.BOTH_REJECT, Finding.NOT_EMULATED, Finding.SKIPPED))
BAD = tuple(finding for finding in Finding if finding not in GOOD)


@dataclass(frozen=True, slots=True)
class Result:
    """A question, what Spark said, what the emulator said, and how they compare."""

    question: Question
    finding: Finding
    spark: str
    emulator: str


def _tupled(cell: Any) -> Any:
    if isinstance(cell, list):
        return float(cell[1]) if cell and cell[0] == "inf" else tuple(_tupled(item) for item in cell)
    return cell


def same_cell(a: Any, b: Any) -> bool:
    """Whole numbers exactly, other numbers within 1e-6 (Spark's DECIMAL quotients have six digits)."""
    if isinstance(a, float) or isinstance(b, float):
        if not (isinstance(a, int | float) and isinstance(b, int | float)):
            return False
        return a == b or (math.isfinite(a) and math.isfinite(b) and abs(a - b) <= 1e-6 * max(1.0, abs(a), abs(b)))
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(same_cell, a, b))
    return bool(a == b)


def same_rows(spark: list[Any], found: list[Any], ordered: bool) -> bool:
    """Whether two results have the same rows, in the same order where the query asks for one."""
    if len(spark) != len(found):
        return False
    if ordered:
        return all(map(same_cell, spark, found))
    rest = list(found)
    for row in spark:
        match = next((index for index, other in enumerate(rest) if same_cell(row, other)), None)
        if match is None:
            return False
        rest.pop(match)
    return True


def judge(question: Question, said: dict[str, Any], engine: Engine, database: Path) -> Result:
    """Put one question to the gate and the emulator and compare with what Spark said."""
    spark = said.get("refused") or said.get("fails") or json.dumps(said.get("rows"), ensure_ascii=False)
    if "skip" in said:
        return Result(question, Finding.SKIPPED, said["skip"], "")
    checked = check(question.sql, _schema(database))
    if isinstance(checked, Fault):
        text = f"{checked.family} {checked.code}: {checked.message}"
        if checked.family is Family.EMULATOR:
            return Result(question, Finding.NOT_EMULATED, spark, text)
        return Result(question, Finding.REFUSED if "rows" in said else Finding.BOTH_REJECT, spark, text)
    ran = engine.run(str(database), checked.duckdb)
    if ran.outcome is RunOutcome.UNSCORED:
        return Result(question, Finding.NOT_EMULATED, spark, ran.error)
    if ran.outcome not in (RunOutcome.OK, RunOutcome.EMPTY):
        return Result(question, Finding.FAILED if "rows" in said else Finding.BOTH_REJECT, spark, ran.error)
    emulator = json.dumps(ran.rows, ensure_ascii=False)
    if "rows" not in said:
        return Result(question, Finding.ACCEPTED, spark, emulator)
    ordered = checked.ordered and question.source in OWN  # the others sort with ties, which may stand in any order
    equal = same_rows(_tupled(said["rows"]), list(ran.rows), ordered)
    return Result(question, Finding.EQUAL if equal else Finding.DIFFERENT, spark, emulator)


@lru_cache
def _schema(database: Path) -> Schema:
    return read_instance(database).schema


def known_differences() -> dict[str, tuple[Finding, str]]:
    """Finding and reason by query text, from the allow-list."""
    lines = KNOWN.read_text(encoding="utf-8").splitlines()
    rows = [line.split(" | ", 2) for line in lines if line and not line.startswith("#")]
    return {sql: (Finding(finding), reason) for finding, reason, sql in rows}


def judge_own(engine: Engine) -> list[Result]:
    """Every own question that Spark has answered, judged."""
    answers = read_answers(ANSWERS)
    questions = [question for source in OWN for question in own_questions(source)]
    return [judge(q, answers[f"ledger\t{q.sql}"], engine, LEDGER) for q in questions if f"ledger\t{q.sql}" in answers]
