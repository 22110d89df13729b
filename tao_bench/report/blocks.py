"""A report as data: sections of text, tables, pictures and examples, rendered to Markdown and HTML alike."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Value:
    """A table cell: the figure, and in smaller type what qualifies it (an interval)."""

    main: str
    sub: str = ""
    mark: str = ""
    """Footnote sign."""

    def plain(self) -> str:
        """One line of text."""
        return f"{self.main}{self.mark}" + (f" {self.sub}" if self.sub else "")


@dataclass(frozen=True)
class Table:
    """A table; the first column names the row, the others are right-aligned.

    Attributes:
        columns: Headings.
        rows: Cells; as many a row as there are columns.
        caption: What it shows, one sentence; ''.
        notes: Footnotes below it.
        strong: Indices of rows to stress.
        words: Its cells are words, not figures: left-aligned, wrapped.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]
    caption: str = ""
    notes: tuple[str, ...] = ()
    strong: frozenset[int] = frozenset()
    words: bool = False


@dataclass(frozen=True)
class Finding:
    """A hypothesis and what the data say about it."""

    question: str
    answer: str
    """Yes, No, Not shown, Absent, or a figure."""
    text: str


@dataclass(frozen=True)
class Findings:
    """The findings of one task."""

    task: str
    items: tuple[Finding, ...]


@dataclass(frozen=True)
class Text:
    """A paragraph; `code` in backticks."""

    text: str


@dataclass(frozen=True)
class Picture:
    """A figure by file stem: ``NAME.svg`` and ``NAME.png`` beside the report."""

    name: str
    alt: str
    caption: str


@dataclass(frozen=True)
class Example:
    """One item answered by two models.

    Attributes:
        kind: ``mended`` or ``broken``.
        item: Item id.
        level: Its level.
        question: End of the prompt; '' where the data may not be shown.
        prompt: The whole prompt; '' likewise.
        base: The base's answer.
        base_verdict: Its verdict.
        tuned: The tuned model's answer.
        tuned_verdict: Its verdict.
        gold: The expected answer; '' likewise.
    """

    kind: str
    item: str
    level: str
    question: str
    prompt: str
    base: str
    base_verdict: str
    tuned: str
    tuned_verdict: str
    gold: str


@dataclass(frozen=True)
class Examples:
    """Examples side by side, with the two models' names."""

    base_name: str
    tuned_name: str
    items: tuple[Example, ...]


Block = Text | Table | Picture | Examples | Findings


@dataclass(frozen=True)
class Section:
    """A titled part of the report; level 2 are its parts, level 3 parts of these."""

    title: str
    blocks: tuple[Block, ...]
    level: int = 2


@dataclass(frozen=True)
class Document:
    """The report."""

    title: str
    lead: str
    sections: tuple[Section, ...]
    foot: str
