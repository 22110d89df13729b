"""`tao-bench agreement`: how well a task's verifier agrees with people who judged the same answers.

Target: correct against not correct (wrong, refused, unparsable, truncated). Three classes: correct, incorrect,
refusal. Figures come for all golds, numeric and text ones apart, with and without the answers that people called
refusals, with and without items whose labels are disputed. Intervals are bootstrapped over questions, since answers to
one question are not independent; the generator is seeded, so that a report is the same every time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tao.errors import InputError
from tao.prompts import Prompt
from tao_bench.grade import EVERY_SPLIT, Answer, first_of_each, labelled_prompts, read_answers, result_row, unlabelled
from tao_bench.task import Label
from tao_bench.verify.verdict import Status, Verdict

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tao_bench.registry import Task

CLASSES = ("correct", "incorrect", "refusal")
RESAMPLES = 2000
SEED = 20240912
DISPUTED = "disputed.txt"
_LABELS = {
    **dict.fromkeys(("correct answer", "correct", "true", "yes", "1", "right"), "correct"),
    **dict.fromkeys(("incorrect answer", "incorrect", "false", "no", "0", "wrong"), "incorrect"),
    **dict.fromkeys(("refusal", "refused", "failed to answer", "not answered"), "refusal"),
}


@dataclass(frozen=True, slots=True)
class Judged:
    """One answer with both judgements.

    Attributes:
        answer: The row as read.
        file: Name of its file without suffix.
        kind: ``number``, ``text``, or '' where the task's golds have no kind.
        human: One of `CLASSES`.
        verdict: The verifier's.
    """

    answer: Answer
    file: str
    kind: str
    human: str
    verdict: Verdict

    @property
    def said(self) -> str:
        """The verifier's verdict as one of `CLASSES`."""
        if self.verdict.status is Status.CORRECT:
            return "correct"
        return "refusal" if self.verdict.reason == "refusal" else "incorrect"

    @property
    def agrees(self) -> bool:
        """Whether both call it correct, or neither does."""
        return (self.said == "correct") == (self.human == "correct")


@dataclass(frozen=True, slots=True)
class Figures:
    """Agreement on a group of answers; NaN where a figure has no meaning (a zero denominator)."""

    answers: int
    items: int
    accuracy: float
    precision: float
    recall: float
    kappa: float
    kappa_low: float
    kappa_high: float
    kappa_three: float


def read_label(raw: Any) -> str | None:
    """A human label as one of `CLASSES`; None where it is none of the spellings known."""
    return _LABELS.get(str(raw).strip().casefold())


