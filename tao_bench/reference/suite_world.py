"""Documents of the enterprise suite that reference@2 is pretrained on: other companies than any published split has.

The tasks' own generators draw them, under seeds of their own, so a prompt has exactly the form it has in the task.
Many questions stand behind one document. Three things differ from the tasks:

- no company, supplier or catalogue of a published split occurs (`published`), and no part that the level ``unseen`` is
  made of;
- in a share of the documents the domain's own words are invented ones, so that copying is learned and not recalled;
- `HELD_BACK` wordings never occur: the gap between them and the rest is what tuning can close.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from types import ModuleType
from typing import Any

from tao_bench.reference.words import WorldRandom, invented
from tao_bench.registry import load_generator, load_task, task_folder
from tao_bench.suite import TryAgain

SHARES = {
    "tool_calls": 0.36,
    "ticket_triage": 0.28,
    "policy_qa": 0.28,
    "invoice_extract": 0.05,
    "enterprise_arena": 0.03,
}
"""Share of the suite's tokens by task."""
NOVEL = {"tool_calls": 0.4, "policy_qa": 0.3}
"""Share of documents whose domain words are invented, by task; the other tasks' answers need no such words."""
LEVELS = {
    "tool_calls": {"single": 0.45, "several": 0.35, "state": 0.2},
    "ticket_triage": {"table": 0.35, "rules": 0.4, "chain": 0.25},
    "policy_qa": {"lookup": 0.3, "exception": 0.3, "reference": 0.22, "absent": 0.18},
    "invoice_extract": {"plain": 0.5, "terms": 0.3, "messy": 0.2},
    "enterprise_arena": {"plain": 0.5, "overruled": 0.2, "strict": 0.3},
}
QUESTIONS = {"tool_calls": 6, "ticket_triage": 6, "policy_qa": 9, "invoice_extract": 1, "enterprise_arena": 1}
"""Questions drawn behind one document; what does not fit a row is left out."""
HELD_BACK = {
    "tool_calls": (
        r"put the .* at \d",
        r"shift [\d,]+ ",
        r"change the status",
        r"lower the .* by",
        r"make \w+ \w+ the owner",
        r"start a ",
        r"but only after",
        r"Look for the",
    ),
    "ticket_triage": (
        r"A colleague who joined on Monday",
        r"Our voucher was not|The tax number on",
        r"Please send us the signed copy|Our name changed",
        r"The handbook does not say|The video on reports",
        r"loses what we type|The search in|no longer sends|Pictures in",
        r"By our count",
        r"has come to a halt",
        r"Medical notes of",
        r"My boss has asked",
        r"The audit begins",
        r"with a spreadsheet",
        r"on the trial account",
        r"\d reports of it",
        r"A sum of .* in dispute between",
    ),
    "policy_qa": (r"Question: It is ", r"Which [\w ]+ applies"),
    "invoice_extract": (r"(?m)^  \d+ x ", r"\(mm/dd/yyyy\)", r"\d'\d"),
    "enterprise_arena": (r"Sum the case up", r"^Yours", r"Status of"),
}
"""Patterns that no pretraining prompt of a task holds (wordings, layouts, ways to write a number)."""
_SPLIT_AT = {"ticket_triage": "\nTicket from region", "invoice_extract": "\nQuestion: ", "policy_qa": "\nQuestion: "}
_GLUE = ("from", "that", "which", "with", "without")
_TRIES = 60
"""Draws of a question of a level before the document is taken to have none."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question behind a document: the prompt is the document, a line's end and the question.

    Attributes:
        question: The rest of the user's message.
        answer: Its target.
        gold: As the task's verifier reads it.
        handle: What the prompt is about, for verifiers that ask for it.
        level: Level of the task.
    """

    question: str
    answer: str
    gold: Any
    handle: Any
    level: str


@dataclass(frozen=True, slots=True)
class Document:
    """What stands before the questions; `cluster` names the company, supplier or catalogue it belongs to."""

    task: str
    cluster: str
    text: str
    asked: tuple[Asked, ...]


@cache
def generator(task: str) -> ModuleType:
    """A task's frozen generator, imported as the registry does."""
    return load_generator(task_folder(task))


