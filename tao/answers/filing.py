"""Answers to questions on filings: a number or expression, Yes or No, one of the named options, or a refusal.

Which form a prompt wants is read from its text, as any deployed application would have to: a question that says
``Yes or No`` wants one of the two, one that says ``one of: A; B; C`` wants one of those, any other wants a number.
Every question may also be declined: a report may not show what is asked for. As in `tao.answers.reading` only the
last line of an answer counts. No gold is needed, so votes and verifiers share this reading.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from tao.answers.document import Document, citation_key
from tao.answers.expression import AnswerError
from tao.answers.number import find_numbers
from tao.answers.power import parse_powers
from tao.answers.reading import Answer, final_line, read_answer
from tao.prompts import Prompt

CANNOT = "cannot be determined"
"""How a refusal is written in deployment form."""


class Wanted(StrEnum):
    """The form of answer that a prompt asks for."""

    NUMBER = "number"
    YES_NO = "yes_no"
    CHOICE = "choice"


@dataclass(frozen=True, slots=True)
class Form:
    """What a prompt wants, and the options it names (of a choice)."""

    wanted: Wanted
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Said:
    """What an answer says: exactly one of number, word (``yes``, ``no`` or an option) and refusal.

    Attributes:
        line: The line that was read.
        answer: A number or expression, evaluated.
        word: ``Yes``, ``No`` or the option, as the form spells it.
        refused: It declines and offers no answer.
        hedged: It declines and offers one all the same.
    """

    line: str
    answer: Answer | None = None
    word: str = ""
    refused: bool = False
    hedged: bool = False


_YES_NO = re.compile(r"\byes or no\b", re.IGNORECASE)
_ONE_OF = re.compile(r"\bone of: (?P<options>[^\n]+)", re.IGNORECASE)
_POLARITY = re.compile(r"\W{0,3}(?P<word>yes|no)\b(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_REFUSAL = re.compile(
    r"\b(?:can(?:not|'t| ?not)|could(?: not|n't)) (?:\w+ )?"
    r"(?:be|answer|say|tell|determine|compute|calculate|derive|find)\b"
    r"|\b(?:unable|impossible|insufficient|undetermined|indeterminate|unanswerable)\b"
    r"|\bnot (?:\w+ly )?(?:possible|enough|sufficient|determinable|answerable|computable|provided|given|available|"
    r"disclosed|stated|shown|reported|included|listed|printed|present|contained|found|known)\b"
    r"|\b(?:does|do)(?: not|n't) (?:\w+ly )?"
    r"(?:provide|contain|include|show|state|say|report|list|disclose|give|print|have)\b"
    r"|\b(?:is|are) (?:missing|absent)\b|\bno (?:information|data|such (?:line|row)|answer)\b"
    r"|\bi (?:do not|don't) (?:know|have)\b|^n/?a$|^unknown$",
    re.IGNORECASE,
)
_FIRM = re.compile(
    r"\b(?:can(?:not|'t| ?not)|could(?: not|n't)) be (?:determined|answered|computed|calculated|derived)\b",
    re.IGNORECASE,
)
_BOTH = re.compile(r"\W*(?:and\b|or\b|but\b)?\W*(?P<word>yes|no)\b", re.IGNORECASE)
_LISTED = re.compile(r"(?:^|[;,/|])\s*(?:yes|no)\s*(?:[;,/|]|$)|\]\s*[-+*/^×÷]", re.IGNORECASE)
_CITATION = re.compile(r"\[[^\]]*\]")


def read_form(prompt: Prompt) -> Form:
    """The form of answer a prompt wants, by the words of its last line."""
    lines = prompt.messages[-1].content.rstrip().splitlines()
    question = lines[-1] if lines else ""
    if match := _ONE_OF.search(question):
        return Form(
            Wanted.CHOICE, tuple(part.strip() for part in match["options"].rstrip(". ").split(";") if part.strip())
        )
    return Form(Wanted.YES_NO if _YES_NO.search(question) else Wanted.NUMBER)


def refuses(line: str) -> bool:
    """Whether a line declines to answer; names of cited lines aside."""
    return _REFUSAL.search(_CITATION.sub(" ", line)) is not None


def offers_answer(line: str) -> bool:
    """Whether a line holds an answer beside its refusal.

    That is a number other than a year, an expression, or Yes or No in a list.
    """
    return bool(find_numbers(line)) or _LISTED.search(line) is not None


def read_polarity(line: str) -> str:
    """``Yes`` or ``No``, where a line opens with one and not with both; else ''.

    ``Yes, from 12.3 % to 13.1 %`` is an answer with its reason; ``Yes and no`` is none, nor is ``No, it cannot be
    determined``.
    """
    match = _POLARITY.fullmatch(line)
    if match is None or _FIRM.search(line):
        return ""
    word = match["word"].capitalize()
    second = _BOTH.match(match["rest"])
    return "" if second and second["word"].capitalize() != word else word


def read_choice(line: str, options: tuple[str, ...]) -> str:
    """The one option that a line names; '' if it names none or several. Case and white space do not matter.

    An option within a longer one that is also named ("Cash" in "Operating cash") counts once, as the longer.
    """
    text = citation_key(line)
    found: list[str] = []
    for option in sorted(options, key=len, reverse=True):
        pattern = rf"(?<!\w){re.escape(citation_key(option))}(?!\w)"
        text, count = re.subn(pattern, " ", text)
        if count:
            found.append(option)
    return found[0] if len(found) == 1 else ""


def read_number(line: str, document: Document) -> Answer:
    """A line as a number, an expression, or an expression with powers.

    Raises:
        AnswerError: It is none, cites what does not exist, or divides by zero.
    """
    if "^" not in line and "**" not in line:
        return read_answer(line, document)
    expression = parse_powers(line)
    return Answer(line, expression.evaluate(document.cell), expression=expression)


def read_filing(text: str, form: Form, document: Document) -> Said:
    """Read an answer in the form that its prompt wants.

    Raises:
        AnswerError: It is neither in that form nor a refusal; the code is the number's own, else ``syntax`` or
            ``empty``.
    """
    line = final_line(text)
    if not line:
        raise AnswerError("empty", "empty answer")
    if form.wanted is Wanted.YES_NO and (word := read_polarity(line)):
        return Said(line, word=word)
    if form.wanted is Wanted.CHOICE and not refuses(line) and (word := read_choice(line, form.options)):
        return Said(line, word=word)
    if refuses(line):
        hedged = offers_answer(line)
        return Said(line, refused=not hedged, hedged=hedged)
    if form.wanted is Wanted.NUMBER:
        return Said(line, answer=read_number(line, document))
    wanted = "Yes or No" if form.wanted is Wanted.YES_NO else "one of the options"
    raise AnswerError("syntax", f"is not {wanted}")
