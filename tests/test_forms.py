"""The table of answer forms: each is there, called by its own name, and the command offers those without options."""

from __future__ import annotations

import pytest

from tao.cli import build_parser
from tao.forms import INTERPRETERS, PLAIN, interpreter_class, make_plain
from tao_bench.task import TaskSpec


@pytest.mark.parametrize("form", INTERPRETERS)
def test_a_form_is_called_by_its_name(form: str) -> None:
    # a run is gone on from by its interpreter's name (tao.flywheel.previous)
    assert interpreter_class(form).name == form


@pytest.mark.parametrize("form", PLAIN)
def test_a_form_without_options_is_made_and_offered(form: str) -> None:
    make_plain(form).close()
    arguments = build_parser().parse_args(["tune", "--prompts", "p", "--out", "o", "--answers", form])
    assert arguments.answers == form


def test_tasks_and_the_table_name_the_same_forms() -> None:
    assert set(TaskSpec.model_fields["answer"].annotation.__args__) == set(INTERPRETERS)  # type: ignore[union-attr]
