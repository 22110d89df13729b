"""The table of rates: what share of each published set came over, and why the rest did not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from tao_bench.sql.certify import CERTIFIED, FLAGS, UNCERTIFIED, WITHOUT_SPARK, Certificate
from tao_bench.sql.published import Drop

_LISTED = 12
_IDS = 8


def is_counted(certificate: Certificate) -> bool:
    """Whether a gold is in the denominator: it runs on its source engine and gives one result in any row order."""
    return not {"fails_on_source", "unstable"} & set(certificate.flags)


def rate(certificates: Sequence[Certificate]) -> tuple[int, int]:
    """Certified golds, and golds that are counted."""
    counted = [item for item in certificates if is_counted(item)]
    return sum(item.status != UNCERTIFIED for item in counted), len(counted)


def _share(part: tuple[int, int]) -> str:
    return f"{part[0]}/{part[1]} = {100 * part[0] / part[1]:.1f} %" if part[1] else "-"


def cause_of(reason: str) -> str:
    """A reason without what is special to one gold: names, numbers and places."""
    first = reason.split("; ", maxsplit=1)[0]
    first = re.sub(r"[`'\"][^`'\"]*[`'\"]", "X", first)
    first = re.sub(r"\b[\w.]*\d[\w.]*\b", "N", first)
    return re.sub(r"\s+", " ", first)[:100]


def summary(name: str, certificates: Sequence[Certificate]) -> str:
    """One line for the terminal."""
    halves = {half: rate([item for item in certificates if item.half == half]) for half in ("rules", "held_out")}
    both = _share(rate(certificates))
    return f"{name}: {both} certified; rules half {_share(halves['rules'])}, held-out {_share(halves['held_out'])}"


def render_report(
    sets: Mapping[str, Sequence[Certificate]], dropped: Mapping[str, Sequence[Drop]], clock: str, command: str
) -> str:
    """The report as Markdown: counts, ids and causes, and no text of a published set.

    Args:
        sets: Set to its certificates.
        dropped: Set to what was left out of it.
        clock: The instant that now meant.
        command: The command that made it.
    """
    everything = [item for items in sets.values() for item in items]
    with_spark = any(item.status == CERTIFIED for item in everything)
    spark = "with a real Spark (ANSI mode)" if with_spark else "without Spark: source engine and embedded engine only"
    lines = [
        "# Published text-to-SQL sets in the Databricks dialect",
        "",
        f"Made by `{command}`, {spark}. Now is {clock} UTC in golds and in scripts that load relative dates.",
        "",
        "A gold is *certified* if its port runs and gives what the source engine gives on every engine asked. "
        "Rates are over golds that run on their source engine and keep their result when the rows of all "
        "tables are shuffled (four orders). "
        "*rules* and *held out* are the two halves of the databases, by a hash of the name: rules were "
        "written looking at failures of the first.",
        "",
        "| set | source | golds | counted | certified | of these without Spark | rules half | held-out half |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, items in sets.items():
        halves = [rate([item for item in items if item.half == half]) for half in ("rules", "held_out")]
        source = next((item.source for item in items if item.source), "none")
        counted = rate(items)
        alone = sum(item.status == WITHOUT_SPARK for item in items if is_counted(item))
        cells = [name, source, str(len(items)), str(counted[1]), _share(counted), str(alone), *map(_share, halves)]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "## Quality of the golds themselves", "", f"| set | golds | {' | '.join(FLAGS)} | dropped |"]
    lines.append("|---" * (len(FLAGS) + 3) + "|")
    for name, items in sets.items():
        flags = Counter(flag for item in items for flag in item.flags)
        reasons = Counter(drop.reason.split(" ")[0].rstrip(":") for drop in dropped.get(name, ()))
        left = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items())) or "0"
        lines.append(f"| {name} | {len(items)} | {' | '.join(str(flags[flag]) for flag in FLAGS)} | {left} |")
    lines += ["", "## Rules at work", "", "| rule | golds changed |", "|---|---|"]
    used = Counter(rule for item in everything for rule in item.rules)
    lines += [f"| {rule} | {count} |" for rule, count in used.most_common()]
    lines += ["", "## Counted golds that are not certified"]
    for name, items in sets.items():
        lines += _failures(name, items)
    return "\n".join(lines) + "\n"


def _failures(name: str, items: Sequence[Certificate]) -> list[str]:
    groups: dict[str, list[str]] = {}
    for item in items:
        if item.status == UNCERTIFIED and is_counted(item):
            groups.setdefault(cause_of(item.reason), []).append(f"{item.database}/{item.id}")
    if not groups:
        return ["", f"### {name}", "", "None."]
    lines = ["", f"### {name}", "", "| cause | golds | which |", "|---|---|---|"]
    ranked = sorted(groups.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    for cause, ids in ranked[:_LISTED]:
        more = f" and {len(ids) - _IDS} more" if len(ids) > _IDS else ""
        lines.append(f"| {cause.replace('|', '/')} | {len(ids)} | {', '.join(ids[:_IDS])}{more} |")
    if len(ranked) > _LISTED:
        rest = sum(len(ids) for _, ids in ranked[_LISTED:])
        lines.append(f"| {len(ranked) - _LISTED} other causes | {rest} | see certificates.jsonl |")
    return lines
