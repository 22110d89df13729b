"""How an invoice looks: a supplier's form, and the page it makes of an invoice."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from tao_bench.suite import MONTHS, word

from . import words

SEEN = ("table", "columns", "letter", "receipt")
HELD_OUT = ("mail", "fields")
"""Layouts of the test split's unseen suppliers alone."""
GROUPS = {
    "1,234.50": (",", "."),
    "1.234,50": (".", ","),
    "1 234,50": (" ", ","),
    "1'234.50": ("'", "."),
    "1234.50": ("", "."),
}
DAYS = (
    "3 May 2025",
    "May 3, 2025",
    "2025-05-03",
    "03.05.2025 (dd.mm.yyyy)",
    "03/05/2025 (dd/mm/yyyy)",
    "05/03/2025 (mm/dd/yyyy)",
    "3-May-2025",
)
FIELDS = "number date due order customer subtotal discount tax total paid open".split()
"""What a form has a label for, in the order of its labels."""
NUMBERS = ("{y}-{n}", "INV{n}", "{n}/{yy}", "R-{n}-{l}", "{l}{l2}{n}", "{yy}{m:02}{n}", "{n}-{l}")


@dataclass(frozen=True)
class Form:
    """A supplier's form; `labels` in the order of `FIELDS`."""

    supplier: str
    layout: str
    currency: str
    money: str
    days: str
    mark: str
    labels: tuple[str, ...]
    head: tuple[str, ...]
    numbers: str
    facts_last: bool

    def looks(self) -> tuple[Any, ...]:
        """What no two suppliers share."""
        return (self.layout, self.money, self.days, self.mark, self.labels, self.head, self.numbers)

    def amount(self, value: Decimal) -> str:
        """Money as this form prints it, without a mark."""
        thousands, point = GROUPS[self.money]
        whole, _, rest = f"{abs(value):,.2f}".partition(".")
        return ("-" if value < 0 else "") + whole.replace(",", thousands) + point + rest

    def day(self, day: date) -> str:
        """A date as this form prints it."""
        month = MONTHS[day.month - 1]
        return {
            "3 May 2025": f"{day.day} {month} {day.year}",
            "May 3, 2025": f"{month} {day.day}, {day.year}",
            "2025-05-03": day.isoformat(),
            "03.05.2025 (dd.mm.yyyy)": f"{day:%d.%m.%Y} (dd.mm.yyyy)",
            "03/05/2025 (dd/mm/yyyy)": f"{day:%d/%m/%Y} (dd/mm/yyyy)",
            "05/03/2025 (mm/dd/yyyy)": f"{day:%m/%d/%Y} (mm/dd/yyyy)",
            "3-May-2025": f"{day.day}-{month[:3]}-{day.year}",
        }[self.days]

    def number(self, rng: Random, day: date) -> str:
        """A number for an invoice."""
        letters = rng.choices("ABCDEFGHKLMNPRSTUVWX", k=2)
        values = {"y": day.year, "yy": day.year % 100, "m": day.month, "l": letters[0], "l2": letters[1]}
        return self.numbers.format(n=rng.randint(1_000, 99_999), **values)


def draw_form(rng: Random, currencies: list[str], unseen: bool) -> Form:
    """A supplier with a form."""
    pools = [getattr(words, name.upper()) for name in FIELDS]
    return Form(
        supplier=f"{word(rng)} {rng.choice(words.TRADES)} {rng.choice(words.FORMS)}",
        layout=rng.choice(HELD_OUT if unseen else SEEN),
        currency=rng.choice(currencies),
        money=rng.choice(list(GROUPS)),
        days=rng.choice(DAYS),
        mark=rng.choice(("code before", "code after", "symbol", "once")),
        labels=tuple(rng.choice(pool) for pool in pools),
        head=rng.choice(words.HEADS),
        numbers=rng.choice(NUMBERS),
        facts_last=rng.random() < 0.3,
    )


def _marked(form: Form, symbol: str, value: Decimal) -> str:
    text = form.amount(value)
    if form.mark == "code before":
        return f"{form.currency} {text}"
    if form.mark == "code after":
        return f"{text} {form.currency}"
    return f"{symbol} {text}" if form.mark == "symbol" else text


def _noise(rng: Random, form: Form, day: date, somebody: str, count: int) -> list[str]:
    found = []
    for text in rng.sample(words.NOISE, count):
        other = day - timedelta(rng.randint(5, 90))
        found.append(
            text.format(
                n=rng.randint(10_000, 999_999),
                x=rng.randint(3, 99),
                rate=rng.randint(4, 12),
                day=form.day(other),
                year=other.year - rng.randint(1, 9),
                person=somebody,
                street=rng.choice(words.STREETS),
            )
        )
    return found


