import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from phase3_core.budget import Caps
from phase3_core.compensation import KEPT, compensate_dead
from phase3_core.money import usd
from phase3_core.runs import Run
from phase3_core.saga import StepKind, StepState, Successor
from phase3_core.statuses import Agent, CampaignStatus
from phase3_core.tiers import Tier
from resources.postgres.budgets import PostgresBudgets
from resources.postgres.database import PostgresBooks, PostgresDatabase
from tests.conftest import Made, MakeCampaign
from tests.fakes.exporter import FakeExporter
from tests.fakes.people import A_REPORT
from tests.polling import until

Query = Callable[..., list[dict[str, Any]]]
BookCall = Callable[..., None]

S = CampaignStatus
IN_FLIGHT = {"state": "intent", "outcome": None, "reserved_usd": "0.01", "run_id": "first"}
OVERDUE, IN_TIME = "2020-01-01", "2999-01-01"


def a_run(campaign: UUID, name: str = "first") -> Run:
    return Run(name, campaign, Agent.EMAIL_VERIFICATION)


@pytest.fixture
def campaign(make_campaign: MakeCampaign) -> Made:
    return make_campaign([{}])


@pytest.fixture
def database(database_url: str) -> PostgresDatabase:
    return PostgresDatabase(database_url)


async def begin(books: PostgresBooks, run: Run) -> None:
    moved = {"before": S.IMPORT_COMPLETE, "moved_to": S.VERIFYING_EMAILS}
    await books.saga.note(run, {StepKind.STATUS: moved, StepKind.RESERVATIONS: {}, StepKind.JOBS: {}})
    await books.campaigns.move(run.campaign_id, S.VERIFYING_EMAILS)


async def begun(database: PostgresDatabase, campaign: UUID) -> None:
    """As a process leaves it that has died."""
    async with database.open(a_run(campaign)) as books:
        await begin(books, a_run(campaign))


async def until_waiting(engine: AsyncEngine, count: int) -> None:
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")

        async def enough() -> bool:
            return (await connection.scalar(waiting) or 0) >= count

        await until(enough)


async def take_back(database: PostgresDatabase) -> None:
    await compensate_dead(database, FakeExporter(), "first", "the power went")


def states(query: Query) -> dict[str, str]:
    return {row["step"]: row["state"] for row in query("SELECT step, state FROM saga_steps ORDER BY place")}


async def test_steps_are_read_as_they_were_noted(database: PostgresDatabase, campaign: Made) -> None:
    await begun(database, campaign.id)
    async with database.reading() as books:
        steps = await books.saga.steps("first")
        assert [step.place for step in await books.saga.open_steps()] == [step.place for step in steps]
    assert [step.kind for step in steps] == [StepKind.STATUS, StepKind.RESERVATIONS, StepKind.JOBS]
    assert steps[0].undo == {"before": "import_complete", "moved_to": "verifying_emails"}
    assert all(step.state is StepState.DONE and step.due for step in steps)
    assert [step.place for step in steps] == sorted(step.place for step in steps)


async def test_a_dead_run_is_taken_back_with_a_line_for_each_step(
    database: PostgresDatabase, campaign: Made, query: Query
) -> None:
    await begun(database, campaign.id)
    await take_back(database)
    (row,) = query("SELECT status, status_reason FROM campaigns")
    assert row == {"status": "phase3_failed", "status_reason": f"the power went; {KEPT}"}
    assert set(states(query).values()) == {"compensated"}
    lines = query(
        "SELECT details->>'step' AS step, actor_type FROM campaign_audit_log "
        "WHERE action = 'compensation_compensated' ORDER BY created_at"
    )
    assert [line["step"] for line in lines] == ["vendor_jobs", "reservations", "campaign_status"]
    assert {line["actor_type"] for line in lines} == {"system"}
    await take_back(database)
    assert len(query("SELECT FROM campaign_audit_log WHERE action = 'compensation_compensated'")) == 3


async def handed_over(database: PostgresDatabase, campaign: UUID, name: str = "first") -> None:
    """The first agent of the run has completed."""
    run = a_run(campaign, name)
    async with database.open(run) as books:
        await begin(books, run)
        await books.campaigns.move(campaign, S.EMAILS_VERIFIED, ends=run)


async def test_an_agent_that_completes_keeps_its_steps_in_the_same_transaction(
    database: PostgresDatabase, campaign: Made, query: Query
) -> None:
    await handed_over(database, campaign.id)
    assert set(states(query).values()) == {"kept"}
    await take_back(database)
    assert set(states(query).values()) == {"kept"}


async def test_a_run_that_dies_between_two_agents_leaves_its_campaign_failed_with_one_line(
    database: PostgresDatabase, campaign: Made, query: Query
) -> None:
    await handed_over(database, campaign.id)
    async with database.reading() as books:
        assert [step.run_id for step in await books.saga.last_moves()] == ["first"]
    for _ in range(2):
        await take_back(database)
    (row,) = query("SELECT status, status_reason FROM campaigns")
    assert row == {"status": "phase3_failed", "status_reason": f"the power went; {KEPT}"}
    assert len(query("SELECT FROM campaign_audit_log WHERE details->>'to' = 'phase3_failed'")) == 1
    async with database.reading() as books:
        assert await books.saga.last_moves() == []


