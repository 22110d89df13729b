"""TAT-QA as a task: a table and paragraphs of a report, a question, an answer with its scale (arXiv 2105.07624)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tao.errors import InputError
from tao_bench.qa.rows import Question, deal_published, find_files, one_text, read_rows, table_text, write_task
from tao_bench.verify.tatqa import read_gold, write_answer

FILES = {
    "train": ("tatqa_dataset_train*.json*", "**/tatqa_dataset_train*.json*", "train.json*"),
    "dev": ("tatqa_dataset_dev*.json*", "**/tatqa_dataset_dev*.json*", "dev.json*", "validation.jsonl"),
    "test": ("tatqa_dataset_test_gold*.json*", "**/tatqa_dataset_test_gold*.json*", "test_gold.json*"),
}
HOW = (
    "Answer in one line. Copy words and numbers as they stand or compute them. Give amounts with the report's scale "
    "(thousand, million, billion) and percentages with %. Separate several items by semicolons, in the order asked."
)


def generate_tatqa(out: Path, seed: int, source: Path) -> None:
    """Write the task's data.

    Args:
        out: An empty folder.
        seed: Fixes the order of questions; the splits depend on the published ones and on table ids alone.
        source: Folder of the published files.

    Raises:
        InputError: No published file, or a row that is not as published.
    """
    parts = {name: read_questions(path) for name, globs in FILES.items() for path in find_files(source, globs)[:1]}
    if not parts:
        raise InputError("holds no tatqa_dataset_*.json", str(source), "put the set there, as published")
    splits, left = deal_published(parts)
    about = {"published files": ", ".join(parts), "left out of pool and train (table also in dev or test)": left}
    write_task(out, splits, seed, about)


def read_questions(path: Path) -> list[Question]:
    """Questions of a published file.

    Raises:
        InputError: Not the published layout; the row is named.
    """
    found: list[Question] = []
    seen: set[str] = set()
    for where, row in read_rows(path):
        table, paragraphs, questions = row.get("table"), row.get("paragraphs"), row.get("questions")
        if not isinstance(table, dict) or not isinstance(paragraphs, list) or not isinstance(questions, list):
            raise InputError("a context needs table, paragraphs and questions", where)
        home = one_text(table, ("uid",), f"{where}, table")
        shown = [" | ".join(cells) for cells in table_text(table.get("table"), where)]
        texts = [
            one_text(paragraph, ("text",), f"{where}, paragraph {number}")
            for number, paragraph in enumerate(paragraphs)
            if isinstance(paragraph, dict)
        ]
        context = "\n".join(["Table:", *shown, "Text:", *texts])
        for number, question in enumerate(questions):
            place = f"{where}, question {number}"
            if not isinstance(question, dict):
                raise InputError("is not an object", place)
            one = _question(question, home, context, place)
            if one.id in seen:
                raise InputError(f"question {one.id} occurs twice", place)
            seen.add(one.id)
            found.append(one)
    return found


def _question(question: Mapping[str, Any], home: str, context: str, where: str) -> Question:
    text = one_text(question, ("question",), where)
    gold = make_gold(question)
    try:
        target = write_answer(read_gold(gold))
    except InputError as error:
        raise InputError(error.what, where, error.fix) from error
    return Question(
        id=one_text(question, ("uid",), where),
        text=f"{context}\nQuestion: {text}\n{HOW}",
        cluster=home,
        level=str(gold["type"]),
        gold=gold,
        target=target,
        home=home,
    )


def make_gold(question: Mapping[str, Any]) -> dict[str, Any]:
    """The gold of a question as published; "respectively" makes the order of a list part of the answer."""
    return {
        "answer": question.get("answer"),
        "type": question.get("answer_type"),
        "scale": question.get("scale"),
        "ordered": "respectively" in str(question.get("question")).lower(),
    }
