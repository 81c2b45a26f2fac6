"""The ready leads as a list: which columns it has, and how it is read a page at a time."""

import json
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable
from uuid import UUID

from phase3_core.ports import LeadPosition, LeadRepository
from phase3_core.report_page import Kind
from phase3_core.tiers import Tier

PAGE = 2_000  # leads read and written at once

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


async def pages(leads: LeadRepository | ReadyLeads, campaign_id: UUID) -> AsyncIterator[Sequence[Row]]:
    """Every ready lead, never more than a page of them in memory; `leads` must be ReadyLeads."""
    if not isinstance(leads, ReadyLeads):
        raise TypeError("a list of leads needs a lead repository with ready_leads")
    after = None
    while page := await leads.ready_leads(campaign_id, PAGE, after):
        yield page
        last = page[-1]
        after = LeadPosition(Tier(last["tier"]), last["score"], last["id"])


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
