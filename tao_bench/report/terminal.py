"""The head-to-head for a terminal, as plain text."""

from __future__ import annotations

import io
from collections.abc import Sequence

from tao_bench.report import tables
from tao_bench.report.analysis import TaskReport
from tao_bench.report.load import REMOTE
from tao_bench.report.words import findings, flop_text, unit_of


def summary(reports: Sequence[TaskReport], width: int) -> str:
    """One table and the findings of every task."""
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.padding import Padding
    from rich.table import Table

    unit = unit_of(arm.flop for report in reports for arm in report.arms)
    console = Console(file=io.StringIO(), width=width, no_color=True, highlight=False, legacy_windows=False)
    for report in reports:
        table = tables.head_to_head(report, unit)
        shown = Table(title=report.task, title_justify="left", title_style="", box=box.SIMPLE_HEAD, pad_edge=False)
        shown.add_column("Arm")
        for name in ("Accuracy %", "vs base, points", "Labels", f"Tuning {unit[1]}", "Tokens"):
            shown.add_column(name, justify="right", no_wrap=True)
        for arm, row in zip(report.arms, table.rows, strict=True):
            first = arm.cells[0]
            shown.add_row(
                escape(arm.label),
                escape(row[2].plain()),
                escape(row[3].plain()),
                "–" if arm.arm == REMOTE else f"{first.labels_base + first.labels_arm:,}",
                "–" if arm.arm == REMOTE else flop_text(arm.flop, unit[0]),
                f"{arm.tok_mean:,.0f}{' ⚑' if arm.longer else ''}",
            )
        console.print(shown)
        for note in table.notes[1:]:
            console.print(Padding(escape(note), (0, 0, 0, 1)))
        for finding in findings(report, unit):
            console.print(Padding(f"{finding.question} {finding.answer}. {escape(finding.text)}", (0, 0, 0, 1)))
        console.print()
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n") + "\n"
