"""Make ticket_triage@1: every company has a policy of its own; labels follow from the policy's rules in their order.

Everything follows from the seed: no clock, no `hash()`, no set order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tao_bench.suite import UNSEEN, Row, TryAgain, clusters, draw, word, write_task

from . import words
from .rules import HELD_OUT, PLANS, REGIONS, SEEN, TECHNICAL, Route, Rule, Ticket

LEVELS = ("table", "rules", "chain")
TEAMS = "accounts billing compliance data devices field legal mobile network platform security success".split()
MATTER_TEAMS = {
    "invoices and refunds": ("billing", "accounts"),
    "sign-in and passwords": ("accounts", "security"),
    "contracts and terms": ("legal", "success", "accounts"),
    "courses and guides": ("success", "field"),
}
ASK = (
    "Question: Which teams get the ticket, and at which priority? Answer on one line with labels separated by commas: "
    f"the teams (out of {', '.join(TEAMS)}) and one of p1, p2, p3, p4."
)
FIT_TRIES = 60
"""Draws in which a policy must show a ticket of each level."""
ORDINALS = {2: "second", 3: "third", 4: "fourth", 5: "fifth"}


@dataclass(frozen=True)
class Policy:
    """A company's policy."""

    company: str
    owners: dict[str, str]
    """Product or matter to team."""
    products: tuple[str, ...]
    fault: int
    other: int
    rules: tuple[Rule, ...]

    def text(self) -> tuple[list[str], list[str]]:
        """Lines of owners (their order is free) and all lines after them."""
        owners = [f"- {subject}: {team}" for subject, team in self.owners.items()]
        start = f"A fault of a product starts at p{self.fault}, anything else at p{self.other}."
        if self.fault == self.other:
            start = f"Every ticket starts at p{self.fault}."
        rules = [f"{number}. {rule.text}" for number, rule in enumerate(self.rules, 1)]
        return owners, [start, "Then these rules, one after the other; each builds on the outcome so far:", *rules]

    def route(self, ticket: Ticket, rules: Sequence[Rule] | None = None) -> tuple[Route, int]:
        """Where a ticket goes, and how many rules changed that."""
        route = Route(frozenset({self.owners[ticket.subject]}), self.fault if ticket.fault else self.other)
        changed = 0
        for rule in self.rules if rules is None else rules:
            after = rule.apply(ticket, route)
            changed += after != route
            route = after
        return route, changed


def draw_policy(rng: Random, unseen: bool) -> Policy:
    products = tuple(dict.fromkeys(word(rng) for _ in range(rng.randint(3, 4))))
    owners = {product: rng.choice(TECHNICAL) for product in products}
    for matter in rng.sample(sorted(MATTER_TEAMS), rng.randint(2, 3)):
        owners[matter] = rng.choice(MATTER_TEAMS[matter])
    names = rng.sample(sorted(owners), len(owners))
    kinds = rng.sample(SEEN, rng.randint(5, 7)) + (list(HELD_OUT) if unseen else [])
    rng.shuffle(kinds)
    made: dict[str, Rule] = {}
    for kind in kinds:
        rule = kind(rng, list(owners.values()))
        made.setdefault(rule.kind, rule)
    fault = rng.choice((3, 3, 4))
    other = rng.choice((4, 4, 3))
    company = f"{word(rng)} {rng.choice(('Systems', 'Software', 'Cloud', 'Works', 'Labs'))}"
    return Policy(company, {name: owners[name] for name in names}, products, fault, other, tuple(made.values()))


