"""The lists in a spreadsheet of Google's, over a socket: what arrives, is refused, is taken away."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gspread
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from phase3_core.errors import OutsideFailure
from phase3_core.exports import Export, ExportKind, Published
from phase3_core.tiers import Tier
from resources.exports import sheets, sheets_wire
from resources.exports.campaign_exports import exporter_of
from resources.exports.files import Folder
from resources.exports.spreadsheet import SheetsAccount
from sandbox.app import Sandbox, serve
from sandbox.google import ACCOUNT, SPREADSHEET, Google, Tab
from sandbox.options import Options
from tests.attacks import attack, replaced
from tests.fakes.reports import COUNTS, a_report
from tests.resources.test_workbook import CAMPAIGN, HASH, FakeReadyLeads, lead

TAG = HASH[:12]
ALL = f"cafe-sohne-q4 All ready {TAG}"


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with serve(Options(latency_ms=0)) as running:
        yield running


@pytest.fixture
def google(sandbox: Sandbox) -> Google:
    return sandbox.parts.google


@pytest.fixture(scope="session")
def private_key() -> str:
    made = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    form = serialization.PrivateFormat.PKCS8
    return made.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


@pytest.fixture
def account(sandbox: Sandbox, private_key: str, tmp_path: Path) -> SheetsAccount:
    key = {
        "type": "service_account",
        "client_email": ACCOUNT,
        "private_key": private_key,
        "private_key_id": "1",
        "token_uri": f"{sandbox.url}/google/token",
    }
    file = tmp_path / "key.json"
    file.write_text(json.dumps(key), encoding="utf-8")
    return SheetsAccount(SPREADSHEET, file, base_url=f"{sandbox.url}/google")


def people(number: int, **cells: Any) -> list[dict[str, Any]]:
    tiers = [Tier.A, Tier.B, Tier.C]
    return [lead(n, tiers[n * 3 // number], **cells) for n in range(number)]


def report(leads: Sequence[dict[str, Any]]) -> dict[str, Any]:
    ready = {tier: sum(row["tier"] is tier for row in leads) for tier in Tier}
    tiers = [replace(tier, ready=ready[tier.tier]) for tier in COUNTS.tiers]
    return {**a_report(counts=replace(COUNTS, tiers=tiers)), "report_hash": HASH}


async def written(account: SheetsAccount, folder: Path, leads: Sequence[dict[str, Any]]) -> Published:
    exporter = exporter_of(list(ExportKind), Folder(folder), account)
    return await exporter.write(CAMPAIGN, report(leads), FakeReadyLeads(leads))


def page_in(folder: Path) -> str:
    return next(folder.glob("*.html")).read_text(encoding="utf-8")


def tab(google: Google, title: str) -> Tab:
    return next(one for one in google.tabs.values() if one.title == title)


async def test_every_list_arrives_whole_and_in_order(
    account: SheetsAccount, google: Google, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sheets, "BLOCK", 40)
    leads = people(150)
    published = await written(account, tmp_path, leads)
    assert published.notes == []
    assert Export.from_json(published.exports[0].as_json()) == Export(
        ExportKind.SHEETS, f"https://docs.google.com/spreadsheets/d/{SPREADSHEET}/edit#phase3-{TAG}", 150
    )
    everybody = tab(google, ALL)
    header, *rows = everybody.grid()
    assert header[:5] == ["Tier", "Score", "First name", "Last name", "Email"]
    assert [row[4] for row in rows] == [row["email"] for row in leads]
    assert (everybody.rows, everybody.columns, everybody.frozen) == (151, 17, 1)
    assert (everybody.filtered, everybody.bold, len(everybody.rules)) == (True, True, 3)
    assert [row[0] for row in tab(google, ALL.replace("All ready", "Tier B")).grid()[1:]] == ["B"] * 50
    summary = tab(google, ALL.replace("All ready", "Summary")).grid()
    assert ["Ready leads", "150 of 40"] in summary
    assert google.permissions == []
    assert google.sign_ins == 1


def as_typed(book: gspread.Spreadsheet, place: str, params: Any, values: Any) -> Any:
    return UPDATE(book, place, params | {"valueInputOption": "USER_ENTERED"}, values)


UPDATE = gspread.Spreadsheet.values_update


@attack(
    "Files and texts",
    "A cell of the Google spreadsheet fetches an address with the row's data in it (`=IMPORTXML`)",
    defence="Values are written raw",
    without=replaced((gspread.Spreadsheet, "values_update", as_typed)),
)
@pytest.mark.parametrize("hostile", ["=IMPORTXML(1)", "+1", "-1", "@A1", "\t=1"])
async def test_nothing_becomes_a_formula(
    account: SheetsAccount, google: Google, tmp_path: Path, hostile: str
) -> None:
    await written(account, tmp_path, people(3, title=hostile))
    assert [row[6] for row in tab(google, ALL).grid()[1:]] == [hostile] * 3


async def test_the_same_report_replaces_its_tabs_and_leaves_others_alone(
    account: SheetsAccount, google: Google, tmp_path: Path
) -> None:
    await written(account, tmp_path, people(3))
    await written(account, tmp_path, people(6))
    assert len(google.tabs) == 5
    assert len(tab(google, ALL).grid()) == 7
    assert tab(google, "Notes").grid() == []


async def test_withdrawing_takes_the_tabs_away_and_may_be_repeated(
    account: SheetsAccount, google: Google, tmp_path: Path
) -> None:
    export = (await written(account, tmp_path, people(3))).exports[0]
    exporter = exporter_of([ExportKind.SHEETS], Folder(tmp_path), account)
    for _ in range(2):
        await exporter.withdraw(export)
        assert [one.title for one in google.tabs.values()] == ["Notes"]


async def test_a_spreadsheet_is_never_left_without_a_tab(
    account: SheetsAccount, google: Google, tmp_path: Path
) -> None:
    export = (await written(account, tmp_path, people(3))).exports[0]
    del google.tabs[0]
    await exporter_of([ExportKind.SHEETS], Folder(tmp_path), account).withdraw(export)
    assert [one.title for one in google.tabs.values()] == ["Sheet1"]


async def test_a_quota_is_waited_for_as_google_asks(
    account: SheetsAccount, google: Google, tmp_path: Path
) -> None:
    google.refusals.extend([(429, "0"), (503, "0"), (429, "0")])
    published = await written(account, tmp_path, people(3))
    assert published.notes == []
    assert len(tab(google, ALL).grid()) == 4


class Hourglass(threading.Event):
    """Notes for how long somebody would wait, and does not."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        return False


