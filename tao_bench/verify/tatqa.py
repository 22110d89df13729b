"""Verifier ``tatqa@1``: spans, lists of spans, counts and amounts with a scale, as TAT-QA asks for them.

Gold: ``{"answer": ["$1,204.5"], "type": "span", "scale": "million"}`` as published, and ``"ordered": true`` where the
question says "respectively". The published metric compares texts (`tao_bench.qa.tatqa_metric`); here numbers are
compared as numbers, so that ``1.2045 billion`` and ``-31.3%`` are right where they are, and a list in the wrong order
is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tao.answers.number import Number, find_numbers, parse_number
from tao.answers.text import final_text, is_refusal, polarity, split_spans, words
from tao.errors import InputError
from tao.prompts import Prompt
from tao_bench.verify.verdict import Status, Verdict, correct, failed

POLICIES = ("strict", "official")
SCALES = {"": 1, "thousand": 10**3, "million": 10**6, "billion": 10**9, "percent": 1}
TYPES = ("span", "multi-span", "arithmetic", "count")
DECIMALS = Fraction(1, 100)
"""Golds that were calculated are printed with two decimals of their scale."""
RELATIVE_TOLERANCE = Fraction(2, 1000)
LEAST_F1 = 0.8
_COUNTS = {
    word: n for n, word in enumerate("zero one two three four five six seven eight nine ten eleven twelve".split())
}
_FALL = re.compile(r"\b(?:decreas|declin|fell|fall|drop|reduc|loss|lower|negative|down)", re.IGNORECASE)
_NEGATIONS = frozenset(("no", "not", "never", "none", "without", "cannot", "neither", "nor"))
_SCALE_END = re.compile(r"(?<=[\d)%\]])\s*(thousands?|millions?|billions?|percent|%)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class TatqaGold:
    """What an answer is judged against.

    Attributes:
        spans: The published answer, as texts.
        kind: ``span``, ``multi-span``, ``arithmetic`` or ``count``.
        scale: ``''``, ``thousand``, ``million``, ``billion`` or ``percent``.
        ordered: The order of the spans is part of the answer.
        published: The answer as published, for their metric.
    """

    spans: tuple[str, ...]
    kind: str
    scale: str
    ordered: bool
    published: Any


def read_gold(gold: Any) -> TatqaGold:
    """Validate a label row's gold.

    Raises:
        InputError: It lacks answer, type or scale, or names unknown ones.
    """
    if not isinstance(gold, Mapping) or gold.get("type") not in TYPES or gold.get("scale") not in SCALES:
        raise InputError(
            "a TAT-QA gold needs answer, type and scale", fix=f"type: {', '.join(TYPES)}; scale: {', '.join(SCALES)}"
        )
    answer = gold.get("answer")
    spans = tuple(text for span in (answer if isinstance(answer, list) else [answer]) if (text := str(span).strip()))
    if answer is None or not spans:
        raise InputError("a TAT-QA gold needs an answer that is not empty")
    if gold["type"] in ("arithmetic", "count") and (len(spans) != 1 or parse_number(spans[0]) is None):
        raise InputError(f"an answer of type {gold['type']} is a number", str(answer)[:60])
    return TatqaGold(spans, gold["type"], gold["scale"], bool(gold.get("ordered")), answer)


def _same_number(text: str, gold: Number, kind: str, scale: str, shown: str) -> str:
    """Reason code of a numeric comparison; ``equal...`` where the answer is right.

    Args:
        text: The answer's span.
        gold: The gold's number as printed.
        kind: The gold's type.
        scale: The gold's scale.
        shown: The gold as printed.
    """
    found = parse_number(text)
    if found is None and text.casefold() in _COUNTS:
        found = Number(Fraction(_COUNTS[text.casefold()]))
    if found is None:
        among = find_numbers(text.rpartition("=")[2]) if re.search(r"[a-z]{2}|=", text, re.IGNORECASE) else []
        if len(among) != 1:
            return "unread"
        found = among[0]
    percent = scale == "percent" or gold.percent
    # some golds print the word that their scale repeats
    unit = gold.scale if percent or gold.scale > 1 else SCALES[scale]
    target = gold.value * unit
    tolerance = max(DECIMALS, abs(gold.value) * RELATIVE_TOLERANCE) * unit if kind == "arithmetic" else Fraction(0)
    value = found.value * found.scale
    if found.percent:
        readings = [value] if percent else [value / 100] if unit == 1 else []
    elif percent:  # a bare number is a percentage or a fraction
        readings = [value, value * 100] if found.scale == 1 else []
    else:
        readings = [value]
    if not readings:
        return "unit"
    if any(abs(reading - target) <= tolerance for reading in readings):
        return "equal"
    mirrored = any(abs(reading + target) <= tolerance for reading in readings)
    if mirrored and ((target < 0 and "(" in shown) or (target < 0 < value and _FALL.search(text))):
        return "equal_magnitude"  # parentheses of a statement, or a fall told in words
    if unit > 1 and found.scale == 1 and abs(found.value * unit - target) <= tolerance:
        return "no_scale"
    return "sign" if mirrored else "value"


def _same_words(text: str, gold: str) -> str:
    if yes := polarity(gold):
        return "equal" if polarity(text) == yes else "value"
    ours, theirs = words(text), words(gold)
    if ours == theirs:
        return "equal"
    if not ours or not theirs or set(ours) & _NEGATIONS != set(theirs) & _NEGATIONS:
        return "value"
    printed = [{w for w in side if w[0].isdigit()} for side in (ours, theirs)]
    if printed[0] != printed[1]:
        return "value"
    inside = any(ours[at : at + len(theirs)] == theirs for at in range(len(ours) - len(theirs) + 1))
    if inside and len(ours) <= 2 * len(theirs) + 4:
        return "equal_contained"
    common = len(set(ours) & set(theirs))
    f1 = 2 * common / (len(set(ours)) + len(set(theirs)))
    return "equal_nearly" if f1 >= LEAST_F1 else "value"


def _same(text: str, gold: str, kind: str, scale: str) -> str:
    number = parse_number(gold)
    if number is None:
        return _same_words(text, gold)
    return _same_number(text, number, kind, scale, gold)


def _pair(found: Sequence[str], gold: TatqaGold) -> str:
    """Reason code of a list: spans are paired one to one, in order where the question asks for an order."""
    table = [[_same(text, span, gold.kind, gold.scale) for span in gold.spans] for text in found]
    if len(found) != len(gold.spans):
        return "missing_spans" if len(found) < len(gold.spans) else "extra_spans"
    home: dict[int, int] = {}

    def place(row: int, tried: set[int]) -> bool:
        for column, reason in enumerate(table[row]):
            if reason.startswith("equal") and column not in tried:
                tried.add(column)
                if column not in home or place(home[column], tried):
                    home[column] = row
                    return True
        return False

    unpaired = [row for row in range(len(found)) if not place(row, set())]
    if unpaired:
        reasons = {reason for row in unpaired for reason in table[row]}
        return "no_scale" if "no_scale" in reasons else "value"
    in_order = all(table[row][row].startswith("equal") for row in range(len(found)))
    return "equal" if in_order or not gold.ordered else "order"


def judge_spans(found: Sequence[str], gold: TatqaGold) -> str:
    """Reason code for the spans of an answer; those that start with ``equal`` are right."""
    if len(gold.spans) > 1:
        return _pair(found, gold)
    if len(found) == 1 or not gold.spans[0].count(";"):
        whole = "; ".join(found)
        reason = _same(whole, gold.spans[0], gold.kind, gold.scale)
        return "extra_spans" if len(found) > 1 and not reason.startswith("equal") else reason
    return _same("; ".join(found), gold.spans[0], gold.kind, gold.scale)


def with_scale(text: str) -> tuple[str, ...]:
    """Spans of an answer; a scale after a list holds for all its numbers (``["812", "799"] thousand``)."""
    match = re.fullmatch(r"(\[.*\])\s*(thousands?|millions?|billions?|percent|%)?", text, re.DOTALL)
    if match is None:
        return split_spans(text)
    spans, scale = split_spans(match[1]), match[2]
    return spans if not scale else tuple(f"{span} {scale}" for span in spans)


def write_answer(gold: TatqaGold) -> str:
    """The gold in the form that answers are asked for: the label's target."""
    suffix = {"": "", "percent": "%"}.get(gold.scale, f" {gold.scale}")
    shown = []
    for span in gold.spans:
        number, text = parse_number(span), " ".join(span.split())
        plain = number is not None and not number.percent and number.scale == 1
        shown.append(text + suffix if plain else text)
    if len(shown) == 1 and ";" not in shown[0]:
        return shown[0]
    if len(shown) > 1 and not any(";" in text or text.startswith("[") for text in shown):
        return "; ".join(shown)
    import json

    return json.dumps(shown, ensure_ascii=False)