def cluster_of(task: str, content: str) -> str:
    """Whose document a prompt shows: the company, the supplier, or a catalogue's functions in alphabetical order."""
    lines = content.split("\n")
    if task == "tool_calls":
        return "\n".join(sorted(lines[1 : lines.index("Records:")]))
    if task == "invoice_extract":
        return lines[1].removeprefix("From: ").removeprefix("SELLER=")
    if task == "enterprise_arena":
        return lines[0].partition(" of ")[2].partition(",")[0]
    return lines[0].partition(" of ")[2].partition(". Owners")[0]


@cache
def published(task: str) -> frozenset[str]:
    """Every cluster of the task's published pool and splits, as `cluster_of` names them."""
    made = load_task(task)
    prompts = made.pool() + [item.prompt for split in ("train", "dev", "test") for item in made.items(split)]
    return frozenset(cluster_of(task, prompt.messages[-1].content) for prompt in prompts)


def _drawn(rng: Random, task: str, make: Callable[[str], tuple[str, Asked]]) -> tuple[str, Asked] | None:
    """A question of a level by chance that holds nothing held back; None where this document has none."""
    levels = LEVELS[task]
    level = rng.choices(list(levels), list(levels.values()))[0]
    for _ in range(_TRIES):
        try:
            text, asked = make(level)
        except TryAgain:
            continue
        if not held_back(task, f"{text}\n{asked.question}"):
            return text, asked
    return None


def held_back(task: str, content: str) -> bool:
    """Whether a prompt holds a wording that pretraining is not to see."""
    return any(re.search(pattern, content) for pattern in HELD_BACK[task])


def _of_row(task: str, row: Any, level: str) -> tuple[str, Asked]:
    at = row.content.index(_SPLIT_AT.get(task, "\nQuestion: "))
    return row.content[:at], Asked(row.content[at + 1 :], row.target, row.gold, row.document, level)


def _tools(rng: Random) -> tuple[str, list[Asked]]:
    module = generator("tool_calls")
    catalogue = module.draw_catalogue(rng, False)
    records = module.draw_records(rng, catalogue.domain)
    head = ["Functions:", *catalogue.lines(), "Records:", *module.record_lines(catalogue.domain, records)]
    text = "\n".join(head)
    handle = {"functions": catalogue.functions, "records": records}

    def make(level: str) -> tuple[str, Asked]:
        draw = {"single": module.single, "several": module.several, "state": module.state}[level]
        request, gold = draw(rng, catalogue, records, False)
        outcome = module.effect(catalogue, records, gold)
        if outcome is None or (level == "several" and module.effect(catalogue, records, gold[::-1]) == outcome):
            raise TryAgain
        return text, Asked(f"Question: {request} {module.ASK}", json.dumps(gold), gold, handle, level)

    found = [_drawn(rng, "tool_calls", make) for _ in range(QUESTIONS["tool_calls"])]
    asked = [one[1] for one in found if one]
    if asked and rng.random() < NOVEL["tool_calls"]:
        domain = catalogue.domain
        fixed = _tool_words()
        own = " ".join((domain.noun, domain.amount, domain.unit, domain.day, *domain.states)).split()
        prefix = "".join(rng.choices("ABCDEFGHJKLMNPRSTUVWXYZ", k=rng.randint(1, 3))) + rng.choice(("", "-", "/"))
        renaming = _renaming(rng, [word for word in own if word not in fixed], {domain.prefix: prefix})
        text, asked = _renamed(renaming, text, asked)
    return text, asked


@cache
def _tool_words() -> frozenset[str]:
    """Words that the verifier reads or that name functions, parameters and kinds: never renamed."""
    words = generator("tool_calls").words
    banks = [*words.VERBS, *words.ROLES, *words.PARAMETERS]
    banks += [name for bank in (*words.VERBS.values(), *words.PARAMETERS.values()) for name in bank]
    return frozenset(part for name in banks for part in name.split("_")) | frozenset(
        "of for on at in under to out up low normal urgent status name about does values default type".split()
    )


def _policy(rng: Random) -> tuple[str, list[Asked]]:
    module = generator("policy_qa")
    policy = module.draw_policy(rng, False)
    while not _fits(policy):
        policy = module.draw_policy(rng, False)
    text, asked = _behind_one(rng, "policy_qa", lambda level: module.make_row(rng, policy, level, level))
    if asked and rng.random() < NOVEL["policy_qa"]:
        matters = {clause.matter.name for clause in policy.clauses} | {matter.name for _, matter in policy.missing}
        names = [word for name in sorted(matters) for word in name.split() if len(word) > 3 and word not in _GLUE]
        renaming = _renaming(rng, [*names, *policy.cities])
        text, asked = _renamed(renaming, text, asked)
    return text, asked


