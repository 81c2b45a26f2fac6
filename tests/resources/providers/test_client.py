"""What a provider client does about every way in which a call can end. No test waits in real time."""

import asyncio
import gc
import json
from base64 import b64encode
from collections import Counter
from collections.abc import Awaitable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from phase3_core.calls import Facts, Gap, Hit, Judgement, Miss, NoAnswer
from phase3_core.ledger import End, OverBudget
from phase3_core.money import ZERO, Money, usd
from phase3_core.statuses import Verdict
from phase3_core.suppression import subjects_of
from phase3_core.tiers import Tier
from resources.http_client import Received
from resources.providers import dispatch
from resources.providers.admission import SUPPRESSED
from resources.providers.answers import Problem, Remedy
from resources.providers.catalogue import CATALOGUE, Row, row
from resources.providers.client import ELSEWHERE_EVERY_S
from resources.providers.gate import Limits
from resources.providers.request import Question
from resources.providers.response import told_to_wait
from resources.providers.stakes import Stakes
from tests.attacks import attack, replaced
from tests.fakes.people import a_lead, a_run
from tests.resources.providers.sheet import (
    ANYMAILFINDER,
    DANA,
    EMAIL,
    FINDYMAIL,
    HTML,
    ICYPEAS,
    ICYPEAS_SUBMITTED,
    KEY,
    MURAENA_CONTACT,
    NORBERT,
    NORBERT_SEARCHING,
    REOON,
    TOMBA,
    response,
)
from tests.resources.providers.vendor import LOST, NOT_SENT, Step, Vendor, answer

FOUND = answer(FINDYMAIL)
MISSED = answer({"contact": None})
FINDYMAIL_PRICE = usd("0.0198")


def a_vendor(name: str = "findymail", *steps: Step, **settings: Any) -> Vendor:
    return Vendor(name, steps or (FOUND,), **settings)


async def both(one: Awaitable[Any], other: Awaitable[Any]) -> tuple[Any, Any]:
    first, second = await asyncio.gather(one, other)
    return first, second


# --- the ordinary way ------------------------------------------------------------------------------------


async def test_a_hit_is_kept_with_what_it_cost() -> None:
    vendor = a_vendor()
    assert await vendor.ask() == Hit(EMAIL)
    assert (vendor.call.last.end, vendor.call.cost) == (End.HIT, FINDYMAIL_PRICE)
    assert json.loads(vendor.call.last.response or "") == FINDYMAIL
    assert vendor.client.tally.spent == FINDYMAIL_PRICE


async def test_who_is_to_remember_is_not_asked() -> None:
    vendor = a_vendor()
    question = Question(a_lead(1, "Ada Lovelace", company_domain="acme.com"))
    assert await vendor.client.recall(question) == NoAnswer(Gap.LOST, "no answer is remembered")
    assert vendor.sends == 0
    assert await vendor.client.ask(question) == Hit(EMAIL)
    for age_s in (0, 365 * 86_400):
        vendor.time.advance(age_s)
        assert await vendor.client.recall(question) == Hit(EMAIL)
    assert vendor.sends == 1


async def test_an_address_is_one_question_however_it_is_spelled() -> None:
    vendor = a_vendor("reoon", answer(REOON))
    for spelled in (EMAIL, EMAIL.upper(), EMAIL.title()):
        assert isinstance(await vendor.ask(spelled), Judgement)
    assert vendor.sends == 1
    assert EMAIL in vendor.transport.sent[0].query["email"]


async def test_what_a_finder_names_is_kept_in_lower_case() -> None:
    named = json.loads(json.dumps(FINDYMAIL).replace(EMAIL, EMAIL.upper()))
    assert await a_vendor("findymail", answer(named)).ask() == Hit(EMAIL)


async def test_a_miss_costs_nothing_where_hits_are_billed() -> None:
    vendor = a_vendor("findymail", MISSED)
    assert await vendor.ask() == Miss()
    assert (vendor.call.last.end, vendor.call.cost) == (End.MISS, ZERO)


async def test_every_verdict_costs_where_calls_are_billed() -> None:
    vendor = a_vendor("reoon", answer(REOON | {"status": "invalid"}))
    assert await vendor.ask() == Judgement(Verdict.INVALID, score=98)
    assert vendor.call.cost == usd("0.00119")
    assert vendor.call.last.told == "invalid"


async def test_the_answer_says_what_it_cost_where_credits_are_billed() -> None:
    vendor = a_vendor("anymailfinder", answer(ANYMAILFINDER | {"credits_charged": 0}))
    assert await vendor.ask() == Hit(EMAIL, 99)
    assert vendor.call.cost == ZERO


async def test_an_answer_is_never_bought_twice() -> None:
    vendor = a_vendor()
    await vendor.ask()
    following = vendor.next_run(AssertionError("nothing may be asked"))
    assert await following.ask() == Hit(EMAIL)
    assert following.sends == 0
    assert following.client.tally.spent == ZERO


async def test_a_stale_answer_is_bought_again() -> None:
    vendor = a_vendor()
    await vendor.ask()
    vendor.time.advance(8 * 86_400)
    assert await vendor.ask() == Hit(EMAIL)
    assert vendor.sends == 2
    assert vendor.ledger.booked == 2 * FINDYMAIL_PRICE


async def test_a_stored_list_is_read_with_what_was_asked() -> None:
    namesake = MURAENA_CONTACT | {"email": "dana@elsewhere.example", "company": "Elsewhere"}
    vendor = a_vendor("muraena", answer({"results": [namesake, MURAENA_CONTACT]}))
    assert await vendor.ask() == Hit(EMAIL)
    assert await vendor.next_run().ask() == Hit(EMAIL)


async def test_a_lead_that_lacks_what_the_vendor_needs_is_not_asked_about() -> None:
    vendor = a_vendor()
    reply = await vendor.ask(company_domain="", linkedin_url="")
    assert reply == NoAnswer(Gap.NO_INPUT)
    assert (vendor.sends, vendor.ledger.calls) == (0, [])


async def test_the_request_is_signed_and_sent_below_the_base_url() -> None:
    vendor = a_vendor("reoon", answer(REOON))
    await vendor.ask()
    sending = vendor.transport.sent[0]
    assert sending.url == "https://vendor.example/verify"
    assert sending.query == {"email": EMAIL, "mode": "power", "key": KEY}


async def test_the_ledgers_failure_is_not_swallowed() -> None:
    vendor = a_vendor()
    vendor.ledger.breaks = ConnectionError("the database is gone")
    with pytest.raises(ConnectionError):
        await vendor.ask()
    assert vendor.sends == 0


