"""Put experiments' figures, tables and findings at the top of README.md, so that no figure there is typed by hand.

python -m tao_bench.readme scaling scaling_filings

The first experiment is shown with its head-to-head table, the others with their curves and findings.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tao.errors import InputError

BEGIN, END = "<!-- results: begin", "<!-- results: end -->"


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
    start, end = text.index(BEGIN), text.index(END)
    head = text[start : text.index("\n", start)]
    body = "\n\n".join(blocks)
    readme.write_text(f"{text[:start]}{head}\n{body}\n{text[end:]}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
