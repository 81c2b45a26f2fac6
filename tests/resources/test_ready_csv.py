"""The list as CSV: every ready lead once, exact amounts, and no cell that a spreadsheet would run."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.exports.campaign_exports import CampaignExporter
from resources.exports.files import Folder
from resources.exports.neutral import csv_cell
from resources.exports.ready_csv import CsvWriter
from tests.resources.test_workbook import CAMPAIGN, REPORT, FakeReadyLeads, lead


async def written(directory: Path, leads: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    exporter = CampaignExporter([CsvWriter(Folder(directory))])
    (export,) = (await exporter.write(CAMPAIGN, REPORT, FakeReadyLeads(leads))).exports
    assert export.rows == len(leads)
    return rows_of(export.url)


def rows_of(url: str) -> list[dict[str, str]]:
    text = Path(unquote(urlsplit(url).path)).read_bytes().decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


async def test_every_lead_is_listed_once_with_exact_amounts(tmp_path: Path) -> None:
    rows = await written(tmp_path, [lead(number) for number in range(4_500)])
    assert [row["email"] for row in rows] == [f"ann{number}@acme.com" for number in range(4_500)]
    assert rows[0]["cost_usd"] == "0.122000"
    assert rows[0]["company_tech_stack"] == "Postgres, Dagster"


@pytest.mark.parametrize("text", ["Zoë, 東京 😀", 'says "hi"\nand goes', "semi;colon", "\ud800", ""])
async def test_words_come_through(tmp_path: Path, text: str) -> None:
    (row,) = await written(tmp_path, [lead(1, title=text)])
    assert row["title"] == text.encode("utf-8", "replace").decode()


SIGNS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(1)",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1",
    "\x00=1",
    "\uff1d1",
    "\u00a0=1",
    "\ufeff=1",
]


@pytest.mark.parametrize("sign", SIGNS)
def test_what_would_run_begins_with_an_apostrophe(sign: str) -> None:
    assert csv_cell(sign).startswith("'")


@given(st.text() | st.text(alphabet="=+-@;\t\r\n \uff1da", max_size=8))
def test_no_cell_begins_like_a_formula_where_semicolons_part_cells(text: str) -> None:
    file = io.StringIO()
    csv.writer(file).writerow(["Ann", csv_cell(text), "Acme"])
    cells = re.split(r"[;\t\r\n]", file.getvalue())
    assert not [cell for cell in cells[1:] if cell.lstrip(" \u00a0\ufeff").startswith(tuple("=+-@\uff1d"))]


def test_words_with_signs_in_them_stay_as_they_are() -> None:
    for text in ("a-b", "1 + 1 = 2", "me@acme.com", "C++; Java", "one\n\ntwo"):
        assert csv_cell(text) == text


@given(st.text())
def test_no_cell_begins_like_a_formula(text: str) -> None:
    assert not csv_cell(text).lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
