"""`python -m tao_bench.report RESULTS OUT [--full]`: render a report from stored rows."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tao.errors import InputError
from tao_bench.report import render, summary_text


def main(argv: Sequence[str] | None = None) -> int:
    """Render a report and print the head-to-head; 2 on bad input."""
    parser = argparse.ArgumentParser(prog="python -m tao_bench.report", description=__doc__)
    parser.add_argument("results", type=Path, help="folder of results, e.g. results/quickstart")
    parser.add_argument("out", type=Path, help="folder for the report, e.g. reports/quickstart")
    parser.add_argument("--full", action="store_true", help="show questions and golds of external data (local use)")
    options = parser.parse_args(argv)
    try:
        paths = render(options.results, options.out, full=options.full)
        print(summary_text(options.results))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"report: {paths.html}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
