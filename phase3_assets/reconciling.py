"""`phase3 reconcile`: vendors' balances against the ledger, and a person's word that a drift is accepted."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from phase3_assets.vendors import NO_CAMPAIGN, vendor_source
from phase3_core.errors import BadInput
from phase3_core.ports.books import Database
from phase3_core.reconciliation import Reconciled
from resources.assembly import postgres_readings
from resources.http_client import http_client
from resources.postgres.database import PostgresDatabase
from resources.providers.source import VendorSource

UNTOLD = "tells no balance"


@dataclass(frozen=True, slots=True)
class Wish:
    """`provider` narrows it to one, `accept` begins anew with that one's balance of now."""

    provider: str = ""
    accept: str = ""


@dataclass(frozen=True, slots=True)
class Accounts:
    """With a key: the newest word on each that tells its balance, and the names of those that do not."""

    told: Sequence[Reconciled]
    untold: Sequence[str]

    @property
    def cases(self) -> list[Reconciled]:
        return [one for one in self.told if one.is_case]

    def as_json(self) -> list[dict[str, Any]]:
        untold = ({"provider": name, "agreement": UNTOLD} for name in self.untold)
        return [*(one.as_json() for one in self.told), *untold]


def accounts_now(url: str, wish: Wish) -> Accounts:
    return asyncio.run(reconciled(PostgresDatabase(url, longest_outage_s=0), vendor_source(), wish))


async def reconciled(database: Database, source: VendorSource, wish: Wish) -> Accounts:
    """Raises BadInput for a vendor that has no key, or whose balance is to be accepted and not told."""
    only = wish.accept or wish.provider
    async with database.reading() as books, http_client() as http:
        book = postgres_readings(books)
        told = await source.reconcile(NO_CAMPAIGN, books, book, http, only)
        untold = _untold(source, told, only)
        if only and not told and (wish.accept or not untold):
            raise BadInput(f"{only} tells no balance, or has no key: `phase3 providers` shows who does.")
        if not wish.accept:
            return Accounts(told, untold)
        await book.accept(wish.accept)
        await books.campaigns.audit(NO_CAMPAIGN, "balance_drift_accepted", told[0].as_json())
        return Accounts([one for one in await book.newest() if one.provider == wish.accept], [])


def _untold(source: VendorSource, told: Sequence[Reconciled], only: str) -> list[str]:
    known = {one.provider for one in told}
    return [name for name in source.accounts if name not in known and only in {"", name}]


def accounts_table(accounts: Accounts) -> Table:
    table = Table(
        "provider", "left", "since", "taken USD", "booked USD", "in doubt USD", "drift", "USD", "%", ""
    )
    for one in accounts.told:
        drift = one.drift
        table.add_row(
            one.provider,
            f"{one.reading.credits.normalize():f}",
            f"{drift.since:%Y-%m-%d %H:%M}",
            f"{drift.taken.normalize():f}",
            f"{drift.booked.normalize():f}",
            f"{one.reading.booked.in_doubt.normalize():f}",
            f"{drift.credits.normalize():f}",
            f"{drift.unexplained.normalize():f}",
            f"{drift.share:.1%}",
            one.agreement.value,
        )
    for name in accounts.untold:
        table.add_row(name, *[""] * (len(table.columns) - 2), UNTOLD)
    return table
