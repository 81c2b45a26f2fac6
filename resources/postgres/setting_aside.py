"""Leads whom the suppression list names: set aside, and let go when it no longer does."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, any_, bindparam, exists, func, literal, select, text, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from phase3_core.forgetting import Pseudonyms
from phase3_core.leads import Lead
from phase3_core.ports.leads import LeadPosition
from resources.postgres.lead_pages import IN_ORDER, beyond, from_their_index
from resources.postgres.lead_rows import BROUGHT, OURS, lead_of, leads_as_they_stand
from resources.postgres.tables import leads, suppression_list

_PAGE = 1_000
_DIGEST = "encode(sha256(convert_to(listed.subject, 'UTF8')), 'hex')"

# An address that a vendor told of is known here by its digest alone.
_RELEASE = text(f"""
    UPDATE leads SET suppressed_at = NULL, suppressed_by = NULL
    WHERE campaign_id = :campaign_id AND suppressed_at IS NOT NULL AND erased_at IS NULL AND (
        suppressed_by IS NULL
        OR NOT EXISTS (SELECT FROM suppressed_subjects AS listed WHERE {_DIGEST} = suppressed_by))
""")  # noqa: S608 - made of constants of the code; every value is bound

_SUPPRESS = text("""
    UPDATE leads SET suppressed_at = now()
    FROM jsonb_to_recordset(:rows) AS known (id uuid, subjects text[])
    WHERE leads.id = known.id
        AND (SELECT true FROM suppressed_subjects AS listed WHERE subject = ANY (known.subjects) LIMIT 1)
""").bindparams(bindparam("rows", type_=JSONB))

_SUPPRESS_FOUND = text(f"""
    UPDATE leads SET suppressed_at = now(), suppressed_by = known.digest
    FROM (
        SELECT told.id, (
            SELECT {_DIGEST} FROM suppressed_subjects AS listed
            WHERE subject = ANY (told.subjects) LIMIT 1) AS digest
        FROM jsonb_to_recordset(:rows) AS told (id uuid, subjects text[])
    ) AS known
    WHERE leads.id = known.id AND campaign_id = :campaign_id AND known.digest IS NOT NULL
""").bindparams(bindparam("rows", type_=JSONB))  # noqa: S608 - made of constants of the code; every value is bound


async def release(connection: AsyncConnection, campaign_id: UUID) -> None:
    """Whoever is still on the list is to be set aside again in the same transaction."""
    await connection.execute(_RELEASE, {"campaign_id": campaign_id})


async def set_aside_listed(connection: AsyncConnection, campaign_id: UUID, known: Pseudonyms) -> None:
    """Everybody whom the list names; where it is empty nobody is read."""
    if not await connection.scalar(select(exists(select(suppression_list.c.created_at)))):
        return
    await from_their_index(connection)
    after: LeadPosition | None = None
    while page := await _page(connection, campaign_id, after):
        rows = [{"id": lead.id, "subjects": [*known.subjects_of(lead, brought)]} for lead, brought in page]
        await connection.execute(_SUPPRESS, {"rows": rows})
        last, _ = page[-1]
        after = LeadPosition(last.tier, last.score, last.id)


async def set_aside(
    connection: AsyncConnection,
    campaign_id: UUID,
    barred: Sequence[UUID],
    found: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Leads of whom the ledger refused to ask, and those for whom an address was found that is listed."""
    if found:
        await connection.execute(_SUPPRESS_FOUND, {"campaign_id": campaign_id, "rows": found})
    if barred:
        mark = update(leads).where(
            leads.c.campaign_id == campaign_id, leads.c.id == any_(literal(list(barred), ARRAY(Uuid)))
        )
        await connection.execute(mark.where(leads.c.suppressed_at.is_(None)).values(suppressed_at=func.now()))


async def _page(
    connection: AsyncConnection, campaign_id: UUID, after: LeadPosition | None
) -> list[tuple[Lead, str]]:
    """Leads with the address that phase 2 brought, also where another stands in its place."""
    page = leads_as_they_stand().add_columns(BROUGHT.label("brought"))
    wanted = page.where(leads.c.campaign_id == campaign_id, OURS, beyond(after))
    rows = await connection.execute(wanted.order_by(*IN_ORDER).limit(_PAGE))
    return [(lead_of(row), row["brought"]) for row in rows.mappings()]
