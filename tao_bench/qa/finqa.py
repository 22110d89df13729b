"""FinQA as a task: text and a table of an earnings report, a question, an executed answer (arXiv 2109.00122)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tao.answers.expression import AnswerError
from tao.answers.program import run_program
from tao.errors import InputError
from tao_bench.qa.rows import Question, deal_published, find_files, one_text, rank, read_rows, table_text, write_task
from tao_bench.verify.finqa import SCALES, read_gold

FILES = {
    "train": ("train.json*", "dataset/train.json*", "finqa_train*.json*"),
    "dev": ("dev.json*", "dataset/dev.json*", "finqa_dev*.json*", "validation.jsonl"),
    "test": ("test.json*", "dataset/test.json*", "finqa_test*.json*"),
}
HOW = (
    "Answer in one line: a number (percentages with %), yes or no, or a program that computes it, such as\n"
    "subtract(120, 100), divide(#0, 100)\n"
    "with add, subtract, multiply, divide, exp, greater over numbers and earlier steps (#0 is the first), const_100 "
    "for 100, and table_max, table_min, table_sum, table_average(row name, none) over a row of the table."
)


def generate_finqa(out: Path, seed: int, source: Path) -> None:
    """Write the task's data.

    Args:
        out: An empty folder.
        seed: Fixes the order of questions; the splits depend on the published ones and on companies' names alone.
        source: Folder of the published files.

    Raises:
        InputError: No published file, or a row that is not as published.
    """
    parts = {name: read_questions(path, out) for name, globs in FILES.items() for path in find_files(source, globs)[:1]}
    if not parts:
        raise InputError("holds no train.json, dev.json or test.json", str(source), "put the set there, as published")
    splits, left = deal_published(parts)
    about = {"published files": ", ".join(parts), "left out of pool and train (report page also in dev or test)": left}
    write_task(out, splits, seed, about)


def read_questions(path: Path, out: Path | None = None) -> list[Question]:
    """Questions of a published file, in its own layout (`qa`) or in the hub's (its fields beside the report's).

    Args:
        path: The file.
        out: The task's data folder, where the table of each report is written; None to write none.

    Raises:
        InputError: Not the published layout; the row is named.
    """
    found: list[Question] = []
    seen: set[str] = set()
    for where, row in read_rows(path):
        qa = row.get("qa", row)
        if not isinstance(qa, dict):
            raise InputError("its qa is not an object", where)
        name = one_text(row, ("id",), where)
        if name in seen:
            raise InputError(f"question {name} occurs twice", where)
        seen.add(name)
        table = table_text(row.get("table"), where)
        before, after = (_lines(row.get(key), f"{where}, {key}") for key in ("pre_text", "post_text"))
        text = one_text(qa, ("question",), where)
        gold = make_gold(qa, table, [*before, *after], where)
        page = str(row.get("filename") or name.rpartition("-")[0] or name)
        report = f"reports/{rank(page)[:16]}.json"
        if out is not None:
            (out / "reports").mkdir(parents=True, exist_ok=True)
            (out / report).write_text(json.dumps({"table": table}, ensure_ascii=False) + "\n", encoding="utf-8")
        shown = ["Text:", *before, "Table:", *(" | ".join(cells) for cells in table), "Text:", *after]
        program = qa.get("program") or qa.get("program_re")
        found.append(
            Question(
                id=name,
                text="\n".join([*shown, f"Question: {text}", HOW]),
                cluster=page.partition("/")[0],
                level=_level(program),
                gold=gold,
                target=str(program) if program else str(gold["answer"]),
                home=page,
                handles={"report": report},
            )
        )
    return found


def _lines(value: Any, where: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(line, str) for line in value):
        raise InputError("is no list of texts", where)
    return [shown for line in value if (shown := " ".join(line.split())) not in ("", ".")]


def _level(program: Any) -> str:
    """Steps of the gold's program: 1, 2 or 3 for three and more."""
    return str(max(1, min(3, len(re.findall(r"[a-z]\(", str(program or ""))))))


def make_gold(
    qa: Mapping[str, Any], table: Sequence[Sequence[str]], texts: Sequence[str], where: str
) -> dict[str, Any]:
    """The gold of a question: its executed answer, recomputed from the program where the layout has none.

    Raises:
        InputError: No executed answer and no program that runs.
    """
    program = qa.get("program") or qa.get("program_re")
    answer: Any = qa.get("exe_ans", qa.get("final_result"))
    if isinstance(answer, str) and answer not in ("yes", "no"):
        try:
            answer = float(answer)
        except ValueError:
            answer = None
    if answer is None:
        try:
            answer = run_program(str(program or ""), table)
        except AnswerError as error:
            raise InputError(f"has no executed answer, nor a program that runs ({error.message})", where) from error
    question, printed = str(qa.get("question", "")).lower(), str(qa.get("answer") or "")
    report = " ".join([question, *texts, *(cell for row in table for cell in row)]).lower()
    gold = {
        "answer": answer,
        "printed": printed,
        "percent": "%" in printed + question or "percent" in question,
        "scales": [word for word in SCALES if word in report],
    }
    try:
        read_gold(gold)
    except InputError as error:
        raise InputError(error.what, where, error.fix) from error
    return gold
