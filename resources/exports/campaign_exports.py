"""All that is written for people of one campaign, and taken back if it must be."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from phase3_core.errors import OutsideFailure
from phase3_core.leads import Campaign
from phase3_core.ports import Export, ExportKind, LeadRepository, Published
from resources.exports.files import Folder
from resources.exports.lead_list import ReadyLeads
from resources.exports.ready_csv import CsvWriter
from resources.exports.report_file import PageWriter
from resources.exports.workbook import WorkbookWriter
from resources.exports.writer import Writer

_FILES: Mapping[ExportKind, Callable[[Folder], Writer]] = {
    ExportKind.WORKBOOK: WorkbookWriter,
    ExportKind.CSV: CsvWriter,
    ExportKind.PAGE: PageWriter,
}


def exporter_of(kinds: Sequence[ExportKind], folder: Folder) -> "CampaignExporter":
    """In an order of our own: the page comes last and tells of the others."""
    return CampaignExporter([writer(folder) for kind, writer in _FILES.items() if kind in kinds])


class CampaignExporter:
    """Writers in the order of writing. A spreadsheet of Google's may fail: the workbook says the same."""

    def __init__(self, writers: Sequence[Writer]) -> None:
        self._writers = {writer.kind: writer for writer in writers}

    def planned(self, campaign: Campaign, report: Mapping[str, Any]) -> list[Export]:
        return [Export(kind, writer.url(campaign, report)) for kind, writer in self._writers.items()]

    async def write(
        self, campaign: Campaign, report: Mapping[str, Any], leads: LeadRepository | ReadyLeads
    ) -> Published:
        """Each writer is told what was written before it, so that the page, written last, can say so."""
        exports: list[Export] = []
        notes: list[str] = []
        for export in self.planned(campaign, report):
            told = {**report, "exports": [done.as_json() for done in exports], "notes": notes}
            try:
                rows = await self._writers[export.kind].write(campaign, told, leads)
            except OutsideFailure as failure:
                if export.kind is not ExportKind.SHEETS:
                    raise
                notes.append(f"{failure} The workbook holds the same lists.")
            else:
                exports.append(Export(export.kind, export.url, rows))
        return Published(exports, notes)

    async def withdraw(self, export: Export) -> None:
        """Raises OutsideFailure, also for an export that this configuration cannot reach."""
        writer = self._writers.get(export.kind)
        if writer is None:
            raise OutsideFailure(
                f"{export.url} cannot be withdrawn: {export.kind} exports are not set up here. Set them up "
                "as they were when it was written, or delete it by hand."
            )
        await writer.withdraw(export)
