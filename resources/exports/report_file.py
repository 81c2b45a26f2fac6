"""The report as a file beside the lists: the page for people, the JSON for programs."""

import json
from pathlib import Path

from phase3_core.exports import ExportKind
from resources.exports.html import report_as_html
from resources.exports.writer import Contents, FileWriter


class PageWriter(FileWriter):
    kind = ExportKind.PAGE
    suffix = ".html"

    async def fill(self, draft: Path, contents: Contents) -> int:
        page = report_as_html(contents.report).encode("utf-8", "replace")
        await self.folder.on_disk(draft.write_bytes, page)
        return 0


class JsonWriter(FileWriter):
    """Exact amounts, as the database keeps them."""

    kind = ExportKind.JSON
    suffix = ".json"

    async def fill(self, draft: Path, contents: Contents) -> int:
        await self.folder.on_disk(draft.write_text, json.dumps(contents.report, indent=2), "utf-8")
        return 0
