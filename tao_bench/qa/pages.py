"""Filings as pages of text: from JSON lines, plain text or PDF in the folder that holds the questions."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tao.errors import InputError
from tao_bench.qa.rows import read_rows

SUFFIXES = (".jsonl", ".txt", ".pdf")


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a filing. `number` counts from 0, as FinanceBench's evidence does."""

    document: str
    number: int
    text: str


def find_filings(root: Path, documents: Sequence[str]) -> dict[str, Path]:
    """Document to file, for those whose pages are below a folder, at any depth.

    Of several files of one name, JSON lines come before text and text before PDF: text was extracted already.
    """
    wanted = set(documents)
    found: dict[str, Path] = {}
    for suffix in reversed(SUFFIXES):
        for path in sorted(root.rglob(f"*{suffix}")):
            if path.stem in wanted:
                found[path.stem] = path
    return found


def read_pages(path: Path) -> list[Page]:
    """Pages of a filing, empty ones left out.

    Args:
        path: ``DOC.jsonl`` (rows with ``text`` and, if pages are missing, ``page`` from 0), ``DOC.txt`` (form feeds
            between pages) or ``DOC.pdf``.

    Raises:
        InputError: It cannot be read, holds no text, or a PDF needs pypdf and that is not installed.
    """
    if path.suffix == ".jsonl":
        texts = _from_rows(path)
    elif path.suffix == ".txt":
        try:
            texts = dict(enumerate(path.read_text(encoding="utf-8").split("\f")))
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot be read ({error})", str(path)) from error
    else:
        texts = _from_pdf(path)
    pages = [Page(path.stem, number, text.strip()) for number, text in sorted(texts.items()) if text.strip()]
    if not pages:
        raise InputError("holds no text", str(path), "extract its text to DOC.txt, one form feed between pages")
    return pages


def _from_rows(path: Path) -> Mapping[int, str]:
    texts: dict[int, str] = {}
    for number, (where, row) in enumerate(read_rows(path)):
        page, text = row.get("page", number), row.get("text")
        if not isinstance(text, str) or not isinstance(page, int):
            raise InputError("a page needs text (and page, a number from 0)", where)
        if page in texts:
            raise InputError(f"page {page} occurs twice", where)
        texts[page] = text
    return texts


def _from_pdf(path: Path) -> Mapping[int, str]:
    try:
        import pypdf
    except ImportError as error:
        fix = "pip install 'tao-bench[retrieval]', or put DOC.txt beside it with a form feed between pages"
        raise InputError("is a PDF and pypdf is not installed", str(path), fix) from error
    logging.getLogger("pypdf").setLevel(logging.ERROR)  # it warns of every oddity that it mends
    try:
        return {number: page.extract_text() for number, page in enumerate(pypdf.PdfReader(path).pages)}
    except Exception as error:  # pypdf raises many kinds on broken files
        raise InputError(f"cannot be read as PDF ({str(error)[:80]})", str(path)) from error
