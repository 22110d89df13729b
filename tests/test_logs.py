"""Logs of every kind yield their prompts; answers, expectations and people in them never reach a prompt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao.cli import main
from tao.errors import InputError
from tao.logs.bodies import Skip, requests
from tao.logs.read import read_log
from tao.prompts import read_prompts

LOGS = Path(__file__).parent / "fixtures" / "logs"
EXPECTED = [json.loads(line) for line in (LOGS / "expected.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("case", EXPECTED, ids=lambda case: case["file"])
def test_each_kind_of_log(case: dict[str, Any]) -> None:
    read = read_log(LOGS / case["file"])
    assert read.format == case["format"]
    assert [prompt.messages[-1].content for prompt in read.prompts] == case["prompts"]
    assert dict(read.skipped) == case["skipped"]
    assert sorted(read.ignored) == case["ignored"]
    assert (read.repeated, read.dropped_turns) == (case["repeated"], case["dropped"])
    assert read.rows == len((LOGS / case["file"]).read_text().splitlines()) - case["file"].endswith(".csv")


def test_every_fixture_has_an_expectation() -> None:
    assert {case["file"] for case in EXPECTED} == {p.name for p in LOGS.iterdir()} - {"expected.jsonl"}


def test_parquet_and_json_hold_the_same_rows(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [json.loads(line) for line in (LOGS / "databricks_legacy.jsonl").read_text().splitlines()]
    parquet.write_table(arrow.Table.from_pylist(rows), tmp_path / "a.parquet")
    (tmp_path / "a.json").write_text(json.dumps(rows))
    wanted = read_log(LOGS / "databricks_legacy.jsonl")
    for name in ("a.parquet", "a.json"):
        read = read_log(tmp_path / name)
        assert (read.prompts, read.skipped, read.repeated) == (wanted.prompts, wanted.skipped, wanted.repeated)


def test_a_pool_with_a_label_is_refused_unless_the_request_is_named(tmp_path: Path) -> None:
    row = {"messages": [{"role": "user", "content": "Where?"}], "label": "Gate A"}
    log = tmp_path / "log.jsonl"
    for fields in (row, {**row, "id": "1"}):
        log.write_text(json.dumps(fields) + "\n")
        with pytest.raises(InputError, match="unknown column 'label'"):
            read_log(log)
    read = read_log(log, request="messages")
    assert [p.id for p in read.prompts] == ["1"] and list(read.ignored) == ["label"]


def test_own_columns_and_instructions(tmp_path: Path) -> None:
    log = tmp_path / "tickets.csv"
    log.write_text('ticket,team\n"Printer is dead, again",it\n,hr\n"a",b,c\n')
    with pytest.raises(InputError, match="no known kind of log has these columns: team, ticket"):
        read_log(log)
    with pytest.raises(InputError, match=r"no column 'tickets'\s+fix: there are team, ticket"):
        read_log(log, request="tickets")
    read = read_log(log, request="ticket", instructions="Route it.")
    assert [[m.role for m in p.messages] for p in read.prompts] == [["system", "user"]]
    assert dict(read.skipped) == {"an empty request": 1, "3 cells under 2 columns": 1}
    assert read.summary().splitlines()[0] == "rows with the request in 'ticket': 1 prompts of 3 rows"
    assert f"{log}:4" in read.summary()


def test_what_a_record_leaves_behind_is_named(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text(json.dumps({"inputs": {"question": "Who?", "context": "a page"}}) + "\n")
    assert list(read_log(log).ignored) == ["inputs.context"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b"not json\n\xff\n[1]\n", "no prompts in the file"),
        ("a.jsonl", b"", "no rows"),
        ("a.csv", b"", "no header line"),
        ("a.csv", b"a\n\xff\n", "not UTF-8"),
        ("a.json", b"{}", "not a list of rows"),
        ("a.json", b"{", "not JSON"),
        ("a.parquet", b"PAR1 no", "not Parquet"),
        ("a.xlsx", b"", "unknown kind of file '.xlsx'"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_log(tmp_path / name)


def test_the_command_writes_a_pool_and_says_what_it_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "pool.jsonl"
    assert main(["prompts", str(LOGS / "databricks_gateway.csv"), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "2 prompts of 3 rows" in said and "columns not read" in said
    assert [p.id for p in read_prompts(out)] == ["b1", "b3"]
    assert "example.com" not in out.read_text()
    assert main(["prompts", str(LOGS / "databricks_gateway.csv"), "--out", str(out)]) == 2
    assert "is there already" in capsys.readouterr().err


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["messages", "role", "content", "prompt", "input", "inputs", "dataframe_split", "columns", "data"]
            )
            | st.text(max_size=3),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_body_is_requests_or_a_reason(body: Any) -> None:
    try:
        found = requests(body)
    except Skip as reason:
        assert str(reason)
    else:
        assert all(request.messages[-1].role == "user" for request in found)
