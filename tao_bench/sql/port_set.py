"""Port one published set into a folder: instances, ported golds, certificates. Stops anywhere, goes on where it was."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from tao.errors import InputError
from tao.sql.engines import QueryEngine, Reply
from tao.sql.engines.dbapi import DbApiEngine, Driver
from tao.sql.engines.emulator import EmulatorEngine, port_limits
from tao.sql.engines.remembered import Remembered
from tao.sql.engines.spark import SparkEngine
from tao.sql.engines.sqlite import SqliteEngine
from tao.sql.readers import Database, write_instance
from tao.sql.readers.postgres_script import read_postgres_script
from tao.sql.readers.sqlite import build_sqlite, read_sqlite, shuffled_copy
from tao.sql.sandbox import Sandbox
from tao_bench.sql.certify import (
    SHUFFLES,
    UNCERTIFIED,
    Certificate,
    Evidence,
    asks_clock,
    half_of,
    prove,
)
from tao_bench.sql.published import Drop, PublishedGold, PublishedSet

Progress = Callable[[str, int, int], None]
CERTIFICATES = "certificates.jsonl"
_SCHEMA = "tao_port"


@dataclass(frozen=True, slots=True)
class Options:
    """How to port.

    Attributes:
        clock: What now means in golds and scripts, in UTC.
        server: A PostgreSQL to hold PostgreSQL golds against; None for none.
        spark: A Spark to ask, which the caller closes; None to do without.
        databases: These databases only; empty for all.
        limit: At most so many golds a database; None for all.
    """

    clock: dt.datetime
    server: Driver | None = None
    spark: SparkEngine | None = None
    databases: tuple[str, ...] = ()
    limit: int | None = None


def port_set(published: PublishedSet, out: Path, options: Options, progress: Progress) -> list[Certificate]:
    """Port a set; certificates that an earlier call wrote for the same gold, data and code are kept.

    Args:
        published: The set.
        out: Its folder; ``instances/``, ``golds.jsonl``, ``certificates.jsonl`` and ``dropped.jsonl`` go there.
        options: See `Options`.
        progress: Called with the set's name, golds done and golds in all.

    Returns:
        One certificate a gold, in the set's order. Golds on a database that cannot be read are dropped.
    """
    out.mkdir(parents=True, exist_ok=True)
    kept = _stored(out / CERTIFICATES)
    chosen = _chosen(published.golds, options)
    dropped = list(published.dropped)
    by_database: dict[str, list[PublishedGold]] = {}
    for gold in chosen:
        by_database.setdefault(gold.database, []).append(gold)
    done: dict[str, Certificate] = {}
    sandbox = Sandbox(port_limits())
    try:
        with (out / CERTIFICATES).open("a", encoding="utf-8") as lines:
            for name, golds in by_database.items():
                path = published.databases[name]
                keys = {gold.id: _key(gold, path, published.read, options) for gold in golds}
                owed = [gold for gold in golds if kept.get(gold.id, ("",))[0] != keys[gold.id]]
                done |= {gold.id: kept[gold.id][1] for gold in golds if gold not in owed}
                progress(published.name, len(done), len(chosen))
                if not owed:
                    continue
                try:
                    database = read_database(path, options.clock)
                except InputError as error:
                    dropped += [Drop(gold.id, f"unreadable_database {name}: {error.what}") for gold in owed]
                    continue
                if database.replaced:
                    dropped.append(Drop(name, f"not_utf8: {database.replaced} cells read with replacement characters"))
                instance = out / "instances" / f"{name}.json"
                write_instance(instance, database.instance)
                emulator = EmulatorEngine(instance, sandbox)
                asked = _remembered(options.spark, instance) if options.spark is not None else None
                sources = _Sources(path, database, published.read, options)
                for certificate in _certificates(owed, sources, emulator, asked):
                    done[certificate.id] = certificate
                    row = {"key": keys[certificate.id], **asdict(certificate)}
                    lines.write(json.dumps(row, ensure_ascii=False) + "\n")
                    lines.flush()
                    progress(published.name, len(done), len(chosen))
    finally:
        sandbox.close()
    certificates = [done[gold.id] for gold in chosen if gold.id in done]
    _write_folder(out, published, certificates, dropped)
    return certificates


def _remembered(spark: SparkEngine, instance: Path) -> QueryEngine:
    """Spark on an instance; it loads the tables only if it is asked something new."""
    settings = "spark, ansi, utc"
    key = f"{settings} {hashlib.sha256(instance.read_bytes()).hexdigest()}"
    return Remembered(spark, instance.parent.parent / "spark.jsonl", key, lambda: spark.load(instance))


def _chosen(golds: Sequence[PublishedGold], options: Options) -> list[PublishedGold]:
    taken: dict[str, int] = {}
    chosen = []
    for gold in golds:
        if options.databases and gold.database not in options.databases:
            continue
        taken[gold.database] = taken.get(gold.database, 0) + 1
        if options.limit is None or taken[gold.database] <= options.limit:
            chosen.append(gold)
    return chosen


def read_database(path: Path, clock: dt.datetime) -> Database:
    """A database file by its kind.

    Raises:
        InputError: It cannot be read.
    """
    return read_postgres_script(path, clock) if path.suffix == ".sql" else read_sqlite(path)


@dataclass(frozen=True, slots=True)
class _Sources:
    """Opens the source engine, with the tables as published or their rows in another order."""

    path: Path
    database: Database
    read: str
    options: Options

    @property
    def name(self) -> str:
        """The engine's name, '' where there is none."""
        if self.read == "sqlite":
            return "sqlite"
        return "postgres" if self.options.server is not None and self.read == "postgres" else ""

    @contextmanager
    def opened(self, order: int | None) -> Iterator[QueryEngine]:
        """The engine on row order `order`, None for the published one."""
        rng = Random(f"{self.path.stem} row order {order}") if order is not None else None
        engine: Any
        if self.name == "postgres" and self.options.server is not None:
            engine = DbApiEngine(self.options.server)
            engine.load(_reordered(self.database, rng), self.database.schema_name or _SCHEMA)
        elif self.path.suffix == ".sql":
            engine = SqliteEngine(build_sqlite(self.database.instance, rng), self.options.clock)
        elif rng is not None:
            engine = SqliteEngine(shuffled_copy(self.path, rng), self.options.clock)
        else:
            engine = SqliteEngine(self.path, self.options.clock)
        try:
            yield engine
        finally:
            engine.close()


