"""`tao-bench check`: prove a task before it may be used.

Golds pass their verifier and other answers fail, fixtures hold, policies that know nothing stay under the declared
chance floor, prompts and targets fit the limits, splits do not overlap, no prompt holds its answer, a licence is named
and every label-free signal runs.
"""

from __future__ import annotations

import ast
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tao.errors import InputError
from tao.prompts import Message, Prompt
from tao_bench.fixtures import read_fixtures
from tao_bench.task import LABELLED_SPLITS, Item, Label, Split, TaskSpec, read_labels
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
MARKERS = ("correct", "Verdict: correct", "PASS", "[[A]]", "Score: 1.0", '{"score": 1.0}', "<answer>", "True")
"""What graders write themselves: an answer that brings them along must not be believed."""
PROBED = 40
"""Items on which a verifier is asked whether it accepts or rejects everything."""


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


def policies(
    train: Mapping[str, Label], spec: TaskSpec | None = None, markers: Sequence[str] = MARKERS
) -> dict[str, Callable[[Prompt], str]]:
    """Degenerate policies by name; each turns a prompt into a response without understanding it.

    Args:
        train: Labels of the training split: the commonest of its targets is a policy, a string of them another.
        spec: The task; answer forms have policies of their own.
        markers: What the grader writes or looks for itself.
    """
    common = [target for target, _ in Counter(label.target for label in train.values()).most_common(SPAM)]
    known: dict[str, Callable[[Prompt], str]] = {
        "empty": lambda prompt: "",
        "prompt echo": lambda prompt: prompt.messages[-1].content,
        "first context line": lambda prompt: prompt.context[0] if prompt.context else "",
        "SELECT 1": lambda prompt: "SELECT 1",
        "0": lambda prompt: "0",
        "refusal": lambda prompt: "I cannot answer this question.",
        "grader's own markers": lambda prompt: "\n".join(markers),
    }
    if common:
        known["commonest target"] = lambda prompt: common[0]
        known["answer spam"] = lambda prompt: "; ".join(common)
        known["answer spam in lines"] = lambda prompt: "\n".join(common)
    if spec is not None and spec.answer in ("json", "calls"):
        known["empty record"] = lambda prompt: "{}"
        known["empty list"] = lambda prompt: "[]"
    if spec is not None and spec.answer == "choice":
        choices = [str(choice) for choice in spec.answer_options.get("choices", ())]
        known["all choices"] = lambda prompt: ", ".join(choices)
        known["choice the prompt names most"] = lambda prompt: _most_named(prompt, choices)
    return known


def _most_named(prompt: Prompt, choices: Sequence[str]) -> str:
    """The choice that occurs most often in a prompt: right too often, and the prompt gives the label away."""
    text = " ".join(message.content for message in prompt.messages).casefold()
    counts = [len(re.findall(rf"(?<!\w){re.escape(choice.casefold())}(?!\w)", text)) for choice in choices]
    return choices[counts.index(max(counts))] if any(counts) else ""


def grader_markers(task: Task) -> tuple[str, ...]:
    """`MARKERS`, and every text that a task's own grading function holds."""
    from tao_bench.verify.custom import is_custom

    if not is_custom(task.spec.verifier):
        return MARKERS
    source = (task.folder / task.spec.verifier.partition(":")[0]).read_text(encoding="utf-8")
    nodes = ast.walk(ast.parse(source))
    own = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return (*MARKERS, *dict.fromkeys(own))


