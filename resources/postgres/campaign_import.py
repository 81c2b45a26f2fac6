"""How a campaign comes in from a file: what phase 2 does otherwise, a campaign and its leads at once."""

import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast
from uuid import UUID, uuid4

from psycopg import AsyncConnection as DriverConnection
from psycopg import DataError, IntegrityError, sql
from sqlalchemy import Update, func, select, text, update
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from phase3_core.errors import BadInput
from phase3_core.statuses import CampaignStatus
from phase3_core.tiers import Tier
from resources.postgres.tables import campaigns, lead_tier, leads

_GIVEN = (  # what an import may fill of phase 2's columns
    "first_name",
    "last_name",
    "full_name",
    "email",
    "phone",
    "linkedin_url",
    "title",
    "seniority",
    "department",
    "company_name",
    "company_domain",
    "company_linkedin_url",
    "company_size",
    "company_industry",
    "location",
    "city",
    "state",
    "country",
    "lead_score",
    "lead_tier",
)
_COPIED = ("id", "campaign_id", "enrichment_data", *_GIVEN)
# Else the new leads are planned for blindly until autovacuum comes. Who may not do it is warned, no more.
_LOOKED_AT = text("ANALYZE (SKIP_LOCKED) leads")


class CampaignImport:
    """All or nothing."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def create(self, name: str, rows: Iterable[Mapping[str, Any]]) -> UUID:
        """`rows` name columns of `leads`; what else a row has under `extra` is kept in `enrichment_data`.

        Raises BadInput where there is no row, or one that the table refuses.
        """
        campaign_id = uuid4()
        async with _refusals_told(), self._engine.begin() as connection:
            await connection.execute(_arrival(campaign_id, name))
            await _copy(connection, (_cells(campaign_id, row) for row in rows))
            if not (await connection.execute(_census(campaign_id))).rowcount:
                raise BadInput("There are no leads to import.")
            await connection.execute(_LOOKED_AT)
        return campaign_id


@asynccontextmanager
async def _refusals_told() -> AsyncIterator[None]:
    """COPY raises the driver's errors, the other statements SQLAlchemy's."""
    try:
        yield
    except (DBAPIError, DataError, IntegrityError) as error:
        cause = getattr(error, "orig", error)
        if not isinstance(cause, DataError | IntegrityError):
            raise
        raise BadInput(f"Nothing was imported: {str(cause).splitlines()[0]}.") from error


def _arrival(campaign_id: UUID, name: str) -> Insert:
    return insert(campaigns).values(
        id=campaign_id,
        name=name,
        status=CampaignStatus.IMPORT_COMPLETE,
        import_completed_at=func.now(),
    )


async def _copy(connection: AsyncConnection, rows: Iterable[Sequence[Any]]) -> None:
    driver = cast(DriverConnection[Any], (await connection.get_raw_connection()).driver_connection)
    columns = sql.SQL(", ").join(map(sql.Identifier, _COPIED))
    async with (
        driver.cursor() as cursor,
        cursor.copy(sql.SQL("COPY leads ({}) FROM STDIN").format(columns)) as copy,
    ):
        for row in rows:
            await copy.write_row(row)


def _cells(campaign_id: UUID, row: Mapping[str, Any]) -> list[Any]:
    """In the order of `_COPIED`."""
    extra = dict(row.get("extra") or {})
    given = {**extra, **row}
    others = {name: value for name, value in extra.items() if name not in _GIVEN}
    kept = json.dumps({"imported": others}, default=str) if others else None
    return [uuid4(), campaign_id, kept, *(_cell(given.get(name)) for name in _GIVEN)]


def _cell(value: Any) -> Any:
    return None if value == "" else value


def _census(campaign_id: UUID) -> Update:
    """Changes nothing where there are no leads."""
    census = (
        select(
            leads.c.campaign_id,
            func.count().label("people"),
            func.count(leads.c.lead_score).label("scored"),
            func.avg(leads.c.lead_score).label("score"),
            *(func.count().filter(lead_tier == tier).label(tier) for tier in Tier),
        )
        .where(leads.c.campaign_id == campaign_id)
        .group_by(leads.c.campaign_id)
        .subquery()
    )
    return (
        update(campaigns)
        .where(campaigns.c.id == census.c.campaign_id)
        .values(
            total_leads_scraped=census.c.people,
            total_leads_valid=census.c.people,
            total_leads_available=census.c.people,
            leads_scored=census.c.scored,
            avg_lead_score=census.c.score,
            leads_tier_a=census.c[Tier.A],
            leads_tier_b=census.c[Tier.B],
            leads_tier_c=census.c[Tier.C],
        )
    )
