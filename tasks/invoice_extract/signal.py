"""Label-free signal of invoice_extract: whether a record agrees with itself and with the page it was read from."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from tao.answers.record import RecordError, read_json

CENT = Decimal("0.005")


def adds_up(question: str, answers: Sequence[str]) -> list[float]:
    """Share of the identities a record keeps; 0 for what is no record."""
    return [_share(question, answer) for answer in answers]


def _share(question: str, answer: str) -> float:
    try:
        record = read_json(answer)
        held = list(_identities(question, record))
    except (RecordError, KeyError, TypeError, ArithmeticError):
        return 0.0
    return sum(held) / len(held)


def _identities(question: str, record: Any) -> list[bool]:
    lines = record["lines"]
    held = [abs(line["quantity"] * line["unit_price"] - line["amount"]) <= CENT for line in lines]
    net = record["subtotal"] - record["discount"] + record["tax"]
    held += [
        abs(sum(line["amount"] for line in lines) - record["subtotal"]) <= CENT,
        abs(net - record["total"]) <= CENT,
        record["amount_due"] <= record["total"] + CENT,
        record["due_date"] >= record["invoice_date"],
    ]
    held += [str(record[name]) in question for name in ("invoice_number", "supplier", "customer")]
    return held
