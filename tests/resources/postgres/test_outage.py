"""The database goes away for a while, or for good."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import errors
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as NoFreeConnection

from phase3_core.errors import OutsideFailure
from phase3_core.ledger import Elsewhere, Granted, Stored
from phase3_core.runs import Run
from phase3_core.statuses import Agent, CampaignStatus
from resources.postgres.database import PostgresDatabase
from resources.postgres.ledger import ledger
from resources.postgres.outage import Outage, is_away
from tests.conftest import MakeCampaign
from tests.fakes.wire import Cut, Wire, wire
from tests.polling import until
from tests.resources.postgres.conftest import Query
from tests.resources.postgres.test_ledger import DAY_S, asks, granted, hit

LOST = psycopg.OperationalError("server closed the connection unexpectedly\n\tThis probably means")


@pytest.fixture
async def carried(database_url: str) -> AsyncIterator[Wire]:
    async with wire(database_url) as opened:
        yield opened


def run_on(campaign_id: UUID) -> Run:
    return Run(uuid4().hex, campaign_id, Agent.EMAIL_VERIFICATION)


async def waiting(outage: Outage, number: int) -> None:
    await until(lambda: outage.waiting >= number, every_s=0)


async def test_while_it_is_away_nothing_is_asked_and_no_outcome_is_forgotten(
    carried: Wire, query: Query
) -> None:
    campaign = run_on(uuid4())
    async with (
        PostgresDatabase(carried.url).open(campaign) as books,
        ledger(books.engine, campaign, DAY_S, books.fence, books.outage) as book,
    ):
        answered = [await granted(book, asks(f"lead {n}")) for n in range(20)]
        carried.go_down()
        settling = [asyncio.create_task(book.settle(hit(call.key))) for call in answered]
        asking = [asyncio.create_task(book.open(asks(f"new {n}"))) for n in range(20)]
        await asyncio.wait_for(waiting(books.outage, 2), 10)
        assert not any(task.done() for task in settling + asking)
        assert query("SELECT count(*) AS n FROM provider_calls WHERE state = 'intent'") == [{"n": 20}]
        carried.down = False
        await asyncio.wait_for(asyncio.gather(*settling), 10)
        opened = await asyncio.wait_for(asyncio.gather(*asking), 10)
        assert all(isinstance(one, Granted) for one in opened)
        assert isinstance(await book.open(asks("lead 7")), Stored)
    states = query("SELECT state, count(*) AS n FROM provider_calls GROUP BY 1 ORDER BY 1")
    assert states == [{"state": "intent", "n": 20}, {"state": "settled", "n": 20}]


async def test_a_campaign_goes_on_where_it_stopped(
    carried: Wire, query: Query, make_campaign: MakeCampaign
) -> None:
    campaign = make_campaign([{}])
    async with PostgresDatabase(carried.url).open(run_on(campaign.id)) as books:
        carried.go_down()
        moving = asyncio.create_task(books.campaigns.move(campaign.id, CampaignStatus.VERIFYING_EMAILS))
        await asyncio.wait_for(waiting(books.outage, 1), 10)
        carried.down = False
        await asyncio.wait_for(moving, 10)
        assert len(await books.leads.get_campaign_leads(campaign.id)) == 1
    assert query("SELECT status FROM campaigns") == [{"status": "verifying_emails"}]


async def test_one_that_stays_away_is_told_in_one_line_and_not_waited_for_again(
    carried: Wire, make_campaign: MakeCampaign
) -> None:
    campaign = make_campaign([{}])
    async with PostgresDatabase(carried.url, longest_outage_s=0.2).open(run_on(campaign.id)) as books:
        carried.go_down()
        with pytest.raises(OutsideFailure, match=r"^The database has been away for 0 s \(.*goes on") as gone:
            await books.leads.get_campaign_leads(campaign.id)
        assert "\n" not in str(gone.value)
        books.outage.longest_s = 3600
        with pytest.raises(OutsideFailure) as once_more:
            await asyncio.wait_for(books.leads.get_campaign_leads(campaign.id), 10)
        assert str(once_more.value) == str(gone.value)


async def test_whoever_waits_can_be_cancelled(carried: Wire, make_campaign: MakeCampaign) -> None:
    campaign = make_campaign([{}])
    async with PostgresDatabase(carried.url).open(run_on(campaign.id)) as books:
        carried.go_down()
        reading = asyncio.create_task(books.leads.get_campaign_leads(campaign.id))
        await asyncio.wait_for(waiting(books.outage, 1), 10)
        reading.cancel()
        await asyncio.wait([reading])
        assert reading.cancelled()
        assert books.outage.waiting == 0
        carried.down = False


async def test_a_call_granted_in_the_dark_has_all_its_time(carried: Wire, query: Query) -> None:
    """Cut after the row was written, which then grows old while the database is away."""
    campaign = run_on(uuid4())
    async with (
        PostgresDatabase(carried.url, look_every_s=3600).open(campaign) as books,
        ledger(books.engine, campaign, DAY_S, books.fence, books.outage) as book,
    ):
        carried.cuts = {carried.statements + 1: Cut.AFTER}
        asking = asyncio.create_task(book.open(asks()))
        await asyncio.wait_for(waiting(books.outage, 1), 10)
        query("UPDATE provider_calls SET lost_after = now() - interval '1 hour'")
        assert isinstance(await asyncio.wait_for(asking, 10), Granted)
    assert query("SELECT lost_after > now() AS alive FROM provider_calls") == [{"alive": True}]


async def test_a_call_granted_in_the_dark_is_not_made_when_the_campaign_is_anothers_by_then(
    carried: Wire, query: Query
) -> None:
    first = run_on(uuid4())
    async with (
        PostgresDatabase(carried.url, look_every_s=3600).open(first) as books,
        ledger(books.engine, first, DAY_S, books.fence, books.outage) as book,
    ):
        carried.cuts = {carried.statements + 1: Cut.AFTER}
        asking = asyncio.create_task(book.open(asks()))
        await asyncio.wait_for(waiting(books.outage, 1), 10)
        query("UPDATE campaign_leases SET fence = fence + 1")
        assert isinstance(await asyncio.wait_for(asking, 10), Elsewhere)


@pytest.mark.parametrize(
    ("failure", "away"),
    [
        (LOST, True),
        (OperationalError("SELECT", {}, LOST), True),
        (OperationalError("the call ledger", None, OperationalError("SELECT", {}, LOST)), True),
        (errors.AdminShutdown(), True),
        (errors.CrashShutdown(), True),
        (errors.CannotConnectNow(), True),
        (errors.ConnectionFailure(), True),
        (errors.TooManyConnections(), True),
        (errors.ReadOnlySqlTransaction(), True),
        (NoFreeConnection(), True),
        (errors.QueryCanceled(), False),
        (errors.DiskFull(), True),
        (errors.OutOfMemory(), True),
        (errors.DeadlockDetected(), False),
        (errors.UniqueViolation(), False),
        (IntegrityError("INSERT", {}, errors.UniqueViolation()), False),
        (psycopg.DataError("PostgreSQL text fields cannot contain NUL"), False),
        (ConnectionResetError(), False),
    ],
)
def test_what_is_gone_and_what_is_refused(*, failure: Exception, away: bool) -> None:
    assert is_away(failure) is away


async def test_what_is_refused_is_not_repeated() -> None:
    tries = []

    async def refused() -> None:
        tries.append(1)
        raise errors.UniqueViolation

    with pytest.raises(errors.UniqueViolation):
        await Outage().outlast(refused)
    assert tries == [1]


async def test_a_refusal_at_the_repeat_is_the_answer() -> None:
    failures = [LOST, LOST, errors.UniqueViolation()]

    async def work() -> None:
        raise failures.pop(0)

    with pytest.raises(errors.UniqueViolation):
        await Outage(first_pause_s=0.001).outlast(work)
    assert failures == []


async def test_who_is_picked_to_end_a_deadlock_goes_on(database_url: str) -> None:
    both_hold_one = asyncio.Barrier(2)
    tries: list[int] = []
    async with PostgresDatabase(database_url).reading() as books:

        async def lock(first: int, second: int) -> int:
            async with books.engine.begin() as connection:
                await connection.execute(select(func.pg_advisory_xact_lock(first)))
                tries.append(first)
                if tries.count(first) == 1:
                    await both_hold_one.wait()
                await connection.execute(select(func.pg_advisory_xact_lock(second)))
            return first

        outage = Outage(0)
        entangled = outage.outlast(lambda: lock(1, 2)), outage.outlast(lambda: lock(2, 1))
        first, second = await asyncio.gather(*entangled)
    assert (first, second) == (1, 2)
    assert len(tries) == 3


FULL = """
CREATE TABLE disk (is_full boolean);
INSERT INTO disk VALUES (true);
CREATE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF (SELECT is_full FROM disk) THEN
        RAISE 'could not extend file: No space left on device' USING ERRCODE = 'disk_full';
    END IF;
    RETURN new;
END $$;
CREATE TRIGGER no_space BEFORE UPDATE ON provider_calls FOR EACH ROW EXECUTE FUNCTION no_space();
"""


async def test_an_answer_that_was_paid_for_waits_for_room_on_the_disk(
    database_url: str, query: Query
) -> None:
    campaign = run_on(uuid4())
    async with (
        PostgresDatabase(database_url).open(campaign) as books,
        ledger(books.engine, campaign, DAY_S, books.fence, books.outage) as book,
    ):
        call = await granted(book, asks("lead"))
        query(FULL)
        settling = asyncio.create_task(book.settle(hit(call.key)))
        await asyncio.wait_for(waiting(books.outage, 1), 10)
        query("UPDATE disk SET is_full = false")
        await asyncio.wait_for(settling, 10)
    assert query("SELECT state, outcome FROM provider_calls") == [{"state": "settled", "outcome": "hit"}]
