"""`tao-bench grade`: judge stored answers, whoever wrote them, without any model.

One command for every task: the verifier named in `task.yaml` judges. Nothing here knows an answer form
but `_reader`, which takes a query out of prose and ports it to the Databricks dialect where asked.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from tao.errors import InputError
from tao.prompts import Prompt
from tao_bench.task import LABELLED_SPLITS, Label, Split, read_labels
from tao_bench.verify.verdict import Status, Verdict, failed

if TYPE_CHECKING:
    from tao_bench.registry import Task

EVERY_SPLIT: tuple[Split, ...] = ("pool", *LABELLED_SPLITS)
"""Judging may open the pool's sealed labels: answers to a published set cover all of its questions."""
NAMED = 10
"""Dropped rows that are given with their reason; of the others the line is."""
_WHERE = re.compile(r"(?P<file>.*?):(?P<line>\d+): ")
WITH_POLICY = ("sql", "tatqa", "finqa")
"""Verifiers that can judge by the published rule instead of ours."""
MAX_ANSWER_CHARS = 1_000_000
"""A longer answer is not judged: no model's answer is a book, and no verifier promises to read one in time."""
_JSON_TYPES = {type(None): "null", bool: "true or false", list: "a list", dict: "an object"}
ANSWER_FIELDS = ("answer", "model_answer")
Reader = Callable[[Any, str], str]
"""(gold, answer as given) to the response that the verifier judges."""


class PortFailed(Exception):
    """An answer could not be carried over from its dialect, through a fault of the harness."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One row to judge: the item, the answer, and the row it came from."""

    id: str
    text: str
    row: dict[str, Any]
    where: str = ""
    """File and line."""


@dataclass(slots=True)
class Tally:
    """What a grading came to.

    Attributes:
        statuses: Rows by status.
        reasons: Rows by (status, reason).
        dropped: Why rows were not judged, each with file and line.
        seen: Items that got an answer.
        graded: Rows judged.
    """

    statuses: Counter[str] = field(default_factory=Counter)
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    dropped: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    graded: int = 0

    def add(self, answer: Answer, verdict: Verdict) -> None:
        """Count one verdict."""
        self.graded += 1
        self.seen.add(answer.id)
        self.statuses[verdict.status.value] += 1
        self.reasons[verdict.status.value, verdict.reason] += 1


def read_answers(path: Path, dropped: list[str], id_field: str = "id") -> Iterator[Answer]:
    """Answers of a JSONL file; rows that are none are noted in `dropped` with file, line and reason.

    Args:
        path: Rows with an id (``id``, or the task's own name for it) and ``answer`` (or ``model_answer``), a text or a
            number; other fields are kept.
        dropped: Filled with one line per row that cannot be judged.
        id_field: A second name under which the id is looked for.

    Raises:
        InputError: The file cannot be read at all.
    """
    try:
        handle = path.open("rb")
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", str(path), "name a JSONL file of answers") from error
    with handle:
        for number, raw in enumerate(handle, 1):
            if not raw.strip():
                continue
            where = f"{path}:{number}"
            try:
                row = json.loads(raw.decode("utf-8-sig" if number == 1 else "utf-8"))
            except UnicodeDecodeError:
                dropped.append(f"{where}: not UTF-8")
                continue
            except (ValueError, RecursionError):
                dropped.append(f"{where}: not JSON")
                continue
            problem = _problem(row, id_field)
            if problem:
                dropped.append(f"{where}: {problem}")
                continue
            name = "id" if "id" in row else id_field
            yield Answer(str(row[name]), _text(row[_answer_field(row)]), row, where)


def _answer_field(row: dict[str, Any]) -> str:
    return next((name for name in ANSWER_FIELDS if name in row), "")


def _text(answer: Any) -> str:
    """An answer as text; several spans, given as a list, as the JSON list that verifiers of spans read."""
    return json.dumps(answer, ensure_ascii=False) if isinstance(answer, list) else str(answer)


def _is_spans(answer: Any) -> bool:
    return isinstance(answer, list) and bool(answer) and all(type(part) in (str, int, float) for part in answer)


def _problem(row: Any, id_field: str) -> str:
    if not isinstance(row, dict):
        return "not a JSON object"
    if "id" not in row and id_field not in row:
        return "no id"
    if not isinstance(row.get("id", row.get(id_field)), str | int):
        return "the id is neither text nor a number"
    field = _answer_field(row)
    if not field:
        return "no answer"
    answer = row[field]
    if not (isinstance(answer, str | int | float) or _is_spans(answer)) or isinstance(answer, bool):
        return f"the answer is not text but {_JSON_TYPES[type(answer)]}"
    if len(_text(answer)) > MAX_ANSWER_CHARS:
        return f"the answer has {len(_text(answer)):,} characters, more than {MAX_ANSWER_CHARS:,}"
    return ""


