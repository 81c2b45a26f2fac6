"""`phase3 estimate`: what a campaign will cost and when it will be done, before anything is paid."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

from rich.table import Table

from phase3_assets.terminal import Terminal
from phase3_core.foresight import foresee
from phase3_core.ordering import Ordered
from phase3_core.ports.books import Books
from phase3_core.runs import Run
from phase3_core.statuses import Agent
from phase3_core.verify import plan_for
from resources.assembly import watched_breakers
from resources.clock import SystemClock
from resources.postgres.database import PostgresBooks, PostgresDatabase
from resources.postgres.history import LedgerHistory
from resources.postgres.planned_budgets import PlannedBudgets
from resources.providers.line_up import daily_caps
from resources.providers.source import VendorSource
from resources.settings import Settings, read_settings, settings_path


def estimate_campaign(url: str, name: str) -> dict[str, Any]:
    """The forecast as JSON; raises UnknownCampaign, NothingUsable, BadInput."""

    async def estimating() -> dict[str, Any]:
        async with PostgresDatabase(url, longest_outage_s=0).reading() as books:
            campaign_id = await books.campaigns.campaign_named(name)
            return await estimated(books, campaign_id, read_settings(settings_path()), os.environ)

    return asyncio.run(estimating())


async def estimated(
    books: PostgresBooks, campaign_id: UUID, settings: Settings, environment: Mapping[str, str]
) -> dict[str, Any]:
    """Nobody is asked: who may be is known from settings, keys and breakers."""
    policy, clock = settings.policy(), SystemClock()
    campaign = await books.campaigns.campaign(campaign_id)
    caps = settings.caps(await books.budgets.own(campaign_id), daily_caps(settings, environment))
    books = replace(books, budgets=PlannedBudgets(books.engine, caps, books.outage))
    source = VendorSource(settings, environment, _nothing_granted, clock, breakers=watched_breakers)
    async with source.open(Run("estimate", campaign_id, Agent.EMAIL_VERIFICATION), books) as providers:
        plan = plan_for(providers, policy)
        plan = await Ordered(campaign_id, books, providers, policy, clock.now()).plan(plan, keeps=False)
        foreseen = await foresee(campaign_id, books, providers, plan, policy.lead_caps, clock.now())
    return {"campaign_id": str(campaign_id), "campaign_name": campaign.name} | foreseen.as_json()


@asynccontextmanager
async def _nothing_granted(books: Books, run: Run) -> AsyncIterator[LedgerHistory]:
    del run
    if not isinstance(books, PostgresBooks):
        raise TypeError("the ledger lives in the database of the books")
    yield LedgerHistory(books.engine)


def show_estimate(estimate: Mapping[str, Any], screen: Terminal) -> None:
    """A table, sums, and what stands in the way."""
    screen.tabulate(_table(estimate))
    screen.print(_sums(estimate), soft_wrap=True)
    for warning in estimate["warnings"]:
        screen.print(warning, style="bold", soft_wrap=True)


def _table(estimate: Mapping[str, Any]) -> Table:
    title = f"{estimate['campaign_name']}: {estimate['leads']:,} leads to find"
    table = Table("provider", "calls", "hits", "USD", "80 % between", "busy", "days", title=title)
    for row in estimate["providers"]:
        table.add_row(
            row["provider"],
            f"{row['calls']:,}",
            f"{row['hits']:,}",
            f"{float(row['cost_usd']):,.2f}",
            f"{float(row['low_usd']):,.2f} to {float(row['high_usd']):,.2f}",
            f"{row['busy_s']:,} s",
            str(row["days"]),
        )
    return table


def _sums(estimate: Mapping[str, Any]) -> str:
    cost, found = estimate["cost_usd"], estimate["accepted"]
    tiers = ", ".join(f"{tier} {float(usd):,.2f}" for tier, usd in estimate["cost_by_tier_usd"].items())
    return (
        f"{float(cost['expected']):,.2f} USD expected, {float(cost['low']):,.2f} to "
        f"{float(cost['high']):,.2f} in four of five campaigns (by tier: {tiers}). "
        f"About {found['expected']:,} accepted addresses "
        f"({found['low']:,} to {found['high']:,}). Done about {estimate['done_at']}: {estimate['binds']}. "
        f"From {estimate['based_on_leads']:,} leads of earlier campaigns and usual figures."
    )
