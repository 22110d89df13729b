"""Rows of an offline round: a prompt once, all its different answers behind it.

Every answer of a group is scored under the same deployment prompt, so the prompt is run once and the
answers branch off it: each attends to the prompt and to itself, and its positions go on where the prompt
ended. The log-probabilities and gradients are those of separate sequences; the prompt's tokens, which
dominate, are paid once. Answers with equal token ids are one branch with a weight: also exact.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tao.errors import InputError
from tao.prompts import Prompt, Sample
from tao.scoring.score import ScoredRound
from tao.training.settings import Work, bucket
from tao.training.tokens import answer_ids, prompt_ids


@dataclass(frozen=True, slots=True)
class Branch:
    """One distinct answer: its token ids, its advantage, and how many samples gave it."""

    ids: tuple[int, ...]
    advantage: float
    count: int


@dataclass(frozen=True, slots=True)
class Pair:
    """A preferred and a rejected answer: their places among the row's branches, and by how much the one is better."""

    winner: int
    loser: int
    margin: float


@dataclass(frozen=True, slots=True)
class Row:
    """A deployment prompt and the answers trained on behind it; `pairs` for objectives that compare two answers."""

    prompt_id: str
    prompt: tuple[int, ...]
    branches: tuple[Branch, ...]
    pairs: tuple[Pair, ...] = ()

    @property
    def head_tok(self) -> int:
        """Answer tokens, each predicted once."""
        return sum(len(branch.ids) for branch in self.branches)

    @property
    def length(self) -> int:
        """Tokens fed: an answer's last token is predicted, never fed."""
        return len(self.prompt) + self.head_tok - len(self.branches)


def token_ids(sample: Sample, prompt: Prompt, tokenizer: Any, stop: Collection[int]) -> tuple[int, ...]:
    """A sample's answer in deployment form, as tokens behind the deployment prompt."""
    if sample.answer == sample.text:  # sampled in deployment form: the very tokens of the policy
        return sample.token_ids
    return tuple(answer_ids(tokenizer, prompt.messages, str(sample.answer), stop))


def _branches(
    prompt: Prompt, scored: ScoredRound, tokenizer: Any, stop: Collection[int], skipped: dict[str, int]
) -> list[Branch]:
    """Distinct answers in order of first appearance."""
    advantage: dict[tuple[int, ...], float] = {}
    count: dict[tuple[int, ...], int] = {}
    for sample, score in zip(scored.samples[prompt.id], scored.scores[prompt.id], strict=True):
        if score.advantage is None or sample.answer is None:
            why = "unscored" if score.reward is None else "no_answer" if sample.answer is None else "abstained"
            skipped[why] = skipped.get(why, 0) + 1
            continue
        ids = token_ids(sample, prompt, tokenizer, stop)
        advantage[ids] = advantage.get(ids, 0.0) + score.advantage
        count[ids] = count.get(ids, 0) + 1
    # Equal answers have equal advantages unless one was cut off and one was not; the mean is exact either way.
    return [Branch(ids, advantage[ids] / n, n) for ids, n in count.items() if ids]


def too_long(tokens: int, limit: int, prompt_id: str) -> InputError:
    """The error of a row that cannot be split any further."""
    what = f"prompt and answer take {tokens} tokens, more than max_row_tok={limit}"
    return InputError(what, f"prompt {prompt_id}", "raise max_row_tok or leave the prompt out")


def build_rows(
    scored: ScoredRound, tokenizer: Any, stop: Collection[int], max_row_tok: int
) -> tuple[list[Row], dict[str, int]]:
    """Pack a scored round into rows of at most `max_row_tok` tokens (a large group takes several).

    Returns:
        Rows in pool order, and how many samples were left out by reason (``abstained``, ``unscored``,
        ``no_answer``).

    Raises:
        InputError: A prompt with a single answer is longer than `max_row_tok`.
    """
    rows: list[Row] = []
    skipped: dict[str, int] = {}
    for prompt in scored.prompts:
        branches = _branches(prompt, scored, tokenizer, stop, skipped)
        if not branches:
            continue
        head = tuple(prompt_ids(tokenizer, prompt.messages))
        room = max_row_tok - len(head)
        pack: list[Branch] = []
        for branch in branches:
            need = len(branch.ids) - 1
            if need > room:
                raise too_long(len(head) + need, max_row_tok, prompt.id)
            if sum(len(b.ids) - 1 for b in pack) + need > room:
                rows.append(Row(prompt.id, head, tuple(pack)))
                pack = []
            pack.append(branch)
        rows.append(Row(prompt.id, head, tuple(pack)))
    return rows, skipped