def _lines(rng: Random, form: Form, invoice: Any) -> list[str]:
    """The lines of goods; a messy page wraps names, leaves amounts to the reader and carries sums forward."""
    messy, found, carried = invoice.level == "messy", [], Decimal(0)
    lines = invoice.record["lines"]
    silent = messy and rng.random() < 0.4
    forward = rng.randint(1, len(lines) - 1) if messy and len(lines) > 2 and rng.random() < 0.5 else 0
    receipt = form.layout in ("receipt", "fields")
    for number, line in enumerate(lines):
        if forward and number == forward and not silent:
            found.append(f"Carried forward {form.amount(carried)}")
        carried += line["amount"]
        name = line["item"]
        if messy and " " in name and rng.random() < 0.4:
            at = name.rindex(" ")
            name = f"{name[:at]}\n    {name[at + 1 :]}"
        back = " (returned)" if line["quantity"] < 0 else ""
        amount = "" if silent else form.amount(line["amount"])
        price, quantity = form.amount(line["unit_price"]), line["quantity"]
        if form.layout in ("table", "columns"):
            glue = " | " if form.layout == "table" else "   "
            found.append(glue.join(part for part in (name + back, str(quantity), price, amount) if part))
        elif receipt:
            equals = f" = {amount}" if amount else ""
            found.append(f"{name}{back}\n  {quantity} x {price}{equals}")
        else:
            equals = f", {amount}" if amount else ""
            found.append(f"- {quantity} of {name}{back} at {price} each{equals}")
    if form.layout in ("table", "columns"):
        heads = form.head[:3] if silent else form.head
        found.insert(0, (" | " if form.layout == "table" else "   ").join(heads))
    return found


def render(rng: Random, form: Form, invoice: Any, *, symbol: str, currency: str, somebody: str) -> str:
    """The page of an invoice.

    Args:
        rng: All that the form leaves open.
        form: The supplier's form.
        invoice: What it says (`generate.Invoice`).
        symbol: The currency's mark.
        currency: Its name.
        somebody: A person to fill lines that say nothing.
    """
    record, labels = invoice.record, dict(zip(FIELDS, form.labels, strict=True))
    day = date.fromisoformat(record["invoice_date"])
    due = date.fromisoformat(record["due_date"])
    facts = [
        f"{labels['number']}: {record['invoice_number']}",
        f"{labels['date']}: {form.day(day)}",
        f"{labels['customer']}: {record['customer']}, {rng.choice(words.STREETS)} {rng.randint(1, 180)}",
    ]
    if record["order_number"]:
        facts.append(f"{labels['order']}: {record['order_number']}")
    facts.append(f"{labels['due']}: {form.day(due)}" if not invoice.terms else f"Terms: {invoice.terms}")
    if invoice.level == "messy" and rng.random() < 0.5:
        old = form.day(day - timedelta(rng.randint(3, 20)))
        facts.append(f"Replaces our invoice {form.number(rng, day)} of {old}, which is void")
    rng.shuffle(facts)
    sums = []
    if invoice.level != "messy" or rng.random() < 0.6:
        sums.append(f"{labels['subtotal']}: {_marked(form, symbol, record['subtotal'])}")
    if record["discount"]:
        sums.append(f"{labels['discount']} {invoice.discount_rate} %: {_marked(form, symbol, -record['discount'])}")
    sums.append(f"{labels['tax']} {invoice.tax_rate} %: {_marked(form, symbol, record['tax'])}")
    sums.append(f"{labels['total']}: {_marked(form, symbol, record['total'])}")
    if invoice.paid:
        sums.append(f"{labels['paid']}: {_marked(form, symbol, -invoice.paid)}")
        if invoice.level != "messy" or rng.random() < 0.5:
            sums.append(f"{labels['open']}: {_marked(form, symbol, record['amount_due'])}")
    if invoice.level == "messy" and rng.random() < 0.4:
        other = Decimal(rng.randint(5_000, 90_000)) / 100
        sums.append(f"For information: earlier invoices unpaid {_marked(form, symbol, other)}, not part of this one")
    ambiguous = form.mark in ("once", "symbol")
    note = [f"All amounts in {currency}" if rng.random() < 0.5 else f"Currency: {form.currency}"] if ambiguous else []
    noise = _noise(rng, form, day, somebody, rng.randint(2, 4))
    lines = _lines(rng, form, invoice)
    head = [form.supplier, f"{rng.choice(words.STREETS)} {rng.randint(1, 99)}"]
    if form.layout == "mail":
        start = f"Dear {record['customer']} team,\nthis is what we have done for you. {'. '.join(facts)}."
        parts = [[f"From: {form.supplier}", start], note, lines, [". ".join(sums) + "."], noise]
    elif form.layout == "fields":
        parts = [[f"SELLER={form.supplier}"], [fact.replace(": ", "=", 1) for fact in facts], note, lines,
                 [one.replace(": ", "=", 1) for one in sums], noise]  # fmt: skip
    elif form.layout == "letter":
        parts = [head, noise[:1], ["; ".join(facts)], note, ["We charge:"], lines, sums, noise[1:]]
    elif form.facts_last:
        parts = [head, note, lines, sums, facts, noise]
    else:
        parts = [head, facts, noise[:1], note, lines, sums, noise[1:]]
    return "\n".join(line for part in parts for line in part)
