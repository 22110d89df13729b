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
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tao.sql.engine import Engine, Limits
from tests.benchmarks.spark_oracle import (
    LEDGER,
    Question,
    ask_all,
    collect_examples,
    defog_questions,
    example_questions,
    own_questions,
    start,
)
from tests.benchmarks.sql_conformance_report import render
from tests.benchmarks.sql_findings import (
    ANSWERS,
    OWN,
    Finding,
    Result,
    judge,
    judge_own,
    known_differences,
    read_answers,
)

REPORT = Path(__file__).resolve().parents[2] / "results" / "sql_conformance.md"
DATABASES = {"ledger": LEDGER}


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
    if report:
        REPORT.write_text(render(results, known_differences()), encoding="utf-8")
    return 0


# -- asking Spark ----------------------------------------------------------------------------------


def _shared() -> Path | None:
    path = os.environ.get("TAO_BENCH_SHARED_DATA")
    return Path(path) if path and (Path(path) / "defog").is_dir() else None


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
