"""What the agents leave on leads: written in batches, and taken back where it is tried again."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause, Update, bindparam, case, func, null, text, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from phase3_core.email_result import EmailResult
from phase3_core.enrichment import EnrichmentResult
from phase3_core.progress import DELIVERED
from phase3_core.statuses import ACCEPTED, Agent, EnrichmentStatus
from resources.postgres.lead_rows import ACCEPTABLE, OURS, VERIFIED, among
from resources.postgres.tables import leads

_LARGEST_INTEGER = 2**31 - 1
_TEXTS = ("company_description", "company_industry", "company_revenue_range")
_LISTS = ("company_tech_stack", "company_keywords")
_NUMBERS = ("company_employee_count", "company_founded_year")
_OF_EMAIL = ("email_status", "email_provider", "email_verifier", "email_confidence", "email_verified_at")

# `replaces`: the new address is written. `keeps`: phase 2's stays, and so does what is said of it.
_SAVE_EMAILS = text("""
    WITH told AS (
        SELECT result.*, coalesce(btrim(leads.email::text), '') AS address
        FROM jsonb_to_recordset(:rows) AS result (
            id uuid, email text, status text, provider text, verifier text, confidence integer,
            accepted boolean)
        JOIN leads ON leads.id = result.id AND leads.suppressed_at IS NULL
    ), judged AS (
        SELECT told.*, address <> '' AS had,
            lower(email) <> lower(address) AND email <> '' AND (accepted OR address = '') AS replaces,
            lower(email) <> lower(address) AND address <> '' AND NOT accepted AS keeps
        FROM told
    )
    UPDATE leads SET
        delivered_email = CASE
            WHEN replaces AND had AND coalesce(email_provider, :delivered) = :delivered THEN leads.email
            ELSE delivered_email END,
        email = CASE WHEN replaces THEN judged.email ELSE leads.email END,
        email_status = CASE WHEN keeps THEN coalesce(email_status, 'unknown') ELSE judged.status END,
        email_provider = CASE
            WHEN keeps THEN coalesce(email_provider, :delivered) ELSE nullif(provider, '') END,
        email_verifier = CASE WHEN keeps THEN email_verifier ELSE nullif(verifier, '') END,
        email_confidence = CASE WHEN keeps THEN email_confidence ELSE confidence END,
        email_verified_at = now(),
        email_cost = (
            SELECT coalesce(sum(cost_usd + unknown_usd), 0) FROM provider_calls
            WHERE lead_id = leads.id AND agent = :agent),
        updated_at = now()
    FROM judged
    WHERE leads.id = judged.id AND campaign_id = :campaign_id AND erased_at IS NULL
""").bindparams(bindparam("rows", type_=JSONB), delivered=DELIVERED)

# What phase 2 knew of the industry stands; of the rest the newest answer, where there is one.
_SAVE_ENRICHMENT = text("""
    UPDATE leads SET
        company_industry = coalesce(nullif(btrim(leads.company_industry), ''), result.company_industry),
        company_description = coalesce(result.company_description, leads.company_description),
        company_revenue_range = coalesce(result.company_revenue_range, leads.company_revenue_range),
        company_employee_count = coalesce(result.company_employee_count, leads.company_employee_count),
        company_founded_year = coalesce(result.company_founded_year, leads.company_founded_year),
        company_tech_stack = coalesce(result.company_tech_stack, leads.company_tech_stack),
        company_keywords = coalesce(result.company_keywords, leads.company_keywords),
        enrichment_data = coalesce(nullif(enrichment_data, 'null'), '{}') || data,
        enrichment_status = result.status,
        enriched_as = result.tier,
        enrichment_cost = (
            SELECT coalesce(sum(cost_usd + unknown_usd), 0) FROM provider_calls
            WHERE lead_id = leads.id AND agent = :agent),
        enrichment_completed_at = now(),
        updated_at = now()
    FROM jsonb_to_recordset(:rows) AS result (
        id uuid, status text, tier text, data jsonb, company_description text, company_industry text,
        company_revenue_range text, company_employee_count integer, company_founded_year integer,
        company_tech_stack jsonb, company_keywords jsonb)
    WHERE leads.id = result.id AND campaign_id = :campaign_id AND erased_at IS NULL
""").bindparams(bindparam("rows", type_=JSONB))


async def write_email_results(
    connection: AsyncConnection, campaign_id: UUID, results: Sequence[EmailResult]
) -> None:
    rows = [_email_row(result) for result in results if result.status is not None]
    await _write(connection, _SAVE_EMAILS, campaign_id, rows, Agent.EMAIL_VERIFICATION)


async def write_enrichment_results(
    connection: AsyncConnection, campaign_id: UUID, results: Sequence[EnrichmentResult]
) -> None:
    rows = [_enrichment_row(result) for result in results if result.status is not None]
    await _write(connection, _SAVE_ENRICHMENT, campaign_id, rows, Agent.ENRICHMENT)


async def _write(
    connection: AsyncConnection,
    statement: TextClause,
    campaign_id: UUID,
    rows: Sequence[Mapping[str, Any]],
    agent: Agent,
) -> None:
    if rows:
        await connection.execute(statement, {"campaign_id": campaign_id, "rows": rows, "agent": agent})


def _email_row(result: EmailResult) -> dict[str, Any]:
    return {
        "id": result.lead_id,
        "email": result.email,
        "status": result.status,
        "provider": result.provider,
        "verifier": result.verifier,
        "confidence": result.confidence,
        "accepted": result.status in ACCEPTED,
    }


def _enrichment_row(result: EnrichmentResult) -> dict[str, Any]:
    columns = {name: result.fields.get(name) for name in _TEXTS + _LISTS}
    numbers = {name: _whole(result.fields.get(name)) for name in _NUMBERS}
    told = {"id": result.lead_id, "status": result.status, "tier": result.tier, "data": result.data}
    return {**told, **columns, **numbers}


def _whole(value: Any) -> int | None:
    """A number that its column can hold; what a vendor tells otherwise ("51-200") is kept in the data."""
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if 0 <= number <= _LARGEST_INTEGER else None


def reopened(campaign_id: UUID) -> tuple[Update, Update]:
    """What is missing is tried again: leads without an accepted address stand as phase 2 delivered them,
    and leads that are not fully enriched wait again. What vendors answered is in the ledger.
    """
    of = (leads.c.campaign_id == campaign_id, OURS)
    half_done = among(leads.c.enrichment_status, [EnrichmentStatus.PARTIAL, EnrichmentStatus.FAILED])
    brought = func.coalesce(leads.c.email_provider, DELIVERED) == DELIVERED
    return (
        update(leads)
        .where(*of, VERIFIED, ~ACCEPTABLE)
        .values(
            email=case((brought, leads.c.email), else_=leads.c.delivered_email),
            **dict.fromkeys(_OF_EMAIL, null()),
            updated_at=func.now(),
        ),
        update(leads)
        .where(*of, half_done)
        .values(enrichment_status=null(), enrichment_completed_at=null(), updated_at=func.now()),
    )
