"""Writes no file; remembers what it was given."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phase3_core.leads import Campaign
from phase3_core.ports import Export, LeadRepository

ABOVE_ALL = 100_000


@dataclass
class FakeExporter:
    """`breaks`: what writing raises, if anything."""

    breaks: Exception | None = None
    written: list[Mapping[str, Any]] = field(default_factory=list)

    async def write(self, campaign: Campaign, summary: Mapping[str, Any], leads: LeadRepository) -> Export:
        await asyncio.sleep(0)
        if self.breaks:
            raise self.breaks
        ready = await leads.get_campaign_leads(
            campaign.id, has_verified_email=True, is_enriched=True, limit=ABOVE_ALL
        )
        self.written.append(summary)
        return Export(Path("/exports") / f"{campaign.name}.xlsx", len(ready))
