"""Breakers that all runs share: one row a provider, on the database's time."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from phase3_core.breaker import (
    FAILURES_IN_A_ROW,
    OPEN_S,
    PROBES,
    Answered,
    Breaker,
    Closed,
    Failed,
    HalfOpen,
    Leased,
    Open,
    holds_probe,
)
from resources.postgres.breakers import PostgresBreakers
from resources.postgres.database import PostgresBooks

Query = Callable[..., list[dict[str, Any]]]
DOWN = Failed("HTTP 502")


@pytest.fixture
def book(books: PostgresBooks) -> PostgresBreakers:
    return PostgresBreakers(books.engine)


async def test_what_one_run_tells_the_others_see(book: PostgresBreakers, books: PostgresBooks) -> None:
    other = PostgresBreakers(books.engine)
    await book.tell({"tomba": [DOWN] * 3}, ["tomba"])
    reading = await other.tell({"tomba": [DOWN] * 2}, ["tomba", "reoon"])
    seen = reading.breakers["tomba"]
    assert isinstance(seen, Open)
    assert seen.why == "HTTP 502"
    assert seen.until == pytest.approx(reading.now + OPEN_S, abs=1.0)


async def test_what_many_tell_at_once_is_all_counted(book: PostgresBreakers) -> None:
    telling = [book.tell({"tomba": [Answered(2)], "reoon": [Answered()]}, []) for _ in range(12)]
    await asyncio.gather(*telling)
    breakers = (await book.tell({}, ["tomba", "reoon"])).breakers
    assert {name: calls_of(breaker) for name, breaker in breakers.items()} == {"tomba": 24, "reoon": 12}


def calls_of(breaker: Breaker) -> int:
    assert isinstance(breaker, Closed)
    return sum(bucket.calls for bucket in breaker.window)


async def test_every_state_is_read_as_it_was_written(book: PostgresBreakers, query: Query) -> None:
    closed = (await book.tell({"a": [Answered(4), DOWN]}, ["a"])).breakers["a"]
    opened = (await book.tell({"b": [DOWN] * FAILURES_IN_A_ROW}, ["b"])).breakers["b"]
    await book.tell({"c": [DOWN] * FAILURES_IN_A_ROW}, ["c"])
    query("UPDATE breakers SET open_until = now() WHERE provider = 'c'")
    probing = (await book.tell({"c": [Leased("me", 30.0), Answered()]}, ["c"])).breakers["c"]
    assert (await book.tell({}, ["a", "b", "c"])).breakers == {"a": closed, "b": opened, "c": probing}
    assert isinstance(probing, HalfOpen)


async def test_of_many_workers_three_probe(book: PostgresBreakers, query: Query) -> None:
    await book.tell({"tomba": [DOWN] * FAILURES_IN_A_ROW}, ["tomba"])
    query("UPDATE breakers SET open_until = now()")

    async def wants(name: str) -> bool:
        reading = await book.tell({"tomba": [Leased(name, 30.0)]}, ["tomba"])
        return holds_probe(reading.breakers["tomba"], name)

    granted = await asyncio.gather(*(wants(f"worker-{number}") for number in range(10)))
    assert granted.count(True) == PROBES


async def test_an_open_breaker_is_found_by_the_next_run(book: PostgresBreakers) -> None:
    told = (await book.tell({"tomba": [DOWN] * FAILURES_IN_A_ROW}, ["tomba"])).breakers
    assert (await book.begin(["tomba"])).breakers == told


async def test_one_that_was_open_long_ago_is_probed_first(book: PostgresBreakers, query: Query) -> None:
    await book.tell({"tomba": [DOWN] * FAILURES_IN_A_ROW}, ["tomba"])
    query("UPDATE breakers SET open_until = now() - interval '1 day', updated_at = now() - interval '1 day'")
    assert (await book.begin(["tomba"])).breakers == {"tomba": HalfOpen("HTTP 502")}


def ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


LOST = {"state": "unknown", "outcome": "error", "error": "no answer"}


async def test_without_a_fresh_row_the_newest_calls_tell(
    book: PostgresBreakers, book_call: Callable[..., None]
) -> None:
    for seconds in (50, 40, 30, 20, 10):
        book_call(UUID(int=1), created_at=ago(seconds), settled_at=ago(seconds), **LOST)
    book_call(UUID(int=1), created_at=ago(60), settled_at=ago(60))
    reading = await book.begin(["tomba", "reoon"])
    tomba = reading.breakers["tomba"]
    assert isinstance(tomba, Open)
    assert tomba.until == pytest.approx(reading.now + OPEN_S - 10, abs=2.0)
    assert reading.breakers["reoon"] == Closed()


@pytest.mark.parametrize(
    "harmless",
    [
        {"outcome": "miss"},
        {"outcome": "error", "http_status": 401},
        {"outcome": "error", "http_status": 429},
        {**LOST, "created_at": ago(7_200), "settled_at": ago(7_200)},
    ],
    ids=["not found", "refused", "rate limited", "long ago"],
)
async def test_other_calls_open_nothing(
    book: PostgresBreakers, book_call: Callable[..., None], harmless: dict[str, Any]
) -> None:
    for _ in range(30):
        book_call(UUID(int=1), **{"created_at": ago(5), "settled_at": ago(5), **harmless})
    assert isinstance((await book.begin(["tomba"])).breakers["tomba"], Closed)


async def test_an_empty_account_is_known_to_all_until_it_is_filled(
    book: PostgresBreakers, query: Query
) -> None:
    await book.note_credits("tomba", empty=True)
    [first] = query("SELECT out_of_credits_since AS since FROM breakers")
    await book.note_credits("tomba", empty=True)
    assert query("SELECT out_of_credits_since AS since FROM breakers") == [first]
    assert (await book.begin(["tomba", "reoon"])).out_of_credits == {"tomba"}
    await book.note_credits("tomba", empty=False)
    assert (await book.tell({}, ["tomba"])).out_of_credits == frozenset()
