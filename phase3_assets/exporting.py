"""`phase3 export`: the lists and the report again, from what the database says now."""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from phase3_assets.looking import look
from phase3_core.errors import BadInput
from phase3_core.exports import ExportKind, Published
from phase3_core.report import read_report
from resources.exports.campaign_exports import KEY_FILE, USUAL, exporter_of, spreadsheet_of
from resources.exports.files import exports_folder
from resources.postgres.database import PostgresBooks
from resources.settings import read_settings, settings_path


def export_campaign(url: str, name: str, kinds: Sequence[ExportKind], out: Path | None) -> Published:
    """At any time, also while a run works; raises BadInput, OutsideFailure."""
    sheets = spreadsheet_of(read_settings(settings_path()))
    if ExportKind.SHEETS in kinds and sheets is None:
        raise BadInput(
            "No spreadsheet is set up: write its id as `spreadsheet` into [exports] of phase3.toml, share it "
            f"with a service account, and let {KEY_FILE} name that account's key file."
        )

    async def exporting(books: PostgresBooks) -> Published:
        campaign_id = await books.campaigns.campaign_named(name)
        campaign = await books.campaigns.campaign(campaign_id)
        report = await read_report(books, campaign_id)
        folder = exports_folder(str(out or ""))
        exporter = exporter_of(kinds or USUAL, folder, sheets)
        return await exporter.write(campaign, report, books.leads)

    return look(url, exporting)


def places(published: Published) -> list[str]:
    """Paths of files, addresses of everything else."""
    return [_place(export.url) for export in published.exports]


def _place(url: str) -> str:
    parts = urlsplit(url)
    return unquote(parts.path) if parts.scheme == "file" else url
