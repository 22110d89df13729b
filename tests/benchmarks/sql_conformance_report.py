"""The report of `sql_conformance`: what agrees with Spark, what does not, and why."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from importlib.metadata import version

from tao.sql.dialect import functions
from tests.benchmarks.spark_oracle import own_questions
from tests.benchmarks.sql_findings import BAD, Finding, Result

TITLES = {
    "conformance": "own queries on functions and idioms",
    "foreign": "own queries in the idiom of other dialects, and slips",
    "examples": "Spark's documentation examples",
    "defog": "Defog's queries in six dialects",
}
HEADER = """\
Written by `python -m tests.benchmarks.sql_conformance compare --cache DIR --report`; Spark's answers come from
`python -m tests.benchmarks.sql_conformance ask --cache DIR` (Spark 4.3, ANSI mode, UTC). The project's own queries and
their answers are in tests/fixtures/sql, and tests/test_sql_conformance.py checks them without Java.
"""
NOTES = """\
Differences that are meant: those of the allow-list (tests/fixtures/sql/known_differences.txt), calls of what Databricks
documents and open-source Spark lacks (CHARINDEX, GETDATE, IFF), and a date minus a date, which the gate refuses on
purpose. `not emulated` is said by the gate or the engine itself: it is no evidence, and never scored as wrong.
"""
DATABRICKS_ONLY = frozenset(("charindex", "getdate", "iff"))
_CALL = re.compile(r"([A-Za-z_]\w*)\s*\(")


def analyst_functions() -> set[str]:
    """The functions that the project's own queries call: what an analyst uses."""
    called = {name.lower() for question in own_questions("conformance") for name in _CALL.findall(question.sql)}
    return called & set(functions())


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole} ({100 * part / whole:.1f} %)" if whole else "-"


def render(results: Sequence[Result], known: Mapping[str, tuple[Finding, str]]) -> str:
    """The report as Markdown.

    Args:
        results: Judged questions of every set.
        known: The allow-list: finding and reason by query text.
    """
    sets = {name: [r for r in results if r.question.source == name] for name in TITLES}
    sets = {name: found for name, found in sets.items() if found}
    lines = [
        "# The SQL emulator and the strict gate against Spark",
        "",
        *HEADER.splitlines(),
        f"Compared with DuckDB {version('duckdb')} and sqlglot {version('sqlglot')}.",
        "",
        *NOTES.splitlines(),
        "",
        "| set | n | " + " | ".join(str(finding).replace("_", " ") for finding in Finding) + " |",
        "|---|---|" + "---|" * len(Finding),
    ]
    for name, found in sets.items():
        counts = Counter(result.finding for result in found)
        cells = " | ".join(str(counts[finding]) for finding in Finding)
        lines.append(f"| {name}: {TITLES[name]} | {len(found)} | {cells} |")
    lines += ["", "## Headline", "", "| figure | " + " | ".join(sets) + " |", "|---|" + "---|" * len(sets)]
    counted = {name: Counter(result.finding for result in found) for name, found in sets.items()}
    unmeant = {
        name: Counter(result.finding for result in found if not _is_meant(result, known))
        for name, found in sets.items()
    }
    rejected = {name: c[Finding.BOTH_REJECT] + c[Finding.ACCEPTED] for name, c in counted.items()}
    runs = {name: c[Finding.EQUAL] + c[Finding.DIFFERENT] for name, c in counted.items()}
    wrongly = {
        name: c[Finding.EQUAL] + c[Finding.DIFFERENT] + c[Finding.REFUSED] + c[Finding.FAILED]
        for name, c in counted.items()
    }
    rows: dict[str, list[str]] = {}
    figures = {
        "accepted, of what Spark rejects": ((Finding.ACCEPTED,), rejected),
        "refused or failed, of what Spark runs": ((Finding.REFUSED, Finding.FAILED), wrongly),
        "other rows, of what both run": ((Finding.DIFFERENT,), runs),
    }
    for label, (findings, whole) in figures.items():
        for ending, counts in (("", counted), ("; without those that are meant", unmeant)):
            rows[label + ending] = [_share(sum(counts[name][f] for f in findings), whole[name]) for name in sets]
    lines += [f"| {label} | " + " | ".join(cells) + " |" for label, cells in rows.items()]
    analyst = analyst_functions()
    by_function: defaultdict[str, Counter[Finding]] = defaultdict(Counter)
    for result in sets.get("examples", []):
        by_function[result.question.group][result.finding] += 1
    used = {name: found for name, found in by_function.items() if name in analyst}
    if used:
        total = sum(used.values(), Counter())
        perfect = sum(set(c) <= {Finding.EQUAL, Finding.BOTH_REJECT, Finding.SKIPPED} for c in used.values())
        lines += [
            "",
            f"Of the {len(analyst)} functions that the own queries call, {len(used)} have documentation examples: "
            f"{perfect} functions agree in every one; over all their examples "
            + ", ".join(f"{finding} {total[finding]}" for finding in Finding if total[finding])
            + ".",
        ]
    lines += ["", "## What remains", ""]
    for name in ("conformance", "foreign"):
        rest = [result for result in sets.get(name, []) if result.finding in BAD]
        lines += [f"### {name} ({len(rest)})", "", "| finding | query | reason |", "|---|---|---|"]
        for result in rest:
            reason = known.get(result.question.sql, ("", "**not meant**"))[1]
            sql = result.question.sql.replace("|", "\\|")
            lines.append(f"| {result.finding} | `{sql}` | {reason} |")
        lines.append("")
    if "examples" in sets:
        lines += ["### examples, by function", "", "| finding | functions (examples) |", "|---|---|"]
        for finding in sorted((*BAD, Finding.NOT_EMULATED)):
            named = sorted((name, c[finding]) for name, c in by_function.items() if c[finding])
            lines.append(f"| {finding} | {', '.join(f'{name} ({n})' if n > 1 else name for name, n in named)} |")
        lines.append("")
    if "defog" in sets:
        lines += ["### defog, by dialect and number in the published file", ""]
        lines += ["| finding | why the emulator or Spark says no | queries |", "|---|---|---|"]
        groups: defaultdict[tuple[Finding, str], list[str]] = defaultdict(list)
        for result in sets["defog"]:
            if result.finding in BAD:
                groups[result.finding, _why(result)].append(result.question.name)
        for (finding, why), names in sorted(groups.items()):
            shown = ", ".join(sorted(names)[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
            lines.append(f"| {finding} | {why} | {len(names)}: {shown} |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _is_meant(result: Result, known: Mapping[str, tuple[Finding, str]]) -> bool:
    """Whether a difference is in the allow-list, or of a kind that is meant wherever it occurs."""
    if result.question.sql in known:
        return True
    if result.finding is Finding.ACCEPTED:
        return bool({name.lower() for name in _CALL.findall(result.question.sql)} & DATABRICKS_ONLY)
    return result.finding is Finding.REFUSED and " date_minus_date:" in result.emulator


def _why(result: Result) -> str:
    """The kind of disagreement, without any of the query's text."""
    if result.finding is Finding.ACCEPTED:
        return f"Spark: {result.spark}"
    if result.finding is Finding.REFUSED:
        return "gate: " + result.emulator.split(":", 1)[0]
    if result.finding is Finding.FAILED:
        return "engine: " + result.emulator.split(":", 1)[0]
    return "values"