async def test_google_says_how_long_to_wait_and_else_each_wait_is_longer_up_to_a_limit(
    account: SheetsAccount, google: Google
) -> None:
    google.refusals.extend([(429, "7"), (503, ""), (429, ""), (429, "3600")])
    glass = Hourglass()
    await asyncio.to_thread(sheets_wire.signed_in, account, SPREADSHEET, glass)
    told, second, third, longest = glass.waits
    assert (told, longest) == (7.0, sheets_wire.LONGEST_WAIT_S)
    assert 2.0 <= second < 3.0
    assert 4.0 <= third < 5.0


async def test_a_quota_that_stays_used_up_ends_in_the_workbook(
    account: SheetsAccount, google: Google
) -> None:
    google.refusals.extend([(429, "1")] * sheets_wire.TRIES)
    with pytest.raises(OutsideFailure, match="its quota is used up"):
        await asyncio.to_thread(sheets_wire.signed_in, account, SPREADSHEET, Hourglass())


async def test_what_google_took_is_read_back_before_it_is_called_written(
    account: SheetsAccount, google: Google, tmp_path: Path
) -> None:
    google.loses_last_rows = True
    (note,) = (await written(account, tmp_path, people(3))).notes
    assert "what it holds is not what was sent; export again" in note
    assert [one.title for one in google.tabs.values()] == ["Notes"]


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (403, f"share the spreadsheet with {ACCOUNT} as editor"),
        (404, f"there is no spreadsheet {SPREADSHEET}"),
        (400, "is the spreadsheet full"),
        (200, "it does not answer as it should"),
    ],
)
async def test_a_refusal_falls_back_to_the_workbook_and_the_report_says_so(
    account: SheetsAccount, google: Google, tmp_path: Path, refusal: int, words: str
) -> None:
    google.refusals.extend([(refusal, "")])
    published = await written(account, tmp_path, people(3))
    assert [export.kind for export in published.exports] == [
        ExportKind.WORKBOOK,
        ExportKind.CSV,
        ExportKind.PAGE,
        ExportKind.JSON,
    ]
    (note,) = published.notes
    assert words in note
    assert note.endswith("The workbook holds the same lists.")
    assert words in page_in(tmp_path)
    assert [one.title for one in google.tabs.values()] == ["Notes"]


async def test_what_breaks_half_way_is_taken_away_again(
    account: SheetsAccount, google: Google, tmp_path: Path
) -> None:
    exporter = exporter_of([ExportKind.SHEETS], Folder(tmp_path), account)
    leads = people(3, title="x" * 3)
    told = report(leads)
    too_many = [*leads, lead(9, Tier.A)]  # more than the report counts, so the tab is too small
    with pytest.raises(OutsideFailure, match="Google Sheets was not written"):
        await exporter.write(CAMPAIGN, told, FakeReadyLeads(too_many))
    assert [one.title for one in google.tabs.values()] == ["Notes"]


async def test_a_key_that_google_refuses_or_that_is_no_file_is_told(
    account: SheetsAccount, google: Google, tmp_path: Path
) -> None:
    google.refuses_sign_in = True
    (note,) = (await written(account, tmp_path, people(3))).notes
    assert "does not accept the service account's key" in note
    nowhere = replace(account, key_file=tmp_path / "nowhere.json")
    (note,) = (await written(nowhere, tmp_path, people(3))).notes
    assert "GOOGLE_SERVICE_ACCOUNT_FILE" in note


async def test_only_who_is_asked_for_is_let_in(
    account: SheetsAccount, google: Google, tmp_path: Path
) -> None:
    await written(replace(account, readers=("boss@acme.example",)), tmp_path, people(3))
    assert [(one["type"], one["role"]) for one in google.permissions] == [("user", "reader")]
    google.permissions.clear()
    await written(replace(account, public=True), tmp_path, people(3))
    assert [(one["type"], one["withLink"]) for one in google.permissions] == [("anyone", True)]


async def test_an_export_that_is_not_set_up_here_is_not_passed_over(tmp_path: Path) -> None:
    export = Export(ExportKind.SHEETS, "https://docs.google.com/spreadsheets/d/x/edit#phase3-abc")
    with pytest.raises(OutsideFailure, match="cannot be withdrawn"):
        await exporter_of([ExportKind.WORKBOOK], Folder(tmp_path)).withdraw(export)
