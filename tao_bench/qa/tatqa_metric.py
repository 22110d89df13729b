"""TAT-QA's published metric: exact match and bag-of-words F1 with a scale, written anew from its definition.

Source: Zhu et al., ACL 2021 (arXiv 2105.07624), section 5 and appendix, as their evaluation script defines it, quirks
included, because the point is to say what it would say: answers are sorted and joined into one text; a number is
rounded to two decimals *before* its scale is applied; a prediction without a scale also counts as a fraction; F1 of an
arithmetic answer or a count is its exact match; an empty prediction, and 0 as a bare number, score nothing.
"""

from __future__ import annotations

import math
import re
import string
from collections.abc import Mapping, Sequence
from typing import Any

_WORD_SCALES = (("hundred", 100), ("thousand", 10**3), ("million", 10**6), ("billion", 10**9), ("percent", 0.01))
_NOT_IN_NUMBERS = str.maketrans("", "", "'\"\\$€£¥%(),[]")
_PUNCTUATION = str.maketrans("", "", string.punctuation)

Number = float | int


def scale_factor(text: str) -> Number:
    """What the first scale word in a text stands for, 1 without one; whole but for percent, as texts depend on it."""
    lowered = text.lower()
    return next((factor for word, factor in _WORD_SCALES if word in lowered), 1)


def is_number(text: str) -> bool:
    """Whether a text counts as a number: marks aside its first word is one, and a second word, if any, is a scale."""
    parts = " ".join(word.translate(_NOT_IN_NUMBERS) for word in text.split()).split()
    if not parts:
        return False
    try:
        value = float(parts[0])
    except ValueError:
        return False
    return not math.isnan(value) and (len(parts) == 1 or scale_factor(parts[1]) != 1)


def to_number(text: str) -> Number | None:
    """The first number of a text with its sign (parentheses), percent sign and the scale word attached to it."""
    match = re.search(r"([+-]?\d+(?:\.\d+)?)|[+-]?\.\d+", text.translate(_NOT_IN_NUMBERS))
    if match is None or match[1] is None:  # a bare fraction such as .5 is not read
        return None
    value: Number = float(match[1]) if "." in match[1] else int(match[1])
    attached = re.search(r"[\d.]+\s?[a-zA-Z]+", text)
    value *= scale_factor(attached[0]) if attached else 1
    value *= -1 if re.search(r"\([\d.\s]+\)", text.strip()) else 1
    value *= 0.01 if re.search(r"[\d.\s]+%", text.strip()) else 1
    return round(value, 4)


def normalize(text: str) -> str:
    """Lower case, no punctuation but in numbers, no articles; numbers in one spelling."""
    parts = []
    for token in text.split(" "):
        word = token.lower()
        if not is_number(word):
            word = word.translate(_PUNCTUATION)
        if is_number(word):
            word = str(to_number(word))
        word = " ".join(re.sub(r"\b(?:a|an|the)\b", " ", word).split())
        if word:
            parts.append(word)
    return " ".join(parts)


def answer_text(answers: Sequence[Any], scale: str) -> str:
    """All spans of an answer, sorted and joined, numbers multiplied by the scale."""
    found = []
    for text in map(str, sorted(answers)):
        value = to_number(text) if is_number(text) else None
        if value is None:
            found.append(f"{text} {scale}" if scale else text)
        elif "%" in text:
            found.append(f"{value:.4f}")
        else:
            found.append(f"{round(value, 2) * scale_factor(scale):.4f}")
    return " ".join(found)


def _f1(predicted: set[str], gold: set[str]) -> float:
    common = len(predicted & gold)
    precision = common / len(predicted) if predicted else 1.0
    recall = common / len(gold) if gold else 1.0
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _score(predicted: str, gold: str) -> tuple[float, float]:
    ours, theirs = normalize(predicted), normalize(gold)
    return float(ours == theirs), round(_f1(set(ours.split()), set(theirs.split())), 2)


def official(question: Mapping[str, Any], prediction: Any, scale: str) -> tuple[float, float]:
    """Score one prediction.

    Args:
        question: A question as published: ``answer``, ``answer_type``, ``scale``.
        prediction: A value, a text or a list of them.
        scale: The scale the prediction names: ``''``, ``thousand``, ``million``, ``billion`` or ``percent``.

    Returns:
        Exact match and F1.

    Raises:
        TypeError: The prediction's spans are of types that cannot be sorted together.
    """
    if not prediction:
        return 0.0, 0.0
    kind, answer = question["answer_type"], question["answer"]
    if kind == "count":
        answer = str(int(answer))
    golds = list(answer) if kind in ("span", "multi-span") else [str(answer)]
    if not golds:
        return 0.0, 0.0
    spans = prediction if isinstance(prediction, list) else [prediction]
    forms = [answer_text(spans, scale)]
    first = str(spans[0])
    if len(spans) == 1 and not scale and "%" not in first and is_number(first):
        fraction = to_number(first)
        forms += [] if fraction is None else [f"{fraction:.4f}"]
    match, f1 = max(_score(form, answer_text(golds, question["scale"])) for form in forms)
    return match, (match if kind in ("arithmetic", "count") else f1)
