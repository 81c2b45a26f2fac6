"""What runs beside one another and one after another know of a provider; the accounts of the sandbox."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from phase3_core.breaker import (
    FAILURES_IN_A_ROW,
    Breaker,
    Closed,
    Event,
    Failed,
    HalfOpen,
    Open,
    Reading,
    after_all,
)
from phase3_core.calls import Facts, Gap, Hit, Judgement, Miss, NoAnswer
from phase3_core.errors import OutsideFailure
from phase3_core.runs import Run
from phase3_core.statuses import Agent
from resources.assembly import postgres_breakers, postgres_ledger
from resources.postgres.breakers import PostgresBreakers
from resources.providers.accounts import Account
from resources.providers.exchange import Exchange
from resources.providers.health import Health
from resources.providers.open_providers import OneProvider, OpenProviders
from resources.providers.source import VendorSource
from resources.settings import Settings
from sandbox.options import Options
from tests.fakes.clock import FakeClock
from tests.polling import until
from tests.resources.providers.market import HastyClock, Market, a_market, hasty, lead_of

Query = Callable[..., list[dict[str, Any]]]


@pytest.fixture
async def market(database_url: str, query: Query) -> AsyncIterator[Market]:
    async with a_market(database_url, query, Options(latency_ms=0, rate_factor=1000)) as made:
        yield made


@asynccontextmanager
async def a_run(market: Market, campaign: Any = None) -> AsyncIterator[OpenProviders]:
    """All parts of a waterfall, with their state shared as a real run shares it."""
    names = ("TOMBA", "FINDYMAIL", "REOON", "PEOPLE_DATA_LABS")
    environment = {key: value for key, value in market.environment.items() if key.startswith(names)}
    clock = HastyClock()
    source = VendorSource(
        Settings(), environment, postgres_ledger(3_600.0), clock, clock.sleep, breakers=postgres_breakers
    )
    run = Run(str(uuid4()), campaign or uuid4(), Agent.EMAIL_VERIFICATION)
    async with source.open(run, market.books) as providers:
        yield providers


def the(providers: OpenProviders, name: str) -> OneProvider:
    return next(one for one in providers.all if one.name == name)


async def broken_down(market: Market, providers: OpenProviders) -> None:
    await market.fault("reoon", "server_error", count=None)
    people = iter(market.people)
    while not the(providers, "reoon").client.health.open:
        person = next(people)
        await the(providers, "reoon").verify(lead_of(person), f"{uuid4().hex}@{person.company.domain}")


async def test_a_breaker_that_opens_in_one_run_is_open_beside_it_and_after_it(
    market: Market,
) -> None:
    async with a_run(market) as one, a_run(market) as other:
        await broken_down(market, one)
        await until(lambda: the(other, "reoon").client.health.open is not None)
        assert [wait.provider for wait in other.away] == ["reoon"]
        assert "its service fails (HTTP 5" in other.skipped[-1].why
    async with a_run(market) as later:
        assert [wait.provider for wait in later.away] == ["reoon"]
        reply = await the(later, "reoon").verify(lead_of(market.people[0]), "nobody@acme.example")
        assert isinstance(reply, NoAnswer)
        assert reply.gap is Gap.LATER


async def test_once_it_answers_three_probes_it_is_closed_for_all(market: Market, query: Query) -> None:
    async with a_run(market) as one:
        await broken_down(market, one)
    market.sandbox.parts.faults.rules.clear()
    query("UPDATE breakers SET open_until = now() WHERE provider = 'reoon'")
    people = [person for person in market.people if person.email][:10]
    async with a_run(market) as later:
        asking = (the(later, "reoon").verify(lead_of(person), person.email) for person in people)
        assert {type(reply) for reply in await asyncio.gather(*asking)} == {Judgement}
    assert query("SELECT state FROM breakers WHERE provider = 'reoon'") == [{"state": "closed"}]


# --- accounts


def known_to(market: Market, finder: str) -> Any:
    return next(person for person in market.people if finder in person.finders)


async def test_an_empty_account_is_used_again_by_the_next_run_only_once_it_holds_credits(
    market: Market, query: Query
) -> None:
    account, person = market.vendor("findymail").account, known_to(market, "findymail")
    account.balance = Decimal(0)
    async with a_run(market) as first:
        reply = await the(first, "findymail").find(lead_of(person))
        assert isinstance(reply, NoAnswer)
        assert reply.gap is Gap.PARKED
    assert query("SELECT provider FROM breakers WHERE out_of_credits_since IS NOT NULL") == [
        {"provider": "findymail"}
    ]
    asked = account.requests
    async with a_run(market) as second:
        assert [wait.provider for wait in second.away] == ["findymail"]
        assert isinstance(await the(second, "findymail").find(lead_of(person)), NoAnswer)
    assert account.requests == asked + 1  # the balance, and no search
    account.balance = Decimal(5)
    async with a_run(market) as third:
        assert third.away == []
        assert isinstance(await the(third, "findymail").find(lead_of(person)), Hit)
    assert query("SELECT provider FROM breakers WHERE out_of_credits_since IS NOT NULL") == []
    await market.assert_books_agree()


async def about_all(market: Market, run: OpenProviders, first: int) -> list[Any]:
    """Of ten people each time, so that nothing is known from before."""
    asked = market.people[10 * first : 10 * first + 10]
    return await asyncio.gather(*(the(run, "people_data_labs").enrich(lead_of(one)) for one in asked))


async def test_an_empty_account_of_which_nobody_tells_is_tried_by_one_call_as_a_run_begins(
    market: Market, query: Query
) -> None:
    account = market.vendor("people_data_labs").account
    account.balance = Decimal(0)
    async with a_run(market) as first:
        await about_all(market, first, 0)
    asked = account.requests
    async with a_run(market) as one, a_run(market) as other:
        assert [*one.away, *other.away] == []
        for run, people in ((one, 1), (other, 2)):
            replies = await about_all(market, run, people)
            assert {reply.gap for reply in replies} == {Gap.PARKED}
            assert [wait.provider for wait in run.away] == ["people_data_labs"]
            await about_all(market, run, people + 2)
    assert account.requests == asked + 2
    account.balance = Decimal(500)
    async with a_run(market) as last:
        assert {type(reply) for reply in await about_all(market, last, 5)} <= {Facts, Miss}
    assert query("SELECT provider FROM breakers WHERE out_of_credits_since IS NOT NULL") == []
    await market.assert_books_agree()


async def test_an_account_that_is_topped_up_is_used_again_in_the_same_run(market: Market) -> None:
    account, person = market.vendor("findymail").account, known_to(market, "findymail")
    account.balance = Decimal(0)
    async with a_run(market) as providers:
        findymail = the(providers, "findymail")
        assert isinstance(await findymail.find(lead_of(person)), NoAnswer)
        account.balance = Decimal(5)

        def used_again_a_minute_later() -> bool:
            hasty(findymail.client.clock).skip(61.0)
            return not findymail.client.standing.parked

        await until(used_again_a_minute_later)
        assert isinstance(await findymail.find(lead_of(person)), Hit)


@dataclass
class Vault:
    """An account and who asks for it."""

    credits: Decimal | None
    out_of_credits: bool = True
    asked_at: list[float] = field(default_factory=list)
    now: float = 0.0

    def refilled(self) -> None:
        self.out_of_credits = False

    def try_at_once(self) -> None: ...

    async def balance(self) -> Decimal | None:
        self.asked_at.append(self.now)
        return self.credits


async def looked_at(vault: Vault, seconds: int, enough: int = 1) -> Vault:
    account = Account(vault, enough, vault.balance)
    for second in range(seconds):
        vault.now = float(second)
        await account.look(vault.now)
    return vault


async def test_a_balance_is_asked_for_ever_more_rarely() -> None:
    vault = await looked_at(Vault(Decimal(0)), 3_000)
    assert vault.asked_at == [60.0, 180.0, 420.0, 900.0, 1_500.0, 2_100.0, 2_700.0]


@pytest.mark.parametrize(("credits_left", "used"), [(None, False), (2, False), (3, True)])
async def test_an_account_needs_credits_for_one_call(*, credits_left: int | None, used: bool) -> None:
    left = None if credits_left is None else Decimal(credits_left)
    vault = await looked_at(Vault(left), 70, enough=3)
    assert vault.out_of_credits is not used


async def test_an_account_that_holds_something_is_not_asked_about() -> None:
    assert (await looked_at(Vault(Decimal(9), out_of_credits=False), 1_000)).asked_at == []


# --- telling


@dataclass
class Book:
    """Implements `BreakerBook`, and is out of reach while `away`."""

    clock: FakeClock
    away: bool = False
    breaker: Breaker = field(default_factory=Closed)
    tellings: int = 0

    async def begin(self, providers: Sequence[str]) -> Reading:
        return Reading(self.clock.seconds, dict.fromkeys(providers, self.breaker))

    async def tell(self, events: Mapping[str, Sequence[Event]], providers: Sequence[str]) -> Reading:
        await asyncio.sleep(0)
        if self.away:
            raise OutsideFailure("gone")
        self.tellings += 1
        self.breaker = after_all(self.breaker, events.get("tomba", ()), self.clock.seconds)
        return await self.begin(providers)

    async def note_credits(self, provider: str, *, empty: bool) -> None: ...


def healths(book: Book, count: int = 2) -> list[Health]:
    """One provider's in so many runs."""
    made = [Health() for _ in range(count)]
    for health in made:
        health.begin("tomba", Exchange(book.clock.monotonic, book=book))
    return made