@pytest.mark.parametrize("status", [S.STOPPED, S.VERIFICATION_COMPLETE])
async def test_a_campaign_that_was_reported_anew_rests_as_its_run_left_it(
    database: PostgresDatabase, make_campaign: MakeCampaign, query: Query, status: S
) -> None:
    """Also when the run ended by a check that failed, or by a crash afterwards."""
    campaign = make_campaign(status=status)
    run = a_run(campaign.id)
    async with database.open(run) as books:
        await books.saga.note(run, {StepKind.STATUS: {"before": status, "moved_to": status}})
        await books.campaigns.move(campaign.id, status, "1 ready", ends=run)
    await take_back(database)
    assert query("SELECT status, status_reason FROM campaigns") == [
        {"status": status, "status_reason": "1 ready"}
    ]


async def test_between_two_agents_the_campaign_of_a_successor_is_left_alone(
    database: PostgresDatabase, campaign: Made, query: Query
) -> None:
    await handed_over(database, campaign.id)
    await handed_over(database, campaign.id, "second")
    await take_back(database)
    assert query("SELECT status FROM campaigns") == [{"status": "emails_verified"}]
    async with database.reading() as books:
        assert [step.run_id for step in await books.saga.last_moves()] == ["second"]


@pytest.mark.parametrize("left", [begun, handed_over])
async def test_a_campaign_is_put_right_though_a_successor_took_it_and_ended_before_its_first_move(
    database: PostgresDatabase,
    campaign: Made,
    query: Query,
    left: Callable[[PostgresDatabase, UUID], Awaitable[None]],
) -> None:
    """Nobody else would: the successor has noted nothing that could be taken back."""
    await left(database, campaign.id)
    (there,) = query("SELECT status FROM campaigns")
    async with database.open(a_run(campaign.id, "second")):
        await take_back(database)
        assert query("SELECT status FROM campaigns") == [there]
    async with database.reading() as books:
        assert [step.run_id for step in await books.saga.last_moves()] == ["first"]
    await take_back(database)
    assert query("SELECT status FROM campaigns") == [{"status": "phase3_failed"}]


async def test_kept_exports_are_retired_once_with_a_line_and_no_failed_run_touches_them(
    database: PostgresDatabase, campaign: Made, query: Query
) -> None:
    run = a_run(campaign.id)
    async with database.open(run) as books:
        await begin(books, run)
        await books.saga.note(run, {StepKind.EXPORTS: {"exports": [], "before": ""}})
        assert await books.saga.kept_exports(campaign.id) == []
        await books.campaigns.move(campaign.id, S.EMAILS_VERIFIED, ends=run)
        (kept,) = await books.saga.kept_exports(campaign.id)
        for _ in range(2):
            await books.saga.retired(kept, {"withdrawn": ["file:///x"]})
        assert await books.saga.kept_exports(campaign.id) == []
    assert states(query)["exports"] == "compensated"
    [line] = query("SELECT details FROM campaign_audit_log WHERE action = 'exports_superseded'")
    assert line["details"] == {"run": "first", "withdrawn": ["file:///x"]}


async def test_a_living_run_is_not_taken_back(
    database: PostgresDatabase, campaign: Made, query: Query
) -> None:
    run = a_run(campaign.id)
    async with database.open(run) as books:
        await begin(books, run)
        await take_back(database)
        assert set(states(query).values()) == {"done"}
        await books.campaigns.audit(campaign.id, "still at work", {})


async def test_a_zombie_of_a_run_that_was_taken_back_writes_nothing(
    database: PostgresDatabase, campaign: Made, query: Query
) -> None:
    await begun(database, campaign.id)
    (before,) = query("SELECT fence FROM campaign_leases")
    await take_back(database)
    (after,) = query("SELECT fence, run_id FROM campaign_leases")
    assert after == {"fence": before["fence"] + 1, "run_id": "first"}


async def test_a_run_that_has_moved_on_is_left_alone(
    database: PostgresDatabase, campaign: Made, query: Query
) -> None:
    await begun(database, campaign.id)
    successor = a_run(campaign.id, "second")
    async with database.open(successor) as books:
        await begin(books, successor)
        (step, *_) = await books.saga.steps("first")
        assert await books.saga.successor(step) is Successor.AT_WORK
        await take_back(database)
        assert query("SELECT status FROM campaigns") == [{"status": "verifying_emails"}]
        await books.campaigns.audit(campaign.id, "undisturbed", {})
        assert await books.saga.successor(step) is Successor.AT_WORK
    async with database.reading() as books:
        assert await books.saga.successor(step) is Successor.ENDED


