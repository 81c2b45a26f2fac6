"""The workbook of a campaign: what came out and what it cost, and the ready leads by tier."""

import asyncio
import json
import math
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar, runtime_checkable
from urllib.parse import unquote, urlsplit
from uuid import UUID

from anyascii import anyascii
from xlsxwriter import Workbook
from xlsxwriter.exceptions import XlsxWriterException

from phase3_core.errors import OutsideFailure
from phase3_core.leads import Campaign
from phase3_core.ports import Export, ExportKind, LeadPosition, LeadRepository, Published
from phase3_core.tiers import Tier

ROWS_PER_SHEET = 1_048_575  # what a spreadsheet holds below the header
TAG = 12  # digits of the report's hash in the name of an export

_P = ParamSpec("_P")
_R = TypeVar("_R")
_PAGE = 500
_MAX_TEXT = 32_767  # of a cell
_MAX_SLUG = 60
_ILLEGAL_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LOOKS_LIKE_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_OPTIONS = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}


@runtime_checkable
class ReadyLeads(Protocol):
    async def ready_leads(
        self, campaign_id: UUID, limit: int, after: LeadPosition | None
    ) -> list[Mapping[str, Any]]:
        """A page of leads with an accepted address and enrichment, tier A first, then highest score.

        Keys: id, tier, score and those of the columns of a lead sheet.
        """
        ...


