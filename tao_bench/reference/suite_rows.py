"""Rows of reference@2's pretraining: documents of the suite, each with its questions side by side.

A row has one fixed length. In it stand documents, and behind each its questions as branches: a question sees its
document and itself, not the questions before it, and its positions go on from the document's end. So every question is
read exactly as the task asks it, and the document is paid once (as `tao.training` packs the answers to one prompt).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

from tao_bench.reference.suite_world import SHARES, Document, documents
from tao_bench.reference.tokenizer import ASSISTANT, END, PAD, USER

if TYPE_CHECKING:
    import torch

LENGTH_TOK = 768
OPEN = 6
"""Rows filled at a time."""
LEAST_FIT = 3
"""Questions of a document that must fit a row, or all it has."""
QUESTION_WEIGHT, QUESTION_SHARE = 0.1, 0.25
"""Loss weight of question tokens, and the share of them that is scored: enough to keep copying alive."""
TYPICAL_ANSWER_TOK = 20
"""An answer token's weight is the root of this over the answer's length: short answers are the hard ones."""
TASKS = tuple(SHARES)


@dataclass(slots=True)
class Row:
    """A row being filled; all lists are equally long.

    Attributes:
        ids: Tokens.
        weights: Loss weight of each token as a target.
        owners: Document of each token, by number in the row; -1 for padding.
        branches: 0 for a document, else the number of the question.
        positions: Position of each token for the model.
        answers: Task of the answer a token belongs to, by number in `TASKS`; -1 for all other tokens.
    """

    ids: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    owners: list[int] = field(default_factory=list)
    branches: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    def put(self, ids: list[int], weights: list[float], branch: int, start: int, task: list[int]) -> None:
        """Append tokens of the row's last document."""
        self.ids += ids
        self.weights += weights
        self.owners += [self._last] * len(ids)
        self.branches += [branch] * len(ids)
        self.positions += range(start, start + len(ids))
        self.answers += task

    @property
    def _last(self) -> int:
        return self.documents - 1

    documents: int = 0

    def padded(self, pad: int, length: int) -> Row:
        """With padding up to a length."""
        gap = length - len(self.ids)
        for values, filler in (
            (self.ids, pad),
            (self.weights, 0.0),
            (self.owners, -1),
            (self.branches, 0),
            (self.positions, 0),
            (self.answers, -1),
        ):
            values.extend([filler] * gap)  # type: ignore[list-item]
        return self


@dataclass(frozen=True, slots=True)
class Pieces:
    """A document cut into tokens: what all questions share, and each question with its answer."""

    task: str
    shared: list[int]
    asked: list[tuple[list[int], list[int]]]


def cut(tokenizer: Any, made: Document) -> Pieces:
    """Tokens of a document: ``<|user|>document``, and for every question the rest of its turn and the answer's."""
    end, user, assistant = (tokenizer.convert_tokens_to_ids(token) for token in (END, USER, ASSISTANT))
    texts = [made.text]
    for one in made.asked:
        texts += [f"\n{one.question}", one.answer]
    found = tokenizer(texts, add_special_tokens=False)["input_ids"]
    asked = [([*q, end, assistant], [*a, end]) for q, a in zip(found[1::2], found[2::2], strict=True)]
    return Pieces(made.task, [user, *found[0]], asked)


def fit(row: Row, pieces: Pieces, length: int) -> int:
    """How many of a document's questions a row has room for."""
    room = length - len(row.ids) - len(pieces.shared)
    for number, (question, answer) in enumerate(pieces.asked):
        room -= len(question) + len(answer)
        if room < 0:
            return number
    return len(pieces.asked)


def add(rng: Random, row: Row, pieces: Pieces, count: int) -> None:
    """Put a document and its first `count` questions into a row."""
    row.documents += 1
    start = len(pieces.shared)
    row.put(pieces.shared, [0.0] * start, 0, 0, [-1] * start)
    for number, (question, answer) in enumerate(pieces.asked[:count], 1):
        scored = [QUESTION_WEIGHT * (rng.random() < QUESTION_SHARE) for _ in question[:-1]] + [0.0]
        weight = (TYPICAL_ANSWER_TOK / len(answer)) ** 0.5
        task = [-1] * len(question) + [TASKS.index(pieces.task)] * len(answer)
        row.put([*question, *answer], scored + [weight] * len(answer), number, start, task)


def rows(
    tokenizer: Any, seed: str, length: int = LENGTH_TOK, shares: Mapping[str, float] | None = None
) -> Iterator[Row]:
    """Endless filled rows; `shares` as in `documents`.

    A document too long for any row is left out, but counts toward its task's share: else a task of mostly long
    documents (invoices) would be drawn thousands of times before one fits.
    """
    pad = tokenizer.convert_tokens_to_ids(PAD)
    rng, spent = Random(f"rows:{seed}"), Counter[str]()
    waiting = [Row() for _ in range(OPEN)]
    for made in documents(seed, spent.__getitem__, shares):
        pieces = cut(tokenizer, made)
        wanted = min(LEAST_FIT, len(pieces.asked))
        if fit(Row(), pieces, length) < 1:
            spent[made.task] += len(pieces.shared)
            continue
        fullest = sorted(waiting, key=lambda row: -len(row.ids))
        row = next((one for one in fullest if fit(one, pieces, length) >= wanted), None)
        if row is None:
            done = fullest[0]
            waiting.remove(done)
            row = Row()
            waiting.append(row)
            if done.ids:
                yield done.padded(pad, length)
        before = len(row.ids)
        add(rng, row, pieces, max(1, fit(row, pieces, length)))
        spent[made.task] += len(row.ids) - before


@dataclass(frozen=True, slots=True)
class Batch:
    """Tensors of rows.

    Attributes:
        ids: (batch, length) int64.
        weights: (batch, length) float32.
        mask: (batch, 1, length, length) bool, what each token sees; None for plain causal rows.
        positions: (batch, length) int64, or None.
        answers: (batch, length) int64 as `Row.answers`, or None.
    """

    ids: torch.Tensor
    weights: torch.Tensor
    mask: torch.Tensor | None = None
    positions: torch.Tensor | None = None
    answers: torch.Tensor | None = None


def batch(filled: list[Row]) -> Batch:
    """Rows as tensors, with the mask that keeps branches apart."""
    import torch

    owner, branch = (torch.tensor([getattr(row, name) for row in filled]) for name in ("owners", "branches"))
    same = owner[:, :, None] == owner[:, None, :]
    branch_q, branch_k = branch[:, :, None], branch[:, None, :]
    seen = same & ((branch_k == 0) | (branch_q == branch_k))
    seen &= torch.ones(seen.shape[1:], dtype=torch.bool).tril()
    return Batch(
        torch.tensor([row.ids for row in filled]),
        torch.tensor([row.weights for row in filled]),
        seen[:, None],
        torch.tensor([row.positions for row in filled]),
        torch.tensor([row.answers for row in filled]),
    )
