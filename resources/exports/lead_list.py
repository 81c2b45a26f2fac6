"""The ready leads as a list: which columns it has, and how it is read a page at a time."""

import asyncio
import json
import math
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable
from uuid import UUID

from phase3_core.ports.leads import LeadPosition, LeadRepository
from phase3_core.presentation import Kind
from phase3_core.tiers import Tier

PAGE = 1_000  # leads read and written at once; of more, PostgreSQL would sort all that are left

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LeadColumn:
    """`width` in letters."""

    key: str
    title: str
    width: int
    kind: Kind = Kind.TEXT


LEAD_COLUMNS = (
    LeadColumn("tier", "Tier", 6),
    LeadColumn("score", "Score", 8, Kind.COUNT),
    LeadColumn("first_name", "First name", 16),
    LeadColumn("last_name", "Last name", 18),
    LeadColumn("email", "Email", 34),
    LeadColumn("email_status", "Email status", 13),
    LeadColumn("title", "Title", 30),
    LeadColumn("company_name", "Company", 28),
    LeadColumn("company_domain", "Domain", 24),
    LeadColumn("linkedin_url", "LinkedIn", 36),
    LeadColumn("company_industry", "Industry", 22),
    LeadColumn("company_employee_count", "Employees", 11, Kind.COUNT),
    LeadColumn("company_description", "Description", 60),
    LeadColumn("company_tech_stack", "Tech stack", 40),
    LeadColumn("email_provider", "Found by", 14),
    LeadColumn("email_verifier", "Verified by", 14),
    LeadColumn("cost_usd", "Cost (USD)", 12, Kind.MONEY),
)
TITLES = tuple(column.title for column in LEAD_COLUMNS)
LISTED_TIERS = (Tier.A, Tier.B)  # each has a list of its own; all tiers are in "All ready"
ALL_READY = "All ready"


@runtime_checkable
class ReadyLeads(Protocol):
    async def ready_leads(self, campaign_id: UUID, limit: int, after: LeadPosition | None) -> Sequence[Row]:
        """A page of leads with an accepted address and enrichment, tier A first, then highest score.

        Keys: id, tier, score and those of the columns of the list.
        """
        ...


async def pages(leads: LeadRepository | ReadyLeads, campaign_id: UUID) -> AsyncGenerator[Sequence[Row], None]:
    """Every ready lead; the next page is read while one is used, and no more are in memory.

    `leads` must be ReadyLeads. To be closed: `async with aclosing(pages(…))`.
    """
    if not isinstance(leads, ReadyLeads):
        raise TypeError("a list of leads needs a lead repository with ready_leads")
    page = await leads.ready_leads(campaign_id, PAGE, None)
    while page:
        following = asyncio.create_task(_read(leads, campaign_id, page[-1]))
        try:
            yield page
            page = await following
        finally:
            following.cancel()


async def _read(leads: ReadyLeads, campaign_id: UUID, last: Row) -> Sequence[Row]:
    after = LeadPosition(Tier(last["tier"]), last["score"], last["id"])
    return await leads.ready_leads(campaign_id, PAGE, after)


def number(value: Any) -> float | None:
    """Amounts arrive as text too; what cannot be counted is None and stays text."""
    try:
        counted = math.nan if value is None or isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return counted if math.isfinite(counted) else None


def plain(value: object) -> str:
    """As one cell's text."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, list | tuple):
        return ", ".join(map(plain, value))
    return str(value)