def columns(row: Row) -> dict[str, Any]:
    """What `collator` reads of a row, as plain lists."""
    found: dict[str, Any] = {
        "prompt": list(row.prompt),
        "branches": [list(branch.ids) for branch in row.branches],
        "advantages": [branch.advantage for branch in row.branches],
        "weights": [float(branch.count) for branch in row.branches],
    }
    if row.pairs:
        found["winners"] = [pair.winner for pair in row.pairs]
        found["losers"] = [pair.loser for pair in row.pairs]
        found["margins"] = [pair.margin for pair in row.pairs]
    return found


def padded_work(rows: Sequence[Row], micro_rows: int, batch_size: int) -> Work:
    """Forward work of rows in this order as executed, padding included."""
    work = Work()
    for step in range(0, len(rows), batch_size):
        for at in range(step, min(step + batch_size, len(rows)), micro_rows):
            micro = rows[at : min(at + micro_rows, step + batch_size)]
            prompt_tok, branch_tok = shape(micro)
            work = work.plus(prompt_tok + branch_tok, branch_tok + 1, len(micro))
    return work


def row_work(rows: Iterable[Row]) -> Work:
    """Forward work of rows without padding."""
    work = Work()
    for row in rows:
        work = work.plus(row.length, row.head_tok)
    return work


def shape(rows: Sequence[Row]) -> tuple[int, int]:
    """Padded (prompt, branch) lengths of a micro-batch."""
    return bucket(max(len(row.prompt) for row in rows)), bucket(max(row.length - len(row.prompt) for row in rows))


def collator(pad: int) -> Callable[[list[dict[str, Any]]], dict[str, Any]]:
    """Collates rows (``prompt``, ``branches``, ``advantages``, ``weights``, ``reference``) of a micro-batch.

    Prompts are padded on the left and branches on the right, so that all prompts end at one column and
    the positions that reach the vocabulary are the last ones of every row.

    Returns:
        ``input_ids`` and ``position_ids`` (rows, length), ``attention_mask`` (rows, 1, length, length),
        and for the T answer tokens of the micro-batch: ``source_T`` (flat position in (rows, branch
        columns + 1) that predicts it), ``target_T``, ``answer_T`` (which of the A answers it belongs to),
        ``reference_T`` (round-start log-probability), ``advantage_A``, ``weight_A``; for the P pairs ``winner_P``
        and ``loser_P`` (which of the A answers) and ``margin_P``.
    """
    import torch

    def collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
        prompt_tok = bucket(max(len(row["prompt"]) for row in rows))
        branch_tok = bucket(max(sum(len(ids) - 1 for ids in row["branches"]) for row in rows))
        length = prompt_tok + branch_tok
        input_ids = torch.full((len(rows), length), pad)
        position_ids = torch.zeros((len(rows), length), dtype=torch.long)
        # A padded query must see something, or its softmax is not a number: itself.
        mask = torch.eye(length, dtype=torch.bool).repeat(len(rows), 1, 1)
        causal = torch.ones((length, length), dtype=torch.bool).tril()
        source: list[int] = []
        target: list[int] = []
        answer: list[int] = []
        winners: list[int] = []
        losers: list[int] = []
        answers = 0
        for at, row in enumerate(rows):
            winners += [answers + branch for branch in row.get("winners", [])]
            losers += [answers + branch for branch in row.get("losers", [])]
            size = len(row["prompt"])
            start = prompt_tok - size
            input_ids[at, start:prompt_tok] = torch.tensor(row["prompt"])
            position_ids[at, start:prompt_tok] = torch.arange(size)
            mask[at, start:prompt_tok, start:prompt_tok] = causal[:size, :size]
            column = prompt_tok
            for ids in row["branches"]:
                fed = len(ids) - 1
                end = column + fed
                if fed:
                    input_ids[at, column:end] = torch.tensor(ids[:-1])
                    position_ids[at, column:end] = torch.arange(size, size + fed)
                    mask[at, column:end, start:prompt_tok] = True
                    mask[at, column:end, column:end] = causal[:fed, :fed]
                # The kept positions of a row are its last branch_tok + 1; the first of them ends the prompt.
                first = at * (branch_tok + 1)
                source += [first, *range(first + column - prompt_tok + 1, first + end - prompt_tok + 1)]
                target += ids
                answer += [answers] * len(ids)
                answers += 1
                column = end
        return {
            "input_ids": input_ids,
            "position_ids": position_ids,
            "attention_mask": mask[:, None],
            "branch_tok": branch_tok,
            "source_T": torch.tensor(source),
            "target_T": torch.tensor(target),
            "answer_T": torch.tensor(answer),
            "reference_T": torch.tensor([value for row in rows for value in row.get("reference", [])]),
            "advantage_A": torch.tensor([value for row in rows for value in row.get("advantages", [])]),
            "weight_A": torch.tensor([value for row in rows for value in row.get("weights", [])]),
            "winner_P": torch.tensor(winners, dtype=torch.long),
            "loser_P": torch.tensor(losers, dtype=torch.long),
            "margin_P": torch.tensor([value for row in rows for value in row.get("margins", [])]),
        }

    return collate
