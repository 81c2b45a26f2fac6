"""One account's rate limit in the database, as processes of their own see it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import Row, TextClause, text
from sqlalchemy.exc import OperationalError

from phase3_core.errors import Superseded
from phase3_core.rate_limits import Allowance, Demand, RateLimit, Slots, Spent, Unused
from resources.postgres.database import PostgresBooks
from resources.postgres.database_time import DatabaseTime
from resources.postgres.outage import Outage
from resources.postgres.rate_limits import READINGS, SharedRateLimits, in_use, shared_rate_limits
from tests.polling import until

Query = Callable[..., list[dict[str, Any]]]
NAME = "tomba/0123456789abcdef/calls"
PACED = Allowance(NAME, gap_s=0.5, late_s=1.0)
IN_FLIGHT = Allowance(NAME, in_flight=10)


@pytest.fixture
async def here(books: PostgresBooks) -> AsyncIterator[SharedRateLimits]:
    async with shared_rate_limits(books.engine, uuid4()) as limits:
        yield limits


@pytest.fixture
async def there(books: PostgresBooks) -> AsyncIterator[SharedRateLimits]:
    """Another process."""
    async with shared_rate_limits(books.engine, uuid4()) as limits:
        yield limits


async def booked(limit: RateLimit, wanted: int = 1) -> Slots:
    slots = await limit.book(wanted)
    assert isinstance(slots, Slots)
    return slots


async def test_moments_of_two_processes_follow_one_another(
    here: SharedRateLimits, there: SharedRateLimits
) -> None:
    mine = await booked(here.of(PACED), 4)
    others = await booked(there.of(PACED), 2)
    assert (mine.count, mine.gap_s, others.count) == (4, 0.5, 2)
    assert others.opens - mine.opens == pytest.approx(2.0, abs=0.1)


async def test_a_moment_is_lost_when_it_is_so_late_that_it_could_crowd_the_next(
    here: SharedRateLimits,
) -> None:
    slots = await booked(here.of(PACED))
    assert slots.late_s == pytest.approx(PACED.late_s - here.time.width_s)


def test_the_quickest_exchange_of_late_tells_the_time_of_the_database() -> None:
    time = DatabaseTime()
    time.learn(at=1000.0, sent=10.0, received=10.4)
    time.learn(at=1001.0, sent=11.1, received=11.2)
    time.learn(at=1002.0, sent=12.1, received=12.9)
    assert time.here(1003.0) == pytest.approx(13.2)


@pytest.mark.parametrize("leap", [-300.0, 300.0])
def test_a_clock_that_was_set_is_believed_at_once(leap: float) -> None:
    """Else moments would be missed, and booked anew, for as long as the old reading holds."""
    time = DatabaseTime()
    time.learn(at=1000.0, sent=10.0, received=10.1)
    time.learn(at=1001.0, sent=11.0 + leap, received=11.5 + leap)
    assert time.here(1002.0) == pytest.approx(12.5 + leap)


async def test_who_waited_for_others_to_book_still_knows_when_its_moments_are(
    here: SharedRateLimits, books: PostgresBooks, query: Query
) -> None:
    hurried = Allowance(NAME, gap_s=0.035, late_s=0.04)
    await booked(here.of(hurried))
    here.time = DatabaseTime()
    async with books.engine.begin() as others:
        await others.execute(text("SELECT 1 FROM rate_limits FOR UPDATE"))
        booking = asyncio.create_task(booked(here.of(hurried)))
        await until(lambda: query("SELECT 1 FROM pg_locks WHERE NOT granted"))
        await asyncio.sleep(2 * hurried.late_s)
    slots = await booking
    assert slots.late_s + here.time.width_s == pytest.approx(hurried.late_s)


async def test_a_database_that_is_slow_to_answer_is_not_asked_the_time_at_each_booking(
    here: SharedRateLimits, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings: list[float] = []
    read = SharedRateLimits._read_clock

    async def counted(limits: SharedRateLimits) -> None:
        readings.append(limits.monotonic())
        await read(limits)

    monkeypatch.setattr(SharedRateLimits, "_read_clock", counted)
    for _ in range(3):
        await booked(here.of(Allowance(NAME, gap_s=0.001, late_s=0.0)))
    assert len(readings) == READINGS


async def test_two_keys_do_not_share(here: SharedRateLimits) -> None:
    mine = await booked(here.of(PACED), 10)
    others = await booked(here.of(Allowance("tomba/fedcba9876543210/calls", gap_s=0.5)))
    assert others.opens - mine.opens < 1.0


async def test_a_wait_that_one_is_told_holds_everyone(
    here: SharedRateLimits, there: SharedRateLimits
) -> None:
    before = await booked(here.of(PACED))
    await there.of(PACED).hold(30.0)
    after = await booked(here.of(PACED))
    assert 29.0 < after.opens - before.opens < 32.0


async def test_refusals_slow_everyone_once_for_a_burst_of_them_and_are_forgotten(
    here: SharedRateLimits, there: SharedRateLimits, query: Query
) -> None:
    for _ in range(5):
        await there.of(PACED).strain()
    assert (await booked(here.of(PACED))).gap_s == pytest.approx(1.0, rel=0.1)
    query("UPDATE rate_limits SET strained_at = strained_at - interval '1 minute'")
    assert (await booked(here.of(PACED))).gap_s == pytest.approx(0.75, rel=0.1)
    query("UPDATE rate_limits SET strained_at = strained_at - interval '1 day'")
    assert (await booked(here.of(PACED))).gap_s == pytest.approx(0.5)


async def test_a_vendor_is_never_slowed_more_than_sixteenfold(here: SharedRateLimits, query: Query) -> None:
    for _ in range(8):
        await here.of(PACED).strain()
        query("UPDATE rate_limits SET strained_at = strained_at - interval '1.1 seconds'")
    assert (await booked(here.of(PACED))).gap_s <= 16 * 0.5


async def test_a_day_is_counted_over_all_processes_and_ends_at_midnight(
    here: SharedRateLimits, there: SharedRateLimits, query: Query
) -> None:
    day = Allowance(NAME, per_day=5)
    assert (await booked(here.of(day), 3)).count == 3
    assert (await booked(there.of(day), 3)).count == 2
    spent = await here.of(day).book(1)
    assert isinstance(spent, Spent)
    [now] = query("SELECT date_trunc('day', now(), 'UTC') + interval '1 day' AS midnight")
    assert spent.until == now["midnight"]
    assert 0 < spent.in_s <= 86_400
    query("UPDATE rate_limits SET day = day - 1")
    assert (await booked(here.of(day), 9)).count == 5


async def test_a_moment_after_midnight_counts_on_the_day_that_begins(
    here: SharedRateLimits, query: Query
) -> None:
    slow = Allowance(NAME, gap_s=10.0, late_s=1.0, per_day=5)
    today = (await booked(here.of(slow), 3)).day
    query("UPDATE rate_limits SET next_at = date_trunc('day', now(), 'UTC') + interval '1 day 5 seconds'")
    slots = await booked(here.of(slow), 4)
    assert today is not None
    assert (slots.count, slots.day) == (4, today + timedelta(days=1))
    assert (await booked(here.of(slow), 4)).count == 1


async def test_what_was_not_used_of_a_day_may_be_used_by_all_until_it_ends(
    here: SharedRateLimits, there: SharedRateLimits, query: Query
) -> None:
    day = Allowance(NAME, per_day=5)
    today = (await booked(here.of(day), 5)).day
    await here.of(day).give_back(Unused(2, today))
    assert (await booked(there.of(day), 9)).count == 2
    given = await here.of(day).book(9, Unused(1, today))
    assert isinstance(given, Slots)
    assert given.count == 1
    query("UPDATE rate_limits SET day = day - 1")
    await here.of(day).give_back(Unused(5, today))
    assert query("SELECT used_today FROM rate_limits") == [{"used_today": 5}]


@dataclass
class CutOff(SharedRateLimits):
    """Its connection breaks after the first statement was written, and nobody tells it so."""

    cut: bool = False

    async def _once(self, statement: TextClause, values: dict[str, Any]) -> Sequence[Row[Any]]:
        rows = await super()._once(statement, values)
        if "unused" in values and not self.cut:
            self.cut = True
            raise OperationalError("", None, psycopg.OperationalError("connection lost"))
        return rows


async def test_what_is_given_back_when_the_connection_breaks_is_given_back_once(
    books: PostgresBooks, here: SharedRateLimits, query: Query
) -> None:
    day = Allowance(NAME, per_day=9)
    today = (await booked(here.of(day), 6)).day
    await CutOff(books.engine, Outage(), uuid4()).of(day).give_back(Unused(2, today))
    assert query("SELECT used_today FROM rate_limits") == [{"used_today": 4}]


async def test_a_vendor_that_wants_to_be_left_alone_is_left_alone_by_all(
    here: SharedRateLimits, there: SharedRateLimits
) -> None:
    await there.of(PACED).rest(3_600.0)
    spent = await here.of(PACED).book(1)
    assert isinstance(spent, Spent)
    assert spent.in_s == pytest.approx(3_600.0, abs=5)
    share = await here.of(IN_FLIGHT).share(Demand(busy=0, queued=1))
    assert share.rests is not None
    assert share.rests.until == spent.until


async def test_those_who_book_nothing_hear_of_a_hold_with_their_places(
    here: SharedRateLimits, there: SharedRateLimits
) -> None:
    await there.of(IN_FLIGHT).hold(20.0)
    assert 19.0 < (await here.of(IN_FLIGHT).share(Demand(0, 1))).held_s <= 20.0


async def test_places_are_divided_as_a_second_process_comes(
    here: SharedRateLimits, there: SharedRateLimits, query: Query
) -> None:
    mine, others = here.of(IN_FLIGHT), there.of(IN_FLIGHT)
    assert (await mine.share(Demand(busy=0, queued=50))).places == 10
    assert (await others.share(Demand(busy=0, queued=50))).places == 0
    assert (await mine.share(Demand(busy=10, queued=40))).places == 5
    assert held(query) == 10  # ten are in flight still
    assert (await others.share(Demand(busy=0, queued=50))).places == 0
    await mine.share(Demand(busy=4, queued=40))
    assert (await others.share(Demand(busy=0, queued=50))).places == 5
    assert held(query) == 10


def held(query: Query) -> int:
    [row] = query("SELECT sum(held) AS held FROM rate_limit_places")
    return int(row["held"])


async def test_places_of_a_process_that_died_are_free_after_a_while(
    here: SharedRateLimits, there: SharedRateLimits, query: Query
) -> None:
    await there.of(IN_FLIGHT).share(Demand(0, 50))
    query("UPDATE rate_limit_places SET seen_at = seen_at - interval '29 seconds'")
    assert (await here.of(IN_FLIGHT).share(Demand(0, 50))).places == 0
    query("UPDATE rate_limit_places SET seen_at = seen_at - interval '31 seconds'")
    assert (await here.of(IN_FLIGHT).share(Demand(0, 50))).places == 10
    assert len(query("SELECT * FROM rate_limit_places")) == 1


async def test_places_are_counted_and_kept_for_the_living_alone(
    here: SharedRateLimits, there: SharedRateLimits, books: PostgresBooks, query: Query
) -> None:
    long_ago = "UPDATE rate_limit_places SET seen_at = seen_at - interval '31 seconds'"
    await there.of(IN_FLIGHT).share(Demand(0, 50))
    query(long_ago)
    assert (await in_use(books.engine))[NAME].held == 0
    await there.of(IN_FLIGHT).share(Demand(0, 50))  # it lives after all
    assert (await in_use(books.engine))[NAME].held == 10
    assert (await here.of(IN_FLIGHT).share(Demand(0, 50))).places == 0


async def test_the_next_run_of_a_campaign_takes_over_the_places_of_the_one_that_was_killed(
    books: PostgresBooks,
) -> None:
    campaign = uuid4()
    killed = SharedRateLimits(books.engine, Outage(), campaign)
    await killed.of(IN_FLIGHT).share(Demand(10, 50))
    async with shared_rate_limits(books.engine, campaign) as limits:
        assert (await limits.of(IN_FLIGHT).share(Demand(0, 1))).places == 10


async def test_a_run_that_ends_gives_its_places_back(books: PostgresBooks, query: Query) -> None:
    async with shared_rate_limits(books.engine, uuid4()) as limits:
        await limits.of(IN_FLIGHT).share(Demand(0, 50))
    assert query("SELECT * FROM rate_limit_places") == []


async def test_what_is_asked_without_booking_is_counted_with_the_places(
    books: PostgresBooks, here: SharedRateLimits
) -> None:
    await here.of(IN_FLIGHT).share(Demand(3, 0, asked=7))
    await here.of(IN_FLIGHT).share(Demand(3, 0, asked=2))
    use = (await in_use(books.engine))[NAME]
    assert (use.used_today, use.held, use.strain) == (9, 10, 1.0)


CLOCK_WAS_AHEAD = "UPDATE rate_limits SET next_at = next_at + {ahead}, booked_at = booked_at + {ahead}"


@pytest.mark.parametrize("ahead", ["interval '0'", "interval '1 day'"])
async def test_a_queue_is_as_long_once_a_clock_that_was_ahead_is_set_back(
    here: SharedRateLimits, query: Query, ahead: str
) -> None:
    slow = Allowance(NAME, gap_s=60.0, in_flight=5)
    await booked(here.of(slow), 200)
    query(CLOCK_WAS_AHEAD.format(ahead=ahead))
    for turn in range(2):
        slots = await booked(here.of(slow))
        assert slots.opens - here.monotonic() == pytest.approx((200 + turn) * 60.0, abs=5.0)


async def test_a_hold_after_a_clock_was_set_back_is_as_long_as_it_says(
    here: SharedRateLimits, query: Query
) -> None:
    await booked(here.of(PACED))
    query(CLOCK_WAS_AHEAD.format(ahead="interval '1 day'"))
    await here.of(PACED).hold(30.0)
    slots = await booked(here.of(PACED))
    assert slots.opens - here.monotonic() == pytest.approx(30.0, abs=5.0)


async def test_whoever_was_superseded_leaves_its_successors_places(books: PostgresBooks) -> None:
    campaign = uuid4()
    zombie, successor = (shared_rate_limits(books.engine, campaign) for _ in range(2))
    async with successor as limits:
        await limits.of(IN_FLIGHT).share(Demand(busy=0, queued=10))
        with pytest.raises(Superseded):
            async with zombie:
                raise Superseded(str(campaign))
        assert (await in_use(books.engine))[NAME].held == 10