# --- retries that cost nothing ---------------------------------------------------------------------------


async def test_a_rate_limit_is_waited_out_as_told() -> None:
    vendor = a_vendor("findymail", answer({}, 429, retry_after="7"), FOUND)
    assert await vendor.ask() == Hit(EMAIL)
    assert vendor.transport.sent_at == [0.0, 7.0]
    assert (vendor.call.attempt, vendor.ledger.booked) == (2, FINDYMAIL_PRICE)


@pytest.mark.parametrize(
    ("until", "date", "again_at"),
    [
        ("Mon, 21 Sep 2026 14:13:27 GMT", "Mon, 21 Sep 2026 14:13:20 GMT", 7.0),
        ("Mon, 21 Sep 2026 14:13:27 -0000", "Mon, 21 Sep 2026 16:13:20 +0200", 7.0),
        ("Monday, 21-Sep-26 14:13:27 GMT", "Mon, 21 Sep 2026 14:13:20 GMT", 7.0),
        ("Mon, 21 Sep 2026 15:13:20 GMT", "Mon, 21 Sep 2026 14:13:20 GMT", None),
    ],
    ids=["HTTP date", "other zones", "old HTTP date", "too long"],
)
async def test_a_wait_told_as_a_time_is_kept_by_the_vendors_own_clock(
    until: str, date: str, again_at: float | None
) -> None:
    vendor = a_vendor("findymail", answer({}, 429, retry_after=until, date=date), FOUND)
    reply = await vendor.ask()
    assert vendor.transport.sent_at == ([0.0, again_at] if again_at else [0.0])
    assert reply == Hit(EMAIL) if again_at else reply.until == vendor.time.now() + timedelta(hours=1)


@pytest.mark.parametrize("until", ["soon", "-7", "0.5", "Mon, 99 Sep 2026 14:13:27 GMT", "2026-09-21"])
@pytest.mark.parametrize("date", ["Mon, 21 Sep 2026 14:13:20 GMT", ""])
def test_a_wait_that_cannot_be_read_is_none(until: str, date: str) -> None:
    assert told_to_wait(response(429, {}, {"retry-after": until, "date": date})) is None


def test_a_wait_that_is_over_is_no_wait() -> None:
    told = {"retry-after": "Mon, 21 Sep 2026 14:13:19 GMT", "date": "Mon, 21 Sep 2026 14:13:20 GMT"}
    assert told_to_wait(response(429, {}, told)) == 0.0


def test_a_time_is_no_wait_where_the_vendor_does_not_tell_its_own() -> None:
    assert told_to_wait(response(429, {}, {"retry-after": "Mon, 21 Sep 2026 14:13:27 GMT"})) is None


async def test_a_rate_limit_holds_everybody() -> None:
    limited = answer({}, 429, retry_after="7")
    vendor = a_vendor("findymail", limited, FOUND, limits=Limits(in_flight=1))
    pair = both(vendor.asking(), vendor.asking(first_name="Dina"))
    assert await vendor.time.until(pair) == (Hit(EMAIL), Hit(EMAIL))
    assert vendor.transport.sent_at == [0.0, 7.0, 7.0]


async def test_without_a_told_wait_the_waits_are_short_and_random() -> None:
    vendor = a_vendor("findymail", answer({}, 429), answer({}, 429), FOUND)
    assert await vendor.ask() == Hit(EMAIL)
    assert 0 < vendor.time.seconds <= 60


async def test_a_rate_limit_that_stays_is_given_up_for_nothing() -> None:
    vendor = a_vendor("findymail", answer({}, 429, retry_after="1"))
    reply = await vendor.ask()
    assert reply.gap is Gap.LATER
    assert vendor.sends == 3
    assert (vendor.call.last.end, vendor.ledger.booked) == (End.REFUSED, ZERO)


async def test_what_never_left_is_sent_again_for_nothing() -> None:
    vendor = a_vendor("reoon", NOT_SENT, NOT_SENT, answer(REOON))
    assert await vendor.ask() == Judgement(Verdict.VALID, score=98)
    assert [outcome.end for outcome in vendor.call.ends] == [End.NOT_SENT, End.NOT_SENT, End.HIT]
    assert vendor.ledger.booked == usd("0.00119")


async def test_what_never_leaves_is_given_up_for_nothing() -> None:
    vendor = a_vendor("reoon", NOT_SENT)
    reply = await vendor.ask()
    assert reply.gap is Gap.LATER
    assert (vendor.sends, vendor.ledger.booked) == (3, ZERO)


async def test_an_input_that_is_refused_is_a_miss_and_not_asked_again() -> None:
    vendor = a_vendor("findymail", answer({"message": "The domain field is invalid."}, 422))
    assert isinstance(await vendor.ask(), Miss)
    assert isinstance(await vendor.next_run().ask(), Miss)
    assert (vendor.sends, vendor.ledger.booked) == (1, ZERO)


# --- answers that never came -----------------------------------------------------------------------------

BREAKDOWNS = {
    "no answer": LOST,
    "server fault": answer({"message": "Server Error"}, 500),
    "a timeout of the vendor's own": answer({"message": "Request Timeout"}, 408, retry_after="1"),
    "a page": answer(HTML),
    "cut off": answer('{"contact": {"email": "dana'),
}
each_breakdown = pytest.mark.parametrize("broken", BREAKDOWNS.values(), ids=BREAKDOWNS)


COSTING = [one for one in CATALOGUE if one.terms.price.ceiling]
each_that_costs = pytest.mark.parametrize("one", COSTING, ids=lambda one: one.spec.label)


@pytest.mark.parametrize("one", CATALOGUE, ids=lambda one: one.spec.label)
def test_a_timeout_that_a_vendor_tells_is_no_rate_limit_for_it_may_be_billed(one: Row) -> None:
    problem = one.spec.problem(response(408, {}, {"retry-after": "1"}))
    assert problem is not None
    assert problem.remedy is Remedy.DOWN


@each_that_costs
@pytest.mark.parametrize("status", [301, 302, 307])
def test_a_redirect_says_nothing_of_the_lead(one: Row, status: int) -> None:
    problem = one.spec.problem(response(status, "", {"location": "https://login.example/"}))
    assert problem is not None
    assert problem.remedy is Remedy.NONSENSE


@each_that_costs
@pytest.mark.parametrize("error", ["internal", {"code": 500, "message": "Something went wrong."}])
def test_an_error_with_http_200_is_no_answer(one: Row, error: Any) -> None:
    told = response(200, {"error": error})
    for operation in one.spec.operations:
        for read in (operation.read, operation.poll.read if operation.poll else operation.read):
            assert isinstance(one.spec.problem(told) or read(told), Problem)


