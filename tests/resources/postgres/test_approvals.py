import asyncio
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from phase3_core.ports import Approvals, Run
from phase3_core.statuses import Agent, ApprovalStatus
from resources.postgres.database import PostgresBooks

Query = Callable[..., list[dict[str, Any]]]


def run(name: str = "run") -> Run:
    return Run(name, uuid4(), Agent.FINALIZER)


async def test_a_pending_request_is_brought_up_to_date(books: PostgresBooks, query: Query) -> None:
    approvals: Approvals = books.approvals
    first = run("first")
    second = Run("second", first.campaign_id, Agent.FINALIZER)
    asked = await approvals.request(first, {"ready": 1})
    [before] = query("SELECT * FROM approval_requests")
    assert await approvals.request(second, {"ready": 2}) == asked
    [after] = query("SELECT * FROM approval_requests")
    assert (after["summary"], after["run_id"]) == ({"ready": 2}, "second")
    assert after["requested_at"] == before["requested_at"]


async def test_a_decided_request_is_followed_by_a_new_one(books: PostgresBooks, query: Query) -> None:
    one = run()
    first = await books.approvals.request(one, {})
    query("UPDATE approval_requests SET status = 'more_enrichment'")
    assert await books.approvals.newest(one.campaign_id) is ApprovalStatus.MORE_ENRICHMENT
    assert await books.approvals.request(one, {}) != first
    assert await books.approvals.newest(one.campaign_id) is ApprovalStatus.PENDING


async def test_nobody_has_asked_yet(books: PostgresBooks) -> None:
    assert await books.approvals.newest(uuid4()) is None


async def test_requests_at_once_are_one_request(books: PostgresBooks, query: Query) -> None:
    one = run()
    ids = await asyncio.gather(*(books.approvals.request(one, {"n": n}) for n in range(8)))
    assert len(set(ids)) == 1
    assert len(query("SELECT 1 FROM approval_requests")) == 1
