"""The budgets that would hold if a campaign were run now: nothing is written for it, and nothing locked."""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from phase3_core.budget import Budget, Caps
from resources.postgres.admission import TODAY
from resources.postgres.budget_sql import WANTED, counted
from resources.postgres.budgets import PostgresBudgets, budget_of, wanted
from resources.postgres.jsonb import json_text
from resources.postgres.lease import at_work
from resources.postgres.outage import Outage, repeatable

_KIND = "scope, campaign_id, agent, tier, provider, day"

# As `PostgresBudgets.open` has it: of a provider's day the lowest cap holds while anybody is at work.
_PLANNED = text(f"""
    WITH planned AS (
        SELECT {_KIND}, min(cap_usd) AS cap_usd
        FROM (
            SELECT {_KIND}, cap_usd FROM {WANTED} WHERE day IS NOT NULL OR NOT :held
            UNION ALL
            SELECT {_KIND}, cap_usd FROM budgets
            WHERE (campaign_id = :campaign_id AND :held) OR (day = {TODAY} AND :anybody)
        ) AS told
        GROUP BY {_KIND}
    ), {counted("planned")}
    SELECT p.*, spent AS spent_usd, reserved AS reserved_usd, b.alerted_at, b.refused_at
    FROM planned AS p JOIN counted USING (scope) LEFT JOIN budgets AS b USING (scope, cap_usd)
    ORDER BY p.campaign_id IS NULL, p.tier IS NOT NULL, scope
""")  # noqa: S608 - made of constants of the code; every value is bound


class PlannedBudgets(PostgresBudgets):
    """Of a campaign that a run holds: those that this run holds to, whatever `caps` say."""

    def __init__(self, engine: AsyncEngine, caps: Caps, outage: Outage | None = None) -> None:
        super().__init__(engine, outage)
        self._caps = caps

    @repeatable
    async def of(self, campaign_id: UUID) -> list[Budget]:
        """As `open` would make them, counted from the ledger."""
        async with self._engine.connect() as connection:
            working = await at_work(connection)
            values = {
                "rows": json_text(await wanted(connection, campaign_id, self._caps)),
                "campaign_id": campaign_id,
                "held": campaign_id in working,
                "anybody": bool(working),
            }
            rows = (await connection.execute(_PLANNED, values)).mappings()
            return [budget_of(row) for row in rows]