@each_breakdown
async def test_where_a_repeat_is_free_it_is_asked_again_and_settles_the_doubt(broken: Step) -> None:
    vendor = a_vendor("tomba", broken, answer(TOMBA))
    assert await vendor.ask() == Hit(EMAIL, 94)
    first, second = vendor.transport.sent
    assert first == second
    assert (vendor.call.cost, vendor.call.unknown) == (usd("0.01"), ZERO)
    assert vendor.client.tally.spent == usd("0.01")


async def test_a_free_repeat_that_cost_nothing_was_paid_for_by_the_attempt_that_was_lost() -> None:
    vendor = a_vendor("anymailfinder", LOST, answer(ANYMAILFINDER | {"credits_charged": 0}))
    assert await vendor.ask() == Hit(EMAIL, 99)
    assert (vendor.call.cost, vendor.call.unknown) == (ZERO, usd("0.03"))
    assert vendor.client.tally.spent == usd("0.03")


async def test_a_free_repeat_that_cost_something_is_the_whole_bill() -> None:
    vendor = a_vendor("anymailfinder", LOST, answer(ANYMAILFINDER))
    assert await vendor.ask() == Hit(EMAIL, 99)
    assert (vendor.call.cost, vendor.call.unknown) == (usd("0.03"), ZERO)


@pytest.mark.parametrize("end", [answer(TOMBA), answer({"data": {"email": None}})], ids=["hit", "miss"])
@pytest.mark.parametrize("vendor", ["tomba", "findymail", "reoon", "icypeas"])
async def test_a_lead_has_cost_what_the_ledger_says_whichever_run_lost_an_answer(
    vendor: str, end: Step
) -> None:
    """Else a run that was killed would leave out what an undisturbed one buys."""
    following = (await died(vendor, DEATH)).next_run(end)
    await following.ask()
    assert following.client.tally.of(DANA.id) == following.ledger.booked


@each_breakdown
async def test_a_free_repeat_has_an_end_too(broken: Step) -> None:
    vendor = a_vendor("tomba", broken)
    assert (await vendor.ask()).gap is Gap.LOST
    assert vendor.sends == 2


async def test_after_the_vendors_window_a_repeat_is_not_free_until_it_is_a_new_question() -> None:
    tomba = row("tomba")
    short = replace(tomba, terms=replace(tomba.terms, replay_window=timedelta(days=3)))
    vendor = await died("tomba", DEATH, declared=short)
    vendor.time.advance(4 * 86_400)
    assert (await vendor.next_run(answer(TOMBA)).ask()).gap is Gap.LOST
    vendor.time.advance(8 * 86_400)
    assert isinstance(await vendor.next_run(answer(TOMBA)).ask(), Hit)
    assert vendor.ledger.booked == 2 * tomba.terms.price.ceiling


async def test_without_a_window_a_repeat_is_free_for_ever() -> None:
    vendor = await died("voila_norbert", DEATH)
    vendor.time.advance(400 * 86_400)
    assert await vendor.next_run(answer(NORBERT)).ask() == Hit(EMAIL, 100)
    assert vendor.ledger.booked == usd("0.049")


@each_breakdown
async def test_where_a_hit_is_billed_it_is_asked_once_more_and_the_doubt_stays_booked(broken: Step) -> None:
    vendor = a_vendor("findymail", broken, FOUND)
    assert await vendor.ask() == Hit(EMAIL)
    assert (vendor.call.cost, vendor.call.unknown) == (FINDYMAIL_PRICE, FINDYMAIL_PRICE)
    assert vendor.client.tally.spent == vendor.ledger.booked


@each_breakdown
async def test_where_a_hit_is_billed_it_is_not_asked_a_third_time(broken: Step) -> None:
    vendor = a_vendor("findymail", broken, broken, FOUND)
    assert (await vendor.ask()).gap is Gap.LOST
    assert (await vendor.next_run(FOUND).ask()).gap is Gap.LOST
    assert vendor.sends == 2
    assert vendor.ledger.booked == 2 * FINDYMAIL_PRICE


@each_breakdown
async def test_a_repeat_that_may_cost_too_much_in_vain_is_not_made_and_the_doubt_stays_booked(
    broken: Step,
) -> None:
    vendor = a_vendor("findymail", broken, FOUND)
    vendor.client.stakes = Stakes(billed_share=0.5, tolerated={Tier.C: FINDYMAIL_PRICE / 3})
    assert (await vendor.ask(tier=Tier.C)).gap is Gap.LOST
    assert (vendor.sends, vendor.ledger.booked) == (1, FINDYMAIL_PRICE)
    assert vendor.client.tally.spent == FINDYMAIL_PRICE


@each_breakdown
async def test_where_a_call_is_billed_it_is_never_asked_again(broken: Step) -> None:
    vendor = a_vendor("reoon", broken, answer(REOON))
    assert (await vendor.ask()).gap is Gap.LOST
    assert (await vendor.next_run(answer(REOON)).ask()).gap is Gap.LOST
    assert vendor.sends == 1
    assert (vendor.call.cost, vendor.call.unknown) == (ZERO, usd("0.00119"))


@pytest.mark.parametrize(
    ("name", "again"), [("tomba", True), ("findymail", True), ("icypeas", True), ("reoon", False)]
)
async def test_a_call_of_a_run_that_died_follows_its_replay_class(name: str, *, again: bool) -> None:
    vendor = await died(name, DEATH)
    following = vendor.next_run(answer({}, 422))
    await following.ask()
    assert (following.sends > 0) is again
    assert vendor.call.unknown == vendor.client.terms.price.ceiling * (0 if name == "tomba" and again else 1)


class Death(Exception):
    """The process is gone while a request is under way."""


DEATH = Death()


async def died(name: str, *steps: Step, **settings: Any) -> Vendor:
    vendor = a_vendor(name, *steps, **settings)
    with pytest.raises(Death):
        await vendor.ask()
    assert vendor.call.state == "intent"
    return vendor


# --- providers that are left alone -----------------------------------------------------------------------


@pytest.mark.parametrize(("status", "why"), [(401, "bad key"), (403, "bad key"), (402, "out of credits")])
async def test_a_refused_key_or_an_empty_account_parks_the_provider(status: int, why: str) -> None:
    vendor = a_vendor("findymail", answer({}, status), FOUND)
    assert (await vendor.ask()).gap is Gap.PARKED
    assert vendor.client.health.parked.startswith(why)
    assert (await vendor.ask(first_name="Dina")).gap is Gap.PARKED
    assert vendor.sends == 1
    assert (vendor.call.last.end, vendor.ledger.booked) == (End.REFUSED, ZERO)


