"""The people of a campaign: read in pages, written in batches."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Unpack
from uuid import UUID

from sqlalchemy import ARRAY, Select, Text, Uuid, any_, cast, func, literal, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from phase3_core.email_result import EmailResult
from phase3_core.enrichment import EnrichmentResult, Gathered
from phase3_core.forgetting import Pseudonyms
from phase3_core.leads import Lead
from phase3_core.money import ZERO, Money, usd
from phase3_core.ports.leads import LeadFilters, LeadPosition
from resources.postgres.lead_pages import IN_ORDER, beyond, filters, from_their_index
from resources.postgres.lead_results import write_email_results, write_enrichment_results
from resources.postgres.lead_rows import (
    ADDRESS,
    OURS,
    READY,
    VERIFIED,
    lead_of,
    leads_as_delivered,
    leads_as_they_stand,
)
from resources.postgres.lease import Begin
from resources.postgres.outage import Outage, repeatable
from resources.postgres.setting_aside import release, set_aside, set_aside_listed
from resources.postgres.suppression import recognise
from resources.postgres.tables import lead_domain, lead_rank, lead_tier, leads

_COST = func.coalesce(leads.c.email_cost, 0) + func.coalesce(leads.c.enrichment_cost, 0)
_SHOWN = (
    "first_name",
    "last_name",
    "email",
    "email_status",
    "title",
    "company_name",
    "linkedin_url",
    "company_industry",
    "company_employee_count",
    "company_description",
    "company_tech_stack",
    "email_provider",
    "email_verifier",
)


class PostgresLeads:
    def __init__(
        self, engine: AsyncEngine, begin: Begin, outage: Outage, known: Pseudonyms | None = None
    ) -> None:
        self._engine = engine
        self._begin = begin
        self.outage = outage
        self._known = known or Pseudonyms()

    @repeatable
    async def get_campaign_leads(
        self,
        campaign_id: UUID,
        *,
        limit: int = 500,
        after: LeadPosition | None = None,
        **wanted: Unpack[LeadFilters],
    ) -> list[Lead]:
        page = leads_as_they_stand().where(
            leads.c.campaign_id == campaign_id,
            OURS,
            *filters(wanted),
            beyond(after),
        )
        async with self._engine.connect() as connection:
            await from_their_index(connection)
            return await _leads(connection, page.order_by(*IN_ORDER).limit(limit))

    @repeatable
    async def finished_leads(self, campaign_id: UUID, domains: Sequence[str], per_domain: int) -> list[Lead]:
        finished_in_order = (leads.c.email_verified_at, *IN_ORDER)
        place = func.row_number().over(partition_by=lead_domain, order_by=finished_in_order)
        finished = (
            leads_as_delivered()
            .add_columns(lead_rank.label("rank"), place.label("place"), leads.c.email_verified_at)
            .where(leads.c.campaign_id == campaign_id, OURS, VERIFIED)
            .where(lead_domain == any_(literal(list(domains), ARRAY(Text))))
            .subquery()
        )
        first = select(finished).where(finished.c.place <= per_domain)
        in_order = (finished.c.email_verified_at, finished.c.tier, finished.c.rank, finished.c.id)
        return await self._read(first.order_by(*in_order))

    async def finished_by_company(self, campaign_id: UUID, at_once: int) -> AsyncIterator[list[Lead]]:
        """Pages of all finished leads, as delivered: company by company, each one's as they were finished.

        One reading of the server's, so that it sorts once, and nobody holds more than a page.
        """
        finished = leads_as_delivered().where(leads.c.campaign_id == campaign_id, OURS, VERIFIED)
        in_order = finished.order_by(lead_domain, leads.c.email_verified_at, *IN_ORDER)
        async with self._engine.connect() as connection:
            reading = await connection.stream(in_order, execution_options={"yield_per": at_once})
            async for page in reading.mappings().partitions():
                yield [lead_of(row) for row in page]

    @repeatable
    async def suppress_listed(self, campaign_id: UUID) -> None:
        """Raises BadInput without the key to all of the list's hashes."""
        async with self._begin() as connection:
            await recognise(connection, self._known)
            await release(connection, campaign_id)
            await set_aside_listed(connection, campaign_id, self._known)

    @repeatable
    async def lead(self, lead_id: UUID, *, delivered: bool = False) -> Lead:
        """With its address as it stands, or as phase 2 delivered it."""
        query = leads_as_delivered() if delivered else leads_as_they_stand()
        (lead,) = await self._read(query.where(leads.c.id == lead_id))
        return lead

    @repeatable
    async def known_facts(self, leads_: Sequence[UUID]) -> dict[UUID, Gathered]:
        fields, sources = (leads.c.enrichment_data[name].label(name) for name in ("fields", "sources"))
        theirs = leads.c.id == any_(literal(list(leads_), ARRAY(Uuid)))
        query = select(leads.c.id, fields, sources).where(theirs, leads.c.enrichment_cost.is_not(None))
        async with self._engine.connect() as connection:
            rows = await connection.execute(query)
            return {row.id: Gathered(row.fields or {}, row.sources or {}) for row in rows}

    @repeatable
    async def ready_leads(
        self, campaign_id: UUID, limit: int, after: LeadPosition | None
    ) -> list[Mapping[str, Any]]:
        """A page of what the exports show: leads with an accepted address and enriched, best first."""
        ready = (
            select(
                leads.c.id,
                lead_tier.label("tier"),
                (-lead_rank).label("score"),
                *(leads.c[name] for name in _SHOWN),
                lead_domain.label("company_domain"),
                _COST.label("cost_usd"),
            )
            .where(leads.c.campaign_id == campaign_id, READY, beyond(after))
            .order_by(*IN_ORDER)
            .limit(limit)
        )
        async with self._engine.connect() as connection:
            await from_their_index(connection)
            read = await connection.execute(ready)
            names = tuple(read.keys())
            return [dict(zip(names, row, strict=True)) for row in read]

    @repeatable
    async def lead_set(self, campaign_id: UUID) -> str:
        """Hashed by the server, so that a decision reads one line and not the leads."""
        line = cast(leads.c.id, Text) + "|" + lead_tier + "|" + ADDRESS
        lines = func.coalesce(func.string_agg(line, aggregate_order_by(literal("\n"), leads.c.id)), "")
        digest = func.encode(func.sha256(func.convert_to(lines, "UTF8")), "hex")
        query = select(digest).where(leads.c.campaign_id == campaign_id, READY)
        async with self._engine.connect() as connection:
            return str(await connection.scalar(query))

    @repeatable
    async def cost_of_decided(self, campaign_id: UUID) -> Money:
        query = select(func.sum(leads.c.email_cost)).where(leads.c.campaign_id == campaign_id, OURS, VERIFIED)
        async with self._engine.connect() as connection:
            return usd(await connection.scalar(query) or ZERO)

    @repeatable
    async def save_email_results(self, campaign_id: UUID, results: Sequence[EmailResult]) -> None:
        found = [
            {"id": result.lead_id, "subjects": self._known.subjects_of_address(result.email)}
            for result in results
            if result.email
        ]
        barred = [result.lead_id for result in results if result.suppressed]
        async with self._begin() as connection:
            await set_aside(connection, campaign_id, barred, found)
            await write_email_results(connection, campaign_id, results)

    @repeatable
    async def save_enrichment_results(self, campaign_id: UUID, results: Sequence[EnrichmentResult]) -> None:
        barred = [result.lead_id for result in results if result.suppressed]
        async with self._begin() as connection:
            await set_aside(connection, campaign_id, barred)
            await write_enrichment_results(connection, campaign_id, results)

    async def _read(self, query: Select[Any]) -> list[Lead]:
        async with self._engine.connect() as connection:
            return await _leads(connection, query)


async def _leads(connection: AsyncConnection, query: Select[Any]) -> list[Lead]:
    return [lead_of(row) for row in (await connection.execute(query)).mappings()]
