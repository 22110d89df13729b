"""How the comparison of results agrees with published verdicts: python tests/benchmarks/sql_agreement.py --out results

Reads the folder that TAO_BENCH_SHARED_DATA names and writes `sql_agreement.md`: counts, item numbers and
reason codes, and nothing else of the data. Databases are SQLite files, opened read-only.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import random
import re
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from tao.sql.result import canonical_rows
from tao_bench.sql.compare import ANY_ORDER, EQUAL, Match, RowOrder, compare
from tao_bench.sql.gold_order import gold_order, may_cut, statement_of
from tao_bench.sql.policies import POLICIES, Context, Result, policy_named

VARIABLE = "TAO_BENCH_SHARED_DATA"
LIMIT_S = 30.0
JUDGED = ("bird_ex", "spider_suite", "spider_suite_keep_distinct", "strict")
COUNTED = ("multiset_text", "multiset", *JUDGED)


# -- running SQLite ------------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def _connection(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    connection.text_factory = lambda raw: raw.decode(errors="ignore")
    return connection


@lru_cache(maxsize=100_000)
def run(path: Path, sql: str) -> Result | str:
    """A statement's result on a database file, or the error in words."""
    connection = _connection(path)
    end = time.process_time() + LIMIT_S
    connection.set_progress_handler(lambda: time.process_time() > end, 10_000)
    try:
        cursor = connection.execute(sql)
        rows = cursor.fetchall()
    except (sqlite3.Error, sqlite3.Warning) as error:
        return str(error) or "error"
    return Result(rows, [column[0] for column in cursor.description or ()])


@dataclass(frozen=True)
class Gold:
    """A gold's result, and how far it fixes the order of its rows."""

    result: Result
    order: RowOrder


def _tree(sql: str) -> Any:
    import sqlglot

    try:
        return sqlglot.parse_one(sql, read="sqlite")
    except sqlglot.errors.SqlglotError:
        return None


def _sqlite(tree: Any) -> str:
    return str(tree.sql(dialect="sqlite"))


def strict_gold(path: Path, sql: str) -> Gold | str:
    """Run a gold with its hidden sort keys, and with a wider LIMIT where that may cut a tie."""
    plain = run(path, sql)
    if isinstance(plain, str):
        return plain
    rows = canonical_rows(plain.rows)
    tree = _tree(sql)
    if tree is None:
        unknown = RowOrder((1,) * len(rows), known=False) if "order by" in sql.lower() else ANY_ORDER
        return Gold(Result(rows, plain.names), unknown)
    statement = statement_of(tree, _sqlite)
    keyed = run(path, statement.text)
    same = isinstance(keyed, Result) and len(keyed.rows) == len(rows)
    if not isinstance(keyed, Result) or not same:
        unknown = RowOrder((1,) * len(rows), known=False) if statement.ordered else ANY_ORDER
        return Gold(Result(rows, plain.names), unknown)
    wide = run(path, statement.wide) if may_cut(statement, len(rows)) else None
    kept, order = gold_order(
        statement, canonical_rows(keyed.rows), canonical_rows(wide.rows) if isinstance(wide, Result) else None
    )
    return Gold(Result(kept, plain.names), order)


def stored_order(sql: str, rows: Sequence[tuple[Any, ...]]) -> RowOrder:
    """What a gold that cannot be run says about the order of its stored rows."""
    tree = _tree(sql)
    statement = statement_of(tree, _sqlite) if tree is not None else None
    if statement is None or statement.appended or not statement.known:
        ordered = statement.ordered if statement is not None else "order by" in sql.lower()
        return RowOrder((1,) * len(rows), known=False) if ordered else ANY_ORDER
    return gold_order(replace(statement, wide=""), rows)[1]


def judge(path: Path, gold_sql: str, found_sql: str) -> dict[str, str]:
    """Verdict of each policy on one prediction: a reason code, ``does not run`` or ``gold does not run``."""
    verdicts = {}
    for name in JUDGED:
        policy, prepare = policy_named(name)
        gold_text, found_text = prepare(gold_sql), prepare(found_sql)
        if name == "strict":
            strict = strict_gold(path, gold_text)
            gold, order = (strict, ANY_ORDER) if isinstance(strict, str) else (strict.result, strict.order)
        else:
            gold, order = run(path, gold_text), ANY_ORDER
        found = run(path, found_text)
        if isinstance(gold, str):
            verdicts[name] = "gold does not run"
        elif isinstance(found, str):
            verdicts[name] = "does not run"
        else:
            if name == "strict":
                found = Result(canonical_rows(found.rows), found.names)
            verdicts[name] = policy(gold, found, Context(gold_text, found_text, order=order)).value
    gold, found = run(path, gold_sql), run(path, found_sql)
    for name, key in (("multiset", tuple), ("multiset_text", repr)):
        if isinstance(gold, str) or isinstance(found, str):
            verdicts[name] = "gold does not run" if isinstance(gold, str) else "does not run"
        else:
            verdicts[name] = "equal" if Counter(map(key, gold.rows)) == Counter(map(key, found.rows)) else "values"
    return verdicts


