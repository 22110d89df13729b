"""A task of ours as a config of EleutherAI's lm-eval that holds no label.

Documents hold an id and the prompt, scoring calls our verifier by id, so labels reach neither lm-eval's documents nor
its logs. The same frozen outputs get the same verdicts on both roads (a test and `tests/benchmarks/lm_eval_parity.py`).

lm-eval tells no finish reason. An answer is taken as truncated when its own text fills the token limit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any

from tao.errors import InputError
from tao.prompts import Prompt
from tao_bench.task import Label, Split, read_labels
from tao_bench.verify.verdict import Status, Verdict, Verifier

if TYPE_CHECKING:
    from tao_bench.registry import Task

METRIC = "correct"
CountTokens = Callable[[str], int]


def task_name(task: Task, split: Split) -> str:
    """The task as lm-eval lists it, e.g. ``tao_bench_warehouse_sql_1_test``."""
    variant = f"_{task.variant}" if task.variant else ""
    return f"tao_bench_{task.spec.name}{variant}_{task.spec.version}_{split}"


def documents(prompts: Sequence[Prompt], where: str) -> list[dict[str, str]]:
    """What lm-eval gets of the items: id, user message, and the system message where the task has one.

    Args:
        prompts: In the split's order.
        where: The task, for messages.

    Raises:
        InputError: A prompt is more than a system and a user message, which is all lm-eval can send of one document.
    """
    found = []
    for prompt in prompts:
        roles = [message.role for message in prompt.messages]
        if roles not in (["user"], ["system", "user"]):
            raise InputError(
                f"lm-eval sends one system and one user message, and this prompt has {', '.join(roles)}",
                f"{where} item {prompt.id}",
                "evaluate it with `tao-bench run`",
            )
        system = prompt.messages[0].content if len(roles) == 2 else ""
        found.append({"id": prompt.id, "prompt": prompt.messages[-1].content, "system": system})
    if any(document["system"] for document in found):
        return found
    return [{"id": document["id"], "prompt": document["prompt"]} for document in found]


def settings(task: Task, split: Split, *, system: bool) -> dict[str, Any]:
    """The plain part of the config: all but the functions. ``prompt``, ``id`` and ``system`` are document fields."""
    return {
        "task": task_name(task, split),
        "test_split": split,
        "output_type": "generate_until",
        **({"description": "system"} if system else {}),
        "doc_to_text": "prompt",
        "doc_to_target": "id",
        "generation_kwargs": {"until": [], "max_gen_toks": task.spec.limits.max_new_tok, "do_sample": False},
        "metric_list": [{"metric": METRIC, "aggregation": "mean", "higher_is_better": True}],
        "metadata": {"version": task.spec.version, "data": task.hash},
    }


def judge(
    verifier: Verifier,
    prompts: Mapping[str, Prompt],
    labels: Mapping[str, Label],
    name: str,
    response: str,
    *,
    most_tok: int,
    count_tok: CountTokens | None,
) -> Verdict:
    """Our verdict of a response that came without its finish reason."""
    full = count_tok is not None and count_tok(response) >= most_tok
    return verifier.grade(prompts[name], labels[name].gold, response, "length" if full else "stop")


def metrics_of(verdict: Verdict) -> dict[str, float]:
    """What lm-eval averages: nothing for an item that could not be judged, so that it is missing and not wrong."""
    return {} if verdict.status is Status.VERIFIER_ERROR else {METRIC: verdict.score}


def export_task(
    task: Task,
    split: Split,
    verifier: Verifier,
    *,
    limit: int | None = None,
    count_tok: CountTokens | None = None,
    record: MutableMapping[str, Verdict] | None = None,
) -> dict[str, Any]:
    """A task as a config that `lm_eval.simple_evaluate(tasks=[config])` takes.

    Args:
        task: The task.
        split: The labelled split to evaluate.
        verifier: Judges the responses; stays the caller's to close.
        limit: Only the first items.
        count_tok: Tokens of a response by the model's tokenizer; without it no response counts as truncated.
        record: Filled with item id to verdict.

    Returns:
        The config. Its metric ``correct`` is accuracy; a `verifier_error` is missing data and left out.

    Raises:
        InputError: See `documents`.
    """
    prompts = {item.prompt.id: item.prompt for item in task.items(split)[:limit]}
    rows = documents(list(prompts.values()), task.version_name)
    labels = read_labels(task.data, split)

    def dataset(**_: Any) -> dict[str, Any]:
        from datasets import Dataset

        return {split: Dataset.from_list(rows)}

    def score(document: dict[str, Any], responses: list[str]) -> dict[str, float]:
        name = document["id"]
        most_tok = task.spec.limits.max_new_tok
        verdict = judge(verifier, prompts, labels, name, responses[0], most_tok=most_tok, count_tok=count_tok)
        if record is not None:
            record[name] = verdict
        return metrics_of(verdict)

    plain = settings(task, split, system="system" in rows[0])
    return {**plain, "custom_dataset": dataset, "process_results": score}
