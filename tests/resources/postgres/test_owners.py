"""A question that a run of another campaign asks is waited for while that run lives, and no longer."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from psycopg.errors import AdminShutdown
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from phase3_core.calls import ReplayClass
from phase3_core.ledger import Elsewhere, Granted, Intent, Submitted, Withheld
from phase3_core.runs import Run
from phase3_core.statuses import Agent
from resources.postgres.database import driver_url
from resources.postgres.lease import Lease
from resources.postgres.ledger import PostgresLedger
from resources.postgres.outage import Outage
from resources.postgres.owners import (
    GONE_AFTER_S,
    LONGEST_BELIEVED_S,
    LOOK_EVERY_S,
    STEADY_S,
    Owners,
)
from tests.fakes.clock import FakeClock
from tests.resources.postgres.test_ledger import CEILING, asks

Query = Callable[..., list[dict[str, Any]]]
OTHER, MINE = (Run(name, uuid4(), Agent.EMAIL_VERIFICATION) for name in ("other", "mine"))


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(driver_url(database_url))
    yield engine
    await engine.dispose()


@pytest.fixture
async def lease(engine: AsyncEngine) -> AsyncIterator[Lease]:
    """The other run's hold on its campaign."""
    lease = Lease(engine, OTHER)
    await lease.take()
    yield lease
    await lease.let_go()


