"""The people of a campaign: read in pages, written in batches."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Unpack
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    RowMapping,
    Select,
    Text,
    TextClause,
    Update,
    any_,
    bindparam,
    case,
    cast,
    exists,
    func,
    literal,
    null,
    select,
    text,
    true,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from phase3_core.enrichment import EnrichmentResult
from phase3_core.forgetting import Pseudonyms
from phase3_core.leads import Lead
from phase3_core.ports.leads import LeadFilters, LeadPosition
from phase3_core.statuses import ACCEPTED, NOT_OURS, Agent, EmailStatus, EnrichmentStatus
from phase3_core.tiers import Tier
from phase3_core.waterfall import DELIVERED, EmailResult
from resources.names import mailbox_names
from resources.postgres.lease import Begin
from resources.postgres.outage import Outage, repeatable
from resources.postgres.suppression import recognise
from resources.postgres.tables import lead_domain, lead_rank, lead_tier, leads, suppression_list

_LARGEST_INTEGER = 2**31 - 1
_PAGE = 1_000
_TEXTS = ("company_description", "company_industry", "company_revenue_range")
_LISTS = ("company_tech_stack", "company_keywords")
_NUMBERS = ("company_employee_count", "company_founded_year")


def among(column: ColumnElement[Any], words: Iterable[str]) -> ColumnElement[bool]:
    """Never null, so that its negation holds where there is no word at all."""
    return func.coalesce(cast(column, Text).in_([*words]), False)


_DELIVERED_OURS = ~among(leads.c.status, NOT_OURS)
OURS = _DELIVERED_OURS & leads.c.suppressed_at.is_(None)
SUPPRESSED = _DELIVERED_OURS & leads.c.suppressed_at.is_not(None)
VERIFIED = among(leads.c.email_status, EmailStatus)
ACCEPTABLE = among(leads.c.email_status, ACCEPTED)
ENRICHED = among(leads.c.enrichment_status, EnrichmentStatus)
READY = OURS & ACCEPTABLE & among(leads.c.enrichment_status, [EnrichmentStatus.ENRICHED])

_IN_ORDER = (lead_tier, lead_rank, leads.c.id)
ADDRESS = func.coalesce(func.btrim(cast(leads.c.email, Text)), "")
BROUGHT = case(  # phase 2's address stands in `email` until an accepted one takes its place
    (func.coalesce(leads.c.email_provider, DELIVERED) == DELIVERED, ADDRESS),
    else_=func.coalesce(leads.c.delivered_email, ""),
)
_COST = func.coalesce(leads.c.email_cost, 0) + func.coalesce(leads.c.enrichment_cost, 0)
_OF_EMAIL = ("email_status", "email_provider", "email_verifier", "email_confidence", "email_verified_at")
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
        page = lead_rows(ADDRESS, case((VERIFIED, leads.c.email_status))).where(
            leads.c.campaign_id == campaign_id,
            OURS,
            *_filters(wanted),
            _beyond(after),
        )
        return await self._read(page.order_by(*_IN_ORDER).limit(limit))

    @repeatable
    async def finished_leads(self, campaign_id: UUID, domains: Sequence[str], per_domain: int) -> list[Lead]:
        finished_in_order = (leads.c.email_verified_at, *_IN_ORDER)
        place = func.row_number().over(partition_by=lead_domain, order_by=finished_in_order)
        finished = (
            lead_rows(BROUGHT, null())
            .add_columns(lead_rank.label("rank"), place.label("place"), leads.c.email_verified_at)
            .where(leads.c.campaign_id == campaign_id, OURS, VERIFIED)
            .where(lead_domain == any_(literal(list(domains), ARRAY(Text))))
            .subquery()
        )
        first = select(finished).where(finished.c.place <= per_domain)
        in_order = (finished.c.email_verified_at, finished.c.tier, finished.c.rank, finished.c.id)
        return await self._read(first.order_by(*in_order))

    @repeatable
    async def suppress_listed(self, campaign_id: UUID) -> None:
        """Where the list is empty nobody is read. Raises BadInput without the key to all of its hashes."""
        async with self._begin() as connection:
            await recognise(connection, self._known)
            await connection.execute(_RELEASE, {"campaign_id": campaign_id})
            if not await connection.scalar(select(exists(select(suppression_list.c.created_at)))):
                return
            after: UUID | None = None
            while page := await _page_by_id(connection, campaign_id, after):
                rows = [
                    {"id": lead.id, "subjects": [*self._known.subjects_of(lead, brought)]}
                    for lead, brought in page
                ]
                await connection.execute(_SUPPRESS, {"rows": rows})
                after = page[-1][0].id

    @repeatable
    async def lead(self, lead_id: UUID, *, delivered: bool = False) -> Lead:
        """With its address as it stands, or as phase 2 delivered it."""
        found = lead_rows(ADDRESS, case((VERIFIED, leads.c.email_status)))
        query = lead_rows(BROUGHT, null()) if delivered else found
        (lead,) = await self._read(query.where(leads.c.id == lead_id))
        return lead

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
                (func.coalesce(leads.c.email_cost, 0) + func.coalesce(leads.c.enrichment_cost, 0)).label(
                    "cost_usd"
                ),
            )
            .where(leads.c.campaign_id == campaign_id, READY, _beyond(after))
            .order_by(*_IN_ORDER)
            .limit(limit)
        )
        async with self._engine.connect() as connection:
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

    async def _read(self, query: Select[Any]) -> list[Lead]:
        async with self._engine.connect() as connection:
            rows = (await connection.execute(query)).mappings()
            return [lead_of(row) for row in rows]

    @repeatable
    async def save_email_results(self, campaign_id: UUID, results: Sequence[EmailResult]) -> None:
        found = [
            {"id": result.lead_id, "subjects": self._known.subjects_of_address(result.email)}
            for result in results
            if result.email
        ]
        barred = [result.lead_id for result in results if result.suppressed]
        rows = [_email_row(result) for result in results if result.status is not None]
        async with self._begin() as connection:
            await _suppress(connection, campaign_id, barred, found)
            await _write(connection, _SAVE_EMAILS, campaign_id, rows, Agent.EMAIL_VERIFICATION)

    @repeatable
    async def save_enrichment_results(self, campaign_id: UUID, results: Sequence[EnrichmentResult]) -> None:
        barred = [result.lead_id for result in results if result.suppressed]
        rows = [_enrichment_row(result) for result in results if result.status is not None]
        async with self._begin() as connection:
            await _suppress(connection, campaign_id, barred, ())
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


async def _suppress(
    connection: AsyncConnection,
    campaign_id: UUID,
    barred: Sequence[UUID],
    found: Sequence[Mapping[str, Any]],
) -> None:
    """Leads of whom the ledger refused to ask, and those for whom an address was found that is listed."""
    if found:
        await connection.execute(_SUPPRESS_FOUND, {"campaign_id": campaign_id, "rows": found})
    if barred:
        mark = update(leads).where(leads.c.campaign_id == campaign_id, leads.c.id.in_(barred))
        await connection.execute(mark.where(leads.c.suppressed_at.is_(None)).values(suppressed_at=func.now()))


async def _page_by_id(
    connection: AsyncConnection, campaign_id: UUID, after: UUID | None
) -> list[tuple[Lead, str]]:
    """Leads with the address that phase 2 brought, also where another stands in its place."""
    page = lead_rows(ADDRESS, case((VERIFIED, leads.c.email_status))).add_columns(BROUGHT.label("brought"))
    wanted = (leads.c.campaign_id == campaign_id, OURS)
    beyond = true() if after is None else leads.c.id > after
    rows = await connection.execute(page.where(*wanted, beyond).order_by(leads.c.id).limit(_PAGE))
    return [(lead_of(row), row["brought"]) for row in rows.mappings()]


def _filters(wanted: LeadFilters) -> Iterator[ColumnElement[bool]]:
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


def _beyond(after: LeadPosition | None) -> ColumnElement[bool]:
    """Everything behind a position, as one comparison of rows that the index answers."""
    if after is None:
        return true()
    return tuple_(*_IN_ORDER) > tuple_(literal(after.tier.value), literal(-after.score), literal(after.id))


def lead_rows(address: ColumnElement[str], status: ColumnElement[Any]) -> Select[Any]:
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
    return {"id": result.lead_id, "status": result.status, "data": result.data, **columns, **numbers}


def _whole(value: Any) -> int | None:
    """A number that its column can hold; what a vendor tells otherwise ("51-200") is kept in the data."""
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if 0 <= number <= _LARGEST_INTEGER else None


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
        enrichment_data = coalesce(enrichment_data, '{}') || data,
        enrichment_status = result.status,
        enrichment_cost = (
            SELECT coalesce(sum(cost_usd + unknown_usd), 0) FROM provider_calls
            WHERE lead_id = leads.id AND agent = :agent),
        enrichment_completed_at = now(),
        updated_at = now()
    FROM jsonb_to_recordset(:rows) AS result (
        id uuid, status text, data jsonb, company_description text, company_industry text,
        company_revenue_range text, company_employee_count integer, company_founded_year integer,
        company_tech_stack jsonb, company_keywords jsonb)
    WHERE leads.id = result.id AND campaign_id = :campaign_id AND erased_at IS NULL
""").bindparams(bindparam("rows", type_=JSONB))


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
