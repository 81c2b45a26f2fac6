from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from phase3_core.money import usd
from phase3_core.ports.campaigns import CampaignRepository
from phase3_core.ports.checkpoints import Checkpoints
from phase3_core.runs import Advance, Run
from phase3_core.statuses import Agent
from resources.postgres.database import PostgresBooks
from tests.conftest import MakeCampaign

Query = Callable[..., list[dict[str, Any]]]
PAST, FUTURE = datetime(2020, 1, 1, tzinfo=UTC), datetime(2999, 1, 1, tzinfo=UTC)
FINDING, ENRICHING = Agent.EMAIL_VERIFICATION, Agent.ENRICHMENT


def advance(agent: Agent, done: int) -> Advance:
    return Advance(agent, done, 10, usd("1.25"))


async def note(books: PostgresBooks, run: Run, done: int, status: str = "in_progress", **data: Any) -> None:
    checkpoints: Checkpoints = books.checkpoints
    await checkpoints.save(run, "leads", status, advance(run.agent, done), data)


async def test_a_step_has_one_row_that_goes_on(books: PostgresBooks, query: Query) -> None:
    run = Run("run", uuid4(), FINDING)
    await note(books, run, 3)
    [begun] = query("SELECT * FROM workflow_checkpoints")
    await note(books, run, 10, "completed", skipped=["x"])
    [ended] = query("SELECT * FROM workflow_checkpoints")
    assert (begun["items_processed"], begun["completed_at"]) == (3, None)
    assert (ended["items_processed"], ended["items_total"], ended["status"]) == (10, 10, "completed")
    assert ended["completed_at"] > ended["started_at"] == begun["started_at"]
    assert ended["output_data"] == {"spent_usd": "1.250000", "skipped": ["x"]}


async def test_a_step_that_is_taken_up_again_is_open_again(books: PostgresBooks, query: Query) -> None:
    run = Run("run", uuid4(), FINDING)
    await note(books, run, 3, "failed", error="no more credits")
    [failed] = query("SELECT * FROM workflow_checkpoints")
    await note(books, run, 3)
    [again] = query("SELECT * FROM workflow_checkpoints")
    assert failed["error_message"] == "no more credits"
    assert (again["completed_at"], again["error_message"]) == (None, None)


async def test_earlier_runs_are_those_of_the_same_agent_and_campaign(books: PostgresBooks) -> None:
    campaign, other = uuid4(), uuid4()
    for name, id_, agent in [("1", campaign, FINDING), ("2", campaign, FINDING), ("2", other, FINDING)]:
        await note(books, Run(name, id_, agent), 1)
    assert await earlier(books, "3", campaign, FINDING) == 2
    assert await earlier(books, "2", campaign, FINDING) == 1
    assert await earlier(books, "3", campaign, ENRICHING) == 0


async def earlier(books: PostgresBooks, name: str, campaign: UUID, agent: Agent) -> int:
    return await books.checkpoints.earlier_runs(Run(name, campaign, agent))


async def test_the_latest_checkpoints_are_those_of_the_newest_run(books: PostgresBooks) -> None:
    campaign = uuid4()
    for name, agent in [("1", FINDING), ("2", FINDING), ("2", ENRICHING)]:
        await note(books, Run(name, campaign, agent), int(name))
    rows = [tuple(row)[:4] for row in await books.checkpoints.latest(campaign)]
    assert rows == [(FINDING, 2, 10, "1.250000"), (ENRICHING, 2, 10, "1.250000")]


async def test_an_agent_has_worked_since_it_took_the_campaign_not_since_its_first_batch(
    books: PostgresBooks, query: Query
) -> None:
    run = Run("1", uuid4(), FINDING)
    lease = "INSERT INTO campaign_leases (campaign_id, run_id, fence, taken_at)"
    query(f"{lease} VALUES (:campaign, '1', 1, now() - interval '60 s')", campaign=run.campaign_id)
    await note(books, run, 5)
    (row,) = await books.checkpoints.latest(run.campaign_id)
    assert round(row.worked_s / 10) == 6


async def test_the_latest_checkpoints_tell_how_long_an_agent_worked_and_has_been_silent(
    books: PostgresBooks, query: Query
) -> None:
    run = Run("1", uuid4(), FINDING)
    await note(books, run, 5)
    query("UPDATE workflow_checkpoints SET started_at = now() - interval '130 s'")
    query("UPDATE workflow_checkpoints SET updated_at = now() - interval '30 s'")
    (row,) = await books.checkpoints.latest(run.campaign_id)
    assert (row.status, round(row.worked_s / 10)) == ("in_progress", 10)
    assert row.idle_s >= 30


SPENT = {"provider": "tomba", "why": "today's quota is spent", "leads": 3, "until": None}


def waits(until: datetime | None, *waiting: dict[str, Any]) -> dict[str, Any]:
    return {"waiting": list(waiting), "waiting_until": until.isoformat() if until else None}


async def test_whom_leads_wait_for_is_what_each_agents_newest_run_left(books: PostgresBooks) -> None:
    campaign, other = uuid4(), uuid4()
    await note(books, Run("1", campaign, FINDING), 1, **waits(PAST, SPENT))
    await note(books, Run("1", campaign, ENRICHING), 1, **waits(PAST, SPENT | {"provider": "clearbit"}))
    await note(books, Run("3", other, FINDING), 1, **waits(PAST, SPENT | {"provider": "icypeas"}))
    await note(books, Run("2", campaign, FINDING), 1, **waits(PAST, SPENT | {"provider": "reoon"}))
    of_campaign = await books.checkpoints.waiting(campaign)
    assert sorted(one.wait.provider for one in of_campaign) == ["clearbit", "reoon"]
    of_all = await books.checkpoints.all_waiting()
    assert {id_: len(waiting) for id_, waiting in of_all.items()} == {campaign: 2, other: 1}


@pytest.mark.parametrize(
    ("status", "until"),
    [
        ("verification_complete", FUTURE),
        ("verification_complete", None),
        ("phase3_failed", PAST),
        ("enriching", PAST),
        ("approved_for_personalization", PAST),
        ("rejected", PAST),
        ("re_enrichment_requested", PAST),
    ],
)
async def test_a_campaign_is_not_due_before_its_time_nor_while_it_runs_nor_once_somebody_has_decided(
    books: PostgresBooks, make_campaign: MakeCampaign, status: str, until: datetime | None
) -> None:
    campaign = make_campaign(status=status).id
    await note(books, Run("1", campaign, FINDING), 1, "completed", **waits(until, SPENT))
    assert await books.campaigns.due_again() == []


@pytest.mark.parametrize("status", ["verification_complete", "phase3_stopped"])
async def test_a_campaign_at_rest_is_due_again_when_what_its_leads_wait_for_is_back(
    books: PostgresBooks, make_campaign: MakeCampaign, status: str
) -> None:
    campaign = make_campaign(status=status).id
    await note(books, Run("1", campaign, FINDING), 1, "completed", **waits(PAST, SPENT))
    repository: CampaignRepository = books.campaigns
    assert [(one.campaign.id, one.since) for one in await repository.due_again()] == [(campaign, PAST)]


async def test_a_newer_run_that_left_nobody_waiting_ends_the_waiting(
    books: PostgresBooks, make_campaign: MakeCampaign
) -> None:
    campaign = make_campaign(status="verification_complete").id
    await note(books, Run("1", campaign, FINDING), 1, "completed", **waits(PAST, SPENT))
    await note(books, Run("2", campaign, FINDING), 1, "completed", **waits(None))
    assert await books.campaigns.due_again() == []
