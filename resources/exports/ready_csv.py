"""The ready leads as CSV: UTF-8 with a mark that Excel reads, exact amounts, no cell that runs."""

import csv
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path

from phase3_core.exports import ExportKind
from resources.exports.lead_list import LEAD_COLUMNS, Row, pages, plain
from resources.exports.neutral import csv_cell
from resources.exports.writer import Contents, FileWriter


class CsvWriter(FileWriter):
    """The header holds our column names, so that the file can be read by programs and imported again."""

    kind = ExportKind.CSV
    suffix = ".csv"

    async def fill(self, draft: Path, contents: Contents) -> int:
        await self.folder.on_disk(_begin, draft)
        rows = 0
        async with aclosing(pages(contents.leads, contents.campaign.id)) as read:
            async for page in read:
                await self.folder.on_disk(_append, draft, page)
                rows += len(page)
        return rows


def _begin(draft: Path) -> None:
    with draft.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerow([column.key for column in LEAD_COLUMNS])


def _append(draft: Path, page: Sequence[Row]) -> None:
    with draft.open("a", encoding="utf-8", errors="replace", newline="") as file:
        csv.writer(file).writerows(
            [csv_cell(plain(row.get(column.key))) for column in LEAD_COLUMNS] for row in page
        )
