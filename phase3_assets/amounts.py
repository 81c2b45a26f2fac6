"""Amounts of USD as people type them behind an option."""

from contextlib import suppress
from decimal import InvalidOperation

from phase3_core.errors import BadInput
from phase3_core.money import Money, usd

MOST = usd(999_999)


def amount_given(option: str, typed: str, *others: str) -> Money:
    """`others` are words that may stand in its place, for the message. Raises BadInput."""
    with suppress(InvalidOperation):  # as NaN does by being compared
        if 0 <= (amount := usd(typed)) <= MOST:
            return amount
    raise BadInput(f"--{option} {typed!r} is no amount of USD: write {', or '.join(['25.50', *others])}.")
