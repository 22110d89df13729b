"""Verifier ``finance@1``: answers in prose to questions on filings, numbers and text, by rules and without a model.

Gold: ``{"question": "What is ... (in USD millions)?", "answer": "$1577.00", "kind": "number"}``. ``kind`` is
``number`` or ``text`` and may be left out: a gold that is one number is numeric. A gold that says itself that
the question cannot be answered (``cannot be determined``) wants a refusal. A numeric gold may carry what its question
does not say: ``unit`` (``percent``, ``ratio``, ``amount``, ``days``), ``scale`` (1000 for thousands), ``decimals``.
Further keys are for people; nothing here reads them.

How well it agrees with people is measured by ``tao-bench agreement`` (`tao_bench.agreement`), and reported in
``results/finance_agreement.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from tao.answers.conclusion import clean
from tao.answers.document import load_document
from tao.answers.expression import AnswerError
from tao.answers.number import canonical
from tao.answers.quantities import Quantity
from tao.answers.question import Kind, read_question
from tao.answers.reading import final_line, read_answer
from tao.answers.refusal import refuses
from tao.errors import InputError
from tao.prompts import Prompt
from tao_bench.verify.finance_gold import TextGold, read_text_gold
from tao_bench.verify.finance_number import NumberGold, compare, is_numeric, judge_number, read_number_gold
from tao_bench.verify.finance_text import judge_text
from tao_bench.verify.verdict import Status, Verdict, correct, failed

KINDS = ("number", "text")
UNITS: dict[str, Kind] = {"percent": "percent", "ratio": "ratio", "amount": "amount", "days": "ratio"}


@dataclass(frozen=True, slots=True)
class Unanswerable:
    """A gold that says that its question cannot be answered."""


Gold = NumberGold | TextGold | Unanswerable


def gold_kind(gold: Mapping[str, Any]) -> str:
    """``number`` or ``text``: as the label row says, else by the look of its answer."""
    named = gold.get("kind")
    return str(named) if named else "number" if is_numeric(str(gold.get("answer", ""))) else "text"


def read_finance_gold(gold: Any, asked: str = "") -> Gold:
    """Validate a label row's gold and understand it.

    Args:
        gold: See the module.
        asked: The question, where the gold does not hold it.

    Raises:
        InputError: No answer, an unknown kind or unit, a numeric gold without a number, a scale that is no power of 10.
    """
    shape = 'a finance gold is {"question": "...", "answer": "$1577.00", "kind": "number"}'
    if not isinstance(gold, Mapping) or not isinstance(gold.get("answer"), str | int | float):
        raise InputError("the gold has no answer", fix=shape)
    answer, question = str(gold["answer"]), str(gold.get("question") or asked)
    kind = gold_kind(gold)
    if kind not in KINDS:
        raise InputError(f"kind {kind!r} is neither number nor text", fix=shape)
    if not answer.strip():
        raise InputError("the gold's answer is empty", fix=shape)
    if kind == "text":
        return Unanswerable() if _is_refusal(answer) else read_text_gold(question, answer, _offered(gold))
    unit = gold.get("unit") or ""
    if unit and unit not in UNITS:
        raise InputError(f"unknown unit {unit!r}", fix=f"unit is one of {', '.join(UNITS)}")
    decimals = gold.get("decimals")
    if decimals is not None and not (isinstance(decimals, int) and 0 <= decimals <= 12):
        raise InputError(f"decimals {decimals!r} is no count of decimals")
    number = read_number_gold(answer, read_question(question), UNITS.get(unit, ""), _power(gold.get("scale")), decimals)
    if number is None:
        raise InputError(f"no number in the gold {answer[:40]!r}", fix="kind text, or a number")
    return number


def _offered(gold: Mapping[str, Any]) -> tuple[str, ...]:
    options = gold.get("options") or ()
    if isinstance(options, str) or not all(isinstance(option, str) for option in options):
        raise InputError("options of a gold must be a list of texts")
    return tuple(options)


def _is_refusal(answer: str) -> bool:
    return len(answer) <= 120 and refuses(answer)


def _power(scale: Any) -> int | None:
    if scale is None:
        return None
    text = str(scale)
    if not isinstance(scale, int) or text.rstrip("0") != "1":
        raise InputError(f"scale {scale!r} is no power of ten", fix="write 1, 1000, 1000000 or 1000000000")
    return len(text) - 1


class FinanceVerifier:
    """Judges answers in prose.

    An answer whose last line is a number or an expression over cells of the prompt's document (`tao.answers.reading`)
    is judged by that line alone; any other by its conclusion.

    Args:
        handle: Name of the prompt handle that holds a document's path, where a prompt has one.
    """

    name = "finance"
    version = "1"

    def __init__(self, handle: str = "document") -> None:
        self._handle = handle

    def grade(self, prompt: Prompt, gold: Any, response: str, finish_reason: str) -> Verdict:
        """Judge one response (`tao_bench.verify.verdict.Verifier`)."""
        try:
            target = read_finance_gold(gold, prompt.messages[-1].content)
        except InputError as error:
            return failed(Status.VERIFIER_ERROR, "", error.what)
        if finish_reason == "length":
            return failed(Status.TRUNCATED, "", "length")
        if isinstance(target, Unanswerable):
            text = clean(response)
            return correct("", "refusal") if refuses(text) else failed(Status.WRONG, text[:200], "unwarranted_answer")
        context = "\n".join(message.content for message in prompt.messages)
        if isinstance(target, TextGold):
            return judge_text(response, target, context=context)
        path = prompt.handles.get(self._handle)
        if path:
            cited = self._cited(response, target, Path(path))
            if cited is not None:
                return cited
        return judge_number(response, target, str(gold.get("question") or prompt.messages[-1].content), context)

    def close(self) -> None:
        """Nothing to release."""

    def _cited(self, response: str, gold: NumberGold, path: Path) -> Verdict | None:
        """The verdict on a last line that is an expression over cells; None where it is none."""
        if "[" not in final_line(response[-2000:]):
            return None
        try:
            answer = read_answer(response, load_document(path))
        except AnswerError as error:
            return None if error.code in ("syntax", "empty", "too_long") else failed(Status.WRONG, "", error.code)
        except InputError as error:
            return failed(Status.VERIFIER_ERROR, "", error.what)
        if answer.expression is None:
            return None
        value = Decimal(answer.value.numerator) / Decimal(answer.value.denominator)
        shown = f"{answer.text} = {canonical(answer.value)}"
        result = compare(Quantity(value), gold)
        return correct(shown) if result == "equal" else failed(Status.WRONG, shown, result)
