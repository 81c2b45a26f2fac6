"""When a vendor breaks down: who is asked then, how it is tried again, how little is repeated."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from phase3_core.breaker import FAILURES_IN_A_ROW, MOST_DOUBLINGS, OPEN_S, PROBES, Closed, HalfOpen, Open
from phase3_core.calls import Gap, Hit, Judgement, Miss, NoAnswer
from phase3_core.ledger import OverBudget
from phase3_core.waiting import Wait
from resources.http_client import Lost, NotSent, Received, Sending
from resources.providers.gate import Limits
from resources.providers.health import MOST_UNREADABLE, TRY_EVERY_S
from resources.providers.open_providers import OneProvider
from resources.providers.request import Question
from tests.fakes.clock import NOON
from tests.resources.providers.sheet import DANA, EMAIL, FINDYMAIL, HTML, REOON
from tests.resources.providers.vendor import LOST, NOT_SENT, FakeTime, Step, Vendor, answer

FOUND, VALID = answer(FINDYMAIL), answer(REOON)
DOWN = answer(HTML, 502)
NO_CREDITS = answer({}, 402)


def a_verifier(*steps: Step, **settings: Any) -> Vendor:
    return Vendor("reoon", steps, **settings)


async def ask_many(vendor: Vendor, count: int, first: int = 0) -> list[Any]:
    return [await vendor.ask(f"{number}@acme.example") for number in range(first, first + count)]


def seconds_of(reply: NoAnswer) -> float:
    assert reply.until is not None
    return (reply.until - NOON).total_seconds()


async def broken_down(*then: Step, **settings: Any) -> Vendor:
    """A verifier whose breaker has opened; what it says from then on."""
    vendor = a_verifier(*[DOWN] * FAILURES_IN_A_ROW, *then, **settings)
    await ask_many(vendor, FAILURES_IN_A_ROW)
    assert isinstance(vendor.client.health.breaker, Open)
    return vendor


# --- open


SILENCE = [Lost("ServerDisconnectedError") for _ in range(FAILURES_IN_A_ROW)]


@pytest.mark.parametrize("failures", [[DOWN], SILENCE, [answer(HTML)]], ids=["5xx", "lost", "nonsense"])
async def test_five_failures_in_a_row_open_the_breaker(failures: list[Step]) -> None:
    vendor = a_verifier(*failures)
    await ask_many(vendor, FAILURES_IN_A_ROW)
    reply = await vendor.ask("6@acme.example")
    assert (reply.gap, reply.detail, reply.briefly) == (Gap.LATER, "its service fails", True)
    assert seconds_of(reply) == pytest.approx(vendor.transport.sent_at[-1] + OPEN_S)
    assert vendor.sends == FAILURES_IN_A_ROW


async def test_a_vendor_that_probes_have_found_out_again_and_again_is_not_out_briefly() -> None:
    vendor = await broken_down(DOWN)
    for number in range(10, 10 + MOST_DOUBLINGS):
        assert (await vendor.ask("turned-away@acme.example")).briefly
        vendor.time.advance(OPEN_S)
        await vendor.ask(f"{number}@acme.example")
    assert not (await vendor.ask("turned-away@acme.example")).briefly


async def test_an_answer_between_failures_starts_the_count_again() -> None:
    vendor = a_verifier(*[DOWN] * 4, VALID, *[DOWN] * 4, VALID)
    await ask_many(vendor, 10)
    assert vendor.sends == 10
    assert not vendor.client.health.broken


@pytest.mark.parametrize("no_failure", [answer({"contact": None}), answer({}, 422)], ids=["miss", "input"])
async def test_not_found_is_an_answer(no_failure: Received) -> None:
    vendor = Vendor("findymail", (no_failure,))
    for number in range(30):
        assert isinstance(await vendor.ask(first_name=f"Dana{number}"), Miss)
    assert not vendor.client.health.broken


# --- unreadable

MISSED, CHANGED = answer({"contact": None}), answer({"contact": {"email": {"address": EMAIL}}})
FOUR_MISSES = [MISSED] * 4  # so that the breaker sees a failure in five


async def about_many(vendor: Vendor, count: int, first: int = 0) -> list[Any]:
    return [await vendor.ask(first_name=f"Dana{number}") for number in range(first, first + count)]


async def test_a_vendor_whose_hits_cannot_be_read_is_left_alone_though_its_misses_can() -> None:
    vendor = Vendor("findymail", [step for _ in range(20) for step in (*FOUR_MISSES, CHANGED)])
    await about_many(vendor, 100)
    assert vendor.client.health.parked == "its answers cannot be read: the address is no text"
    assert vendor.ledger.booked == MOST_UNREADABLE * vendor.client.terms.price.ceiling


async def test_one_answer_that_says_something_begins_the_count_anew() -> None:
    round_of = [*[step for _ in range(MOST_UNREADABLE - 1) for step in (*FOUR_MISSES, CHANGED)], FOUND]
    vendor = Vendor("findymail", round_of * 3)
    await about_many(vendor, 100)
    assert vendor.client.health.parked == ""


async def test_pages_in_place_of_answers_are_an_outage_that_passes() -> None:
    steps = [step for _ in range(2 * MOST_UNREADABLE) for step in (*FOUR_MISSES, answer(HTML))]
    vendor = Vendor("findymail", [*steps, FOUND])
    await about_many(vendor, 80)
    assert vendor.client.health.parked == ""


async def test_an_open_breaker_still_gives_what_was_bought() -> None:
    vendor = a_verifier(VALID, *[DOWN] * FAILURES_IN_A_ROW)
    bought = await vendor.ask()
    await ask_many(vendor, FAILURES_IN_A_ROW)
    assert await vendor.ask() == bought
    assert vendor.sends == 1 + FAILURES_IN_A_ROW


async def test_who_cannot_be_reached_is_waited_for_at_no_cost() -> None:
    vendor = Vendor("findymail", (NOT_SENT,))
    assert (await vendor.ask()).gap is Gap.LATER
    assert vendor.ledger.booked == 0


async def test_who_is_over_a_cap_is_away_for_good_and_with_a_broken_service_for_minutes() -> None:
    vendor = await broken_down(VALID)
    one = OneProvider(vendor.client)
    assert one.away is not None
    assert (one.away.why, one.away.until is None) == ("its service fails", False)
    assert one.left_alone is not None
    assert one.left_alone.why.startswith("its service fails (HTTP 502); it is asked again after 12:05")
    capped = a_verifier(VALID)
    capped.ledger.over = lambda _: OverBudget("a-campaign email_verification", for_good=True)
    await capped.ask()
    assert OneProvider(capped.client).away == Wait(
        "reoon", "the campaign's budget for email verification is spent"
    )
    assert capped.sends == 0


# --- half-open


async def test_after_five_minutes_three_answers_close_it() -> None:
    vendor = await broken_down(VALID)
    vendor.time.advance(OPEN_S)
    replies = await ask_many(vendor, PROBES, first=100)
    assert {type(reply) for reply in replies} == {Judgement}
    assert vendor.client.health.breaker == Closed()


async def test_a_probe_that_fails_opens_it_again_and_longer_for_leads_that_wait() -> None:
    vendor = await broken_down(DOWN)
    vendor.time.advance(OPEN_S)
    await ask_many(vendor, 1, first=100)
    reply = await vendor.ask("200@acme.example")
    assert vendor.sends == FAILURES_IN_A_ROW + 1
    assert seconds_of(reply) == pytest.approx(vendor.transport.sent_at[-1] + 2 * OPEN_S)


async def test_three_probe_and_the_others_wait_for_what_they_tell() -> None:
    vendor = await broken_down(VALID, takes_s=1.0)
    vendor.time.advance(OPEN_S)
    asked = [asyncio.ensure_future(vendor.asking(f"{n}@acme.example")) for n in range(100, 120)]
    await vendor.time.idle()
    assert vendor.sends == FAILURES_IN_A_ROW + PROBES
    replies = await vendor.time.until(asyncio.gather(*asked))
    assert {type(reply) for reply in replies} == {Judgement}


async def test_who_waited_for_probes_that_fail_is_not_asked() -> None:
    vendor = await broken_down(DOWN, takes_s=1.0)
    vendor.time.advance(OPEN_S)
    asked = asyncio.gather(*(vendor.asking(f"{n}@acme.example") for n in range(100, 120)))
    replies = await vendor.time.until(asked)
    assert vendor.sends == FAILURES_IN_A_ROW + PROBES
    assert {reply.gap for reply in replies} == {Gap.LATER}


async def test_a_vendor_that_still_limits_or_refuses_connections_is_not_back() -> None:
    for still in (answer({}, 429), NOT_SENT):
        vendor = await broken_down(still)
        vendor.time.advance(OPEN_S)
        assert (await vendor.ask("100@acme.example")).gap is Gap.LATER
        assert isinstance(vendor.client.health.breaker, Open)
        assert vendor.sends == FAILURES_IN_A_ROW + 1


async def test_nobody_waits_for_a_probe_that_was_told_to_come_back_tomorrow() -> None:
    vendor = await broken_down(answer({}, 429, retry_after="3600"), takes_s=1.0)
    vendor.time.advance(OPEN_S)
    began = vendor.time.seconds
    asked = asyncio.gather(*(vendor.asking(f"{n}@acme.example") for n in range(100, 120)))
    replies = await vendor.time.until(asked)
    assert {reply.gap for reply in replies} == {Gap.LATER}
    assert vendor.sends == FAILURES_IN_A_ROW + PROBES
    assert vendor.time.seconds - began < 10


async def test_a_probe_that_needs_no_call_is_free_again() -> None:
    vendor = a_verifier(LOST, *[DOWN] * 4, VALID)
    await vendor.ask("lost@acme.example")
    await ask_many(vendor, 4)
    vendor.time.advance(OPEN_S)
    for _ in range(PROBES + 1):
        assert (await vendor.ask("lost@acme.example")).gap is Gap.LOST
    breaker = vendor.client.health.breaker
    assert isinstance(breaker, HalfOpen)
    assert breaker.probes == ()


GOING, ENDED = (answer({"success": True, "items": [{"status": told}]}) for told in ("IN_PROGRESS", "ABORTED"))
SUBMITTED = answer({"success": True, "item": {"_id": "abc123"}})
NO_PLAN = answer({"error": "not in your plan", "error_code": "API_INACCESSIBLE"}, 403)


@pytest.mark.parametrize(
    ("name", "steps"),
    [("apollo", [NO_PLAN]), ("icypeas", [SUBMITTED, GOING])],
    ids=["not in the plan", "not done in time"],
)
async def test_a_probe_that_shows_nothing_of_the_service_is_free_again(name: str, steps: list[Step]) -> None:
    """Else the others wait for it as long as such a call may take."""
    vendor = Vendor(name, [DOWN])
    while not isinstance(vendor.client.health.breaker, Open):
        await vendor.ask(first_name=f"Dana {vendor.sends}", company_domain=f"acme{vendor.sends}.example")
    vendor.time.advance(OPEN_S)
    vendor.transport.steps = steps
    vendor.transport.sent.clear()
    await vendor.ask(company_domain="globex.example")
    breaker = vendor.client.health.breaker
    assert isinstance(breaker, HalfOpen)
    assert breaker.probes == ()


async def test_a_draining_run_waits_for_no_probe() -> None:
    vendor = await broken_down(VALID, takes_s=60.0)
    vendor.time.advance(OPEN_S)
    asked = [asyncio.ensure_future(vendor.asking(f"{n}@acme.example")) for n in range(100, 110)]
    await vendor.time.idle()
    await vendor.time.until(vendor.client.drain())
    replies = await asyncio.gather(*asked)
    assert sum(isinstance(reply, Judgement) for reply in replies) == PROBES


# --- a backlog


@dataclass
class Stopped:
    """A vendor that refuses every connection until it is back."""

    time: FakeTime
    back_at: float
    sent: Counter[str] = field(default_factory=Counter)

    async def send(self, sending: Sending) -> Received:
        self.sent[sending.body["name"]] += 1
        await self.time.sleep(0.5)
        if self.time.seconds < self.back_at:
            raise NotSent("ConnectionRefusedError")
        return FOUND


async def test_a_backlog_drains_without_a_spike_of_retries() -> None:
    """Ten minutes of silence; each lead comes back until it has its answer, as waiting leads do."""
    vendor = Vendor("findymail", (FOUND,), limits=Limits(in_flight=3))
    stopped = Stopped(vendor.time, back_at=600.0)
    vendor.client._channel._transport = stopped
    sends: list[int] = []  # of each time that a lead was asked about, and the vendor with it

    async def served(number: int) -> None:
        lead, reply = replace(DANA, first_name=f"Dana{number}"), None
        while not isinstance(reply, Hit):
            before = stopped.sent[lead.full_name]
            reply = await vendor.client.ask(Question(lead))
            sends.append(stopped.sent[lead.full_name] - before)
            await vendor.time.sleep(60.0)

    await vendor.time.until(asyncio.gather(*(served(number) for number in range(120))))
    first_tries, retries = sum(one > 0 for one in sends), sum(one - 1 for one in sends if one)
    assert first_tries >= 120
    assert retries <= 0.1 * first_tries + 10


async def test_a_brown_out_is_not_multiplied() -> None:
    """Every fourth connection is refused: too few to open the breaker, more than may be repeated."""
    steps = [NotSent("refused") if number % 4 == 0 else FOUND for number in range(1_000)]
    vendor = Vendor("findymail", steps)
    for number in range(700):
        await vendor.ask(first_name=f"Dana{number}")
    assert vendor.sends - 700 <= 0.1 * 700 + 10


# --- credits


async def test_an_empty_account_is_tried_once_in_ten_minutes() -> None:
    vendor = Vendor("findymail", (NO_CREDITS, NO_CREDITS, FOUND))
    for number in range(5):
        assert (await vendor.ask(first_name=f"Dana{number}")).gap is Gap.PARKED
    assert vendor.sends == 1
    vendor.time.advance(TRY_EVERY_S)
    for number in range(5):
        assert (await vendor.ask(first_name=f"Dana{number}")).gap is Gap.PARKED
    assert vendor.sends == 2
    vendor.time.advance(TRY_EVERY_S)
    for number in range(5):
        assert await vendor.ask(first_name=f"Dana{number}") == Hit(EMAIL)
    assert vendor.client.health.parked == ""


async def heard_to_be_empty(*steps: Step) -> Vendor:
    """As a run begins that hears it of another, from a vendor that tells no balance."""
    vendor = Vendor("findymail", steps, takes_s=1.0)
    vendor.client.health.hears(Closed(), out_of_credits=True)
    vendor.client.health.try_at_once()
    return vendor


async def asked_at_once(vendor: Vendor, count: int) -> list[Any]:
    return await vendor.time.until(
        asyncio.gather(*(vendor.asking(first_name=f"Dana{number}") for number in range(count)))
    )


async def test_while_one_call_tries_an_empty_account_the_others_wait_for_what_it_tells() -> None:
    filled, empty = await heard_to_be_empty(FOUND), await heard_to_be_empty(NO_CREDITS)
    assert {type(reply) for reply in await asked_at_once(filled, 20)} == {Hit}
    assert {reply.gap for reply in await asked_at_once(empty, 20)} == {Gap.PARKED}
    assert empty.sends == 1


@pytest.mark.parametrize("failure", [NOT_SENT, LOST, DOWN], ids=["not sent", "lost", "5xx"])
async def test_a_try_that_tells_nothing_keeps_nobody_waiting(failure: Step) -> None:
    vendor = await heard_to_be_empty(failure)
    await asked_at_once(vendor, 20)
    assert vendor.sends == 1
    assert vendor.time.seconds < TRY_EVERY_S
    assert OneProvider(vendor.client).away == Wait("findymail", "out of credits, as another run was told")


async def test_a_try_that_needs_no_call_is_anothers() -> None:
    vendor = await heard_to_be_empty(FOUND)
    vendor.ledger.over = lambda _: OverBudget("a-campaign email_verification", for_good=True)
    assert (await vendor.ask()).gap is Gap.LATER
    vendor.ledger.over = lambda _: None
    assert await vendor.ask(first_name="Dina") == Hit(EMAIL)


async def test_a_refused_key_is_not_tried_again() -> None:
    vendor = Vendor("findymail", (answer({}, 401), FOUND))
    await vendor.ask()
    vendor.time.advance(10 * TRY_EVERY_S)
    assert (await vendor.ask(first_name="Dina")).gap is Gap.PARKED
    assert vendor.sends == 1
