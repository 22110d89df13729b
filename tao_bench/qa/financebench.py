"""FinanceBench's public sample as a task, in the five ways its authors gave context (arXiv 2311.11944).

The order of context and question is part of a variant's name: it alone moved one model from 37 to 118 of 150 right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tao.answers.number import parse_number
from tao.errors import InputError
from tao_bench.qa.pages import Page, find_filings, read_pages
from tao_bench.qa.retrieve import CHUNK_CHARS, OVERLAP_CHARS, Chunk, make_search, split_page
from tao_bench.qa.rows import Question, deal, find_files, one_text, read_rows, write_task
from tao_bench.task import Split

FILES = ("financebench_open_source.jsonl", "**/financebench_open_source.jsonl", "train.jsonl", "financebench*.jsonl")
MODES = ("closed_book", "oracle", "in_context", "single_store", "shared_store")
ORDERS = ("context_first", "question_first")
DEAL: tuple[Split, ...] = ("pool", "test", "train", "dev", "test", "test", "test", "test")
"""Companies in the order of a hash of their names go to these splits in turn: five of eight are for judging."""
ASK = "Answer this question about a company's SEC filing."
HOW = "Finish with one line that starts with 'Answer:' and holds the answer alone, in the unit the question asks for."
START, END = "[START OF FILING]", "[END OF FILING]"
SAMPLE = "evidence pages of the sample only (the filings are not at hand)"


@dataclass(frozen=True, slots=True)
class Options:
    """How prompts are made.

    Attributes:
        mode: One of `MODES`.
        order: One of `ORDERS`.
        k: Chunks shown in the store modes.
        retriever: ``bm25`` or an embedding model.
        budget_chars: Characters of a filing shown in mode in_context.
    """

    mode: str = "oracle"
    order: str = "context_first"
    k: int = 4
    retriever: str = "bm25"
    budget_chars: int = 380_000

    def __post_init__(self) -> None:
        for value, known in ((self.mode, MODES), (self.order, ORDERS)):
            if value not in known:
                raise InputError(f"unknown option {value!r}", "variant of financebench", f"one of {', '.join(known)}")
        if self.k < 1 or self.budget_chars < 1:
            raise InputError("k and budget_chars are at least 1", "variant of financebench")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as published."""

    id: str
    company: str
    kind: str
    question: str
    answer: str
    documents: tuple[str, ...]
    evidence: tuple[Page, ...]


def generate_financebench(out: Path, seed: int, source: Path, options: Mapping[str, Any]) -> None:
    """Write the task's data.

    Args:
        out: An empty folder.
        seed: Fixes the order of questions; the splits depend on companies' names alone.
        source: Folder of the published file and, for whole filings and stores, of the filings' pages.
        options: Fields of `Options`.

    Raises:
        InputError: No published file, a row that is not as published, or the filings' pages are needed and not there.
    """
    chosen = Options(**options)
    paths = find_files(source, FILES)
    if not paths:
        raise InputError("holds no financebench_open_source.jsonl", str(source), "put the sample there, as published")
    asked = read_sample(paths[0])
    splits = deal([one.company for one in asked], DEAL)
    show, pages = _context(asked, source, chosen)
    dealt: dict[Split, list[Question]] = {split: [] for split in ("pool", "train", "dev", "test")}
    for one in asked:
        dealt[splits[one.company]].append(_pose(one, show(one), chosen))
    write_task(out, dealt, seed, _about(chosen, pages))


def _about(options: Options, pages: str) -> dict[str, Any]:
    about: dict[str, Any] = {"mode": options.mode}
    if options.mode != "closed_book":
        about |= {"order": options.order.replace("_", " "), "pages": pages}
    if options.mode.endswith("_store"):
        about |= {
            "k": options.k,
            "retriever": options.retriever,
            "chunk": f"{CHUNK_CHARS} characters, {OVERLAP_CHARS} shared",
        }
    if options.mode == "in_context":
        about["budget"] = f"{options.budget_chars} characters"
    return about


def read_sample(path: Path) -> list[Asked]:
    """Questions of the published sample.

    Raises:
        InputError: A row lacks a field, or an id occurs twice; the line is named.
    """
    found: list[Asked] = []
    seen: set[str] = set()
    for where, row in read_rows(path):
        name = one_text(row, ("financebench_id",), where)
        if name in seen:
            raise InputError(f"{name} occurs twice", where)
        seen.add(name)
        document = one_text(row, ("doc_name",), where)
        evidence = row.get("evidence")
        if not isinstance(evidence, list):
            raise InputError("its evidence is no list", where)
        pages = dict.fromkeys(_page(one, document, f"{where}, evidence {n}") for n, one in enumerate(evidence))
        found.append(
            Asked(
                id=name,
                company=one_text(row, ("company",), where),
                kind=one_text(row, ("question_type",), where),
                question=one_text(row, ("question",), where),
                answer=one_text(row, ("answer",), where),
                documents=tuple(dict.fromkeys([document, *(page.document for page in pages)])),
                evidence=tuple(pages),
            )
        )
    return found