def _reordered(database: Database, rng: Random | None) -> Any:
    if rng is None:
        return database.instance
    rows = {name: rng.sample(table, len(table)) for name, table in database.instance.rows.items()}
    return replace(database.instance, rows=rows)


def _certificates(
    golds: Sequence[PublishedGold], sources: _Sources, emulator: EmulatorEngine, spark: QueryEngine | None
) -> Iterator[Certificate]:
    """One certificate a gold of one database; equal texts are run once."""
    from sqlglot.errors import SqlglotError

    from tao_bench.sql.port import Context, port_gold, render
    from tao_bench.sql.port.clock import asks_for_clock, with_clock

    clock_at = sources.options.clock
    tables = emulator.schema.columns
    context = Context(sources.read, tables, sources.database.affinity or _affinities(tables), sources.database.digits)
    texts = list(dict.fromkeys(gold.sql for gold in golds))
    evidence = _evidence({sql: _source_text(sql, sources, clock_at) for sql in texts}, sources)
    known: dict[str, Certificate] = {}
    for gold in golds:
        if gold.sql not in known:
            blank = Certificate("", gold.database, half_of(gold.database), UNCERTIFIED, source=sources.name)
            flags = evidence[gold.sql].flags()
            clock = asks_clock(gold.sql)
            try:
                ported = port_gold(gold.sql, context)
            except (SqlglotError, RecursionError, ValueError) as error:
                reason = f"not ported: {str(error).splitlines()[0][:150]}"
                found = replace(blank, reason=reason, flags=_ordered(flags))
            else:
                clock = clock or asks_for_clock(ported.root)
                pinned = render(with_clock(ported.root, clock_at)) if clock else ported.sql
                proof = prove(pinned, evidence[gold.sql], emulator, spark)
                flags |= set(proof.flags) | ({"clock_dependent"} if clock else set())
                found = replace(
                    blank, status=proof.status, reason=proof.reason, flags=_ordered(flags), sql=ported.sql,
                    rules=ported.rules, clock=clock_at.isoformat() if clock else "",
                )  # fmt: skip
            known[gold.sql] = found
        yield replace(known[gold.sql], id=gold.id)


