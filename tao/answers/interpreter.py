"""What a numeric answer means: the value of its expression over the prompt's document (`tao.meaning.Interpreter`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tao.answers.document import Document, load_document
from tao.answers.expression import AnswerError
from tao.answers.number import canonical
from tao.answers.reading import read_answer, says_nothing
from tao.errors import InputError
from tao.meaning import Outcome, Reading
from tao.prompts import Prompt

_FAILURES = ("division_by_zero", "out_of_range")
_CACHED_DOCUMENTS = 256


class NumberInterpreter:
    """Reads numbers and cited expressions; needs no gold, no process, no connection.

    Readings: ``invalid`` where an answer does not parse, cites what does not exist, or rests on nothing in the
    document (a typed constant may be right, but nothing shows that it is not a guess, so it gets no vote; a value
    that the document prints may be typed out); ``failed`` on division by zero or beyond 10**18; ``empty`` where the
    cells cited cancel out; else ``ok`` with the value's canonical spelling as key.

    Args:
        handle: Name of the prompt handle that holds the document's path.
    """

    name = "number"
    version = "1"

    def __init__(self, handle: str = "document") -> None:
        self._handle = handle
        self._documents: dict[str, Document] = {}

    def read(self, prompt: Prompt, answers: Sequence[str]) -> list[Reading]:
        """One reading per answer, in order. A document that cannot be opened makes them all ``unscored``."""
        try:
            document = self._document(prompt)
        except InputError as error:
            return [Reading(Outcome.UNSCORED, detail=str(error))] * len(answers)
        return [_read(answer, document) for answer in answers]

    def close(self) -> None:
        """Forget the documents read so far."""
        self._documents.clear()

    def _document(self, prompt: Prompt) -> Document:
        path = prompt.handles.get(self._handle)
        if path is None:
            raise InputError(f"the prompt has no handle {self._handle!r}", prompt.id)
        if path not in self._documents:
            if len(self._documents) >= _CACHED_DOCUMENTS:
                self._documents.clear()
            self._documents[path] = load_document(Path(path))
        return self._documents[path]


def _read(text: str, document: Document) -> Reading:
    try:
        answer = read_answer(text, document)
    except AnswerError as error:
        outcome = Outcome.FAILED if error.code in _FAILURES else Outcome.INVALID
        return Reading(outcome, detail=error.message)
    if not answer.grounded(document):
        return Reading(Outcome.INVALID, detail="cites no line")
    value = answer.value * (answer.number.scale if answer.number else 1)
    if says_nothing(answer, document):
        return Reading(Outcome.EMPTY, canonical(value), "the cited lines cancel out")
    return Reading(Outcome.OK, canonical(value))
