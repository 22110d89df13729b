"""Free-text golds of questions on filings, against what an answer concludes: rules, no model.

In order: a refusal; a measure that does not apply; the option chosen; yes or no, and no other figures than the gold's
for it; "there are none"; figures that the question asks for; else how much of the gold's own words (those not in the
question, weighted as `tao.answers.words` says) the conclusion holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from tao.answers.conclusion import announces, clean, conclusion, is_copy, sentences, without_documents
from tao.answers.polarity import Polarity, explicit, inferred, negated, not_applicable
from tao.answers.quantities import Quantity, find_quantities
from tao.answers.refusal import apologises, refuses
from tao.answers.words import content
from tao_bench.verify.finance_gold import TextGold, mentioned, recall
from tao_bench.verify.verdict import Status, Verdict, correct, failed


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The only numbers in these rules; `results/finance_agreement.md` shows how little hangs on them.

    Attributes:
        words: Share of the gold's own words (by weight) that a conclusion must hold.
        rescue: The same for an answer that also declines.
        on_topic: Share of the question's words in a sentence that yes or no is read from.
        numbers: Share of the gold's figures that are required where there are more than two.
    """

    words: float = 0.35
    rescue: float = 0.5
    on_topic: float = 0.3
    numbers: float = 0.5


DEFAULT = Thresholds()
SHOWN_CHARS = 200
_NEAR = Decimal("0.01")
_ORDER = 10
"""Figures further apart than this factor are not two values of one thing."""
_FRACTION_BELOW = 3
_LISTED = 12
"""Items that a list announced by a colon may have."""
_SHORT = 15
"""Words of an answer so short that it need not repeat the superlative it answers."""

_INTENT = re.compile(
    r"^\W*(?:to\s(?:determine|calculate|assess|answer|evaluate|find|compare|see|understand)|let's|we\s(?:need|will)|if\s)",
    re.IGNORECASE,
)
_MOST = re.compile(
    r"\b(?:most|highest|largest|greatest|biggest|best|only|primary|least|lowest|smallest|worst)\b", re.IGNORECASE
)
_SET_APART = re.compile(
    r"\b(?:not|rather\sthan|instead\sof|unlike|ahead\sof|than|versus|vs\.?|compared\s(?:with|to))\s[^.;:]*",
    re.IGNORECASE,
)
"""Names after these are those that were not chosen."""


def judge_text(answer: str, gold: TextGold, thresholds: Thresholds = DEFAULT, context: str = "") -> Verdict:
    """Judge an answer's text against a free-text gold.

    Args:
        answer: The answer as given.
        gold: What it must say.
        thresholds: Where the rules draw their lines.
        context: The whole prompt; an answer that only copies from it is none.
    """
    text = without_documents(clean(answer))
    parts = sentences(text, gold.question)
    if not parts:
        return failed(Status.UNPARSABLE, "", "no_statement" if answer.strip() else "empty")
    if context and is_copy(parts, context):
        return failed(Status.WRONG, "", "copied")
    zone = conclusion(parts, first=2, last=2, announced=2)
    order = _reading_order(parts, zone)
    wide = _with_lists(parts, zone)
    shown = parts[order[0]][:SHOWN_CHARS]
    stated = " ".join(parts[index] for index in wide)
    numbers = find_quantities(stated) if gold.numbers else []
    share = share_of(numbers, gold.numbers)
    held = recall(gold.words, set(content(stated)))

    declines = refuses(text)

    def verdict(right: bool, reason: str) -> Verdict:
        return correct(shown, reason) if right else failed(Status.WRONG, shown, "refusal" if declines else reason)

    if declines and not gold.inapplicable:
        key = bool(gold.numbers) and share >= thresholds.numbers
        none = gold.negative and (held >= thresholds.words or not apologises(text))
        if not key and not none and held < thresholds.rescue:
            return verdict(False, "refusal")
    if gold.inapplicable:
        return verdict(not_applicable(" ".join(parts)) and explicit(text) != "yes", "not_applicable")
    if gold.chosen >= 0:
        return verdict(_option(parts, order, gold, len(text.split())) == gold.chosen, "option")
    if gold.polarity:
        if answer_polarity(parts, order, gold, thresholds) != gold.polarity:
            return verdict(False, "polarity")
        astray = bool(gold.numbers) and not share and contradicts(numbers, gold)
        return verdict(not astray, "figures" if astray else "polarity")
    if gold.negative:
        return verdict(any(_denies(parts[index], gold, thresholds) for index in zone), "none")
    if gold.asks_number:
        return verdict(share >= (1 if len(gold.numbers) <= 2 else thresholds.numbers), "figures")
    if gold.numbers and not share and contradicts(numbers, gold):
        return verdict(False, "figures")
    if gold.numbers and share >= thresholds.numbers and held < thresholds.words:
        return verdict(True, "figures")
    return verdict(held >= thresholds.words, "words")


