"""`phase3 simulate`: what another policy would have found and cost, from the ledger, for nothing."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from rich.table import Table

from phase3_assets.replaying import NOBODY, as_then
from phase3_core.errors import BadInput
from phase3_core.foresight import bench_of, roles
from phase3_core.leads import Lead
from phase3_core.ordering import Ordered
from phase3_core.policy import Ordering, accepted
from phase3_core.ports.books import Books
from phase3_core.runs import Run
from phase3_core.simulation import Looked, Simulated, replayed, simulated
from phase3_core.statuses import Agent
from phase3_core.summary import cost_of
from phase3_core.verify import plan_for
from resources.clock import SystemClock
from resources.postgres.database import PostgresBooks, PostgresDatabase
from resources.postgres.history import LedgerHistory, providers_asked
from resources.providers.catalogue import CATALOGUE
from resources.providers.open_providers import OpenProviders
from resources.providers.source import VendorSource
from resources.settings import Settings, read_settings, settings_path

PAGE = 400  # leads whose calls are read at once


@dataclass(frozen=True, slots=True)
class Wish:
    """How the other policy differs from the settings; what is left out is as there."""

    order: str = ""
    without: tuple[str, ...] = ()
    max_providers: int | None = None
    accept_risky: bool = False

    @property
    def named(self) -> list[str]:
        """Finders in the order, if it is one of names."""
        return [name.strip() for name in self.order.split(",") if name.strip()]

    def settings(self) -> Settings:
        """Raises BadInput for what cannot be meant."""
        usual = read_settings(settings_path())
        return read_settings(settings_path(), self._overrides(usual))

    def _overrides(self, usual: Settings) -> dict[str, Any]:
        waterfall: dict[str, Any] = {}
        if order := self._order(usual):
            waterfall["order"] = order
        if self.max_providers is not None:
            waterfall["max_providers_per_lead"] = self.max_providers
        off = {name: {"enabled": False} for name in self.without}
        return {"waterfall": waterfall, "providers": off}

    def _order(self, usual: Settings) -> list[str] | str | None:
        """Those left out stand in no order; who is named and unknown is told of by the settings."""
        names = self.named or usual.waterfall.listed
        unknown = set(self.without) - {row.name for row in CATALOGUE}
        if unknown:
            raise BadInput(f"--without {min(unknown)}: there is no such provider.")
        if self.order == Ordering.CHEAPEST_VALID:
            return self.order
        return [name for name in names if name not in self.without] if names else None


def simulate_campaign(url: str, name: str, wish: Wish) -> dict[str, Any]:
    """As it ran, and as it would have; raises UnknownCampaign, NothingUsable, BadInput."""

    async def simulating() -> dict[str, Any]:
        async with PostgresDatabase(url, longest_outage_s=0).reading() as books:
            campaign_id = await books.campaigns.campaign_named(name)
            return await compared(books, campaign_id, wish, os.environ)

    return asyncio.run(simulating())


async def compared(
    books: PostgresBooks, campaign_id: UUID, wish: Wish, environment: Mapping[str, str]
) -> dict[str, Any]:
    campaign = await books.campaigns.campaign(campaign_id)
    counts = await books.campaigns.counts(campaign_id)
    spend = await books.campaigns.spend(campaign_id)
    other = await _simulated(books, campaign_id, wish, environment)
    return {
        "campaign_id": str(campaign_id),
        "campaign_name": campaign.name,
        "as_run": {
            "accepted": accepted(counts),
            "cost_usd": str(cost_of(spend, Agent.EMAIL_VERIFICATION)),
        },
        "simulated": other.as_json(),
    }


async def _simulated(
    books: PostgresBooks, campaign_id: UUID, wish: Wish, environment: Mapping[str, str]
) -> Simulated:
    settings, history = wish.settings(), LedgerHistory(books.engine)
    asked = {*await providers_asked(books.engine), *wish.named}
    known, policy, now = as_then(environment, asked), settings.policy(), datetime.now(UTC)
    async with _remembering(books, campaign_id, history, settings, known) as providers:
        plan = plan_for(providers, policy)
        plan = await Ordered(campaign_id, books, providers, policy, now).plan(plan, keeps=False)
        record = await books.track_record.record(campaign_id, roles(providers))
        leads, looked = _leads(books, history, campaign_id), _looking(history)
        replay = await replayed(leads, providers.remembered, plan, looked, accept_risky=wish.accept_risky)
        return simulated(replay, bench_of(providers, plan, policy.lead_caps), record, now)


@asynccontextmanager
async def _remembering(
    books: PostgresBooks,
    campaign_id: UUID,
    history: LedgerHistory,
    settings: Settings,
    environment: Mapping[str, str],
) -> AsyncIterator[OpenProviders]:
    @asynccontextmanager
    async def opened(books: Books, run: Run) -> AsyncIterator[LedgerHistory]:
        del books, run
        yield history

    run = Run("simulation", campaign_id, Agent.EMAIL_VERIFICATION)
    source = VendorSource(settings.with_contact(NOBODY), environment, opened, SystemClock())
    async with source.open(run, books) as providers:
        yield providers


async def _leads(books: PostgresBooks, history: LedgerHistory, campaign_id: UUID) -> AsyncIterator[Lead]:
    """Each page's calls are read at once."""
    async for page in books.leads.finished_by_company(campaign_id, PAGE):
        await history.load([lead.id for lead in page])
        for lead in page:
            yield lead


def _looking(history: LedgerHistory) -> Callable[[], Looked]:
    def looked() -> Looked:
        unasked, history.unasked = history.unasked, []
        return Looked(history.taken(), unasked)

    return looked


def simulation_table(compared: Mapping[str, Any]) -> Table:
    was, other = compared["as_run"], compared["simulated"]
    table = Table("", "as run", "simulated", "80 % between", title=compared["campaign_name"])
    found, cost = other["accepted"], other["cost_usd"]
    between = f"{found['low']:,} to {found['high']:,}"
    table.add_row("accepted", f"{was['accepted']:,}", f"{found['expected']:,}", between)
    table.add_row("cost, USD", was["cost_usd"], cost["expected"], f"{cost['low']} to {cost['high']}")
    unknown = f"{other['leads_unknown']:,} of {other['leads']:,} leads"
    asks = ", ".join(f"{name} {count:,}" for name, count in other["unknown_questions"].items())
    table.add_row("not in the ledger", "", unknown, asks)
    return table