def _ordered(flags: set[str]) -> tuple[str, ...]:
    from tao_bench.sql.certify import FLAGS

    return tuple(flag for flag in FLAGS if flag in flags)


def _affinities(tables: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """Affinities of the columns that `build_sqlite` declares."""
    from tao.sql.readers.sqlite import affinity_of, declared_type

    return {
        table: {name: affinity_of(declared_type(kind)) for name, kind in columns.items()}
        for table, columns in tables.items()
    }


def _source_text(sql: str, sources: _Sources, clock: dt.datetime) -> str:
    """The text for the source engine: as published, but with the clock stopped where the engine cannot do that."""
    if sources.name != "postgres" or not asks_clock(sql):
        return sql
    import sqlglot

    from tao_bench.sql.port.clock import with_clock

    return str(with_clock(sqlglot.parse_one(sql, read="postgres"), clock, zoned=True).sql("postgres"))


def _evidence(asked: Mapping[str, str], sources: _Sources) -> dict[str, Evidence]:
    """What the source says of each text, on the published row order and on shuffled ones."""
    if not sources.name:
        return dict.fromkeys(asked, Evidence())
    replies: dict[str, list[Reply]] = {sql: [] for sql in asked}
    for order in (None, *range(SHUFFLES)):
        with sources.opened(order) as engine:
            for sql, text in asked.items():
                if order is None or not replies[sql][0].error:
                    replies[sql].append(engine.run(text))
    return {sql: Evidence(found[0], tuple(found[1:])) for sql, found in replies.items()}


@cache
def code_version() -> str:
    """Hash of the code that decides a certificate: a change of it makes every certificate owed again."""
    root = Path(__file__).resolve().parents[2]
    digest = hashlib.sha256()
    for folder in ("tao/sql", "tao_bench/sql"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in (".py", ".txt") and path.name not in ("port_report.py", "port_command.py"):
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@cache
def _file_hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _key(gold: PublishedGold, path: Path, read: str, options: Options) -> str:
    parts = (
        gold.sql,
        _file_hash(path),
        read,
        options.clock.isoformat(),
        options.server is not None,
        options.spark is not None,
    )
    return hashlib.sha256(f"{code_version()} {parts!r}".encode()).hexdigest()[:16]


def _stored(path: Path) -> dict[str, tuple[str, Certificate]]:
    """Certificates of earlier calls by gold id, with their keys; a torn last line is owed again."""
    found: dict[str, tuple[str, Certificate]] = {}
    if not path.is_file():
        return found
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        key = row.pop("key")
        row["flags"], row["rules"] = tuple(row["flags"]), tuple(row["rules"])
        found[row["id"]] = (key, Certificate(**row))
    if lines and not lines[-1].endswith("\n"):
        path.write_text("".join(line for line in lines if line.endswith("\n")), encoding="utf-8")
    return found


def _write_folder(
    out: Path, published: PublishedSet, certificates: Sequence[Certificate], dropped: Sequence[Drop]
) -> None:
    """Write the golds and the drops, whole or not at all."""
    questions = {gold.id: gold for gold in published.golds}
    golds = [
        {
            "id": item.id,
            "question": questions[item.id].question,
            "sql": item.sql,
            "database": f"instances/{item.database}.json",
            "status": item.status,
            "flags": list(item.flags),
            "clock": item.clock,
        }
        for item in certificates
        if item.sql
    ]
    for name, rows in (("golds", golds), ("dropped", [asdict(drop) for drop in dropped])):
        scratch = out / f"{name}.part"
        scratch.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        scratch.replace(out / f"{name}.jsonl")