async def test_answers_are_counted_and_not_told_one_by_one() -> None:
    book = Book(FakeClock())
    health, _ = healths(book)
    for _ in range(1_000):
        health.answered(Miss())
    await asyncio.sleep(0)
    assert book.tellings == 0
    await health.exchange.tell()
    assert isinstance(book.breaker, Closed)
    assert [bucket.calls for bucket in book.breaker.window] == [1_000]


async def test_failures_of_two_runs_add_up() -> None:
    book = Book(FakeClock())
    one, other = healths(book)
    for number in range(FAILURES_IN_A_ROW - 1):
        (one, other)[number % 2].failed("HTTP 502", object())
    await asyncio.gather(one.exchange.tell(), other.exchange.tell())
    assert not one.open
    other.failed("HTTP 502", object())
    await other.exchange.tell()
    await one.exchange.tell()
    assert one.open
    assert other.open


async def test_what_cannot_be_told_counts_here_and_is_told_later() -> None:
    book = Book(FakeClock(), away=True)
    health, other = healths(book)
    for _ in range(FAILURES_IN_A_ROW):
        health.failed("HTTP 502", object())
    await health.exchange.tell()
    assert health.open
    assert book.breaker == Closed()
    book.away = False
    await health.exchange.tell()
    assert isinstance(book.breaker, Open)
    await other.exchange.tell()
    assert other.open


async def test_between_two_runs_there_are_three_probes() -> None:
    book = Book(FakeClock(), breaker=HalfOpen("HTTP 502"))
    runs = healths(book)
    for health in runs:
        await health.exchange.tell()
    asking = [asyncio.ensure_future(health.admits(30.0)) for health in runs * 4]
    await asyncio.sleep(0.05)
    assert sum(task.done() for task in asking) == 3
    for health in runs:
        health.park("the run is ending")
        health.exchange.naps.end()
    await asyncio.gather(*asking)


async def test_a_database_that_is_away_is_told_at_once() -> None:

    nowhere = create_async_engine("postgresql+psycopg://nobody@127.0.0.1:9/nothing")
    with pytest.raises(OutsideFailure, match="away"):
        await PostgresBreakers(nowhere).tell({"tomba": [Failed("x")]}, ["tomba"])
