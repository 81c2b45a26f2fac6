"""The campaigns as their operators see them: all on one line each, and the one that a name means."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, Text, cast, func, or_, select, true
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.selectable import LateralFromClause

from phase3_core.errors import BadInput, UnknownCampaign
from phase3_core.money import ZERO, Money
from phase3_core.statuses import EmailStatus
from resources.postgres.lead_rows import ACCEPTABLE, OURS, VERIFIED, WHOLE, among
from resources.postgres.tables import campaigns, leads, provider_spend

SHORTEST_PREFIX = 4  # of an id, on the command line
MOST_SHOWN = 5

_FOUND = VERIFIED & ~among(leads.c.email_status, [EmailStatus.NOT_FOUND])
_COUNTED = ("leads", "found", "accepted", "enriched", "ready")


@dataclass(frozen=True, slots=True)
class CampaignOverview:
    """A campaign on one line; `status` may be one of phase 2's."""

    id: UUID
    name: str
    status: str
    reason: str
    leads: int
    found: int
    accepted: int
    enriched: int
    ready: int
    spent: Money
    created_at: datetime


async def overview_of(connection: AsyncConnection, only: UUID | None) -> list[CampaignOverview]:
    """Every campaign, the newest first; or this one."""
    wanted = _overview() if only is None else _overview().where(campaigns.c.id == only)
    rows = (await connection.execute(wanted)).mappings()
    return [CampaignOverview(**row) for row in rows]


async def the_campaign(connection: AsyncConnection, name: str) -> UUID:
    """By id, its beginning, or name; raises UnknownCampaign, BadInput where several fit."""
    wanted = name.strip()
    digits = wanted.lower().replace("-", "")
    bare = func.replace(cast(campaigns.c.id, Text), "-", "")
    fitting = select(campaigns.c.id, campaigns.c.name).where(
        or_(campaigns.c.name == wanted, func.starts_with(bare, digits))
    )
    return _the_one(wanted, digits, (await connection.execute(fitting)).all())


def _the_one(wanted: str, digits: str, rows: Sequence[Row[Any]]) -> UUID:
    """A whole id before a name, a name before the beginning of an id."""
    whole = [row for row in rows if row.id.hex == digits]
    named = [row for row in rows if row.name == wanted]
    begun = rows if len(digits) >= SHORTEST_PREFIX else []
    for fitting in (whole, named, begun):
        if len(fitting) == 1:
            return UUID(str(fitting[0].id))
        if fitting:
            raise BadInput(
                f"{wanted!r} fits {len(fitting)} campaigns: {_listed(fitting)}. Give one of these ids."
            )
    raise UnknownCampaign(wanted)


def _listed(rows: Sequence[Row[Any]]) -> str:
    shown = [f"{row.id} ({row.name})" for row in rows[:MOST_SHOWN]]
    return ", ".join(shown + ["…"] * (len(rows) > MOST_SHOWN))


def _overview() -> Select[Any]:
    """Each campaign counted for itself, so that one alone is quick among many."""
    people, money = _people(), _money()
    return (
        select(
            campaigns.c.id,
            func.coalesce(campaigns.c.name, "").label("name"),
            func.coalesce(cast(campaigns.c.status, Text), "").label("status"),
            func.coalesce(campaigns.c.status_reason, "").label("reason"),
            *(people.c[count] for count in _COUNTED),
            money.c.spent,
            campaigns.c.created_at,
        )
        .select_from(campaigns)
        .join(people, true())
        .join(money, true())
        .order_by(campaigns.c.created_at.desc(), campaigns.c.id)
    )


def _people() -> LateralFromClause:
    return (
        select(
            func.count().label("leads"),
            func.count().filter(_FOUND).label("found"),
            func.count().filter(ACCEPTABLE).label("accepted"),
            func.count().filter(WHOLE).label("enriched"),
            func.count().filter(ACCEPTABLE, WHOLE).label("ready"),
        )
        .where(leads.c.campaign_id == campaigns.c.id, OURS)
        .lateral()
    )


def _money() -> LateralFromClause:
    booked = func.sum(provider_spend.c.cost_usd + provider_spend.c.unknown_usd)
    return (
        select(func.coalesce(booked, ZERO).label("spent"))
        .where(provider_spend.c.campaign_id == campaigns.c.id)
        .lateral()
    )
