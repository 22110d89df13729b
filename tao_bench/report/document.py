"""The whole report as data, from checked results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tao_bench.report import tables
from tao_bench.report.analysis import TaskReport
from tao_bench.report.blocks import Block, Document, Examples, Findings, Picture, Section, Table, Text, Value
from tao_bench.report.load import Cell, Results
from tao_bench.report.words import findings


def build(
    results: Results,
    reports: Sequence[TaskReport],
    shown: Mapping[str, tuple[Examples | None, str]],
    figures: Mapping[str, str],
    unit: tuple[float, str],
    *,
    several: Sequence[Block] = (),
) -> Document:
    """Put the report together.

    Args:
        results: The checked results.
        reports: Their analysis.
        shown: Task to its examples (None without headline or base) and the reason why questions and golds
            are not shown ('' where they are).
        figures: Task to the file stem of its drawn figure; tasks without one are missing.
        unit: Unit of FLOPs.
        several: The matrix of tasks (`matrix_blocks`), where a model was tuned on several.
    """
    sections = [Section("Findings", tuple(Findings(r.task, tuple(findings(r, unit))) for r in reports))]
    for report in reports:
        sections.append(Section(report.task, _head(report, figures.get(report.task), unit)))
        if report.levels:
            sections.append(Section("By level", _maybe(tables.levels(report), "No levels."), 3))
        changed = tables.changes(report)
        if changed:
            sections.append(Section("What changed", (changed,), 3))
        sections.append(Section("Examples", _examples(*shown[report.task]), 3))
        sections.append(Section("Every seed", (tables.seeds(report),), 3))
    sections.insert(1, Section("Recovery and labels-equivalent", (tables.headline_figures(reports),)))
    if several:
        sections.insert(1, Section("Every arm on every task", tuple(several)))
    shared = "Arms with `tune_on` are tuned once: each of their tasks shows the tuning of the one model."
    notes = (Text(shared),) if several else ()
    sections.append(Section("Compute and time", (*notes, tables.compute(results, unit))))
    sections.append(Section("Provenance", (_provenance(results), Text(_how_to(results)))))
    return Document(
        title=f"{results.experiment}: {_contestants(results)}",
        lead=_lead(results, reports),
        sections=tuple(sections),
        foot="Made by tao-bench from stored rows; nothing here is typed by hand.",
    )


def _contestants(results: Results) -> str:
    """What was compared: ``base, SFT and TAO``, less what did not run."""
    arms = {cell.arm for cell in results.cells}
    *most, last = [name for arm, name in (("base", "base"), ("sft", "SFT"), ("tao", "TAO")) if arm in arms] or ["arms"]
    return f"{', '.join(most)} and {last}" if most else last


def _lead(results: Results, reports: Sequence[TaskReport]) -> str:
    parts = []
    for report in reports:
        missing = [
            name
            for name, there in (
                ("base", report.base),
                ("base with voting", report.maj),
                ("SFT", report.sft),
                ("TAO", report.headline),
            )
            if not there
        ]
        absent = f" (absent: {', '.join(missing)})" if missing else ""
        split = _split(results, report.task)
        parts.append(f"{report.task}, {report.n_items:,} {split}items in {report.n_clusters:,} clusters{absent}")
    rule = "The headline arm is the TAO arm with the most seeds, then the largest budget; the rule looks at no result."
    if any(cell.raw.get("headline") for cell in results.cells):
        rule = "The headline arm is the one that the experiment file names."
    drift = [f"{task} ({', '.join(found)})" for task, found in _drift(results).items() if found]
    apart = f" Not what was frozen: {'; '.join(drift)}; these results stand apart." if drift else ""
    return f"Tasks: {'; '.join(parts)}. {rule}{_folds(results)}{apart}"


def _folds(results: Results) -> str:
    """How a cross-validation is to be read; '' without one."""
    folds = max(cell.folds for cell in results.cells)
    if folds == 1:
        return ""
    chosen = any(cell.labels_dev for cell in results.cells)
    overlap = (
        " Options were chosen beforehand on the task's dev split, whose items may be among these." if chosen else ""
    )
    return (
        f" Cross-validated over {folds} folds of whole clusters: every item is answered once, by models tuned on the "
        f"other folds; tuning FLOPs are the mean of the {folds} models, times their sum.{overlap}"
    )


def _split(results: Results, task: str) -> str:
    """'test ' or 'dev ', as the cells say; '' where they do not."""
    found = {
        str(c.raw["eval"]["split"]) for c in results.cells if c.task == task and isinstance(c.raw.get("eval"), dict)
    }
    return f"{found.pop()} " if len(found) == 1 else ""


def _drift(results: Results) -> dict[str, list[str] | None]:
    """Task to what differs from the frozen versions; None where nothing was frozen or recorded."""
    return {cell.task: cell.raw.get("frozen_drift") for cell in results.cells}


def _head(report: TaskReport, figure: str | None, unit: tuple[float, str]) -> tuple[Block, ...]:
    blocks: list[Block] = []
    if figure:
        caption = (
            "Lines are means over seeds, bands 95 % intervals, small dots single seeds. Dashed: base, greedy and "
            "(where it was run) with voting at inference. Open circles: SFT, with its number of labels. "
            "Compute is that of tuning alone."
        )
        blocks.append(Picture(figure, f"Accuracy against tuning compute on {report.task}", caption))
    else:
        blocks.append(Text("No arm was tuned, so there is no curve."))
    blocks.append(tables.head_to_head(report, unit))
    blocks.extend(_maybe(tables.rivals(report), "There is nothing to compare TAO with besides base."))
    return tuple(blocks)


def _maybe(table: Table | None, otherwise: str) -> tuple[Block, ...]:
    return (table,) if table is not None else (Text(otherwise),)


def _examples(shown: Examples | None, withheld: str) -> tuple[Block, ...]:
    if shown is None:
        return (Text("Examples need base and a TAO arm."),)
    blocks: list[Block] = []
    if withheld:
        blocks.append(Text(f"Questions and expected answers are not shown: {withheld}."))
    if not shown.items:
        return (*blocks, Text("TAO and base are right on the same items."))
    return (*blocks, shown)


def _provenance(results: Results) -> Table:
    versions: dict[str, set[str]] = {}
    for cell in results.cells:
        for name, version in cell.versions.items():
            versions.setdefault(name, set()).add(str(version))
    frozen = {cell.task: _frozen(results, cell) for cell in results.cells}
    facts = [
        ("Experiment", results.experiment),
        ("Command", f"tao-bench run {results.experiment}"),
        ("Cells", f"{len(results.cells):,}"),
        ("Seeds", ", ".join(str(s) for s in sorted({cell.seed for cell in results.cells}))),
        ("Model", ", ".join(dict.fromkeys(str(c.raw["model"]) for c in results.cells if "model" in c.raw)) or "–"),
        *((f"Frozen, {task}", text) for task, text in frozen.items()),
        ("Versions", ", ".join(f"{n} {' or '.join(sorted(v))}" for n, v in sorted(versions.items())) or "not recorded"),
        ("Hardware", _hosts(results)),
    ]
    return Table(("Fact", "Value"), tuple((Value(name), Value(value)) for name, value in facts), words=True)


def _frozen(results: Results, cell: Cell) -> str:
    """Hashes of model, generator, splits and verifier, and whether they are those that were frozen."""
    parts = cell.raw.get("frozen")
    named = ", ".join(f"{k} {v}" for k, v in parts.items()) if isinstance(parts, dict) else ""
    drift = cell.raw.get("frozen_drift")
    if "frozen_drift" not in cell.raw:
        state = ""
    elif drift is None:
        state = "nothing was frozen"
    else:
        state = f"differs from what was frozen: {', '.join(drift)}" if drift else "as frozen"
    return "; ".join(text for text in (results.rows[cell.id][0].frozen, named, state) if text)


def _hosts(results: Results) -> str:
    hosts: dict[str, None] = {}
    for row in results.timing:
        host = row.get("host")
        if host:
            text = ", ".join(f"{k} {v}" for k, v in sorted(host.items())) if isinstance(host, dict) else str(host)
            hosts[text] = None
    return "; ".join(hosts) or "not recorded"


def _how_to(results: Results) -> str:
    name = results.experiment
    return (
        f"`python -m tao_bench.report results/{name} reports/{name}` makes this report again from the stored rows, "
        "to the same bytes with the same versions. The CSV files beside it hold every figure unrounded."
    )
