"""The verb `tao-bench port`."""

from __future__ import annotations

import argparse
import contextlib
import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

from tao.errors import InputError
from tao_bench.sql.port_report import render_report, summary
from tao_bench.sql.port_set import Options, Progress, port_set
from tao_bench.sql.published import LAYOUTS, Drop, PublishedSet, assemble, find_databases, read_set

CLOCK = "2025-06-18T12:00:00"


def run_port(options: argparse.Namespace) -> int:
    """Port the sets that were asked for and write the table of rates.

    Returns:
        0, whatever the rates: a gold that does not come over is a finding, not a failure.

    Raises:
        InputError: An unknown set, a missing folder, a clock or driver file that cannot be read.
    """
    how = _options(options)
    sets = list(_sets(options))
    found, dropped = {}, {}
    with _bars() as progress, contextlib.closing(how.spark) if how.spark else contextlib.nullcontext():
        for published in sets:
            folder = options.out / published.name
            found[published.name] = port_set(published, folder, how, progress)
            dropped[published.name] = _drops(folder / "dropped.jsonl")
    for name, certificates in found.items():
        print(summary(name, certificates))
    command = f"{shlex.join(['tao-bench', 'port', *options.sets])} --data DIR"
    command += " --postgres FILE" if how.server is not None else ""
    command += " --spark" if how.spark is not None else ""
    text = render_report(found, dropped, how.clock.isoformat(), command)
    report = options.report or options.out / "port.md"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(text, encoding="utf-8")
    print(f"report: {report}\nsets: {', '.join(str(options.out / name) for name in found)}")
    return 0


def _options(options: argparse.Namespace) -> Options:
    from tao.sql.engines.dbapi import read_driver
    from tao.sql.engines.spark import SparkEngine
    from tao_bench.sql.certify import pinned_instant

    try:
        clock = pinned_instant(options.clock)
    except ValueError as error:
        raise InputError(f"not a date and time ({error})", f"--clock {options.clock}", f"write {CLOCK}") from error
    server = None
    if options.postgres is not None:
        try:
            raw = json.loads(options.postgres.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"cannot be read ({error})", str(options.postgres)) from error
        server = read_driver(raw, str(options.postgres))
    spark = SparkEngine(options.spark_python) if options.spark or options.spark_python is not None else None
    return Options(clock, server, spark, tuple(options.database), options.limit)


def _sets(options: argparse.Namespace) -> Iterator[PublishedSet]:
    if options.questions:
        if options.databases is None:
            raise InputError("needs --databases DIR", "--questions", "name the folder of the SQLite files or scripts")
        databases = find_databases(options.databases, "**/*.sqlite") | find_databases(options.databases, "**/*.sql")
        name = options.sets[0] if options.sets else options.questions.stem
        yield assemble(name, options.read, [options.questions], databases)
        return
    if not options.sets:
        raise InputError("which set?", "tao-bench port", f"name one of {', '.join(LAYOUTS)}, or give --questions")
    if not options.data.is_dir():
        raise InputError("no such folder", f"--data {options.data}", "name the folder that holds the published sets")
    for name in list(LAYOUTS) if options.sets == ["all"] else options.sets:
        if name not in LAYOUTS:
            raise InputError(f"no set is called {name!r}", "tao-bench port", f"known: {', '.join(LAYOUTS)}, all")
        yield read_set(name, options.data)


def _drops(path: Path) -> list[Drop]:
    names = {item.name for item in fields(Drop)}
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [Drop(**{key: row[key] for key in names}) for row in rows]


@contextmanager
def _bars() -> Iterator[Progress]:
    """A bar a set on a terminal, a line a set elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        current: dict[str, Any] = {}

        def show(name: str, done: int, everything: int) -> None:
            if name not in current:
                current[name] = bars.add_task(name, total=everything)
                if not console.is_terminal:
                    console.print(f"{name}: {everything} golds")
            bars.update(current[name], completed=done, total=everything)

        yield show
