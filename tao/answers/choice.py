"""Answers out of a closed set of labels: one of them, or several; their meaning without a gold.

The deployment form is one line: a label, or several separated by commas, semicolons or bars, or a JSON list of them. Of
a longer text only the last line counts (`tao.answers.reading.final_line`). A word that is no label makes the whole
answer invalid: nothing is guessed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from tao.answers.reading import final_line
from tao.errors import InputError
from tao.meaning import Outcome, Reading
from tao.prompts import Prompt

MAX_CHARS = 2000
_SEPARATORS = re.compile(r"\s*[,;|]\s*")
_LEAD = re.compile(r"(?:the\s+)?(?:labels?|categor(?:y|ies)|class(?:es)?)\s*(?:is\b|are\b|[:=])\s*", re.IGNORECASE)


def fold(label: str) -> str:
    """What does not matter in a label: case, quotes around it and runs of white space."""
    return " ".join(label.strip().strip("\"'`").split()).casefold()


class Choices:
    """A closed set of labels and how answers name them.

    Args:
        choices: The labels, at least two.
        several: Whether an answer may name more than one.
        none: The word that names none of them, where `several` answers may be empty; '' if that is no answer.

    Raises:
        InputError: Fewer than two labels, two that differ in case alone, or one that holds a separator.
    """

    def __init__(self, choices: Sequence[str], several: bool = False, none: str = "") -> None:
        if (
            isinstance(choices, str)
            or len(choices) < 2
            or not all(isinstance(one, str) and fold(one) for one in choices)
        ):
            raise InputError(
                "choices must be a list of two or more labels", "answer_options.choices", "quote labels like yes, no, 1"
            )
        self.several, self.none = several, fold(none)
        self.labels = {fold(one): one for one in choices}
        if len(self.labels) < len(choices) or (self.none and self.none in self.labels):
            raise InputError("two labels differ in case alone, or `none` is a label", "answer_options.choices")
        if several and any(_SEPARATORS.search(one) for one in choices):
            raise InputError("a label holds a comma, semicolon or bar", "answer_options.choices", "rename it")

    def read(self, text: str) -> frozenset[str]:
        """The labels an answer names, as they were declared.

        Raises:
            ValueError: Nothing was said, a word is no label, or there are several where one is asked for.
        """
        line = final_line(text)
        line = _LEAD.sub("", line, count=1) if _LEAD.match(line) else line
        if not line or len(line) > MAX_CHARS:
            raise ValueError("empty" if not line else "too_long")
        if fold(line) in self.labels:
            return frozenset((self.labels[fold(line)],))
        if self.several and self.none and fold(line) == self.none:
            return frozenset()
        parts = _parts(line)
        unknown = [part for part in parts if fold(part) not in self.labels]
        if unknown or not parts:
            raise ValueError("no_label")
        if not self.several and len(parts) > 1:
            raise ValueError("several_labels")
        return frozenset(self.labels[fold(part)] for part in parts)


def _parts(line: str) -> list[str]:
    if line.startswith("["):
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            return []
        return found if isinstance(found, list) and all(isinstance(part, str) for part in found) else []
    return [part for part in _SEPARATORS.split(line) if part]


class ChoiceInterpreter:
    """Reads labels; needs no gold, no process, no connection (`tao.meaning.Interpreter`).

    Args:
        choices: See `Choices`.
        several: See `Choices`.
        none: See `Choices`.
    """

    name = "choice"
    version = "1"

    def __init__(self, choices: Sequence[str], several: bool = False, none: str = "") -> None:
        self._choices = Choices(choices, several, none)

    def read(self, prompt: Prompt, answers: Sequence[str]) -> list[Reading]:
        """One reading per answer, in order; the key is the sorted set of labels. Naming none is a vote too."""
        return [self._read(answer) for answer in answers]

    def close(self) -> None:
        """Nothing to release."""

    def _read(self, answer: str) -> Reading:
        try:
            named = self._choices.read(answer)
        except ValueError as error:
            return Reading(Outcome.INVALID, detail=str(error))
        return Reading(Outcome.OK, json.dumps(sorted(named), ensure_ascii=False))
