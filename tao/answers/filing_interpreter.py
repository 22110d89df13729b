"""What an answer to a filing question means (`tao.meaning.Interpreter`): numbers as `number` reads them, and words."""

from __future__ import annotations

from collections.abc import Sequence

from tao.answers.document import Document
from tao.answers.expression import AnswerError
from tao.answers.filing import Form, read_filing, read_form
from tao.answers.interpreter import _FAILURES, NumberInterpreter
from tao.answers.number import canonical
from tao.answers.reading import says_nothing
from tao.errors import InputError
from tao.meaning import Outcome, Reading
from tao.prompts import Prompt

REFUSED = "refused"
"""Key of a refusal; no number, option or polarity can have it (they carry a prefix)."""


class FilingInterpreter(NumberInterpreter):
    """Reads numbers, Yes and No, named options and refusals; needs no gold.

    Keys: ``yes``, ``no``; ``option:...`` in the prompt's own spelling, folded; ``refused``, however it is put; a
        number's
    canonical spelling, and for numbers all that `NumberInterpreter` asks for (a typed constant that the document
    does not
    print gets no vote). An answer in another form than its prompt wants is ``invalid``, a refusal that offers an
    answer too.

    Args:
        handle: Name of the prompt handle that holds the document's path.
    """

    name = "filing"
    version = "1"

    def read(self, prompt: Prompt, answers: Sequence[str]) -> list[Reading]:
        """One reading per answer, in order. A document that cannot be opened makes them all ``unscored``."""
        try:
            document = self._document(prompt)
        except InputError as error:
            return [Reading(Outcome.UNSCORED, detail=str(error))] * len(answers)
        form = read_form(prompt)
        return [_read(answer, form, document) for answer in answers]


def _read(text: str, form: Form, document: Document) -> Reading:
    try:
        said = read_filing(text, form, document)
    except AnswerError as error:
        outcome = Outcome.FAILED if error.code in _FAILURES else Outcome.INVALID
        return Reading(outcome, detail=error.message)
    if said.hedged:
        return Reading(Outcome.INVALID, detail="declines and offers an answer")
    if said.refused:
        return Reading(Outcome.OK, REFUSED)
    if said.word:
        return Reading(Outcome.OK, f"option:{said.word.casefold()}" if form.options else said.word.casefold())
    answer = said.answer
    if answer is None or not answer.grounded(document):
        return Reading(Outcome.INVALID, detail="cites no line")
    value = answer.value * (answer.number.scale if answer.number else 1)
    if says_nothing(answer, document):
        return Reading(Outcome.EMPTY, canonical(value), "the cited lines cancel out")
    return Reading(Outcome.OK, canonical(value))
