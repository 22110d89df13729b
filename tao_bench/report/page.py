"""The report as one self-contained HTML page: no script, no network, light and dark, readable on a phone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from tao_bench.report import figures
from tao_bench.report.blocks import Document
from tao_bench.report.markdown import shorten

_THEMED = {
    figures.INK: "var(--ink)",
    figures.MUTED: "var(--muted)",
    figures.GRID: "var(--grid)",
    figures.PAPER: "var(--card)",
    figures.BASE: "var(--base)",
    figures.MAJ: "var(--maj)",
    figures.SFT: "var(--sft)",
    figures.TAO: "var(--tao)",
    figures.OTHER[0]: "var(--other1)",
    figures.OTHER[1]: "var(--other2)",
    figures.OTHER[2]: "var(--other3)",
}


def render(document: Document, svgs: Mapping[str, str]) -> str:
    """The document as HTML.

    Args:
        document: The report.
        svgs: File stem of every picture to its SVG text.
    """
    import jinja2

    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["kind"] = lambda block: type(block).__name__
    environment.filters["shorten"] = lambda text: shorten(text, 2000)
    environment.filters["slug"] = lambda text: re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    environment.filters["code"] = _code
    environment.filters["tidy"] = lambda text: re.sub(r" (?=%)|(?<=\bp) |(?<=[<=>]) (?=\d)", "\u00a0", text)
    inline = {name: inline_svg(text) for name, text in svgs.items()}
    return environment.get_template("page.html.j2").render(document=document, svgs=inline) + "\n"


def inline_svg(text: str) -> str:
    """An SVG for a page: no prologue, ids of its own, colours from the page's theme, the page's font."""
    body = text[text.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.S)
    body = re.sub(r'<style type="text/css">.*?</style>', "", body, flags=re.S)
    body = re.sub(r'<svg ([^>]*?)width="[^"]*" height="[^"]*"', r"<svg \1", body, count=1, flags=re.S)
    body = re.sub(r'<svg ([^>]*?)height="[^"]*"([^>]*?)width="[^"]*"', r"<svg \1\2", body, count=1, flags=re.S)
    body = re.sub(r'<g id="[a-z]+_\d+">', "<g>", body)
    body = re.sub(r"'DejaVu Sans'(, [^;\"]*)?", "var(--font)", body)
    for colour, name in _THEMED.items():
        body = body.replace(colour, name)
    return body


def _code(text: str) -> str:
    """`code` in backticks as <code>; everything else escaped."""
    import markupsafe

    parts = str(markupsafe.escape(text)).split("`")
    out = "".join(f"<code>{part}</code>" if i % 2 else part for i, part in enumerate(parts))
    return markupsafe.Markup(out)
