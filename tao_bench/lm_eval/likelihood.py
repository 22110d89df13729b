"""How a model answers a task borrowed from lm-eval: choices are weighed by log-likelihood, by lm-eval's model class.

A row of `answers.jsonl` has for its answer the JSON ``[[log-likelihood, is greedy], ...]``, a pair a choice. Prompts of
generating tasks are answered by our sampler; how long they are is known only to the model's tokenizer, so limits are
fitted to it here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tao.compute import Entry, Ledger, forward_flop
from tao.errors import InputError
from tao.prompts import Prompt
from tao.sampling.protocol import HoldsWeights, Sampler
from tao.stage import Stage, digest
from tao_bench.lm_eval.borrowed import NO_LIMIT, quiet
from tao_bench.task import Limits

CHUNK = 16
"""Items weighed between two rows written; fixed, so that a resumed run ends with the same bytes."""
STEP_TOK = 64


def fit_limits(limits: Limits, prompts: Sequence[Prompt], sampler: Sampler) -> Limits:
    """Limits of a borrowed task for the model that answers: as long as its longest prompt needs.

    Raises:
        InputError: The longest prompt and its answer are more than the model has positions.
    """
    if limits.max_prompt_tok < NO_LIMIT or not isinstance(sampler, HoldsWeights):
        return limits  # a task of our own; or a server, which has limits of its own
    longest = max(prompt_tok(prompts, sampler.folder))
    check_positions(longest, limits.max_new_tok, sampler.folder)
    fitted = min(-(-longest // STEP_TOK) * STEP_TOK, _positions(sampler.folder) - limits.max_new_tok)
    return limits.model_copy(update={"max_prompt_tok": max(fitted, longest)})


def prompt_tok(prompts: Sequence[Prompt], folder: Path) -> list[int]:
    """Tokens of prompts as the model is fed them, chat template included."""
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(str(folder))
    chats = [[{"role": m.role, "content": m.content} for m in prompt.messages] for prompt in prompts]
    return [len(ids) for ids in tokenizer.apply_chat_template(
        chats, tokenize=True, add_generation_prompt=True, return_dict=False
    )]  # fmt: skip


def check_positions(longest_tok: int, new_tok: int, folder: Path) -> None:
    """Refuse prompts that the model has no room for; lm-eval would cut off their beginning and say so in a log.

    Raises:
        InputError: They do not fit.
    """
    positions = _positions(folder)
    if longest_tok + new_tok > positions:
        raise InputError(
            f"its longest prompt has {longest_tok} tokens and an answer may take {new_tok}; "
            f"the model has {positions} positions",
            str(folder),
            "take a task with shorter prompts (a copy of its YAML with fewer examples: num_fewshot), or another model",
        )


def _positions(folder: Path) -> int:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return int(config.get("max_position_embeddings") or NO_LIMIT)


@dataclass(frozen=True, slots=True)
class _Weighed:
    pairs: list[tuple[float, bool]]
    context_tok: int
    continuation_tok: int
    flop: int


def answer_choices(
    sampler: Sampler,
    prompts: Sequence[Prompt],
    requests: Mapping[str, Mapping[str, Any]],
    *,
    folder: Path,
    ledger: Ledger,
    progress: Callable[[str, int, int], None],
) -> None:
    """Weigh every choice of every item into `answers.jsonl`, resumably.

    Nothing is drawn, so the majority of n answers is this answer too. The ledger is charged the forward passes of all
    choices, each with its prompt, without padding.

    Args:
        sampler: Holds the weights.
        prompts: The items, in order.
        requests: From `borrowed_requests`: ``choices`` is a list of (chat messages, continuation).
        folder: ``eval/<split>``.
        ledger: Charged once.
        progress: Called with a stage's name, done, in all.

    Raises:
        InputError: A server answers: it tells no log-likelihoods of given text.
    """
    if not isinstance(sampler, HoldsWeights):
        raise InputError("a task with choices needs log-likelihoods, which a served model does not tell", sampler.name,
                         "leave the task out for this arm (`tasks: [...]`)")  # fmt: skip
    stage = Stage(
        folder / "answers.jsonl",
        {
            "weights": sampler.weights_hash,
            "decode": "log-likelihood@1",
            "requests": digest([[prompt.digest(), requests[prompt.id]["choices"]] for prompt in prompts]),
        },
    )
    rows = stage.rows()
    if not stage.done:
        stage.keep(len(rows) - len(rows) % CHUNK if len(rows) < len(prompts) else len(rows))
        weigh = _Weigher(sampler)
        for start in range(len(stage.rows()), len(prompts), CHUNK):
            part = prompts[start : start + CHUNK]
            for prompt, weighed in zip(part, weigh([requests[p.id]["choices"] for p in part]), strict=True):
                stage.append([_row(prompt.id, weighed)])
            progress("evaluate", start + len(part), len(prompts))
        stage.finish()
    rows = stage.rows()
    flop = sum(row["flop"] for row in rows)
    read = sum(row["prompt_tok"] for row in rows)
    ledger.charge(
        Entry("evaluate", 0, f"{folder.name}/answers.jsonl", model_flop=flop, device_flop=flop, prompt_tok=read)
    )


def _row(name: str, weighed: _Weighed) -> dict[str, Any]:
    return {
        "item": name,
        "answer": json.dumps(weighed.pairs),
        "finish_reason": "stop",
        "prompt_tok": weighed.context_tok + weighed.continuation_tok,
        "completion_tok": 0,
        "flop": weighed.flop,
    }


class _Weigher:
    """lm-eval's model class over the sampler's weights: the checkpoint's precision, its default; softmax in float32."""

    def __init__(self, sampler: HoldsWeights) -> None:
        from tao_bench.lm_eval.evaluate import random_states_kept

        with random_states_kept(), quiet():
            import torch
            from lm_eval.models.huggingface import HFLM
            from transformers import AutoModelForCausalLM, AutoTokenizer

            tokenizer = AutoTokenizer.from_pretrained(str(sampler.folder))
            model = AutoModelForCausalLM.from_pretrained(str(sampler.folder), dtype="auto")
            model.to("cuda" if torch.cuda.is_available() else "cpu")
            self._lm: Any = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=CHUNK, softmax_dtype="float32")
        self._shape = sampler.shape

    def __call__(self, items: Sequence[Sequence[tuple[list[dict[str, str]], str]]]) -> list[_Weighed]:
        from lm_eval.api.instance import Instance

        from tao_bench.lm_eval.evaluate import random_states_kept

        texts = [[(self._text(messages), continuation) for messages, continuation in pairs] for pairs in items]
        flat = [pair for pairs in texts for pair in pairs]
        with random_states_kept(), quiet():
            asked = [Instance("loglikelihood", {}, pair, 0) for pair in flat]
            scores = iter(self._lm.loglikelihood(asked, disable_tqdm=True))
        found = []
        for pairs in texts:
            lengths = [self._lengths(*pair) for pair in pairs]
            shape = self._shape
            flop = sum(forward_flop(shape, c + k, k) for c, k in lengths) if shape else 0
            scored = [(float(score), bool(greedy)) for score, greedy in (next(scores) for _ in pairs)]
            found.append(_Weighed(scored, sum(c for c, _ in lengths), sum(k for _, k in lengths), flop))
        return found

    def _text(self, messages: list[dict[str, str]]) -> str:
        if not messages:
            return ""  # the choice by itself, for mutual information
        text: str = self._lm.apply_chat_template(messages, add_generation_prompt=messages[-1]["role"] == "user")
        return text

    def _lengths(self, context: str, continuation: str) -> tuple[int, int]:
        whole = len(self._lm.tok_encode(context + continuation))
        start = len(self._lm.tok_encode(context)) if context else 0
        return start, max(1, whole - start)