def official_forms(text: str) -> list[tuple[list[str], str]]:
    """An answer in the forms that the published prediction files could give it: spans, and the scale they share.

    A scale word may belong to the span ("$1.1 billion", as the filing prints it) or be the scale.
    """
    spans = list(with_scale(text))
    found = [_SCALE_END.search(span) for span in spans]
    bare = [_SCALE_END.sub("", span) for span in spans]
    forms = [(spans, "")]
    words_used = {match[1].casefold().rstrip("s") if match else "" for match in found}
    if len(words_used) == 1 and words_used != {""} and all(parse_number(span) for span in bare):
        word = words_used.pop()
        forms.append((bare, "percent" if word == "%" else word))
    return [*forms, ([text], "")] if len(spans) > 1 else forms


class TatqaVerifier:
    """Judges TAT-QA answers.

    Args:
        policy: ``strict`` (the rules above) or ``official`` (the published exact match).

    Raises:
        InputError: Unknown policy.
    """

    name = "tatqa"
    version = "1"

    def __init__(self, policy: str = "strict") -> None:
        if policy not in POLICIES:
            raise InputError(f"unknown policy {policy!r}", "verifier tatqa", f"one of {', '.join(POLICIES)}")
        self._policy = policy

    def grade(self, prompt: Prompt, gold: Any, response: str, finish_reason: str) -> Verdict:
        """Judge one response (`tao_bench.verify.verdict.Verifier`)."""
        if finish_reason == "length":
            return failed(Status.TRUNCATED, "", "length")
        try:
            target = read_gold(gold)
        except InputError as error:
            return failed(Status.VERIFIER_ERROR, "", error.what)
        text = final_text(response)
        spans = with_scale(text)
        if not spans:
            return failed(Status.UNPARSABLE, "", "empty")
        extracted = "; ".join(spans)
        if self._policy == "official":
            from tao_bench.qa.tatqa_metric import official

            asked = {"answer": target.published, "answer_type": target.kind, "scale": target.scale}
            forms = official_forms(text)
            if response.rstrip().endswith("."):  # their definition sees a final full stop
                forms.append(([f"{text}."], ""))
            match = max(official(asked, *form)[0] for form in forms)
            return correct(extracted) if match else failed(Status.WRONG, extracted, "value")
        reason = judge_spans(spans, target)
        if reason.startswith("equal"):
            return correct(extracted, reason)
        return failed(Status.WRONG, extracted, "refusal" if is_refusal(text) else reason)

    def close(self) -> None:
        """Nothing to release."""
