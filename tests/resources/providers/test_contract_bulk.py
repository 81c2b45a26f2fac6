"""Bulk verification over the socket: real HTTP, real PostgreSQL, and a vendor that keeps its own bill."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from phase3_core.calls import Gap, Judgement, NoAnswer
from resources.http_client import HttpClient, Received, Sending, http_client
from resources.providers.catalogue import row
from resources.providers.client import ProviderClient
from resources.providers.request import Question
from resources.providers.spec import ProviderSpec
from sandbox.options import Options
from sandbox.people import Person
from tests.polling import until
from tests.resources.providers.market import Market, Query, a_market, lead_of

pytestmark = pytest.mark.slow

LEADS = 40


@pytest.fixture
async def market(database_url: str, query: Query) -> AsyncIterator[Market]:
    async with a_market(database_url, query, Options(latency_ms=10, rate_factor=0)) as market:
        yield market


def people(market: Market) -> list[Person]:
    by_email = {person.email.lower(): person for person in market.people if person.email}
    return list(by_email.values())[:LEADS]


async def everybody(client: ProviderClient, market: Market) -> list[Any]:
    asking = (client.ask(Question(lead_of(person), person.email)) for person in people(market))
    return list(await asyncio.gather(*asking))


async def in_bulk(market: Market, **changes: Any) -> list[Any]:
    """Everybody's verdict, in a run of its own."""
    async with market.opened("reoon", bulk=True, **changes) as client:
        return await everybody(client, market)


async def requests(market: Market) -> Counter[str]:
    """How often each operation was asked, by the vendor's own count."""
    rows = (await market._told("GET", "requests"))["rows"]
    asked: Counter[str] = Counter()
    for one in rows:
        asked[one["operation"]] += one["count"]
    return asked


def billed(market: Market) -> Counter[str]:
    return Counter(charge.question for charge in market.sandbox.parts.bill.charges)


def impatient() -> ProviderSpec:
    spec = row("reoon").spec
    (operation,) = spec.operations
    assert operation.bulk is not None
    return replace(spec, operations=(replace(operation, bulk=replace(operation.bulk, timeout_s=0.3)),))


@dataclass
class Deaf:
    """Implements `Transport`: what the vendor says to a task never arrives."""

    http: HttpClient
    submission: str = "create-bulk"
    taken: int = 0

    async def send(self, sending: Sending) -> Received:
        received = await self.http.send(sending)
        if self.submission in sending.url:
            self.taken += 1
            await asyncio.Event().wait()
        return received


async def dead(client: ProviderClient, asking: asyncio.Future[Any]) -> None:
    """The process is gone: nobody settles anything."""
    desks = client._desks.values()
    working = [one for desk in desks for one in (*desk._gathering._working, *desk._tasks.values())]
    work = [asking, *client._flying.values(), *working]
    for one in work:
        one.cancel()
    await asyncio.gather(*work, return_exceptions=True)


def jobs(market: Market) -> list[Any]:
    return market.query("SELECT job_id, state, count(*) AS n FROM provider_calls GROUP BY 1, 2")


# --- the ordinary way ------------------------------------------------------------------------------------


async def test_verdicts_bill_and_rows_are_those_of_single_calls(market: Market) -> None:
    together = await in_bulk(market)
    assert all(isinstance(reply, Judgement) for reply in together)
    assert len({reply.verdict for reply in together}) > 1
    asked = await requests(market)
    assert (asked["bulk_create"], asked["verify"]) == (1, 0)
    assert billed(market) == Counter(person.email.lower() for person in people(market))
    await market.assert_books_agree()
    assert jobs(market) == [{"job_id": "4242", "state": "settled", "n": LEADS}]
    async with market.opened("reoon") as client:
        assert await everybody(client, market) == together
    assert await requests(market) == asked


async def test_what_was_bought_singly_is_not_submitted(market: Market) -> None:
    async with market.opened("reoon") as client:
        singly = await everybody(client, market)
    assert await in_bulk(market) == singly
    asked = await requests(market)
    assert (asked["bulk_create"], asked["verify"]) == (0, LEADS)
    await market.assert_books_agree()


async def test_the_raw_answers_are_those_of_the_single_endpoint(market: Market) -> None:
    await in_bulk(market)
    kept = market.query("SELECT request->'query'->>'email' AS email, response FROM provider_calls")
    async with http_client() as http:
        for one in kept[:5]:
            query = {"email": one["email"], "mode": "power", "key": market.environment["REOON_API_KEY"]}
            url = market.environment["REOON_BASE_URL"] + "/verify"
            single = await http.send(Sending("GET", url, query, {}, None, None, 10.0))
            assert one["response"] == json.loads(single.text)