def is_right(verdict: str) -> bool:
    """Whether a verdict is one of the equal ones."""
    return verdict in {match.value for match in EQUAL}


# -- one section a source ------------------------------------------------------------------------------------------


def lines(path: Path) -> list[Any]:
    """Rows of a JSON Lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    """A Markdown table."""
    body = [f"| {' | '.join(map(str, row))} |" for row in rows]
    return [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *body, ""]


def _predictions(systems: dict[str, list[dict[str, str]]], published: dict[str, tuple[int, ...]]) -> list[str]:
    """Counts of each system under each policy, beside those that the data's README gives."""
    rows = []
    for system, verdicts in systems.items():
        counts = [sum(is_right(verdict[name]) for verdict in verdicts) for name in COUNTED]
        fails = sum(verdict["bird_ex"] == "does not run" for verdict in verdicts)
        wanted = published.get(system, ())
        found = (counts[COUNTED.index("multiset_text")], counts[COUNTED.index("bird_ex")], fails)[-len(wanted) :]
        rows.append([system, len(verdicts), fails, *counts, "yes" if wanted == found else f"no: {wanted}"])
    return table(["system", "items", "do not run", *COUNTED, "as in the data's README"], rows)


def _differences(systems: dict[str, list[dict[str, str]]], policy: str) -> list[str]:
    """Where `strict` and a policy part, by the reason that strict gives."""
    rows = []
    for system, verdicts in systems.items():
        parted: Counter[str] = Counter()
        for verdict in verdicts:
            if is_right(verdict[policy]) is not is_right(verdict["strict"]):
                parted[("only strict: " if is_right(verdict["strict"]) else "") + verdict["strict"]] += 1
        words = ", ".join(f"{reason} {count}" for reason, count in parted.most_common())
        rows.append([system, sum(parted.values()), words or "-"])
    return table(["system", f"strict ≠ {policy}", "verdict of strict"], rows)


def spider(data: Path) -> tuple[list[str], dict[str, list[dict[str, str]]]]:
    """Stored predictions of five systems on the Spider dev databases."""
    folder = data / "sql_result_comparison"
    readme = (folder / "README.md").read_text(encoding="utf-8")
    systems: dict[str, list[dict[str, str]]] = {}
    for row in lines(folder / "spider_dev_predictions" / "predictions_shared.jsonl"):
        path = data / "spider_dev" / "database" / row["db_id"] / f"{row['db_id']}.sqlite"
        for system, sql in row["predictions"].items():
            systems.setdefault(system, []).append(judge(path, row["gold"], sql))
    published = {
        system: tuple(map(int, match.groups()))
        for system in systems
        if (match := re.search(rf"\| {system} \| (\d+) \| (\d+) \| (\d+) \|", readme))
    }
    undecided = sum(verdict["strict"] == "undecided" for verdicts in systems.values() for verdict in verdicts)
    return [
        "## Spider dev: five systems, 17 databases",
        "",
        *_predictions(systems, published),
        f"Undecided by strict: {undecided}. Where strict and a published rule part:",
        "",
        *_differences(systems, "bird_ex"),
        *_differences(systems, "spider_suite"),
    ], systems


def bird(data: Path) -> tuple[list[str], dict[str, list[dict[str, str]]]]:
    """Stored predictions of two models on BIRD Mini-Dev questions whose databases are there."""
    questions = json.loads((data / "bird_dev" / "questions_minidev_3dbs.json").read_text(encoding="utf-8"))
    readme = (data / "bird_mini_dev" / "README.md").read_text(encoding="utf-8")
    systems: dict[str, list[dict[str, str]]] = {}
    published = {}
    for file in sorted((data / "bird_mini_dev" / "predictions").glob("*_sqlite.json")):
        raw = json.loads(file.read_text(encoding="utf-8"))
        system = "gpt-4-turbo" if "gpt-4-turbo" in file.name else "llama3-8b"
        for item in questions:
            path = data / "bird_dev" / "databases" / item["db_id"] / f"{item['db_id']}.sqlite"
            sql = raw[str(item["mini_dev_index"])].split("\t----- bird -----\t")[0]
            systems.setdefault(system, []).append(judge(path, item["SQL"], sql))
        match = re.search(rf"{system} (\d+)(?: right)? \((\d+)(?: do not run|\))", readme)
        published[system] = tuple(map(int, match.groups())) if match else ()
    return [
        "## BIRD Mini-Dev: two models, three databases",
        "",
        *_predictions(systems, published),
        *_differences(systems, "bird_ex"),
    ], systems


