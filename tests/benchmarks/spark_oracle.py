"""A real Spark as oracle of Databricks SQL, and the query sets that it is asked (see `sql_conformance`).

Spark runs in ANSI mode, in UTC, in this process. Only queries are asked; text that does not begin like a query is
recorded as refused without asking.
Documentation examples that depend on a clock or on chance are left out.
"""

from __future__ import annotations

import csv
import datetime as dt
import json
import logging
import os
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from tao.sql.instance import Instance, read_instance
from tao.sql.result import canonical_cell

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "sql"
LEDGER = FIXTURES / "ledger.json"
MAX_ROWS = 2_000
_QUERY_STARTS = re.compile(r"\s*(?:SELECT|WITH|VALUES|FROM)\b|\s*\(", re.IGNORECASE)
_CONDITION = re.compile(r"\[([A-Z_0-9.]+)\]")
_EXAMPLE = re.compile(r"^\s*> ((?:SELECT|WITH|VALUES|FROM)\b.*?);\s*$", re.DOTALL | re.MULTILINE)
_CLOCK_OR_CHANCE = re.compile(
    r"unix_timestamp\(\)|\b(rand|randn|random|randstr|uniform|uuid|shuffle|now|current_\w+|localtime\w*|curdate|user"
    r"|session_user|version|input_file\w*|monotonically_increasing_id|spark_partition_id|reflect|java_method)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Question:
    """A query to be asked of Spark and of the emulator.

    Attributes:
        source: conformance, foreign, examples or defog.
        group: Heading in the file, function or dialect.
        database: Name of the instance it is asked on.
        sql: The query.
        name: What to call it where its text cannot be shown.
    """

    source: str
    group: str
    database: str
    sql: str
    name: str


def own_questions(source: str) -> list[Question]:
    """The queries of ``conformance.sql`` or ``foreign.sql``."""
    found, group = [], ""
    for number, line in enumerate((FIXTURES / f"{source}.sql").read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("-- "):
            group = line[3:]
        elif line:
            found.append(Question(source, group, "ledger", line, f"{source}.sql:{number}"))
    return found


def example_questions(path: Path) -> list[Question]:
    """The documentation examples that `collect_examples` stored."""
    lines = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return [
        Question("examples", line["function"], "ledger", line["sql"], line["function"])
        for line in lines
        if not _CLOCK_OR_CHANCE.search(line["sql"])
    ]


def collect_examples(spark: Any, path: Path) -> None:
    """Store the examples of ``DESCRIBE FUNCTION EXTENDED`` for every function of the running Spark."""
    seen: set[str] = set()
    with path.open("w", encoding="utf-8") as out:
        for (name,) in spark.sql("SHOW FUNCTIONS").collect():
            quoted = f"`{name}`" if name[0].isalpha() else f"'{name}'"
            try:
                rows = spark.sql(f"DESCRIBE FUNCTION EXTENDED {quoted}").collect()
            except Exception:
                continue  # an operator
            text = "\n".join(str(row[0]) for row in rows)
            for match in re.finditer(
                r"^\s*> (SELECT.*?|WITH.*?|VALUES.*?|FROM.*?);\s*$", text, re.DOTALL | re.MULTILINE
            ):
                if match[1] not in seen:
                    seen.add(match[1])
                    out.write(json.dumps({"function": name, "sql": match[1]}) + "\n")


def defog_questions(shared: Path, cache: Path) -> tuple[list[Question], dict[str, Path]]:
    """Defog's queries in six dialects, distinct by database and text, and their databases as instance files.

    Args:
        shared: The folder that `TAO_BENCH_SHARED_DATA` names.
        cache: Folder of the instance files; made once, since the databases hold the day of loading.
    """
    questions: dict[tuple[str, str], Question] = {}
    for path in sorted((shared / "defog" / "questions").glob("*.csv")):
        dialect = path.stem.rsplit("_", 1)[-1]
        if not path.name.startswith(("questions_gen", "instruct_basic")):
            continue
        with path.open(encoding="utf-8", newline="") as file:
            for number, row in enumerate(csv.DictReader(file), 1):
                sql = _first_alternative(row["query"])
                question = Question("defog", dialect, row["db_name"], sql, f"{path.stem}:{number}")
                questions.setdefault((row["db_name"], sql), question)
    found = list(questions.values())
    paths = {name: cache / f"defog_{name}.json" for name in sorted({q.database for q in found})}
    for name, path in paths.items():
        if not path.exists():
            script = shared / "defog" / "databases" / name / f"{name}.sql"
            path.write_text(json.dumps({"tables": _defog_tables(script)}, ensure_ascii=False), encoding="utf-8")
    return found, paths


def _first_alternative(text: str) -> str:
    """The first of a gold's queries with all of its optional columns."""
    sql = text.split(";", maxsplit=1)[0].strip()
    choice = re.search(r"\{([^{}]+)\}", sql)
    if choice is None:
        return sql
    return re.sub(r"\{[^{}]*\}", lambda match: match[0][1:-1] or choice[1], sql)


_KINDS = {"INTEGER": "INT", "VARCHAR": "STRING", "BLOB": "BINARY"}
_LATER = ("TIMESTAMP WITH TIME ZONE", "TIME", "INTERVAL", "UUID", "JSON")


def _defog_tables(path: Path) -> dict[str, Any]:
    """Read a PostgreSQL script through DuckDB (today is the day of loading)."""
    import duckdb
    import sqlglot
    from sqlglot import exp

    engine = duckdb.connect(":memory:")
    text = path.read_text(encoding="utf-8")
    for slip, meant in (("%Y%m%d %H:%i:%s", "YYYYMMDD HH24:MI:SS"), (" min'", " minutes'")):
        text = text.replace(slip, meant)
    for tree in sqlglot.parse(text, read="postgres"):
        if not isinstance(tree, exp.Create | exp.Insert) or (isinstance(tree, exp.Create) and tree.kind != "TABLE"):
            continue
        for table in tree.find_all(exp.Table):
            table.set("db", None)
        if isinstance(tree, exp.Create):
            for column in tree.find_all(exp.ColumnDef):
                column.set("constraints", [])
                if column.kind.this.name in ("SERIAL", "BIGSERIAL"):
                    column.set("kind", exp.DataType.build("INT"))
                elif column.kind.sql() == "INTERVAL":
                    column.set("kind", exp.DataType.build("TEXT"))
            tree.this.set("expressions", [e for e in tree.this.expressions if isinstance(e, exp.ColumnDef)])
        engine.execute(tree.sql(dialect="duckdb"))
    tables: dict[str, Any] = {}
    for (name,) in engine.execute("SELECT table_name FROM duckdb_tables()").fetchall():
        described = engine.execute(f'DESCRIBE "{name}"').fetchall()
        columns = [[row[0], "STRING" if row[1] in _LATER else _KINDS.get(row[1], row[1])] for row in described]
        rows = [[_json(cell) for cell in row] for row in engine.execute(f'SELECT * FROM "{name}"').fetchall()]
        tables[name] = {"columns": columns, "rows": rows}
    return tables


def _json(cell: Any) -> Any:
    if isinstance(cell, dt.datetime):
        return cell.replace(tzinfo=None).isoformat(sep=" ")
    if isinstance(cell, dt.date | dt.time | dt.timedelta | Decimal):
        return str(cell)
    return cell


def start() -> Any:
    """A Spark session in ANSI mode and UTC."""
    os.environ["TZ"] = "UTC"
    time.tzset()
    from pyspark.sql import SparkSession

    logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL + 1)
    builder: Any = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    options = {"ansi.enabled": "true", "session.timeZone": "UTC", "shuffle.partitions": "1"}
    options["codegen.wholeStage"] = "false"  # the same answers, without a compiler run for every query
    options["timestampType"] = "TIMESTAMP_LTZ"
    for option, value in options.items():
        builder = builder.config(f"spark.sql.{option}", value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    return session


def load(spark: Any, instance: Instance) -> None:
    """Make an instance's tables temporary views."""
    for row in spark.sql("SHOW VIEWS").collect():
        spark.catalog.dropTempView(row["viewName"])
    for name, columns in instance.schema.tables:
        cells = ", ".join(
            f"UNHEX(col{number})" if kind == "BINARY" else f"CAST(col{number} AS {kind})"
            for number, (_, kind) in enumerate(columns, 1)
        )
        names = ", ".join(f"`{column.replace('`', '``')}`" for column, _ in columns)
        rows = instance.rows[name] or [[None] * len(columns)]
        values = ", ".join("(" + ", ".join(map(_literal, row)) + ")" for row in rows)
        limit = "" if instance.rows[name] else " LIMIT 0"
        quoted = name.replace("`", "``")
        spark.sql(f"CREATE OR REPLACE TEMP VIEW `{quoted}` ({names}) AS SELECT {cells} FROM VALUES {values}{limit}")


def _literal(cell: Any) -> str:
    """A cell as a string literal, so that a column of VALUES has one type and a cast gives the declared one."""
    if cell is None:
        return "CAST(NULL AS STRING)"
    return "'" + str(cell).replace("\\", "\\\\").replace("'", "\\'") + "'"


def answer(spark: Any, sql: str) -> dict[str, Any]:
    """What Spark says: {"rows": ...}, {"refused": condition} or {"fails": condition}; {"skip": why} if unusable."""
    if not _QUERY_STARTS.match(sql):
        return {"refused": "NOT_A_QUERY"}
    stage = "refused"
    try:
        frame = spark.sql(sql)
        stage = "fails"
        rows = frame.limit(MAX_ROWS + 1).collect() if "RANGE(" in sql.upper() else frame.collect()
    except Exception as error:
        condition = getattr(error, "getCondition", lambda: None)() or ""
        if not condition:
            found = _CONDITION.search(str(error))
            condition = found[1] if found else type(error).__name__
        if condition == "NOT_IMPLEMENTED":  # a value that Python's client cannot fetch
            return {"skip": condition}
        return {stage: condition}
    if len(rows) > MAX_ROWS:
        return {"skip": "too many rows"}
    return {"rows": [[_plain(canonical_cell(_value(cell))) for cell in row] for row in rows]}


def _value(cell: Any) -> Any:
    """Spark's structs are tuples with names: as the emulator's dicts."""
    if hasattr(cell, "__fields__"):
        return {key: _value(cell[key]) for key in cell.__fields__}
    if isinstance(cell, list):
        return [_value(item) for item in cell]
    return cell


def _plain(cell: Any) -> Any:
    """A canonical cell as JSON: tuples become lists, infinities strings (never equal to anything)."""
    if isinstance(cell, tuple):
        return [_plain(item) for item in cell]
    if isinstance(cell, float) and cell in (float("inf"), float("-inf")):
        return ["inf", str(cell)]
    return cell


def ask_all(questions: Iterable[Question], databases: dict[str, Path], known: set[str]) -> Iterator[str]:
    """Ask Spark what is not known yet; yields one JSON line a question.

    Args:
        questions: What to ask.
        databases: Instance files by name.
        known: Names of databases and texts, joined by a tab, that have an answer.
    """
    open_questions = [q for q in questions if f"{q.database}\t{q.sql}" not in known]
    if not open_questions:
        return
    spark = start()
    loaded = ""
    for question in sorted(open_questions, key=lambda q: q.database):
        if loaded != question.database:
            load(spark, read_instance(databases[question.database]))
            loaded = question.database
        said = answer(spark, question.sql)
        yield json.dumps({"database": question.database, "sql": question.sql, **said}, ensure_ascii=False)
    spark.stop()
