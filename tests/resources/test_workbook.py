"""The workbook is whole or absent, its text never runs, and it holds every ready lead once per list."""

import asyncio
import errno
import os
import threading
import tracemalloc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID
from zipfile import ZipFile

import pytest
from openpyxl import load_workbook
from openpyxl.worksheet.worksheet import Worksheet

from phase3_core.errors import OutsideFailure
from phase3_core.exports import Export, ExportKind
from phase3_core.leads import Campaign
from phase3_core.ports.leads import LeadPosition
from phase3_core.ports.providers import Skipped
from phase3_core.statuses import CampaignStatus
from phase3_core.tiers import Tier
from resources.exports.campaign_exports import CampaignExporter
from resources.exports.campaign_exports import written as written_before
from resources.exports.files import Folder
from resources.exports.lead_list import PAGE
from resources.exports.workbook import ROWS_PER_SHEET, WorkbookWriter
from tests.fakes.reports import COUNTS, a_report

CAMPAIGN = Campaign(
    UUID("12345678-0000-0000-0000-000000000000"), "Café & Söhne, Q4!", CampaignStatus.ENRICHED, 42, None
)
PATIENCE_S = 60.0
HASH = "0123456789abcdef" * 4
FILE_NAME = "phase3-cafe-sohne-q4-12345678-0123456789ab.xlsx"
LEAD_SHEETS = ("Tier A", "Tier B", "All ready")
REPORT = {**a_report(), "report_hash": HASH}


def lead(number: int, tier: Tier = Tier.A, **cells: Any) -> dict[str, Any]:
    return {
        "id": UUID(int=number),
        "tier": tier,
        "score": 100 - number % 100,
        "first_name": "Ann",
        "last_name": f"Lee {number}",
        "email": f"ann{number}@acme.com",
        "email_status": "valid",
        "title": "CTO",
        "company_name": "Acme",
        "company_domain": "acme.com",
        "linkedin_url": "https://linkedin.com/in/ann",
        "company_industry": "Software",
        "company_employee_count": 120,
        "company_description": "Makes anvils",
        "company_tech_stack": ["Postgres", "Dagster"],
        "email_provider": "tomba",
        "email_verifier": "reoon",
        "cost_usd": Decimal("0.122000"),
        **cells,
    }


@dataclass
class FakeReadyLeads:
    """Pages as the repository gives them; `failure` breaks the second page."""

    leads: Sequence[Mapping[str, Any]]
    failure: BaseException | None = None
    asked: list[LeadPosition | None] = field(default_factory=list)

    async def ready_leads(
        self, campaign_id: UUID, limit: int, after: LeadPosition | None
    ) -> list[Mapping[str, Any]]:
        assert campaign_id == CAMPAIGN.id
        self.asked.append(after)
        if after and self.failure:
            raise self.failure
        ids = [row["id"] for row in self.leads]
        start = ids.index(after.id) + 1 if after else 0
        return list(self.leads[start : start + limit])


@dataclass(frozen=True)
class Written:
    path: Path
    rows: int


async def written(
    directory: Path,
    leads: Sequence[Mapping[str, Any]] | FakeReadyLeads = (),
    report: Mapping[str, Any] = REPORT,
    campaign: Campaign = CAMPAIGN,
    rows_per_sheet: int = ROWS_PER_SHEET,
) -> Written:
    asked = leads if isinstance(leads, FakeReadyLeads) else FakeReadyLeads(leads)
    published = await exporter(directory, rows_per_sheet).write(campaign, report, asked)
    return Written(Path(unquote(urlsplit(published.workbook.url).path)), published.workbook.rows)


def exporter(directory: Path, rows_per_sheet: int = ROWS_PER_SHEET) -> CampaignExporter:
    return CampaignExporter([WorkbookWriter(Folder(directory), rows_per_sheet)])