def testsuite(data: Path) -> tuple[list[str], dict[str, list[dict[str, str]]]]:
    """Pairs of the test-suite repository, most of them wrong on purpose."""
    verdicts = []
    for row in lines(data / "sql_result_comparison" / "testsuite_examples" / "pairs_shared.jsonl"):
        path = data / "spider_dev" / "database" / row["db_id"] / f"{row['db_id']}.sqlite"
        verdicts.append(judge(path, row["gold"], row["pred"]))
    run_golds = sum(verdict["multiset"] != "gold does not run" for verdict in verdicts)
    counts = [sum(is_right(verdict[name]) for verdict in verdicts) for name in COUNTED]
    return [
        "## Test-suite examples",
        "",
        *table(["pairs", "golds that run", *COUNTED], [[len(verdicts), run_golds, *counts]]),
    ], {"pairs": verdicts}


def _frame(text: str) -> Result:
    raw = json.loads(text)
    return Result(canonical_rows(raw["data"]), [str(name) for name in raw["columns"]])


def ibm(data: Path) -> list[str]:
    """Verdicts of the toolkit's own metrics on stored frames."""
    folder = data / "sql_result_comparison" / "ibm_eval_toolkit"
    items = {item["item_id"]: item for item in lines(folder / "items.jsonl")}
    metrics = ("execution_accuracy", "bird_execution_accuracy", "subset_non_empty_execution_accuracy")
    same: dict[str, Counter[bool]] = {name: Counter() for name in metrics}
    parted, left_out = [], Counter[str]()
    for number, row in enumerate(lines(folder / "predictions.jsonl")):
        verdict = row["evaluation"] or {}
        if verdict.get("execution_accuracy") is None:
            left_out["no verdict"] += 1
            continue
        if row["predicted_df"] is None or row["predicted_df_truncated"]:
            left_out["no frame"] += 1
            continue
        item = items[row["item_id"]]
        gold, found = _frame(item["gold_df"]), _frame(row["predicted_df"])
        order = stored_order(item["gold_sql"][0], gold.rows)
        match = compare(gold.rows, found.rows, (gold.width, found.width), order)
        for name in metrics:
            same[name][bool(verdict[name]) is (match in EQUAL)] += 1
        if any(bool(verdict[name]) is not (match in EQUAL) for name in metrics):
            parted.append([number, row["item_id"], match.value, *(verdict[name] for name in metrics)])
    return [
        "## IBM toolkit: its verdicts on stored frames",
        "",
        f"Left out: {', '.join(f'{reason} {count}' for reason, count in left_out.items())}.",
        "",
        *table(["metric", "agrees with strict", "differs"], [[n, same[n][True], same[n][False]] for n in metrics]),
        "Every row on which some metric differs (its number in the file):",
        "",
        *table(["row", "item", "strict", *metrics], parted),
    ]


NOTHING = "No execution result"


def _text_table(text: str) -> Result | None:
    """A result printed as ``| a | b |`` lines, then ``shape=(rows, columns)``; None if it is cut or garbled."""
    shape = re.search(r"shape=\((\d+), (\d+)\)\s*$", text)
    if shape is None:
        return None
    height, width = map(int, shape.groups())
    rows = [tuple(map(_cell, line.strip()[2:-2].split(" | "))) for line in text.splitlines()[:-1]]
    if len(rows) != height or any(len(row) != width for row in rows):
        return None
    return Result(rows, [f"c{number}" for number in range(width)])


def _cell(text: str) -> Any:
    if text in ("None", "nan"):
        return None
    for kind in (int, float):
        try:
            value = kind(text)
        except ValueError:
            continue
        if str(value) == text:
            return value
    return text