def cohen_kappa(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cohen's kappa (1960) of square tables of counts, shape (..., K, K): first rater by second.

    NaN where chance agreement is total (both raters use one class only) or the table is empty.
    """
    total = table.sum((-2, -1))
    with np.errstate(invalid="ignore", divide="ignore"):
        agreed = np.trace(table, axis1=-2, axis2=-1) / total
        chance = (table.sum(-1) * table.sum(-2)).sum(-1) / total**2
        return np.asarray((agreed - chance) / (1 - chance), dtype=np.float64)


def figures(rows: Sequence[Judged], resamples: int = RESAMPLES, seed: int = SEED) -> Figures:
    """Agreement on some answers, with a 95 % percentile interval of kappa from resampled questions.

    Args:
        rows: The answers, verifier errors left out.
        resamples: Bootstrap draws of the items.
        seed: Of the draws.
    """
    ids = sorted({row.answer.id for row in rows})
    place = {name: index for index, name in enumerate(ids)}
    counts = np.zeros((len(ids), 3, 3))
    for row in rows:
        counts[place[row.answer.id], CLASSES.index(row.said), CLASSES.index(row.human)] += 1
    three = counts.sum(0)
    two = _two(three)
    low = high = float("nan")
    if len(ids) > 1:
        draws = np.random.default_rng(seed).multinomial(len(ids), np.full(len(ids), 1 / len(ids)), resamples)
        kappas = cohen_kappa(np.tensordot(draws.astype(np.float64), _two(counts), 1))
        kappas = kappas[~np.isnan(kappas)]
        if len(kappas):
            low, high = (float(value) for value in np.percentile(kappas, [2.5, 97.5]))
    return Figures(
        len(rows),
        len(ids),
        _ratio(two[0, 0] + two[1, 1], two.sum()),
        _ratio(two[0, 0], two[0].sum()),
        _ratio(two[0, 0], two[:, 0].sum()),
        float(cohen_kappa(two)),
        low,
        high,
        float(cohen_kappa(three)),
    )


def _two(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Tables of three classes as tables of correct and not correct."""
    rows = np.stack([counts[..., 0, :], counts[..., 1:, :].sum(-2)], -2)
    return np.stack([rows[..., 0], rows[..., 1:].sum(-1)], -1)


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")


@dataclass(frozen=True, slots=True)
class FileError:
    """A file's accuracy by people and by the verifier."""

    file: str
    answers: int
    human: float
    verifier: float


def file_errors(rows: Sequence[Judged]) -> list[FileError]:
    """Accuracy by file, in the order of the names."""
    found = []
    for name in sorted({row.file for row in rows}):
        mine = [row for row in rows if row.file == name]
        human = _ratio(sum(row.human == "correct" for row in mine), len(mine))
        found.append(FileError(name, len(mine), human, _ratio(sum(row.said == "correct" for row in mine), len(mine))))
    return found


def spearman(x: Sequence[float], y: Sequence[float]) -> float:
    """Spearman's rank correlation (ties share their mean rank); NaN for fewer than two values or constant ones."""
    from scipy import stats

    if len(x) < 2 or len(set(x)) < 2 or len(set(y)) < 2:
        return float("nan")
    return float(stats.spearmanr(x, y).statistic)


def disputed_ids(folder: Path) -> frozenset[str]:
    """Ids in the task's `disputed.txt`: one a line, the reason after ``#``; empty where there is no such file."""
    path = folder / DISPUTED
    if not path.is_file():
        return frozenset()
    lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return frozenset(line for line in lines if line)


def read_labelled(path: Path, dropped: list[str], id_field: str) -> Iterator[tuple[Answer, str]]:
    """Answers with a human label; rows without a readable one are noted in `dropped`."""
    for answer in first_of_each(read_answers(path, dropped, id_field), dropped):
        human = read_label(answer.row.get("label"))
        if human is None:
            what = f"label {answer.row['label']!r:.40} is unknown" if "label" in answer.row else "no label"
            dropped.append(f"{answer.where}: {what}")
            continue
        yield answer, human


def kind_of(gold: Any) -> str:
    """``number`` or ``text`` for golds that say so or can be told apart, else ''."""
    if not isinstance(gold, Mapping) or "answer" not in gold:
        return ""
    from tao_bench.verify.finance import gold_kind

    return gold_kind(gold)


def judge_labelled(
    task: Task,
    paths: Sequence[Path],
    dropped: list[str],
    *,
    workers: int = 1,
    tick: Callable[[int], None] = lambda done: None,
) -> list[Judged]:
    """Judge every labelled answer with the task's verifier.

    Args:
        task: The task.
        paths: JSONL files of answers with the field ``label``.
        dropped: Filled with the rows that cannot be used.
        workers: Threads; more than one pays for verifiers that wait for a network only.
        tick: Called with the answers judged so far.
    """
    known = labelled_prompts(task, EVERY_SPLIT)
    without = {prompt.id for prompt in task.pool()}
    todo: list[tuple[Answer, str, str, Prompt, Label]] = []
    for path in paths:
        for answer, human in read_labelled(path, dropped, f"{task.spec.name}_id"):
            if answer.id not in known:
                dropped.append(f"{answer.where}: {unlabelled(answer.id, without, EVERY_SPLIT)}")
                continue
            todo.append((answer, human, path.stem, *known[answer.id]))
    verifier = task.verifier()

    def verdict(row: tuple[Answer, str, str, Prompt, Label]) -> Verdict:
        return verifier.grade(row[3], row[4].gold, row[0].text, "stop")

    found: list[Judged] = []
    try:
        with ThreadPoolExecutor(workers) as pool:
            results: Iterable[Verdict] = map(verdict, todo) if workers == 1 else pool.map(verdict, todo)
            for (answer, human, file, _, label), result in zip(todo, results, strict=True):
                found.append(Judged(answer, file, kind_of(label.gold), human, result))
                tick(len(found))
    finally:
        verifier.close()
    return found


def groups(rows: Sequence[Judged], disputed: frozenset[str]) -> Iterator[tuple[str, str, list[Judged]]]:
    """Golds, answers, and the rows of each group that is reported; groups without rows are left out."""
    kinds: list[tuple[str, str | None]] = [("all", None)]
    if any(row.kind for row in rows):
        kinds += [("numeric", "number"), ("text", "text")]
    for name, kind in kinds:
        mine = [row for row in rows if kind is None or row.kind == kind]
        cut = [row for row in mine if row.answer.id not in disputed]
        choices = [("all", mine), ("refusals left out", [row for row in mine if row.human != "refusal"])]
        if len(cut) < len(mine):
            choices += [
                ("disputed left out", cut),
                ("both left out", [row for row in cut if row.human != "refusal"]),
            ]
        yield from ((name, what, part) for what, part in choices if part)


def _number(value: float, digits: int = 3) -> str:
    return "-" if np.isnan(value) else f"{value:.{digits}f}"


def _points(value: float) -> str:
    return "-" if np.isnan(value) else f"{100 * value:.1f}"


def table(rows: Sequence[Judged], disputed: frozenset[str]) -> list[str]:
    """The table of agreement by group, as lines of Markdown."""
    lines = [
        "| golds | answers | n | questions | accuracy | precision | recall | kappa [95 %] | kappa, 3 classes |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, what, part in groups(rows, disputed):
        f = figures(part)
        interval = f"{_number(f.kappa)} [{_number(f.kappa_low)}, {_number(f.kappa_high)}]"
        lines.append(
            f"| {name} | {what} | {f.answers} | {f.items} | {_points(f.accuracy)} % | {_number(f.precision)} | "
            f"{_number(f.recall)} | {interval} | {_number(f.kappa_three)} |"
        )
    return lines


def file_table(rows: Sequence[Judged]) -> list[str]:
    """Accuracy by file under people and the verifier, with the error's mean and maximum, as lines of Markdown."""
    errors = file_errors(rows)
    lines = ["| file | n | people | verifier | error |", "|---|---|---|---|---|"]
    for each in errors:
        error = each.verifier - each.human
        both = f"{_points(each.human)} % | {_points(each.verifier)} %"
        lines.append(f"| {each.file} | {each.answers} | {both} | {100 * error:+.1f} |")
    sizes = [abs(each.verifier - each.human) for each in errors]
    summary = f"Error of a file's accuracy: mean {_points(float(np.mean(sizes)))} points, largest {_points(max(sizes))}"
    if len(errors) > 1:
        rank = spearman([each.human for each in errors], [each.verifier for each in errors])
        summary += f"; Spearman {_number(rank)} over {len(errors)} files"
    return [*lines, "", f"{summary}."]


def report(task: Task, rows: Sequence[Judged], disputed: frozenset[str]) -> str:
    """The report as Markdown; verifier errors are left out of every figure and counted."""
    usable = [row for row in rows if row.verdict.status is not Status.VERIFIER_ERROR]
    failures = len(rows) - len(usable)
    misses = [row for row in usable if not row.agrees]
    lines = [
        f"# Agreement of {task.spec.verifier} with people on {task.version_name}",
        "",
        f"{len(usable)} labelled answers; {failures} verifier errors left out; {len(misses)} disagreements. Kappa is",
        f"Cohen's, correct against not correct; intervals from {RESAMPLES} bootstrap draws of questions, seed {SEED}.",
    ]
    if disputed:
        lines.append(f"Labels of {len(disputed)} items are disputed ({DISPUTED} of the task).")
    if usable:
        lines += ["", *table(usable, disputed), "", "## By file", "", *file_table(usable), "", "## Disagreements", ""]
        lines += _reasons(misses)
    return "\n".join(lines) + "\n"


def _reasons(misses: Sequence[Judged]) -> list[str]:
    counts: dict[tuple[str, str, str], int] = {}
    for row in misses:
        key = (row.human, row.said, row.verdict.reason)
        counts[key] = counts.get(key, 0) + 1
    lines = ["| people | verifier | reason | n |", "|---|---|---|---|"]
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return lines + [f"| {human} | {said} | {reason} | {n} |" for (human, said, reason), n in ranked]


def write_disagreements(path: Path, rows: Sequence[Judged], golds: Mapping[str, Any]) -> int:
    """Write the answers that verifier and people judge differently, to be read; returns how many.

    Raises:
        InputError: The file cannot be written.
    """
    misses = [row for row in rows if not row.agrees and row.verdict.status is not Status.VERIFIER_ERROR]
    misses.sort(key=lambda row: (row.answer.id, row.file))
    try:
        with path.open("w", encoding="utf-8") as out:
            for row in misses:
                shown = {**result_row(row.answer, row.verdict), "file": row.file, "gold": golds.get(row.answer.id)}
                out.write(json.dumps(shown, ensure_ascii=False) + "\n")
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror})", str(path)) from error
    return len(misses)