def _reading_order(parts: Sequence[str], zone: Sequence[int]) -> list[int]:
    """The zone, most conclusive first: the last sentences that announce a result, then from the start."""
    cues = [index for index in zone if announces(parts[index])]
    return [*reversed(cues), *(index for index in zone if index not in cues)]


def _with_lists(parts: Sequence[str], zone: Sequence[int]) -> list[int]:
    """The zone with the lines of a list that one of its opening sentences announces with a colon."""
    chosen = set(zone)
    for index in zone[:3]:
        if parts[index].endswith(":"):
            chosen.update(range(index + 1, min(len(parts), index + 1 + _LISTED)))
    return sorted(chosen)


def _option(parts: Sequence[str], order: Sequence[int], gold: TextGold, words: int) -> int:
    """Index of the option that an answer settles on; -1 for none.

    Where the question asks for the most or least of something, the sentence must speak of that too, or be all there is.
    """
    superlative = words > _SHORT and _MOST.search(gold.asked) is not None
    for index in order:
        if _INTENT.match(parts[index]) or (superlative and not _MOST.search(parts[index])):
            continue
        named = not any(option.way for option in gold.options)
        picks = mentioned(gold.options, _SET_APART.sub(" ", parts[index]) if named else parts[index])
        if len(picks) == 1:
            return picks[0]
    return -1


def answer_polarity(
    parts: Sequence[str], order: Sequence[int], gold: TextGold, thresholds: Thresholds = DEFAULT
) -> Polarity:
    """Yes or no as an answer says it, else as the sentence closest to the question implies it; '' for neither or both.

    A single short sentence need share only a word with the question.
    """
    said = {say for index in order if (say := explicit(parts[index]))}
    if said:
        return said.pop() if len(said) == 1 else ""
    alone = len(parts) == 1 and len(parts[0].split()) <= _SHORT
    best, overlap = -1, 0.0 if alone else thresholds.on_topic
    for index in order:
        if _INTENT.match(parts[index]):
            continue
        own = recall(gold.question_words, set(content(parts[index])))
        if own > overlap:
            best, overlap = index, own + 0.1  # a later one in the order has to be clearly closer
    return inferred(gold.asked, parts[best]) if best >= 0 else ""


def _denies(sentence: str, gold: TextGold, thresholds: Thresholds) -> bool:
    if not negated(sentence):
        return False
    return recall(gold.question_words, set(content(sentence))) > thresholds.on_topic or len(sentence.split()) <= _SHORT


def share_of(found: Sequence[Quantity], wanted: Sequence[Quantity]) -> float:
    """Share of the wanted figures that are among those found; 0 where none are wanted."""
    hits = sum(any(same_figure(each, target) for each in found) for target in wanted)
    return hits / len(wanted) if wanted else 0.0


def _pairs(found: Quantity, wanted: Quantity) -> Iterator[tuple[Decimal, Decimal]]:
    """Values to compare: as written, fractions for percentages, and scale words that one of the two leaves out."""
    if found.percent or wanted.percent:
        yield found.value, wanted.value
        bare = wanted if found.percent else found
        if found.percent != wanted.percent and abs(bare.value) < _FRACTION_BELOW:
            yield (found.value.scaleb(2), wanted.value) if wanted.percent else (found.value, wanted.value.scaleb(2))
        return
    yield found.full, wanted.full
    scaled = found.power or wanted.power
    if not (found.power and wanted.power) and (scaled or wanted.currency):
        for power in (3, 6, 9):
            yield found.full.scaleb(power), wanted.full
            yield found.full, wanted.full.scaleb(power)


def same_figure(found: Quantity, wanted: Quantity) -> bool:
    """Whether two figures are one, sign aside: to one unit of the wanted one's last decimal, or to 1 %.

    Prose carries signs in words (``a decline of 0.6 %``), hence the sign is not compared here.
    """
    bare = wanted if found.percent else found
    if found.percent != wanted.percent and (bare.power or bare.currency):
        return False
    place = Decimal(1).scaleb(min(int(wanted.value.as_tuple().exponent), 0))
    for one, other in _pairs(found, wanted):
        a, b = abs(one), abs(other)
        unit = place * (b / abs(wanted.value)) if wanted.value else place
        if abs(a - b) <= max(unit if b >= 10 * unit else unit / 2, b * _NEAR):
            return True
    return False


def _alike(found: Quantity, wanted: Quantity) -> bool:
    """Whether two figures are of one kind and one order of magnitude, so that one may contradict the other."""
    if found.percent != wanted.percent:
        return False
    if not found.percent:
        money = bool(wanted.currency or wanted.power)
        if bool(found.currency or found.power) != money:
            return False
        if not money and _whole(found) != _whole(wanted):
            return False
    a, b = abs(found.full), abs(wanted.full)
    return b / _ORDER <= a <= b * _ORDER


def _whole(number: Quantity) -> bool:
    return number.value == number.value.to_integral_value()


def contradicts(found: Sequence[Quantity], gold: TextGold) -> bool:
    """Whether figures of the gold's own kind are stated (the gold's own not being there)."""
    return any(_alike(each, level) for each in found for level in gold.levels)
