from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

from phase3_core.money import usd
from phase3_core.ports import Advance, Checkpoints, Run
from phase3_core.statuses import Agent
from resources.postgres.database import PostgresBooks

Query = Callable[..., list[dict[str, Any]]]
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
    rows = [tuple(row) for row in await books.checkpoints.latest(campaign)]
    assert rows == [(FINDING, 2, 10, "1.250000"), (ENRICHING, 2, 10, "1.250000")]
