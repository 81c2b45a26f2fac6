"""`phase3 estimate`: what a campaign will cost and when it will be done, before anything is paid."""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from phase3_assets.terminal import Terminal
from phase3_core.forecast import Forecast
from phase3_core.leads import Campaign
from resources.estimates import LedgerEstimates
from resources.postgres.database import PostgresDatabase
from resources.settings import read_settings, settings_path


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is expected of a campaign."""

    campaign: Campaign
    forecast: Forecast

    def as_json(self) -> dict[str, Any]:
        names = {"campaign_id": str(self.campaign.id), "campaign_name": self.campaign.name}
        return names | self.forecast.as_json()


def estimate_campaign(url: str, name: str) -> Estimate:
    """Raises UnknownCampaign, NothingUsable, BadInput."""
    foresight = LedgerEstimates(read_settings(settings_path()), os.environ)

    async def estimating() -> Estimate:
        async with PostgresDatabase(url, longest_outage_s=0).reading() as books:
            campaign = await books.campaigns.campaign(await books.campaigns.campaign_named(name))
            return Estimate(campaign, await foresight.of(campaign.id, books))

    return asyncio.run(estimating())


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
