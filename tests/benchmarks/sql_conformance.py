"""The emulator and the strict gate against a real Spark: `python -m tests.benchmarks.sql_conformance --help`.

Two halves. `ask` puts the queries to Spark (needs pyspark and Java, in an environment of its own) and keeps its
answers: those to the project's own queries in tests/fixtures/sql/spark_answers.jsonl, those to Spark's documentation
examples and to Defog's queries in a folder outside the repository. `compare` puts the same queries to the gate and
the emulator, needs no Java, and says where they disagree; `--report` writes results/sql_conformance.md.

To extend: add lines to tests/fixtures/sql/conformance.sql or foreign.sql, run `ask` (it asks what is new), then the
tests. A difference that is meant to stay goes to tests/fixtures/sql/known_differences.txt with its reason.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any

from tao.sql.dialect import Family, Fault
from tao.sql.engine import Engine, Limits, RunOutcome
from tao.sql.gate import check
from tao.sql.instance import Schema, read_instance
from tests.benchmarks.spark_oracle import (
    FIXTURES,
    LEDGER,
    Question,
    ask_all,
    collect_examples,
    defog_questions,
    example_questions,
    own_questions,
    start,
)

ANSWERS = FIXTURES / "spark_answers.jsonl"
KNOWN = FIXTURES / "known_differences.txt"
REPORT = Path(__file__).resolve().parents[2] / "results" / "sql_conformance.md"
DATABASES = {"ledger": LEDGER}
OWN = ("conformance", "foreign")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.sql_conformance", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    verbs = parser.add_subparsers(dest="verb", required=True)
    ask = verbs.add_parser("ask", help="put the queries that have no answer yet to Spark")
    ask.add_argument("--cache", type=Path, help="folder for answers to examples and Defog; without it only own queries")
    comparing = verbs.add_parser("compare", help="put the queries to the emulator and compare")
    comparing.add_argument("--cache", type=Path, help="the folder that ask filled; without it only own queries")
    comparing.add_argument("--show", default="", help="list the findings of these classes, e.g. different,accepted")
    comparing.add_argument("--source", default="", help="only this set: conformance, foreign, examples or defog")
    comparing.add_argument("--report", action="store_true", help=f"write {REPORT.name}")
    chosen = parser.parse_args(argv)
    if chosen.verb == "ask":
        return _ask(chosen.cache)
    return _compare(chosen.cache, chosen.source, chosen.show.split(","), chosen.report)


# -- comparing -------------------------------------------------------------------------------------


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
    equal = same_rows(_tupled(said["rows"]), list(ran.rows), checked.ordered)
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


def _judge_cached(engine: Engine, cache: Path) -> list[Result]:
    results: list[Result] = []
    sets: list[tuple[Path, list[Question], dict[str, Path]]] = []
    if (cache / "examples.jsonl").exists():
        sets.append((cache / "examples.jsonl", example_questions(cache / "example_queries.jsonl"), DATABASES))
    shared = _shared()
    if shared is not None and (cache / "defog.jsonl").exists():
        sets.append((cache / "defog.jsonl", *defog_questions(shared, cache)))
    for path, questions, databases in sets:
        answers = read_answers(path)
        for question in questions:
            said = answers.get(f"{question.database}\t{question.sql}")
            if said is not None:
                results.append(judge(question, said, engine, databases[question.database]))
    return results


def _compare(cache: Path | None, source: str, show: Sequence[str], report: bool) -> int:
    engine = Engine(Limits())
    results = judge_own(engine) if source in ("", *OWN) else []
    if cache is not None and source not in OWN:
        results += _judge_cached(engine, cache)
    engine.close()
    results = [result for result in results if source in ("", result.question.source)]
    for result in results:
        if result.finding in show:
            print(f"{result.finding}\t{result.question.group}\t{result.question.sql}")
            print(f"    spark    {result.spark[:150]}\n    emulator {result.emulator[:150]}")
    for name in dict.fromkeys(result.question.source for result in results):
        counts = Counter(result.finding for result in results if result.question.source == name)
        print(name, ", ".join(f"{finding} {counts[finding]}" for finding in Finding if counts[finding]))
    return 0


# -- asking Spark ----------------------------------------------------------------------------------


def _shared() -> Path | None:
    path = os.environ.get("TAO_BENCH_SHARED_DATA")
    return Path(path) if path and (Path(path) / "defog").is_dir() else None


def read_answers(path: Path) -> dict[str, dict[str, Any]]:
    """Spark's answers by database and text, joined by a tab."""
    if not path.exists():
        return {}
    lines = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return {f"{line['database']}\t{line['sql']}": line for line in lines}


def _ask(cache: Path | None) -> int:
    own = [question for source in OWN for question in own_questions(source)]
    _append(ANSWERS, own, DATABASES)
    wanted = {f"ledger\t{question.sql}" for question in own}
    kept = [line for key, line in read_answers(ANSWERS).items() if key in wanted]
    ANSWERS.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in kept), encoding="utf-8")
    if cache is None:
        return 0
    cache.mkdir(parents=True, exist_ok=True)
    if not (cache / "example_queries.jsonl").exists():
        collect_examples(start(), cache / "example_queries.jsonl")
    _append(cache / "examples.jsonl", example_questions(cache / "example_queries.jsonl"), DATABASES)
    shared = _shared()
    if shared is not None:
        questions, databases = defog_questions(shared, cache)
        _append(cache / "defog.jsonl", questions, databases)
    return 0


def _append(path: Path, questions: list[Question], databases: dict[str, Path]) -> None:
    known = set(read_answers(path))
    count = 0
    with path.open("a", encoding="utf-8") as out:
        for line in ask_all(questions, databases, known):
            out.write(line + "\n")
            out.flush()
            count += 1
            if count % 50 == 0:
                print(f"{path.name}: {count} asked, {len(known)} known", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
