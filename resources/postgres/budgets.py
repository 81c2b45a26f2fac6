"""The budgets that hold for a campaign: opened from the caps, counted anew from the ledger, looked at.

A budget is made while nobody writes calls, and counted while it is locked; since every other write of a
call books itself on the budgets concerned (a trigger), none is missed and none counts twice.
"""

from collections.abc import Collection, Iterator, Mapping
from datetime import date
from decimal import Decimal
from time import monotonic
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, TextClause, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from phase3_core.budget import NAMES, Budget, Caps, campaign_scope, day_scope
from phase3_core.errors import BadInput
from phase3_core.money import Money, usd
from phase3_core.statuses import Agent
from phase3_core.tiers import Tier
from resources.postgres.admission import TODAY
from resources.postgres.budget_sql import (
    ALL_THERE,
    COUNT,
    LOCK_THEM,
    MAKE,
    NEWLY_NEAR,
    NOBODY_WRITES,
    OF_CAMPAIGN,
    OF_CAMPAIGNS,
    REFUSED,
    REMOVE,
    REMOVE_OTHERS,
    SET_OWN,
)
from resources.postgres.jsonb import json_text
from resources.postgres.lease import at_work
from resources.postgres.outage import Outage, repeatable
from resources.postgres.tables import campaigns

LEEWAY_S = 5.0  # what the server's clock may differ from ours, and the transaction took to begin

AGENTS = {name: agent for agent, name in NAMES.items()}
TIERS = {f"tier_{tier.lower()}": tier for tier in Tier}
SCOPES = {**AGENTS, **{name: f"tier {tier}" for name, tier in TIERS.items()}}


def caps_of(told: Mapping[str, str]) -> Caps:
    """From JSON as `set_own` writes it."""
    amounts = {name: usd(amount) for name, amount in told.items()}
    if amounts.keys() - AGENTS.keys() - TIERS.keys() or any(amount < 0 for amount in amounts.values()):
        raise ValueError(f"no caps: {told}")
    return Caps(
        {agent: amounts[name] for name, agent in AGENTS.items() if name in amounts},
        {tier: amounts[name] for name, tier in TIERS.items() if name in amounts},
    )