async def test_a_parked_provider_still_gives_what_was_bought() -> None:
    vendor = a_vendor("findymail", FOUND, answer({}, 401))
    await vendor.ask()
    await vendor.ask(first_name="Dina")
    assert vendor.client.health.parked
    assert await vendor.ask() == Hit(EMAIL)


async def test_the_next_run_asks_again_what_was_refused() -> None:
    vendor = a_vendor("findymail", answer({}, 402))
    await vendor.ask()
    assert await vendor.next_run(FOUND).ask() == Hit(EMAIL)
    assert (vendor.call.attempt, vendor.ledger.booked) == (2, FINDYMAIL_PRICE)


# --- one call for all who ask ----------------------------------------------------------------------------


async def test_who_asks_the_same_at_once_shares_one_call() -> None:
    vendor = a_vendor()
    replies = await vendor.time.until(asyncio.gather(*(vendor.asking() for _ in range(5))))
    assert replies == [Hit(EMAIL)] * 5
    assert vendor.sends == 1


@pytest.mark.parametrize(("first", "sends"), [(FOUND, 2), (answer({}, 500), 1)])
async def test_while_the_ledger_writes_the_place_of_an_answer_is_free_and_of_a_failure_is_not(
    first: Step, sends: int
) -> None:
    vendor = a_vendor("findymail", first, FOUND, limits=Limits(in_flight=1))
    pair = asyncio.ensure_future(both(vendor.asking(), vendor.asking(first_name="Dina")))
    async with vendor.ledger.writing:
        await vendor.time.idle()
        assert vendor.sends == sends
    assert await vendor.time.until(pair) == (Hit(EMAIL), Hit(EMAIL))


async def test_who_is_suppressed_is_not_asked_about() -> None:
    vendor = a_vendor()
    vendor.ledger.listed = {"acme.com"}
    assert await vendor.ask(company_domain="acme.com") == SUPPRESSED
    assert (vendor.sends, vendor.ledger.calls, vendor.client.tally.spent) == (0, [], ZERO)


async def test_a_suppressed_lead_does_not_speak_for_others_with_the_same_question() -> None:
    vendor = a_vendor()
    vendor.ledger.listed = {"ada@home.org"}
    ada = a_lead(1, email="ada@home.org")
    replies = await vendor.time.until(
        asyncio.gather(*(vendor.client.ask(Question(lead)) for lead in (ada, a_lead(2))))
    )
    assert replies == [SUPPRESSED, Hit(EMAIL)]
    assert vendor.sends == 1


async def test_who_stops_waiting_does_not_stop_the_call() -> None:
    vendor = a_vendor()
    impatient, patient = asyncio.ensure_future(vendor.asking()), asyncio.ensure_future(vendor.asking())
    await asyncio.sleep(0)
    impatient.cancel()
    assert await vendor.time.until(patient) == Hit(EMAIL)
    assert vendor.sends == 1


async def test_a_call_that_fails_when_nobody_waits_for_it_any_more_is_no_news() -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    vendor = a_vendor()
    vendor.ledger.breaks = ConnectionError("the database is gone")
    asked = asyncio.ensure_future(vendor.asking())
    await asyncio.sleep(0)
    asked.cancel()
    await vendor.time.idle()
    assert asked.cancelled()
    del asked
    gc.collect()  # a failure that nobody has looked at is told of when it goes
    assert told == []


async def test_what_another_campaign_is_asking_now_is_waited_for() -> None:
    vendor = a_vendor("findymail", FOUND, takes_s=1.0)
    elsewhere = vendor.next_run(AssertionError("it is being asked"), run=a_run(campaign=UUID(int=9)))
    pair = both(vendor.asking(), elsewhere.asking())
    assert await vendor.time.until(pair) == (Hit(EMAIL), Hit(EMAIL))
    assert elsewhere.sends == 0
    assert elsewhere.client.tally.spent == ZERO
    assert vendor.time.slept.count(ELSEWHERE_EVERY_S) > 1


async def test_what_another_campaign_has_lost_is_taken_over_after_its_deadline() -> None:
    vendor = await died("findymail", DEATH)
    elsewhere = vendor.next_run(FOUND, run=a_run(campaign=UUID(int=9)))
    assert await elsewhere.ask() == Hit(EMAIL)
    assert vendor.time.seconds > vendor.call.intent.deadline_s


async def test_draining_settles_what_is_in_flight_and_asks_nothing_new() -> None:
    vendor = a_vendor("findymail", FOUND, takes_s=1.0)
    flying = asyncio.ensure_future(vendor.asking())
    await vendor.time.idle()
    flying.cancel()
    await vendor.time.until(vendor.client.drain())
    assert vendor.call.last.end is End.HIT
    assert (await vendor.ask(first_name="Dina")).gap is Gap.PARKED
    assert vendor.sends == 1


async def test_draining_gives_back_at_once_what_queues_at_the_gate() -> None:
    vendor = Vendor("findymail", (FOUND,), limits=Limits(per_minute=1, in_flight=2), takes_s=1.0)
    asked = [asyncio.ensure_future(vendor.asking(first_name=f"Dana{n}")) for n in range(30)]
    await vendor.time.idle()
    await vendor.time.until(vendor.client.drain())
    replies = await asyncio.gather(*asked)
    assert [reply for reply in replies if isinstance(reply, Hit)] == [Hit(EMAIL)]
    assert Counter(reply.gap for reply in replies if isinstance(reply, NoAnswer)) == {Gap.PARKED: 29}
    assert vendor.time.seconds == 1.0
    assert vendor.sends == 1


async def test_draining_waits_for_no_backoff() -> None:
    busy = answer({"message": "slow down"}, 429, Retry_After="50")
    vendor = Vendor("findymail", (busy, FOUND))
    asked = asyncio.ensure_future(vendor.asking())
    await vendor.time.idle()
    await vendor.time.until(vendor.client.drain())
    assert (await asked).gap is Gap.PARKED
    assert (vendor.time.seconds, vendor.sends) == (0.0, 1)


# --- jobs ------------------------------------------------------------------------------------------------

SUBMITTED = answer(ICYPEAS_SUBMITTED)
SUBMITTED_AGAIN = answer({"success": True, "item": {"_id": "def456", "status": "NONE"}})
DONE = answer(ICYPEAS)
ICYPEAS_PRICE = usd("0.009")


def item(status: str) -> Received:
    return answer(
        {"success": True, "items": [{"_id": "abc123", "status": status, "results": {"emails": []}}]}
    )


