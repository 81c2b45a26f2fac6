"""The lists as tabs of a spreadsheet of Google's, named for the report, and taken away again.

Tabs are written into a spreadsheet that the user has shared with the service account: such an account has
no storage of its own. Values are sent RAW, so that nothing runs as a formula, in blocks to fixed ranges, so
that a repeated block changes nothing.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from phase3_core.errors import OutsideFailure
from phase3_core.exports import Export, ExportKind
from phase3_core.leads import Campaign
from phase3_core.ports.leads import LeadRepository
from phase3_core.report_page import report_page
from resources.exports.files import slug, tag
from resources.exports.lead_list import ALL_READY, LISTED_TIERS, TITLES, ReadyLeads, Row, pages
from resources.exports.spreadsheet import SheetsAccount, Tab
from resources.exports.workbook import Cell, cell, lead_cells

if TYPE_CHECKING:
    from resources.exports.sheets_wire import Spreadsheet

BLOCK = 5_000  # rows in a request, some 2 MB
MOST_LETTERS = 40  # of the campaign's name in a tab's
_PLACE = "https://docs.google.com/spreadsheets/d/"


class SheetsWriter:
    kind = ExportKind.SHEETS

    def __init__(self, account: SheetsAccount) -> None:
        self._account = account

    def url(self, campaign: Campaign, report: Mapping[str, Any]) -> str:  # noqa: ARG002 - every writer gets it; one spreadsheet holds all campaigns
        return f"{_PLACE}{self._account.spreadsheet}/edit#phase3-{tag(report)}"

    async def write(
        self, campaign: Campaign, report: Mapping[str, Any], leads: LeadRepository | ReadyLeads
    ) -> int:
        """What was begun and broke is taken away again, as far as Google lets us."""
        line = _Line(self._account, self._account.spreadsheet)
        try:
            return await _send(line, self._account, _Plan(campaign, report), leads)
        except BaseException:
            with suppress(OutsideFailure):
                hurried = _Line(self._account, self._account.spreadsheet, patient=False)
                await hurried.ask(lambda book: book.replace_tabs(tag(report), []))
            raise

    async def withdraw(self, export: Export) -> None:
        """From the spreadsheet that the export names, whichever is configured now."""
        place, _, named = export.url.removeprefix(_PLACE).partition("/edit#phase3-")
        await _Line(self._account, place).ask(lambda book: book.replace_tabs(named, []))


async def _send(
    line: "_Line", account: SheetsAccount, plan: "_Plan", leads: LeadRepository | ReadyLeads
) -> int:
    await line.ask(lambda book: book.replace_tabs(plan.tag, plan.tabs))
    await line.ask(lambda book: book.write(plan.tabs[0].title, 0, plan.summary))
    lists = _Lists(plan)
    async with aclosing(pages(leads, plan.campaign.id)) as read:
        async for page in read:
            lists.add(page)
            await _write_blocks(line, lists.each, least=BLOCK)
    await _write_blocks(line, lists.each, least=1)
    await line.ask(lambda book: book.check({one.title: one.sent for one in lists.each}, TITLES[0]))
    await line.ask(lambda book: book.share(account.readers, public=account.public))
    return lists.everybody.leads


async def _write_blocks(line: "_Line", lists: "Sequence[_List]", least: int) -> None:
    for one in lists:
        for first, rows in one.blocks(least):
            await line.ask(partial(_write_block, one.title, first, rows))


def _write_block(title: str, first: int, rows: Sequence[Sequence[Cell]], book: "Spreadsheet") -> None:
    book.write(title, first, rows)


class _Line:
    """One sign-in, then questions in threads, for the library waits; a cancel ends its waiting."""

    def __init__(self, account: SheetsAccount, place: str, *, patient: bool = True) -> None:
        self._account, self._place, self._patient = account, place, patient
        self._stop = threading.Event()
        self._book: Spreadsheet | None = None

    async def ask(self, act: "Callable[[Spreadsheet], None]") -> None:
        work = asyncio.ensure_future(asyncio.to_thread(self._asked, act))
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            self._stop.set()
            await asyncio.gather(work, return_exceptions=True)
            raise

    def _asked(self, act: "Callable[[Spreadsheet], None]") -> None:
        if self._book is None:
            self._book = _signed_in(self._account, self._place, self._stop, patient=self._patient)
        act(self._book)


def _signed_in(account: SheetsAccount, place: str, stop: threading.Event, *, patient: bool) -> "Spreadsheet":
    try:
        from resources.exports.sheets_wire import signed_in  # noqa: PLC0415 - gspread is an extra, and slow to load
    except ImportError:
        raise OutsideFailure(
            "Google Sheets was not written: gspread is missing; install phase3[sheets]."
        ) from None
    return signed_in(account, place, stop, patient=patient)


class _Plan:
    """What the spreadsheet will hold, each tab as large as it must be: empty cells count for Google too."""

    def __init__(self, campaign: Campaign, report: Mapping[str, Any]) -> None:
        self.campaign, self.tag = campaign, tag(report)
        self.summary = list(_summary(report))
        ready = {row["tier"]: row["ready"] for row in report["tiers"]}
        sizes = {f"Tier {tier}": ready.get(tier, 0) for tier in LISTED_TIERS}
        sizes[ALL_READY] = report["funnel"]["ready"]
        self.tabs = [
            Tab(self.title("Summary"), len(self.summary), max(map(len, self.summary))),
            *(Tab(self.title(name), rows + 1, len(TITLES), listing=True) for name, rows in sizes.items()),
        ]

    def title(self, name: str) -> str:
        return f"{slug(self.campaign.name)[:MOST_LETTERS]} {name} {self.tag}"


class _List:
    """A tab's rows on their way: the header, then leads, at most two blocks of them in memory."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.sent = 0
        self.leads = 0
        self._waiting: list[Sequence[Cell]] = [TITLES]

    def add(self, cells: Sequence[Cell]) -> None:
        self._waiting.append(cells)
        self.leads += 1

    def blocks(self, least: int) -> Iterator[tuple[int, list[Sequence[Cell]]]]:
        """The number of each block's first row, and its rows; fewer than `least` wait for more."""
        while len(self._waiting) >= least:
            block, self._waiting = self._waiting[:BLOCK], self._waiting[BLOCK:]
            yield self.sent, block
            self.sent += len(block)


class _Lists:
    """The tab of all ready leads, and one for each tier that is listed by itself."""

    def __init__(self, plan: "_Plan") -> None:
        self.everybody = _List(plan.title(ALL_READY))
        self._of_tier = {tier: _List(plan.title(f"Tier {tier}")) for tier in LISTED_TIERS}

    @property
    def each(self) -> Sequence[_List]:
        return [self.everybody, *self._of_tier.values()]

    def add(self, leads: Sequence[Row]) -> None:
        for lead in leads:
            cells = lead_cells(lead)
            self.everybody.add(cells)
            if own := self._of_tier.get(lead["tier"]):
                own.add(cells)


def _summary(report: Mapping[str, Any]) -> Iterator[Sequence[Cell]]:
    page = report_page(report)
    yield [page.title]
    yield from ([figure.name, figure.shown] for figure in page.figures)
    for section in page.sections:
        columns = section.table.columns
        yield []
        yield [section.title]
        if not section.table.rows:
            yield [section.nothing]
            continue
        yield [column.title for column in columns]
        for row in section.table.rows:
            yield [cell(column.kind, row.get(column.key)) for column in columns]
