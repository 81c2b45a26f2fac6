"""Which leads are on a page, and in which order."""

from collections.abc import Iterator

from sqlalchemy import ColumnElement, literal, text, true, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from phase3_core.ports.leads import LeadFilters, LeadPosition
from resources.postgres.lead_rows import ACCEPTABLE, ADDRESS, ENRICHED, VERIFIED, among
from resources.postgres.tables import lead_rank, lead_tier, leads

IN_ORDER = (lead_tier, lead_rank, leads.c.id)
_UNSORTED = text("SET LOCAL enable_sort = off")


def filters(wanted: LeadFilters) -> Iterator[ColumnElement[bool]]:
    if (status := wanted.get("status")) is not None:
        yield among(leads.c.status, [status])
    if (tier := wanted.get("tier")) is not None:
        yield lead_tier == tier
    yield ~among(leads.c.status, wanted.get("exclude_status", ()))
    yield _wished(ADDRESS == "", wish=wanted.get("needs_email"))
    yield _wished(~VERIFIED, wish=wanted.get("needs_verification"))
    yield _wished(ACCEPTABLE, wish=wanted.get("has_verified_email"))
    yield _wished(ENRICHED, wish=wanted.get("is_enriched"))


def _wished(condition: ColumnElement[bool], *, wish: bool | None) -> ColumnElement[bool]:
    if wish is None:
        return true()
    return condition if wish else ~condition


def beyond(after: LeadPosition | None) -> ColumnElement[bool]:
    """Everything behind a position, as one comparison of rows that the index answers."""
    if after is None:
        return true()
    return tuple_(*IN_ORDER) > tuple_(literal(after.tier.value), literal(-after.score), literal(after.id))


async def from_their_index(connection: AsyncConnection) -> None:
    """So are this transaction's pages read; a server that has not looked at new leads yet would sort all that
    are left of the campaign for each page.
    """
    await connection.execute(_UNSORTED)
