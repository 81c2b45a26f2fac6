"""`phase3 export`: the lists and the report again, from what the database says now."""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from phase3_assets.looking import look
from phase3_core.ports import ExportKind, Published
from phase3_core.report import read_report
from resources.exports.campaign_exports import exporter_of
from resources.exports.files import exports_folder
from resources.postgres.database import PostgresBooks

USUAL = (ExportKind.WORKBOOK, ExportKind.PAGE)


def export_campaign(url: str, name: str, kinds: Sequence[ExportKind], out: Path | None) -> Published:
    """At any time, also while a run works; raises UnknownCampaign, WrongCampaignState, OutsideFailure."""

    async def exporting(books: PostgresBooks) -> Published:
        campaign_id = await books.campaigns.campaign_named(name)
        campaign = await books.campaigns.campaign(campaign_id)
        report = await read_report(books, campaign_id)
        folder = exports_folder(str(out or ""))
        return await exporter_of(kinds or USUAL, folder).write(campaign, report, books.leads)

    return look(url, exporting)


def places(published: Published) -> list[str]:
    """Paths of files, addresses of everything else."""
    return [_place(export.url) for export in published.exports]


def _place(url: str) -> str:
    parts = urlsplit(url)
    return unquote(parts.path) if parts.scheme == "file" else url
