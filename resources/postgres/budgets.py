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
from resources.postgres.jsonb import json_text
from resources.postgres.lease import at_work
from resources.postgres.outage import Outage, repeatable
from resources.postgres.tables import campaigns

LEEWAY_S = 5.0  # what the server's clock may differ from ours, and the transaction took to begin

WANTED = """
jsonb_to_recordset(CAST(:rows AS jsonb)) AS wanted (
    scope text, campaign_id uuid, agent text, tier text, provider text, day date, cap_usd numeric)
"""

_ALL_THERE = text(f"""
    SELECT NOT EXISTS (SELECT FROM {WANTED} WHERE scope NOT IN (SELECT scope FROM budgets))
""")  # noqa: S608 - made of constants of the code; every value is bound

# Before any lock on a budget, as with everybody who writes calls.
_NOBODY_WRITES = text("LOCK TABLE provider_calls IN SHARE MODE")

_HOLD = text(f"""
    SELECT FROM budgets WHERE campaign_id = :campaign_id OR day = {TODAY} ORDER BY scope FOR UPDATE
""")

# A cap that changed has not been reached yet; one that is as it was has told so already. A provider's day is
# everybody's: while others are at work, nobody raises or ends what one of them holds to.
_CAP = """
    CASE WHEN b.day IS NOT NULL AND :others THEN least(b.cap_usd, excluded.cap_usd) ELSE excluded.cap_usd END
"""
_OPEN = text(f"""
    INSERT INTO budgets AS b (scope, campaign_id, agent, tier, provider, day, cap_usd)
    SELECT scope, campaign_id, agent, tier, provider, day, cap_usd FROM {WANTED} ORDER BY scope
    ON CONFLICT (scope) DO UPDATE SET
        cap_usd = {_CAP},
        alerted_at = CASE WHEN b.cap_usd = {_CAP} THEN b.alerted_at END,
        refused_at = CASE WHEN b.cap_usd = {_CAP} THEN b.refused_at END
""")  # noqa: S608 - made of constants of the code; every value is bound

_CLOSE = text(f"""
    DELETE FROM budgets
    WHERE (campaign_id = :campaign_id OR (day = {TODAY} AND NOT :others)) AND NOT scope = ANY (:scopes)
""")  # noqa: S608 - made of constants of the code; every value is bound

_END = text("DELETE FROM budgets WHERE scope = ANY (:gone)")

_SUMS = """
    coalesce(sum(cost_usd + unknown_usd), 0) AS spent,
    coalesce(sum(reserved_usd) FILTER (WHERE state = 'intent'), 0) AS reserved
"""


def counted(budgets: str) -> str:
    """The ledger's sums for each of these `budgets` of a campaign or today, as the table `counted`."""
    return f"""
    own AS MATERIALIZED (
        SELECT agent, tier, {_SUMS} FROM provider_calls WHERE campaign_id = :campaign_id GROUP BY agent, tier
    ), counted AS (
        SELECT o.scope, coalesce(sum(own.spent), 0) AS spent, coalesce(sum(own.reserved), 0) AS reserved
        FROM {budgets} AS o LEFT JOIN own ON coalesce(own.agent = o.agent, o.agent IS NULL)
            AND coalesce(own.tier = o.tier, o.tier IS NULL)
        WHERE o.campaign_id = :campaign_id GROUP BY o.scope
        UNION ALL
        SELECT o.scope, daily.spent, daily.reserved FROM {budgets} AS o
        CROSS JOIN LATERAL (
            SELECT {_SUMS} FROM provider_calls AS c WHERE c.provider = o.provider AND c.day = o.day
        ) AS daily
        WHERE o.day = {TODAY}
    )
    """  # noqa: S608 - made of constants of the code; every value is bound


_COUNT = text(f"""
    WITH {counted("budgets")}
    UPDATE budgets AS b SET spent_usd = counted.spent, reserved_usd = counted.reserved, updated_at = now()
    FROM counted
    WHERE b.scope = counted.scope AND (b.spent_usd, b.reserved_usd) <> (counted.spent, counted.reserved)
""")  # noqa: S608 - made of constants of the code; every value is bound

