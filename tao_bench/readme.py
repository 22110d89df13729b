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
    """The part of a report that opens the README: its lead, its curves and its head-to-head tables.

    Args:
        report: Text of the experiment's ``report.md``.
        experiment: Its name.

    Raises:
        InputError: The report has no head-to-head section.
    """
    sections = re.split(r"^(?=#{2,3} )", report, flags=re.MULTILINE)
    wanted = [
        s for s in sections if re.match(r"#{2,3} .*(head to head|head-to-head)", s.splitlines()[0], re.IGNORECASE)
    ]
    if not wanted:
        raise InputError(
            "has no head-to-head section", f"reports/{experiment}/report.md", f"tao-bench report {experiment}"
        )
    body = "\n".join(part.split("\n", 1)[1].strip() for part in wanted)
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
