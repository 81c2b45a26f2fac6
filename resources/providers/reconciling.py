"""Takes readings of vendors' balances and holds them against the ledger."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from hashlib import blake2b

from phase3_core.money import Money
from phase3_core.ports.clock import Clock
from phase3_core.reconciliation import BalanceReading, Booked, ReadingBook, Reconciled, drift_of
from resources.providers.keys import telling_apart


@dataclass(frozen=True, slots=True)
class VendorAccount:
    """`price` is USD a credit; `balance` tells credits left, None where the vendor does not."""

    provider: str
    account: str
    price: Money
    balance: Callable[[], Awaitable[Decimal | None]]


def account_of(secrets: Mapping[str, str]) -> str:
    """Tells accounts apart; nobody finds a key from it."""
    named = "\n".join(f"{name}={secret}" for name, secret in telling_apart(secrets).items())
    return blake2b(named.encode(), digest_size=8, person=b"phase3").hexdigest()


async def reconcile(accounts: Sequence[VendorAccount], book: ReadingBook, clock: Clock) -> list[Reconciled]:
    """A reading of every account that tells. What moves in the books meanwhile counts as doubt."""
    before = await book.booked()
    told = await asyncio.gather(*(account.balance() for account in accounts))
    afterwards = await book.booked()
    now = clock.now()
    earlier = await book.since_accepted([account.provider for account in accounts])
    reconciled = []
    for account, left in zip(accounts, told, strict=True):
        if left is not None:
            reading = BalanceReading(now, left, _between(account.provider, before, afterwards))
            known = earlier.get((account.provider, account.account), ())
            reconciled.append(_held_against(account, [*known, reading]))
    await book.add(reconciled)
    return reconciled


def _between(provider: str, before: Mapping[str, Booked], afterwards: Mapping[str, Booked]) -> Booked:
    first, last = before.get(provider, Booked()), afterwards.get(provider, Booked())
    doubt = last.settled - first.settled + max(first.in_doubt, last.in_doubt)
    return Booked(first.settled, doubt)


def _held_against(account: VendorAccount, readings: Sequence[BalanceReading]) -> Reconciled:
    drift = drift_of(readings, account.price)
    return Reconciled(account.provider, account.account, readings[-1], drift, drift.agreement)


def news(told: Sequence[Reconciled], known: Sequence[Reconciled]) -> list[Reconciled]:
    """Cases that the reading before did not show."""
    before = {(one.provider, one.account): one.agreement for one in known}
    return [one for one in told if one.is_case and before.get((one.provider, one.account)) != one.agreement]


def newest_of(
    accounts: Sequence[VendorAccount], told: Sequence[Reconciled], known: Sequence[Reconciled]
) -> list[Reconciled]:
    """One word for each account; where it tells nothing now, the one before stands."""
    words = {(one.provider, one.account): one for one in (*known, *told)}
    return [words[key] for one in accounts if (key := (one.provider, one.account)) in words]