_OF = text(f"""
    SELECT scope, cap_usd, spent_usd, reserved_usd, agent, tier, provider, day, alerted_at, refused_at
    FROM budgets WHERE campaign_id = :campaign_id OR day = {TODAY}
    ORDER BY campaign_id IS NULL, tier IS NOT NULL, scope
""")  # noqa: S608 - made of constants of the code; every value is bound

_OF_ALL = text("""
    SELECT campaign_id, scope, cap_usd, spent_usd, reserved_usd, agent, tier, provider, day, alerted_at,
           refused_at
    FROM budgets WHERE campaign_id IS NOT NULL ORDER BY tier IS NOT NULL, scope
""")

_NEAR = text(f"""
    WITH near AS MATERIALIZED (
        SELECT scope AS of FROM budgets
        WHERE (alerted_at IS NULL OR alerted_at > now() - make_interval(secs => CAST(:unheard_s AS float8)))
            AND spent_usd > 0 AND spent_usd >= cap_usd * :alert_at
            AND (campaign_id = :campaign_id OR day = {TODAY})
        ORDER BY scope FOR UPDATE  -- every process locks in this order
    )
    UPDATE budgets SET alerted_at = now() FROM near WHERE scope = near.of
    RETURNING scope, cap_usd, spent_usd, reserved_usd, agent, tier, provider, day, alerted_at, refused_at
""")  # noqa: S608 - made of constants of the code; every value is bound

_REFUSED = text("UPDATE budgets SET refused_at = now() WHERE scope = :scope AND refused_at IS NULL")


_SET_OWN = text("""
    UPDATE campaigns SET updated_at = now(),
        budgets = nullif((coalesce(budgets, '{}') || CAST(:given AS jsonb)) - CAST(:gone AS text[]), '{}')
    WHERE id = :campaign_id
""")

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
            rows = (await connection.execute(_OF, {"campaign_id": campaign_id})).mappings()
            return [budget_of(row) for row in rows]

    @repeatable
    async def of_all(self) -> dict[UUID, list[Budget]]:
        """By campaign; those without a cap are left out."""
        found: dict[UUID, list[Budget]] = {}
        async with self._engine.connect() as connection:
            for row in (await connection.execute(_OF_ALL)).mappings():
                found.setdefault(row["campaign_id"], []).append(budget_of(row))
        return found

    async def newly_near(self, campaign_id: UUID, alert_at: Decimal) -> list[Budget]:
        """Each is told once; where the connection broke over it, rather twice than never."""
        values = {"campaign_id": campaign_id, "alert_at": alert_at}
        began = monotonic()

        async def near(unheard_s: float | None = None) -> list[Budget]:
            async with self._engine.begin() as connection:
                rows = (await connection.execute(_NEAR, {**values, "unheard_s": unheard_s})).mappings()
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
            await _make(connection, values, _CLOSE, _OPEN)

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
            await _make(connection, values, _END, _OPEN)

    @repeatable
    async def open_day(self, campaign_id: UUID, daily: Mapping[str, Money]) -> None:
        """Today's budgets of providers, as a run goes on; of two caps the lower holds.

        The campaign's own stay as they are: `phase3 budget` may have changed them since its run began.
        """
        async with self._engine.begin() as connection:
            rows = list(_of_days(daily, await _today(connection)))
            values = {"rows": json_text(rows), "campaign_id": campaign_id, "others": True}
            await _make(connection, values, _OPEN)

    @repeatable
    async def refused(self, scope: str) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(_REFUSED, {"scope": scope})

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
            await connection.execute(_SET_OWN, values)


async def wanted(connection: AsyncConnection, campaign_id: UUID, caps: Caps) -> list[dict[str, Any]]:
    """Rows of the budgets that the caps make today."""
    return [*_of_campaign(campaign_id, caps), *_of_days(caps.daily, await _today(connection))]


async def _make(connection: AsyncConnection, values: Mapping[str, Any], *changes: TextClause) -> None:
    """Nobody books anything between a change and the count that follows it."""
    if not await connection.scalar(_ALL_THERE, values):
        await connection.execute(_NOBODY_WRITES)
    for step in (_HOLD, *changes, _COUNT):
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
