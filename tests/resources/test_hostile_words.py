"""Any words in any field of a lead, through the writers that write them: nothing runs, links or vanishes."""

import asyncio
import csv
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit
from zipfile import ZipFile

from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook

from resources.exports import ready_csv, workbook
from resources.exports.campaign_exports import CampaignExporter
from resources.exports.files import Folder
from resources.exports.lead_list import LEAD_COLUMNS
from resources.exports.ready_csv import CsvWriter
from resources.exports.workbook import WorkbookWriter
from tests.attacks import attack, replaced
from tests.resources.test_workbook import CAMPAIGN, REPORT, FakeReadyLeads, lead

SIGNS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
WORDS = st.text(max_size=40) | st.sampled_from(
    [
        "=cmd|' /C calc'!A0",
        "+1+1",
        " @SUM(1)",
        "\x00=1",
        "\uff1d1+1",
        "Acme;=1+1",
        "Acme\t@SUM(1)",
        "Acme\r\n-2",
        'Acme",=1',
        "https://evil.example",
        "mailto:me@evil.example",
        "internal:Summary!A1",
        "{=1}",
        "_x003D_1",
        "שלום\u200f\u202e",
        "a\x1b[2Jb",
        "<b>&amp;",
    ]
)
TEXTS = [column.key for column in LEAD_COLUMNS if column.key not in {"tier", "score"}]
LISTS = st.lists(WORDS, min_size=1, max_size=8)


def published(words: Sequence[str], writer: type[CsvWriter | WorkbookWriter], folder: str) -> Path:
    """A file with the words in every field of a lead each."""
    leads = [lead(number) | dict.fromkeys(TEXTS, word) for number, word in enumerate(words)]
    exporter = CampaignExporter([writer(Folder(Path(folder)))])
    (export,) = asyncio.run(exporter.write(CAMPAIGN, REPORT, FakeReadyLeads(leads))).exports
    return Path(unquote(urlsplit(export.url).path))


@attack(
    "Files and texts",
    "A lead's or vendor's words are a formula, and somebody double-clicks the CSV, wherever he lives",
    defence="An apostrophe stands before what would run, also behind the other separators of spreadsheets",
    without=replaced((ready_csv, "csv_cell", lambda text: text)),
)
@settings(deadline=None, max_examples=40)
@given(LISTS)
def test_no_cell_of_the_csv_runs_however_it_is_cut(words: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = published(words, CsvWriter, folder)
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.reader(file))
    assert len(rows) == len(words) + 1
    cells = [cell for row in rows for cell in row]
    assert not [part for cell in cells for part in re.split(r"[;\t\r\n]", cell) if runs(part)]


def runs(cell: str) -> bool:
    return cell.lstrip(" ").startswith(SIGNS)


@attack(
    "Files and texts",
    "Words become formulas, links or numbers in the workbook, at once or when somebody edits the cell",
    defence="Words are written as text, and marked as text where they look like a formula",
    without=replaced((workbook, "runs_as_formula", lambda _: False)),
)
@settings(deadline=None, max_examples=25)
@given(LISTS)
def test_no_cell_of_the_workbook_runs(words: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = published(words, WorkbookWriter, folder)
        book = load_workbook(path)
        parts = [ZipFile(path).read(name) for name in ZipFile(path).namelist()]
    sheet = book["All ready"]
    cells = [cell for row in sheet.iter_rows(min_row=2) for cell in row]
    assert not [cell for cell in cells if cell.data_type == "f" or cell.hyperlink]
    assert not [cell for cell in cells if runs(str(cell.value)) and not cell.quotePrefix]
    assert not [part for part in parts if b"<f>" in part or b"<hyperlink" in part]
