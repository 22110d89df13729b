"""The methods by which other graders judge a prediction, written anew for the speed comparison in sql_speed.py.

Own code after their published rules; nothing is copied. Each function judges (prediction, gold) pairs on one SQLite
file and returns the verdicts, True or False. None shields the gold, the data or the machine from what a prediction
does; what each does have is said in `PEERS`. What they do that costs time is kept, such as running the gold again
with every prediction, or opening a connection for every pair.
"""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import sqlite3
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Pair = tuple[str, str]  # prediction, gold
LIMIT_S = 30.0


# -- BIRD: bird-bench/mini_dev, evaluation/evaluation_ex.py ---------------------------------------
# A pool of processes; in each a thread with a time limit (the package func_timeout) around one new connection, on
# which the prediction runs first and the gold second; equal if the two sets of rows are.


def _bird_pair(task: tuple[str, str, str]) -> bool:
    path, prediction, gold = task
    found: list[bool] = []

    def work() -> None:
        connection = sqlite3.connect(path)
        try:
            cursor = connection.cursor()
            cursor.execute(prediction)
            mine = cursor.fetchall()
            cursor.execute(gold)
            found.append(set(mine) == set(cursor.fetchall()))
        except sqlite3.Error:
            found.append(False)
        finally:
            connection.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(LIMIT_S)
    return bool(found) and found[0]


def bird(path: str, pairs: Sequence[Pair]) -> list[bool]:
    """Execution accuracy as BIRD's script has it, in a pool of one process; the pool's start and end included."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        jobs = [pool.apply_async(_bird_pair, ((path, prediction, gold),)) for prediction, gold in pairs]
        found = [job.get() for job in jobs]
        pool.close()
        pool.join()
    return found


# -- Spider: taoyds/test-suite-sql-eval, exec_eval.py ---------------------------------------------
# Each query on a new connection inside asyncio.run with a time limit that cannot fire; results are compared as bags
# (as lists where the gold says ORDER BY) under any permutation of the columns, after a quick look at sorted rows.


def _spider_rows(path: str, sql: str) -> list[tuple[Any, ...]] | None:
    async def work() -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(path)
        connection.text_factory = lambda raw: raw.decode(errors="ignore")
        try:
            return connection.cursor().execute(sql).fetchall()
        finally:
            connection.close()

    try:
        return asyncio.run(asyncio.wait_for(work(), LIMIT_S))
    except sqlite3.Error:
        return None


def _same_rows(left: list[tuple[Any, ...]], right: list[tuple[Any, ...]], ordered: bool) -> bool:
    return left == right if ordered else Counter(left) == Counter(right)


def _spider_equal(gold: list[tuple[Any, ...]], mine: list[tuple[Any, ...]], ordered: bool) -> bool:
    if not gold and not mine:
        return True
    if len(gold) != len(mine) or len(gold[0]) != len(mine[0]):
        return False

    def loose(rows: list[tuple[Any, ...]]) -> list[tuple[str, ...]]:
        return [tuple(sorted(str(cell) + str(type(cell)) for cell in row)) for row in rows]

    if not (loose(gold) == loose(mine) if ordered else set(loose(gold)) == set(loose(mine))):
        return False
    columns = [Counter(row[i] for row in gold) for i in range(len(gold[0]))]
    choices = [[j for j in range(len(mine[0])) if Counter(row[j] for row in mine) == column] for column in columns]
    for order in itertools.product(*choices):
        if len(set(order)) == len(order):
            moved = [tuple(row[j] for j in order) for row in mine]
            if _same_rows(gold, moved, ordered):
                return True
    return False


def spider(path: str, pairs: Sequence[Pair]) -> list[bool]:
    """Execution match as the test-suite script has it, on one database, DISTINCT kept."""
    found = []
    for prediction, gold in pairs:
        wanted = _spider_rows(path, gold)
        mine = _spider_rows(path, prediction)
        found.append(
            wanted is not None and mine is not None and _spider_equal(wanted, mine, "order by" in gold.lower())
        )
    return found


# -- Defog: defog-ai/sql-eval, eval/eval.py and utils -----------------------------------------------
# Gold and prediction are read into data frames; equal if their values are, at once or after normalising: duplicate
# rows dropped, gaps filled, columns sorted by name, rows sorted by all columns.


def _defog_frame(path: str, sql: str) -> Any:
    import pandas as pd

    connection = sqlite3.connect(path)
    try:
        return pd.read_sql_query(sql, connection)
    finally:
        connection.close()


def _defog_normal(frame: Any) -> Any:
    frame = frame.drop_duplicates()
    for column in frame.columns:
        if frame[column].dtype == object or str(frame[column].dtype) in ("str", "string"):
            frame[column] = frame[column].fillna("").astype(str)
        else:
            frame[column] = frame[column].fillna(-99999)
    frame = frame[sorted(frame.columns)]
    return frame.sort_values(by=list(frame.columns)).reset_index(drop=True)


def _defog_equal(gold: Any, mine: Any) -> bool:
    if gold.shape == mine.shape and (gold.values == mine.values).all():
        return True
    first, second = _defog_normal(gold.copy()), _defog_normal(mine.copy())
    return bool(first.shape == second.shape and (first.values == second.values).all())


def defog(path: str, pairs: Sequence[Pair]) -> list[bool]:
    """Exact match as Defog's script has it for SQLite."""
    import pandas as pd

    found = []
    for prediction, gold in pairs:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found.append(_defog_equal(_defog_frame(path, gold), _defog_frame(path, prediction)))
        except (pd.errors.DatabaseError, TypeError, ValueError):
            found.append(False)
    return found


@dataclass(frozen=True, slots=True)
class Peer:
    """Another grader's method.

    Attributes:
        name: What the table calls it.
        isolation: What stands between a prediction and the rest.
        judge: SQLite file and pairs to verdicts.
    """

    name: str
    isolation: str
    judge: Callable[[str, Sequence[Pair]], list[bool]]


PEERS = (
    Peer("BIRD's method (SQLite, set)", "none: own process, but writable data shared with the gold, no limits", bird),
    Peer("Spider test-suite's method (SQLite, bag)", "none: in the calling process", spider),
    Peer("Defog's method (SQLite, pandas)", "none: in the calling process, no time limit", defog),
)
