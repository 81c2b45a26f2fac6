"""Bulk searches over the socket: real HTTP, real PostgreSQL, and a vendor that keeps its own bill."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from phase3_core.calls import Gap, Hit, Miss, NoAnswer
from resources.http_client import http_client
from resources.providers.client import ProviderClient
from resources.providers.request import Question
from sandbox.options import Options
from sandbox.people import Person
from sandbox.routes.icypeas import Icypeas
from tests.polling import until
from tests.resources.providers.market import Market, Query, a_market, lead_of
from tests.resources.providers.test_contract_bulk import Deaf, billed, dead, jobs, requests

pytestmark = pytest.mark.slow

LEADS, FILES = 130, 2


@pytest.fixture
async def market(database_url: str, query: Query) -> AsyncIterator[Market]:
    """Single searches are many, and their waits take no time."""
    async with a_market(database_url, query, Options(latency_ms=0, rate_factor=0)) as market:
        yield market


def people(market: Market) -> list[Person]:
    """Known to the vendor or not, nobody twice."""
    by_name = {(one.name.casefold(), one.company.domain): one for one in market.people}
    return list(by_name.values())[:LEADS]


async def everybody(client: ProviderClient, market: Market) -> list[Any]:
    return list(await asyncio.gather(*(client.ask(Question(lead_of(person))) for person in people(market))))


async def searched(market: Market, *, bulk: bool = True) -> list[Any]:
    """Everybody's address, in a run of its own."""
    async with market.opened("icypeas", bulk=bulk) as client:
        return await everybody(client, market)


def numbered(market: Market) -> bool:
    """Whether everybody's row has its file's number, no longer our name for it alone."""
    told: int = sum(one["n"] for one in jobs(market) if "named:" not in (one["job_id"] or "named:"))
    return told >= LEADS


def found(replies: list[Any]) -> int:
    assert {type(reply) for reply in replies} == {Hit, Miss}
    return sum(isinstance(reply, Hit) for reply in replies)


async def test_results_bill_and_rows_are_those_of_single_searches(market: Market) -> None:
    together = await searched(market)
    asked = await requests(market)
    assert (asked["bulk"], asked["find"]) == (2, 0)
    assert len(billed(market)) == found(together)
    assert set(billed(market).values()) == {1}
    await market.assert_books_agree()
    assert {(one["job_id"][:5], one["state"]) for one in jobs(market)} == {("file:", "settled")}
    assert await searched(market, bulk=False) == together
    assert await requests(market) == asked


async def test_what_was_found_singly_is_found_in_bulk(market: Market, query: Query) -> None:
    singly = await searched(market, bulk=False)
    assert await searched(market) == singly
    asked = await requests(market)
    assert (asked["bulk"], asked["find"]) == (0, LEADS)
    query("DELETE FROM provider_calls RETURNING 1")
    assert await searched(market) == singly
    assert (await requests(market))["bulk"] == 2


async def test_a_row_without_funds_is_searched_again_by_the_next_run(market: Market) -> None:
    account = market.vendor("icypeas").account
    account.balance = Decimal(5)
    replies = await searched(market)
    assert {reply.gap for reply in replies if isinstance(reply, NoAnswer)} == {Gap.PARKED}
    await market.assert_books_agree()
    account.balance = Decimal(10_000)
    for bulk in (True, False):
        assert found(await searched(market, bulk=bulk)) == len(billed(market))
    assert set(billed(market).values()) == {1}
    await market.assert_books_agree()


@pytest.mark.parametrize("kind", ["server_error", "reset_after_billing", "html_200", "wrong_types"])
async def test_a_hiccup_while_reading_costs_nothing(market: Market, kind: str) -> None:
    await market.fault("icypeas", kind, operation="read", count=3)
    assert found(await searched(market)) == len(billed(market))
    assert (await requests(market))["bulk"] == 2
    assert set(billed(market).values()) == {1}
    await market.assert_books_agree()


@pytest.mark.parametrize("kind", ["reset_after_billing", "truncated_json", "wrong_types"])
async def test_a_file_that_was_billed_and_not_confirmed_is_found_by_its_name(
    market: Market, kind: str
) -> None:
    await market.fault("icypeas", kind, operation="bulk")
    assert found(await searched(market)) == len(billed(market))
    asked = await requests(market)
    assert (asked["bulk"], asked["files"] > 0, asked["find"]) == (FILES, True, 0)
    assert set(billed(market).values()) == {1}
    await market.assert_books_agree()


@pytest.mark.parametrize("bulk", [True, False])
async def test_a_file_of_a_process_that_died_before_it_heard_of_it_is_found_by_its_name(
    market: Market, *, bulk: bool
) -> None:
    async with http_client() as http:
        deaf = Deaf(http, "bulk-search")
        async with market.opened("icypeas", bulk=True, transport=deaf) as client:
            asking = asyncio.ensure_future(everybody(client, market))
            await until(lambda: deaf.taken >= FILES)
            await dead(client, asking)
    replies = await searched(market, bulk=bulk)
    asked = await requests(market)
    assert (asked["bulk"], asked["files"] >= FILES, asked["find"]) == (FILES, True, 0)
    assert len(billed(market)) == found(replies)
    assert set(billed(market).values()) == {1}
    await market.assert_books_agree()


async def test_a_file_that_never_arrived_is_submitted_again_and_stays_booked(market: Market) -> None:
    await market.fault("icypeas", "reset_before_billing", operation="bulk")
    assert found(await searched(market)) == len(billed(market))
    assert set(billed(market).values()) == {1}
    assert market.booked("cost_usd") == await market.bill()
    assert market.booked("unknown_usd") != {}


async def test_a_file_that_the_vendor_billed_and_forgot_is_covered_by_the_ledger(market: Market) -> None:
    market.switch("icypeas", "never_done")
    async with market.opened("icypeas", bulk=True) as client:
        asking = asyncio.ensure_future(everybody(client, market))
        await until(lambda: numbered(market))
        await dead(client, asking)
    vendor = market.vendor("icypeas")
    assert isinstance(vendor, Icypeas)
    vendor.on.clear()
    vendor.files.clear()
    assert found(await searched(market)) == len(billed(market))
    assert set(billed(market).values()) == {2}
    await market.assert_nothing_is_missing()
    (owed,) = (await market.bill()).values()
    assert owed == 2 * market.booked("cost_usd")["icypeas"]


@pytest.mark.parametrize("bulk", [True, False])
async def test_a_file_of_a_process_that_died_is_read_and_nothing_submitted(
    market: Market, *, bulk: bool
) -> None:
    market.switch("icypeas", "never_done")
    async with market.opened("icypeas", bulk=True) as client:
        asking = asyncio.ensure_future(everybody(client, market))
        await until(lambda: numbered(market))
        await dead(client, asking)
    assert {one["state"] for one in jobs(market)} == {"intent"}
    market.vendor("icypeas").on.clear()
    replies = await searched(market, bulk=bulk)
    asked = await requests(market)
    assert (asked["bulk"], asked["find"]) == (2, 0)
    assert len(billed(market)) == found(replies)
    assert set(billed(market).values()) == {1}
    await market.assert_books_agree()