def _fits(policy: Any) -> bool:
    """Whether the clauses are short enough; a level that a policy lacks is simply not asked."""
    return bool(sum(len(clause.text) for clause in policy.clauses) <= generator("policy_qa").MAX_CHARS)


def _tickets(rng: Random) -> tuple[str, list[Asked]]:
    module = generator("ticket_triage")
    policy = module.draw_policy(rng, False)
    return _behind_one(rng, "ticket_triage", lambda level: module.make_row(rng, policy, level, False))


def _invoice(rng: Random) -> tuple[str, list[Asked]]:
    module = generator("invoice_extract")
    form = module.layouts.draw_form(rng, list(module.CURRENCIES), False)
    while form.layout == "receipt" or "mm/dd" in form.days or form.money == "1'234.50":  # held back
        form = module.layouts.draw_form(rng, list(module.CURRENCIES), False)
    return _behind_one(rng, "invoice_extract", lambda level: module.make_row(rng, form, level, level))


def _case(rng: Random) -> tuple[str, list[Asked]]:
    module = generator("enterprise_arena")
    company = f"{module.word(rng)} Machines"
    return _behind_one(rng, "enterprise_arena", lambda level: module.make_row(rng, company, level, False))


def _behind_one(rng: Random, task: str, row: Callable[[str], Any]) -> tuple[str, list[Asked]]:
    found = [_drawn(rng, task, lambda level: _of_row(task, row(level), level)) for _ in range(QUESTIONS[task])]
    kept = [one for one in found if one]
    return (kept[0][0], [asked for _, asked in kept]) if kept else ("", [])


Renaming = Callable[[str], str]

_MAKERS = {
    "tool_calls": _tools,
    "ticket_triage": _tickets,
    "policy_qa": _policy,
    "invoice_extract": _invoice,
    "enterprise_arena": _case,
}


def _renaming(rng: Random, words: Sequence[str], more: Mapping[str, str] | None = None) -> Renaming:
    """Words, small or capitalised (as in ``setBudget``), become invented ones; `more` is taken as it is."""
    novel = WorldRandom(rng.random())
    novel.novelty = 1.0
    new: dict[str, str] = dict(more or {})
    for word in dict.fromkeys(words):
        name = invented(novel)
        new |= {word: name, word.title(): name.title()} if word.islower() else {word: name.title()}
    longest = sorted(new, key=len, reverse=True)
    small = "|".join(re.escape(word) for word in longest if word[0].islower())
    large = "|".join(re.escape(word) for word in longest if not word[0].islower())
    pattern = re.compile(
        "|".join((rf"(?<![A-Za-z])(?:{small or '$^'})(?![a-z])", rf"(?<![A-Z])(?:{large or '$^'})(?![a-z])"))
    )
    return lambda text: pattern.sub(lambda match: new[match[0]], text)


def _renamed(renaming: Renaming, text: str, asked: Sequence[Asked]) -> tuple[str, list[Asked]]:
    """A document and its questions with other words; the fixed end of a request keeps its own."""
    handle = json.loads(renaming(json.dumps(asked[0].handle)))
    found = []
    for one in asked:
        at = max(one.question.find(" Answer with a JSON"), one.question.find(" Answer on the last line"))
        question = renaming(one.question[:at]) + one.question[at:]
        gold = json.loads(renaming(json.dumps(one.gold)))
        found.append(Asked(question, renaming(one.answer), gold, handle, one.level))
    return renaming(text), found


def document(rng: Random, task: str) -> Document | None:
    """A document of a task with its questions; None where the draw is a published cluster or has no question."""
    text, asked = _MAKERS[task](rng)
    if not asked:
        return None
    cluster = cluster_of(task, f"{text}\n{asked[0].question}")
    return None if cluster in published(task) else Document(task, cluster, text, tuple(asked))


def documents(seed: str, spent: Callable[[str], int], shares: Mapping[str, float] | None = None) -> Iterator[Document]:
    """Endless documents, each of the task that is furthest behind its share.

    Args:
        seed: All randomness.
        spent: Tokens that a task has had so far.
        shares: Of the tokens by task; None for `SHARES`.
    """
    rng = Random(f"reference@2:{seed}")
    wanted = shares or SHARES
    while True:
        task = min(wanted, key=lambda name: spent(name) / wanted[name])
        made = document(rng, task)
        if made is not None:
            yield made
