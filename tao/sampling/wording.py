"""What strategies say to the model, by the kind of model and answer: the recipe's field `wording`.

A model pretrained on the terse forms (the small reference model) wants exactly those; a general chat model has
to be told in plain words. The structured plans follow the answer's form: schema linking before SQL (as DIN-SQL,
arXiv 2304.11015, section 4.1), cells before an expression; step by step is arXiv 2205.11916, repair from the
execution error arXiv 2304.05128.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from tao.errors import InputError

WordingName = Literal["terse", "sql", "document", "plain"]
ANSWER_MARK = "Answer: "
_ALONE = (
    f'End with a line that begins with "{ANSWER_MARK.strip()}" and holds {{what}} alone, in the form asked for above.'
)


@dataclass(frozen=True, slots=True)
class Wording:
    """What is put into a view.

    Attributes:
        plan: Behind the prompt; the answer comes behind `ANSWER_MARK`.
        chain_of_thought: Likewise.
        repair: The turn after a failed answer; ``{error}`` is what went wrong.
        reword: Before a question that is to be asked in other words.
        strict: Whether the mark must begin exactly one line, letter by letter. Chat models put it in bold, or
            leave the answer to the next line: then the last mark counts, however it is dressed.
    """

    plan: str
    chain_of_thought: str
    repair: str = (
        "That answer does not work: {error}\nAnswer the same question again, correctly. Give the new answer alone."
    )
    reword: str = (
        "Ask the following question in other words. Keep every number, name, date and unit exactly as it is, ask for "
        "the same thing, and do not answer it. Write the new question alone, on one line.\n\n"
    )
    strict: bool = False


_THINK = "\n\nThink step by step. " + _ALONE
WORDINGS: Mapping[WordingName, Wording] = {
    "terse": Wording("\nPlan first.", _THINK.format(what="the answer"), "Error: {error}", strict=True),
    "sql": Wording(
        "\n\nFirst link the question to the schema: name the tables, columns and values it needs and how the tables "
        "join, in a few short lines. " + _ALONE.format(what="the query"),
        _THINK.format(what="the query"),
    ),
    "document": Wording(
        "\n\nFirst name the cells that the question needs, each by its line and column, with their values; then how "
        "they are combined, in a few short lines. " + _ALONE.format(what="the expression or number"),
        _THINK.format(what="the expression or number"),
    ),
    "plain": Wording(
        "\n\nFirst write a short plan of how to answer, in a few short lines. " + _ALONE.format(what="the answer"),
        _THINK.format(what="the answer"),
    ),
}
"""``terse`` is the default: what the reference model was pretrained to understand."""


def wording_of(name: str) -> Wording:
    """A wording by name.

    Raises:
        InputError: There is none of that name.
    """
    for known in get_args(WordingName):
        if known == name:
            return WORDINGS[known]
    raise InputError(f"unknown wording {name!r}", "wording", f"use one of {', '.join(WORDINGS)}")
