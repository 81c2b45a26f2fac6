"""Decisions by buttons: a Slack on a socket, a real database, and people who click twice, late or in vain."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import text

from phase3_assets.listening import Desk
from phase3_core.approval import ApprovalPolicy, Channel, Choice
from phase3_core.approval_request import Asked
from phase3_core.statuses import ApprovalStatus
from resources.http_client import http_client
from resources.postgres.database import PostgresBooks, PostgresDatabase
from resources.relay import OutboxRelay
from resources.slack import api
from resources.slack.api import SlackApi
from resources.slack.endpoint import serving
from resources.slack.socket_mode import listen
from tests.attacks import attack, replaced
from tests.conftest import Made
from tests.fakes.workspace import Workspace
from tests.polling import until
from tests.resources.slack.conftest import asked, books, made, slack

__all__ = ["asked", "books", "made", "slack"]  # fixtures

Query = Callable[..., list[dict[str, Any]]]
APPROVERS = ApprovalPolicy(approvers=("U0MANAGER", "U0OTHER"))
OTHER = {"id": "U0OTHER", "username": "kim"}
STRANGER = {"id": "U0STRANGER", "username": "mallory"}


@dataclass(frozen=True)
class Counter:
    """The place where clicks arrive, with the message announced."""

    slack: Workspace
    desk: Desk

    async def whispers(self, number: int) -> list[str]:
        """What was said to those who clicked, once there are so many."""

        async def said() -> list[str]:
            told = [whisper["text"] for whisper in (await self.slack.state())["whispers"]]
            return told if len(told) >= number else []

        return list(await until(said))

    async def shown(self, beginning: str) -> dict[str, Any]:
        """The announcement, once it reads so."""

        async def message() -> dict[str, Any] | None:
            (first,) = await self.slack.messages()
            return first if str(first["text"]).startswith(beginning) else None

        return dict(await until(message))


@pytest.fixture
async def counter(database_url: str, slack: Workspace, asked: Asked) -> AsyncIterator[Counter]:
    assert asked
    database = PostgresDatabase(database_url)
    relay = OutboxRelay(database, slack.terms())
    await relay.deliver()
    async with http_client() as http:
        terms = slack.terms()
        desk = Desk(database, APPROVERS, relay, SlackApi(http, terms.token, terms.url))
        yield Counter(slack, desk)
        await desk.finish()


@asynccontextmanager
async def listening(counter: Counter) -> AsyncIterator[None]:
    """By Socket Mode, from the moment that Slack has somebody to send clicks to."""
    async with http_client() as http:
        api = SlackApi(http, counter.slack.app_token, counter.slack.terms().url)
        task = asyncio.create_task(listen(api, counter.desk.take))
        await connected(counter)
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def connected(counter: Counter) -> None:
    async def somebody() -> bool:
        return bool((await counter.slack.state())["sockets"])

    await until(somebody)


async def test_a_button_decides_and_the_message_says_so(counter: Counter, asked: Asked, query: Query) -> None:
    async with listening(counter):
        await counter.slack.click("approve_tier_a_only", asked.request_id)
        assert await counter.whispers(1) == ["Thank you: approved tier a."]
        message = await counter.shown("*Approved tier a* by dana (U0MANAGER) at ")
    assert "actions" not in {block["type"] for block in message["blocks"]}
    [row] = query("SELECT status, personalization_scope, approved_by FROM campaigns")
    assert tuple(row.values()) == ("approved_for_personalization", "tier_a_only", "dana (U0MANAGER)")
    [line] = query("SELECT details FROM campaign_audit_log WHERE actor_type = 'human'")
    assert line["details"]["channel"] == "slack"


async def test_every_envelope_is_acknowledged_and_a_second_click_is_answered_kindly(
    counter: Counter, asked: Asked
) -> None:
    async with listening(counter):
        await counter.slack.click("approve_full", asked.request_id, times=2)
        await counter.whispers(2)
        await counter.slack.click("reject", asked.request_id, user=OTHER, feedback="too dear")
        told = sorted(await counter.whispers(3))
    assert told[2] == "Thank you: approved full."
    assert all(one.startswith("Already decided: approved full by dana (U0MANAGER) at ") for one in told[:2])
    assert (await counter.slack.state())["acknowledged"] == ["e1", "e1", "e2"]


@attack(
    "Decisions",
    "Somebody who may not decide clicks: everyone in the channel can",
    defence="Only who is listed is heard",
    without=replaced((ApprovalPolicy, "allows", lambda *_: True)),
)
async def test_only_approvers_are_heard(counter: Counter, asked: Asked, query: Query) -> None:
    async with listening(counter):
        await counter.slack.click("approve_full", asked.request_id, user=STRANGER)
        (told,) = await counter.whispers(1)
    assert told.startswith("mallory (U0STRANGER) is not among the approvers.")
    assert query("SELECT status FROM approval_requests") == [{"status": "pending"}]


async def test_a_no_without_a_reason_asks_for_one(counter: Counter, asked: Asked, query: Query) -> None:
    async with listening(counter):
        await counter.slack.click("reject", asked.request_id)
        (told,) = await counter.whispers(1)
        assert told == "reject needs feedback: say what is wrong or missing."
        await counter.slack.click("reject", asked.request_id, feedback="wrong industry")
        await counter.shown("*Rejected* by dana (U0MANAGER) at ")
    assert query("SELECT feedback FROM approval_requests") == [{"feedback": "wrong industry"}]


@asynccontextmanager
async def decisions_held(books: PostgresBooks, query: Query) -> AsyncIterator[None]:
    """As while another transaction works on the campaign; afterwards they go on."""
    async with books.engine.begin() as connection:
        await connection.execute(text("SELECT 1 FROM campaigns FOR UPDATE"))
        yield
        assert query("SELECT status FROM approval_requests") == [{"status": "pending"}]


async def test_by_socket_slack_has_its_answer_before_the_decision_is_made(
    counter: Counter, books: PostgresBooks, asked: Asked, query: Query
) -> None:
    async def acknowledged() -> list[str]:
        return list((await counter.slack.state())["acknowledged"])

    async with listening(counter):
        async with decisions_held(books, query):
            await counter.slack.click("approve_full", asked.request_id)
            assert await until(acknowledged) == ["e1"]
        assert await counter.whispers(1) == ["Thank you: approved full."]
    assert (await counter.slack.state())["late"] == []


async def test_over_http_slack_has_its_answer_before_the_decision_is_made(
    counter: Counter, books: PostgresBooks, asked: Asked, query: Query
) -> None:
    """The sandbox hangs up after three seconds, as Slack does."""
    async with serving(counter.slack.secret, 0, counter.desk.take) as url:
        async with decisions_held(books, query):
            answers = await counter.slack.click("approve_full", asked.request_id, url=url, times=2)
            assert answers == [200, 200]
        told = sorted(await counter.whispers(2))
    assert told[1] == "Thank you: approved full."


async def test_of_a_message_that_was_posted_twice_the_one_that_is_clicked_is_brought_up_to_date_too(
    counter: Counter, asked: Asked, query: Query
) -> None:
    query("UPDATE outbox SET sent_at = NULL, due_at = now()")
    await counter.desk.relay.deliver()
    first, second = await counter.slack.messages()
    async with listening(counter):
        await counter.slack.click("approve_full", asked.request_id, ts=first["ts"])

        async def decided() -> bool:
            return all(
                str(one["text"]).startswith("*Approved full* by dana")
                for one in await counter.slack.messages()
            )

        await until(decided)
    assert [one["ts"] for one in await counter.slack.messages()] == [first["ts"], second["ts"]]
    assert [one["edits"] for one in await counter.slack.messages()] == [1, 1]


async def test_a_click_on_what_has_changed_voids_it(counter: Counter, asked: Asked, query: Query) -> None:
    query("UPDATE leads SET email = 'eve@acme.com'")
    async with listening(counter):
        await counter.slack.click("approve_full", asked.request_id)
        (told,) = await counter.whispers(1)
        assert told.startswith("Not decided: the leads changed since approval was asked for")
        await counter.shown("Withdrawn at ")
    assert query("SELECT status FROM campaigns") == [{"status": "verification_complete"}]


async def test_a_click_after_a_decision_elsewhere_is_told_of_it(
    counter: Counter, books: PostgresBooks, made: Made, asked: Asked
) -> None:
    choice = Choice(ApprovalStatus.APPROVED_FULL, "kim", Channel.DAGSTER)
    await books.approvals.decide(made.id, choice)
    async with listening(counter):
        await counter.slack.click("reject", asked.request_id, feedback="no")
        (told,) = await counter.whispers(1)
        assert told.startswith("Already decided: approved full by kim at ")
        await counter.shown("*Approved full* by kim at ")


async def test_a_request_of_another_database_is_not_known(counter: Counter, made: Made) -> None:
    async with listening(counter):
        await counter.slack.click("approve_full", made.id)
        (told,) = await counter.whispers(1)
    assert told.startswith("That request is not known here")


async def test_a_connection_that_slack_renews_is_opened_again(counter: Counter, asked: Asked) -> None:
    async def opened() -> bool:
        requests: list[str] = (await counter.slack.state())["requests"]
        return requests.count("apps.connections.open") >= 2

    async with listening(counter):
        await counter.slack.disconnect()
        await until(opened)
        await connected(counter)
        await counter.slack.click("approve_full", asked.request_id)
        assert await counter.whispers(1) == ["Thank you: approved full."]


async def test_over_http_only_what_slack_signed_is_heard(
    counter: Counter, asked: Asked, query: Query
) -> None:
    async with serving(counter.slack.secret, 0, counter.desk.take) as url:
        click: dict[str, Any] = {"action": "approve_full", "value": asked.request_id, "url": url}
        assert await counter.slack.click(**click, secret="another") == [401]
        assert await counter.slack.click(**click, age_s=301) == [401]
        assert query("SELECT status FROM approval_requests") == [{"status": "pending"}]
        assert await counter.slack.click(**click, times=2) == [200, 200]
        told = sorted(await counter.whispers(2))
    assert told[0].startswith("Already decided: approved full by dana (U0MANAGER) at ")
    assert told[1] == "Thank you: approved full."


@attack(
    "Decisions",
    "A click names a host of the attacker's to be answered at",
    defence="Answers go to Slack's own hosts and nowhere else",
    without=replaced((api, "urlsplit", lambda _: urlsplit(f"https://{api.HOOKS_HOST}"))),
)
async def test_a_word_goes_to_slacks_own_hosts_and_nowhere_else(counter: Counter) -> None:
    before = (await counter.slack.state())["whispers"]
    elsewhere = counter.slack.url.replace("127.0.0.1", "localhost")
    await counter.desk.api.respond(f"{elsewhere}/slack/respond/9", "hello")
    assert (await counter.slack.state())["whispers"] == before == []
