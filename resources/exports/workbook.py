"""The workbook of a campaign: what came out and what it cost, and the ready leads by tier."""

from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

from xlsxwriter import Workbook
from xlsxwriter.exceptions import XlsxWriterException

from phase3_core.exports import ExportKind
from phase3_core.presentation import Kind, ReportPage, Section
from phase3_core.report_page import report_page
from phase3_core.tiers import Tier
from resources.exports.files import Folder
from resources.exports.lead_list import (
    ALL_READY,
    LEAD_COLUMNS,
    LISTED_TIERS,
    TITLES,
    Row,
    number,
    pages,
    plain,
)
from resources.exports.neutral import runs_as_formula, without_controls
from resources.exports.writer import Contents, FileWriter

ROWS_PER_SHEET = 1_048_575  # what a spreadsheet holds below the header

_MAX_TEXT = 32_767  # of a cell
_SUMMARY_WIDTHS = (30, 26, *(15,) * 9)
_OPTIONS = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}

Cell = str | float | None
Written = tuple[int, str | float, Any]  # column, value, format


class WorkbookWriter(FileWriter):
    kind = ExportKind.WORKBOOK
    suffix = ".xlsx"

    def __init__(self, folder: Folder, rows_per_sheet: int = ROWS_PER_SHEET) -> None:
        super().__init__(folder)
        self._rows_per_sheet = rows_per_sheet

    async def fill(self, draft: Path, contents: Contents) -> int:
        book = await self.folder.on_disk(_Book, draft, self._rows_per_sheet)
        await self.folder.on_disk(book.summarise, report_page(contents.report))
        rows = 0
        async with aclosing(pages(contents.leads, contents.campaign.id)) as read:
            async for page in read:
                await self.folder.on_disk(book.add, page)
                rows += len(page)
        await self.folder.on_disk(book.close)
        return rows


class _Book:
    """The open workbook; sheets spool to disk and must be written row by row."""

    def __init__(self, place: Path, rows_per_sheet: int) -> None:
        self._book = Workbook(str(place), {**_OPTIONS, "tmpdir": str(place.parent)})
        self._pen = _Pen(self._book)
        self._summary = self._book.add_worksheet("Summary")
        self._tiers = {tier: self._lead_sheet(f"Tier {tier}", rows_per_sheet) for tier in LISTED_TIERS}
        self._all = self._lead_sheet(ALL_READY, rows_per_sheet)

    def _lead_sheet(self, name: str, rows_per_sheet: int) -> "_LeadSheet":
        return _LeadSheet(self._book, self._pen, name, rows_per_sheet)

    def summarise(self, page: ReportPage) -> None:
        for place, width in enumerate(_SUMMARY_WIDTHS):
            self._summary.set_column(place, place, width)
        row = self._pen.heading(self._summary, page)
        for section in page.sections:
            row = self._pen.section(self._summary, row, section) + 1

    def add(self, leads: Sequence[Row]) -> None:
        for lead in leads:
            cells = self._pen.ready(lead_cells(lead), self._pen.of_leads)
            self._all.add(cells)
            if own := self._tiers.get(lead["tier"]):
                own.add(cells)

    def close(self) -> None:
        for sheet in (*self._tiers.values(), self._all):
            sheet.finish()
        try:
            self._book.close()
        except XlsxWriterException as error:
            raise OSError(str(error)) from error


class _LeadSheet:
    """One list of leads; where it outgrows a sheet it goes on in the next, named with a number."""

    def __init__(self, book: Workbook, pen: "_Pen", name: str, rows_per_sheet: int) -> None:
        self._book, self._pen, self._name, self._rows_per_sheet = book, pen, name, rows_per_sheet
        self._sheets = 0
        self._open()

    def add(self, cells: Sequence[Written]) -> None:
        if self._row == self._rows_per_sheet:
            self.finish()
            self._open()
        self._row += 1
        self._pen.write(self._sheet, self._row, cells)

    def finish(self) -> None:
        """The filter and the colours span the rows that there are."""
        self._sheet.autofilter(0, 0, self._row, len(LEAD_COLUMNS) - 1)
        self._pen.colour(self._sheet, self._row)

    def _open(self) -> None:
        self._sheets += 1
        name = self._name if self._sheets == 1 else f"{self._name} {self._sheets}"
        self._sheet, self._row = self._book.add_worksheet(name), 0
        for place, column in enumerate(LEAD_COLUMNS):
            self._sheet.set_column(place, place, column.width)
        self._sheet.freeze_panes(1, 0)
        self._pen.titles(self._sheet, 0, TITLES)