# --- what goes wrong -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", ["timeout_after_billing", "reset_after_billing", "malformed_json", "html_200"]
)
async def test_a_submission_whose_answer_is_lost_is_booked_and_never_repeated(
    market: Market, kind: str
) -> None:
    await market.fault("reoon", kind, operation="bulk_create")
    for _ in range(2):
        assert {reply.gap for reply in await in_bulk(market, spec=impatient())} == {Gap.LOST}
        assert market.booked("unknown_usd").keys() == {"reoon"}
        assert (await requests(market))["bulk_create"] == 1
        await market.assert_nothing_is_missing()
    assert set(billed(market).values()) <= {1}


@pytest.mark.parametrize("kind", ["rate_limited_bare", "out_of_credits", "unauthorized"])
async def test_a_submission_that_is_refused_costs_nothing(market: Market, kind: str) -> None:
    await market.fault("reoon", kind, operation="bulk_create")
    replies = await in_bulk(market)
    passing = kind == "rate_limited_bare"
    assert {isinstance(reply, Judgement) for reply in replies} == {passing}
    if not passing:
        assert {reply.gap for reply in replies} == {Gap.PARKED}
        assert await market.bill() == {}
        assert all(isinstance(reply, Judgement) for reply in await in_bulk(market))
    assert set(billed(market).values()) == {1}
    await market.assert_books_agree()


HICCUPS = [
    "reset_after_billing",
    "server_error",
    "malformed_json",
    "truncated_json",
    "html_200",
    "wrong_types",
]


@pytest.mark.parametrize("kind", HICCUPS)
async def test_a_hiccup_while_reading_costs_nothing(market: Market, kind: str) -> None:
    await market.fault("reoon", kind, operation="bulk_read", count=3)
    assert all(isinstance(reply, Judgement) for reply in await in_bulk(market))
    assert set(billed(market).values()) == {1}
    await market.assert_books_agree()


async def test_a_stuck_task_is_read_by_the_next_run_and_billed_once(market: Market) -> None:
    market.switch("reoon", "stuck_task")
    stuck = await in_bulk(market)
    assert stuck == [NoAnswer(Gap.DOWN, "the job is not done yet")] * LEADS
    assert market.booked("unknown_usd") == await market.bill()
    market.vendor("reoon").on.clear()
    assert all(isinstance(reply, Judgement) for reply in await in_bulk(market))
    assert (await requests(market))["bulk_create"] == 1
    assert set(billed(market).values()) == {1}
    await market.assert_books_agree()


async def test_a_task_that_fails_is_booked_and_never_submitted_again(market: Market) -> None:
    market.switch("reoon", "task_error")
    for _ in range(2):
        assert {reply.gap for reply in await in_bulk(market)} == {Gap.LOST}
        assert market.booked("unknown_usd") == await market.bill()
    assert (await requests(market))["bulk_create"] == 1
    market.vendor("reoon").on.clear()
    assert all(isinstance(reply, Judgement) for reply in await in_bulk(market))
    await market.assert_books_agree()


# --- processes that die ----------------------------------------------------------------------------------


@pytest.mark.parametrize("bulk", [True, False])
async def test_a_task_of_a_process_that_died_is_found_by_its_number(market: Market, *, bulk: bool) -> None:
    market.switch("reoon", "stuck_task")
    async with market.opened("reoon", bulk=True) as client:
        asking = asyncio.ensure_future(everybody(client, market))
        await until(lambda: jobs(market) == [{"job_id": "4242", "state": "intent", "n": LEADS}])
        await dead(client, asking)
    market.vendor("reoon").on.clear()
    async with market.opened("reoon", bulk=bulk) as client:
        replies = await everybody(client, market)
    assert all(isinstance(reply, Judgement) for reply in replies)
    asked = await requests(market)
    assert (asked["bulk_create"], asked["verify"]) == (1, 0)
    assert set(billed(market).values()) == {1}
    await market.assert_books_agree()


async def test_a_process_that_died_before_it_heard_of_its_task_is_booked(market: Market) -> None:
    async with http_client() as http:
        deaf = Deaf(http)
        async with market.opened("reoon", bulk=True, transport=deaf) as client:
            asking = asyncio.ensure_future(everybody(client, market))
            await until(lambda: deaf.taken)
            await dead(client, asking)
    assert {reply.gap for reply in await in_bulk(market)} == {Gap.LOST}
    asked = await requests(market)
    assert (asked["bulk_create"], asked["verify"]) == (1, 0)
    assert market.booked("unknown_usd") == await market.bill()


async def test_a_run_that_ends_leaves_its_task_noted(market: Market) -> None:
    market.switch("reoon", "stuck_task")

    async def task_was_looked_at() -> bool:
        return bool((await requests(market))["bulk_read"])

    async with market.opened("reoon", bulk=True) as client:
        asking = asyncio.ensure_future(everybody(client, market))
        await until(task_was_looked_at)
        await client.drain()
        assert {reply.gap for reply in await asking} == {Gap.DOWN}
    assert jobs(market) == [{"job_id": "4242", "state": "unknown", "n": LEADS}]
    market.vendor("reoon").on.clear()
    assert all(isinstance(reply, Judgement) for reply in await in_bulk(market))
    assert (await requests(market))["bulk_create"] == 1
    await market.assert_books_agree()