def _page(evidence: Any, document: str, where: str) -> Page:
    if not isinstance(evidence, dict):
        raise InputError("is not an object", where)
    text = evidence.get("evidence_text_full_page") or evidence.get("evidence_text")
    number = evidence.get("evidence_page_num")
    if not isinstance(text, str) or not text.strip() or not isinstance(number, int):
        raise InputError("needs evidence_text_full_page and evidence_page_num", where)
    name = evidence.get("doc_name") or evidence.get("evidence_doc_name") or document
    return Page(str(name), number, text.strip())


def answer_kind(answer: str) -> str:
    """``number`` where the answer is one number, optionally with $ or %, else ``text``."""
    number = parse_number(answer)
    return "number" if number is not None and number.scale == 1 else "text"


def _filings(asked: Sequence[Asked], source: Path, mode: str) -> dict[str, list[Page]]:
    """Pages of every filing that questions are about; none at all where no filing is at hand.

    Raises:
        InputError: Some filings are there and some are not: a store of both would favour those that are not.
    """
    documents = list(dict.fromkeys(document for one in asked for document in one.documents))
    paths = find_filings(source, documents)
    missing = [document for document in documents if document not in paths]
    if missing and (paths or mode == "in_context"):
        fix = "put DOC.pdf, DOC.txt (form feeds between pages) or DOC.jsonl for each below that folder, or pick oracle"
        shown = ", ".join(missing[:3]) + (" ..." if len(missing) > 3 else "")
        raise InputError(
            f"mode {mode} needs the filings' pages; {len(missing)} of {len(documents)} are missing: {shown}",
            str(source),
            fix,
        )
    return {document: read_pages(path) for document, path in sorted(paths.items())}


def _context(asked: Sequence[Asked], source: Path, options: Options) -> tuple[Callable[[Asked], tuple[str, ...]], str]:
    """What is shown of the filings for a question, as blocks, and where the pages come from."""
    if options.mode == "closed_book":
        return lambda one: (), ""
    if options.mode == "oracle":
        return lambda one: tuple(page.text for page in one.evidence), "gold evidence, whole pages"
    filings = _filings(asked, source, options.mode)
    if options.mode == "in_context":
        return lambda one: (_cut(filings, one.documents, options.budget_chars),), "whole filings"
    pages = filings or _sample_pages(asked)
    return _store(pages, options), "whole filings" if filings else SAMPLE


def _cut(filings: Mapping[str, Sequence[Page]], documents: Sequence[str], budget: int) -> str:
    """The filings of a question from their beginning, cut to a budget."""
    return "\n".join(page.text for document in documents for page in filings[document])[:budget]


def _sample_pages(asked: Sequence[Asked]) -> dict[str, list[Page]]:
    """Evidence pages of all questions by document: what there is to search without the filings."""
    pages = sorted({page for one in asked for page in one.evidence}, key=lambda p: (p.document, p.number, p.text))
    found: dict[str, list[Page]] = {}
    for page in pages:
        if all(page.number != other.number for other in found.setdefault(page.document, [])):
            found[page.document].append(page)
    return found


def _store(pages: Mapping[str, Sequence[Page]], options: Options) -> Callable[[Asked], tuple[str, ...]]:
    """Searches one store over all documents, or the store of the question's own documents."""
    chunks = {name: [chunk for page in found for chunk in split_page(page)] for name, found in pages.items()}
    stores: dict[tuple[str, ...], tuple[list[Chunk], Callable[[str, int], list[int]]]] = {}

    def show(one: Asked) -> tuple[str, ...]:
        names = tuple(chunks) if options.mode == "shared_store" else tuple(n for n in one.documents if n in chunks)
        if not names:
            raise InputError(f"no page of {', '.join(one.documents)} to search", one.id, "pick another variant")
        if names not in stores:
            held = [chunk for name in names for chunk in chunks[name]]
            stores[names] = held, make_search([chunk.text for chunk in held], options.retriever)
        held, search = stores[names]
        best = [held[place] for place in search(one.question, options.k)]
        return tuple(f"({chunk.document}, page {chunk.page + 1})\n{chunk.text}" for chunk in best)

    return show


def _pose(one: Asked, blocks: tuple[str, ...], options: Options) -> Question:
    """The user message: context before or after the question, as the variant says."""
    question = f"Question: {one.question}"
    context = "\n".join([START, *blocks, END])
    if not blocks:
        lines = [ASK, question]
    elif options.order == "context_first":
        lines = [ASK, context, question]
    else:
        lines = [ASK, question, context]
    return Question(
        id=one.id,
        text="\n".join([*lines, HOW]),
        cluster=one.company,
        level=one.kind,
        gold={"question": one.question, "answer": one.answer, "kind": answer_kind(one.answer)},
        target=one.answer,
        home=one.company,
        context=blocks if options.mode.endswith("_store") else (),
    )
