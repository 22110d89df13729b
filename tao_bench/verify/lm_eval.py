"""Verifier ``lm_eval@1``: lm-eval's own filters and metric on one item of one of its tasks.

Gold: ``{"doc": the document, "number": its place}``. A response to a generating task is cut at the task's stop strings
first, as lm-eval's model class does; one to a choosing task is JSON, ``[[log-likelihood, is greedy], ...]``.
"""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any

from tao.prompts import Prompt, read_jsonl
from tao_bench.verify.verdict import Status, Verdict, correct, failed

INVALID = "[invalid]"
"""What lm-eval's regular expression filters give where nothing matches."""
MOST_CHARS = 500


class LmEvalVerifier:
    """Judges by a task of lm-eval.

    Args:
        data: The task's data folder.
        task: Its name in lm-eval.
        source: The folder of its YAML.
        filter: The filter whose answer is judged; where another one finds the right answer the reason is ``format``.
        metric: Metric of an item that is 0 or 1.
    """

    name = "lm_eval"
    version = "1"

    def __init__(self, data: Path, task: str, source: str, filter: str, metric: str) -> None:
        self._data, self._name, self._source = data, task, Path(source)
        self._filter, self._metric = filter, metric

    def grade(self, prompt: Prompt, gold: Any, response: str, finish_reason: str) -> Verdict:
        """Judge one response (`tao_bench.verify.verdict.Verifier`)."""
        return self.judge(gold, response, finish_reason)

    def judge(self, gold: Any, response: str, finish_reason: str) -> Verdict:
        """`grade` without the prompt, which plays no part."""
        try:
            document, number = gold["doc"], gold["number"]
            return self._judge(document, number, response, finish_reason)
        except Exception as error:  # code of others: whatever it raises is missing data, never a wrong answer
            return failed(Status.VERIFIER_ERROR, "", f"{type(error).__name__}: {error}"[:200])

    def close(self) -> None:
        """Nothing to release."""

    @cached_property
    def _task(self) -> Any:
        """lm-eval's task over the documents stored here: no data set is loaded."""
        from datasets import Dataset

        from tao_bench.lm_eval.borrowed import SPLIT, Source, open_task, quiet

        rows = read_jsonl(self._data / "labels" / f"{SPLIT}.jsonl")
        first = next(row["gold"]["doc"] for _, row in rows)
        with quiet():
            return open_task(
                Source(self._name, self._source, {}),
                custom_dataset=lambda **_: {SPLIT: Dataset.from_list([first])},
                dataset_kwargs=None,
                process_docs=None,
                training_split=None,
                validation_split=None,
                test_split=SPLIT,
                fewshot_split=None,
                fewshot_config=None,
                num_fewshot=0,
            )

    @cached_property
    def _until(self) -> list[str]:
        from lm_eval.models.utils import normalize_gen_kwargs

        return [text for text in normalize_gen_kwargs(dict(self._task.config.generation_kwargs))["until"] if text]

    def _judge(self, document: Any, number: int, response: str, finish_reason: str) -> Verdict:
        from lm_eval.api.instance import Instance

        task, told = self._task, (self._name, number, 1)
        chooses = task.OUTPUT_TYPE == "multiple_choice"
        cut, pairs = response, []
        if chooses:
            pairs = json.loads(response)
            instances = [
                Instance("loglikelihood", document, ("", ""), at, told, resps=[(float(score), bool(greedy))])
                for at, (score, greedy) in enumerate(pairs)
            ]
        else:
            for stop in self._until:
                cut = cut.split(stop)[0]
            instances = [Instance("generate_until", document, ("", {}), 0, told, resps=[cut])]
        task._instances = instances
        task.apply_filters()
        scores = {name: self._score(document, instances, name) for name in instances[0].filtered_resps}
        score = scores[self._filter]
        if score not in (0.0, 1.0):
            return failed(Status.VERIFIER_ERROR, "", f"{self._metric} is {score}, not right or wrong")
        extracted = _choice(task, document, pairs) if chooses else str(instances[0].filtered_resps[self._filter])
        extracted = extracted[:MOST_CHARS]
        if score == 1.0:
            return correct(extracted, self._metric)
        if finish_reason == "length" and cut == response and not chooses:
            return failed(Status.TRUNCATED, "", "length")
        reason = "format" if 1.0 in scores.values() else self._metric
        if extracted == INVALID:
            return failed(Status.UNPARSABLE, "", reason if reason == "format" else "no_match")
        return failed(Status.WRONG, extracted, reason)

    def _score(self, document: Any, instances: list[Any], name: str) -> float | None:
        found = self._task.process_results(document, [instance.filtered_resps[name] for instance in instances])
        value = found.get(self._metric)
        return None if value is None else float(value)


def _choice(task: Any, document: Any, pairs: list[Any]) -> str:
    """The choice of the highest log-likelihood, for people to read."""
    best = max(range(len(pairs)), key=lambda at: pairs[at][0])
    choices = task.doc_to_choice(document)
    return str(choices[best]) if best < len(choices) else ""
