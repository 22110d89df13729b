"""A label-free rule: an answer may not leave out a number or a name that the question mentions.

On execution alone, tuning teaches the model to leave the hard part out: a query without its filter always
runs, so it wins votes, is imitated, and wins more of them (seen here; the tally falls while more answers run).
What the question mentions must show up in the answer, *if* the model itself uses it in any of its
answers to that prompt. The condition keeps the rule from refusing everything where a capitalised
word is no value at all ("Please", "SQL").
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from tao.prompts import Prompt

_TOKEN = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w])|(?<!\w)[A-Z][A-Za-z0-9]*")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_SENTENCE_START = re.compile(r"(?:^|[.?!:]\s+|\n\s*)([A-Z][A-Za-z0-9]*)")


def question_of(prompt: Prompt) -> str:
    """What the last message says after its context, or its last line where no context is named."""
    lines = prompt.messages[-1].content.strip().split("\n")
    context = set(prompt.context)
    last = max((at for at, line in enumerate(lines) if line in context), default=len(lines) - 2)
    return "\n".join(lines[last + 1 :])


def tokens(text: str) -> frozenset[str]:
    """Numbers (without thousands separators) and capitalised words of a text, as written."""
    return frozenset(_TOKEN.findall(_THOUSANDS.sub("", text)))


def mentions(prompt: Prompt) -> frozenset[str]:
    """Numbers and names that a question mentions; a word that merely begins a sentence is no name."""
    question = question_of(prompt)
    starts = _SENTENCE_START.findall(question)
    found = _TOKEN.findall(_THOUSANDS.sub("", question))
    for word in starts:
        if word in found:
            found.remove(word)
    return frozenset(found)


def left_out(prompt: Prompt, answers: Sequence[str]) -> list[str]:
    """What each answer leaves out of the mentions that any answer of the prompt uses.

    Args:
        prompt: The prompt.
        answers: All its answers in deployment form, those that do not work among them.

    Returns:
        For each answer the first mention left out, in alphabetical order; '' where there is none.
    """
    asked = mentions(prompt)
    used = [tokens(answer) & asked for answer in answers]
    binding = frozenset().union(*used)
    return [min(binding - mine, default="") for mine in used]