class WorkbookExporter:
    """Writes beside the final name and renames, so that a reader never meets half a workbook."""

    def __init__(self, directory: Path, rows_per_sheet: int = ROWS_PER_SHEET) -> None:
        self._directory = directory
        self._rows_per_sheet = rows_per_sheet

    def planned(self, campaign: Campaign, report: Mapping[str, Any]) -> list[Export]:
        return [Export(ExportKind.WORKBOOK, self._path(campaign, report).as_uri())]

    async def withdraw(self, export: Export) -> None:
        with self._disk():
            await asyncio.to_thread(_place(export).unlink, missing_ok=True)

    def _path(self, campaign: Campaign, report: Mapping[str, Any]) -> Path:
        return self._directory.absolute() / _file_name(campaign, report)

    async def write(
        self, campaign: Campaign, report: Mapping[str, Any], leads: LeadRepository | ReadyLeads
    ) -> Published:
        """Raises OutsideFailure when the disk does not take it; `leads` must also be ReadyLeads."""
        if not isinstance(leads, ReadyLeads):
            raise TypeError("the workbook needs a lead repository with ready_leads")
        with self._disk():
            spool = self._spool()
        try:
            book = await self._on_disk(_Book, spool, self._rows_per_sheet)
            await self._on_disk(book.summarise, campaign, report)
            rows = await self._fill(book, leads, campaign.id)
            await self._on_disk(book.publish, self._path(campaign, report))
        finally:
            shutil.rmtree(spool, ignore_errors=True)
        return Published([replace(export, rows=rows) for export in self.planned(campaign, report)])

    def _spool(self) -> Path:
        """In the same directory, because a file is renamed in one step only within its file system."""
        self._directory.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=".phase3-", dir=self._directory))

    async def _fill(self, book: "_Book", leads: ReadyLeads, campaign_id: UUID) -> int:
        rows, after = 0, None
        while page := await leads.ready_leads(campaign_id, _PAGE, after):
            await self._on_disk(book.add, page)
            rows, after = rows + len(page), _position(page[-1])
        return rows

    async def _on_disk(self, act: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """In a thread; a cancelled writer is waited for, so that nothing is written after clean-up."""
        work = asyncio.ensure_future(asyncio.to_thread(act, *args, **kwargs))
        try:
            with self._disk():
                return await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.gather(work, return_exceptions=True)
            raise

    @contextmanager
    def _disk(self) -> Iterator[None]:
        try:
            yield
        except (OSError, XlsxWriterException) as error:
            raise OutsideFailure(
                f"The workbook cannot be written to {str(self._directory)!r}: {error}. "
                "Make room there or choose another directory, then run again."
            ) from error


def _position(row: Mapping[str, Any]) -> LeadPosition:
    return LeadPosition(Tier(row["tier"]), row["score"], row["id"])


def _place(export: Export) -> Path:
    return Path(unquote(urlsplit(export.url).path))


def _file_name(campaign: Campaign, report: Mapping[str, Any]) -> str:
    """With the beginning of the report's hash: another report is another file."""
    slug = re.sub(r"[^a-z0-9]+", "-", anyascii(campaign.name).lower())[:_MAX_SLUG].strip("-")
    tag = report["report_hash"][:TAG]
    return f"phase3-{slug or 'campaign'}-{str(campaign.id)[:8]}-{tag}.xlsx"


# --- columns


class _Kind(Enum):
    """What a column holds; the value is the number format of a spreadsheet."""

    TEXT = "General"
    COUNT = "#,##0"
    SCORE = "0.0"
    RATE = "0.0%"
    MONEY = "$#,##0.0000"


@dataclass(frozen=True, slots=True)
class _Column:
    key: str
    title: str
    width: int
    kind: _Kind = _Kind.TEXT


_LEAD_COLUMNS = (
    _Column("tier", "Tier", 6),
    _Column("score", "Score", 8, _Kind.COUNT),
    _Column("first_name", "First name", 16),
    _Column("last_name", "Last name", 18),
    _Column("email", "Email", 34),
    _Column("email_status", "Email status", 13),
    _Column("title", "Title", 30),
    _Column("company_name", "Company", 28),
    _Column("company_domain", "Domain", 24),
    _Column("linkedin_url", "LinkedIn", 36),
    _Column("company_industry", "Industry", 22),
    _Column("company_employee_count", "Employees", 11, _Kind.COUNT),
    _Column("company_description", "Description", 60),
    _Column("company_tech_stack", "Tech stack", 40),
    _Column("email_provider", "Found by", 14),
    _Column("email_verifier", "Verified by", 14),
    _Column("cost_usd", "Cost (USD)", 12, _Kind.MONEY),
)
_TIER_COLUMNS = (
    _Column("tier", "Tier", 0),
    _Column("total", "Leads", 0, _Kind.COUNT),
    _Column("verified", "Verified", 0, _Kind.COUNT),
    _Column("enriched", "Enriched", 0, _Kind.COUNT),
    _Column("ready", "Ready", 0, _Kind.COUNT),
    _Column("average_score", "Average score", 0, _Kind.SCORE),
    _Column("cost_usd", "Cost (USD)", 0, _Kind.MONEY),
    _Column("cost_per_ready_usd", "Per ready lead (USD)", 0, _Kind.MONEY),
)
_PROVIDER_COLUMNS = (
    _Column("provider", "Provider", 0),
    _Column("agent", "Agent", 0),
    _Column("calls", "Calls", 0, _Kind.COUNT),
    _Column("hits", "Hits", 0, _Kind.COUNT),
    _Column("misses", "Misses", 0, _Kind.COUNT),
    _Column("errors", "Errors", 0, _Kind.COUNT),
    _Column("cost_usd", "Cost (USD)", 0, _Kind.MONEY),
    _Column("unknown_usd", "Bill not known (USD)", 0, _Kind.MONEY),
)
_SKIPPED_COLUMNS = (_Column("provider", "Provider", 0), _Column("why", "Why", 0))
_SUMMARY_WIDTHS = (28, 24, *(14,) * 6)


# --- the summary as tables


@dataclass(frozen=True, slots=True)
class _Table:
    title: str
    columns: Sequence[_Column]
    rows: Sequence[Mapping[str, Any]]


def _tables(campaign: Campaign, summary: Mapping[str, Any]) -> Iterator[_Table]:
    """Of a summary that may lack anything: what is not there is an empty table."""
    facts = {"name": campaign.name, "id": campaign.id, "status": campaign.status, "leads": campaign.leads}
    yield _pairs("Campaign", facts, _Kind.TEXT)
    yield _pairs("From lead to ready lead", summary.get("funnel"), _Kind.COUNT)
    yield _Table("Tiers", _TIER_COLUMNS, _rows(summary.get("tiers")))
    yield _pairs("Quality", summary.get("quality"), _Kind.RATE)
    costs = {**_mapping(summary.get("costs")), "per_ready_lead": summary.get("cost_per_ready_usd")}
    yield _pairs("Cost (USD)", costs, _Kind.MONEY)
    yield _Table("Providers", _PROVIDER_COLUMNS, _rows(summary.get("providers")))
    yield _Table("Skipped", _SKIPPED_COLUMNS, _rows(summary.get("skipped")))
    yield _pairs("Addresses by status", summary.get("email_status"), _Kind.COUNT)
    yield _pairs("Leads still waiting", summary.get("waiting"), _Kind.COUNT)


def _pairs(title: str, facts: object, kind: _Kind) -> _Table:
    columns = (_Column("name", "", 0), _Column("value", "", 0, kind))
    known = {name: value for name, value in _mapping(facts).items() if value is not None}
    rows = [{"name": _words(name), "value": value} for name, value in known.items()]
    return _Table(title, columns, rows)


def _words(name: object) -> str:
    return str(name).replace("_", " ").capitalize()


def _mapping(value: object) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}


def _rows(value: object) -> list[Mapping[Any, Any]]:
    rows = value if isinstance(value, Sequence) else ()
    return [row for row in rows if isinstance(row, Mapping)]


# --- the workbook


