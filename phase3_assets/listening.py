"""`phase3 slack`: takes clicks, decides, answers whoever clicked, and sends what waits in the outbox."""

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from phase3_assets.deciding import decide
from phase3_core.approval import ApprovalPolicy, Channel, person_choice
from phase3_core.approval_request import in_words
from phase3_core.errors import BadInput, Phase3Error
from phase3_core.flow import first_cause
from phase3_core.ports.relay import Relay
from resources.assembly import outbox_relay
from resources.http_client import http_client
from resources.postgres.database import PostgresDatabase
from resources.relay import BOT_TOKEN, slack_terms
from resources.sending import Later, Refused
from resources.settings import read_settings, settings_path
from resources.slack.api import SlackApi
from resources.slack.clicks import Click, read_click
from resources.slack.endpoint import serving
from resources.slack.messages import escaped, outcome
from resources.slack.socket_mode import listen

APP_TOKEN, SIGNING_SECRET = "SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET"
RELAY_EVERY_S = 5.0

Tell = Callable[[str], None]


@dataclass
class Desk:
    """Every click is taken at once and worked on afterwards: Slack waits three seconds."""

    database: PostgresDatabase
    policy: ApprovalPolicy
    relay: Relay
    api: SlackApi
    working: set[asyncio.Task[None]] = field(default_factory=set)

    async def take(self, payload: Mapping[str, Any]) -> None:
        if click := read_click(payload):
            task = asyncio.create_task(self.answer(click))
            self.working.add(task)
            task.add_done_callback(self.working.discard)

    async def answer(self, click: Click) -> None:
        """Only the person who clicked reads it; the message is brought up to date for everybody."""
        words = await self._decided(click)
        with suppress(Later, Refused):
            await self.api.respond(click.response_url, escaped(words))
        with suppress(Phase3Error):
            await self.relay.deliver()
        with suppress(Phase3Error, Later, Refused):
            await self._clear(click)

    async def _clear(self, click: Click) -> None:
        """A message that was posted twice is kept up to date in one place; this is the other one."""
        async with self.database.reading() as books:
            request = await books.approvals.by_id(click.request_id)
        if all(click.place.values()) and not request.pending and request.channel != click.place:
            await self.api.call("chat.update", {**click.place, **outcome(request)})

    async def _decided(self, click: Click) -> str:
        try:
            choice = person_choice(
                self.policy,
                click.decision,
                f"{click.user_name} ({click.user_id})",
                Channel.SLACK,
                feedback=click.feedback,
                request_id=click.request_id,
                known_as=click.user_id,
            )
            async with self.database.reading() as books:
                request = await books.approvals.by_id(click.request_id)
            decided = await decide(self.database, request.campaign_id, choice)
        except Phase3Error as failure:
            return str(failure)
        return f"Thank you: {in_words(decided.status)}."

    async def finish(self) -> None:
        """What was taken is answered."""
        while self.working:
            await asyncio.wait(self.working)


async def serve_slack(url: str, port: int | None, tell: Tell) -> None:
    """Until cancelled; by Socket Mode, or over HTTP where a port is given. Raises BadInput without token."""
    settings = read_settings(settings_path())
    terms = slack_terms(settings.approval, os.environ)
    if terms is None:
        raise BadInput(f"Slack is not set up: set {BOT_TOKEN}, and [approval] slack_channel in the settings.")
    policy = settings.approval.policy()
    if not policy.named:
        tell("No click will count: [approval] approvers in the settings names nobody by their Slack user id.")
    relay = outbox_relay(url, settings)
    async with http_client() as http:
        desk = Desk(PostgresDatabase(url), policy, relay, SlackApi(http, terms.token, terms.url))
        if port is None:
            listening = _by_socket(SlackApi(http, _needed(APP_TOKEN), terms.url), desk, tell)
        else:
            listening = _over_http(_needed(SIGNING_SECRET), port, desk, tell)
        try:
            await _together(listening, _relay(relay))
        finally:
            await asyncio.shield(desk.finish())


async def _together(*work: Coroutine[Any, Any, None]) -> None:
    """Until one of them fails, which ends the others."""
    try:
        async with asyncio.TaskGroup() as group:
            for one in work:
                group.create_task(one)
    except BaseExceptionGroup as failures:
        raise first_cause(failures) from failures


def _needed(variable: str) -> str:
    if value := os.environ.get(variable):
        return value
    raise BadInput(f"{variable} is not set; docs/approval.md says where Slack shows it.")


async def _relay(relay: Relay) -> None:
    """A database that is away for a moment is asked again."""
    while True:
        with suppress(Phase3Error):
            await relay.deliver()
        await asyncio.sleep(RELAY_EVERY_S)


async def _by_socket(api: SlackApi, desk: Desk, tell: Tell) -> None:
    tell("Listening to Slack by Socket Mode. Ctrl-C ends it.")
    try:
        await listen(api, desk.take)
    except Refused as refusal:
        raise BadInput(f"Slack refuses {APP_TOKEN}: {refusal}.") from None


async def _over_http(secret: str, port: int, desk: Desk, tell: Tell) -> None:
    async with serving(secret, port, desk.take) as address:
        tell(f"Listening at {address}; have a proxy with TLS pass Slack's interactivity URL on to it.")
        await asyncio.Event().wait()
