"""One lead with everything that is known of it, for whoever asks about that lead alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Text, cast, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from phase3_core.errors import BadInput
from phase3_core.leads import Lead
from phase3_core.money import ZERO, Money
from phase3_core.trace import Noted
from resources.postgres.leads import PostgresLeads
from resources.postgres.tables import leads

MOST_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Dossier:
    """`delivered`: as phase 2 brought it; `lead`: with the address that phase 3 settled on.

    `noted`: what enriching it brought, once that is done.
    """

    lead: Lead
    delivered: Lead
    enrichment_status: str
    email_cost: Money
    enrichment_cost: Money
    verified_at: datetime | None
    enriched_at: datetime | None
    noted: Noted | None
    suppressed: bool

    def as_json(self) -> dict[str, Any]:
        lead = self.lead
        return {
            "id": str(lead.id),
            "campaign_id": str(lead.campaign_id),
            "name": lead.full_name,
            "company_domain": lead.company_domain,
            "tier": lead.tier.value,
            "email": lead.email,
            "email_status": lead.email_status.value if lead.email_status else None,
            "enrichment_status": self.enrichment_status or None,
            "suppressed": self.suppressed,
        }


async def lead_named(engine: AsyncEngine, who: str) -> UUID:
    """By id or address; raises BadInput for nobody, and for an address of several leads."""
    wanted = who.strip().lower()
    address = func.lower(func.btrim(cast(leads.c.email, Text)))
    fitting = select(leads.c.id).where((cast(leads.c.id, Text) == wanted) | (address == wanted))
    async with engine.connect() as connection:
        ids = [row.id for row in await connection.execute(fitting.order_by(leads.c.created_at.desc()))]
    if not ids:
        raise BadInput(f"There is no lead {who!r}. Give a lead's id, or its address as in the exports.")
    if len(ids) > 1:
        shown = ", ".join(map(str, ids[:MOST_SHOWN]))
        raise BadInput(f"{who!r} is the address of {len(ids)} leads. Give one of their ids: {shown}.")
    return UUID(str(ids[0]))


async def dossier(engine: AsyncEngine, repository: PostgresLeads, lead_id: UUID) -> Dossier:
    facts = select(
        func.coalesce(leads.c.enrichment_status, "").label("enrichment_status"),
        func.coalesce(leads.c.email_cost, ZERO).label("email_cost"),
        func.coalesce(leads.c.enrichment_cost, ZERO).label("enrichment_cost"),
        leads.c.email_verified_at.label("verified_at"),
        leads.c.enrichment_completed_at.label("enriched_at"),
        leads.c.enrichment_data,
        leads.c.suppressed_at.is_not(None).label("suppressed"),
    ).where(leads.c.id == lead_id)
    async with engine.connect() as connection:
        row = (await connection.execute(facts)).one()
    found, delivered = await repository.lead(lead_id), await repository.lead(lead_id, delivered=True)
    return Dossier(
        lead=found,
        delivered=delivered,
        enrichment_status=row.enrichment_status,
        email_cost=row.email_cost,
        enrichment_cost=row.enrichment_cost,
        verified_at=row.verified_at,
        enriched_at=row.enriched_at,
        noted=_noted(row.enrichment_data) if row.enriched_at else None,
        suppressed=row.suppressed,
    )


def _noted(data: Mapping[str, Any] | None) -> Noted | None:
    """None also where somebody else has enriched the lead."""
    return Noted(data["sources"], data["gaps"]) if data and {"sources", "gaps"} <= data.keys() else None
