"""Icypeas's searches as files: what a file is taken for, and a row, a price and an answer for each lead."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, cast

import pytest

from phase3_core.calls import Gap, Hit, Miss, NoAnswer
from phase3_core.ledger import CallLedger
from phase3_core.money import ZERO, usd
from phase3_core.ports.books import Books
from phase3_core.runs import Run
from phase3_core.statuses import Agent
from resources.http_client import Lost, NotSent, Received, Sending
from resources.providers.answers import Pending, Problem, Remedy
from resources.providers.catalogue import row
from resources.providers.finders.icypeas import SPEC
from resources.providers.finders.icypeas_bulk import BULK
from resources.providers.request import Question, Request, own_id
from resources.providers.source import VendorSource
from resources.settings import Settings
from resources.settings_tables import ProviderSettings
from tests.fakes.ledger import FakeLedger
from tests.fakes.people import a_run
from tests.resources.providers.sheet import EMAIL, HTML, ICYPEAS, KEY, Said, lead, polled, response
from tests.resources.providers.test_bulk import Waiting, rows
from tests.resources.providers.vendor import FakeTime, Vendor, answer

PRICE = usd("0.009")
PAID, FREE, IN_DOUBT = ("settled", PRICE, ZERO), ("settled", ZERO, ZERO), ("unknown", ZERO, PRICE)
NAMES = [f"Dana {number}" for number in range(12)]
FOUND = Hit(EMAIL, 99)
SUBMIT, READ, SINGLE = "bulk-search", "bulk-single-searchs/read", "email-search"
LIST = "search-files/read"
INVALID = {"success": False, "validationErrors": [{"field": "data", "type": "length"}]}
UNKNOWN = {"success": False, "error": "SearchNotFoundError"}


def search(name: str = "Dana", **changes: Any) -> Request:
    request = SPEC.operations[0].ask(Question(lead(first_name=name, **changes)))
    assert request is not None
    return request


def item(status: str = "DEBITED", external: str = "") -> dict[str, Any]:
    (one,) = ICYPEAS["items"]
    emails = one["results"]["emails"] if status in {"FOUND", "DEBITED"} else []
    told: dict[str, Any] = {"status": status, "results": {"emails": emails}}
    return {**one, **told, "userData": {"webhookUrl": "", "externalId": external}}


def page(*items: Any, **more: Any) -> dict[str, Any]:
    return {"success": True, "items": list(items), "sorts": [[], []], "total": len(items), **more}


# --- the file's readers ----------------------------------------------------------------------------------


def test_rows_are_sent_in_the_order_of_the_questions_under_our_own_ids() -> None:
    asked = [search(), search("", company_domain="")]
    request = BULK.ask("phase3-1", asked)
    assert (request.method, request.path) == ("POST", "/bulk-search")
    assert request.body == {
        "name": "phase3-1",
        "task": "email-search",
        "data": [["Dana", "Reyes", "acme.example"], ["", "Reyes", "Acme Example"]],
        "custom": {"externalIds": [one.body["custom"]["externalId"] for one in asked]},
    }


def test_one_reading_tells_a_whole_file() -> None:
    body = {"mode": "bulk", "file": "f1", "limit": 100}
    assert BULK.look("file:f1") == Request("POST", "/bulk-single-searchs/read", body=body)
    assert BULK.size == body["limit"]
    assert BULK.every_s >= 3


@pytest.mark.parametrize("body", [{"success": True}, {"file": 7}, {"file": ""}, {"file": "a\x00b"}, HTML, []])
def test_a_submission_without_a_file_is_nonsense(body: Any) -> None:
    said = BULK.read(response(200, body))
    assert isinstance(said, Problem)
    assert said.remedy is Remedy.NONSENSE


def test_a_files_number_is_told_from_a_searchs() -> None:
    taken = {"success": True, "file": "f1", "status": "in_progress"}
    assert BULK.read(response(200, taken)) == Pending("file:f1")


def listed(**file: Any) -> Any:
    other = {"file": "f8", "name": "phase3-2", "finished": True}
    return {"success": True, "files": [other, {"file": "f9", "name": "phase3-1", **file}], "total": 2}


@pytest.mark.parametrize(
    ("body", "number"),
    [
        (listed(), "file:f9"),
        (listed(file=None, _id="f9"), "file:f9"),
        (listed(name="phase3-10"), ""),
        (listed(name=None), ""),
        (listed(file=7), ""),
        (listed(file="a\x00b"), ""),
        ({"success": True, "files": []}, ""),
        ({"success": True, "files": {"name": "phase3-1"}}, ""),
        ({"success": False}, ""),
        (HTML, ""),
        ([], ""),
    ],
)
def test_among_the_newest_files_ours_is_known_by_its_name_alone(body: Any, number: str) -> None:
    assert BULK.listing is not None
    assert BULK.listing.request == Request("POST", "/search-files/read", body={"limit": 50})
    assert BULK.listing.number(response(200, body), "phase3-1") == number


STATES: list[tuple[str, Any, bool]] = [
    ("all pending", page(item("NONE"), item("SCHEDULED"), item("IN_PROGRESS")), False),
    ("one pending", page(item(), item("IN_PROGRESS")), False),
    ("not every row yet", page(item(), total=2), False),
    ("no row yet", page(), False),
    ("a row without a status", page(item(), {}), False),
    ("rows of another shape", page(item(), 7), False),
    ("items of another shape", page() | {"items": {}}, False),
    ("a page", HTML, False),
    ("a refusal without a name", {"success": False}, False),
    ("done", page(item(), item("NOT_FOUND")), True),
    ("done, nothing counted", page(item()) | {"total": None}, True),
    ("all kinds of ends", page(*map(item, ("DEBITED_NOT_FOUND", "ABORTED", "BAD_INPUT", "NEW"))), True),
]


@pytest.mark.parametrize(("body", "done"), [one[1:] for one in STATES], ids=[one[0] for one in STATES])
def test_a_file_is_done_when_no_row_is_pending(body: Any, *, done: bool) -> None:
    assert BULK.state(response(200, body)) == (None if done else Pending(""))


def test_a_file_that_the_vendor_does_not_know_has_failed() -> None:
    said = BULK.state(response(200, UNKNOWN))
    assert isinstance(said, Problem)
    assert said.remedy is Remedy.DOWN


ENDS: list[tuple[str, Said]] = [
    ("DEBITED", FOUND),
    ("FOUND", FOUND),
    ("NOT_FOUND", Miss()),
    ("DEBITED_NOT_FOUND", Miss()),
    ("BAD_INPUT", Remedy.BAD_INPUT),
    ("INSUFFICIENT_FUNDS", Remedy.OUT_OF_CREDITS),
    ("ABORTED", Remedy.DOWN),
    ("NEW", Remedy.NONSENSE),
]


@pytest.mark.parametrize(("status", "expected"), ENDS)
def test_a_row_is_read_as_the_single_search(status: str, expected: Said) -> None:
    mine = item(status, BULK.row(search()))
    others = (item("DEBITED", "another"), item("NOT_FOUND"))
    part = BULK.part(response(200, page(others[0], mine, others[1])), search())
    assert part.body == {"success": True, "items": [mine]}
    assert polled(SPEC, "email-search", part) == expected


def test_a_row_that_is_not_told_is_no_answer() -> None:
    part = BULK.part(response(200, page(item("DEBITED", "another"))), search())
    assert polled(SPEC, "email-search", part) is Remedy.NONSENSE


def test_a_row_is_known_by_the_id_of_the_single_search() -> None:
    names = {"firstname": "Dana", "lastname": "Reyes", "domainOrCompany": "acme.example"}
    assert BULK.row(search()) == own_id(names)
    assert BULK.row(search("Dina")) != own_id(names)


# --- a run in bulk ---------------------------------------------------------------------------------------


class Death(Exception):
    """The process is gone while a request is under way."""


@dataclass
class Files:
    """Implements `Transport`: files are done after `takes_s`; `says` replaces an answer once.

    `ends` are the statuses of rows by name; a single search always finds, at once. A submission with one of
    `unheard` is taken and answered so; files are listed after `lists_s`.
    """

    time: FakeTime
    takes_s: float = 25.0
    ends: dict[str, str] = field(default_factory=dict)
    says: dict[str, list[Received | Exception]] = field(default_factory=dict)
    unheard: list[Received | Exception] = field(default_factory=list)
    lists_s: float = 0.0
    files: dict[str, tuple[float, list[tuple[str, str]]]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    sent: list[tuple[str, float]] = field(default_factory=list)
    headers: list[Any] = field(default_factory=list)
    single: list[str] = field(default_factory=list)

    async def send(self, sending: Sending) -> Received:
        await asyncio.sleep(0)
        what = sending.url.removeprefix("https://vendor.example/")
        self.sent.append((what, self.time.seconds))
        self.headers.append(sending.headers)
        if said := self.says.get(what):
            return _heard(said.pop(0))
        if what == SUBMIT:
            taken = self._take(sending.body)
            return _heard(self.unheard.pop(0)) if self.unheard else taken
        if what == LIST:
            return self._listed()
        if what == SINGLE:
            self.single.append(sending.body["firstname"])
            return answer({"success": True, "item": {"_id": f"s{len(self.single)}", "status": "NONE"}})
        return self._told(sending.body["file"]) if "file" in sending.body else answer(page(item()))

    def _take(self, body: Any) -> Received:
        number = f"f{len(self.files) + 1}"
        self.names[number] = body["name"]
        names = [cells[0] for cells in body["data"]]
        self.files[number] = (self.time.seconds, list(zip(names, body["custom"]["externalIds"], strict=True)))
        return answer({"success": True, "file": number, "status": "in_progress"})

    def _listed(self) -> Received:
        old = [number for number, (at, _) in self.files.items() if self.time.seconds >= at + self.lists_s]
        newest_first = [{"file": number, "name": self.names[number]} for number in old[::-1]]
        return answer({"success": True, "files": newest_first, "total": len(old)})

    def _told(self, number: str) -> Received:
        if number not in self.files:
            return answer(UNKNOWN)
        at, named = self.files[number]
        going = self.time.seconds < at + self.takes_s
        ends = [("IN_PROGRESS" if going else self.ends.get(name, "DEBITED"), own) for name, own in named]
        return answer(page(*(item(status, own) for status, own in ends)))

    def times(self, what: str) -> list[float]:
        return [at for one, at in self.sent if one == what]

    @property
    def sizes(self) -> list[int]:
        return [len(named) for _, named in self.files.values()]


def _heard(step: Received | Exception) -> Received:
    if isinstance(step, Exception):
        raise step
    return step


def a_vendor(**files: Any) -> tuple[Vendor, Files]:
    vendor = Vendor("icypeas", (), limits=None, bulk=True)
    return vendor, behind(vendor, **files)


def behind(vendor: Vendor, **files: Any) -> Files:
    transport = Files(vendor.time, **files)
    vendor.client = replace(vendor.client, transport=transport)
    return transport


def next_run(vendor: Vendor, files: Files, *, bulk: bool = True, **changes: Any) -> tuple[Vendor, Files]:
    following = vendor.next_run()
    following.client.bulk = bulk
    kept = {"files": dict(files.files), "names": dict(files.names)}
    return following, behind(following, **(kept | changes))


async def ask(vendor: Vendor, names: Sequence[str] = NAMES) -> list[Any]:
    asking = (vendor.asking(first_name=name) for name in names)
    replies = await vendor.time.until(asyncio.gather(*asking))
    return list(replies)


async def left_behind(vendor: Vendor, files: Files, what: str) -> None:
    """The run is given up as soon as something was sent; nothing is settled."""
    asking = [asyncio.ensure_future(vendor.asking(first_name=name)) for name in NAMES]
    await vendor.time.idle()
    while not files.times(what):
        vendor.time._wake()
        await vendor.time.idle()
    for one in asyncio.all_tasks() - {asyncio.current_task()}:
        one.cancel()
    await asyncio.gather(*asking, return_exceptions=True)


async def test_what_gathers_is_one_file_and_every_lead_has_its_row_and_price() -> None:
    vendor, files = a_vendor()
    assert await ask(vendor) == [FOUND] * 12
    assert (files.sizes, files.single) == ([12], [])
    assert (files.times(SUBMIT), files.times(READ)) == ([5.0], [15.0, 25.0, 35.0])
    assert rows(vendor) == [PAID] * 12
    assert {call.job_id for call in vendor.ledger.calls} == {"file:f1"}
    assert {tuple(one.items()) for one in files.headers} == {(("Authorization", KEY),)}


@pytest.mark.parametrize(("first", "then"), [(True, False), (False, True)])
async def test_an_answer_bought_one_way_is_used_the_other_way(*, first: bool, then: bool) -> None:
    vendor, files = a_vendor()
    vendor.client.bulk = first
    replies = await ask(vendor)
    following, other = next_run(vendor, files, bulk=then)
    assert await ask(following) == replies == [FOUND] * 12
    assert (other.sent, vendor.ledger.booked) == ([], 12 * PRICE)


async def test_what_is_kept_is_what_the_single_reading_tells() -> None:
    vendor, _ = a_vendor()
    await ask(vendor)
    kept = [json.loads(call.last.response or "") for call in vendor.ledger.calls]
    assert [(one["success"], len(one["items"])) for one in kept] == [(True, 1)] * 12
    ids = [call.intent.request["body"]["custom"]["externalId"] for call in vendor.ledger.calls]
    assert [one["items"][0]["userData"]["externalId"] for one in kept] == ids


async def test_files_hold_a_hundred_rows_and_leave_once_a_second() -> None:
    vendor, files = a_vendor(takes_s=120.0)
    assert await ask(vendor, [f"Dana {number}" for number in range(450)]) == [FOUND] * 450
    assert files.sizes == [100, 100, 100, 100, 50]
    assert min(later - earlier for earlier, later in pairwise(files.times(SUBMIT))) >= 1.0 - 1e-6


async def test_readings_of_files_keep_the_pace_that_all_readings_share() -> None:
    vendor, files = a_vendor(takes_s=120.0)
    await ask(vendor, [f"Dana {number}" for number in range(1_000)])
    read_at = files.times(READ)
    assert len(read_at) > 10
    assert min(later - earlier for earlier, later in pairwise(read_at)) >= 2.0 - 1e-6


async def test_ends_of_all_kinds_stand_in_one_file() -> None:
    vendor, files = a_vendor(
        ends={NAMES[1]: "NOT_FOUND", NAMES[2]: "DEBITED_NOT_FOUND", NAMES[3]: "BAD_INPUT"}
    )
    found, *misses, last = (await ask(vendor))[:5]
    assert (found, last) == (FOUND, FOUND)
    assert all(isinstance(one, Miss) for one in misses)
    assert rows(vendor)[:5] == [PAID, FREE, FREE, FREE, PAID]
    assert len(files.files) == 1


async def test_a_row_that_is_aborted_is_searched_once_more_singly() -> None:
    vendor, files = a_vendor(ends={NAMES[3]: "ABORTED"})
    assert await ask(vendor) == [FOUND] * 12
    assert (files.sizes, files.single) == ([12], [NAMES[3]])
    assert rows(vendor) == [PAID] * 12
    assert Counter(call.job_id for call in vendor.ledger.calls) == {"file:f1": 11, "s1": 1}


@pytest.mark.parametrize(("bulk", "sizes", "single"), [(True, [12, 10], []), (False, [12], NAMES[2:])])
async def test_rows_without_funds_cost_nothing_park_and_are_searched_again_by_the_next_run(
    sizes: list[int], single: list[str], *, bulk: bool
) -> None:
    vendor, files = a_vendor(ends=dict.fromkeys(NAMES[2:], "INSUFFICIENT_FUNDS"))
    replies = await ask(vendor)
    assert replies[:2] == [FOUND] * 2
    assert {reply.gap for reply in replies[2:]} == {Gap.PARKED}
    assert vendor.client.health.parked.startswith("out of credits")
    assert rows(vendor) == [*[PAID] * 2, *[FREE] * 10]
    following, other = next_run(vendor, files, bulk=bulk)
    assert await ask(following) == [FOUND] * 12
    assert (other.sizes, sorted(other.single)) == (sizes, sorted(single))
    assert rows(vendor) == [PAID] * 12


@pytest.mark.parametrize("bulk", [True, False])
async def test_rows_without_funds_of_a_run_that_died_are_searched_again_at_once(*, bulk: bool) -> None:
    vendor, files = a_vendor()
    await left_behind(vendor, files, READ)
    following, other = next_run(vendor, files, bulk=bulk, ends=dict.fromkeys(NAMES, "INSUFFICIENT_FUNDS"))
    assert await ask(following) == [FOUND] * 12
    assert (other.times(SUBMIT), sorted(other.single)) == ([], sorted(NAMES))
    assert rows(vendor) == [PAID] * 12


async def test_a_row_that_is_not_told_is_booked_and_never_submitted_again() -> None:
    vendor, files = a_vendor(ends={NAMES[3]: "NEW"})
    assert (await ask(vendor))[3].gap is Gap.LOST
    assert rows(vendor) == [*[PAID] * 3, IN_DOUBT, *[PAID] * 8]
    following, other = next_run(vendor, files)
    assert await ask(following) == [FOUND] * 12
    assert (other.times(SUBMIT), other.single) == ([], [])
    assert rows(vendor) == [PAID] * 12


async def test_a_refused_file_is_searched_singly() -> None:
    vendor, files = a_vendor(says={SUBMIT: [answer(INVALID)]})
    assert await ask(vendor) == [FOUND] * 12
    assert (files.files, sorted(files.single)) == ({}, sorted(NAMES))
    assert rows(vendor) == [PAID] * 12


async def test_a_file_that_the_vendor_forgot_is_submitted_again_and_stays_booked() -> None:
    vendor, files = a_vendor(says={READ: [answer(UNKNOWN), answer(UNKNOWN)]})
    assert await ask(vendor) == [FOUND] * 12
    assert (files.sizes, files.single) == ([12, 12], [])
    assert rows(vendor) == [("settled", PRICE, PRICE)] * 12
    assert not vendor.client.health.parked


async def test_a_file_that_the_vendor_forgets_every_time_is_not_submitted_a_third_time() -> None:
    vendor, files = a_vendor()
    for _ in range(3):
        vendor, files = next_run(vendor, files, says={READ: [answer(UNKNOWN)] * 9})
        await ask(vendor)
    assert files.sizes == [12, 12]
    assert rows(vendor) == [("unknown", ZERO, 2 * PRICE)] * 12


HICCUPS = [Lost("reset"), NotSent("refused"), answer(HTML), answer("", 502), answer({"success": False}, 429)]


@pytest.mark.parametrize("hiccup", HICCUPS)
async def test_a_hiccup_while_reading_is_read_over(hiccup: Received | Exception) -> None:
    vendor, files = a_vendor(says={READ: [hiccup]}, takes_s=0.0)
    assert await ask(vendor) == [FOUND] * 12
    assert (files.sizes, len(files.times(READ))) == ([12], 2)
    assert rows(vendor) == [PAID] * 12


async def test_a_submission_that_is_lost_is_made_once_more_and_stays_booked() -> None:
    vendor, files = a_vendor(says={SUBMIT: [Lost("reset")]})
    assert await ask(vendor) == [FOUND] * 12
    assert (len(files.times(SUBMIT)), len(files.times(LIST))) == (2, 2)
    assert rows(vendor) == [("settled", PRICE, PRICE)] * 12


UNHEARD = [Lost("reset"), answer("", 502), answer({"success": False}, 408), answer(HTML), answer("{")]


@pytest.mark.parametrize("unheard", UNHEARD)
async def test_a_file_whose_submission_was_not_answered_is_found_by_its_name(
    unheard: Received | Exception,
) -> None:
    vendor, files = a_vendor(unheard=[unheard])
    assert await ask(vendor) == [FOUND] * 12
    assert (files.sizes, len(files.times(LIST)), files.single) == ([12], 1, [])
    assert {call.job_id for call in vendor.ledger.calls} == {"file:f1"}
    assert rows(vendor) == [PAID] * 12
    assert vendor.client.tally.spent == 12 * PRICE


async def test_a_file_that_is_not_listed_at_once_is_looked_for_once_more() -> None:
    vendor, files = a_vendor(unheard=[Lost("timeout")], lists_s=20.0)
    assert await ask(vendor) == [FOUND] * 12
    assert (files.sizes, len(files.times(LIST))) == ([12], 2)
    assert rows(vendor) == [PAID] * 12


async def test_a_file_that_is_listed_too_late_is_submitted_once_more_and_both_are_booked() -> None:
    vendor, files = a_vendor(unheard=[Lost("timeout")], lists_s=60.0)
    assert await ask(vendor) == [FOUND] * 12
    assert (files.sizes, len(files.times(LIST))) == ([12, 12], 2)
    assert len(set(files.names.values())) == 2
    assert rows(vendor) == [("settled", PRICE, PRICE)] * 12


@pytest.mark.parametrize("said", [answer(HTML), answer(listed()), answer("{", 400), answer("", 404)])
async def test_a_list_that_does_not_tell_of_the_file_leaves_it_in_doubt(said: Received) -> None:
    vendor, files = a_vendor(unheard=[Lost("reset")], says={LIST: [said, said]})
    assert await ask(vendor) == [FOUND] * 12
    assert files.sizes == [12, 12]
    assert rows(vendor) == [("settled", PRICE, PRICE)] * 12


@pytest.mark.parametrize("hiccup", [*HICCUPS[:2], answer("", 502), answer({"success": False}, 429)])
async def test_a_hiccup_while_the_file_is_looked_for_is_passed_over(hiccup: Received | Exception) -> None:
    vendor, files = a_vendor(unheard=[Lost("reset")], says={LIST: [hiccup, hiccup, hiccup]})
    assert await ask(vendor) == [FOUND] * 12
    assert (files.sizes, len(files.times(LIST))) == ([12], 4)
    assert rows(vendor) == [PAID] * 12


async def test_a_key_that_is_refused_while_the_file_is_looked_for_leaves_it_to_the_next_run() -> None:
    vendor, files = a_vendor(unheard=[Lost("reset")], says={LIST: [answer({"success": False}, 401)]})
    assert {reply.gap for reply in await ask(vendor)} == {Gap.PARKED}
    assert rows(vendor) == [IN_DOUBT] * 12
    following, other = next_run(vendor, files)
    assert await ask(following) == [FOUND] * 12
    assert (other.sizes, rows(vendor)) == ([12], [PAID] * 12)


REFUSALS = [NotSent("refused"), answer({"success": False}, 429, retry_after="5")]


@pytest.mark.parametrize("said", REFUSALS)
async def test_a_submission_that_was_surely_not_taken_is_not_looked_for(said: Received | Exception) -> None:
    vendor, files = a_vendor(says={SUBMIT: [said]})
    assert await ask(vendor) == [FOUND] * 12
    assert (files.sizes, files.times(LIST)) == ([12], [])
    assert rows(vendor) == [PAID] * 12


@pytest.mark.parametrize("status", [401, 402])
async def test_a_submission_that_was_refused_is_in_no_doubt_when_the_vendor_is_parked(status: int) -> None:
    vendor, _ = a_vendor(says={SUBMIT: [answer({"success": False}, status)]})
    assert {reply.gap for reply in await ask(vendor)} == {Gap.PARKED}
    assert rows(vendor) == [FREE] * 12
    assert {call.job_id for call in vendor.ledger.calls} == {None}


async def test_a_vendor_that_answers_no_submission_is_soon_left_alone() -> None:
    vendor, files = a_vendor(says={SUBMIT: [Lost("reset") for _ in range(10)]})
    await ask(vendor, [f"Dana {number}" for number in range(1_000)])
    assert len(files.times(SUBMIT)) <= 6
    assert vendor.client.health.broken


async def test_a_run_that_ends_looks_for_nothing_and_the_next_one_does() -> None:
    vendor, files = a_vendor(unheard=[Lost("reset")])
    asking = [asyncio.ensure_future(vendor.asking(first_name=name)) for name in NAMES]
    await vendor.time.idle()
    while not files.times(SUBMIT):
        vendor.time._wake()
        await vendor.time.idle()
    await vendor.time.until(vendor.client.drain())
    assert {type(reply) for reply in await asyncio.gather(*asking)} == {NoAnswer}
    assert (files.times(LIST), rows(vendor)) == ([], [IN_DOUBT] * 12)
    following, other = next_run(vendor, files)
    assert await ask(following) == [FOUND] * 12
    assert (other.sizes, rows(vendor)) == ([12], [PAID] * 12)


@pytest.mark.parametrize("bulk", [True, False])
async def test_a_run_that_died_before_it_heard_of_its_file_is_followed_by_one_that_finds_it(
    monkeypatch: pytest.MonkeyPatch, *, bulk: bool
) -> None:
    vendor, files = a_vendor()
    note = vendor.ledger.note_job

    async def never_a_number(call: bytes, job: str) -> None:
        await (note(call, job) if "named:" in job else asyncio.Event().wait())

    monkeypatch.setattr(vendor.ledger, "note_job", never_a_number)  # it dies here
    await left_behind(vendor, files, SUBMIT)
    following, other = next_run(vendor, files, bulk=bulk)
    assert await ask(following) == [FOUND] * 12
    assert (other.times(SUBMIT), len(other.times(LIST)), other.single) == ([], 1, [])
    assert {call.job_id for call in vendor.ledger.calls} == {"file:f1"}
    assert rows(vendor) == [PAID] * 12


async def test_a_run_that_died_before_its_file_left_is_booked_and_followed_by_one_that_submits_it() -> None:
    vendor, files = a_vendor(says={SUBMIT: [Death()]})
    asking = (vendor.asking(first_name=name) for name in NAMES)
    await vendor.time.until(asyncio.gather(*asking, return_exceptions=True))
    assert {call.state for call in vendor.ledger.calls} == {"intent"}
    following, other = next_run(vendor, files)
    assert await ask(following) == [FOUND] * 12
    assert (other.sizes, len(other.times(LIST))) == ([12], 2)
    assert rows(vendor) == [("settled", PRICE, PRICE)] * 12


@pytest.mark.parametrize("bulk", [True, False])
async def test_a_file_of_a_run_that_died_is_read_and_never_submitted_again(*, bulk: bool) -> None:
    vendor, files = a_vendor()
    await left_behind(vendor, files, READ)
    assert [(call.state, call.job_id) for call in vendor.ledger.calls] == [("intent", "file:f1")] * 12
    following, other = next_run(vendor, files, bulk=bulk)
    assert await ask(following) == [FOUND] * 12
    assert {what for what, _ in other.sent} == {READ}
    assert rows(vendor) == [PAID] * 12


async def test_single_searches_of_a_run_that_died_are_read_as_such_in_bulk() -> None:
    vendor, files = a_vendor()
    vendor.client.bulk = False
    await left_behind(vendor, files, READ)
    assert all(str(call.job_id).startswith("s") for call in vendor.ledger.calls)
    following, other = next_run(vendor, files)
    assert await ask(following) == [FOUND] * 12
    assert {what for what, _ in other.sent} == {READ}
    assert rows(vendor) == [PAID] * 12


# --- which way a run asks --------------------------------------------------------------------------------


async def chosen(waiting: int, **settings: Any) -> bool:
    time = FakeTime()

    @asynccontextmanager
    async def ledger(_books: Books, run: Run) -> AsyncIterator[CallLedger]:
        yield FakeLedger(time, run)

    own = Settings(providers={"icypeas": ProviderSettings(**settings)})
    source = VendorSource(own, {"ICYPEAS_API_KEY": KEY}, ledger, time)
    run = replace(a_run(), agent=Agent.EMAIL_VERIFICATION)
    async with source.open(run, cast("Books", Waiting(waiting))) as providers:
        (finder,) = providers.finders
        return finder.client.bulk


async def test_auto_is_bulk_where_readings_would_take_over_half_an_hour() -> None:
    assert row("icypeas").terms.limits.reads_per_minute == 30
    assert not await chosen(900)
    assert await chosen(901)
    assert not await chosen(1_800, reads_per_minute=60)
    assert await chosen(1_801, reads_per_minute=60)
    assert await chosen(0, bulk="always")
    assert not await chosen(100_000, bulk="never")