class _Book:
    """The open workbook; sheets spool to disk and must be written row by row."""

    def __init__(self, spool: Path, rows_per_sheet: int) -> None:
        self._partial = spool / "workbook.xlsx"
        self._book = Workbook(str(self._partial), {**_OPTIONS, "tmpdir": str(spool)})
        self._pen = _Pen(self._book)
        self._summary = self._book.add_worksheet("Summary")
        self._tiers = {tier: self._lead_sheet(f"Tier {tier}", rows_per_sheet) for tier in (Tier.A, Tier.B)}
        self._all = self._lead_sheet("All ready", rows_per_sheet)

    def _lead_sheet(self, name: str, rows_per_sheet: int) -> "_LeadSheet":
        return _LeadSheet(self._book, self._pen, name, rows_per_sheet)

    def summarise(self, campaign: Campaign, summary: Mapping[str, Any]) -> None:
        for number, width in enumerate(_SUMMARY_WIDTHS):
            self._summary.set_column(number, number, width)
        row = 0
        for table in _tables(campaign, summary):
            row = self._pen.table(self._summary, row, table) + 1

    def add(self, leads: Sequence[Mapping[str, Any]]) -> None:
        for lead in leads:
            self._all.add(lead)
            if own := self._tiers.get(lead["tier"]):
                own.add(lead)

    def publish(self, path: Path) -> Path:
        """The file reaches the disk before its name does."""
        for sheet in (*self._tiers.values(), self._all):
            sheet.finish()
        self._book.close()
        _sync(self._partial)
        self._partial.replace(path)
        _sync(path.parent)
        return path


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _LeadSheet:
    """One list of leads; where it outgrows a sheet it goes on in the next, named with a number."""

    def __init__(self, book: Workbook, pen: "_Pen", name: str, rows_per_sheet: int) -> None:
        self._book, self._pen, self._name, self._rows_per_sheet = book, pen, name, rows_per_sheet
        self._sheets = 0
        self._open()

    def add(self, lead: Mapping[str, Any]) -> None:
        if self._row == self._rows_per_sheet:
            self.finish()
            self._open()
        self._row += 1
        self._pen.row(self._sheet, self._row, _LEAD_COLUMNS, lead)

    def finish(self) -> None:
        """The filter and the colours span the rows that there are."""
        self._sheet.autofilter(0, 0, self._row, len(_LEAD_COLUMNS) - 1)
        self._pen.colour(self._sheet, self._row)

    def _open(self) -> None:
        self._sheets += 1
        name = self._name if self._sheets == 1 else f"{self._name} {self._sheets}"
        self._sheet, self._row = self._book.add_worksheet(name), 0
        for number, column in enumerate(_LEAD_COLUMNS):
            self._sheet.set_column(number, number, column.width)
        self._sheet.freeze_panes(1, 0)
        self._pen.titles(self._sheet, 0, _LEAD_COLUMNS)


class _Pen:
    """Writes cells: numbers as numbers, everything else as text that can never run as a formula."""

    def __init__(self, book: Workbook) -> None:
        self._bold = book.add_format({"bold": True})
        self._heading = book.add_format({"bold": True, "font_size": 13})
        self._quoted = book.add_format({"quote_prefix": True})
        self._numbers = {kind: book.add_format({"num_format": kind.value}) for kind in _Kind}
        colours = {Tier.A: "#C6EFCE", Tier.B: "#FFEB9C"}
        self._tiers = {tier: book.add_format({"bg_color": colour}) for tier, colour in colours.items()}

    def table(self, sheet: Any, row: int, table: _Table) -> int:
        """The row below the table."""
        sheet.write_string(row, 0, table.title, self._heading)
        if not table.rows:
            sheet.write_string(row + 1, 0, "none")
            return row + 2
        row += 1
        if any(column.title for column in table.columns):
            self.titles(sheet, row, table.columns)
            row += 1
        for number, values in enumerate(table.rows):
            self.row(sheet, row + number, table.columns, values)
        return row + len(table.rows)

    def titles(self, sheet: Any, row: int, columns: Sequence[_Column]) -> None:
        for number, column in enumerate(columns):
            sheet.write_string(row, number, column.title, self._bold)

    def row(self, sheet: Any, row: int, columns: Sequence[_Column], values: Mapping[str, Any]) -> None:
        for number, column in enumerate(columns):
            self._cell(sheet, row, number, column.kind, values.get(column.key))

    def colour(self, sheet: Any, last_row: int) -> None:
        if last_row:
            for tier, fill in self._tiers.items():
                rule = {"type": "cell", "criteria": "==", "value": f'"{tier}"', "format": fill}
                sheet.conditional_format(1, 0, last_row, 0, rule)
            sheet.conditional_format(1, 1, last_row, 1, {"type": "2_color_scale"})

    def _cell(self, sheet: Any, row: int, column: int, kind: _Kind, value: object) -> None:
        number = None if kind is _Kind.TEXT else _number(value)
        if number is not None:
            sheet.write_number(row, column, number, self._numbers[kind])
        elif text := _text(value):
            quoted = self._quoted if text.startswith(_LOOKS_LIKE_FORMULA) else None
            sheet.write_string(row, column, text, quoted)


# --- cells


def _number(value: Any) -> float | None:
    """Amounts arrive as text too; what a spreadsheet cannot count stays text."""
    try:
        number = math.nan if value is None or isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _text(value: object) -> str:
    """Without what XML does not allow, and no longer than a cell."""
    return _ILLEGAL_IN_XML.sub("", _plain(value)[:_MAX_TEXT]).replace("\r\n", "\n").replace("\r", "\n")


def _plain(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    return str(value)
