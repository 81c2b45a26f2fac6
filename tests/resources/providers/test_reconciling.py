"""Balances of the sandbox's accounts against the ledger: agreed, and with charges that nobody asked for."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from phase3_core.money import ZERO
from phase3_core.reconciliation import Agreement, Reconciled
from phase3_core.runs import Run
from phase3_core.statuses import Agent
from resources.assembly import postgres_ledger, postgres_readings
from resources.http_client import http_client
from resources.postgres.readings import PostgresReadings
from resources.providers.balances import BALANCES
from resources.providers.open_providers import OpenProviders
from resources.providers.request import Question
from resources.providers.source import VendorSource
from resources.settings import Settings
from resources.settings_tables import ProviderSettings
from sandbox.options import Options
from tests.conftest import MakeCampaign
from tests.resources.providers.market import CAMPAIGN, HastyClock, Market, Query, a_market, lead_of

OPTED_IN = Settings(providers={name: ProviderSettings(opt_in=True) for name in ("muraena", "nimbler")})


@pytest.fixture
async def market(database_url: str, query: Query, make_campaign: MakeCampaign) -> AsyncIterator[Market]:
    """One lead waits, so there is something to buy."""
    make_campaign([{}], id=CAMPAIGN)
    async with a_market(database_url, query, Options(latency_ms=0, rate_factor=1000)) as made:
        yield made


def the_source(market: Market) -> VendorSource:
    clock, opened = HastyClock(), postgres_ledger(3_600.0)
    return VendorSource(OPTED_IN, market.environment, opened, clock, clock.sleep, readings=postgres_readings)


@asynccontextmanager
async def a_run(market: Market, agent: Agent = Agent.EMAIL_VERIFICATION) -> AsyncIterator[OpenProviders]:
    async with the_source(market).open(Run(str(uuid4()), CAMPAIGN, agent), market.books) as providers:
        yield providers


async def asked(providers: OpenProviders, market: Market, name: str, count: int = 30) -> None:
    """Hits, misses and verdicts of one vendor."""
    one = next(each for each in providers.all if each.client.spec.name == name)
    for person in [person for person in market.people if person.email][:count]:
        await one.client.ask(Question(lead_of(person), person.email, one.client.options))


async def told_of(market: Market, name: str = "") -> list[Reconciled]:
    book = PostgresReadings(market.books.engine)
    async with http_client() as http:
        return await the_source(market).reconcile(CAMPAIGN, market.books, book, http, name)


@pytest.mark.parametrize("name", sorted(BALANCES))
async def test_every_vendor_that_tells_agrees_to_the_credit(market: Market, name: str) -> None:
    async with a_run(market) as providers:
        await asked(providers, market, name)
    [told] = await told_of(market, name)
    assert told.drift.booked == market.booked("cost_usd")[name]
    assert told.drift.taken == told.drift.booked
    assert told.agreement is Agreement.AGREED


def takes_unasked(market: Market, name: str, credits_taken: int) -> None:
    market.sandbox.parts.bill.charge(
        market.vendor(name).account, "find", "nobody asked", Decimal(credits_taken)
    )


def audited(query: Query) -> list[Any]:
    return query(
        "SELECT action, details FROM campaign_audit_log WHERE action LIKE 'balance%' ORDER BY created_at"
    )


async def test_a_charge_that_nobody_asked_for_parks_the_vendor_until_it_is_accepted(
    market: Market, query: Query
) -> None:
    async with a_run(market) as providers:
        await asked(providers, market, "findymail", 60)
        takes_unasked(market, "findymail", 60)  # over a dollar
    async with a_run(market) as following:
        [wait] = [wait for wait in following.away if wait.provider == "findymail"]
        assert "phase3 reconcile --accept findymail" in wait.why
    [line] = audited(query)
    assert line["details"]["drift_credits"] == "60.00"
    assert line["details"]["agreement"] == "parked"
    await PostgresReadings(market.books.engine).accept("findymail")
    async with a_run(market) as last:
        assert [wait.provider for wait in last.away] == []
        await asked(last, market, "findymail", 70)
    [told] = await told_of(market, "findymail")
    assert told.agreement is Agreement.AGREED
    assert len(audited(query)) == 1


async def test_a_small_drift_is_a_case_and_the_vendor_goes_on(market: Market, query: Query) -> None:
    async with a_run(market) as providers:
        await asked(providers, market, "reoon", 100)
        takes_unasked(market, "reoon", 4)
    async with a_run(market) as following:
        assert following.away == []
    assert [line["details"]["agreement"] for line in audited(query)] == ["case"]


async def test_a_call_whose_answer_was_lost_is_no_drift(market: Market) -> None:
    async with a_run(market) as providers:
        await asked(providers, market, "mailverify", 10)
        await market.fault("mailverify", "reset_after_billing", count=3)
        await asked(providers, market, "mailverify", 20)
    assert market.booked("unknown_usd")["mailverify"] > 0
    [told] = await told_of(market, "mailverify")
    assert told.agreement is Agreement.AGREED


async def test_a_top_up_is_no_drift(market: Market) -> None:
    account = market.vendor("findymail").account
    account.balance = Decimal(100)
    async with a_run(market) as providers:
        await asked(providers, market, "findymail", 20)
    account.balance += 5_000
    async with a_run(market) as providers:
        await asked(providers, market, "findymail", 40)
    [told] = await told_of(market, "findymail")
    assert told.agreement is Agreement.AGREED


async def test_another_account_of_the_same_vendor_is_counted_for_itself(market: Market, query: Query) -> None:
    async with a_run(market):
        pass
    market.vendor("findymail").account.key = "another-key-of-the-same-vendor"
    market.environment = {**market.environment, "FINDYMAIL_API_KEY": "another-key-of-the-same-vendor"}
    market.vendor("findymail").account.balance = Decimal(7)
    [told] = await told_of(market, "findymail")
    assert (told.agreement, told.drift.taken) == (Agreement.AGREED, ZERO)
    accounts = query("SELECT DISTINCT account FROM balance_readings WHERE provider = 'findymail'")
    assert len(accounts) == 2
    kept = repr(query("SELECT * FROM balance_readings"))
    assert not any(key in kept for key in market.environment.values() if len(key) > 15)


async def test_a_vendor_that_tells_nothing_fails_no_run(market: Market, query: Query) -> None:
    for name in BALANCES:
        await market.fault(name, "html_200", count=None)
    async with a_run(market) as providers:
        assert providers.away == []
    assert query("SELECT * FROM balance_readings") == []


@pytest.mark.parametrize("agent", [Agent.ENRICHMENT, Agent.FINALIZER])
async def test_a_run_that_buys_nothing_asks_for_no_balance(
    market: Market, query: Query, agent: Agent
) -> None:
    async with a_run(market, agent):
        pass
    assert query("SELECT * FROM balance_readings") == []