class PostgresBudgets:
    def __init__(self, engine: AsyncEngine, outage: Outage | None = None) -> None:
        self._engine = engine
        self.outage = outage or Outage()

    @repeatable
    async def of(self, campaign_id: UUID) -> list[Budget]:
        """The campaign's, then those of providers today."""
        async with self._engine.connect() as connection:
            rows = (await connection.execute(OF_CAMPAIGN, {"campaign_id": campaign_id})).mappings()
            return [budget_of(row) for row in rows]

    @repeatable
    async def of_all(self) -> dict[UUID, list[Budget]]:
        """By campaign; those without a cap are left out."""
        found: dict[UUID, list[Budget]] = {}
        async with self._engine.connect() as connection:
            for row in (await connection.execute(OF_CAMPAIGNS)).mappings():
                found.setdefault(row["campaign_id"], []).append(budget_of(row))
        return found

    async def newly_near(self, campaign_id: UUID, alert_at: Decimal) -> list[Budget]:
        """Each is told once; where the connection broke over it, rather twice than never."""
        values = {"campaign_id": campaign_id, "alert_at": alert_at}
        began = monotonic()

        async def near(unheard_s: float | None = None) -> list[Budget]:
            async with self._engine.begin() as connection:
                rows = (await connection.execute(NEWLY_NEAR, {**values, "unheard_s": unheard_s})).mappings()
                return [budget_of(row) for row in rows]

        return await self.outage.outlast(near, lambda: near(monotonic() - began + LEEWAY_S))

    @repeatable
    async def open(self, campaign_id: UUID, caps: Caps) -> None:
        """Budgets as the caps say, counted from the ledger; those of caps that are gone are removed.

        Of caps on a provider's day that contradict one another the lowest holds while those who told them
        are at work.
        """
        async with self._engine.begin() as connection:
            rows = await wanted(connection, campaign_id, caps)
            others = bool(await at_work(connection) - {campaign_id})
            values = {
                "rows": json_text(rows),
                "scopes": [row["scope"] for row in rows],
                "campaign_id": campaign_id,
                "others": others,
            }
            await _make(connection, values, REMOVE_OTHERS, MAKE)

    @repeatable
    async def adopt(self, campaign_id: UUID, caps: Caps, names: Collection[str]) -> None:
        """The campaign's budgets of these names (see `set_own`) as the caps say; all others stay."""
        scopes = {campaign_scope(campaign_id, SCOPES[name]) for name in names}
        rows = [row for row in _of_campaign(campaign_id, caps) if row["scope"] in scopes]
        values = {
            "rows": json_text(rows),
            "gone": list(scopes - {row["scope"] for row in rows}),
            "campaign_id": campaign_id,
            "others": True,
        }
        async with self._engine.begin() as connection:
            await _make(connection, values, REMOVE, MAKE)

    @repeatable
    async def open_day(self, campaign_id: UUID, daily: Mapping[str, Money]) -> None:
        """Today's budgets of providers, as a run goes on; of two caps the lower holds.

        The campaign's own stay as they are: `phase3 budget` may have changed them since its run began.
        """
        async with self._engine.begin() as connection:
            rows = list(_of_days(daily, await _today(connection)))
            values = {"rows": json_text(rows), "campaign_id": campaign_id, "others": True}
            await _make(connection, values, MAKE)

    @repeatable
    async def refused(self, scope: str) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(REFUSED, {"scope": scope})

    @repeatable
    async def own(self, campaign_id: UUID) -> Caps:
        """The campaign's own caps; raises BadInput for what is none."""
        query = select(campaigns.c.budgets).where(campaigns.c.id == campaign_id)
        async with self._engine.connect() as connection:
            told = await connection.scalar(query) or {}
        try:
            return caps_of(told)
        except (ValueError, TypeError, AttributeError, ArithmeticError):
            raise BadInput(
                f"The budgets of campaign {campaign_id} cannot be read. `phase3 budget` sets them."
            ) from None

    async def set_own(self, campaign_id: UUID, changes: Mapping[str, Money | None]) -> None:
        """By `email_verification`, `enrichment`, `tier_a` and so on; None takes a cap away."""
        given = {name: str(cap) for name, cap in changes.items() if cap is not None}
        gone = [name for name, cap in changes.items() if cap is None]
        values = {"campaign_id": campaign_id, "given": json_text(given), "gone": gone}
        async with self._engine.begin() as connection:
            await connection.execute(SET_OWN, values)


async def wanted(connection: AsyncConnection, campaign_id: UUID, caps: Caps) -> list[dict[str, Any]]:
    """Rows of the budgets that the caps make today."""
    return [*_of_campaign(campaign_id, caps), *_of_days(caps.daily, await _today(connection))]


async def _make(connection: AsyncConnection, values: Mapping[str, Any], *changes: TextClause) -> None:
    """Nobody books anything between a change and the count that follows it."""
    if not await connection.scalar(ALL_THERE, values):
        await connection.execute(NOBODY_WRITES)
    for step in (LOCK_THEM, *changes, COUNT):
        await connection.execute(step, values)


async def _today(connection: AsyncConnection) -> date:
    today = await connection.scalar(text(f"SELECT {TODAY}"))
    if not isinstance(today, date):
        raise TypeError("the database told no date")
    return today


def _of_campaign(campaign_id: UUID, caps: Caps) -> Iterator[dict[str, Any]]:
    owner = {"campaign_id": str(campaign_id)}
    for agent, cap in caps.agents.items():
        yield {"scope": campaign_scope(campaign_id, agent), **owner, "agent": agent, "cap_usd": str(cap)}
    for tier, cap in caps.tiers.items():
        yield {
            "scope": campaign_scope(campaign_id, f"tier {tier}"),
            **owner,
            "tier": tier,
            "cap_usd": str(cap),
        }


def _of_days(daily: Mapping[str, Money], today: date) -> Iterator[dict[str, Any]]:
    for provider, cap in daily.items():
        scope = day_scope(provider, today)
        yield {"scope": scope, "provider": provider, "day": today.isoformat(), "cap_usd": str(cap)}


def budget_of(row: RowMapping) -> Budget:
    return Budget(
        scope=row["scope"],
        cap=row["cap_usd"],
        spent=row["spent_usd"],
        reserved=row["reserved_usd"],
        agent=Agent(row["agent"]) if row["agent"] else None,
        tier=Tier(row["tier"]) if row["tier"] else None,
        provider=row["provider"] or "",
        day=row["day"],
        alerted_at=row["alerted_at"],
        refused_at=row["refused_at"],
    )
