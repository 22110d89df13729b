"""Tables, plots and pages from stored rows.

`render` turns a folder of results into `report.md`, one self-contained `index.html`, figures (SVG, PNG)
and CSV files; `summary_text` gives the head-to-head tables for a terminal. Same results, same bytes.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tao_bench.report.examples import TextSource

__all__ = ["ReportPaths", "render", "summary_text"]


@dataclass(frozen=True)
class ReportPaths:
    """What `render` wrote.

    Attributes:
        markdown: `report.md`.
        html: `index.html`; needs no other file.
        figures: SVG and PNG files.
        tables: CSV files.
    """

    markdown: Path
    html: Path
    figures: tuple[Path, ...]
    tables: tuple[Path, ...]


def render(results_dir: Path, out_dir: Path, full: bool = False, texts: TextSource | None = None) -> ReportPaths:
    """Render a report.

    Args:
        results_dir: Folder of results as the runner exports it.
        out_dir: Where the report goes; made if missing, files of the same names are replaced.
        full: Also show questions and golds of tasks with external data; never commit such a report.
        texts: Where questions and golds come from; the installed tasks by default.

    Raises:
        InputError: The results are missing, malformed or not comparable.
    """
    from tao_bench.report import document, figures, flat, markdown, matrix_blocks, page
    from tao_bench.report.analysis import analyse
    from tao_bench.report.examples import examples, registry_texts
    from tao_bench.report.load import load
    from tao_bench.report.matrix import matrix
    from tao_bench.report.words import unit_of

    results = load(results_dir)
    reports = analyse(results)
    unit = unit_of(arm.flop for report in reports for arm in report.arms)
    out_dir.mkdir(parents=True, exist_ok=True)

    drawn: dict[str, str] = {}
    for report in reports:
        name = "curve-" + re.sub(r"[^a-z0-9]+", "-", report.task.lower()).strip("-")
        if figures.draw_task(report, out_dir, name, reports):
            drawn[report.task] = name
    stems = [*drawn.values(), *(["curves"] if figures.draw_all(reports, out_dir, "curves") else [])]

    several = matrix(reports)
    drawn_matrix = several is not None and matrix_blocks.draw(several, out_dir)
    stems += [matrix_blocks.NAME] if drawn_matrix else []

    folds = max(cell.folds for cell in results.cells)
    source = texts or functools.partial(registry_texts, folds=folds)
    found = {report.task: source(report.task, full) for report in reports}
    shown = {r.task: (examples(results, r, found[r.task]), found[r.task].withheld) for r in reports}
    blocks = matrix_blocks.blocks(several, drawn_matrix) if several is not None else ()
    made = document.build(results, reports, shown, drawn, unit, several=blocks)
    pictures = [*drawn.values(), *([matrix_blocks.NAME] if drawn_matrix else [])]
    svgs = {name: (out_dir / f"{name}.svg").read_text(encoding="utf-8") for name in pictures}
    (out_dir / "report.md").write_text(markdown.render(made), encoding="utf-8")
    (out_dir / "index.html").write_text(page.render(made, svgs), encoding="utf-8")
    return ReportPaths(
        markdown=out_dir / "report.md",
        html=out_dir / "index.html",
        figures=tuple(out_dir / f"{stem}.{kind}" for stem in stems for kind in ("svg", "png")),
        tables=flat.write_all(results, reports, out_dir, list(matrix_blocks.flat(several)) if several else []),
    )


def summary_text(results_dir: Path, width: int = 100) -> str:
    """The head-to-head tables and findings as plain text for a terminal.

    Raises:
        InputError: The results are missing, malformed or not comparable.
    """
    from tao_bench.report.analysis import analyse
    from tao_bench.report.load import load
    from tao_bench.report.matrix import matrix
    from tao_bench.report.matrix_blocks import sentences
    from tao_bench.report.terminal import summary

    reports = analyse(load(results_dir))
    several = matrix(reports)
    return summary(reports, width) + "".join(f"\n{line}\n" for line in (sentences(several) if several else ()))