GOING, ABORTED, NO_FUNDS = item("IN_PROGRESS"), item("ABORTED"), item("INSUFFICIENT_FUNDS")
SUBMIT, READ = "POST /email-search", "POST /bulk-single-searchs/read"


async def test_a_job_is_submitted_noted_and_read_until_it_is_done() -> None:
    vendor = a_vendor("icypeas", SUBMITTED, GOING, GOING, DONE)
    assert await vendor.ask() == Hit(EMAIL, 99)
    assert vendor.transport.paths == [SUBMIT, READ, READ, READ]
    assert [sending.body for sending in vendor.transport.sent[1:]] == [{"id": "abc123"}] * 3
    assert (vendor.call.job_id, vendor.call.cost) == ("abc123", ICYPEAS_PRICE)
    waits = [later - earlier for earlier, later in zip(*pairs(vendor.transport.sent_at), strict=True)]
    assert min(waits) >= 3


def pairs(times: list[float]) -> tuple[list[float], list[float]]:
    return times[:-1], times[1:]


async def test_a_contact_is_read_at_its_own_address() -> None:
    vendor = a_vendor("voila_norbert", answer(NORBERT_SEARCHING), answer(NORBERT_SEARCHING), answer(NORBERT))
    assert await vendor.ask() == Hit(EMAIL, 100)
    assert vendor.transport.paths == ["POST /search/name", "GET /contacts/5512", "GET /contacts/5512"]
    assert vendor.transport.sent[0].form == {"name": "Dana Reyes", "domain": "acme.example"}


async def test_a_job_that_answers_at_once_is_not_read() -> None:
    vendor = a_vendor("voila_norbert", answer(NORBERT))
    assert await vendor.ask() == Hit(EMAIL, 100)
    assert vendor.sends == 1


def at_price(name: str, per_credit: str) -> Row:
    declared = row(name)
    price = replace(declared.terms.price, per_credit=usd(per_credit))
    return replace(declared, terms=replace(declared.terms, price=price))


@pytest.mark.parametrize("now", ["0.004", "0.02"])
async def test_a_job_is_booked_at_the_price_at_which_it_was_submitted(now: str) -> None:
    vendor = await died("icypeas", SUBMITTED, GOING, DEATH)
    vendor.declared = at_price("icypeas", now)
    following = vendor.next_run(DONE)
    assert await following.ask() == Hit(EMAIL, 99)
    assert following.ledger.booked == following.client.tally.spent == ICYPEAS_PRICE


async def test_a_job_that_was_ended_unbilled_is_submitted_anew_at_todays_price() -> None:
    vendor = await died("icypeas", SUBMITTED, GOING, DEATH)
    vendor.declared = at_price("icypeas", "0.02")
    following = vendor.next_run(ABORTED, SUBMITTED_AGAIN, DONE)
    assert await following.ask() == Hit(EMAIL, 99)
    assert following.ledger.booked == usd("0.02")


async def test_a_jobs_stored_result_is_read_again() -> None:
    vendor = a_vendor("icypeas", SUBMITTED, DONE)
    await vendor.ask()
    assert await vendor.next_run().ask() == Hit(EMAIL, 99)


async def test_readings_keep_the_pace_that_all_jobs_share() -> None:
    vendor = a_vendor("icypeas", *[SUBMITTED] * 9, DONE, limits=None)
    asking = [vendor.asking(first_name=f"Dana {number}") for number in range(9)]
    await vendor.time.until(asyncio.gather(*asking))
    read_at = [
        at for at, path in zip(vendor.transport.sent_at, vendor.transport.paths, strict=True) if path == READ
    ]
    assert len(read_at) == 9
    assert min(later - earlier for earlier, later in zip(*pairs(read_at), strict=True)) >= 2.0 - 1e-6


async def test_without_a_pace_of_their_own_readings_count_like_any_request() -> None:
    searching, found = answer(NORBERT_SEARCHING), answer(NORBERT)
    vendor = a_vendor("voila_norbert", *[searching] * 5, found, limits=Limits(per_minute=60))
    asking = [vendor.asking(first_name=f"Dana {number}") for number in range(5)]
    await vendor.time.until(asyncio.gather(*asking))
    gaps = [later - earlier for earlier, later in zip(*pairs(vendor.transport.sent_at), strict=True)]
    assert min(gaps) >= 1.0 - 1e-6


@pytest.mark.parametrize(
    "hiccup",
    [LOST, NOT_SENT, answer(HTML, 502), answer({"success": False}, 429, retry_after="20")],
    ids=["lost", "not sent", "server fault", "rate limit"],
)
async def test_a_hiccup_while_reading_is_read_over(hiccup: Step) -> None:
    vendor = a_vendor("icypeas", SUBMITTED, hiccup, DONE, limits=Limits(reads_per_minute=60))
    assert await vendor.ask() == Hit(EMAIL, 99)
    assert (vendor.call.attempt, vendor.ledger.booked) == (1, ICYPEAS_PRICE)
    told = isinstance(hiccup, Received) and hiccup.status == 429
    assert vendor.transport.sent_at[2] - vendor.transport.sent_at[1] >= (20 if told else 6)


async def test_a_job_that_is_not_done_in_time_is_read_by_the_next_run_and_billed_once() -> None:
    vendor = a_vendor("icypeas", SUBMITTED, GOING)
    reply = await vendor.ask()
    assert reply == NoAnswer(Gap.DOWN, "the job is not done yet")
    assert vendor.time.seconds == pytest.approx(180, abs=12)
    assert (vendor.call.state, vendor.ledger.booked) == ("unknown", ICYPEAS_PRICE)
    following = vendor.next_run(DONE)
    assert await following.ask() == Hit(EMAIL, 99)
    assert following.transport.paths == [READ]
    assert (vendor.call.cost, vendor.call.unknown) == (ICYPEAS_PRICE, ZERO)


async def test_a_job_of_a_run_that_died_is_read_and_never_submitted_again() -> None:
    vendor = await died("icypeas", SUBMITTED, GOING, DEATH)
    following = vendor.next_run(GOING, DONE)
    assert await following.ask() == Hit(EMAIL, 99)
    assert following.transport.paths == [READ, READ]
    assert (vendor.call.cost, vendor.call.unknown) == (ICYPEAS_PRICE, ZERO)


async def test_a_submission_whose_answer_is_lost_is_made_once_more_and_stays_booked() -> None:
    vendor = a_vendor("icypeas", LOST, SUBMITTED, DONE)
    assert await vendor.ask() == Hit(EMAIL, 99)
    assert vendor.transport.paths == [SUBMIT, SUBMIT, READ]
    assert vendor.transport.sent[0] == vendor.transport.sent[1]
    assert (vendor.call.cost, vendor.call.unknown) == (ICYPEAS_PRICE, ICYPEAS_PRICE)


