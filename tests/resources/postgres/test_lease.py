"""A run that loses its hold on the campaign: it goes on if the campaign is still its own, or it ends."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from phase3_core.counts import CampaignCounts
from phase3_core.email_result import EmailResult
from phase3_core.enrichment import EnrichmentResult
from phase3_core.errors import CampaignBusy, Superseded
from phase3_core.ledger import Stored
from phase3_core.money import ZERO
from phase3_core.ports.campaigns import AgentResult
from phase3_core.runs import Advance, Run
from phase3_core.statuses import Agent, CampaignStatus, EmailStatus, EnrichmentStatus
from resources.postgres.database import PostgresBooks, PostgresDatabase
from resources.postgres.ledger import ledger
from tests.conftest import Made, MakeCampaign
from tests.fakes.people import A_REPORT
from tests.polling import until
from tests.resources.postgres.test_ledger import asks, granted, hit

Query = Callable[..., list[dict[str, Any]]]

NEVER_LOOKS, LOOKS_OFTEN = 3600.0, 0.01
RESULT = AgentResult(CampaignCounts([], {}, {}, {}, {}, 0, 0), ZERO, datetime.now(UTC), {})
CUT = """
SELECT pg_terminate_backend(pid) FROM pg_locks
WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
TAKE_OVER = "UPDATE campaign_leases SET run_id = 'another', fence = fence + 1"
# The first connection that writes has come to a server that takes none; the next one comes to its successor.
DEMOTED = """
CREATE SEQUENCE refused;
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NOT (SELECT is_called FROM refused) THEN
        PERFORM setval('refused', pg_backend_pid());  -- stands, though the statement fails
    END IF;
    IF (SELECT last_value FROM refused) = pg_backend_pid() THEN
        RAISE 'cannot execute UPDATE in a read-only transaction' USING ERRCODE = 'read_only_sql_transaction';
    END IF;
    RETURN new;
END $$;
CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON campaign_leases FOR EACH ROW EXECUTE FUNCTION refuse();
"""
REFUSED = "SELECT FROM refused WHERE is_called"
HELD = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid <> (SELECT last_value FROM refused)"
BLOCKED = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


def a_run(campaign: UUID, name: str = "first") -> Run:
    return Run(name, campaign, Agent.EMAIL_VERIFICATION)


@pytest.fixture
def campaign(make_campaign: MakeCampaign) -> Made:
    return make_campaign([{}])


async def test_the_fence_grows_with_each_taking(database_url: str, campaign: Made) -> None:
    fences = []
    for name in ("first", "first", "second"):
        async with PostgresDatabase(database_url).open(a_run(campaign.id, name)) as books:
            fences.append(books.fence)
            standing = (await books.sighting(campaign.id)).lease
            assert standing is not None
            assert (standing.run_id, standing.fence, standing.held) == (name, books.fence, True)
    assert fences == [1, 2, 3]


async def test_a_run_whose_connection_dies_takes_its_campaign_again(
    database_url: str, campaign: Made, query: Query
) -> None:
    database = PostgresDatabase(database_url, look_every_s=LOOKS_OFTEN)
    async with database.open(a_run(campaign.id)) as books:
        (gone,) = query("SELECT pid FROM pg_locks WHERE locktype = 'advisory'")
        query(CUT)
        await until(lambda: query("SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid <> :pid", **gone))
        await books.campaigns.move(campaign.id, CampaignStatus.VERIFYING_EMAILS)
        with pytest.raises(CampaignBusy):
            async with PostgresDatabase(database_url).open(a_run(campaign.id, "second")):
                pass
    assert query("SELECT run_id, fence FROM campaign_leases") == [{"run_id": "first", "fence": 1}]


async def test_a_run_that_comes_to_a_standby_takes_its_campaign_again_elsewhere(
    database_url: str, campaign: Made, query: Query
) -> None:
    database = PostgresDatabase(database_url, look_every_s=LOOKS_OFTEN)
    async with database.open(a_run(campaign.id)) as books:
        query(DEMOTED)
        query(CUT)
        await until(lambda: query(REFUSED) and query(HELD))
        await books.campaigns.move(campaign.id, CampaignStatus.VERIFYING_EMAILS)
    assert query("SELECT run_id, fence FROM campaign_leases") == [{"run_id": "first", "fence": 1}]


async def test_a_run_that_begins_at_a_standby_begins_elsewhere(
    database_url: str, campaign: Made, query: Query
) -> None:
    query(DEMOTED)
    database = PostgresDatabase(database_url, look_every_s=NEVER_LOOKS, longest_outage_s=10)
    async with database.open(a_run(campaign.id)):
        assert query(REFUSED)
        assert query(HELD)


