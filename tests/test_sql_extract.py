from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao.sql.extract import extract_query

CASES = [
    tuple(part.strip("\n") for part in case.split("----\n", 1))
    for case in "\n".join(
        line
        for line in (Path(__file__).parent / "fixtures/sql/extract.txt").read_text(encoding="utf-8").split("\n")
        if not line.startswith("#")
    ).split("====\n")
]


@pytest.mark.parametrize(("response", "query"), CASES)
def test_the_query_is_found(response: str, query: str) -> None:
    assert extract_query(response) == (query or response.strip())


@given(st.text(max_size=200))
def test_any_text_gives_a_part_of_itself(text: str) -> None:
    assert extract_query(text) in text


@given(st.sampled_from(["sqlite", "postgres", "mysql"]), st.text(alphabet="abc'\"`;() \n", max_size=30))
def test_prose_around_a_fence_changes_nothing(read: str, prose: str) -> None:
    if "```" not in prose + "`":
        assert extract_query(f"{prose}\n```sql\nSELECT a FROM t\n```\n", read) == "SELECT a FROM t"


def test_a_second_statement_is_never_cut_away() -> None:
    for tail in ("DROP TABLE t", "delete from t", "-- note\nINSERT INTO t VALUES (1)", "/* x */ SET a = 1"):
        assert extract_query(f"SELECT a FROM t; {tail}") == f"SELECT a FROM t; {tail}"
