"""Questions that are asked many at a time: one task, and for each address a row, a price and an answer."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, cast
from uuid import UUID

import pytest

from phase3_core.breaker import Bucket, Closed
from phase3_core.calls import Gap, Judgement, Miss, NoAnswer
from phase3_core.counts import CampaignCounts
from phase3_core.ledger import CallLedger, End
from phase3_core.money import ZERO, Money, usd
from phase3_core.ports.books import Books
from phase3_core.runs import Run
from phase3_core.statuses import Agent, Verdict
from resources.http_client import Lost, NotSent, Received, Sending
from resources.providers.gate import Limits
from resources.providers.source import VendorSource
from resources.settings import Settings
from resources.settings_tables import ProviderSettings
from tests.fakes.ledger import FakeLedger
from tests.fakes.people import a_run
from tests.resources.providers.sheet import KEY, REOON
from tests.resources.providers.vendor import FakeTime, Vendor, answer

PRICE = usd("0.00119")
EMAILS = [f"lead{number}@acme.example" for number in range(12)]
VALID = Judgement(Verdict.VALID, score=98)
CREATE, LOOK, SINGLE = "create-bulk-verification-task", "get-result-bulk-verification-task", "verify"
Said = Received | Exception


@dataclass
class Desk:
    """Implements `Transport`: takes tasks, which are done after `takes_s`; `says` replaces an answer once."""

    time: FakeTime
    takes_s: float = 60.0
    says: dict[str, list[Said]] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)  # None: not among them
    rejected: Sequence[str] = ()
    sent: list[tuple[str, float]] = field(default_factory=list)
    tasks: dict[str, tuple[float, list[str]]] = field(default_factory=dict)
    single: list[str] = field(default_factory=list)
    signed: list[Sending] = field(default_factory=list)

    async def send(self, sending: Sending) -> Received:
        await asyncio.sleep(0)
        what = sending.url.removeprefix("https://vendor.example").strip("/")
        self.sent.append((what, self.time.seconds))
        self.signed.append(sending)
        if said := self.says.get(what):
            step = said.pop(0)
            if isinstance(step, Exception):
                raise step
            return step
        match what:
            case "create-bulk-verification-task":
                return self._take(sending.body["emails"])
            case "get-result-bulk-verification-task":
                return self._told(sending.query["task_id"])
            case _:
                self.single.append(sending.query["email"])
                return answer(REOON)

    def _take(self, emails: list[str]) -> Received:
        number = str(4242 + len(self.tasks))
        self.tasks[number] = (self.time.seconds, emails)
        return answer({"status": "success", "task_id": int(number), "count_submitted": len(emails)}, 201)

    def _told(self, number: str) -> Received:
        at, emails = self.tasks[number]
        taken = [email for email in emails if email not in self.rejected]
        body = {"task_id": number, "status": "running", "count_total": len(taken)}
        if self.time.seconds < at + self.takes_s:
            return answer(body)
        told = {email: self.results.get(email, verdict("safe")) for email in taken}
        results = {email.lower(): one for email, one in told.items() if one is not None}
        return answer(body | {"status": "completed", "results": results})

    def times(self, what: str) -> list[float]:
        return [at for one, at in self.sent if one == what]

    @property
    def submitted(self) -> Counter[str]:
        return Counter(email for _, emails in self.tasks.values() for email in emails)


def verdict(status: str) -> dict[str, Any]:
    return {name: value for name, value in REOON.items() if name != "email"} | {"status": status}


def a_vendor(*, bulk: bool = True, limits: Limits | None = None, **desk: Any) -> tuple[Vendor, Desk]:
    vendor = Vendor("reoon", (), limits=limits or Limits(in_flight=5), bulk=bulk)
    return vendor, behind(vendor, **desk)


def behind(vendor: Vendor, **desk: Any) -> Desk:
    transport = Desk(vendor.time, **desk)
    vendor.client = replace(vendor.client, transport=transport)
    return transport


def next_run(vendor: Vendor, desk: Desk, *, bulk: bool = True) -> tuple[Vendor, Desk]:
    """The vendor keeps its tasks; its requests are counted anew."""
    following = vendor.next_run()
    following.client.bulk = bulk
    return following, behind(following, tasks=dict(desk.tasks), takes_s=desk.takes_s)


async def ask(vendor: Vendor, emails: Sequence[str] = EMAILS) -> list[Any]:
    replies = await vendor.time.until(asyncio.gather(*map(vendor.asking, emails)))
    return list(replies)


async def reached(vendor: Vendor, desk: Desk, what: str) -> None:
    """Lets time pass until something was sent, and no longer."""
    await vendor.time.idle()
    while not desk.times(what):
        vendor.time._wake()
        await vendor.time.idle()


def rows(vendor: Vendor) -> list[tuple[str, Money, Money]]:
    return [(call.state, call.cost, call.unknown) for call in vendor.ledger.calls]


PAID, IN_DOUBT, FREE = ("settled", PRICE, ZERO), ("unknown", ZERO, PRICE), ("settled", ZERO, ZERO)


# --- the ordinary way ------------------------------------------------------------------------------------


async def test_what_gathers_is_one_task_and_every_address_has_its_row_and_price() -> None:
    vendor, desk = a_vendor()
    assert await ask(vendor) == [VALID] * 12
    assert desk.submitted == Counter(EMAILS)
    assert (len(desk.tasks), desk.single) == (1, [])
    assert rows(vendor) == [PAID] * 12
    assert {call.job_id for call in vendor.ledger.calls} == {"4242"}
    assert vendor.client.tally.spent == 12 * PRICE


async def test_a_task_leaves_after_lingering_and_is_read_in_one_loop_first_soon_then_seldom() -> None:
    vendor, desk = a_vendor(takes_s=25.0)
    await ask(vendor)
    assert desk.times(CREATE) == [5.0]
    assert desk.times(LOOK) == [7.0, 11.0, 19.0, 29.0, 39.0]


async def test_a_task_is_signed_in_its_body_and_named_within_the_vendors_limit() -> None:
    vendor, desk = a_vendor()
    await ask(vendor)
    create, look, *_ = desk.signed
    assert (create.query, create.body["key"], look.query["key"]) == ({}, KEY, KEY)
    assert create.body["name"].startswith("phase3-")
    assert len(create.body["name"]) <= 25
    assert KEY not in repr(vendor.ledger.calls)


async def test_a_full_task_leaves_at_once() -> None:
    vendor, desk = a_vendor()
    assert len(await ask(vendor, [f"{number}@acme.example" for number in range(2_010)])) == 2_010
    assert [len(emails) for _, emails in desk.tasks.values()] == [1_000, 1_000, 10]
    assert desk.times(CREATE) == [0.0, 0.0, 5.0]


async def test_too_few_for_a_task_are_asked_singly() -> None:
    vendor, desk = a_vendor()
    assert await ask(vendor, EMAILS[:9]) == [VALID] * 9
    assert (desk.tasks, desk.single) == ({}, EMAILS[:9])
    assert rows(vendor) == [PAID] * 9


@pytest.mark.parametrize(("first", "then"), [(True, False), (False, True)])
async def test_an_answer_bought_one_way_is_used_the_other_way(*, first: bool, then: bool) -> None:
    vendor, desk = a_vendor(bulk=first)
    replies = await ask(vendor)
    following, other = next_run(vendor, desk, bulk=then)
    assert await ask(following) == replies
    assert (other.sent, vendor.ledger.booked) == ([], 12 * PRICE)


async def test_what_is_kept_is_what_the_single_call_tells() -> None:
    vendor, _ = a_vendor()
    await ask(vendor)
    kept = [json.loads(call.last.response or "") for call in vendor.ledger.calls]
    assert kept == [verdict("safe") | {"email": email} for email in EMAILS]
    assert {(call.last.http_status, call.last.told) for call in vendor.ledger.calls} == {(200, "valid")}


@pytest.mark.parametrize(
    "status",
    ["safe", "invalid", "disabled", "disposable", "inbox_full", "catch_all", "role_account", "unknown"],
)
async def test_a_verdict_is_the_same_either_way(status: str) -> None:
    single = Vendor("reoon", (answer(REOON | {"status": status}),))
    vendor, _ = a_vendor(results=dict.fromkeys(EMAILS, verdict(status)))
    assert await ask(vendor) == [await single.ask()] * 12


async def test_spellings_of_one_address_are_one_row_of_a_task() -> None:
    vendor, desk = a_vendor()
    loud = [email.upper() for email in EMAILS]
    assert await ask(vendor, [*EMAILS, *loud]) == [VALID] * 24
    assert [emails for _, emails in desk.tasks.values()] == [EMAILS]


async def test_no_place_at_the_gate_is_held_while_a_task_goes_on() -> None:
    vendor, desk = a_vendor(limits=Limits(in_flight=1), takes_s=600.0)
    later = asyncio.ensure_future(asyncio.gather(*map(vendor.asking, EMAILS)))
    await reached(vendor, desk, LOOK)
    assert await vendor.client._gate.enter_at_once()
    vendor.client._gate.leave()
    assert await vendor.time.until(later) == [VALID] * 12


async def test_submissions_and_readings_keep_the_pace() -> None:
    vendor, desk = a_vendor(limits=Limits(per_minute=6, in_flight=5), takes_s=30.0)
    await ask(vendor, [f"{number}@acme.example" for number in range(2_000)])
    times = sorted(at for _, at in desk.sent)
    assert min(later - earlier for earlier, later in pairwise(times)) >= 10.0 - 1e-6


# --- submissions that go wrong ---------------------------------------------------------------------------


async def test_what_never_left_is_submitted_again_for_nothing() -> None:
    vendor, desk = a_vendor(says={CREATE: [NotSent("refused")]})
    assert await ask(vendor) == [VALID] * 12
    assert desk.submitted == Counter(EMAILS)
    assert rows(vendor) == [PAID] * 12


@pytest.mark.parametrize("said", [Lost("reset"), answer("<html>", 502), answer("<html>"), answer('{"ta')])
async def test_a_submission_whose_answer_is_lost_is_booked_and_never_made_again(said: Said) -> None:
    vendor, desk = a_vendor(says={CREATE: [said]})
    assert {reply.gap for reply in await ask(vendor)} == {Gap.LOST}
    assert rows(vendor) == [IN_DOUBT] * 12
    assert not vendor.client.health.parked
    following, other = next_run(vendor, desk)
    assert {reply.gap for reply in await ask(following)} == {Gap.LOST}
    assert (len(desk.times(CREATE)), other.sent) == (1, [])


@pytest.mark.parametrize(
    ("reason", "why"), [("Invalid API key.", "bad key"), ("Not enough credits.", "out of credits")]
)
async def test_a_refused_task_parks_the_vendor_for_nothing(reason: str, why: str) -> None:
    vendor, desk = a_vendor(says={CREATE: [answer({"status": "error", "reason": reason})]})
    replies = await ask(vendor)
    assert {reply.gap for reply in replies} == {Gap.PARKED}
    assert vendor.client.health.parked.startswith(why)
    assert rows(vendor) == [FREE] * 12
    following, _ = next_run(vendor, desk)
    assert await ask(following) == [VALID] * 12
    assert rows(vendor) == [PAID] * 12


async def test_a_rate_limit_is_waited_out() -> None:
    vendor, desk = a_vendor(says={CREATE: [answer({}, 429, retry_after="30")]})
    assert await ask(vendor) == [VALID] * 12
    first, second = desk.times(CREATE)
    assert second - first >= 30
    assert rows(vendor) == [PAID] * 12


async def test_a_vendor_that_takes_no_such_task_is_asked_singly() -> None:
    vendor, desk = a_vendor(says={CREATE: [answer({"status": "error", "reason": "At least 50 addresses"})]})
    assert await ask(vendor) == [VALID] * 12
    assert await ask(vendor, [f"x{email}" for email in EMAILS]) == [VALID] * 12
    assert (len(desk.times(CREATE)), len(desk.single)) == (1, 24)
    assert rows(vendor) == [PAID] * 24


async def test_the_ledgers_failure_is_everybodys() -> None:
    vendor, desk = a_vendor()
    vendor.ledger.breaks = ConnectionError("the database is gone")
    replies = await vendor.time.until(asyncio.gather(*map(vendor.asking, EMAILS), return_exceptions=True))
    assert {type(reply) for reply in replies} == {ConnectionError}
    assert desk.sent == []


# --- tasks that go wrong ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "hiccup", [Lost("reset"), NotSent("refused"), answer("<html>"), answer("", 502), answer({}, 429)]
)
async def test_a_hiccup_while_reading_is_read_over(hiccup: Said) -> None:
    vendor, desk = a_vendor(says={LOOK: [hiccup]}, takes_s=0.0)
    assert await ask(vendor) == [VALID] * 12
    assert desk.submitted == Counter(EMAILS)
    assert rows(vendor) == [PAID] * 12


FAILURES = [
    answer({"task_id": "4242", "status": "file_not_found"}),
    answer({"task_id": "4242", "status": "file_loading_error"}),
    answer({"status": "error", "reason": "Task not found."}),
]


@pytest.mark.parametrize("said", FAILURES)
async def test_a_task_that_fails_is_booked_and_its_addresses_never_submitted_again(said: Received) -> None:
    vendor, desk = a_vendor(says={LOOK: [said]})
    assert {reply.gap for reply in await ask(vendor)} == {Gap.LOST}
    assert rows(vendor) == [IN_DOUBT] * 12
    assert vendor.client.health.breaker == Closed(in_a_row=1, window=(Bucket(0, 1, 1),))
    following, other = next_run(vendor, desk)
    assert await ask(following) == [VALID] * 12
    assert other.times(CREATE) == []
    assert rows(vendor) == [PAID] * 12


async def test_a_task_that_is_stuck_is_given_up_and_read_by_the_next_run() -> None:
    vendor, desk = a_vendor(takes_s=4_000.0)
    assert await ask(vendor) == [NoAnswer(Gap.DOWN, "the job is not done yet")] * 12
    assert vendor.time.seconds == pytest.approx(3_600, abs=20)
    assert rows(vendor) == [IN_DOUBT] * 12
    following, other = next_run(vendor, desk)
    assert await ask(following) == [VALID] * 12
    assert other.times(CREATE) == []
    assert rows(vendor) == [PAID] * 12


async def test_a_key_that_is_refused_while_reading_leaves_the_task_to_the_next_run() -> None:
    vendor, desk = a_vendor(says={LOOK: [answer({"status": "error", "reason": "Invalid API key."})]})
    assert {reply.gap for reply in await ask(vendor)} == {Gap.PARKED}
    following, other = next_run(vendor, desk)
    assert await ask(following) == [VALID] * 12
    assert (other.times(CREATE), vendor.ledger.booked) == ([], 12 * PRICE)


async def test_an_address_that_the_vendor_did_not_count_is_a_miss_for_nothing() -> None:
    vendor, _ = a_vendor(rejected=EMAILS[:2])
    replies = await ask(vendor)
    assert replies == [Miss("not an address")] * 2 + [VALID] * 10
    assert rows(vendor) == [FREE] * 2 + [PAID] * 10
    assert await ask(vendor.next_run()) == replies


@pytest.mark.parametrize("told", [None, {}, 7, {"status": "error", "reason": "Too many"}, {"status": "new"}])
async def test_an_address_that_was_counted_and_not_told_about_is_lost_and_booked(told: Any) -> None:
    vendor, desk = a_vendor(results={EMAILS[3]: told})
    replies = await ask(vendor)
    assert replies[3].gap is Gap.LOST
    assert replies[:3] + replies[4:] == [VALID] * 11
    assert rows(vendor) == [*[PAID] * 3, IN_DOUBT, *[PAID] * 8]
    assert desk.submitted == Counter(EMAILS)


# --- runs that end ---------------------------------------------------------------------------------------


async def left_behind(vendor: Vendor, desk: Desk, what: str) -> None:
    """The run is given up as soon as something was sent; nothing is settled."""
    asking = [asyncio.ensure_future(vendor.asking(email)) for email in EMAILS]
    await reached(vendor, desk, what)
    for one in asyncio.all_tasks() - {asyncio.current_task()}:
        one.cancel()
    await asyncio.gather(*asking, return_exceptions=True)


@pytest.mark.parametrize("bulk", [True, False])
async def test_a_task_of_a_run_that_died_is_read_and_never_submitted_again(*, bulk: bool) -> None:
    vendor, desk = a_vendor()
    await left_behind(vendor, desk, LOOK)
    assert [call.state for call in vendor.ledger.calls] == ["intent"] * 12
    following, other = next_run(vendor, desk, bulk=bulk)
    assert await ask(following) == [VALID] * 12
    assert (other.times(CREATE), other.single) == ([], [])
    looks = other.times(LOOK)
    assert len(looks) == len(set(looks)) <= 8  # one loop for all
    assert rows(vendor) == [PAID] * 12


async def test_a_run_that_died_before_its_task_was_noted_is_booked_and_not_submitted_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vendor, desk = a_vendor()

    async def never(_call: bytes, _job: str) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(vendor.ledger, "note_job", never)  # it dies here
    await left_behind(vendor, desk, CREATE)
    following, other = next_run(vendor, desk)
    assert {reply.gap for reply in await ask(following)} == {Gap.LOST}
    assert (other.sent, rows(vendor)) == ([], [IN_DOUBT] * 12)


async def test_new_addresses_are_submitted_beside_those_of_a_task_that_is_read() -> None:
    vendor, desk = a_vendor()
    await left_behind(vendor, desk, LOOK)
    following, other = next_run(vendor, desk)
    new = [f"new{number}@acme.example" for number in range(10)]
    assert await ask(following, [*EMAILS, *new]) == [VALID] * 22
    assert [emails for _, emails in other.tasks.values()] == [EMAILS, new]
    assert rows(vendor) == [PAID] * 22


async def test_too_few_new_ones_beside_a_task_that_is_read_are_asked_singly() -> None:
    vendor, desk = a_vendor()
    await left_behind(vendor, desk, LOOK)
    following, other = next_run(vendor, desk)
    assert await ask(following, [*EMAILS, "new@acme.example"]) == [VALID] * 13
    assert (other.times(CREATE), other.single) == ([], ["new@acme.example"])
    assert rows(vendor) == [PAID] * 13


async def test_draining_gives_back_what_gathers() -> None:
    vendor, desk = a_vendor()
    asking = asyncio.ensure_future(asyncio.gather(*map(vendor.asking, EMAILS)))
    await vendor.time.idle()
    await vendor.time.until(vendor.client.drain())
    assert {reply.gap for reply in await asking} == {Gap.PARKED}
    assert (desk.sent, vendor.ledger.calls, vendor.time.seconds) == ([], [], 0)


async def test_draining_leaves_a_task_to_the_next_run() -> None:
    vendor, desk = a_vendor()
    asking = asyncio.ensure_future(asyncio.gather(*map(vendor.asking, EMAILS)))
    await reached(vendor, desk, CREATE)
    await vendor.time.until(vendor.client.drain())
    assert vendor.time.seconds < 10
    assert {reply.gap for reply in await asking} == {Gap.DOWN}
    assert ([call.job_id for call in vendor.ledger.calls], rows(vendor)) == (["4242"] * 12, [IN_DOUBT] * 12)
    assert {call.last.end for call in vendor.ledger.calls} == {End.LOST}
    following, other = next_run(vendor, desk)
    assert await ask(following) == [VALID] * 12
    assert (other.times(CREATE), rows(vendor)) == ([], [PAID] * 12)


# --- which way a run asks --------------------------------------------------------------------------------


@dataclass
class Waiting:
    """Books of a campaign with so many leads to verify, and of how long earlier answers took."""

    leads: int
    counted: int = 0
    took: Mapping[str, int] = field(default_factory=dict)

    @property
    def campaigns(self) -> "Waiting":
        return self

    @property
    def track_record(self) -> "Waiting":
        return self

    async def took_ms(self, providers: Sequence[str]) -> Mapping[str, int]:
        return {name: self.took[name] for name in providers if name in self.took}

    async def counts(self, _campaign: UUID) -> CampaignCounts:
        self.counted += 1
        return CampaignCounts((), {}, {}, {}, {}, self.leads, 0)


async def chosen(books: Waiting, agent: Agent = Agent.EMAIL_VERIFICATION, **settings: Any) -> bool:
    time = FakeTime()

    @asynccontextmanager
    async def ledger(_books: Books, run: Run) -> AsyncIterator[CallLedger]:
        yield FakeLedger(time, run)

    own = Settings(providers={"reoon": ProviderSettings(**settings)})
    environment = {"REOON_API_KEY": KEY, "MAILVERIFY_API_KEY": KEY}
    source = VendorSource(own, environment, ledger, time)
    async with source.open(replace(a_run(), agent=agent), cast("Books", books)) as providers:
        assert [one.client.bulk for one in providers.verifiers[1:]] == [False]
        return providers.verifiers[0].client.bulk


async def test_auto_is_bulk_where_single_calls_would_take_over_half_an_hour() -> None:
    assert not await chosen(Waiting(2_000))
    assert await chosen(Waiting(2_001))
    assert not await chosen(Waiting(20_000), in_flight=50)
    assert await chosen(Waiting(20_001), in_flight=50)


async def test_how_long_single_calls_would_take_follows_from_how_long_they_took() -> None:
    slow, quick = {"reoon": 30_000}, {"reoon": 300, "mailverify": 60_000}
    assert not await chosen(Waiting(200, took=slow))
    assert await chosen(Waiting(201, took=slow))
    assert not await chosen(Waiting(20_000, took=quick))
    assert await chosen(Waiting(20_001, took=quick))


async def test_the_settings_may_say_always_or_never() -> None:
    nobody = Waiting(100_000)
    assert await chosen(Waiting(0), bulk="always")
    assert not await chosen(nobody, bulk="never")
    assert nobody.counted == 0


async def test_nobody_counts_leads_where_nothing_depends_on_it() -> None:
    books = Waiting(100_000)
    assert not await chosen(books, Agent.FINALIZER)
    assert not await chosen(books, enabled=True, bulk="never")
    assert books.counted == 0


async def test_an_agent_counts_the_leads_that_wait_for_it() -> None:
    assert not await chosen(Waiting(100_000), Agent.ENRICHMENT)
