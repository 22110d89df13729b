"""Numeric golds of questions on filings, against the number that an answer concludes.

Follows the grader that was measured against 2,400 human verdicts on FinanceBench answers: the unit comes from the
question, the tolerance from the gold's own printed precision, and only the conclusion of an answer is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

from tao.answers.conclusion import announces, clean, is_copy, pieces, states, without_documents, without_listed
from tao.answers.expression import AnswerError, parse
from tao.answers.quantities import Quantity, find_quantities, plain_text
from tao.answers.question import Kind, Question
from tao.answers.refusal import apologises, refuses
from tao_bench.verify.verdict import Status, Verdict, correct, failed

RELATIVE_TOLERANCE = Decimal("0.002")
MAX_NUMBERS = 6
"""A sentence with more numbers than this lists, it does not conclude."""
SHOWN_CHARS = 200
FRACTION_BELOW = 3
"""A bare number below this may be a fraction that stands for a percentage (0.654 for 65.4 %)."""

_DECLINE = re.compile(
    r"\b(?:declin|decreas|negativ|loss|lower|drop|fell\b|fall|reduc|shr[aiu]nk|down\b|deficit|contract)", re.IGNORECASE
)
_SUPPOSES = re.compile(r"\b(?:would be|if|assum\w+|suppos\w+|hypothetical\w*|for example|e\.g)\b", re.IGNORECASE)
_DATED = re.compile(
    r"\b(?:in|of|since|by|from|to|until|and|for|during|fiscal|fy|years?|ended|end|[a-z]{3,9}\.?\s\d{1,2},)\s$",
    re.IGNORECASE,
)
_LOOK_BACK = 24
_DIGIT = re.compile(r"\d")
_WORD = re.compile(r"[A-Za-z]{2}")
_NIL = re.compile(r"\b(?:zero|nil|none)\b", re.IGNORECASE)
_NUMERIC_TEXT = re.compile(
    r"\s*[-+~(]{0,2}\s?(?:(?:us)?[$€£¥]|usd|eur|gbp)?\s?[-(]?(?:\d[\d,]*(?:\.\d+)?|\.\d+)\)?\s?"
    r"(?:%|percent|bps|x|times|days|thousand|million|billion|trillion|mn|mm|bn|tn|[kmbt])?\s?(?:usd|eur|dollars)?\)?\.?\s*",
    re.IGNORECASE,
)
_ARITHMETIC = re.compile(r"[-+*/()×·÷\d\s.,$%]+")
_TO_ONE = re.compile(r"(?<![\w.,])(\d{1,3}(?:\.\d+\s?|(?=:1)))\s?:\s?1(?:\.0+)?(?![\d.,]*\d)")
_OR = re.compile(r"\s?\)?,?\s?\bor\s(?:(?:about|approximately|around|roughly|perhaps|maybe|even)\s)?[$(~-]{0,3}")
_COMMA = re.compile(r"\s?\)?,\s[$(~-]{0,3}")
_AND = re.compile(r"\s?\)?\sand\s(?:about\s)?[$(~-]{0,3}")
_BETWEEN = re.compile(r"\bbetween\s(?:about\s)?[$(~-]{0,3}$", re.IGNORECASE)
_DENIED = re.compile(r"(?:\bnot|n't)\s(?:(?:be|equal|exactly|to)\s){0,2}[$(~-]{0,3}$", re.IGNORECASE)
_SAME = Decimal("0.01")
_YEAR_AFTER = re.compile(r"\)?\s(?:in|for)\s(?:the\s)?(?:fiscal\s)?(?:year\s)?(?:fy\s?)?(20\d\d)\b", re.IGNORECASE)
_YEAR_BEFORE = re.compile(r"\b(?:fy\s?|fiscal\s(?:year\s)?|in\s)(20\d\d)\b", re.IGNORECASE)
_ANSWER = re.compile(r"\banswer\b", re.IGNORECASE)
_CLAUSE = re.compile(r"[;,]")
_FROM = re.compile(r"\bfrom\s(?:about\s)?[$(~-]{0,3}$", re.IGNORECASE)
_TO = re.compile(r"^\)?\sto\s(?:about\s)?[$(~-]{0,3}$", re.IGNORECASE)
_YEARS = re.compile(r"(?:\bFY\s?|\b)(20\d\d)\b|(?:\bFY\s?|')(\d\d)\b", re.IGNORECASE)
_RELATIVE = re.compile(r"\b(?:prior|previous|preceding|last|next|following)\b", re.IGNORECASE)
_OPERATOR = re.compile(r"\d\)?\s*[-+*/×÷]\s*[($]?\d")


@dataclass(frozen=True, slots=True)
class NumberGold:
    """A number to hold answers against.

    Attributes:
        value: In the unit of the question.
        kind: ``amount`` (money), ``percent`` or ``ratio`` (also counts and days).
        power: The unit's power of ten (6 for millions), None where none is named.
        tolerance: Largest accepted absolute difference.
    """

    value: Decimal
    kind: Kind
    power: int | None
    tolerance: Decimal


def is_numeric(gold: str) -> bool:
    """Whether a gold is one number and nothing else, as ``$1577.00``, ``-3.7`` or ``65.4%``."""
    return _NUMERIC_TEXT.fullmatch(plain_text(gold)) is not None


def printed_tolerance(digits: str, decimals: int | None = None) -> Decimal:
    """One unit in the last significant printed place; half a unit where the gold has a single significant digit.

    Args:
        digits: The gold's digits without sign and commas. Zeros at the end of decimals are spreadsheet format, not
            precision (``1577.00``, ``8.70``).
        decimals: Decimals that the question asks for; they count as printed.
    """
    whole, _, part = digits.partition(".")
    part = part.rstrip("0")
    places = max(len(part), decimals or 0)
    unit = Decimal(1).scaleb(-places)
    significant = len((whole + part.ljust(places, "0")).lstrip("0"))
    return unit / 2 if significant <= 1 else unit


@lru_cache(maxsize=4096)
def read_number_gold(
    text: str, question: Question, unit: Kind = "", power: int | None = None, decimals: int | None = None
) -> NumberGold | None:
    """Read a numeric gold in the light of its question.

    Args:
        text: The gold as printed.
        question: What the question says about unit and decimals.
        unit: Kind of the gold where the label row says it; '' to infer it from the gold, then the question.
        power: Power of ten of its unit where the label row says it.
        decimals: Decimals it was rounded to where the label row says it.

    Returns:
        The gold; None where the text holds no number.
    """
    found = find_quantities(plain_text(text), years=True)
    if not found:
        return None
    quantity = found[0]
    digits = re.sub(r"[^\d.]", "", plain_text(text)[quantity.start : quantity.end]).rstrip(".")
    kind = unit or ("percent" if quantity.percent else "amount" if quantity.currency or quantity.power else "")
    if not kind:
        kind = question.kind or "ratio"
        if kind == "percent" and abs(quantity.value) < 1:
            kind = "ratio"
    scale = power if power is not None else (quantity.power or question.power)
    if quantity.value == 0:
        return NumberGold(quantity.value, kind, scale, Decimal(0))  # nothing is as good as zero but zero
    places = printed_tolerance(digits, decimals if decimals is not None else question.decimals)
    return NumberGold(quantity.value, kind, scale, max(places, abs(quantity.value) * RELATIVE_TOLERANCE))


def _readings(number: Quantity, gold: NumberGold) -> Iterator[Decimal]:
    """The values in the gold's unit that a number may stand for; none where its own unit contradicts the gold's."""
    if gold.value == 0:
        yield number.value  # none of anything is none
    elif gold.kind == "amount":
        if number.percent:
            return
        if number.power:
            yield number.value.scaleb(number.power - (gold.power or 0))
            if gold.power is None:  # nobody named a scale, so the gold may be printed in the answer's own
                yield number.value
            return
        yield number.value
        if gold.power:
            yield number.value.scaleb(-gold.power)
    elif gold.kind == "percent":
        if number.power or number.currency:
            return
        yield number.value
        if not number.percent and abs(number.value) < FRACTION_BELOW:
            yield number.value.scaleb(2)
    else:
        if number.power:
            return
        yield number.value.scaleb(-2) if number.percent else number.value


def agrees(number: Quantity, gold: NumberGold, sentence: str = "") -> bool:
    """Whether a number is the gold's.

    Signs are presentation for amounts (an outflow in parentheses); for percentages and ratios they must agree, but
    a bare number may stand for a negative gold where the sentence says decline, loss or negative.
    """
    for value in _readings(number, gold):
        if abs(value - gold.value) <= gold.tolerance:
            return True
        if abs(value + gold.value) <= gold.tolerance and (
            gold.kind == "amount" or number.either or (value > 0 > gold.value and _DECLINE.search(sentence))
        ):
            return True
    return False


def compare(number: Quantity, gold: NumberGold, sentence: str = "") -> str:
    """``equal``, or the kind of miss: ``unit``, ``sign``, ``scale`` or ``value`` (see `agrees`)."""
    if agrees(number, gold, sentence):
        return "equal"
    result = "unit"
    for value in _readings(number, gold):
        if abs(value + gold.value) <= gold.tolerance:
            return "sign"
        shifted = (abs(value).scaleb(power) for power in (2, 3, 6, -2, -3, -6))
        if any(abs(each - abs(gold.value)) <= gold.tolerance for each in shifted):
            return "scale"
        result = "value"
    return result


def _tail(sentence: str) -> str:
    return sentence.rpartition("=")[2] if "=" in sentence else sentence


def _evaluated(text: str) -> Quantity | None:
    """The value of a text that is arithmetic and nothing else, as ``(1196 + 636) / 2``."""
    if not _ARITHMETIC.fullmatch(text) or not _OPERATOR.search(text):
        return None
    try:
        value: Fraction = parse(text.replace("$", "").replace("%", "").strip(" .")).evaluate(_no_cell)
    except AnswerError:
        return None
    return Quantity(Decimal(value.numerator) / Decimal(value.denominator))


def _no_cell(citation: str) -> Fraction:
    raise AnswerError("bad_citation", citation)


def stated(sentence: str, years: bool = False, asked: Sequence[int] = ()) -> list[Quantity]:
    """The numbers a sentence concludes with: after its last ``=``, and an expression by its value.

    Left out are numbers that are denied (``not $5``), left open (``4 or 5``, ``between 4 and 5``), where a change
    started (``from 4 to 5``), and those of another year than the question's.

    Args:
        sentence: The sentence.
        asked: Years that the question names.
        years: The amount sought looks like a year, so that one may be meant wherever nothing says that it is a date.
    """
    tail = _tail(sentence).strip()
    if ":" in tail:
        tail = _TO_ONE.sub(r"\1", tail)
    value = _evaluated(tail)
    if value is not None:
        return [value]
    numbers = find_quantities(tail, years=years)
    if years:
        numbers = [each for each in numbers if not _DATED.search(tail[max(0, each.start - _LOOK_BACK) : each.start])]
    if len(numbers) > 1 and not _WORD.search(tail):
        return []  # numbers in a row state nothing
    return _settled(tail, numbers, asked)


def _settled(text: str, numbers: Sequence[Quantity], asked: Sequence[int]) -> list[Quantity]:
    """The numbers that `stated` does not leave out; all of them where there are too many to conclude anything."""
    if len(numbers) > MAX_NUMBERS:
        return list(numbers)
    dated, denies = bool(asked) and "20" in text, "not" in text.lower() or "n't" in text.lower()
    if len(numbers) == 1 and not dated and not denies:
        return list(numbers)
    kept: list[Quantity] = []
    left_open = False
    for index in range(len(numbers) - 1, -1, -1):
        number = numbers[index]
        before = text[max(0, number.start - _LOOK_BACK) : number.start]
        year = _year_of(text, numbers, index) if dated else None
        started = False
        if index + 1 < len(numbers):
            following = numbers[index + 1]
            link = text[number.end : following.start]
            either = _OR.fullmatch(link) is not None and not _restates(number, following)
            between = _AND.fullmatch(link) is not None and _BETWEEN.search(before) is not None
            if (either or between) and kept and kept[-1] is following:
                kept.pop()
            left_open = either or between or (left_open and _COMMA.fullmatch(link) is not None)
            started = year is None and _TO.match(link) is not None and _FROM.search(before) is not None
        other_year = year is not None and not min(asked) <= year <= max(asked)
        if not (left_open or started or other_year or (denies and _DENIED.search(before))):
            kept.append(number)
    return kept[::-1]


@lru_cache(maxsize=4096)
def _years_of(question: str) -> tuple[int, ...]:
    """The years that a question names; none where it also counts from them (``the prior year``)."""
    if _RELATIVE.search(question):
        return ()
    return tuple(int(full or f"20{short}") for full, short in _YEARS.findall(plain_text(question)))


def _year_of(text: str, numbers: Sequence[Quantity], index: int) -> int | None:
    """The year that the words directly after a number name, else those of its clause before it."""
    if match := _YEAR_AFTER.match(text, numbers[index].end):
        return int(match[1])
    clause = _CLAUSE.split(text[numbers[index - 1].end if index else 0 : numbers[index].start])[-1]
    before = _YEAR_BEFORE.findall(clause)
    return int(before[-1]) if before else None


def _restates(one: Quantity, other: Quantity) -> bool:
    """Whether two numbers are one in other units (``0.124 or 12.4 %``, ``$1,577 million or $1.58 billion``)."""
    a, b = (abs(each.value).scaleb(-each.value.adjusted()) for each in (one, other))
    return abs(a - b) <= _SAME * max(a, b)


def zone(
    parts: Sequence[str], question: str = "", years: bool = False, announced: int = 2
) -> list[tuple[int, list[Quantity]]]:
    """Sentences that conclude with a number, each with its numbers: the last, the first, the last that announce one.

    Of sentences that speak of the answer only the last counts, with what follows it.

    Args:
        parts: The answer's pieces; those that state nothing are passed over.
        question: The question; repeating it states nothing, and another year than its is not asked for.
        years: See `stated`.
        announced: How many of the last sentences that announce a result count.

    Returns:
        Index of the sentence and its numbers, the most conclusive first.
    """

    def said(part: str) -> list[Quantity]:
        return stated(part, years, asked) if _DIGIT.search(part) and states(part, question) else []

    asked = _years_of(question)
    found: dict[int, list[Quantity]] = {}
    cues = 0
    for index in range(len(parts) - 1, -1, -1):
        last = not found
        cue = cues < announced and announces(parts[index])
        if (last or cue) and (numbers := said(parts[index])):
            found[index] = numbers
            cues += cue
        if cues >= announced:
            break
    answers = [index for index in found if _ANSWER.search(parts[index])]
    if answers:  # what it calls its answer, the last one of them, takes back what it said before
        return [(index, numbers) for index, numbers in found.items() if index >= max(answers)]
    for index, part in enumerate(parts):
        if index in found:
            break
        if numbers := said(part):
            found[index] = numbers
            break
    return list(found.items())


def judge_number(answer: str, gold: NumberGold, question: str = "", context: str = "") -> Verdict:
    """Judge an answer's text against a numeric gold.

    Args:
        answer: The answer as given.
        gold: The number it must conclude with.
        question: The question; repeating it states nothing.
        context: The whole prompt; an answer that only copies from it is none.
    """
    text = without_documents(clean(answer))
    parts = without_listed(pieces(text))
    if not text.strip():
        return failed(Status.UNPARSABLE, "", "empty")
    if context and is_copy(parts, context):
        return failed(Status.WRONG, "", "copied")
    concluded = zone(parts, question, _like_year(gold.value))
    for index, numbers in concluded:
        if len(numbers) > MAX_NUMBERS or (gold.value == 0 and len(parts) > 1 and not _asserts(parts[index])):
            continue
        right = next((number for number in numbers if agrees(number, gold, parts[index])), None)
        if right is not None:
            if apologises(text) or (not announces(parts[index]) and refuses(text)):
                return failed(Status.WRONG, _written(right), "refusal")
            return correct(_written(right))
    if gold.value == 0 and any(_NIL.search(part) and not _SUPPOSES.search(part) for part in (parts[:1] + parts[-1:])):
        return correct("0")
    shown, reason = _miss(parts, concluded, gold)
    if refuses(text):
        return failed(Status.WRONG, shown, "refusal")
    if reason:
        return failed(Status.WRONG, shown, reason)
    unsettled = next((part for part in parts if states(part, question) and _may_state(part)), "")
    return (
        failed(Status.WRONG, unsettled[:SHOWN_CHARS], "unsettled")
        if unsettled
        else failed(Status.UNPARSABLE, "", "no_number")
    )


def _may_state(part: str) -> bool:
    """Whether a piece holds a number beside words, which `stated` may have left out."""
    return _WORD.search(part) is not None and bool(find_quantities(_tail(part)))


def _miss(parts: Sequence[str], concluded: Sequence[tuple[int, list[Quantity]]], gold: NumberGold) -> tuple[str, str]:
    """The number that came closest in kind and how it misses; the first one's where all miss by their value."""
    shown = reason = ""
    for index, numbers in concluded:
        if len(numbers) > MAX_NUMBERS:
            reason = reason or "many_numbers"
            continue
        for number in numbers:
            result = compare(number, gold, parts[index])
            if reason in ("", "many_numbers") or (reason in ("value", "unit") and result in ("sign", "scale")):
                shown, reason = _written(number), "value" if result == "equal" else result
    return shown, reason


def _like_year(value: Decimal) -> bool:
    return value == value.to_integral_value() and 1900 <= abs(value) <= 2099


def _asserts(sentence: str) -> bool:
    """Whether a sentence says something of its number and does not only suppose it."""
    return _WORD.search(sentence) is not None and _SUPPOSES.search(sentence) is None


def _written(number: Quantity) -> str:
    words = {0: "", 3: " thousand", 6: " million", 9: " billion", 12: " trillion"}
    return f"{number.value:f}{words.get(number.power, '')}{' %' if number.percent else ''}"