async def test_reading_a_job_tells_nothing_of_a_submission_that_was_lost_before_it() -> None:
    vendor = a_vendor("icypeas", LOST, SUBMITTED, GOING)
    await vendor.ask()
    assert await vendor.next_run(DONE).ask() == Hit(EMAIL, 99)
    assert (vendor.call.cost, vendor.call.unknown) == (ICYPEAS_PRICE, ICYPEAS_PRICE)


QUEUED, COMPANY = answer("", 202), answer({"name": "Acme", "domain": "acme.example"})
CLEARBIT_PRICE = usd("0.05")


@pytest.mark.parametrize("hiccup", [LOST, answer("", 502)])
async def test_where_reading_is_asking_again_a_lost_reading_is_a_lost_call(hiccup: Step) -> None:
    vendor = a_vendor("clearbit", QUEUED, hiccup, COMPANY)
    assert isinstance(await vendor.ask(), Facts)
    assert vendor.sends == 3
    assert (vendor.call.cost, vendor.call.unknown) == (CLEARBIT_PRICE, CLEARBIT_PRICE)


async def test_where_reading_is_asking_again_what_a_dead_run_read_is_in_doubt() -> None:
    vendor = await died("clearbit", QUEUED, DEATH)
    assert isinstance(await vendor.next_run(COMPANY).ask(), Facts)
    assert (vendor.call.cost, vendor.call.unknown) == (CLEARBIT_PRICE, CLEARBIT_PRICE)


PAUSED = answer({"stop_reason": "pause_turn", "content": [{"type": "server_tool_use"}]})
SEARCHED = answer(
    {
        "content": [{"type": "web_search_tool_result", "content": []}],
        "usage": {"server_tool_use": {"web_search_requests": 1}},
    }
)
CLAUDE_PRICE = usd("0.01")


async def test_a_pause_costs_nothing_and_what_is_asked_on_costs_its_search() -> None:
    vendor = a_vendor("claude", PAUSED, SEARCHED)
    assert await vendor.ask() == Miss()
    assert (vendor.call.cost, vendor.call.unknown) == (CLAUDE_PRICE, ZERO)


@pytest.mark.parametrize("hiccup", [LOST, answer("", 408), answer("", 504), PAUSED])
async def test_where_every_call_is_billed_a_lost_reading_is_never_repeated(hiccup: Step) -> None:
    vendor = a_vendor("claude", PAUSED, hiccup, AssertionError("nothing may be asked"))
    await vendor.ask()
    following = vendor.next_run(AssertionError("nothing may be asked"))
    assert (await following.ask()).gap is Gap.LOST
    assert (vendor.call.cost, vendor.call.unknown, vendor.call.job_id) == (ZERO, CLAUDE_PRICE, None)


async def test_where_every_call_is_billed_what_a_dead_run_asked_on_stays_booked() -> None:
    vendor = await died("claude", PAUSED, DEATH)
    following = vendor.next_run(AssertionError("nothing may be asked"))
    assert (await following.ask()).gap is Gap.LOST
    assert vendor.ledger.booked == CLAUDE_PRICE


@pytest.mark.parametrize("refusal", [answer("", 429, retry_after="7"), NOT_SENT], ids=["429", "not sent"])
@pytest.mark.parametrize(
    ("name", "going", "done", "price"),
    [("clearbit", QUEUED, COMPANY, CLEARBIT_PRICE), ("claude", PAUSED, SEARCHED, CLAUDE_PRICE)],
)
async def test_a_reading_that_is_refused_leaves_nothing_in_doubt(
    name: str, going: Step, done: Step, price: Money, refusal: Step
) -> None:
    vendor = a_vendor(name, going, refusal, going, done)
    assert isinstance(await vendor.ask(), Facts | Miss)
    assert (vendor.sends, vendor.call.cost, vendor.call.unknown) == (4, price, ZERO)


async def test_a_job_without_funds_costs_nothing_parks_and_is_submitted_again_by_the_next_run() -> None:
    vendor = a_vendor("icypeas", SUBMITTED, NO_FUNDS)
    assert (await vendor.ask()).gap is Gap.PARKED
    assert (vendor.call.state, vendor.ledger.booked) == ("settled", ZERO)
    following = vendor.next_run(SUBMITTED_AGAIN, DONE)
    assert await following.ask() == Hit(EMAIL, 99)
    assert following.transport.paths == [SUBMIT, READ]
    assert (vendor.call.job_id, vendor.ledger.booked) == ("def456", ICYPEAS_PRICE)


async def test_a_job_without_funds_tells_nothing_of_a_submission_lost_before_it() -> None:
    vendor = a_vendor("icypeas", LOST, SUBMITTED, NO_FUNDS)
    await vendor.ask()
    assert (vendor.call.state, vendor.ledger.booked) == ("unknown", ICYPEAS_PRICE)


async def test_a_job_of_a_run_that_died_without_funds_is_submitted_again_at_once() -> None:
    vendor = await died("icypeas", SUBMITTED, GOING, DEATH)
    following = vendor.next_run(NO_FUNDS, SUBMITTED_AGAIN, DONE)
    assert await following.ask() == Hit(EMAIL, 99)
    assert following.transport.paths == [READ, SUBMIT, READ]
    assert (vendor.call.job_id, vendor.ledger.booked) == ("def456", ICYPEAS_PRICE)


@pytest.mark.parametrize("failed", [NO_FUNDS, ABORTED])
async def test_a_lost_submission_in_place_of_a_failed_job_stays_booked(failed: Received) -> None:
    vendor = await died("icypeas", SUBMITTED, GOING, DEATH)
    following = vendor.next_run(failed, LOST, SUBMITTED_AGAIN, DONE)
    assert await following.ask() == Hit(EMAIL, 99)
    assert following.transport.paths == [READ, SUBMIT, SUBMIT, READ]
    assert (vendor.call.cost, vendor.call.unknown) == (ICYPEAS_PRICE, ICYPEAS_PRICE)


UNKNOWN = answer({"success": False, "error": "SearchNotFoundError"})


async def test_a_job_that_the_vendor_knows_no_more_is_submitted_once_more_and_stays_booked() -> None:
    vendor = await died("icypeas", SUBMITTED, GOING, DEATH)
    following = vendor.next_run(UNKNOWN, SUBMITTED_AGAIN, DONE)
    assert await following.ask() == Hit(EMAIL, 99)
    assert following.transport.paths == [READ, SUBMIT, READ]
    assert (vendor.call.job_id, vendor.call.cost) == ("def456", ICYPEAS_PRICE)
    assert vendor.call.unknown == following.client.tally.spent - ICYPEAS_PRICE == ICYPEAS_PRICE