async def test_overdue_calls_are_booked_at_their_worst_and_the_others_waited_for(
    database: PostgresDatabase, campaign: Made, query: Query, book_call: BookCall
) -> None:
    await begun(database, campaign.id)
    book_call(campaign.id, **IN_FLIGHT, lost_after=OVERDUE)
    book_call(campaign.id, **IN_FLIGHT, lost_after=IN_TIME)
    book_call(campaign.id, **IN_FLIGHT | {"run_id": "another"}, lost_after=OVERDUE)
    await take_back(database)
    calls = "SELECT run_id, state, unknown_usd::text FROM provider_calls ORDER BY run_id, state"
    assert [tuple(row.values()) for row in query(calls)] == [
        ("another", "intent", "0.000000"),
        ("first", "intent", "0.000000"),
        ("first", "unknown", "0.010000"),
    ]
    (waiting,) = query("SELECT state, error FROM saga_steps WHERE step = 'reservations'")
    assert waiting == {"state": "compensating", "error": "1 calls may still be answered"}
    query("UPDATE provider_calls SET lost_after = now()")
    query("UPDATE saga_steps SET updated_at = now() - interval '1 hour'")
    await take_back(database)
    assert states(query)["reservations"] == "compensated"
    assert query("SELECT FROM provider_calls WHERE state = 'intent' AND run_id = 'first'") == []


async def test_what_earlier_runs_left_in_flight_is_booked_once_another_run_holds_the_campaign(
    database: PostgresDatabase, campaign: Made, make_campaign: MakeCampaign, query: Query, book_call: BookCall
) -> None:
    await begun(database, campaign.id)
    book_call(campaign.id, **IN_FLIGHT, lost_after=IN_TIME)
    book_call(campaign.id, **IN_FLIGHT | {"run_id": "second"}, lost_after=IN_TIME)
    book_call(make_campaign([{}]).id, **IN_FLIGHT | {"run_id": "third"}, lost_after=OVERDUE)
    run = a_run(campaign.id, "second")
    async with database.open(run) as books:
        await books.saga.release_earlier(run)
    calls = "SELECT run_id, state, unknown_usd::text FROM provider_calls ORDER BY run_id"
    assert [tuple(row.values()) for row in query(calls)] == [
        ("first", "unknown", "0.010000"),
        ("second", "intent", "0.000000"),
        ("third", "intent", "0.000000"),
    ]


async def test_jobs_that_run_on_at_a_vendor_are_told(
    database: PostgresDatabase, campaign: Made, query: Query, book_call: BookCall
) -> None:
    await begun(database, campaign.id)
    for job in ("7", "7", "8"):
        book_call(campaign.id, **IN_FLIGHT, lost_after=OVERDUE, job_id=job, provider="icypeas")
    await take_back(database)
    (line,) = query("SELECT details FROM campaign_audit_log WHERE details->>'step' = 'vendor_jobs'")
    assert line["details"]["left_running"] == {"icypeas": 2}


async def test_a_list_is_unpublished_only_where_it_is_the_one(
    database: PostgresDatabase, make_campaign: MakeCampaign
) -> None:
    campaign = make_campaign(verified_lead_list_url="file:///new")
    async with database.reading() as books:
        await books.campaigns.unpublish(campaign.id, "file:///another", "file:///old")
        assert await books.campaigns.workbook(campaign.id) == "file:///new"
        await books.campaigns.unpublish(campaign.id, "file:///new", "file:///old")
        assert await books.campaigns.workbook(campaign.id) == "file:///old"


async def test_a_request_for_approval_is_withdrawn_with_its_run(
    database: PostgresDatabase, campaign: Made
) -> None:
    run = a_run(campaign.id)
    async with database.open(run) as books:
        await books.saga.note(run, {StepKind.APPROVAL: {}})
        await books.approvals.request(run, A_REPORT)
    await take_back(database)
    async with database.reading() as books:
        assert await books.approvals.newest(campaign.id) == "withdrawn"


async def test_calls_are_booked_as_lost_while_budgets_are_opened(
    database: PostgresDatabase, campaign: Made, book_call: BookCall
) -> None:
    """Both need the calls and the budgets; in another order they would wait for each other."""
    book_call(campaign.id, lost_after=OVERDUE, **IN_FLIGHT)
    await begun(database, campaign.id)
    cap = {Agent.EMAIL_VERIFICATION: usd("5.00")}
    async with database.reading() as books:
        budgets, releasing = PostgresBudgets(books.engine), books.saga
        await budgets.open(campaign.id, Caps(cap))
        step = next(one for one in await releasing.steps("first") if one.kind is StepKind.RESERVATIONS)
        async with books.engine.begin() as other:  # until both are under way
            await other.execute(text("SELECT FROM budgets FOR UPDATE"))
            released = asyncio.create_task(releasing.release(step))
            await until_waiting(books.engine, 1)
            opened = asyncio.create_task(budgets.open(campaign.id, Caps(cap, {Tier.A: usd("1.00")})))
            await until_waiting(books.engine, 2)
        await asyncio.gather(released, opened)