def first_of_each(answers: Iterator[Answer], dropped: list[str]) -> Iterator[Answer]:
    """Leave out further answers to an item that has one, and note them in `dropped`: the first counts."""
    seen: dict[str, str] = {}
    for answer in answers:
        if answer.id in seen:
            dropped.append(f"{answer.where}: {answer.id} was answered before, at {seen[answer.id]}; the first counts")
            continue
        seen[answer.id] = answer.where
        yield answer


def _reader(task: Task, dialect: str) -> Reader:
    """How answers of the task's form are read; a dialect is for SQL only."""
    if task.spec.answer != "sql":
        if dialect:
            raise InputError(
                "only SQL answers have a dialect", f"--answers-dialect {dialect}", f"leave it out: {task.spec.name}"
            )
        return lambda gold, answer: answer
    from sqlglot.dialects.dialect import Dialect
    from sqlglot.errors import SqlglotError

    from tao.sql.extract import extract_query
    from tao_bench.task import suggest

    if not dialect:
        return lambda gold, answer: extract_query(answer)
    if dialect not in Dialect.classes:
        raise InputError(
            f"unknown SQL dialect {dialect!r}{suggest(dialect, set(Dialect.classes))}",
            "--answers-dialect",
            f"one of {', '.join(sorted(Dialect.classes))}",
        )
    from tao.sql.instance import read_instance
    from tao_bench.sql.port import Context, port_gold

    @cache
    def context(database: str) -> Context:
        return Context(dialect, read_instance(task.data / database).schema.columns)

    def ported(gold: Any, answer: str) -> str:
        query = extract_query(answer, dialect)
        database = gold.get("database") or gold["databases"][0]
        try:
            return port_gold(query, context(database)).sql
        except (SqlglotError, RecursionError):
            return query  # not SQL of that dialect: the gate says so in its own words
        except Exception as error:  # a porting rule broke on text that it was not made for: no evidence either way
            raise PortFailed(str(error)) from error

    return ported


def labelled_prompts(task: Task, splits: Sequence[Split] = LABELLED_SPLITS) -> dict[str, tuple[Prompt, Label]]:
    """Every item of the splits with its label, by id: what stored answers are judged against.

    Of the pool, whose labels are sealed from tuning but not from judging, only prompts that have one.
    """
    found: dict[str, tuple[Prompt, Label]] = {}
    for split in splits:
        if split == "pool" and not (task.data / "labels" / "pool.jsonl").is_file():
            continue
        labels = read_labels(task.data, split)
        prompts = task.pool() if split == "pool" else [item.prompt for item in task.items(split)]
        found.update({p.id: (p, labels[p.id]) for p in prompts if split != "pool" or p.id in labels})
    return found


def unlabelled(name: str, pool: Set[str], splits: Sequence[Split]) -> str:
    """Why an answer to an id without a label in these splits cannot be judged."""
    if name in pool:
        return f"{name} belongs to the pool and has no label here"
    return f"no item of {', '.join(splits)} has the id {name}"


def dropped_lines(dropped: Sequence[str], what: str) -> list[str]:
    """Every row that was left out: a count, the first `NAMED` with their reason, the lines of the others by file.

    Args:
        dropped: ``FILE:LINE: reason`` each.
        what: What became of them (``were not judged``).
    """
    if not dropped:
        return []
    rest: dict[str, list[int]] = {}
    for row in dropped[NAMED:]:
        if match := _WHERE.match(row):
            rest.setdefault(match["file"], []).append(int(match["line"]))
    lines = [f"{len(dropped)} rows {what}:", *(f"  {row}" for row in dropped[:NAMED])]
    return lines + [f"  also {file}: lines {_ranges(sorted(numbers))}" for file, numbers in rest.items()]