class _Pen:
    """Writes cells: numbers as numbers, everything else as text that can never run as a formula."""

    def __init__(self, book: Workbook) -> None:
        self._bold = book.add_format({"bold": True})
        self._title = book.add_format({"bold": True, "font_size": 16})
        self._heading = book.add_format({"bold": True, "font_size": 13})
        self._quiet = book.add_format({"italic": True, "font_color": "#4B5563"})
        self._quoted = book.add_format({"quote_prefix": True})
        self._numbers = {kind: book.add_format({"num_format": kind.value}) for kind in Kind}
        self.of_leads = [self._numbers[column.kind] for column in LEAD_COLUMNS]
        colours = {Tier.A: "#C6EFCE", Tier.B: "#FFEB9C"}
        self._tiers = {tier: book.add_format({"bg_color": colour}) for tier, colour in colours.items()}

    def heading(self, sheet: Any, page: ReportPage) -> int:
        """The row below what stands above all tables."""
        self._text(sheet, 0, 0, page.title, self._title)
        self._text(sheet, 1, 0, f"Phase 3 tier report {page.tag}", self._quiet)
        for row, figure in enumerate(page.figures, start=2):
            self._text(sheet, row, 0, figure.name, self._bold)
            self._text(sheet, row, 1, figure.shown, None)
        return 3 + len(page.figures)

    def section(self, sheet: Any, row: int, section: Section) -> int:
        """The row below the section."""
        columns = section.table.columns
        self._text(sheet, row, 0, section.title, self._heading)
        if not section.table.rows:
            self._text(sheet, row + 1, 0, section.nothing, None)
            return row + 2
        self.titles(sheet, row + 1, [column.title for column in columns])
        formats = [self._numbers[column.kind] for column in columns]
        for below, values in enumerate(section.table.rows, start=row + 2):
            cells = [cell(column.kind, values.get(column.key)) for column in columns]
            self.write(sheet, below, self.ready(cells, formats))
        return row + 2 + len(section.table.rows)

    def titles(self, sheet: Any, row: int, titles: Sequence[str]) -> None:
        for place, title in enumerate(titles):
            sheet.write_string(row, place, title, self._bold)

    def ready(self, cells: Sequence[Cell], formats: Sequence[Any]) -> list[Written]:
        """Without empty cells; text that looks like a formula stays text when somebody edits it."""
        return [
            (place, value, self._of_text(value) if isinstance(value, str) else formats[place])
            for place, value in enumerate(cells)
            if value is not None and value != ""
        ]

    def write(self, sheet: Any, row: int, cells: Sequence[Written]) -> None:
        text, number = sheet.write_string, sheet.write_number
        for place, value, form in cells:
            (text if isinstance(value, str) else number)(row, place, value, form)

    def _of_text(self, text: str) -> Any:
        return self._quoted if runs_as_formula(text) else None

    def colour(self, sheet: Any, last_row: int) -> None:
        if last_row:
            for tier, fill in self._tiers.items():
                rule = {"type": "cell", "criteria": "==", "value": f'"{tier}"', "format": fill}
                sheet.conditional_format(1, 0, last_row, 0, rule)
            sheet.conditional_format(1, 1, last_row, 1, {"type": "2_color_scale"})

    def _text(self, sheet: Any, row: int, column: int, text: str, form: Any) -> None:
        if shown := cell_text(text):
            sheet.write_string(row, column, shown, self._quoted if runs_as_formula(shown) else form)


def lead_cells(lead: Row) -> list[Cell]:
    """Made once for all the sheets that a lead is on."""
    return [cell(column.kind, lead.get(column.key)) for column in LEAD_COLUMNS]


def cell(kind: Kind, value: object) -> Cell:
    """A number where the column counts and the value does; else text."""
    if kind is Kind.TEXT and type(value) is str:
        return cell_text(value)
    counted = None if kind is Kind.TEXT else number(value)
    return cell_text(plain(value)) if counted is None else counted


def cell_text(text: str) -> str:
    """Without what XML does not allow, and no longer than a cell."""
    if text.isprintable() and len(text) <= _MAX_TEXT:
        return text  # as nearly all are
    return without_controls(text[:_MAX_TEXT]).replace("\r\n", "\n").replace("\r", "\n")
