"""What a campaign is expected to cost, outside of any run. Knows no Dagster: commands that only look do
without it.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from uuid import UUID

from phase3_core.forecast import Forecast
from phase3_core.foresight import foresee
from phase3_core.ordering import Ordered
from phase3_core.ports.books import Books
from phase3_core.runs import Run
from phase3_core.statuses import Agent
from phase3_core.verify import plan_for
from resources.assembly import watched_breakers
from resources.clock import SystemClock
from resources.postgres.database import PostgresBooks
from resources.postgres.history import LedgerHistory
from resources.postgres.planned_budgets import PlannedBudgets
from resources.providers.line_up import daily_caps
from resources.providers.source import VendorSource
from resources.settings import Settings


@dataclass(frozen=True, slots=True)
class LedgerEstimates:
    """Implements `Estimates`. Nobody is asked: who may be is known from settings, keys and breakers."""

    settings: Settings
    environment: Mapping[str, str] = field(repr=False)

    async def of(self, campaign_id: UUID, books: Books) -> Forecast:
        """Raises NothingUsable, BadInput."""
        policy, clock = self.settings.policy(), SystemClock()
        books = await self._with_caps(_postgres(books), campaign_id)
        source = VendorSource(
            self.settings, self.environment, _nothing_granted, clock, breakers=watched_breakers
        )
        run = Run("estimate", campaign_id, Agent.EMAIL_VERIFICATION)
        async with source.open(run, books) as providers:
            order = Ordered(campaign_id, books, providers, policy, clock.now())
            plan = await order.plan(plan_for(providers, policy), keeps=False)
            return await foresee(campaign_id, books, providers, plan, policy.lead_caps, clock.now())

    async def _with_caps(self, books: PostgresBooks, campaign_id: UUID) -> PostgresBooks:
        """Those that a run would have; none is opened."""
        own, daily = await books.budgets.own(campaign_id), daily_caps(self.settings, self.environment)
        caps = self.settings.caps(own, daily)
        return replace(books, budgets=PlannedBudgets(books.engine, caps, books.outage))


@asynccontextmanager
async def _nothing_granted(books: Books, run: Run) -> AsyncIterator[LedgerHistory]:
    del run
    yield LedgerHistory(_postgres(books).engine)


def _postgres(books: Books) -> PostgresBooks:
    if not isinstance(books, PostgresBooks):
        raise TypeError("the ledger lives in the database of the books")
    return books