def check_tells_apart(verifier: Verifier, judged: Sequence[tuple[Item, Label]]) -> Finding:
    """A verifier neither accepts nor rejects everything: targets against other items' targets and nonsense."""
    probed = judged[:: max(1, -(-len(judged) // PROBED))]
    right, wrong = [], []
    for place, (item, label) in enumerate(probed):
        other = next((o.target for _, o in [*probed[place + 1 :], *probed[:place]] if o.target != label.target), "")
        right.append(verifier.grade(item.prompt, label.gold, label.target, "stop"))
        wrong += [verifier.grade(item.prompt, label.gold, text, "stop") for text in (other, "qwx zzv 0.731 jjk")]
    took = [sum(v.status is Status.CORRECT for v in found) for found in (right, wrong)]
    detail = f"takes {took[0]} of {len(right)} targets, {took[1]} of {len(wrong)} answers of others or nonsense"
    broken = next((v for v in [*right, *wrong] if v.status is Status.VERIFIER_ERROR), None)
    faults = {
        f"the verifier fails: {broken.reason}" if broken else "": "mend the verifier or the golds it cannot judge",
        "it accepts everything" if took[1] == len(wrong) else "": "make the verifier compare the answer with the gold",
        "it rejects everything" if not took[0] else "": "make the verifier accept the targets; see `golds pass`",
    }
    for fault, fix in faults.items():
        if fault and judged:
            return Finding("verifier tells apart", False, f"{fault}; {detail}", fix)
    return Finding("verifier tells apart", True, detail)


def check_policies(
    verifier: Verifier,
    items: Sequence[tuple[Item, Label]],
    known: Mapping[str, Callable[[Prompt], str]],
    floor: float,
) -> Iterator[Finding]:
    """No degenerate policy may score above the task's chance floor; its verdicts are counted."""
    for name, policy in known.items():
        verdicts = [verifier.grade(i.prompt, label.gold, policy(i.prompt), "stop") for i, label in items]
        passed = [
            item.prompt.id
            for (item, _), verdict in zip(items, verdicts, strict=True)
            if verdict.status is Status.CORRECT
        ]
        broken = sum(verdict.status is Status.VERIFIER_ERROR for verdict in verdicts)
        share = len(passed) / max(1, len(items))
        counts = Counter(verdict.status.value for verdict in verdicts)
        table = ", ".join(f"{status.value} {counts[status.value]}" for status in Status if counts[status.value])
        detail = f"{share:.1%} of {len(items)}, floor {floor:.1%} ({table})"
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


def check_near(prompts: Mapping[str, Sequence[Prompt]]) -> Finding:
    """No prompt of dev or test says nearly what one of another split says."""
    from tao_bench.check_data import NEAR, near_duplicates

    faults = [f"{one} is {alike:.0%} {other}" for one, other, alike in near_duplicates(prompts)]
    total = f"pairs of splits, from {NEAR:.0%} alike"
    fix = "put what belongs together into one cluster (`columns.cluster`), or drop one of each pair"
    return _finding("no near duplicates", faults, total, fix)


CLOSED_FORMS = ("yes_no", "choice", "unanswerable")
"""Forms of golds whose answer is one of few that the prompt itself names; the chance floor covers them."""


def check_answer_in_prompt(pairs: Sequence[tuple[Prompt, Label]], extractive: bool = False) -> Finding:
    """No target occurs verbatim in its own prompt, unless the prompt asks to choose among named answers.

    Args:
        pairs: Prompts with their labels.
        extractive: Whether the task declares that answers are copied out of the prompt.
    """
    faults, closed = [], 0
    for prompt, label in pairs:
        if isinstance(label.gold, Mapping) and label.gold.get("form") in CLOSED_FORMS:
            closed += 1
        elif label.target.strip() and label.target in "\n".join(m.content for m in prompt.messages):
            faults.append(prompt.id)
    if extractive:
        held = f"extractive: {len(faults)} of {len(pairs)} prompts hold theirs"
        return Finding("prompts do not hold answers", True, held)
    total = f"{len(pairs) - closed} prompts" + (f" ({closed} name the answers to choose from)" if closed else "")
    return _finding("prompts do not hold answers", faults, total, "take the answer out of the prompt")


def check_licence(spec: TaskSpec) -> Finding:
    """The task names the licence of its rows."""
    from tao_bench.check_data import licence_fault

    fault = licence_fault(spec)
    return Finding("licence", not fault, fault or spec.licence, fault and "name the licence of the rows in task.yaml")


def check_effect(spec: TaskSpec, items: Sequence[Item]) -> Finding:
    """The test split can show the effect that is wanted; where none is named, what it can show is told."""
    from tao_bench.check_data import smallest_effect

    least = smallest_effect(items)
    detail = f"{len(items)} test items show a difference of {100 * least:.0f} points (80 % power)"
    if spec.effect is None or least <= spec.effect:
        return Finding("enough items", True, detail)
    needed = round(len(items) * (least / spec.effect) ** 2)
    fix = f"about {needed} test items in as many clusters per item, or a larger `effect` in task.yaml"
    return Finding("enough items", False, f"{detail}, {100 * spec.effect:.0f} are wanted", fix)


def check_signals(task: Task, labels: Mapping[str, Label], known: Mapping[str, Callable[[Prompt], str]]) -> Finding:
    """Every label-free signal runs; its AUC against the verifier on dev is shown."""
    from tao_bench.check_signals import signal_report

    words, fault = signal_report(task, labels, known)
    fix = "mend the signal, or take it out of `signals` in task.yaml"
    return Finding("signals run", not fault, fault or words, fix if fault else "")


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
        verifier = make_verifier(task.spec, folder, task.folder)
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
    from tao_bench.check_forms import is_of_forms
    from tao_bench.check_mutants import describe, write_survivors

    if is_of_forms(task.spec):
        from tao_bench.check_forms import judge_forms as judge
    elif task.spec.answer == "sql":
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
    known = policies(labels["train"], task.spec, grader_markers(task))
    findings: list[Finding] = []
    verifier = task.verifier()
    try:
        for split, found in items.items():
            findings.extend(check_golds(verifier, split, thin(found, sample), labels[split]))
        judged = [(i, labels[s][i.prompt.id]) for s in ("dev", "test") for i in thin(items[s], sample)]
        findings.append(check_tells_apart(verifier, judged))
        findings.extend(check_policies(verifier, judged, known, task.spec.chance_floor))
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
    findings.append(check_near(prompts))
    if task.spec.answer != "choice":  # its labels are listed in the prompt; see the policy that names most
        every = {name: label for split in labels.values() for name, label in split.items()}
        pairs = [(prompt, every[prompt.id]) for prompt in everything if prompt.id in every]
        findings.append(check_answer_in_prompt(pairs, task.spec.extractive))
    findings.append(check_licence(task.spec))
    findings.append(check_effect(task.spec, items["test"]))
    findings.append(check_signals(task, labels["dev"], known))
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
        names: Tasks, or their folders; none means all that are found. One whose external data is not here is skipped
            with the reason.
        sample: Judge at most this many items of each split.
        extra: Further folders to look for tasks in.
        survivors: File for the mutants that the data of the one task named cannot tell from their gold.

    Raises:
        InputError: `survivors` without exactly one task.

    Returns:
        0 if everything is green, 1 otherwise.
    """
    from tao_bench.find import named_folders
    from tao_bench.registry import MissingData, load_task, task_dirs

    if survivors is not None and len(names) != 1:
        raise InputError("is for one task", f"--survivors {survivors}", "name one task")
    names, extra = named_folders(names, extra)
    green = True
    for name in names or sorted(task_dirs(extra)):
        try:
            task = load_task(name, extra)
            findings = check_task(task, sample, survivors)
        except MissingData as error:
            print(f"{name}: skipped, {error}")
            green = green and not names
            continue
        except InputError as error:
            print(f"{name}: RED\n{error}")
            green = False
            continue
        about = "; ".join(f"{key}: {value}" for key, value in task.about().items())
        title = f"{task.version_name} ({task.hash})" + (f"\n{about}" if about else "")
        green = print_findings(title, findings) and green
    return 0 if green else 1
