"""Forms of answers: the one table of label-free interpreters, for the command and for whoever builds on `tao`."""

from __future__ import annotations

import importlib
from typing import Any

from tao.meaning import Interpreter

INTERPRETERS = {
    "sql": "tao.sql.interpreter:SqlInterpreter",
    "number": "tao.answers.interpreter:NumberInterpreter",
    "filing": "tao.answers.filing_interpreter:FilingInterpreter",
    "text": "tao.answers.text:TextInterpreter",
    "prose": "tao.answers.prose:ProseInterpreter",
    "choice": "tao.answers.choice:ChoiceInterpreter",
    "json": "tao.answers.record:JsonInterpreter",
    "calls": "tao.answers.calls:CallsInterpreter",
}
"""Answer form to the class that reads it: ``module:class``."""
PLAIN = ("sql", "number", "filing", "text", "prose", "calls")
"""Forms that need no options; a choice needs its options and JSON its schema."""
NEEDS = {"sql": "database", "number": "document", "filing": "document"}
"""Form to what the name of a handle begins with that every prompt must have; the others are tried on nothing."""


def interpreter_class(form: str) -> Any:
    """The class of an answer form, imported when asked for.

    Args:
        form: A key of `INTERPRETERS`.
    """
    module, _, name = INTERPRETERS[form].partition(":")
    return getattr(importlib.import_module(module), name)


def make_plain(form: str) -> Interpreter:
    """The interpreter of a form that needs no options (`PLAIN`)."""
    made: Interpreter = interpreter_class(form)()
    return made
