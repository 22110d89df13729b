"""`tao-bench check`: prove a task before it may be used.

Golds pass their verifier, fixtures hold, policies that know nothing stay under the declared chance
floor, prompts and targets fit the limits, splits do not overlap, and no prompt holds its answer.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tao.errors import InputError
from tao.prompts import Message, Prompt
from tao_bench.fixtures import read_fixtures
from tao_bench.task import LABELLED_SPLITS, Item, Label, Split, read_labels
from tao_bench.verify.verdict import Status, Verdict, Verifier

if TYPE_CHECKING:
    from tao_bench.registry import Task

SHOWN = 3
"""Faults named in a finding; the rest is counted."""
MUTATED = {"sql": 60}
MUTATED_ELSE = 400
"""Golds of a task whose mutants are judged, unless a sample says otherwise, by answer form: queries take their time."""
SPAM = 8
"""Targets strung together by the answer-spam policy."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Outcome of one check.

    Attributes:
        check: What was checked.
        ok: Whether it holds.
        detail: The figure behind it, and the first faults.
        fix: What mends it ('' where it holds).
    """

    check: str
    ok: bool
    detail: str
    fix: str = ""


def _finding(check: str, faults: Sequence[str], total: str, fix: str) -> Finding:
    """A finding from a list of faults; empty means green."""
    if not faults:
        return Finding(check, True, total)
    more = f" and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
    return Finding(check, False, f"{len(faults)} of {total}: {'; '.join(faults[:SHOWN])}{more}", fix)


def thin(items: Sequence[Item], sample: int | None) -> list[Item]:
    """At most `sample` items, evenly spaced, so that ordered levels are all met."""
    if sample is None or len(items) <= sample:
        return list(items)
    return [items[index * len(items) // sample] for index in range(sample)]


def check_golds(
    verifier: Verifier, split: Split, items: Sequence[Item], labels: Mapping[str, Label]
) -> Iterator[Finding]:
    """Every target, and every gold that is itself an answer, must be judged correct."""
    faults = []
    for item in items:
        label = labels[item.prompt.id]
        answers = {label.target}
        if isinstance(label.gold, Mapping) and isinstance(label.gold.get("sql"), str):
            answers.add(label.gold["sql"])
        for answer in sorted(answers):
            verdict = verifier.grade(item.prompt, label.gold, answer, "stop")
            if verdict.status is not Status.CORRECT:
                faults.append(f"{item.prompt.id} {_short(verdict)}")
    fix = f"mend labels/{split}.jsonl in the generator, or drop the item there"
    yield _finding(f"golds pass ({split})", faults, f"{len(items)} items", fix)


def _short(verdict: Verdict) -> str:
    return f"{verdict.status.value} ({verdict.reason})"


def policies(train: Mapping[str, Label]) -> dict[str, Callable[[Prompt], str]]:
    """Degenerate policies by name; each turns a prompt into a response without understanding it.

    Args:
        train: Labels of the training split: the commonest of its targets is a policy, a string of them another.
    """
    common = [target for target, _ in Counter(label.target for label in train.values()).most_common(SPAM)]
    known: dict[str, Callable[[Prompt], str]] = {
        "empty": lambda prompt: "",
        "prompt echo": lambda prompt: prompt.messages[-1].content,
        "first context line": lambda prompt: prompt.context[0] if prompt.context else "",
        "SELECT 1": lambda prompt: "SELECT 1",
        "0": lambda prompt: "0",
        "refusal": lambda prompt: "I cannot answer this question.",
    }
    if common:
        known["commonest target"] = lambda prompt: common[0]
        known["answer spam"] = lambda prompt: "; ".join(common)
        known["answer spam in lines"] = lambda prompt: "\n".join(common)
    return known


def check_policies(
    verifier: Verifier,
    items: Sequence[tuple[Item, Label]],
    train: Mapping[str, Label],
    floor: float,
) -> Iterator[Finding]:
    """No degenerate policy may score above the task's chance floor."""
    for name, policy in policies(train).items():
        verdicts = [verifier.grade(i.prompt, label.gold, policy(i.prompt), "stop") for i, label in items]
        passed = [
            item.prompt.id
            for (item, _), verdict in zip(items, verdicts, strict=True)
            if verdict.status is Status.CORRECT
        ]
        broken = sum(verdict.status is Status.VERIFIER_ERROR for verdict in verdicts)
        share = len(passed) / max(1, len(items))
        detail = f"{share:.1%} of {len(items)}, floor {floor:.1%}"
        if share > floor or broken:
            named = f"; passes {', '.join(passed[:SHOWN])}" if passed else ""
            lost = f"; {broken} verifier errors" if broken else ""
            fix = "make the verifier or the items tell it apart, or declare a higher chance_floor in task.yaml"
            yield Finding(f"policy: {name}", False, detail + named + lost, fix)
        else:
            yield Finding(f"policy: {name}", True, detail)


