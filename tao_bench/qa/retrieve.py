"""Stores of text chunks: BM25 through `bm25s`, or embeddings of a model that the user names.

Chunks are those FinanceBench's authors used: at most 1,024 characters, 30 of them shared with the chunk before, never
across pages (arXiv 2311.11944, section on vector stores).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tao.errors import InputError
from tao_bench.qa.pages import Page

CHUNK_CHARS = 1024
OVERLAP_CHARS = 30
BM25 = "bm25"
BATCH = 32

Search = Callable[[str, int], list[int]]
"""(question, k) to the places of the k best texts, best first; ties go to the earlier text."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a page."""

    document: str
    page: int
    text: str


def split_page(page: Page, size: int = CHUNK_CHARS, overlap: int = OVERLAP_CHARS) -> list[Chunk]:
    """Chunks of a page, cut at white space where there is some in the last quarter of a chunk."""
    chunks: list[Chunk] = []
    text, start = page.text, 0
    while start < len(text):
        end = min(len(text), start + size)
        if end < len(text):
            space = max(text.rfind(" ", start + size * 3 // 4, end), text.rfind("\n", start + size * 3 // 4, end))
            end = space if space > start else end
        piece = text[start:end].strip()
        if piece:
            chunks.append(Chunk(page.document, page.number, piece))
        start = end if end == len(text) else max(end - overlap, start + 1)
    return chunks


def make_search(texts: Sequence[str], retriever: str) -> Search:
    """Index texts.

    Args:
        texts: What is searched; at least one.
        retriever: ``bm25``, or a model for `transformers.AutoModel` (hub id or folder) whose mean-pooled last hidden
            states are compared by cosine.

    Raises:
        InputError: The library or the model is not there.
    """
    return _bm25(texts) if retriever == BM25 else _embeddings(texts, retriever)


def _best(scores: Any, k: int) -> list[int]:
    """Places of the k highest scores; rounded, so that a library's order of summing does not break ties."""
    ranked = sorted(range(len(scores)), key=lambda place: (-round(float(scores[place]), 4), place))
    return ranked[:k]


def _bm25(texts: Sequence[str]) -> Search:
    try:
        import bm25s
    except ImportError as error:
        raise InputError("bm25s is not installed", "retriever bm25", "pip install 'tao-bench[retrieval]'") from error
    words = bm25s.tokenize(list(texts), stopwords="en", return_ids=False, show_progress=False)
    if not any(words):
        return lambda question, k: list(range(min(k, len(texts))))  # nothing but stop words to tell texts apart by
    index = bm25s.BM25()
    index.index(words, show_progress=False)

    def search(question: str, k: int) -> list[int]:
        asked = bm25s.tokenize([question], stopwords="en", return_ids=False, show_progress=False)[0]
        known = [word for word in asked if word in index.vocab_dict]
        return _best(index.get_scores(known), k) if known else list(range(min(k, len(texts))))

    return search


def _embeddings(texts: Sequence[str], model: str) -> Search:
    import torch
    from transformers import AutoModel, AutoTokenizer

    try:
        tokenizer, network = AutoTokenizer.from_pretrained(model), AutoModel.from_pretrained(model).eval()
    except (OSError, ValueError) as error:
        said = " ".join(str(error).split())[:160]
        fix = "name a folder or a hub id of an embedding model in TAO_BENCH_RETRIEVER, or bm25"
        raise InputError(f"cannot be loaded ({said})", f"retriever {model}", fix) from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    longest = min(getattr(network.config, "max_position_embeddings", 512), tokenizer.model_max_length)

    @torch.inference_mode()
    def embed(some: Sequence[str]) -> torch.Tensor:
        found = []
        for start in range(0, len(some), BATCH):
            batch = list(some[start : start + BATCH])
            tokens = tokenizer(batch, padding=True, truncation=True, max_length=longest, return_tensors="pt")
            states = network(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]).last_hidden_state
            mask = tokens["attention_mask"].unsqueeze(-1)
            found.append(torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1).clamp(min=1), dim=-1))
        return torch.cat(found)

    known = embed(texts)
    return lambda question, k: _best((known @ embed([question])[0]).tolist(), k)
