"""The arm `tao`: what it hands to the loop."""

from __future__ import annotations

import pytest

from tao.errors import InputError
from tao.prompts import Message, Prompt
from tao_bench.arms.tao import without_handles

POOL = [
    Prompt("a", (Message("user", "How many?"),), handles={"database": "/a.json", "database_2": "/b.json"}),
    Prompt("b", (Message("user", "Which?"),), handles={"database": "/a.json"}),
]


def test_handles_are_left_out_and_everything_else_stays() -> None:
    fewer = without_handles(POOL, ["database_2"])
    assert [dict(prompt.handles) for prompt in fewer] == [{"database": "/a.json"}] * 2
    assert [(prompt.id, prompt.messages) for prompt in fewer] == [(prompt.id, prompt.messages) for prompt in POOL]
    assert without_handles(POOL, []) is POOL


def test_a_handle_that_no_prompt_has_is_named() -> None:
    with pytest.raises(InputError, match="no prompt has a handle 'databse_2'") as error:
        without_handles(POOL, ["databse_2"])
    assert "database, database_2" in error.value.fix
