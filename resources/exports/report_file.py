"""The report as a file beside the lists: the page for people, the JSON for programs."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phase3_core.leads import Campaign
from phase3_core.ports import ExportKind, LeadRepository
from resources.exports.html import report_as_html
from resources.exports.lead_list import ReadyLeads
from resources.exports.writer import FileWriter


class PageWriter(FileWriter):
    kind = ExportKind.PAGE
    suffix = ".html"

    async def fill(
        self,
        draft: Path,
        campaign: Campaign,  # noqa: ARG002 - every writer gets it; its name is in the report
        report: Mapping[str, Any],
        leads: LeadRepository | ReadyLeads,  # noqa: ARG002 - every writer gets them; the page shows counts
    ) -> int:
        page = report_as_html(report).encode("utf-8", "replace")
        await self.folder.on_disk(draft.write_bytes, page)
        return 0


class JsonWriter(FileWriter):
    """Exact amounts, as the database keeps them."""

    kind = ExportKind.JSON
    suffix = ".json"

    async def fill(
        self,
        draft: Path,
        campaign: Campaign,  # noqa: ARG002 - every writer gets it; its id is in the report
        report: Mapping[str, Any],
        leads: LeadRepository | ReadyLeads,  # noqa: ARG002 - every writer gets them; the report shows counts
    ) -> int:
        await self.folder.on_disk(draft.write_text, json.dumps(report, indent=2), "utf-8")
        return 0
