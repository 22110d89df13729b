"""How a question is put: sentence frames around a figure's name and formula, and names of lines as people say them."""

from __future__ import annotations

from random import Random

from .knobs import Knobs
from .sectors import SYNONYMS, Naming
from .shapes import AMOUNT, DAYS, FAMILIES, PERCENT, Shape

# {n} name of the figure, {m} the same without an article, {f} formula, {y} year, {o} earlier year, {u} unit
_NAMED = (
    "what was {n} for {y}, defined as {f}{u}?",
    "find {n} of {y}{u}. it is {f}.",
    "compute {n} for {y}{u}, where it means {f}.",
    "{n} is {f}. what was it in {y}{u}?",
)
_NAMED_LOOSE = (
    "taking {n} as {f}, where did it stand in {y}{u}?",
    "in {y}, what did {n} come to{u} ({f})?",
    "we measure {n} by {f}. give the {y} figure{u}.",
    "{y} {m}{u}? use {f}.",
)
_BARE = ("what was {f} in {y}{u}?", "find {f} for {y}{u}.", "how much was {f} in {y}{u}?", "{f} of {y}{u}?")
_BARE_LOOSE = (
    "for {y}, work out {f}{u}.",
    "i need {f} as of {y}{u}.",
    "where did {f} stand in {y}{u}?",
    "in fiscal {y}, what did {f} come to{u}?",
)
_SPAN = ("what was {f}{u}?", "find {f}{u}.", "how much was {f}{u}?", "compute {f}{u}.")
_SPAN_LOOSE = ("work out {f}{u}.", "i need {f}{u}.", "can you tell {f}{u}?", "what did the filing imply for {f}{u}?")
_MOVED = (
    "by how much did {n}, {f}, change from {o} to {y}{u}?",
    "find the change in {n} ({f}) from {o} to {y}{u}.",
    "{n} is {f}. how far did it move from {o} to {y}{u}?",
    "what was the change from {o} to {y} in {n}, defined as {f}{u}?",
)
_MOVED_LOOSE = (
    "{n} ({f}) in {y} less the same in {o}{u}?",
    "compare {n} of {y} with {o}{u}: it is {f}.",
    "from {o} to {y}, what did {n} ({f}) gain{u}?",
)
_MEAN = (
    "what was {n}, {f}, on average over {o} and {y}{u}?",
    "find the average of {n} ({f}) in {o} and {y}{u}.",
    "{n} is {f}. what was its mean in {o} and {y}{u}?",
)
_MEAN_LOOSE = ("over {o} and {y}, what did {n} ({f}) average{u}?", "take {f} in {o} and in {y}: what is the mean{u}?")
_GREW = (
    "what was the percent change in {n} ({f}) from {o} to {y}{u}?",
    "find the growth of {n}, {f}, from {o} to {y}{u}.",
    "{n} is {f}. by what percent did it grow from {o} to {y}{u}?",
)
_GREW_LOOSE = (
    "at what rate did {n} ({f}) move between {o} and {y}{u}?",
    "{y} against {o}: relative change in {n}, {f}{u}?",
)

_BY_FAMILY = {
    **dict.fromkeys(("share_change", "ratio_change", "sum_change", "rest_change"), (_MOVED, _MOVED_LOOSE)),
    "mean_share": (_MEAN, _MEAN_LOOSE),
    "sum_growth": (_GREW, _GREW_LOOSE),
}
_OPENINGS = (
    "for the credit file: ",
    "board memo: ",
    "as an auditor, ",
    "for our model: ",
    "investor question: ",
    "quick check: ",
)
_TOTALS = ("rev", "ta", "tl", "te", "tca", "tcl", "cash")
_SHARE_UNITS = (", as a percent", ", in percent")


def frames(shape: Shape) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The common and the less common sentence frames of a shape."""
    if shape.family in _BY_FAMILY:
        return _BY_FAMILY[shape.family]
    if shape.names:
        return _NAMED, _NAMED_LOOSE
    return (_SPAN, _SPAN_LOOSE) if FAMILIES[shape.family].spans else (_BARE, _BARE_LOOSE)


def unit_words(rng: Random, knobs: Knobs, shape: Shape, statement_unit: str) -> str:
    """The unit as the question states it; '' for plain ratios, and for amounts in the unit of the report's head."""
    if shape.unit == AMOUNT:
        return f", in {statement_unit}" if rng.random() < knobs.state_unit else ""
    if shape.unit == DAYS:
        return ", in days"
    if shape.unit == PERCENT:
        return ", in percentage points" if shape.family == "share_change" else rng.choice(_SHARE_UNITS)
    return rng.choice(("", ", as a ratio"))


def _fits_another(concept: str, form: str, others: set[str]) -> bool:
    """Whether all words of a short form also stand in another row; only totals may be meant by such a form."""
    words = set(form.casefold().split())
    return concept not in _TOTALS and any(words <= set(other.split()) for other in others)


def say_line(rng: Random, knobs: Knobs, naming: Naming, concept: str, others: set[str]) -> str:
    """Name a line as a person would.

    Args:
        rng: Random source.
        knobs: Chances of light forms and synonyms.
        naming: The company's names.
        concept: The line.
        others: Folded printed names and light forms of the other lines shown: a phrase that fits one is not used.
    """
    printed = naming.printed[concept]
    roll = rng.random()
    forms: tuple[str, ...] = ()
    if roll < knobs.synonym:
        forms = SYNONYMS.get(concept, ()) or naming.light[concept]
    elif roll < knobs.synonym + knobs.light:
        forms = naming.light[concept]
    clear = [form for form in forms if form.casefold() not in others]
    usable = [form for form in clear if not _fits_another(concept, form, others)]
    if usable:
        return rng.choice(usable)
    return printed if rng.random() < knobs.as_printed else printed.lower()


def ask(rng: Random, knobs: Knobs, shape: Shape, slots: dict[str, str], years: tuple[str, str], *, unit: str) -> str:
    """Put a question into words.

    Args:
        rng: Random source.
        knobs: Chances of loose wording.
        shape: What is asked.
        slots: Letter to the words for that line.
        years: The year asked about and the earlier one.
        unit: ``thousands`` or ``millions``.
    """
    family = FAMILIES[shape.family]
    words = {"y": years[0], "o": years[1]}
    formula = rng.choice(family.loose if rng.random() < knobs.loose_formula else family.plain).format(**slots, **words)
    common, rare = frames(shape)
    frame = rng.choice(rare if rng.random() < knobs.loose_frame else common)
    asked_in = unit_words(rng, knobs, shape, unit)
    name = rng.choice(shape.names) if shape.names else ""
    opening = rng.choice(_OPENINGS) if rng.random() < knobs.persona else ""
    return opening + frame.format(n=name, m=name.removeprefix("the "), f=formula, u=asked_in, **words)
