"""What a row of `leads` says: whose it is, how far it is, and the lead that it holds."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, Select, Text, case, cast, func, null, select, true

from phase3_core.leads import Lead
from phase3_core.progress import DELIVERED
from phase3_core.statuses import ACCEPTED, NOT_OURS, EmailStatus, EnrichmentStatus
from phase3_core.tiers import Tier
from resources.names import mailbox_names
from resources.postgres.tables import lead_domain, lead_rank, lead_tier, leads


def among(column: ColumnElement[Any], words: Iterable[str]) -> ColumnElement[bool]:
    """Never null, so that its negation holds where there is no word at all."""
    return func.coalesce(cast(column, Text).in_([*words]), False)


_DELIVERED_OURS = ~among(leads.c.status, NOT_OURS)
OURS = _DELIVERED_OURS & leads.c.suppressed_at.is_(None)
SUPPRESSED = _DELIVERED_OURS & leads.c.suppressed_at.is_not(None)
VERIFIED = among(leads.c.email_status, EmailStatus)
ACCEPTABLE = among(leads.c.email_status, ACCEPTED)
# Better tiers ask for more, so who moves up is still to be enriched; who moves down may lack nothing there.
WHOLE = among(leads.c.enrichment_status, [EnrichmentStatus.ENRICHED]) & func.coalesce(
    leads.c.enriched_as <= lead_tier, true()
)
_LACKING = among(leads.c.enrichment_status, [EnrichmentStatus.PARTIAL, EnrichmentStatus.FAILED])
ENRICHED = WHOLE | (_LACKING & func.coalesce(leads.c.enriched_as == lead_tier, true()))
READY = OURS & ACCEPTABLE & WHOLE

ADDRESS = func.coalesce(func.btrim(cast(leads.c.email, Text)), "")
BROUGHT = case(  # phase 2's address stands in `email` until an accepted one takes its place
    (func.coalesce(leads.c.email_provider, DELIVERED) == DELIVERED, ADDRESS),
    else_=func.coalesce(leads.c.delivered_email, ""),
)


def leads_as_they_stand() -> Select[Any]:
    return _lead_rows(ADDRESS, case((VERIFIED, leads.c.email_status)))


def leads_as_delivered() -> Select[Any]:
    """As phase 2 delivered them, whatever address was found since."""
    return _lead_rows(BROUGHT, null())


def _lead_rows(address: ColumnElement[str], status: ColumnElement[Any]) -> Select[Any]:
    return select(
        leads.c.id,
        leads.c.campaign_id,
        leads.c.first_name,
        leads.c.last_name,
        leads.c.full_name,
        leads.c.company_name,
        lead_domain.label("company_domain"),
        lead_tier.label("tier"),
        (-lead_rank).label("score"),
        leads.c.title,
        leads.c.linkedin_url,
        address.label("email"),
        status.label("email_status"),
    )


def lead_of(row: RowMapping) -> Lead:
    first, last = _names(row)
    return Lead(
        id=row["id"],
        campaign_id=row["campaign_id"],
        first_name=first,
        last_name=last,
        company_name=row["company_name"] or "",
        company_domain=row["company_domain"],
        tier=Tier(row["tier"]),
        score=row["score"],
        title=row["title"] or "",
        linkedin_url=row["linkedin_url"] or "",
        email=row["email"],
        email_status=EmailStatus(row["email_status"]) if row["email_status"] else None,
        mailbox_names=mailbox_names(first, last),
    )


def _names(row: RowMapping) -> tuple[str, str]:
    """First and last; where phase 2 left only the full name, its first word and the rest."""
    first, last = (row["first_name"] or "").strip(), (row["last_name"] or "").strip()
    if first or last:
        return first, last
    first, _, last = (row["full_name"] or "").strip().partition(" ")
    return first, last.strip()
