"""Samples of any origin, read as a stage of ours would have left them.

Three kinds of JSONL are known by their columns:

- ``samples.jsonl`` of `tao.sampling.explore`;
- a row an answer: ``{"prompt_id": "q1", "answer": "..."}`` (or ``text``), with a ``reward`` if it has one;
- a row a prompt: ``{"prompt": ..., "responses": [...], "rewards": [...]}``, what group-wise losses read;
  ``rewards`` may be left out, and ``prompt`` be text or chat messages.

A column beyond these is refused: an answer may come with a reward, never with what would have been right.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tao.errors import InputError
from tao.meaning import Outcome
from tao.prompts import Message, Prompt, Sample, read_jsonl
from tao.sampling.protocol import UNKNOWN_TOKEN
from tao.scoring.combine import Score

ROW = ("prompt_id", "answer", "text", "reward", "strategy", "finish_reason")
GROUP = ("prompt", "responses", "rewards", "prompt_id", "id")
SCORE = frozenset({"outcome", "key", "share", "reward", "advantage", "pseudo_label"})
_SCORE_FIELDS = tuple(Score.__dataclass_fields__)
STRATEGY = "given"
"""What made a sample of which nothing is said."""

Rewards = dict[str, list[float | None]]


@dataclass(slots=True)
class Given:
    """Samples and what belongs to them.

    Attributes:
        kind: ``stage``, ``rows`` or ``groups``.
        samples: Prompt id to its samples.
        rewards: Prompt id to a reward a sample, None where none is given; empty where the file holds no reward at all.
        prompts: Prompts that the file itself holds (``groups``), by id.
    """

    kind: str
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    rewards: Rewards = field(default_factory=dict)
    prompts: dict[str, Prompt] = field(default_factory=dict)

    def add(self, prompt_id: str, answer: str, reward: float | None, more: Mapping[str, str]) -> None:
        """One more sample of a prompt."""
        group = self.samples.setdefault(prompt_id, [])
        sample = Sample(
            prompt_id=prompt_id,
            strategy=more.get("strategy", STRATEGY),
            index=len(group),
            text=more.get("text", answer),
            answer=answer,
            token_ids=(UNKNOWN_TOKEN,),
            prompt_tok=0,
            finish_reason=more.get("finish_reason", "stop"),
        )
        group.append(sample)
        self.rewards.setdefault(prompt_id, []).append(reward)


def read_given(path: Path, pool: Sequence[Prompt] | None = None) -> Given:
    """Read samples of any of the kinds.

    Args:
        path: The JSONL file.
        pool: The prompts they answer; groups are matched with them by id or by what is asked.

    Raises:
        InputError: Missing file, a malformed row (named by its line), an unknown column, no samples.
    """
    given: Given | None = None
    own: list[Sample] = []
    by_request = {_request(prompt.messages): prompt.id for prompt in pool or ()}
    for where, row in read_jsonl_any(path):
        if not isinstance(row, dict):
            raise InputError("a row must be a JSON object", where)
        if given is None:
            given = Given(_kind(row, where))
        try:
            if given.kind == "stage":
                own.append(Sample(**{**row, "token_ids": tuple(row["token_ids"])}))
            elif given.kind == "rows":
                _row(given, row, where)
            else:
                _group(given, row, where, by_request)
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(f"malformed row ({error!r})", where, _FIX[given.kind]) from error
    if given is None:
        raise InputError("no samples in the file", str(path), "run 'tao explore', or give answers of your own")
    for sample in own:
        given.samples.setdefault(sample.prompt_id, []).append(sample)
    for group in given.samples.values():
        group.sort(key=lambda sample: sample.index)
    if not any(reward is not None for rewards in given.rewards.values() for reward in rewards):
        given.rewards.clear()
    return given


_FIX = {
    "stage": "run 'tao explore' again",
    "rows": 'write {"prompt_id": "q1", "answer": "...", "reward": 0.5}',
    "groups": 'write {"prompt": "...", "responses": ["...", "..."], "rewards": [1, 0]}',
}


def read_jsonl_any(path: Path) -> Iterable[tuple[str, Any]]:
    """As `tao.prompts.read_jsonl`, with bytes that are no text as an error of the same kind."""
    try:
        yield from read_jsonl(path)
    except UnicodeDecodeError as error:
        raise InputError("not UTF-8", str(path), "save it as UTF-8") from error


def _kind(row: Mapping[str, Any], where: str) -> str:
    columns = set(row)
    if "token_ids" in columns and "prompt_id" in columns:
        return "stage"
    if "responses" in columns:
        return "groups"
    if "prompt_id" in columns and columns & {"answer", "text"}:
        return "rows"
    raise InputError(
        f"no known kind of samples has these columns: {', '.join(sorted(columns)[:8])}",
        where,
        f"{_FIX['rows']}, or {_FIX['groups'].removeprefix('write ')}",
    )


def _refuse_others(row: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    other = sorted(set(row) - set(known))
    if other:
        raise InputError(
            f"unknown column {other[0]!r}: samples hold answers and rewards, never labels or extra columns",
            where,
            f"keep only {', '.join(known)}",
        )


def _row(given: Given, row: Mapping[str, Any], where: str) -> None:
    _refuse_others(row, ROW, where)
    text = row["text"] if "answer" not in row else row["answer"]
    more = {name: row[name] for name in ("text", "strategy", "finish_reason") if row.get(name) is not None}
    if not isinstance(text, str) or not all(isinstance(value, str) for value in more.values()):
        raise InputError("an answer must be text", where, _FIX["rows"])
    given.add(str(row["prompt_id"]), text, _reward(row.get("reward"), where), more)


def _group(given: Given, row: Mapping[str, Any], where: str, by_request: Mapping[str, str]) -> None:
    _refuse_others(row, GROUP, where)
    asked, responses = row["prompt"], row["responses"]
    turns = [{"role": "user", "content": asked}] if isinstance(asked, str) else asked
    messages = tuple(Message(str(turn["role"]), str(turn["content"])) for turn in turns)
    rewards = row.get("rewards")
    if not isinstance(responses, list) or not all(isinstance(text, str) for text in responses):
        raise InputError("responses must be a list of texts", where, _FIX["groups"])
    if rewards is not None and (not isinstance(rewards, list) or len(rewards) != len(responses)):
        count = len(rewards) if isinstance(rewards, list) else "no list of"
        raise InputError(f"{count} rewards for {len(responses)} responses", where, "give each response one, or null")
    request = _request(messages)
    name = row.get("prompt_id", row.get("id"))
    prompt_id = str(name) if name is not None else by_request.get(request, f"p-{request}")
    if prompt_id in given.samples:
        raise InputError(f"prompt {prompt_id!r} comes twice", where, "put its responses into one row")
    try:
        given.prompts[prompt_id] = Prompt(prompt_id, messages)
    except InputError as error:
        raise InputError(error.what, where, error.fix) from error
    given.samples[prompt_id] = []
    for text, reward in zip(responses, rewards or [None] * len(responses), strict=True):
        given.add(prompt_id, text, _reward(reward, where), {})


def _request(messages: Sequence[Message]) -> str:
    body = json.dumps([asdict(message) for message in messages], ensure_ascii=False)
    return hashlib.sha256(body.encode()).hexdigest()[:16]


def _reward(value: Any, where: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"a reward of {value!r}", where, "give a finite number, or null for none")
    return float(value)


def match(given: Given, pool: Sequence[Prompt] | None, where: str) -> list[Prompt]:
    """The prompts that have samples, in the pool's order; the file's own where there is no pool.

    Raises:
        InputError: Samples of a prompt that is not in the pool, or no prompts to be had.
    """
    if pool is None:
        if not given.prompts:
            raise InputError(
                "these samples name prompts without holding them", where, "add --prompts FILE, the pool they answer"
            )
        pool = list(given.prompts.values())
    found = [prompt for prompt in pool if given.samples.get(prompt.id)]
    strange = sorted(given.samples.keys() - {prompt.id for prompt in pool})
    if strange:
        raise InputError(
            f"samples of a prompt that is not in the pool: {strange[0]!r}"
            + (f" and {len(strange) - 1} more" if len(strange) > 1 else ""),
            where,
            "name the pool that was explored",
        )
    if not found:
        raise InputError("no samples in the file", where, "run 'tao explore', or give answers of your own")
    return found


def given_scores(
    samples: Mapping[str, Sequence[Sample]], rewards: Mapping[str, Sequence[float | None]]
) -> dict[str, list[Score]]:
    """Scores of rewards that something else gave.

    An advantage is the reward minus the mean of its prompt's rewards, as in `tao.scoring.combine`; the highest
    rewards of a prompt are what ``rft`` imitates. A prompt whose rewards are all equal has nothing to choose from and
    abstains.

    Args:
        samples: Prompt id to its samples.
        rewards: Prompt id to a reward a sample; None is no evidence, never a low reward.
    """
    scores: dict[str, list[Score]] = {}
    for prompt_id, group in samples.items():
        earned = list(rewards[prompt_id])
        usable = [
            reward
            for reward, sample in zip(earned, group, strict=True)
            if reward is not None and sample.answer is not None
        ]
        tells = len(set(usable)) > 1
        mean = sum(usable) / len(usable) if usable else 0.0
        scores[prompt_id] = [
            Score(
                outcome=Outcome.OK if reward is not None else Outcome.UNSCORED,
                key=None,
                share=0.0,
                reward=reward,
                advantage=reward - mean if tells and reward is not None and sample.answer is not None else None,
                pseudo_label=tells and reward is not None and sample.answer is not None and reward == max(usable),
            )
            for reward, sample in zip(earned, group, strict=True)
        ]
    return scores


def read_scores(path: Path, samples: Mapping[str, Sequence[Sample]]) -> dict[str, list[Score]]:
    """Scores of samples: ``scores.jsonl`` of ours, or ``{"prompt_id": ..., "index": ..., "reward": ...}`` of anybody's.

    Args:
        path: The JSONL file. Without ``index`` a prompt's rows stand in the order of its samples.
        samples: What is scored, each by one row.

    Raises:
        InputError: Missing file, a malformed row, a score without its sample or a sample without its score.
    """
    rows: dict[str, dict[int, Mapping[str, Any]]] = {}
    own: bool | None = None
    for where, row in read_jsonl_any(path):
        try:
            mine = SCORE.issubset(row)
            if own is not None and mine != own:
                raise InputError("rows of two kinds in one file", where, "score all samples the same way")
            own = mine
            _refuse_others(row, ("prompt_id", "index", *(_SCORE_FIELDS if own else ("reward",))), where)
            known = rows.setdefault(str(row["prompt_id"]), {})
            index = int(row.get("index", len(known)))
            if row["prompt_id"] not in samples or index not in {s.index for s in samples[row["prompt_id"]]}:
                raise InputError(f"no sample {index} of prompt {row['prompt_id']!r}", where, "score these samples")
            if index in known:
                raise InputError(f"sample {index} of prompt {row['prompt_id']!r} is scored twice", where)
            known[index] = {**row, "reward": _reward(row["reward"], where)}
            if own:
                Outcome(row["outcome"])
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            fix = 'write {"prompt_id": "q1", "index": 0, "reward": 0.5}'
            raise InputError(f"malformed score row ({error!r})", where, fix) from error
    for prompt_id, group in samples.items():
        for sample in group:
            if sample.index not in rows.get(prompt_id, {}):
                raise InputError(
                    f"sample {sample.index} of prompt {prompt_id!r} has no score", str(path), "null is a reward: none"
                )
    if not own:
        rewards = {i: [rows[i][s.index]["reward"] for s in group] for i, group in samples.items()}
        return given_scores(samples, rewards)
    return {i: [_score(rows[i][s.index]) for s in group] for i, group in samples.items()}


def _score(row: Mapping[str, Any]) -> Score:
    rest = {name: value for name, value in row.items() if name not in ("prompt_id", "index", "outcome")}
    return Score(outcome=Outcome(row["outcome"]), **rest)


def write_samples(path: Path, prompts: Sequence[Prompt], samples: Mapping[str, Sequence[Sample]]) -> None:
    """Write samples as a stage of ours leaves them; the same samples give the same bytes."""
    from tao.stage import write_atomic

    rows = [asdict(sample) for prompt in prompts for sample in samples[prompt.id]]
    write_atomic(path, "".join(json.dumps(row, sort_keys=True, ensure_ascii=False) + "\n" for row in rows))
