"""A vendor's account against our ledger: what it took, what we booked, and what is left unexplained.

Between two readings of a balance the vendor took what the balance lost. The ledger says what was settled
meanwhile, and how much more may have been taken: calls in flight and calls whose answer was lost count with
their ceilings, on both ends. Only what lies beyond that is drift. A balance that rose was topped up: what
was taken around that moment is unknown, and a new stretch begins.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol

from phase3_core.money import ZERO, Money, total, usd

CASE_SHARE, CASE_USD = Decimal("0.01"), Decimal(1)
PARKED_SHARE = Decimal("0.05")


class Agreement(StrEnum):
    """What a reading shows. `PARKED`: new runs do without the vendor until a person accepts the drift."""

    AGREED = "agreed"
    CASE = "case"
    PARKED = "parked"
    ACCEPTED = "accepted"  # by a person; what came before does not count any more


@dataclass(frozen=True, slots=True)
class Booked:
    """USD of all calls to a vendor so far: `settled`, and `in_doubt` so much more at most."""

    settled: Money = ZERO
    in_doubt: Money = ZERO


@dataclass(frozen=True, slots=True)
class BalanceReading:
    """Credits left in an account, and the ledger's word at that moment."""

    taken_at: datetime
    credits: Decimal
    booked: Booked


@dataclass(frozen=True, slots=True)
class Drift:
    """USD that the vendor took and that we booked, and what doubt does not explain of the difference.

    `unexplained` is positive where the vendor took more, `price` USD a credit, `since` the first reading.
    """

    price: Money
    since: datetime
    taken: Money = ZERO
    booked: Money = ZERO
    unexplained: Money = ZERO

    @property
    def credits(self) -> Decimal:
        return round(self.unexplained / self.price, 2) if self.price else Decimal(0)

    @property
    def share(self) -> Decimal:
        """Of what was booked; all of it where nothing was."""
        if not self.unexplained:
            return Decimal(0)
        return abs(self.unexplained) / self.booked if self.booked > 0 else Decimal(1)

    @property
    def agreement(self) -> Agreement:
        """Less than one credit is rounding. Books that show too much are a case and no reason to park.

        Nor is a dollar: accounts are used by hand, too.
        """
        beyond = abs(self.unexplained)
        if beyond < self.price or (self.share <= CASE_SHARE and beyond <= CASE_USD):
            return Agreement.AGREED
        takes_more = self.unexplained > CASE_USD and self.share > PARKED_SHARE
        return Agreement.PARKED if takes_more else Agreement.CASE


def drift_of(readings: Sequence[BalanceReading], price: Money) -> Drift:
    """Over all `readings` of one account, oldest first; there is at least one."""
    taken, booked, beyond = (total(column) for column in zip(*_parts(readings, price), strict=True))
    return Drift(price, readings[0].taken_at, usd(taken), usd(booked), usd(beyond))


def _parts(readings: Sequence[BalanceReading], price: Money) -> Iterator[tuple[Money, Money, Money]]:
    for first, last in _stretches(readings):
        taken = (first.credits - last.credits) * price
        booked = last.booked.settled - first.booked.settled
        least, most = booked - first.booked.in_doubt, booked + last.booked.in_doubt
        yield taken, booked, max(taken - most, ZERO) + min(taken - least, ZERO)


def _stretches(readings: Sequence[BalanceReading]) -> Iterator[tuple[BalanceReading, BalanceReading]]:
    """First and last reading of each time without a top-up."""
    first = last = readings[0]
    for reading in readings[1:]:
        if reading.credits > last.credits:
            yield first, last
            first = reading
        last = reading
    yield first, last


@dataclass(frozen=True, slots=True)
class Reconciled:
    """One account after a reading. `account` tells accounts of a vendor apart without naming a key."""

    provider: str
    account: str
    reading: BalanceReading
    drift: Drift
    agreement: Agreement

    @property
    def is_case(self) -> bool:
        return self.agreement in {Agreement.CASE, Agreement.PARKED}

    def as_json(self) -> dict[str, Any]:
        return {
            "provider": self.provider,
            "agreement": self.agreement.value,
            "credits_left": str(self.reading.credits),
            "since": self.drift.since.isoformat(),
            "taken_usd": str(self.drift.taken),
            "booked_usd": str(self.drift.booked),
            "in_doubt_usd": str(self.reading.booked.in_doubt),
            "drift_usd": str(self.drift.unexplained),
            "drift_credits": str(self.drift.credits),
            "drift_share": str(round(self.drift.share, 4)),
        }

    @property
    def told(self) -> str:
        """One line for people."""
        more = "more" if self.drift.unexplained > 0 else "less"
        line = (
            f"{self.provider}: since {self.drift.since:%Y-%m-%d %H:%M} UTC the account lost "
            f"${abs(self.drift.unexplained).normalize():f} {more} than the ledger explains"
        )
        parked = "; new runs do without it" if self.agreement is Agreement.PARKED else ""
        return f"{line}{parked}. Look at its bill, then `phase3 reconcile --accept {self.provider}`."

    @property
    def why_parked(self) -> str:
        return (
            f"its account lost ${self.drift.unexplained.normalize():f} more than the ledger shows: "
            f"look at its bill, then `phase3 reconcile --accept {self.provider}`"
        )


class ReadingBook(Protocol):
    """Where readings are kept."""

    async def booked(self) -> Mapping[str, Booked]:
        """By provider, of all campaigns."""
        ...

    async def since_accepted(
        self, providers: Collection[str]
    ) -> Mapping[tuple[str, str], Sequence[BalanceReading]]:
        """By provider and account, oldest first: from the last one that a person accepted, or the first."""
        ...

    async def newest(self) -> list[Reconciled]:
        """Of each account."""
        ...

    async def add(self, reconciled: Sequence[Reconciled]) -> None: ...

    async def accept(self, provider: str) -> int:
        """From the newest reading of the provider's accounts it counts anew; how many there were."""
        ...
