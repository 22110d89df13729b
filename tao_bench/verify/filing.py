"""Verifier ``filing@1``: numbers, Yes and No, named options and refusals on questions about filings.

Gold: ``{"kind": "number", "form": "number", "value": ..., "tolerance": ..., "unit": ..., "scale": ...}`` as `number@1`
takes it, or ``{"kind": "text", "form": F, "answer": A}`` where F is

- ``yes_no``: A is ``Yes`` or ``No``;
- ``choice``: A is one of ``options``;
- ``unanswerable``: the document does not show what is asked for; A is ``cannot be determined``.

Further keys (program, operands, deciding numbers, family) are for people and proofs. Only the last line of a
response is
read, by `tao.answers.filing`, which votes use too. Numbers are judged by `number@1`'s own functions. A refusal is WRONG
with reason ``refusal`` wherever there is an answer; anything else on an unanswerable item is WRONG with reason
``unanswerable``, a refusal that offers a number too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tao.answers.document import Document, load_document
from tao.answers.expression import AnswerError
from tao.answers.filing import Form, Said, Wanted, read_filing
from tao.answers.reading import final_line
from tao.errors import InputError
from tao.prompts import Prompt
from tao_bench.verify.number import _EMPTY_DOCUMENT, NumberGold, grade_text, judge, read_gold
from tao_bench.verify.verdict import Status, Verdict, correct, failed

FORMS = ("number", "yes_no", "choice", "unanswerable")


@dataclass(frozen=True, slots=True)
class FilingGold:
    """What an answer is judged against.

    Attributes:
        form: One of `FORMS`.
        wanted: The form of answer that the question wants.
        answer: The answer in words; '' for numbers.
        number: The number, for form ``number``.
    """

    form: str
    wanted: Form
    answer: str = ""
    number: NumberGold | None = None


def read_filing_gold(gold: Any) -> FilingGold:
    """Validate a label row's gold.

    An unanswerable gold carries ``wanted`` (and ``options``) of its question; without, its question wants a number.

    Raises:
        InputError: Unknown form, an answer that is none of the options, or a numeric gold that `number@1` refuses.
    """
    if not isinstance(gold, Mapping) or gold.get("form") not in FORMS:
        raise InputError("a filing gold needs a form", fix=f"form is one of {', '.join(FORMS)}")
    form, answer = str(gold["form"]), gold.get("answer")
    if form == "number":
        return FilingGold(form, Form(Wanted.NUMBER), number=read_gold(gold))
    if not isinstance(answer, str):
        raise InputError(f"a gold of form {form} needs an answer in words")
    wanted = gold.get("wanted", "number") if form == "unanswerable" else form
    options = gold.get("options", ())
    if wanted not in set(Wanted) or not isinstance(options, list | tuple):
        raise InputError("wanted is number, yes_no or choice, and options a list")
    if form == "yes_no" and answer not in ("Yes", "No"):
        raise InputError(f"a yes_no gold is Yes or No, not {answer!r}")
    if form == "choice" and (answer not in options or len(set(options)) < 2):
        raise InputError(f"a choice gold needs two options or more, its answer {answer!r} among them")
    return FilingGold(form, Form(Wanted(wanted), tuple(map(str, options))), answer)


class FilingVerifier:
    """Judges answers to filing questions; see the module.

    Args:
        handle: Name of the prompt handle that holds the document's path.
    """

    name = "filing"
    version = "1"

    def __init__(self, handle: str = "document") -> None:
        self._handle = handle

    def grade(self, prompt: Prompt, gold: Any, response: str, finish_reason: str) -> Verdict:
        """Judge one response (`tao_bench.verify.verdict.Verifier`)."""
        try:
            target = read_filing_gold(gold)
            path = prompt.handles.get(self._handle)
            document = load_document(Path(path)) if path else _EMPTY_DOCUMENT
        except InputError as error:
            return failed(Status.VERIFIER_ERROR, "", error.what)
        if finish_reason == "length":
            return failed(Status.TRUNCATED, "", "length")
        try:
            said = read_filing(response, target.wanted, document)
        except AnswerError as error:
            return _unread(response, error, target, document)
        return _judge(said, target, response, document)

    def close(self) -> None:
        """Nothing to release."""


def _judge(said: Said, gold: FilingGold, response: str, document: Document) -> Verdict:
    number = gold.number
    if gold.form == "unanswerable":
        return correct(said.line, "refusal") if said.refused else failed(Status.WRONG, said.line, "unanswerable")
    if said.refused or said.hedged:
        return failed(Status.WRONG, said.line, "refusal")
    if number is None:
        return correct(said.word) if said.word == gold.answer else failed(Status.WRONG, said.word, "value")
    if said.answer is not None and ("^" in said.line or "**" in said.line):
        return judge(None, said.answer.value, number, said.line)
    return grade_text(response, "stop", number, document)


def _unread(response: str, error: AnswerError, gold: FilingGold, document: Document) -> Verdict:
    """A response whose last line is in no known form: number@1 may still find one number in a sentence."""
    if error.code == "empty":
        return failed(Status.UNPARSABLE, "", "empty")
    number = gold.number
    if gold.form == "unanswerable":  # whatever it is, it does not say that the report lacks the line
        return failed(Status.WRONG, final_line(response), "unanswerable")
    if number is None:
        return failed(Status.UNPARSABLE, "", error.code)
    if "^" in final_line(response) or "**" in final_line(response):
        wrong = error.code in ("bad_citation", "division_by_zero", "out_of_range")
        return failed(Status.WRONG if wrong else Status.UNPARSABLE, final_line(response) if wrong else "", error.code)
    return grade_text(response, "stop", number, document)
