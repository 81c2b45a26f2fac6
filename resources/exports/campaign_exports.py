"""All that is written for people of one campaign, and taken back if it must be."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from phase3_core.errors import OutsideFailure
from phase3_core.exports import Export, ExportKind, Published
from phase3_core.leads import Campaign
from phase3_core.ports.leads import LeadRepository
from resources.exports.files import Folder, exports_folder
from resources.exports.lead_list import ReadyLeads
from resources.exports.ready_csv import CsvWriter
from resources.exports.report_file import JsonWriter, PageWriter
from resources.exports.sheets import SheetsWriter
from resources.exports.spreadsheet import SheetsAccount
from resources.exports.workbook import WorkbookWriter
from resources.exports.writer import Writer
from resources.settings import Settings

KEY_FILE = "GOOGLE_SERVICE_ACCOUNT_FILE"
SHEETS_URL = "GOOGLE_SHEETS_BASE_URL"
USUAL = (ExportKind.SHEETS, ExportKind.WORKBOOK, ExportKind.PAGE)
EVERY_KIND = tuple(ExportKind)

_FILES: Mapping[ExportKind, Callable[[Folder], Writer]] = {
    ExportKind.WORKBOOK: WorkbookWriter,
    ExportKind.CSV: CsvWriter,
    ExportKind.PAGE: PageWriter,
    ExportKind.JSON: JsonWriter,
}

_SUFFIXES = {
    WorkbookWriter.suffix: ExportKind.WORKBOOK,
    CsvWriter.suffix: ExportKind.CSV,
    PageWriter.suffix: ExportKind.PAGE,
}


def written(folder: Folder, campaign_id: UUID) -> list[Export]:
    """Files of the campaign's, whoever wrote them and whenever."""
    return [Export(kind, file.as_uri()) for file in folder.files_of(campaign_id) if (kind := _kind_of(file))]


def _kind_of(file: Path) -> ExportKind | None:
    """A directory holds the draft of any kind: whoever deletes files deletes it."""
    return ExportKind.WORKBOOK if file.is_dir() else _SUFFIXES.get(file.suffix)


def exporter_of(
    kinds: Sequence[ExportKind], folder: Folder, sheets: SheetsAccount | None = None
) -> "CampaignExporter":
    """In an order of our own: page and JSON come last and tell of the lists."""
    files = [writer(folder) for kind, writer in _FILES.items() if kind in kinds]
    spreadsheet = [SheetsWriter(sheets)] if sheets and ExportKind.SHEETS in kinds else []
    return CampaignExporter([*spreadsheet, *files])


def usual_exporter(settings: Settings, directory: str = "") -> "CampaignExporter":
    """What a run exports. `directory`: empty for the one that the environment names."""
    return exporter_of(USUAL, exports_folder(directory), spreadsheet_of(settings))


def spreadsheet_of(settings: Settings, environment: Mapping[str, str] = os.environ) -> SheetsAccount | None:
    """The spreadsheet that is set up, if one is."""
    wanted = settings.exports
    if not wanted.spreadsheet:
        return None
    return SheetsAccount(
        spreadsheet=wanted.spreadsheet,
        key_file=Path(environment.get(KEY_FILE, "")),
        readers=wanted.spreadsheet_readers,
        public=wanted.spreadsheet_public,
        base_url=environment.get(SHEETS_URL, ""),
    )


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
                if export.kind is not ExportKind.SHEETS or ExportKind.WORKBOOK not in self._writers:
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
