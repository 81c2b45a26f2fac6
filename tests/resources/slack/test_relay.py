"""What leaves the outbox, against a Slack on a socket and a real database."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from phase3_core.approval import Channel, Choice
from phase3_core.approval_request import Asked
from phase3_core.runs import Run
from phase3_core.statuses import Agent, ApprovalStatus
from resources.postgres.database import PostgresBooks, PostgresDatabase
from resources.relay import UNTOLD, OutboxRelay
from resources.slack import messages
from resources.webhook import WebhookTerms
from tests.attacks import attack, replaced
from tests.conftest import Made, MakeCampaign
from tests.fakes.clock import FakeClock
from tests.fakes.workspace import Workspace
from tests.resources.slack.conftest import REPORT

Query = Callable[..., list[dict[str, Any]]]
HOUR = timedelta(hours=1)
DUE_NOW = "UPDATE outbox SET due_at = now() WHERE sent_at IS NULL"


@pytest.fixture
def relay(database_url: str, slack: Workspace) -> OutboxRelay:
    return OutboxRelay(PostgresDatabase(database_url), slack.terms())


def buttons(message: dict[str, Any]) -> list[str]:
    actions = [block for block in message["blocks"] if block["type"] == "actions"]
    return [button["action_id"] for block in actions for button in block["elements"]]


def words(message: dict[str, Any]) -> str:
    return f"{message['blocks']} {message['text']}"


async def test_a_request_is_announced_once(
    relay: OutboxRelay, slack: Workspace, made: Made, asked: Asked, query: Query
) -> None:
    told = await relay.announced(made.id)
    assert told == "Announced in Slack channel C0CAMPAIGN1."
    assert await relay.deliver() == 0
    (message,) = await slack.messages()
    assert buttons(message) == ["approve_full", "approve_tier_a_only", "request_more_enrichment", "reject"]
    assert {button["value"] for button in message["blocks"][-1]["elements"]} == {str(asked.request_id)}
    assert message["metadata"]["event_payload"] == {"request_id": str(asked.request_id)}
    [row] = query("SELECT channel FROM approval_requests")
    assert row["channel"] == {"channel": "C0CAMPAIGN1", "ts": message["ts"]}


@attack(
    "Decisions",
    "A name in a message mentions everybody (`<!channel>`) or fakes a link",
    defence="What came from data is escaped",
    without=replaced((messages, "escaped", lambda text: text)),
)
async def test_a_name_can_neither_mention_people_nor_fake_links(
    relay: OutboxRelay, slack: Workspace, asked: Asked
) -> None:
    assert asked
    await relay.deliver()
    (message,) = await slack.messages()
    assert "<!channel>" not in message["text"]
    assert "&lt;!channel&gt; &amp; co" in message["text"]
    assert "<https://sheets.example/1|sheets>" in words(message)
    assert "file:///" not in words(message)
    assert "$148.20" in words(message)


async def test_a_decision_takes_the_place_of_the_buttons(
    relay: OutboxRelay, slack: Workspace, books: PostgresBooks, made: Made, asked: Asked
) -> None:
    await relay.deliver()
    choice = Choice(ApprovalStatus.REJECTED, "dana <@U1>", Channel.COMMAND_LINE, "too dear", asked.request_id)
    await books.approvals.decide(made.id, choice)
    assert await relay.deliver() == 1
    (message,) = await slack.messages()
    assert (message["edits"], buttons(message)) == (1, [])
    assert message["text"].startswith("*Rejected* by dana &lt;@U1&gt; at ")
    assert message["text"].endswith(": too dear")


async def test_a_withdrawn_request_says_so_where_it_was_announced(
    relay: OutboxRelay, slack: Workspace, books: PostgresBooks, made: Made, asked: Asked
) -> None:
    assert asked
    await relay.deliver()
    await books.approvals.withdraw(made.id, "run", "the run failed")
    await relay.deliver()
    (message,) = await slack.messages()
    assert message["text"].startswith("Withdrawn at ")
    assert buttons(message) == []


async def test_a_request_that_is_over_before_it_was_announced_is_not_announced(
    relay: OutboxRelay, slack: Workspace, books: PostgresBooks, made: Made, asked: Asked, query: Query
) -> None:
    assert asked
    await books.approvals.withdraw(made.id, "run", "the run failed")
    assert await relay.deliver() == 0
    assert await slack.messages() == []
    assert query("SELECT 1 FROM outbox WHERE withdrawn_at IS NULL") == []


async def test_reminder_and_escalation_stand_under_the_announcement(
    relay: OutboxRelay, slack: Workspace, books: PostgresBooks, asked: Asked, query: Query
) -> None:
    assert asked
    await relay.deliver()
    query("UPDATE approval_requests SET requested_at = now() - interval '30 hours'")
    await books.approvals.nudge(HOUR, HOUR)
    query("UPDATE approval_requests SET reminded_at = now() - interval '30 hours'")
    await books.approvals.nudge(HOUR, HOUR)
    assert await relay.deliver() == 2
    first, reminder, escalation = await slack.messages()
    assert reminder["thread_ts"] == escalation["thread_ts"] == first["ts"]
    assert escalation["text"].startswith("<!subteam^S01> Campaign Spring &lt;")
    assert escalation["reply_broadcast"] is True


async def test_slack_says_how_long_to_wait(
    relay: OutboxRelay, slack: Workspace, made: Made, asked: Asked, query: Query
) -> None:
    assert asked
    await slack.trouble(status=429, retry_after=40)
    assert "Slack wants us to wait" in await relay.announced(made.id)
    [row] = query("SELECT extract(epoch FROM due_at - now())::int AS wait, attempts FROM outbox")
    assert 30 <= row["wait"] <= 40
    assert await relay.deliver() == 0
    query(DUE_NOW)
    assert await relay.deliver() == 1
    assert len(await slack.messages()) == 1


@pytest.mark.parametrize(
    ("trouble", "why"),
    [
        ({"status": 503}, "Slack answered 503"),
        ({"error": "internal_error"}, "Slack says internal_error"),
        ({"error": "not_in_channel"}, "refused: not_in_channel"),
    ],
)
async def test_what_fails_waits_and_is_tried_again(
    relay: OutboxRelay,
    slack: Workspace,
    made: Made,
    asked: Asked,
    query: Query,
    trouble: dict[str, Any],
    why: str,
) -> None:
    assert asked
    await slack.trouble(**trouble)
    assert await relay.announced(made.id) == f"Not announced yet ({why}); it is tried again."
    query(DUE_NOW)
    assert await relay.announced(made.id) == "Announced in Slack channel C0CAMPAIGN1."


async def test_a_message_that_nobody_can_make_waits_and_keeps_no_other(
    relay: OutboxRelay, slack: Workspace, made: Made, asked: Asked, make_campaign: MakeCampaign, query: Query
) -> None:
    """It comes first at every turn."""
    query("UPDATE approval_requests SET summary = '{}'")
    another = make_campaign(status="verification_complete")
    async with relay.database.reading() as books:
        await books.approvals.request(Run("run", another.id, Agent.FINALIZER), REPORT)
    assert (
        await relay.announced(made.id) == "Not announced yet (cannot be sent: KeyError); it is tried again."
    )
    assert str(asked.request_id) not in str(await slack.messages())
    assert len(await slack.messages()) == 1


async def test_a_run_that_announces_leaves_events_to_others(
    relay: OutboxRelay, books: PostgresBooks, made: Made, asked: Asked, query: Query
) -> None:
    """It has let its campaign go, and a webhook may be slow and its events many."""
    assert asked
    await books.events.add(made.id, {"event": "result"})
    both = replace(relay, webhook=WebhookTerms("http://127.0.0.1:1/events", "between us"))
    assert await both.announced(made.id) == "Announced in Slack channel C0CAMPAIGN1."
    assert query("SELECT attempts FROM outbox WHERE kind = 'webhook_event'") == [{"attempts": 0}]


@dataclass
class Slow(FakeClock):
    """Nobody looks at it twice within three seconds."""

    def monotonic(self) -> float:
        self.advance(3.0)
        return self.seconds


async def test_a_run_that_announces_begins_no_message_late_and_leaves_it_to_others(
    relay: OutboxRelay, slack: Workspace, asked: Asked, make_campaign: MakeCampaign
) -> None:
    assert asked
    another = make_campaign(status="verification_complete")
    async with relay.database.reading() as books:
        await books.approvals.request(Run("run", another.id, Agent.FINALIZER), REPORT)
    told = await replace(relay, clock=Slow()).announced(another.id)
    assert told == "Not announced yet (it waits in the outbox); it is tried again."
    assert len(await slack.messages()) == 1
    assert await relay.deliver() == 1


async def test_blocks_that_slack_cannot_read_go_as_bare_text(
    relay: OutboxRelay, slack: Workspace, asked: Asked
) -> None:
    assert asked
    await slack.trouble(error="invalid_blocks")
    assert await relay.deliver() == 1
    (message,) = await slack.messages()
    assert "blocks" not in message
    assert "approval needed" in message["text"]


async def test_a_relay_that_dies_after_sending_sends_the_same_message_again(
    relay: OutboxRelay, slack: Workspace, asked: Asked, query: Query
) -> None:
    """At least once: both carry the request's id, and the second one's place is kept."""
    await relay.deliver()
    query("UPDATE outbox SET sent_at = NULL, due_at = now()")
    await relay.deliver()
    ids = {one["metadata"]["event_payload"]["request_id"] for one in await slack.messages()}
    assert (len(await slack.messages()), ids) == (2, {str(asked.request_id)})


async def test_two_relays_at_once_send_a_message_once(
    database_url: str, slack: Workspace, asked: Asked
) -> None:
    assert asked
    relays = [OutboxRelay(PostgresDatabase(database_url), slack.terms()) for _ in range(4)]
    assert sorted(await asyncio.gather(*(relay.deliver() for relay in relays))) == [0, 0, 0, 1]
    assert len(await slack.messages()) == 1


async def test_an_edit_waits_for_the_announcement_before_it(
    relay: OutboxRelay, books: PostgresBooks, made: Made, asked: Asked, query: Query
) -> None:
    """Another relay has just taken the announcement: nobody knows yet where it will stand."""
    assert asked
    query("UPDATE outbox SET due_at = now() + interval '1 minute'")
    await books.approvals.withdraw(made.id, "run", "the run failed")
    assert await relay.deliver() == 0
    assert query("SELECT 1 FROM outbox WHERE kind = 'slack_update' AND withdrawn_at IS NOT NULL") == []


async def test_a_message_that_somebody_deleted_is_let_go(
    relay: OutboxRelay, slack: Workspace, books: PostgresBooks, made: Made, asked: Asked, query: Query
) -> None:
    assert asked
    await relay.deliver()
    await books.approvals.withdraw(made.id, "run", "the run failed")
    await slack.trouble(error="message_not_found")
    await relay.deliver()
    [row] = query("SELECT error FROM outbox WHERE withdrawn_at IS NOT NULL")
    assert row["error"] == "message_not_found"


async def test_without_slack_the_campaign_ends_and_says_so(
    database_url: str, made: Made, asked: Asked, query: Query
) -> None:
    assert asked
    relay = OutboxRelay(PostgresDatabase(database_url), None)
    assert await relay.announced(made.id) == UNTOLD
    assert await relay.deliver() == 0
    assert query("SELECT sent_at, withdrawn_at, attempts FROM outbox") == [
        {"sent_at": None, "withdrawn_at": None, "attempts": 0}
    ]


async def test_a_slack_that_cannot_be_reached_ends_no_campaign(
    database_url: str, slack: Workspace, made: Made, asked: Asked
) -> None:
    assert asked
    terms = slack.terms()
    nowhere = type(terms)(terms.token, terms.channel, "http://127.0.0.1:1/api")
    told = await OutboxRelay(PostgresDatabase(database_url), nowhere).announced(made.id)
    assert told.startswith("Not announced yet (Slack cannot be reached")


async def test_news_of_a_week_ago_is_given_up(
    relay: OutboxRelay, slack: Workspace, asked: Asked, query: Query
) -> None:
    assert asked
    await slack.trouble(status=500)
    query("UPDATE outbox SET created_at = now() - interval '8 days'")
    await relay.deliver()
    [row] = query("SELECT withdrawn_at IS NOT NULL AS over, error FROM outbox")
    assert row == {"over": True, "error": "given up after a week"}
