"""Mutants of answers in words, labels, records and calls: answers with another meaning than the target must fail.

They are made from the target, so that they hold for any verifier, a task's own among them. Whether one means something
else is decided by the label-free interpreter of the answer form, not by the verifier: one that reads as the target does
is *indistinguishable here* and listed, any other must not pass.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tao.answers.choice import Choices
from tao.answers.number import parse_number
from tao.answers.record import RecordError, plain, read_json
from tao.meaning import Interpreter
from tao.prompts import Prompt
from tao_bench.check_mutants import Mutant
from tao_bench.task import Item, Label, TaskSpec
from tao_bench.verify.custom import is_custom

if TYPE_CHECKING:
    from tao_bench.registry import Task

FORMS = ("choice", "json", "calls", "text", "rubric")
"""Verifiers whose mutants are made here."""


def is_of_forms(spec: TaskSpec) -> bool:
    """Whether a task's mutants are made here: one of `FORMS`, or a grader of its own over such answers."""
    return spec.verifier in FORMS or (is_custom(spec.verifier) and spec.answer in FORMS)


def mutants(spec: TaskSpec, label: Label, others: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Kind and answer of every mutant of a label's target.

    Args:
        spec: The task.
        label: Gold and target.
        others: Targets of other items.
    """
    if spec.verifier == "rubric":
        yield from _without_rules(label)
    elif spec.answer == "choice":
        yield from _other_labels(spec.answer_options, label.target)
    elif spec.answer in ("json", "calls"):
        yield from _other_records(label.target)
    else:
        for other in [one for one in others if one != label.target][:2]:
            yield "answer of another item", other
        yield "turned round", f"not {label.target}"
        yield "several guesses", "; ".join(dict.fromkeys([*others[:2], label.target]))
        number = parse_number(label.target)
        if number is not None and number.value:
            yield "off by one", str(plain_number(number.value + 1))


def plain_number(value: Any) -> int | float:
    """A fraction as an integer where it is one."""
    return int(value) if value == int(value) else float(value)


def _other_labels(options: Mapping[str, Any], target: str) -> Iterator[tuple[str, str]]:
    choices = Choices(**options)
    try:
        right = choices.read(target)
    except ValueError:  # no label: `golds pass` says so
        return
    every = list(choices.labels.values())
    if not choices.several:
        for label in [one for one in every if one not in right][:4]:
            yield "another label", label
        yield "two labels", f"{target}, {next(one for one in every if one not in right)}"
        return
    for label in sorted(right) if len(right) > 1 else []:
        yield "a label too few", ", ".join(sorted(right - {label}))
    for label in [one for one in every if one not in right][:4]:
        yield "a label too many", ", ".join([*sorted(right), label])
    yield "all labels", ", ".join(every)


def _other_records(target: str) -> Iterator[tuple[str, str]]:
    try:
        value = plain(read_json(target))
    except RecordError:
        return
    for kind, changed in _changes(value):
        yield kind, json.dumps(changed, ensure_ascii=False)
    if isinstance(value, list) and len(value) > 1:
        yield "elements turned round", json.dumps(value[::-1], ensure_ascii=False)
        yield "an element left out", json.dumps(value[:-1], ensure_ascii=False)
    if isinstance(value, list) and value:
        yield "an element twice", json.dumps([*value, value[-1]], ensure_ascii=False)


def _changes(value: Any) -> Iterator[tuple[str, Any]]:
    """The value with one leaf changed, or one key of an object left out."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield "a field left out", {k: v for k, v in value.items() if k != key}
            for kind, changed in _changes(part):
                yield kind, {**value, key: changed}
    elif isinstance(value, list):
        for index, part in enumerate(value):
            for kind, changed in _changes(part):
                yield kind, [*value[:index], changed, *value[index + 1 :]]
    elif isinstance(value, bool):
        yield "a truth value turned round", not value
    elif isinstance(value, int | float):
        yield "another number", value + max(1, abs(value) // 10)
    elif isinstance(value, str):
        yield "another text", f"{value} x" if value else "x"
    else:
        yield "a value for null", 1


def _without_rules(label: Label) -> Iterator[tuple[str, str]]:
    """The target with what one rule asks for taken out, so that this rule cannot hold."""
    rules = label.gold if isinstance(label.gold, list) else []
    for rule in rules:
        if "must" in rule:
            left = re.sub(str(rule["must"]), " ", label.target, flags=re.IGNORECASE | re.DOTALL)
            if not re.search(str(rule["must"]), left, re.IGNORECASE | re.DOTALL):
                yield "what a rule asks for left out", left.strip() or "x"
        elif "number" in rule:
            yield "a number left out", re.sub(r"[\d.,]*\d", "", label.target).strip() or "x"
        elif "max_words" in rule:
            yield "too many words", f"{label.target} {'and more ' * int(rule['max_words'])}"


def judge_forms(task: Task, judged: Sequence[tuple[Item, Label]]) -> list[Mutant]:
    """Every mutant of the golds given, judged; those that pass say whether they read as the target does."""
    from tao_bench.verify.verdict import Status

    verifier, interpreter = task.verifier(), task.interpreter()
    targets = list(dict.fromkeys(label.target for _, label in judged))
    found = []
    try:
        for place, (item, label) in enumerate(judged):
            others = [*targets[place + 1 :], *targets[:place]][:4]
            for kind, answer in mutants(task.spec, label, others):
                verdict = verifier.grade(item.prompt, label.gold, answer, "stop")
                passed = verdict.status is Status.CORRECT
                same = _reads_alike(interpreter, item.prompt, label, answer) if passed else None
                found.append(Mutant(item.prompt.id, kind, answer, verdict.status.value, verdict.reason, same))
    finally:
        verifier.close()
        interpreter.close()
    return found


def _reads_alike(interpreter: Interpreter, prompt: Prompt, label: Label, answer: str) -> bool:
    """Whether an answer means what the target, or any accepted text of the gold, means."""
    accepted = [one for one in label.gold if isinstance(one, str)] if isinstance(label.gold, list) else []
    readings = interpreter.read(prompt, [answer, label.target, *accepted])
    return readings[0].key is not None and readings[0].key in [reading.key for reading in readings[1:]]