def _ranges(numbers: Sequence[int]) -> str:
    """Line numbers in short: ``3, 7-9``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def grade_answers(
    task: Task,
    answers: Iterator[Answer],
    out: TextIO | None,
    tally: Tally,
    *,
    splits: tuple[Split, ...] = EVERY_SPLIT,
    dialect: str = "",
    tick: Callable[[int], None] = lambda done: None,
) -> None:
    """Judge answers one by one, writing each row as soon as it is judged.

    Args:
        task: The task; its verifier judges.
        answers: What to judge. An id of no item is noted as dropped.
        out: Where rows go (the given row plus status, score, extracted, reason), or None.
        tally: Counts, filled on the way: complete up to the last row whatever stops the run.
        splits: Splits whose items may be answered.
        dialect: sqlglot dialect of SQL answers, '' for Databricks.
        tick: Called with the rows judged so far.
    """
    read = _reader(task, dialect)
    known = labelled_prompts(task, splits)
    pool = {prompt.id for prompt in task.pool()}
    verifier = task.verifier()
    try:
        for answer in answers:
            if answer.id not in known:
                tally.dropped.append(f"{answer.where}: {unlabelled(answer.id, pool, splits)}")
                continue
            prompt, label = known[answer.id]
            try:
                verdict = verifier.grade(prompt, label.gold, read(label.gold, answer.text), "stop")
            except PortFailed:
                verdict = failed(Status.VERIFIER_ERROR, answer.text, "port_failed")
            tally.add(answer, verdict)
            if out is not None:
                out.write(json.dumps(result_row(answer, verdict), ensure_ascii=False) + "\n")
            tick(tally.graded)
    finally:
        verifier.close()


def result_row(answer: Answer, verdict: Verdict) -> dict[str, Any]:
    """The row as given, with the verdict's fields in the place of any of the same name."""
    return {
        **answer.row,
        "status": verdict.status.value,
        "score": verdict.score,
        "extracted": verdict.extracted,
        "reason": verdict.reason,
    }


def summary(tally: Tally, items: int) -> str:
    """A few lines for the terminal: accuracy over what was judged, statuses with reasons, what was dropped."""
    judged = tally.graded - tally.statuses[Status.VERIFIER_ERROR.value]
    right = tally.statuses[Status.CORRECT.value]
    lines = [f"{tally.graded} answers judged, on {len(tally.seen)} of {items} items"]
    if judged:
        lines.append(f"accuracy {right / judged:.1%} ({right} of {judged}; verifier errors left out)")
    for status, count in tally.statuses.most_common():
        parts = [f"{n} {reason}" for (s, reason), n in tally.reasons.most_common() if s == status]
        lines.append(f"  {count:>6} {status}: {', '.join(parts)}")
    lines += dropped_lines(tally.dropped, "were not judged")
    return "\n".join(lines)


def run_grade(
    name: str, path: Path, out: Path | None, *, split: Split | None, dialect: str, policy: str, extra: list[Path]
) -> int:
    """The command ``tao-bench grade``: 0, or 1 if rows were dropped or nothing was judged."""
    from dataclasses import replace

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from tao_bench.registry import load_task

    task = load_task(name, extra)
    if policy and task.spec.verifier not in WITH_POLICY:
        what = f"verifier {task.spec.verifier} has one rule of comparison"
        raise InputError(what, f"--policy {policy}", f"leave it out: {name}")
    if policy:
        options = {**task.spec.verifier_options, "policy": policy}
        task = replace(task, spec=task.spec.model_copy(update={"verifier_options": options}))
    splits: tuple[Split, ...] = (split,) if split else EVERY_SPLIT
    if out is not None and out.resolve() == path.resolve():
        raise InputError("would overwrite the answers", f"--out {out}", "name another file")
    tally = Tally()
    answers = first_of_each(read_answers(path, tally.dropped, f"{task.spec.name}_id"), tally.dropped)
    rows = _count_lines(path)
    handle: TextIO | None = None
    try:
        handle = out.open("w", encoding="utf-8") if out is not None else None
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror})", str(out)) from error
    columns = (TextColumn("judging"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            shown = bar.add_task("judging", total=rows)
            grade_answers(
                task, answers, handle, tally, splits=splits, dialect=dialect,
                tick=lambda done: bar.update(shown, completed=done),
            )  # fmt: skip
    except OSError as error:
        raise InputError(
            f"cannot be written ({error.strerror})", str(out), f"{tally.graded} rows were judged"
        ) from error
    except KeyboardInterrupt:
        print(f"stopped after {tally.graded} rows" + (f", kept in {out}" if out else ""), file=sys.stderr)
        raise
    finally:
        if handle is not None:
            handle.close()
    print(summary(tally, len(labelled_prompts(task, splits))))
    if out is not None:
        print(f"rows: {out}")
    return 0 if tally.graded and not tally.dropped else 1


def _count_lines(path: Path) -> int:
    try:
        with path.open("rb") as handle:
            return sum(1 for line in handle if line.strip())
    except OSError:
        return 0  # the reader says why
