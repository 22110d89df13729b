"""The process that holds a Spark session: `python -m tao.sql.engines.spark_worker`, one JSON line each way.

``{"load": path}`` makes the tables of an instance file, ``{"sql": text}`` answers rows or an error.
Needs pyspark and this package, and nothing else that it imports.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from tao.sql.instance import read_instance
from tao.sql.result import canonical_rows

_SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.driver.memory": "1g",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.catalogImplementation": "in-memory",
    "spark.sql.codegen.wholeStage": "false",  # compiling a query takes longer than running it on small tables
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",  # so is planning it twice
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "OFF",
}


def session() -> Any:
    """A local session in ANSI mode and UTC."""
    from pyspark.sql import SparkSession

    logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL + 1)
    builder = SparkSession.builder.master("local[1]")
    for option, value in _SETTINGS.items():
        builder = builder.config(option, value)
    return builder.getOrCreate()


def reader_of(kind: str) -> Callable[[Any], Any] | None:
    """What turns an instance file's cell into the Python value Spark wants; None where it is one."""
    if kind == "DATE":
        return dt.date.fromisoformat
    if kind.startswith("TIMESTAMP"):
        return dt.datetime.fromisoformat
    if kind.startswith("DECIMAL"):
        return lambda cell: Decimal(str(cell))
    if kind in ("DOUBLE", "FLOAT"):
        return float
    return bytes.fromhex if kind == "BINARY" else None


def load(spark: Any, path: str, old: list[Any]) -> None:
    """Replace the views of the last instance by those of a file."""
    for name, frame in old:
        spark.catalog.dropTempView(name)
        frame.unpersist()
    old.clear()
    instance = read_instance(Path(path))
    for name, columns in instance.schema.tables:
        readers = [reader_of(kind) for _, kind in columns]
        rows = [
            [read(cell) if read and cell is not None else cell for read, cell in zip(readers, row, strict=True)]
            for row in instance.rows[name]
        ]
        schema = ", ".join(f"`{column.replace('`', '``')}` {kind}" for column, kind in columns)
        frame = spark.createDataFrame(rows, schema).coalesce(1).cache()
        frame.createOrReplaceTempView(f"`{name}`" if not name.isidentifier() else name)
        old.append((name, frame))


def answer(spark: Any, message: dict[str, Any], old: list[Any]) -> dict[str, Any]:
    """The reply to one message."""
    try:
        if "load" in message:
            load(spark, message["load"], old)
            return {"ok": True}
        frame = spark.sql(message["sql"])
        return {"rows": canonical_rows(tuple(row) for row in frame.collect()), "width": len(frame.columns)}
    except Exception as error:  # Spark's own, py4j's, and Python's on values it cannot hold
        return {"error": (str(error).strip().split("\n", 1)[0] or type(error).__name__)[:200]}


def main() -> None:
    """Serve until standard input ends."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    spark = session()
    old: list[Any] = []
    replies.write('{"ready": true}\n')
    replies.flush()
    for line in sys.stdin:
        replies.write(json.dumps(answer(spark, json.loads(line), old)) + "\n")
        replies.flush()


if __name__ == "__main__":
    main()