async def test_a_job_that_is_forgotten_every_time_is_not_submitted_a_third_time() -> None:
    vendor = a_vendor("icypeas", SUBMITTED, UNKNOWN, UNKNOWN, SUBMITTED_AGAIN, UNKNOWN)
    assert (await vendor.ask()).gap is Gap.DOWN
    for _ in range(2):
        following = vendor.next_run(UNKNOWN, AssertionError("nothing may be submitted"))
        assert (await following.ask()).gap is Gap.LOST
    assert vendor.transport.paths.count(SUBMIT) == 2
    assert (vendor.call.job_id, vendor.ledger.booked) == (None, 2 * ICYPEAS_PRICE)


async def test_a_run_that_dies_where_a_job_was_forgotten_leaves_it_booked() -> None:
    vendor = await died("icypeas", SUBMITTED, GOING, DEATH)
    following = vendor.next_run(UNKNOWN, DEATH)
    with pytest.raises(Death):
        await following.ask()
    last = following.next_run(SUBMITTED_AGAIN, AssertionError("nothing may be asked"))
    assert (await last.ask()).gap is Gap.LOST
    assert (last.sends, vendor.ledger.booked) == (0, 2 * ICYPEAS_PRICE)


async def test_a_contact_that_is_gone_stays_booked_and_is_not_searched_again_for_that_is_free_no_more() -> (
    None
):
    gone, nothing_more = answer({"message": "Contact not found"}, 404), AssertionError("nothing may be asked")
    vendor = a_vendor("voila_norbert", answer(NORBERT_SEARCHING), gone, nothing_more)
    assert (await vendor.ask()).gap is Gap.LOST
    following = vendor.next_run(gone, nothing_more)
    assert (await following.ask()).gap is Gap.LOST
    assert following.transport.paths == ["GET /contacts/5512"]
    assert (vendor.call.cost, vendor.call.unknown) == (ZERO, usd("0.049"))


async def test_a_contact_that_is_back_is_read_and_billed_once() -> None:
    vendor = a_vendor("voila_norbert", answer(NORBERT_SEARCHING), answer({"message": "Not found"}, 404))
    assert (await vendor.ask()).gap is Gap.LOST
    assert await vendor.next_run(answer(NORBERT)).ask() == Hit(EMAIL, 100)
    assert (vendor.call.cost, vendor.call.unknown) == (usd("0.049"), ZERO)


async def test_a_job_that_an_unpaid_account_may_not_read_stays_booked_and_is_not_submitted_again() -> None:
    unpaid = answer({"success": False, "error": "UnpaidSubscriptionError"})
    vendor = await died("icypeas", SUBMITTED, GOING, DEATH)
    following = vendor.next_run(unpaid)
    assert (await following.ask()).gap is Gap.PARKED
    assert (following.transport.paths, vendor.ledger.booked) == ([READ], ICYPEAS_PRICE)


async def test_an_account_without_credits_is_read_for_what_was_bought_and_asked_nothing_new() -> None:
    vendor = await died("icypeas", SUBMITTED, GOING, DEATH)
    following = vendor.next_run(DONE)
    following.client.health.empties("out of credits, as another run was told")
    assert await following.ask() == Hit(EMAIL, 99)
    assert (await following.ask(first_name="Ada")).gap is Gap.PARKED
    assert following.transport.paths == [READ]
    assert following.client.health.out_of_credits


async def test_a_job_is_read_whatever_the_budgets_say() -> None:
    vendor = await died("icypeas", SUBMITTED, GOING, DEATH)
    following = vendor.next_run(DONE)
    following.ledger.over = lambda _: OverBudget("campaign:1", for_good=True)
    assert await following.ask() == Hit(EMAIL, 99)
    assert (await following.ask(first_name="Ada")).gap is Gap.LATER
    assert following.transport.paths == [READ]


async def test_who_waits_for_room_keeps_nobody_with_the_same_question_who_has_it() -> None:
    vendor = a_vendor("reoon", answer(REOON))
    full = OverBudget("campaign:1", for_good=False)
    vendor.ledger.over = lambda intent: None if intent.lead_id == DANA.id else full
    waits = asyncio.ensure_future(vendor.asking(id=UUID(int=9)))
    await vendor.time.idle()
    joins = asyncio.ensure_future(vendor.asking(id=UUID(int=8)))
    assert isinstance(await vendor.ask(), Judgement)
    for late in (waits, joins):
        assert isinstance(await vendor.time.until(late), Judgement)
    assert vendor.sends == 1


async def test_who_is_suppressed_while_a_job_is_read_is_not_submitted_again() -> None:
    vendor = await died("icypeas", SUBMITTED, GOING, DEATH)
    following = vendor.next_run(GOING, ABORTED, AssertionError("nothing may be submitted"))
    asking = asyncio.ensure_future(following.asking())
    await following.time.idle(asking)
    following.ledger.listed = set(subjects_of(DANA, ""))
    assert await following.time.until(asking) == SUPPRESSED
    assert following.transport.paths == [READ, READ]
    assert vendor.ledger.booked == 0


async def test_an_aborted_job_is_submitted_once_more() -> None:
    vendor = a_vendor("icypeas", SUBMITTED, ABORTED, ABORTED, SUBMITTED_AGAIN, DONE)
    assert await vendor.ask() == Hit(EMAIL, 99)
    assert vendor.transport.paths == [SUBMIT, READ, READ, SUBMIT, READ]
    assert (vendor.call.job_id, vendor.ledger.booked) == ("def456", ICYPEAS_PRICE)


async def test_a_job_that_is_aborted_every_time_is_not_submitted_for_ever() -> None:
    submissions = [SUBMITTED, ABORTED, ABORTED, SUBMITTED_AGAIN, ABORTED]
    vendor = a_vendor("icypeas", *submissions)
    assert (await vendor.ask()).gap is Gap.DOWN
    assert vendor.transport.paths.count(SUBMIT) == 2


async def test_a_key_that_is_refused_while_reading_leaves_the_job_to_the_next_run() -> None:
    vendor = a_vendor("icypeas", SUBMITTED, answer({"success": False}, 401))
    assert (await vendor.ask()).gap is Gap.PARKED
    following = vendor.next_run(DONE)
    assert await following.ask() == Hit(EMAIL, 99)
    assert following.transport.paths == [READ]


