"""`phase3 reconcile`: vendors' balances against the ledger, and a person's word that a drift is accepted."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table

from phase3_assets.vendors import NO_CAMPAIGN, vendor_source
from phase3_core.errors import BadInput
from phase3_core.reconciliation import Reconciled
from resources.http_client import http_client
from resources.postgres.database import PostgresDatabase
from resources.postgres.readings import PostgresReadings
from resources.providers.source import VendorSource


@dataclass(frozen=True, slots=True)
class Wish:
    """`provider` narrows it to one, `accept` begins anew with that one's balance of now."""

    provider: str = ""
    accept: str = ""


def reconciled(url: str, wish: Wish) -> list[Reconciled]:
    return asyncio.run(reconciled_by(url, vendor_source(), wish))


async def reconciled_by(url: str, source: VendorSource, wish: Wish) -> list[Reconciled]:
    """Raises BadInput for a vendor that tells no balance, or that has none."""
    only = wish.accept or wish.provider
    async with PostgresDatabase(url, longest_outage_s=0).reading() as books, http_client() as http:
        book = PostgresReadings(books.engine)
        told = await source.reconcile(NO_CAMPAIGN, books, book, http, only)
        if only and not told:
            raise BadInput(f"{only} tells no balance, or has no key: `phase3 providers` shows who does.")
        if not wish.accept:
            return told
        await book.accept(wish.accept)
        await books.campaigns.audit(NO_CAMPAIGN, "balance_drift_accepted", told[0].as_json())
        return [one for one in await book.newest() if one.provider == wish.accept]


def reconciled_table(told: Sequence[Reconciled]) -> Table:
    table = Table(
        "provider", "left", "since", "taken USD", "booked USD", "in doubt USD", "drift", "USD", "%", ""
    )
    for one in told:
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
    return table