class Books:
    """Ledgers of both runs; time at which the owner of a call is looked at passes by hand."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.clock = FakeClock()
        self.other, self.mine = (PostgresLedger(run, 86_400.0, engine) for run in (OTHER, MINE))
        self.outage = Outage(monotonic=self.clock.monotonic)
        self.mine._owners = Owners(engine, self.outage)

    async def close(self) -> None:
        await asyncio.gather(self.other.close(), self.mine.close())


@pytest.fixture
async def books(engine: AsyncEngine) -> AsyncIterator[Books]:
    books = Books(engine)
    yield books
    await books.close()


def moments(seconds: float) -> Iterator[float]:
    passed = 0.0
    while passed < seconds:
        passed += LOOK_EVERY_S
        yield LOOK_EVERY_S


async def looked_at(books: Books, intent: Intent, seconds: float) -> Any:
    """What is said in the end, to one who asks every second."""
    said: Any = await books.mine.glance(intent)
    for moment in moments(seconds):
        books.clock.advance(moment)
        said = await books.mine.glance(intent)
    return said


async def test_while_its_run_lives_the_answer_is_waited_for(books: Books, lease: Lease) -> None:
    task = asks("dana", replay=ReplayClass.JOB, deadline_s=3_840.0)
    assert isinstance(await books.other.open(task), Granted)
    assert await looked_at(books, task, 60.0) == Elsewhere()
    assert await books.mine.open(task) == Elsewhere()
    assert lease.fence == 1


async def test_a_task_of_a_run_that_died_is_read_long_before_its_deadline(books: Books, lease: Lease) -> None:
    task = asks("dana", replay=ReplayClass.JOB, deadline_s=3_840.0)
    call = await books.other.open(task)
    assert isinstance(call, Granted)
    await books.other.note_job(call.key, "task-1")
    await lease.let_go()
    assert await looked_at(books, task, GONE_AFTER_S - 1) == Elsewhere()
    assert await looked_at(books, task, 2.0) == Submitted()
    assert await books.mine.open(task) == Granted(call.key, "task-1", reserved=CEILING)


@pytest.mark.parametrize(
    ("replay", "said"), [(ReplayClass.PER_CALL, Withheld), (ReplayClass.ON_HIT, Granted)]
)
async def test_a_call_of_a_run_that_died_is_a_lost_call(
    books: Books, lease: Lease, query: Query, replay: ReplayClass, said: type
) -> None:
    intent = asks("dana", replay=replay)
    await books.other.open(intent)
    await lease.let_go()
    await looked_at(books, intent, GONE_AFTER_S + 1)
    assert isinstance(await books.mine.open(intent), said)
    assert query("SELECT losses, unknown_usd > 0 AS doubt FROM provider_calls") == [
        {"losses": 1, "doubt": True}
    ]


async def nearly_gone(books: Books, lease: Lease) -> Intent:
    """What a run asked that has lost its lock for almost as long as is believed."""
    intent = asks("dana")
    await books.other.open(intent)
    await lease.let_go()
    assert await looked_at(books, intent, GONE_AFTER_S - 1) == Elsewhere()
    return intent


async def test_a_run_whose_connection_broke_for_a_while_is_alive(books: Books, lease: Lease) -> None:
    intent = await nearly_gone(books, lease)
    await lease._look()
    assert await looked_at(books, intent, 60.0) == Elsewhere()


async def test_a_run_whose_lock_is_cut_twice_is_alive_though_nobody_saw_it_in_between(
    books: Books, lease: Lease
) -> None:
    intent = await nearly_gone(books, lease)
    await lease._look()
    await lease.let_go()
    assert await looked_at(books, intent, GONE_AFTER_S) == Elsewhere()
    assert await looked_at(books, intent, 1.0) is None


async def test_a_run_that_has_lost_its_lock_in_an_outage_has_the_time_again_after_the_next(
    books: Books, lease: Lease
) -> None:
    intent = await nearly_gone(books, lease)
    await away_for_a_moment(books.outage)
    assert await looked_at(books, intent, GONE_AFTER_S - 1) == Elsewhere()
    assert await looked_at(books, intent, 2.0) is None


async def test_a_lock_that_was_free_long_ago_may_have_been_held_since(books: Books, lease: Lease) -> None:
    intent = asks("dana", replay=ReplayClass.JOB, deadline_s=3_840.0)
    await books.other.open(intent)
    await lease.let_go()
    assert await books.mine.glance(intent) == Elsewhere()
    books.clock.advance(GONE_AFTER_S + 1)
    assert await books.mine.glance(intent) == Elsewhere()
    assert await looked_at(books, intent, GONE_AFTER_S + 1) is None


async def test_after_an_outage_who_was_answered_in_it_has_time_to_write_it_down(
    books: Books, query: Query
) -> None:
    intent = asks("dana", replay=ReplayClass.ON_HIT)
    await books.other.open(intent)
    query("UPDATE provider_calls SET lost_after = now() - interval '1 second'")
    await away_for_a_moment(books.outage)
    assert await books.mine.open(intent) == Elsewhere()
    books.clock.advance(STEADY_S + 1)
    assert isinstance(await books.mine.open(intent), Granted)


async def test_a_call_long_overdue_is_lost_whatever_the_database_does(books: Books, query: Query) -> None:
    intent = asks("dana", replay=ReplayClass.ON_HIT)
    await books.other.open(intent)
    query(f"UPDATE provider_calls SET lost_after = now() - interval '{LONGEST_BELIEVED_S + 1} seconds'")
    await away_for_a_moment(books.outage)
    assert isinstance(await books.mine.open(intent), Granted)


@pytest.mark.parametrize("replay", [ReplayClass.ON_HIT, ReplayClass.PER_CALL])
async def test_a_grant_that_was_renewed_meanwhile_is_not_taken_over(
    books: Books, query: Query, replay: ReplayClass
) -> None:
    intent = asks("dana", replay=replay)
    await books.other.open(intent)
    query("UPDATE provider_calls SET lost_after = now() - interval '1 second'")
    seen = await books.mine._batches.newest(intent.question)
    assert seen is not None
    query("UPDATE provider_calls SET lost_after = now() + interval '60 seconds'")
    await books.mine._after_silence(intent, seen)
    assert query("SELECT state, attempt, losses FROM provider_calls") == [
        {"state": "intent", "attempt": 1, "losses": 0}
    ]


async def away_for_a_moment(outage: Outage) -> None:
    """A statement meets a server that shuts down, and is repeated."""
    failures = [AdminShutdown("terminating connection")]

    async def statement() -> None:
        if failures:
            raise failures.pop()

    await outage.outlast(statement)


async def test_where_its_campaign_has_another_run_the_one_before_is_dead(
    books: Books, lease: Lease, engine: AsyncEngine
) -> None:
    intent = asks("dana", replay=ReplayClass.ON_HIT)
    await books.other.open(intent)
    await lease.let_go()
    successor = Lease(engine, Run("next", OTHER.campaign_id, Agent.EMAIL_VERIFICATION))
    await successor.take()
    assert isinstance(await books.mine.open(intent), Granted)
    await successor.let_go()


async def test_what_a_successor_asks_is_not_judged_by_what_was_seen_of_the_run_before(
    books: Books, lease: Lease, engine: AsyncEngine
) -> None:
    await books.other.open(asks("dana"))
    assert await books.mine.glance(asks("dana")) == Elsewhere()
    await lease.let_go()
    successor = Run("next", OTHER.campaign_id, Agent.EMAIL_VERIFICATION)
    taken = Lease(engine, successor)
    await taken.take()
    theirs = PostgresLedger(successor, 86_400.0, engine)
    await theirs.open(asks("ada"))
    assert await books.mine.glance(asks("ada")) == Elsewhere()
    await taken.let_go()
    await theirs.close()


async def test_where_no_lease_tells_the_deadline_does(books: Books, query: Query) -> None:
    intent = asks("dana", replay=ReplayClass.ON_HIT)
    await books.other.open(intent)
    assert await looked_at(books, intent, 120.0) == Elsewhere()
    query("UPDATE provider_calls SET lost_after = now() - interval '1 second'")
    assert isinstance(await books.mine.open(intent), Granted)