def estimated_tok(text: str) -> int:
    """Tokens of text where no tokenizer is at hand: digits and marks stand alone, letters take 0.43 each."""
    letters = sum(char.isalpha() for char in text)
    return round(0.43 * letters) + sum(not (char.isalpha() or char == " ") for char in text)


@dataclass(frozen=True, slots=True)
class Counting:
    """How tokens are counted: of chat messages, and of an answer with its end-of-text."""

    how: str
    prompt: Callable[[Sequence[Message]], int]
    answer: Callable[[str], int]


def counting() -> Counting:
    """The reference tokenizer with its chat template where the reference model is at hand, else an estimate."""
    from tao_bench.models import reference_path

    folder = reference_path()
    if not (folder / "tokenizer.json").is_file():
        return Counting(
            "estimated",
            lambda messages: sum(estimated_tok(m.content) + 2 for m in messages) + 1,
            lambda text: estimated_tok(text) + 1,
        )
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)

    def prompt(messages: Sequence[Message]) -> int:
        chat = [{"role": m.role, "content": m.content} for m in messages]
        text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        return len(tokenizer.encode(text, add_special_tokens=False))

    return Counting(
        "reference tokenizer", prompt, lambda text: len(tokenizer.encode(text, add_special_tokens=False)) + 1
    )


def check_lengths(
    count: Counting, prompts: Sequence[Prompt], targets: Mapping[str, str], max_prompt: int, max_new: int
) -> Iterator[Finding]:
    """Prompts and targets must fit the limits: what is cut could never be right."""
    lengths = {prompt.id: count.prompt(prompt.messages) for prompt in prompts}
    long = [f"{name} has {tok}" for name, tok in lengths.items() if tok > max_prompt]
    total = f"{len(lengths)} prompts, longest {max(lengths.values(), default=0)} of {max_prompt} tok ({count.how})"
    yield _finding("prompts fit", long, total, "raise limits.max_prompt_tok in task.yaml or shorten the prompts")
    answers = {name: count.answer(target) for name, target in targets.items()}
    long = [f"{name} has {tok}" for name, tok in answers.items() if tok > max_new]
    total = f"{len(answers)} targets, longest {max(answers.values(), default=0)} of {max_new} tok ({count.how})"
    yield _finding("targets fit", long, total, "raise limits.max_new_tok in task.yaml or shorten the targets")


def check_overlap(prompts: Mapping[str, Sequence[Prompt]]) -> Finding:
    """No prompt text stands in two splits (ids aside, case and white space folded)."""
    seen: dict[tuple[tuple[str, str], ...], str] = {}
    faults = []
    for split, found in prompts.items():
        for prompt in found:
            text = tuple((m.role, " ".join(m.content.split()).casefold()) for m in prompt.messages)
            other = seen.setdefault(text, f"{split} {prompt.id}")
            if not other.startswith(f"{split} "):
                faults.append(f"{split} {prompt.id} is {other}")
    total = f"{sum(map(len, prompts.values()))} prompts"
    return _finding("splits do not overlap", faults, total, "split by cluster in the generator, then drop repeats")


def check_answer_in_prompt(pairs: Sequence[tuple[Prompt, str]]) -> Finding:
    """No target occurs verbatim in its own prompt."""
    faults = [p.id for p, target in pairs if target.strip() and target in "\n".join(m.content for m in p.messages)]
    return _finding("prompts do not hold answers", faults, f"{len(pairs)} prompts", "take the answer out of the prompt")


def check_fixtures(task: Task) -> Finding:
    """Every fixture gets the verdict it names."""
    from tao_bench.registry import make_verifier

    path = task.folder / "fixtures.jsonl"
    with tempfile.TemporaryDirectory(prefix="tao-bench-check-") as scratch:
        folder = Path(scratch).resolve()
        try:
            cases = read_fixtures(path, folder)
        except InputError as error:
            return Finding("fixtures hold", False, str(error), f"mend {path}")
        verifier = make_verifier(task.spec, folder)
        faults = []
        try:
            for where, prompt, case in cases:
                verdict = verifier.grade(prompt, case["gold"], case["candidate"], case.get("finish_reason", "stop"))
                wanted = (case["status"], case.get("reason", verdict.reason))
                if (verdict.status.value, verdict.reason) != wanted:
                    faults.append(f"{Path(where).name}: {_short(verdict)}, not {' '.join(wanted)}; {case['why']}")
        finally:
            verifier.close()
    return _finding("fixtures hold", faults, f"{len(cases)} cases", f"mend the verifier, or the case in {path}")


