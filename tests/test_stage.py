"""A stage file survives kills, refuses foreign rows and notices tampering."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tao.errors import InputError
from tao.stage import Stage, changes, digest, folder_digest, write_atomic


def test_torn_last_line_is_owed_again(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "rows.jsonl", {"seed": 1})
    stage.append([{"a": 1}, {"a": 2}])
    with stage.path.open("a") as handle:
        handle.write('{"a": 3')
    resumed = Stage(tmp_path / "rows.jsonl", {"seed": 1})
    assert resumed.rows() == [{"a": 1}, {"a": 2}]
    resumed.append([{"a": 3}])
    resumed.finish()
    assert [json.loads(line) for line in stage.path.read_text().splitlines()] == [{"a": 1}, {"a": 2}, {"a": 3}]
    assert resumed.done


def test_keep_cuts_a_chunk_that_was_cut_short(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "rows.jsonl", {})
    stage.append([{"a": 1}, {"a": 2}, {"a": 3}])
    stage.keep(2)
    assert stage.rows() == [{"a": 1}, {"a": 2}]
    stage.keep(5)
    assert stage.rows() == [{"a": 1}, {"a": 2}]


def test_rows_of_other_inputs_are_refused_and_named(tmp_path: Path) -> None:
    Stage(tmp_path / "rows.jsonl", {"seed": 1, "model": "x"}).append([{"a": 1}])
    with pytest.raises(InputError, match=r"something else: seed \(1 before, 2 now\)") as caught:
        Stage(tmp_path / "rows.jsonl", {"seed": 2, "model": "x"})
    assert "start over" in str(caught.value)


def test_rows_without_meta_are_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(InputError, match="without a record"):
        Stage(tmp_path / "rows.jsonl", {})


def test_altered_finished_file_is_noticed(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "rows.jsonl", {})
    stage.append([{"a": 1}])
    stage.finish()
    stage.path.write_text('{"a": 2}\n')
    with pytest.raises(InputError, match="altered"):
        _ = stage.done


def test_an_empty_stage_can_be_finished(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "rows.jsonl", {})
    assert not stage.done
    stage.finish()
    assert stage.done and stage.rows() == []


def test_digests_follow_content_only(tmp_path: Path) -> None:
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1}) != digest({"a": 1, "b": [3]})
    write_atomic(tmp_path / "config.json", "{}")
    before = folder_digest(tmp_path)
    (tmp_path / "notes.txt").write_text("ignored")
    assert folder_digest(tmp_path) == before
    write_atomic(tmp_path / "config.json", '{"a": 1}')
    assert folder_digest(tmp_path) != before


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1, "b": {"c": [1, {"d": 2}]}}, {"a": 1, "b": {"c": [1, {"d": 3}]}}, ["b.c[1].d (2 before, 3 now)"]),
        ({"a": "x"}, {}, ['a ("x" before, null now)']),
        ({"pool": "0123456789abcdef"}, {"pool": "fedcba9876543210"}, ["pool"]),
        ({"a": [1]}, {"a": [1, 2]}, ["a ([1] before, [1, 2] now)"]),
        ({"a": "x" * 99}, {"a": "y"}, ["a"]),
    ],
)
def test_what_changed_is_told_by_its_place(before: object, now: object, told: list[str]) -> None:
    assert changes(before, now) == told
