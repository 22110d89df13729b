"""The evaluator against Python's fractions, its limits, documents, and readings."""

from __future__ import annotations

import json
import tracemalloc
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tao.answers.document import load_document, make_document
from tao.answers.expression import MAX_CHARS, MAX_DEPTH, MAX_MAGNITUDE, AnswerError, parse
from tao.answers.interpreter import NumberInterpreter
from tao.errors import InputError
from tao.meaning import Outcome
from tao.prompts import Message, Prompt

QUICK = settings(deadline=None, max_examples=60)
FIXTURES = Path(__file__).parent / "fixtures"
DOCUMENT = load_document(FIXTURES / "answers_document.json")
READINGS = [json.loads(line) for line in (FIXTURES / "answer_readings.jsonl").read_text(encoding="utf-8").splitlines()]
CELLS = {
    f"{name} {column}": value
    for name, values in DOCUMENT.rows
    for column, value in zip(DOCUMENT.columns, values, strict=True)
}
NUMBER_CELLS = sorted(name for name, value in CELLS.items() if value is not None)


def prompt(path: Path = FIXTURES / "answers_document.json") -> Prompt:
    return Prompt("p1", (Message("user", "Question: x?"),), handles={"document": str(path)})


# An expression is grown together with the Python expression over Fraction that it must equal.
leaves = st.one_of(
    st.integers(0, 9999).map(lambda n: (f"{n:,}", f"Fraction({n})")),
    st.decimals(0, 100, places=2, allow_nan=False).map(lambda d: (str(d), f"Fraction('{d}')")),
    st.sampled_from(NUMBER_CELLS).map(lambda name: (f"[{name}]", f"Fraction('{CELLS[name]}')")),
)


def joined(parts: tuple[tuple[str, str], str, tuple[str, str], bool]) -> tuple[str, str]:
    (left, left_python), mark, (right, right_python), brackets = parts
    if brackets:
        return f"( {left} {mark} {right} )", f"({left_python}{mark}{right_python})"
    return f"{left}{mark}{right}", f"{left_python}{mark}{right_python}"


trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*/"), inner, st.booleans()).map(joined),
        inner.map(lambda t: (f"- {t[0]}", f"-{t[1]}")),
    ),
    max_leaves=12,
)


@QUICK
@given(trees)
def test_values_equal_those_of_python(tree: tuple[str, str]) -> None:
    text, python = tree
    try:
        wanted: Fraction | None = eval(python, {"Fraction": Fraction})
    except ZeroDivisionError:
        wanted = None
    try:
        assert parse(text).evaluate(DOCUMENT.cell) == wanted
    except AnswerError as error:
        if error.code == "division_by_zero":
            assert wanted is None
        else:
            assert error.code in ("out_of_range", "too_long")


@QUICK
@given(st.text(alphabet="[]()+-*/.,0123456789 Revenu23=^e\n", max_size=200) | st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    reading = NumberInterpreter().read(prompt(), [text])[0]
    assert (reading.key is not None) == (reading.outcome in (Outcome.OK, Outcome.EMPTY))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("(" * 300 + "1" + ")" * 299, "too_long"),
        ("-" * 500 + "1", "too_long"),
        ("1+" * 250 + "1", "too_long"),
        ("1" * (MAX_CHARS + 1), "too_long"),
        ("9" * 500, "out_of_range"),
        ("*".join(["999999"] * 80), "out_of_range"),
        ("1/" + "/".join(["[Rate, in percent 2023]"] * 20), None),
        ("9**9**9**9", "syntax"),
        ("1e400", "syntax"),
        ("[" + "A" * 500 + " 2023]", "bad_citation"),
    ],
)
def test_nothing_blows_up(text: str, code: str | None) -> None:
    tracemalloc.start()
    try:
        raised = None
        try:
            assert abs(parse(text).evaluate(DOCUMENT.cell)) <= MAX_MAGNITUDE
        except AnswerError as error:
            raised = error.code
        assert raised == code
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_nesting_up_to_the_limit_is_read() -> None:
    deep = MAX_DEPTH - 1
    assert parse("(" * deep + "7" + ")" * deep).evaluate(DOCUMENT.cell) == 7


def test_expressions_know_what_they_cite() -> None:
    expression = parse("( [Revenue 2023] - 1,000 ) / [Cost of revenue 2022] * 100")
    assert expression.cells == ("Revenue 2023", "Cost of revenue 2022")
    assert expression.literals == (1000, 100)


@pytest.mark.parametrize("case", READINGS, ids=[case["answer"][:40] or "empty" for case in READINGS])
def test_an_answer_reads_as_the_fixture_says(case: dict[str, Any]) -> None:
    reading = NumberInterpreter().read(prompt(), [case["answer"]])[0]
    assert (reading.outcome, reading.key) == (case["outcome"], case.get("key"))
    if "detail" in case:
        assert reading.detail == case["detail"]


@QUICK
@given(st.sampled_from(READINGS), st.integers(0, 2**32))
def test_votes_do_not_depend_on_the_order_of_lines(case: dict[str, Any], seed: int) -> None:
    rows = [[name, *values] for name, values in DOCUMENT.rows]
    Random(seed).shuffle(rows)
    shuffled = make_document({"columns": list(DOCUMENT.columns), "rows": rows})
    reader = NumberInterpreter()
    reader._documents["x"] = shuffled
    other = Prompt("p1", (Message("user", "x"),), handles={"document": "x"})
    assert reader.read(other, [case["answer"]]) == reader.read(prompt(), [case["answer"]])


def test_a_missing_document_leaves_answers_unscored(tmp_path: Path) -> None:
    reader = NumberInterpreter()
    for broken in (prompt(tmp_path / "none.json"), Prompt("p2", (Message("user", "x"),))):
        readings = reader.read(broken, ["[Revenue 2023]", "1"])
        assert [reading.outcome for reading in readings] == [Outcome.UNSCORED] * 2
    assert reader.read(prompt(), []) == []


def test_documents_print_as_statements_do() -> None:
    assert DOCUMENT.header() == "Line | 2023 | 2022"
    assert DOCUMENT.lines()[0] == "Revenue | 4,512 | 4,100"
    assert DOCUMENT.lines()[2] == "Other income, net | (85) | 40"
    assert DOCUMENT.lines()[5:] == ["Rate, in percent | 12.5 | 11.25", "Not reported | - | 7"]


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        ([], "exactly the keys"),
        ({"columns": ["2023"], "rows": [], "gold": 3}, "exactly the keys"),
        ({"columns": [], "rows": []}, "columns"),
        ({"columns": ["2023"], "rows": [["A", 1, 2]]}, "1 values"),
        ({"columns": ["2023"], "rows": [["A", "1"]]}, "neither a finite number"),
        ({"columns": ["2023"], "rows": [["A", True]]}, "neither a finite number"),
        ({"columns": ["2023"], "rows": [["A", float("nan")]]}, "neither a finite number"),
        ({"columns": ["2023"], "rows": [["A [net]", 1]]}, "bracket"),
        ({"columns": ["2023"], "rows": [["A", 1], [" a ", 2]]}, "two cells"),
        ({"columns": ["2023", "B 2023"], "rows": [["A", 1, 2], ["A B", 2, 3]]}, "two cells"),
    ],
)
def test_malformed_documents_are_refused(raw: Any, what: str) -> None:
    with pytest.raises(InputError, match=what):
        make_document(raw)


def test_unreadable_document_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_document(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(InputError, match="not JSON"):
        load_document(tmp_path / "bad.json")