def names_in(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


def sheet(path: Path, name: str) -> Worksheet:
    found = load_workbook(path)[name]
    assert isinstance(found, Worksheet)
    return found


def values(path: Path, name: str) -> list[tuple[Any, ...]]:
    return list(sheet(path, name).iter_rows(values_only=True))


def column(path: Path, name: str, title: str) -> list[Any]:
    header, *rows = values(path, name)
    return [row[header.index(title)] for row in rows]


# --- the lead sheets


@pytest.mark.slow
async def test_each_list_holds_its_leads_once_and_in_order(tmp_path: Path) -> None:
    tiers = [Tier.A] * 1_600 + [Tier.B] * 500 + [Tier.C] * 150
    leads = FakeReadyLeads([lead(number, tier) for number, tier in enumerate(tiers)])

    export = await written(tmp_path, leads)

    emails = [row["email"] for row in leads.leads]
    assert export == Written(tmp_path / FILE_NAME, 2_250)
    assert load_workbook(export.path).sheetnames == ["Summary", *LEAD_SHEETS]
    assert column(export.path, "Tier A", "Email") == emails[:1_600]
    assert column(export.path, "Tier B", "Email") == emails[1_600:2_100]
    assert column(export.path, "All ready", "Email") == emails
    last = leads.leads[PAGE - 1]
    assert leads.asked[1] == LeadPosition(last["tier"], last["score"], last["id"])


async def test_cells_have_their_types(tmp_path: Path) -> None:
    export = await written(tmp_path, [lead(1), lead(2, company_employee_count="51-200", cost_usd=None)])

    assert column(export.path, "Tier A", "Score") == [99, 98]
    assert column(export.path, "Tier A", "Employees") == [120, "51-200"]
    assert column(export.path, "Tier A", "Cost (USD)") == [0.122, None]
    assert column(export.path, "Tier A", "Tech stack") == ["Postgres, Dagster"] * 2


async def test_the_header_is_bold_frozen_and_filtered(tmp_path: Path) -> None:
    export = await written(tmp_path, [lead(1), lead(2)])

    for name in LEAD_SHEETS:
        found = sheet(export.path, name)
        assert all(cell.font.bold for cell in found[1])
        assert found.freeze_panes == "A2"
        assert found.column_dimensions["E"].width > 30
    assert sheet(export.path, "Tier A").auto_filter.ref == "A1:Q3"
    assert sheet(export.path, "Tier B").auto_filter.ref == "A1:Q1"
    assert len(sheet(export.path, "Tier A").conditional_formatting) == 2


async def test_a_list_that_outgrows_its_sheet_goes_on_in_the_next(tmp_path: Path) -> None:
    export = await written(tmp_path, [lead(number) for number in range(5)], rows_per_sheet=2)

    assert export.rows == 5
    found = [name for name in load_workbook(export.path).sheetnames if name.startswith("All")]
    assert found == ["All ready", "All ready 2", "All ready 3"]
    emails = [email for name in found for email in column(export.path, name, "Email")]
    assert emails == [f"ann{number}@acme.com" for number in range(5)]
    assert [sheet(export.path, name).auto_filter.ref for name in found] == ["A1:Q3", "A1:Q3", "A1:Q2"]


# --- what people put into cells


@pytest.mark.parametrize(
    "hostile",
    [
        "=1+1",
        "=cmd|' /C calc'!A0",
        "+1",
        "-1+2",
        "@SUM(A1)",
        "\t=1",
        "{=1}",
        "\uff1d1",
        "http://x.com",
        "007",
    ],
)
async def test_text_stays_text_and_is_shown_as_given(tmp_path: Path, hostile: str) -> None:
    campaign = Campaign(CAMPAIGN.id, hostile, CAMPAIGN.status, 1, None)
    row = lead(1) | dict.fromkeys(("title", "email", "linkedin_url", "company_employee_count"), hostile)
    report = {**a_report([Skipped(hostile, hostile)], campaign=hostile), "notes": [hostile]}

    export = await written(tmp_path, [row], report, campaign)

    book = load_workbook(export.path)
    cells = [cell for name in book.sheetnames for line in book[name].iter_rows() for cell in line]
    assert not [cell for cell in cells if cell.data_type == "f" or cell.hyperlink]
    assert column(export.path, "Tier A", "Title") == [hostile]
    assert b"<f>" not in b"".join(ZipFile(export.path).read(name) for name in ZipFile(export.path).namelist())
    starts_formula = hostile[0] in "=+-@\t\uff1d"
    assert sheet(export.path, "Tier A")["G2"].quotePrefix is starts_formula, "it would run once edited"


async def test_a_leading_carriage_return_does_not_hide_a_formula(tmp_path: Path) -> None:
    export = await written(tmp_path, [lead(1, title="\r=1+1")])

    cell = sheet(export.path, "Tier A")["G2"]
    assert (cell.value, cell.data_type, cell.quotePrefix) == ("\n=1+1", "s", True)


async def test_what_xml_does_not_allow_is_left_out(tmp_path: Path) -> None:
    titles = ["a\x00b\x0bc\ud800d\uffffe", "tab\tline\r\nend", "<&>", "Zoë 😀", "\x01"]

    export = await written(tmp_path, [lead(number, title=title) for number, title in enumerate(titles)])

    shown = ["abcde", "tab\tline\nend", "<&>", "Zoë 😀", None]
    assert column(export.path, "Tier A", "Title") == shown


async def test_long_cells_are_cut_to_what_a_cell_holds(tmp_path: Path) -> None:
    export = await written(tmp_path, [lead(1, title="x" * 40_000, company_description="😀" * 40_000)])

    assert column(export.path, "Tier A", "Title") == ["x" * 32_767]
    description = column(export.path, "Tier A", "Description")[0]
    assert len(description.encode("utf-16-le")) // 2 <= 32_767


@pytest.mark.parametrize("number", ["NaN", float("inf"), True, 10**400, [], {}])
async def test_what_is_no_number_does_not_break_a_number_column(tmp_path: Path, number: Any) -> None:
    export = await written(tmp_path, [lead(1, company_employee_count=number)])

    assert not isinstance(column(export.path, "Tier A", "Employees")[0], int | float)


# --- the summary


async def test_the_summary_shows_what_the_report_says(tmp_path: Path) -> None:
    skipped, counts = Skipped("zoominfo", "ZOOMINFO_USERNAME is not set"), replace(COUNTS, suppressed=6)
    report = {**a_report([skipped], counts=counts), "notes": ["no quota left"]}
    export = await written(tmp_path, report=report)

    rows = [tuple(cell for cell in row if cell is not None) for row in values(export.path, "Summary")]
    assert rows[0] == ("spring",)
    assert ("Ready leads", "7 of 40") in rows
    assert ("A", 10, 6, 3, 3, 91.5, 1.2, 0.4) in rows
    assert ("Validity", 0.75) in rows
    assert ("Suppressed leads", "6") in rows
    assert rows[-1][:2] == (6, "on the suppression list, and in no other figure here")
    assert ("Agent: enrichment", 0.1) in rows
    assert ("tomba", "Email verification", 30, 20, 8, 2, 0.6, 1.5, 0.1, 0.133333, 0.8) in rows
    assert ("zoominfo", "ZOOMINFO_USERNAME is not set") in rows
    assert (20, "not verified yet", "run the campaign again", 1.9) in rows


# --- the file


async def test_the_file_is_named_for_its_campaign(tmp_path: Path) -> None:
    names = []
    for name in ("../../etc/passwd", "東京", "!!!", "x" * 300):
        campaign = Campaign(CAMPAIGN.id, name, CAMPAIGN.status, 1, None)
        export = await written(tmp_path / "new" / "place", campaign=campaign)
        names.append(export.path.relative_to(tmp_path / "new" / "place").name)

    assert names[0] == "phase3-etc-passwd-12345678-0123456789ab.xlsx"
    assert names[1] == "phase3-dongjing-12345678-0123456789ab.xlsx"
    assert names[2] == "phase3-campaign-12345678-0123456789ab.xlsx"
    assert len(names[3]) < 100


async def test_what_is_planned_is_written_and_can_be_withdrawn_twice(tmp_path: Path) -> None:
    (planned,) = exporter(tmp_path).planned(CAMPAIGN, REPORT)
    export = await written(tmp_path, [lead(1)])
    assert planned == Export(ExportKind.WORKBOOK, export.path.as_uri())
    assert export.path.is_file()
    for _ in range(2):
        await exporter(tmp_path).withdraw(Export.from_json(planned.as_json()))
        assert names_in(tmp_path) == []


async def test_a_draft_that_a_killed_process_left_is_the_campaigns_and_can_be_withdrawn(
    tmp_path: Path,
) -> None:
    folder, other = Folder(tmp_path), replace(CAMPAIGN, id=UUID(int=1))
    died = [folder.draft(folder.place(campaign, REPORT, ".xlsx")) for campaign in (CAMPAIGN, other)]
    for draft in [await one.__aenter__() for one in died]:
        draft.write_text("Ada")
    (left,) = written_before(folder, CAMPAIGN.id)
    for _ in range(2):
        await exporter(tmp_path).withdraw(left)
    assert written_before(folder, CAMPAIGN.id) == []
    assert len(written_before(folder, other.id)) == 1


async def test_the_path_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    export = await written(Path("exports"))

    assert export.path == tmp_path / "exports" / FILE_NAME


@pytest.mark.parametrize(
    "failure", [RuntimeError("gone"), ConnectionResetError("gone"), asyncio.CancelledError()]
)
async def test_a_failure_leaves_the_old_workbook_and_nothing_else(
    tmp_path: Path, failure: BaseException
) -> None:
    old = await written(tmp_path, [lead(1)])
    before = old.path.read_bytes()
    leads = FakeReadyLeads([lead(number) for number in range(PAGE + 100)], failure)

    with pytest.raises(type(failure)):
        await written(tmp_path, leads)

    assert old.path.read_bytes() == before
    assert names_in(tmp_path) == [FILE_NAME]


class SlowLead(dict[str, Any]):
    """Is read only once the event loop has said so."""

    def __init__(self) -> None:
        super().__init__(lead(1))
        self.reached, self.go_on = threading.Event(), threading.Event()

    def get(self, key: str, default: Any = None) -> Any:
        self.reached.set()
        assert self.go_on.wait(PATIENCE_S)
        return super().get(key, default)


async def test_the_event_loop_runs_while_leads_are_written(tmp_path: Path) -> None:
    slow = SlowLead()
    export = asyncio.create_task(written(tmp_path, [slow]))
    assert await asyncio.to_thread(slow.reached.wait, PATIENCE_S)

    slow.go_on.set()

    assert (await export).rows == 1


async def test_a_cancelled_export_ends_after_its_writing_and_leaves_nothing_behind(tmp_path: Path) -> None:
    slow = SlowLead()
    export = asyncio.create_task(written(tmp_path, [slow]))
    await asyncio.to_thread(slow.reached.wait, PATIENCE_S)

    export.cancel()
    done, _ = await asyncio.wait([export], timeout=0.05)
    assert not done
    slow.go_on.set()

    with pytest.raises(asyncio.CancelledError):
        await export
    assert names_in(tmp_path) == []


async def test_the_event_loop_runs_while_the_file_is_put_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []
    monkeypatch.setattr(os, "fsync", lambda _: threads.append(threading.current_thread()))

    await written(tmp_path)

    assert len(threads) == 2, "the file, then its directory"
    assert threading.main_thread() not in threads


async def test_a_directory_that_cannot_be_written_is_an_outside_failure(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")

    with pytest.raises(OutsideFailure, match="cannot be written"):
        await written(tmp_path / "taken")


async def test_a_name_taken_by_a_directory_is_an_outside_failure(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()

    with pytest.raises(OutsideFailure, match="choose another directory"):
        await written(tmp_path)
    assert names_in(tmp_path) == [FILE_NAME]


async def test_a_full_disk_is_an_outside_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(OutsideFailure, match="No space left"):
        await written(tmp_path)
    assert names_in(tmp_path) == []


async def test_a_repository_without_ready_leads_is_refused_before_any_file(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="ready_leads"):
        await exporter(tmp_path).write(CAMPAIGN, REPORT, object())  # type: ignore[arg-type] # the mistake that is tested

    assert names_in(tmp_path) == []


@pytest.mark.slow
async def test_a_long_list_takes_no_more_memory_than_a_page(tmp_path: Path) -> None:
    leads = [lead(number) for number in range(5_000)]

    tracemalloc.start()
    await written(tmp_path, leads)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 6_000_000
