"""Writes no file; remembers what it was given, what is there and what was withdrawn."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from phase3_core.errors import OutsideFailure
from phase3_core.exports import Export, ExportKind, Published
from phase3_core.leads import Campaign
from phase3_core.ports.leads import LeadRepository

ABOVE_ALL = 100_000


@dataclass
class FakeExporter:
    """`breaks`: what writing raises, if anything. `standing`: URLs of exports that readers can open.

    `keeps`: those of them that cannot be withdrawn.
    """

    breaks: Exception | None = None
    notes: Sequence[str] = ()
    written: list[Mapping[str, Any]] = field(default_factory=list)
    standing: set[str] = field(default_factory=set)
    keeps: set[str] = field(default_factory=set)

    def planned(self, campaign: Campaign, report: Mapping[str, Any]) -> Sequence[Export]:
        tag = report["report_hash"][:12]
        return [Export(ExportKind.WORKBOOK, f"file:///exports/{campaign.name}-{tag}.xlsx")]

    async def write(self, campaign: Campaign, report: Mapping[str, Any], leads: LeadRepository) -> Published:
        await asyncio.sleep(0)
        if self.breaks:
            raise self.breaks
        ready = await leads.get_campaign_leads(
            campaign.id, has_verified_email=True, is_enriched=True, limit=ABOVE_ALL
        )
        self.written.append(dict(report))
        exports = [replace(export, rows=len(ready)) for export in self.planned(campaign, report)]
        self.standing |= {export.url for export in exports}
        return Published(exports, self.notes)

    async def withdraw(self, export: Export) -> None:
        await asyncio.sleep(0)
        if export.url in self.keeps:
            raise OutsideFailure(f"{export.url} cannot be withdrawn.")
        self.standing.discard(export.url)