async def test_a_job_with_bad_input_is_a_miss_that_stays_one() -> None:
    vendor = a_vendor("icypeas", SUBMITTED, item("BAD_INPUT"))
    assert isinstance(await vendor.ask(), Miss)
    assert isinstance(await vendor.next_run(AssertionError("nothing may be asked")).ask(), Miss)


# --- secrets ---------------------------------------------------------------------------------------------

BASIC = b64encode(f"phase3:{KEY}".encode()).decode()


@pytest.mark.parametrize(
    ("name", "echo"),
    [
        ("findymail", answer(FINDYMAIL | {"your_key": KEY})),
        ("findymail", answer({"error": f"Not enough credits for {KEY}"}, 402)),
        ("findymail", answer({"message": f"{KEY} is unknown"}, 401)),
        ("findymail", answer({"error": f"{KEY} surprised us"})),
        ("findymail", answer(f"<h1>{KEY}</h1>")),
        ("reoon", answer({"status": "error", "reason": f"Invalid API key {KEY}"})),
        ("reoon", answer({"status": f"x{KEY}"})),
        ("voila_norbert", answer(NORBERT | {"owner": {"api_token": KEY}})),
        ("voila_norbert", answer(f"Authorization: Basic {BASIC}", 400)),
    ],
)
async def test_a_key_that_the_vendor_echoes_is_not_kept(name: str, echo: Received) -> None:
    vendor = a_vendor(name, echo)
    reply = await vendor.ask()
    kept = repr((vendor.ledger.calls, reply, vendor.client.health))
    assert KEY not in kept
    assert BASIC not in kept
    assert "[secret]" in kept or echo.status == 401


@attack(
    "People",
    "A vendor's error names whom it was asked about, and becomes why it rests: kept, shown, logged",
    defence="What is asked about is taken out of a vendor's words; the whole answer is in the ledger alone",
    without=replaced((dispatch, "impersonal", lambda said, _: said)),
)
@pytest.mark.parametrize("told", ["not enough credits for {}", "{} is too much"])
@pytest.mark.parametrize(("name", "asked"), [("findymail", DANA.full_name), ("reoon", EMAIL)])
async def test_why_a_provider_rests_names_nobody(name: str, asked: str, told: str) -> None:
    said = told.format(f"{asked} ({EMAIL.replace('@', '%40')})")
    vendor = a_vendor(name, answer({"status": "error", "error": said, "reason": said}))
    reply = await vendor.ask()
    kept = repr((reply, vendor.client.health, [call.last.error for call in vendor.ledger.calls if call.last]))
    assert "[somebody]" in kept
    assert [word for word in (DANA.full_name, EMAIL, "%40") if word in kept] == []


# --- answers that PostgreSQL would refuse ----------------------------------------------------------------

WHOLE = json.dumps(FINDYMAIL)[:-1]
ODD = {
    "NUL": WHOLE + r', "x": "a\u0000b"}',
    "NUL in a name": WHOLE + r', "a\u0000b": 1}',
    "half a surrogate pair": WHOLE + r', "x": "\ud800"}',
    "the other half": WHOLE + r', "x": "\uDfff"}',
    "a whole pair": WHOLE + r', "x": "\ud83d\ude00"}',
    "NaN": WHOLE + ', "x": NaN}',
    "infinities": WHOLE + ', "x": [Infinity, -Infinity]}',
    "beyond all measure": WHOLE + ', "x": 1e99999}',
    "next to nothing": WHOLE + ', "x": 1E-9999999}',
    "a large number": WHOLE + ', "x": 1e308}',
    "many digits": WHOLE + ', "x": ' + "9" * 4000 + "}",
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
async def test_odd_json_is_answered_and_kept(text: str) -> None:
    vendor = a_vendor("findymail", answer(text))
    assert await vendor.ask() == Hit(EMAIL)
    assert await vendor.next_run().ask() == Hit(EMAIL)


NO_ANSWERS = {
    "a page": HTML,
    "a page with NUL": "<html>\x00</html>",
    "nothing": "",
    "too many digits": WHOLE + ', "x": ' + "9" * 5000 + "}",
    "absurdly nested": "[" * 600 + "NaN" + "]" * 600,
    "nested beyond the stack": '{"contact":' * 100_000,
    "half": WHOLE,
}


@pytest.mark.parametrize("text", NO_ANSWERS.values(), ids=NO_ANSWERS)
async def test_what_is_no_json_is_kept_as_text(text: str) -> None:
    vendor = a_vendor("reoon", answer(text))
    assert (await vendor.ask()).gap is Gap.LOST
    kept = json.loads(vendor.call.last.response or "null")
    assert kept == text.replace("\x00", "\ufffd")[:20_000]


ODD_WORDS = [r"credit \u0000", r"credit \ud800", "credit " + "x" * 5000]


@pytest.mark.parametrize("words", ODD_WORDS)
async def test_a_vendors_odd_words_are_kept_short_and_plain(words: str) -> None:
    vendor = a_vendor("findymail", answer(f'{{"error": "{words}"}}', 402))
    assert (await vendor.ask()).gap is Gap.PARKED
    assert len(vendor.call.last.error or "") <= 300


async def test_an_odd_job_id_is_noted_plainly_and_read_as_given() -> None:
    vendor = a_vendor("icypeas", answer({"success": True, "item": {"_id": "a\0b"}}), DONE)
    assert await vendor.ask() == Hit(EMAIL, 99)
    assert vendor.transport.sent[1].body == {"id": "a\0b"}


async def test_a_companys_question_is_bought_once_whatever_its_leads_call_it() -> None:
    news = answer({"type": "news", "results": []})
    vendor = Vendor("brave", (news,), declared=row("brave"))
    await vendor.ask(company_name="Acme Inc.")
    later = vendor.next_run(news)
    await later.ask(company_name="ACME, Inc", first_name="Bob")
    await later.ask(company_name="ACME, Inc", company_domain="acme.org")
    assert (vendor.sends, later.sends) == (1, 1)
    assert "ACME, Inc" in later.transport.sent[0].query["q"]


async def test_of_those_who_wait_the_best_lead_is_asked_about_first() -> None:
    vendor = Vendor("findymail", (FOUND,), limits=Limits(in_flight=1), takes_s=1.0)
    leads = {"Cora": (Tier.C, 90), "Bea": (Tier.B, 50), "Ann": (Tier.B, 60), "Abe": (Tier.A, 10)}
    asking = [vendor.asking(first_name=name, tier=tier, score=score) for name, (tier, score) in leads.items()]
    await vendor.time.until(asyncio.gather(*asking))
    asked = [sending.body["name"].split()[0] for sending in vendor.transport.sent]
    assert asked == ["Cora", "Abe", "Ann", "Bea"]