@pytest.mark.parametrize("connection", ["kept", "cut"])
async def test_a_run_whose_campaign_another_took_ends_at_once(
    database_url: str, campaign: Made, query: Query, connection: str
) -> None:
    async def work() -> None:
        async with PostgresDatabase(database_url, look_every_s=LOOKS_OFTEN).open(a_run(campaign.id)):
            taken = f"WITH taken AS ({TAKE_OVER} RETURNING 1) SELECT (SELECT count(*) FROM taken)"
            query(f"{taken}, count(*) FROM ({CUT}) AS cut" if connection == "cut" else TAKE_OVER)
            await asyncio.Event().wait()

    with pytest.raises(Superseded, match=f"took campaign {campaign.id} over"):
        await work()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_cancelled_run_is_not_taken_for_a_superseded_one(database_url: str, campaign: Made) -> None:
    async def work() -> None:
        async with PostgresDatabase(database_url).open(a_run(campaign.id)):
            opened.set()
            await asyncio.Event().wait()

    opened = asyncio.Event()
    task = asyncio.create_task(work())
    await opened.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_zombie_buys_nothing_and_what_it_bought_before_is_kept(
    database_url: str, campaign: Made, query: Query
) -> None:
    zombie = PostgresDatabase(database_url, look_every_s=NEVER_LOOKS)
    run, successor = a_run(campaign.id), a_run(campaign.id, "second")
    async with zombie.open(run) as books, ledger(books.engine, run, 3600.0, books.fence) as late:
        before = await granted(late, asks("Ada"))
        query(CUT)
        async with PostgresDatabase(database_url).open(successor) as others:
            with pytest.raises(Superseded):
                await late.open(asks("Grace"))
            assert query("SELECT state, run_id FROM provider_calls") == [
                {"state": "intent", "run_id": "first"}
            ]
            await late.settle(hit(before.key))
            async with ledger(others.engine, successor, 3600.0, others.fence) as timely:
                assert isinstance(await timely.open(asks("Ada")), Stored)
    assert query("SELECT state, attempt FROM provider_calls") == [{"state": "settled", "attempt": 1}]


async def test_a_zombie_does_not_give_up_its_successors_call(
    database_url: str, campaign: Made, query: Query
) -> None:
    zombie = PostgresDatabase(database_url, look_every_s=NEVER_LOOKS)
    run, successor = a_run(campaign.id), a_run(campaign.id, "second")
    async with zombie.open(run) as books, ledger(books.engine, run, 3600.0, books.fence) as late:
        query(CUT)
        async with (
            PostgresDatabase(database_url).open(successor) as others,
            ledger(others.engine, successor, 3600.0, others.fence) as timely,
        ):
            call = await granted(timely, asks())
            await late.open(asks())
            await timely.settle(hit(call.key))
    assert query("SELECT state, losses FROM provider_calls") == [{"state": "settled", "losses": 0}]


Write = Callable[[PostgresBooks, Made], Awaitable[Any]]
A_RUN = a_run(UUID(int=0))
WRITES: dict[str, Write] = {
    "status": lambda books, made: books.campaigns.move(made.id, CampaignStatus.VERIFYING_EMAILS),
    "audit": lambda books, made: books.campaigns.audit(made.id, "seen", {}),
    "emails of the campaign": lambda books, made: books.campaigns.update_email_verification_results(
        made.id, RESULT
    ),
    "enrichment of the campaign": lambda books, made: books.campaigns.update_enrichment_results(
        made.id, RESULT
    ),
    "report": lambda books, made: books.campaigns.update_verification_results(made.id, RESULT, "file:///x"),
    "emails": lambda books, made: books.leads.save_email_results(
        made.id, [EmailResult(made.leads[0], EmailStatus.VALID, "ada@acme.com", "tomba", "reoon", 99)]
    ),
    "enrichment": lambda books, made: books.leads.save_enrichment_results(
        made.id, [EnrichmentResult(made.leads[0], EnrichmentStatus.ENRICHED, {}, {})]
    ),
    "checkpoint": lambda books, made: books.checkpoints.save(
        a_run(made.id), "leads", "in_progress", Advance(Agent.EMAIL_VERIFICATION, 1, 2, ZERO), {}
    ),
    "approval": lambda books, made: books.approvals.request(a_run(made.id), A_REPORT),
}
TABLES = ("campaigns", "leads", "workflow_checkpoints", "approval_requests", "campaign_audit_log")


@pytest.mark.parametrize("name", WRITES)
async def test_a_zombie_moves_nothing(database_url: str, campaign: Made, query: Query, name: str) -> None:
    def rows() -> list[Any]:
        return [query(f"SELECT * FROM {table}") for table in TABLES]

    async with PostgresDatabase(database_url, look_every_s=NEVER_LOOKS).open(a_run(campaign.id)) as books:
        query(TAKE_OVER)
        before = rows()
        with pytest.raises(Superseded):
            await WRITES[name](books, campaign)
        assert rows() == before
        query("UPDATE campaign_leases SET fence = fence - 1")
        await WRITES[name](books, campaign)
        assert rows() != before


async def test_who_takes_a_campaign_waits_for_a_write_under_way(
    database_url: str, campaign: Made, query: Query
) -> None:
    async def succeed() -> None:
        async with PostgresDatabase(database_url).open(a_run(campaign.id, "second")):
            pass

    first = PostgresDatabase(database_url, look_every_s=NEVER_LOOKS)
    async with first.open(a_run(campaign.id)) as books:
        async with books.begin() as connection:
            query(CUT)
            taking = asyncio.create_task(succeed())
            await until(lambda: query(BLOCKED))
            assert not connection.closed
        await taking
        with pytest.raises(Superseded):
            await books.campaigns.audit(campaign.id, "seen", {})


async def test_a_campaign_is_let_go_also_in_the_middle_of_a_look(database_url: str, campaign: Made) -> None:
    database = PostgresDatabase(database_url, look_every_s=0.0)
    for moment in range(60):
        async with database.open(a_run(campaign.id)) as books:
            for _ in range(moment):
                await asyncio.sleep(0)
            assert books.fence == moment + 1
