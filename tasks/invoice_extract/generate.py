"""Make invoice_extract@1: each supplier has a form of its own, each record adds up to the cent.

Everything follows from the seed: no clock, no `hash()`, no set order.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from random import Random
from typing import Any

from tao_bench.suite import UNSEEN, Row, clusters, person, word, write_task

from . import layouts, words

LEVELS = ("plain", "terms", "messy")
CURRENCIES = {
    "EUR": ("€", "euros", ("21", "19", "7")),
    "GBP": ("£", "pounds sterling", ("20", "5")),
    "USD": ("$", "US dollars", ("8.25", "6.5")),
    "CAD": ("$", "Canadian dollars", ("5", "13")),
    "AUD": ("$", "Australian dollars", ("10",)),
    "CHF": ("Fr.", "Swiss francs", ("8.1", "2.6")),
    "SEK": ("kr", "Swedish kronor", ("25", "12")),
    "DKK": ("kr", "Danish kroner", ("25",)),
}
"""ISO code to mark, name and tax rates: a dollar or krona sign alone does not tell the currency."""
ASK = (
    "Question: Read the invoice into one JSON object with the keys invoice_number, invoice_date, due_date (dates as "
    "YYYY-MM-DD), supplier, customer (names without address), order_number (the customer's; null if there is none), "
    "currency (ISO 4217 code), lines (a list of item, quantity, unit_price, amount, in the order printed), subtotal "
    "(sum of the lines), discount (as a positive number, 0 if none), tax, total, amount_due (total less what was paid "
    "before). Money is a number; quantity and amount of returned goods are negative, and their item is without "
    '"(returned)".'
)
CENT = Decimal("0.01")


def cents(value: Decimal) -> Decimal:
    """Rounded half up to two digits."""
    return value.quantize(CENT, ROUND_HALF_UP)


@dataclass(frozen=True)
class Invoice:
    """What an invoice says, and how much of it is printed."""

    record: dict[str, Any]
    terms: str
    discount_rate: Decimal
    tax_rate: str
    paid: Decimal
    level: str


def item_name(rng: Random) -> str:
    names, kinds = (words.GOODS, words.MAKES) if rng.random() < 0.75 else (words.SERVICES, words.RATES)
    base = rng.choice(names)
    return f"{base}, {rng.choice(kinds)}" if rng.random() < 0.7 else base


def terms_of(rng: Random, day: date) -> tuple[str, date]:
    """Payment terms in words, and the day they mean."""
    kind, days = rng.randrange(4), rng.choice((7, 10, 14, 21, 30, 45, 60))
    following = date(day.year + day.month // 12, day.month % 12 + 1, 1)
    after = date(following.year + following.month // 12, following.month % 12 + 1, 1)
    if kind == 0:
        return f"Net {days} days from the invoice date", day + timedelta(days)
    if kind == 1:
        return f"payable within {days} days of the invoice date", day + timedelta(days)
    if kind == 2:
        return "due on the last day of the month after the invoice month", after - timedelta(1)
    on = rng.choice((5, 10, 15, 20))
    return f"due on day {on} of the month after the invoice month", following.replace(day=on)


def draw_invoice(rng: Random, form: layouts.Form, level: str) -> Invoice:
    day = date(2022, 1, 3) + timedelta(rng.randrange(1400))
    lines = []
    for name in dict.fromkeys(item_name(rng) for _ in range(rng.randint(2, 4))):
        quantity = rng.choice((1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 24, 40, 100, 120))
        price = Decimal(rng.randint(120, 64_000 if quantity < 20 else 4_000)) / 100
        lines.append({"item": name, "quantity": quantity, "unit_price": price, "amount": cents(quantity * price)})
    if level == "messy" and rng.random() < 0.5:
        back = rng.choice(lines)
        amount = -rng.randint(1, max(1, min(3, back["quantity"] - 1)))
        lines.append({**back, "quantity": amount, "amount": cents(amount * back["unit_price"])})
    subtotal = sum((line["amount"] for line in lines), Decimal(0))
    rate = Decimal(rng.choice((2, 3, 5, 10)) if level != "plain" and rng.random() < 0.6 else 0)
    discount = cents(subtotal * rate / 100)
    tax_rate = rng.choice(CURRENCIES[form.currency][2])
    tax = cents((subtotal - discount) * Decimal(tax_rate) / 100)
    total = subtotal - discount + tax
    paid = cents(total * rng.choice((10, 20, 25, 50)) / 100) if level != "plain" and rng.random() < 0.5 else Decimal(0)
    if level == "plain":
        terms, due = "", day + timedelta(rng.choice((7, 14, 30, 45)))
    else:
        terms, due = terms_of(rng, day)
    record = {
        "invoice_number": form.number(rng, day),
        "invoice_date": day.isoformat(),
        "due_date": due.isoformat(),
        "supplier": form.supplier,
        "customer": f"{word(rng)} {rng.choice(words.TRADES)} {rng.choice(words.FORMS)}",
        "order_number": f"{rng.choice(('PO', 'B', 'ORD', '45'))}{rng.randint(10_000, 99_999)}"
        if rng.random() < 0.7
        else None,
        "currency": form.currency,
        "lines": lines,
        "subtotal": subtotal,
        "discount": discount,
        "tax": tax,
        "total": total,
        "amount_due": total - paid,
    }
    return Invoice(record, terms, rate, tax_rate, paid, level)


def plain(value: Any) -> Any:
    """Decimals as JSON numbers: two digits are exact in their shortest spelling."""
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [plain(part) for part in value]
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value


def make_row(rng: Random, form: layouts.Form, level: str, shown: str) -> Row:
    invoice = draw_invoice(rng, form, level)
    symbol, name, _ = CURRENCIES[form.currency]
    text = layouts.render(rng, form, invoice, symbol=symbol, currency=name, somebody=person(rng))
    gold = plain(invoice.record)
    return Row(f"Invoice:\n{text}\n{ASK}", gold, json.dumps(gold, ensure_ascii=False), shown)


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
    forms: set[tuple[Any, ...]] = set()
    for split, count, unseen, rng in clusters("invoice_extract@1", seed, n):
        form = layouts.draw_form(rng, list(CURRENCIES), unseen)
        while form.looks() in forms or form.supplier in {f[0] for f in forms}:
            form = layouts.draw_form(rng, list(CURRENCIES), unseen)
        forms |= {form.looks(), (form.supplier,)}
        for number in range(count):
            level = LEVELS[number % len(LEVELS)]
            row = make_row(rng, form, level, UNSEEN if unseen else level)
            made[split].append((form.supplier, row))
    write_task(out, "invoice", seed, made)
