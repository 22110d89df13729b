"""Put experiments' figures, tables and findings at the top of README.md, so that no figure there is typed by hand.

python -m tao_bench.readme scaling scaling_filings

The first experiment is shown with its head-to-head table, the others with their curves and findings. The last column of
the table of experiments is written too: rows begin with the experiment's name, and what stands there comes from
``reports/<experiment>``.
"""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from tao.errors import InputError
from tao_bench.report.words import points

BEGIN, END = "<!-- results: begin", "<!-- results: end -->"
TABLE, TABLE_END = "<!-- experiments: begin", "<!-- experiments: end -->"


def results_block(report: str, experiment: str, *, table: bool = True) -> str:
    """The part of a report that opens the README: its curves, its head-to-head tables and its findings.

    Args:
        report: Text of the experiment's ``report.md``.
        experiment: Its name.
        table: Whether the head-to-head tables are shown.

    Raises:
        InputError: The report has no table of a task.
    """
    sections = re.split(r"^## ", report, flags=re.MULTILINE)
    tables = []
    for section in sections:
        name, _, rest = section.partition("\n")
        found = re.search(r"^\| Arm \|.*?(?=\n\n(?!<sub>))", rest, flags=re.MULTILINE | re.DOTALL)
        if re.fullmatch(r"\w+@\d+", name) and found:
            tables.append(f"**{name}**\n\n{found[0]}")
    if not tables:
        raise InputError("no task with a table", f"reports/{experiment}/report.md", f"tao-bench report {experiment}")
    findings = next((s.partition("\n")[2].strip() for s in sections if s.startswith("Findings\n")), "")
    body = "\n\n".join([*(tables if table else []), findings])
    return (
        f"![Accuracy against tuning compute](reports/{experiment}/curves.png)\n\n{body}\n\n"
        f"Made by `tao-bench run {experiment}`; everything else, with what broke as well as what was mended, in "
        f"[reports/{experiment}/report.md](reports/{experiment}/report.md)."
    )


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def headline_gains(name: str, root: Path) -> list[str]:
    """How far each task's headline arm lies from base, in points: ``warehouse_sql +2.2 [+0.2, +4.2]``.

    Where one model was tuned on several tasks, that model stands for all of them. Nothing for experiments on dev: no
    claim is made there.

    Raises:
        InputError: A report without its stored rows or tables.
    """
    folder, rows = root / "reports" / name, root / "results" / name / "cells.jsonl"
    for path in (rows, folder / "arms.csv", folder / "headline.csv"):
        if not path.is_file():
            raise InputError("is not there", str(path), f"tao-bench report {name}")
    with rows.open(encoding="utf-8") as cells:
        if json.loads(cells.readline())["eval"]["split"] != "test":
            return []
    arms = {(row["task"], row["label"]): row for row in _rows(folder / "arms.csv")}
    shown = _joint(folder, arms) or [(row["task"], row["headline"]) for row in _rows(folder / "headline.csv")]
    found = []
    for key in shown:
        if key in arms and arms[key]["vs_base"]:
            value, low, high = (points(float(arms[key][part])) for part in ("vs_base", "vs_base_low", "vs_base_high"))
            found.append(f"{key[0].partition('@')[0]} {value} [{low}, {high}]")
    return found


def _joint(folder: Path, arms: Mapping[tuple[str, str], Mapping[str, str]]) -> list[tuple[str, str]]:
    """Where models are tuned on several tasks: the tasks and the label-free arm that was tuned on most of them."""
    if not (folder / "matrix.csv").is_file():
        return []
    on: dict[str, list[tuple[str, str]]] = {}
    for row in _rows(folder / "matrix.csv"):
        key = (row["task"], row["label"])
        if row["tuned_on_it"] == "1" and key in arms and arms[key]["arm"] == "tao":
            on.setdefault(row["label"], []).append(key)
    most = max(on.values(), key=len, default=[])
    return most if len(most) > 1 else []


def published(name: str, root: Path) -> str:
    """The last cell of an experiment's row: its report and, where test was read, what its headline arm gained."""
    report, trace = Path("reports", name, "report.md"), Path("reports", "trace", name, "trace.md")
    links = [f"[{path.stem}]({path.as_posix()})" for path in (report, trace) if (root / path).is_file()]
    gains = headline_gains(name, root) if (root / report).is_file() else []
    return ", ".join(links) + (": " + ", ".join(gains) if gains else "") or "not yet"


def experiments_table(text: str, root: Path) -> str:
    """The table of experiments with its last column written anew.

    Raises:
        InputError: A row that does not begin with an experiment's name.
    """
    return "\n".join(_row(line, root) if line.startswith("| `") else line for line in text.splitlines())


def _row(line: str, root: Path) -> str:
    row = re.fullmatch(r"\| `(\w+)` \| (.*) \|[^|]*\|", line)
    if row is None:
        raise InputError("no row of three cells", line[:60], "write | `name` | what | |")
    return f"| `{row[1]}` | {row[2]} | {published(row[1], root)} |"


def main(arguments: list[str]) -> int:
    """Rewrite README.md between its markers."""
    if not arguments:
        print("usage: python -m tao_bench.readme EXPERIMENT [EXPERIMENT ...]", file=sys.stderr)
        return 2
    readme = Path("README.md")
    try:
        text = readme.read_text(encoding="utf-8")
        reports = [Path("reports", name, "report.md").read_text(encoding="utf-8") for name in arguments]
    except OSError as error:
        print(f"{error.filename}: {error.strerror}; run the experiment first", file=sys.stderr)
        return 2
    blocks = [
        results_block(report, name, table=not place)
        for place, (name, report) in enumerate(zip(arguments, reports, strict=True))
    ]
    text = _between(text, BEGIN, END, "\n\n".join(blocks))
    start = text.index("\n", text.index(TABLE)) + 1
    table = experiments_table(text[start : text.index(TABLE_END)], Path())
    readme.write_text(_between(text, TABLE, TABLE_END, table), encoding="utf-8")
    return 0


def _between(text: str, begin: str, end: str, body: str) -> str:
    start, stop = text.index(begin), text.index(end)
    return f"{text[: text.index(chr(10), start)]}\n{body}\n{text[stop:]}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
