"""The report as Markdown that GitHub shows well."""

from __future__ import annotations

import re

from tao_bench.report.blocks import Block, Document, Example, Examples, Findings, Picture, Table, Text

MAX_ANSWER = 600


def render(document: Document) -> str:
    """The document as Markdown."""
    parts = [f"# {document.title}", document.lead]
    for section in document.sections:
        parts.append(f"{'#' * section.level} {section.title}")
        parts += [_block(block) for block in section.blocks]
    parts.append(document.foot)
    return "\n\n".join(parts) + "\n"


def _block(block: Block) -> str:
    match block:
        case Text(text):
            return text
        case Picture():
            return f"![{block.alt}]({block.name}.png)\n\n{block.caption}"
        case Findings():
            lines = [f"**{block.task}**", ""]
            lines += [f"- {f.question} **{f.answer}.** {_safe(f.text)}" for f in block.items]
            return "\n".join(lines)
        case Table():
            return _table(block)
        case Examples():
            return "\n\n".join(_example(block, example) for example in block.items)


def _table(table: Table) -> str:
    rows = [[_cell(c) for c in table.columns], ["---", *["---" if table.words else "---:"] * (len(table.columns) - 1)]]
    for i, row in enumerate(table.rows):
        cells = [_cell(value.plain()) for value in row]
        if i in table.strong:
            cells[0] = f"**{cells[0]}**"
        rows.append(cells)
    text = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    parts = [_safe(table.caption)] if table.caption else []
    return "\n\n".join([*parts, text, *(f"<sub>{_safe(note)}</sub>" for note in table.notes)])


def _safe(text: str) -> str:
    """Our own sentences with names from outside in them: nothing may start markup."""
    return re.sub(r"([\\*_<])", r"\\\1", text)


def _cell(text: str) -> str:
    return re.sub(r"([\\|*_<])", r"\\\1", text.replace("\n", " "))


def _example(block: Examples, example: Example) -> str:
    level = f", level {example.level}" if example.level else ""
    parts = [f"#### {example.kind.capitalize()}: `{example.item}`{level}"]
    if example.question:
        parts.append(_fence(example.question))
    parts.append(f"{_safe(block.base_name)} ({_safe(example.base_verdict)})")
    parts.append(_fence(example.base))
    parts.append(f"{_safe(block.tuned_name)} ({_safe(example.tuned_verdict)})")
    parts.append(_fence(example.tuned))
    if example.gold:
        parts += ["Expected", _fence(example.gold)]
    return "\n\n".join(parts)


def _fence(text: str) -> str:
    """A code block that no text inside can end."""
    shown = shorten(text)
    longest = max((len(run) for run in re.findall(r"`+", shown)), default=0)
    bar = "`" * max(3, longest + 1)
    return f"{bar}text\n{shown or '(empty)'}\n{bar}"


def shorten(text: str, limit: int = MAX_ANSWER) -> str:
    """Text of bearable length; says how much is left out."""
    clean = "".join(c if c in "\n\t" or c.isprintable() else "�" for c in text.strip())
    return clean if len(clean) <= limit else f"{clean[:limit]} … ({len(clean) - limit:,} characters more)"