def check_mutants(task: Task, judged: Sequence[tuple[Item, Label]], survivors: Path | None = None) -> Finding:
    """Answers with another meaning than the gold must fail wherever the data tells them apart."""
    from tao_bench.check_mutants import describe, write_survivors

    if task.spec.answer == "sql":
        from tao_bench.check_sql import judge_mutants as judge
    else:
        from tao_bench.check_answers import judge_answers as judge
    found = judge(task, judged)
    if survivors is not None:
        write_survivors(survivors, found)
    faults, words = describe(found)
    return _finding("mutants fail", faults, words, "mend the verifier: it takes an answer that means something else")


def check_task(task: Task, sample: int | None = None, survivors: Path | None = None) -> list[Finding]:
    """Run every check on a task.

    Args:
        task: The task, its data made.
        sample: Judge at most this many items of each split (None: all).
        survivors: File for the mutants that nobody could tell from their gold.
    """
    prompts: dict[str, list[Prompt]] = {"pool": task.pool()}
    items = {split: task.items(split) for split in LABELLED_SPLITS}
    prompts.update({split: [item.prompt for item in found] for split, found in items.items()})
    labels = {split: read_labels(task.data, split) for split in ("pool", *LABELLED_SPLITS)}
    findings: list[Finding] = []
    verifier = task.verifier()
    try:
        for split, found in items.items():
            findings.extend(check_golds(verifier, split, thin(found, sample), labels[split]))
        judged = [(i, labels[s][i.prompt.id]) for s in ("dev", "test") for i in thin(items[s], sample)]
        findings.extend(check_policies(verifier, judged, labels["train"], task.spec.chance_floor))
    finally:
        verifier.close()
    findings.append(check_fixtures(task))
    many = MUTATED.get(task.spec.answer, MUTATED_ELSE)
    few = [(item, labels["test"][item.prompt.id]) for item in thin(items["test"], sample or many)]
    findings.append(check_mutants(task, few, survivors))
    everything = [prompt for found in prompts.values() for prompt in found]
    targets = {name: label.target for split in labels.values() for name, label in split.items()}
    limits = task.spec.limits
    findings.extend(check_lengths(counting(), everything, targets, limits.max_prompt_tok, limits.max_new_tok))
    findings.append(check_overlap(prompts))
    findings.append(
        check_answer_in_prompt([(prompt, targets[prompt.id]) for prompt in everything if prompt.id in targets])
    )
    return findings


def print_findings(title: str, findings: Iterable[Finding]) -> bool:
    """Print a table of findings and, under it, what mends the red ones; return whether all are green."""
    from rich.console import Console
    from rich.table import Table

    found = list(findings)
    console = Console(soft_wrap=False)
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in ("", "check", "result"):
        table.add_column(column, overflow="fold")
    for finding in found:
        table.add_row("[green]ok[/]" if finding.ok else "[red]RED[/]", finding.check, finding.detail)
    console.print(table, markup=True)
    for finding in found:
        if not finding.ok:
            console.print(f"{finding.check}: {finding.fix}", style="red", markup=False, highlight=False)
    return all(finding.ok for finding in found)


def run_check(
    names: Sequence[str] = (), sample: int | None = None, extra: Sequence[Path] = (), survivors: Path | None = None
) -> int:
    """The command ``tao-bench check [TASK ...]``.

    Args:
        names: Tasks; none means all that are found. A task whose external data is not here is skipped with the reason.
        sample: Judge at most this many items of each split.
        extra: Further folders to look for tasks in.
        survivors: File for the mutants that the data of the one task named cannot tell from their gold.

    Raises:
        InputError: `survivors` without exactly one task.

    Returns:
        0 if everything is green, 1 otherwise.
    """
    from tao_bench.registry import MissingData, load_task, task_dirs

    if survivors is not None and len(names) != 1:
        raise InputError("is for one task", f"--survivors {survivors}", "name one task")
    green = True
    for name in names or sorted(task_dirs(extra)):
        try:
            task = load_task(name, extra)
        except MissingData as error:
            print(f"{name}: skipped, {error}")
            green = green and not names
            continue
        except InputError as error:
            print(f"{name}: RED\n{error}")
            green = False
            continue
        green = print_findings(f"{task.version_name} ({task.hash})", check_task(task, sample, survivors)) and green
    return 0 if green else 1
