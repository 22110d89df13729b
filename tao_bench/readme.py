"""Put an experiment's figure and head-to-head table at the top of README.md, so that no figure there is typed by hand.

python -m tao_bench.readme quickstart
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tao.errors import InputError

BEGIN, END = "<!-- results: begin", "<!-- results: end -->"


def results_block(report: str, experiment: str) -> str:
    """The part of a report that opens the README: its curves, its head-to-head tables and its findings.

    Args:
        report: Text of the experiment's ``report.md``.
        experiment: Its name.

    Raises:
        InputError: The report has no table of a task.
    """
    sections = re.split(r"^## ", report, flags=re.MULTILINE)
    tables = []
    for section in sections:
        name, _, rest = section.partition("\n")
        table = re.search(r"^\| Arm \|.*?(?=\n\n(?!<sub>))", rest, flags=re.MULTILINE | re.DOTALL)
        if re.fullmatch(r"\w+@\d+", name) and table:
            tables.append(f"**{name}**\n\n{table[0]}")
    if not tables:
        raise InputError("no task with a table", f"reports/{experiment}/report.md", f"tao-bench report {experiment}")
    findings = next((s.partition("\n")[2].strip() for s in sections if s.startswith("Findings\n")), "")
    body = "\n\n".join([*tables, findings])
    return (
        f"![Accuracy against tuning compute](reports/{experiment}/curves.png)\n\n{body}\n\n"
        f"Made by `tao-bench run {experiment}`; everything else, with what broke as well as what was mended, in "
        f"[reports/{experiment}/report.md](reports/{experiment}/report.md)."
    )


def main(arguments: list[str]) -> int:
    """Rewrite README.md between its markers."""
    if len(arguments) != 1:
        print("usage: python -m tao_bench.readme EXPERIMENT", file=sys.stderr)
        return 2
    experiment, readme = arguments[0], Path("README.md")
    try:
        report = Path("reports", experiment, "report.md").read_text(encoding="utf-8")
        text = readme.read_text(encoding="utf-8")
    except OSError as error:
        print(f"{error.filename}: {error.strerror}; run `tao-bench run {experiment}` first", file=sys.stderr)
        return 2
    start, end = text.index(BEGIN), text.index(END)
    head = text[start : text.index("\n", start)]
    block = results_block(report, experiment)
    readme.write_text(f"{text[:start]}{head}\n{block}\n{text[end:]}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
