"""Events for an orchestrator: from the books to a socket, signed, once each unless something broke."""

import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from phase3_core.money import usd
from phase3_core.runs import Advance, Run
from phase3_core.statuses import Agent, CampaignStatus
from resources import webhook
from resources.postgres.database import PostgresBooks, PostgresDatabase
from resources.relay import OutboxRelay
from resources.webhook import WebhookTerms
from tests.attacks import attack, replaced
from tests.conftest import Made, MakeCampaign

Query = Callable[..., list[dict[str, Any]]]
SECRET = "between us"


@dataclass
class Orchestrator:
    """Notes what it is posted; answers as told."""

    url: str = ""
    posted: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        status = self.answers.pop(0) if self.answers else 204
        if status < 300:
            self.posted.append((dict(request.headers), await request.read()))
        return web.Response(status=status)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.posted]


@pytest.fixture
async def orchestrator() -> AsyncIterator[Orchestrator]:
    told, application = Orchestrator(), web.Application()
    application.router.add_post("/events", told.take)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    told.url = f"http://127.0.0.1:{runner.addresses[0][1]}/events"
    yield told
    await runner.cleanup()


@pytest.fixture
def relay(database_url: str, orchestrator: Orchestrator) -> OutboxRelay:
    return OutboxRelay(PostgresDatabase(database_url), webhook=WebhookTerms(orchestrator.url, SECRET))


@pytest.fixture
def campaign(make_campaign: MakeCampaign) -> Made:
    return make_campaign([{}])


async def worked(books: PostgresBooks, campaign: Made, done: int) -> None:
    run = Run("run", campaign.id, Agent.EMAIL_VERIFICATION)
    advance = Advance(Agent.EMAIL_VERIFICATION, done, 632, usd("1.25"))
    await books.checkpoints.save(run, "leads", "in_progress", advance, {})


@attack(
    "Events",
    "Somebody posts events of his own making to the orchestrator",
    defence="Events are signed over body and time; the receiver can tell",
    without=replaced((webhook, "signature", lambda *_: "v1=0")),
)
async def test_progress_and_changes_are_posted_signed(
    relay: OutboxRelay, orchestrator: Orchestrator, books: PostgresBooks, campaign: Made
) -> None:
    await books.campaigns.move(campaign.id, CampaignStatus.VERIFYING_EMAILS)
    await worked(books, campaign, 250)
    assert await relay.deliver() == 2
    changed, progress = orchestrator.events
    assert (changed["event"], changed["details"]["to"]) == ("status_changed", "verifying_emails")
    facts = {name: progress[name] for name in ("event", "agent", "done", "total", "spent_usd")}
    assert facts == {
        "event": "progress",
        "agent": "email_verification",
        "done": 250,
        "total": 632,
        "spent_usd": "1.250000",
    }
    headers, body = orchestrator.posted[1]
    base = b"v1:" + headers["X-Phase3-Timestamp"].encode() + b":" + body
    expected = hmac.new(SECRET.encode(), base, hashlib.sha256).hexdigest()
    assert headers["X-Phase3-Signature"] == f"v1={expected}"
    assert headers["X-Phase3-Event-Id"] == progress["id"]


async def test_an_event_is_posted_once_and_news_of_the_same_step_is_another_event(
    relay: OutboxRelay, orchestrator: Orchestrator, books: PostgresBooks, campaign: Made
) -> None:
    await worked(books, campaign, 250)
    assert (await relay.deliver(), await relay.deliver()) == (1, 0)
    await worked(books, campaign, 500)
    assert await relay.deliver() == 1
    assert [event["done"] for event in orchestrator.events] == [250, 500]
    assert len({event["id"] for event in orchestrator.events}) == 2


@pytest.mark.parametrize("status", [500, 429, 404])
async def test_what_is_not_taken_is_posted_again_under_its_id(
    relay: OutboxRelay,
    orchestrator: Orchestrator,
    books: PostgresBooks,
    campaign: Made,
    query: Query,
    status: int,
) -> None:
    await worked(books, campaign, 250)
    orchestrator.answers = [status]
    assert await relay.deliver() == 0
    [waiting] = query("SELECT id::text, attempts, error FROM outbox")
    assert f"the webhook answered {status}" in waiting["error"]
    query("UPDATE outbox SET due_at = now()")
    assert await relay.deliver() == 1
    assert orchestrator.posted[0][0]["X-Phase3-Event-Id"] == waiting["id"]


async def test_where_one_event_waits_the_others_wait_behind_it(
    relay: OutboxRelay, orchestrator: Orchestrator, books: PostgresBooks, campaign: Made, query: Query
) -> None:
    for to in (CampaignStatus.VERIFYING_EMAILS, CampaignStatus.FAILED, CampaignStatus.VERIFYING_EMAILS):
        await books.campaigns.move(campaign.id, to)
    orchestrator.answers = [503]
    assert await relay.deliver() == 0
    query("UPDATE outbox SET due_at = now()")
    assert await relay.deliver() == 3
    told = [event["details"]["to"] for event in orchestrator.events]
    assert told == ["verifying_emails", "phase3_failed", "verifying_emails"]


async def test_the_past_is_not_told(
    relay: OutboxRelay, orchestrator: Orchestrator, books: PostgresBooks, campaign: Made, query: Query
) -> None:
    await worked(books, campaign, 250)
    query("UPDATE workflow_checkpoints SET updated_at = now() - interval '25 hours'")
    assert await relay.deliver() == 0
    assert orchestrator.events == []


async def test_a_result_is_an_event_too(
    relay: OutboxRelay, orchestrator: Orchestrator, books: PostgresBooks, campaign: Made
) -> None:
    await books.events.add(campaign.id, {"event": "result", "status": "pending_approval"})
    assert await relay.deliver() == 1
    assert orchestrator.events == [{"event": "result", "status": "pending_approval"}]
