"""Make tool_calls@1: every cluster has a catalogue of its own; golds run on the records of their prompt.

Everything follows from the seed: no clock, no `hash()`, no set order.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

from tao.answers.calls import CallError, Refused, run, typed
from tao_bench.suite import UNSEEN, Row, TryAgain, clusters, day_words, draw, people, write_task

from . import words
from .catalogue import Catalogue, draw_catalogue, draw_records, record_lines

LEVELS = ("single", "several", "state")
ASK = (
    "Answer with a JSON list of calls in the order in which they are to be made, each "
    '{"name": ..., "arguments": {...}}. '
    "Defaults may be left out."
)
Records = dict[str, dict[str, Any]]
Step = tuple[str, dict[str, Any]]
"""What is to be done in words, and the call."""


def step(rng: Random, catalogue: Catalogue, records: Records, does: str, key: str, *, unseen: bool) -> Step:
    """One thing to do with a record."""
    domain, record = catalogue.domain, records.get(key)
    say = words.SAY[does][-1] if unseen else rng.choice(words.SAY[does][:-1])
    amount, percent = 50 * rng.randint(1, 40), 5 * rng.randint(1, 20)
    if record is not None and does in ("cut", "move"):
        amount = 50 * rng.randint(1, max(1, record["amount"] // 50 - 1))
    day = date(2026, 1, 5) + timedelta(rng.randrange(700))
    person = people(rng, 1)[0]
    state = rng.choice([one for one in domain.states if record is None or one != record["state"]])
    other = rng.choice([one for one in records if one != key])
    about = {"a": domain.amount, "u": domain.unit, "n": domain.noun, "d": domain.day, "e": domain.end}
    text = say.format(**about, k=key, j=other, v=f"{amount:,}", p=percent, s=state, day=day_words(day), w=person)
    roles: dict[str, Any] = {
        "key": key,
        "amount": amount,
        "percent": percent,
        "state": state,
        "day": day.isoformat(),
        "other": other,
        "person": person,
    }
    if does == "notify":
        roles["urgency"] = "urgent" if rng.random() < 0.4 else "normal"
        text += ", as urgent" if roles["urgency"] == "urgent" else ""
    return text, catalogue.call(does, **roles)


def join(rng: Random, first: str, second: str) -> str:
    """Two steps as one request; half of the time the second is said first."""
    text = rng.choice(words.IN_ORDER if rng.random() < 0.5 else words.TURNED).format(first, second)
    return text[0].upper() + text[1:]


def new_key(rng: Random, catalogue: Catalogue, records: Records) -> str:
    key = f"{catalogue.domain.prefix}{rng.randint(1_000, 9_999)}"
    if key in records:
        raise TryAgain
    return key


def single(rng: Random, catalogue: Catalogue, records: Records, unseen: bool) -> tuple[str, list[dict[str, Any]]]:
    does = rng.choice(sorted(catalogue.names))
    key = new_key(rng, catalogue, records) if does == "open" else rng.choice(list(records))
    text, call = step(rng, catalogue, records, does, key, unseen=unseen)
    return f"{text[0].upper()}{text[1:]}.", [call]


def several(rng: Random, catalogue: Catalogue, records: Records, unseen: bool) -> tuple[str, list[dict[str, Any]]]:
    """Two steps on one record whose order matters, and often a third on another."""
    key = rng.choice(list(records))
    kinds = [kind for kind in sorted(catalogue.names) if kind != "open"]
    one, other = rng.sample(kinds, 2)
    first, second = (step(rng, catalogue, records, does, key, unseen=unseen) for does in (one, other))
    calls = [first[1], second[1]]
    text = join(rng, first[0], second[0])
    if rng.random() < 0.6:
        elsewhere = rng.choice([one for one in records if one != key])
        third = step(rng, catalogue, records, rng.choice(kinds), elsewhere, unseen=unseen)
        text += f" At the end, {third[0]}."
        calls.append(third[1])
    return text, calls


def state(rng: Random, catalogue: Catalogue, records: Records, unseen: bool) -> tuple[str, list[dict[str, Any]]]:
    """A request that takes a look at the records."""
    domain = catalogue.domain
    key, other = rng.sample(list(records), 2)
    kind = rng.choice(("each", "if", "half", "all", "least"))
    if kind == "each":
        owner = records[key]["owner"]
        mine = [one for one, record in records.items() if record["owner"] == owner]
        does = rng.choice(
            [one for one in ("add", "state", "date", "owner", "set", "scale", "close") if one in catalogue.names]
        )
        if len(mine) < 2:
            raise TryAgain
        text, call = step(rng, catalogue, records, does, mine[0], unseen=unseen)
        calls = [json.loads(json.dumps(call).replace(f'"{mine[0]}"', f'"{one}"')) for one in mine]
        if does == "state" and any(records[one]["state"] in call["arguments"].values() for one in mine):
            raise TryAgain
        text = text.replace(mine[0], "it")
        return f"For every {domain.noun} that {owner} owns: {text}.", calls
    if kind == "if":
        bound = 100 * rng.randint(5, 55)
        if bound == records[key]["amount"]:
            raise TryAgain
        kinds = [one for one in sorted(catalogue.names) if one != "open"]
        first, second = (step(rng, catalogue, records, does, key, unseen=unseen) for does in rng.sample(kinds, 2))
        chosen = first if records[key]["amount"] > bound else second
        text = f"If the {domain.amount} of {key} is above {bound:,} {domain.unit}, {first[0]}; otherwise {second[0]}."
        return text, [chosen[1]]
    if kind == "half":
        part, share = rng.choice((("half", 2), ("a quarter", 4), ("a fifth", 5)))
        amount = records[key]["amount"] // share
        calls = [catalogue.call("move", key=key, other=other, amount=amount)]
        return f"Move {part} of the {domain.amount} of {key} to {other}.", calls
    if kind == "all":
        more = 50 * rng.randint(1, 30)
        calls = [
            catalogue.call("add", key=key, amount=more),
            catalogue.call("move", key=key, other=other, amount=records[key]["amount"] + more),
            catalogue.call("close", key=key),
        ]
        text = f"{key} gets {more:,} {domain.unit} more of {domain.amount}. Then all it holds goes to {other}, and you "
        text += f"{domain.end} {key}."
        return text, calls
    lowest = min(records.values(), key=lambda record: record["amount"])
    least = [one for one, record in records.items() if record["amount"] == lowest["amount"]]
    if len(least) > 1:
        raise TryAgain
    does = rng.choice([one for one in sorted(catalogue.names) if one not in ("open", "move", "cut")])
    text, call = step(rng, catalogue, records, does, least[0], unseen=unseen)
    return f"Look for the {domain.noun} with the lowest {domain.amount} and {text.replace(least[0], 'it')}.", [call]


def make_row(rng: Random, catalogue: Catalogue, level: str, unseen: bool) -> Row:
    """A request of a level.

    Raises:
        TryAgain: The calls are not allowed, or the order of several does not matter.
    """
    records = draw_records(rng, catalogue.domain)
    text, gold = {"single": single, "several": several, "state": state}[level](rng, catalogue, records, unseen)
    outcome = effect(catalogue, records, gold)
    if outcome is None or (level == "several" and effect(catalogue, records, gold[::-1]) == outcome):
        raise TryAgain
    functions = catalogue.lines()
    shown = record_lines(catalogue.domain, records)
    content = "\n".join(["Functions:", *functions, "Records:", *shown, f"Question: {text} {ASK}"])
    document = {"functions": catalogue.functions, "records": records}
    return Row(content, gold, json.dumps(gold), UNSEEN if unseen else level, tuple(functions), document)


def effect(catalogue: Catalogue, records: Records, calls: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """What calls do; None where the records do not allow them."""
    try:
        return run({"functions": catalogue.functions, "records": records}, typed(catalogue.functions, calls))
    except CallError as error:
        raise RuntimeError(f"a gold does not fit its catalogue ({error}): {calls}") from error
    except Refused:
        return None


def generate(out: Path, seed: int, n: int | None = None) -> None:
    """Write the task's data into `out` (layout: `tao_bench.task`).

    Args:
        out: Empty folder.
        seed: All randomness.
        n: Prompts of the pool (default 1,000); no other split depends on it.

    Raises:
        InputError: A size below 1.
    """
    made: dict[str, list[tuple[str, Row]]] = defaultdict(list)
    catalogues: set[str] = set()
    for number, (split, count, unseen, rng) in enumerate(clusters("tool_calls@1", seed, n)):
        catalogue = draw_catalogue(rng, unseen)
        while str(sorted(catalogue.lines())) in catalogues:
            catalogue = draw_catalogue(rng, unseen)
        catalogues.add(str(sorted(catalogue.lines())))
        for place in range(count):
            level = LEVELS[place % len(LEVELS)]
            row = draw(rng, lambda rng: make_row(rng, catalogue, level, unseen))  # noqa: B023
            made[split].append((f"{catalogue.domain.noun.replace(' ', '-')}-{number}", row))
    write_task(out, "tools", seed, made, documents=True)