def draw_ticket(rng: Random, policy: Policy, unseen: bool) -> Ticket:
    subject = rng.choice(list(policy.owners))
    fault = subject in policy.products
    likely = {rule.kind for rule in policy.rules}

    def some(kind: str, share: float = 0.4) -> bool:
        return kind in likely and rng.random() < share

    at_rest = some("stopped")
    return Ticket(
        subject,
        fault,
        plan=rng.choice(PLANS),
        region=rng.choice(REGIONS),
        users=rng.choice((2, 4, 7, 12, 18, 23, 31, 45, 60, 90, 120, 180, 240)) if rng.random() < 0.6 else 1,
        stopped=at_rest,
        leak=some("leak"),
        times=rng.choice((2, 3, 4, 5)) if rng.random() < 0.5 else 1,
        amount=rng.choice((120, 480, 760, 1_250, 1_900, 2_300, 3_400, 6_200, 12_500)) if some("amount", 0.6) else 0,
        leaving=some("leaving"),
        deadline=some("deadline"),
        workaround=not at_rest and some("workaround"),
        trial=some("trial"),
        public=unseen and some("public"),
        announced=unseen and fault and some("announced", 0.25),
    )


def ticket_text(rng: Random, policy: Policy, ticket: Ticket, unseen: bool) -> str:
    bank = words.FAULTS if ticket.fault else words.MATTERS[ticket.subject]
    opening = words.pick(rng, bank, unseen).format(p=ticket.subject)
    said = []
    if ticket.users > 1:
        said.append(words.pick(rng, words.USERS, unseen).format(n=ticket.users))
    for name, phrasings in words.BANKS.items():
        if getattr(ticket, name):
            said.append(words.pick(rng, phrasings, unseen))
    if ticket.times > 1:
        said.append(words.pick(rng, words.TIMES, unseen).format(n=ticket.times, nth=ORDINALS[ticket.times]))
    if ticket.amount:
        said.append(words.pick(rng, words.AMOUNT, unseen).format(n=ticket.amount))
    others = [product for product in policy.products if product != ticket.subject]
    for text in rng.sample(words.DISTRACTORS, rng.randint(1, 3)):
        contrary = (ticket.leak and "personal" in text) or (ticket.leaving and "stay" in text)
        contrary |= (ticket.deadline and "deadline" in text) or (ticket.stopped and "keep working" in text)
        contrary |= ticket.trial and "bought" in text
        if not contrary and (others or "{other}" not in text):
            said.append(text.format(other=rng.choice(others or [""]), n=rng.randint(30, 900)))
    rng.shuffle(said)
    return " ".join([rng.choice(words.OPENINGS), opening, *said])


def make_row(rng: Random, policy: Policy, level: str, unseen: bool) -> Row:
    """A ticket of a level.

    Raises:
        TryAgain: This draw has another level.
    """
    ticket = draw_ticket(rng, policy, unseen)
    route, changed = policy.route(ticket)
    backwards, _ = policy.route(ticket, policy.rules[::-1])
    wanted = {"table": changed == 0, "rules": changed in (1, 2), "chain": changed >= 3 and backwards != route}[level]
    if not wanted:
        raise TryAgain
    owners, rest = policy.text()
    head = f"Ticket from region {ticket.region}, {ticket.plan} plan:"
    lines = [
        f"Triage policy of {policy.company}. Owners:",
        *owners,
        *rest,
        head,
        ticket_text(rng, policy, ticket, unseen),
        ASK,
    ]
    labels = route.labels()
    return Row("\n".join(lines), labels, ", ".join(labels), UNSEEN if unseen else level, tuple(owners))


def fits(policy: Policy, rng: Random, unseen: bool) -> bool:
    """Whether a policy can be asked at every level: some have too few rules that meet."""
    try:
        for level in LEVELS:
            draw(rng, lambda rng, level=level: make_row(rng, policy, level, unseen), tries=FIT_TRIES)  # type: ignore[misc]
    except RuntimeError:
        return False
    return True


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
    companies: set[str] = set()
    for split, count, unseen, rng in clusters("ticket_triage@1", seed, n):
        policy = draw_policy(rng, unseen)
        while policy.company in companies or not fits(policy, rng, unseen):
            policy = draw_policy(rng, unseen)
        companies.add(policy.company)
        for number in range(count):
            level = LEVELS[number % len(LEVELS)]
            row = draw(rng, lambda rng: make_row(rng, policy, level, unseen))  # noqa: B023
            made[split].append((policy.company, row))
    write_task(out, "ticket", seed, made)
