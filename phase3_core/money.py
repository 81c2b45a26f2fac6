"""Exact amounts of money: USD, six places, never float."""

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal

Money = Decimal
MICRO_USD = Decimal("0.000001")
ZERO = Decimal("0.000000")


def usd(amount: str | int | Decimal) -> Money:
    """An exact amount from its decimal text; a float is refused because it is already wrong."""
    if isinstance(amount, float):
        raise TypeError("money is written as text or Decimal: usd('0.002')")
    return Decimal(amount).quantize(MICRO_USD, rounding=ROUND_HALF_UP)


def total(amounts: Iterable[Money]) -> Money:
    return sum(amounts, ZERO)


def ratio(part: int | Money, whole: int | Money) -> float:
    """A rate for reading, rounded to four places; 0.0 when there is nothing to divide by."""
    return round(float(part) / float(whole), 4) if whole else 0.0