def flex(data: Path) -> list[str]:
    """Experts' verdicts on answers, whose results are printed text."""
    counts: Counter[str] = Counter()
    parted = []
    for number, row in enumerate(lines(data / "sql_result_comparison" / "flex_human_judgements" / "flex_shared.jsonl")):
        if row["human_judge"] not in (0.0, 1.0):
            counts["experts disagree"] += 1
            continue
        if NOTHING in (row["gold_exec"], row["pred_exec"]):
            counts["no result stored: an error, or no rows"] += 1
            continue
        gold, found = _text_table(row["gold_exec"]), _text_table(row["pred_exec"])
        if gold is None or found is None:
            counts["result cut or garbled"] += 1
            continue
        gold, found = (Result(canonical_rows(part.rows), part.names) for part in (gold, found))
        match = compare(gold.rows, found.rows, (gold.width, found.width), stored_order(row["gold_sql"], gold.rows))
        ours, human, official = match in EQUAL, row["human_judge"] == 1.0, row["ex"] == 1
        if match is Match.UNDECIDED:
            counts["undecided: the sort key is not among the stored columns"] += 1
        else:
            counts["judged"] += 1
            counts["strict agrees with experts"] += ours is human
            counts["BIRD's verdict agrees with experts"] += official is human
            counts["strict agrees with BIRD's verdict"] += ours is official
            counts["strict: right by luck or by letter (equal, experts: wrong)"] += ours and not human
            counts["strict: another form (unequal, experts: right)"] += human and not ours
        if ours is not human or ours is not official:
            parted.append([number, row["bird_dev_index"], match.value, row["ex"], int(row["human_judge"])])
    return [
        "## FLEX: verdicts of experts",
        "",
        "A comparison of results cannot see what a question meant: an equal result may come of a wrong query, and",
        "experts accept answers in another form (more columns, a rate as percentage, other rows where the question",
        "is open). So the disagreements below are a measure of that limit, not errors to be mended.",
        "",
        *table(["", "rows"], sorted(counts.items())),
        "Every disagreement (row of the file, number of the question):",
        "",
        *table(["row", "question", "strict", "BIRD", "experts"], parted),
    ]


def _csv(text: str) -> Result:
    names, *rows = list(csv.reader(io.StringIO(text))) or [[]]
    cells = [tuple(_cell(cell) if cell else None for cell in row) for row in rows if row]
    return Result(canonical_rows(cells), names)


def spider2(data: Path) -> list[str]:
    """Acceptable answers against themselves, each other, and the sample submission."""
    folder = data / "sql_result_comparison" / "spider2_lite_gold"
    rng = random.Random(0)
    counts: Counter[str] = Counter()
    answers: dict[str, list[Result]] = {}
    for row in lines(folder / "gold_results_shared.jsonl"):
        golds = answers[row["instance_id"]] = [_csv(text) for text in row["answers"].values()]
        for number, gold in enumerate(golds):
            counts["answers"] += 1
            if any(len(cells) != gold.width for cells in gold.rows):
                counts["answers with ragged rows, left out"] += 1
                continue
            order = rng.sample(range(gold.width), gold.width)
            moved = [tuple(cells[place] for place in order) for cells in rng.sample(list(gold.rows), len(gold.rows))]
            itself = compare(gold.rows, moved, (gold.width, gold.width))
            counts[f"itself, rows and columns shuffled: {'equal' if itself in EQUAL else itself.value}"] += 1
            first = next(k for k, other in enumerate(golds) if _strict(other, gold) in EQUAL)
            counts[f"any-match finds {'its own file' if first == number else 'an earlier file that is equal'}"] += 1
    sample = []
    for row in lines(folder / "example_submission_csv.jsonl"):
        if row["instance_id"] in answers:
            reasons = [_strict(gold, _csv(row["csv"])).value for gold in answers[row["instance_id"]]]
            sample.append([row["instance_id"], ", ".join(reasons)])
    return [
        "## Spider 2.0-lite: acceptable answers",
        "",
        *table(["", "answers"], counts.most_common()),
        "The sample submission against each acceptable answer (all columns count here; its own rule names the",
        "columns that do, and allows for 0.01):",
        "",
        *table(["instance", "strict"], sample),
    ]


def _strict(gold: Result, found: Result) -> Match:
    return POLICIES["strict"](gold, found, Context())


def report(data: Path) -> Iterator[str]:
    """The whole document, line by line."""
    yield from (
        "# Agreement of the SQL comparison with published verdicts",
        "",
        "Made by `python tests/benchmarks/sql_agreement.py --out results`, with the folder of third-party data in",
        f"`{VARIABLE}`. Counts are items judged right. `strict` is this project's rule; the others are published",
        "rules by name (`tao_bench/sql/policies.py`). Multiset is equality of rows in any order, columns in place;",
        "multiset_text the same of rows as text, where 1970 is not 1970.0: so the data's README counted.",
        "",
    )
    sections: list[Callable[[Path], Any]] = [spider, bird, testsuite, ibm, flex, spider2]
    for section in sections:
        made = section(data)
        yield from made[0] if isinstance(made, tuple) else made


def main() -> int:
    """Write the report; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder of sql_agreement.md")
    options = parser.parse_args()
    folder = os.environ.get(VARIABLE, "")
    if not Path(folder, "sql_result_comparison").is_dir():
        print(f"{VARIABLE} names no folder with sql_result_comparison: {folder!r}", file=sys.stderr)
        return 2
    text = "\n".join(report(Path(folder))).rstrip() + "\n"
    (options.out / "sql_agreement.md").write_text(text, encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
