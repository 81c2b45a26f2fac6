"""Sends what waits in the outbox, at least once, each message under its own id.

A message about a request is rendered when it leaves, from the request as it stands then, so that a late one
is still true.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import ClassVar
from uuid import UUID

from sqlalchemy.exc import DBAPIError

from phase3_core.approval_request import ApprovalRequest
from phase3_core.errors import Phase3Error
from phase3_core.ports.clock import Clock
from phase3_core.statuses import OutboxKind
from resources.clock import SystemClock
from resources.http_client import http_client
from resources.postgres.database import PostgresBooks, PostgresDatabase
from resources.postgres.outbox import Waiting
from resources.sending import Later, NotNeeded, Refused
from resources.settings_tables import ApprovalSettings, WebhookSettings
from resources.slack.api import API_URL, SlackApi
from resources.slack.messages import announcement, escalation, outcome, reminder
from resources.webhook import Webhook, WebhookTerms

BOT_TOKEN, BASE_URL = "SLACK_BOT_TOKEN", "SLACK_BASE_URL"
WEBHOOK_SECRET = "PHASE3_WEBHOOK_SECRET"  # noqa: S105 - the name of a variable, not a secret
AFTER_REFUSAL_S = 300.0  # somebody has to change a setting first
FIRST_WAIT_S = 5.0
LONGEST_WAIT_S = 600.0
# A run that announces no longer holds its campaign, and is declared dead after 30 s. One message may take
# Slack's ten twice, so the last one is begun early.
ANNOUNCING_S = 5.0
GONE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed"})
UNTOLD = "Nobody was told: set SLACK_BOT_TOKEN and [approval] slack_channel to have requests announced."

Send = Callable[[Waiting], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class SlackTerms:
    """As whom and where messages are posted. `escalate_to`: whom an escalation mentions."""

    token: str = field(repr=False)
    channel: str
    url: str
    escalate_to: str = ""


def slack_terms(settings: ApprovalSettings, environment: Mapping[str, str]) -> SlackTerms | None:
    """None where Slack is not set up."""
    token, channel = environment.get(BOT_TOKEN, ""), settings.slack_channel
    url = environment.get(BASE_URL) or API_URL
    return SlackTerms(token, channel, url.rstrip("/"), settings.escalate_to) if token and channel else None


def webhook_terms(settings: WebhookSettings, environment: Mapping[str, str]) -> WebhookTerms | None:
    """None where there is no webhook, or nothing to sign its events with."""
    secret = environment.get(WEBHOOK_SECRET, "")
    return WebhookTerms(settings.url, secret) if settings.url and secret else None


@dataclass(frozen=True, slots=True)
class OutboxRelay:
    """Implements `Relay`. Several may run at once: a message is leased to one of them at a time."""

    database: PostgresDatabase
    slack: SlackTerms | None = None
    webhook: WebhookTerms | None = None
    clock: Clock = field(default_factory=SystemClock)

    async def deliver(self) -> int:
        sent = 0
        async with self.database.reading() as books, self._senders(books) as senders:
            if self.webhook:
                await books.events.collect()
            while waiting := await books.outbox.take(senders.keys()):
                for message in waiting:
                    sent += await self._one(books, senders, message)
            await books.outbox.tidy()
        return sent

    async def _one(self, books: PostgresBooks, senders: dict[OutboxKind, Send], message: Waiting) -> bool:
        """Where one message has to wait, those that take the same way wait as well."""
        if (send := senders.get(message.kind)) is None:
            await books.outbox.failed(message.id, "one before it could not be sent", FIRST_WAIT_S)
            return False
        try:
            return await _sent(books, send, message)
        except Later as failure:
            wait = failure.wait_s or min(FIRST_WAIT_S * 2**message.attempts, LONGEST_WAIT_S)
            await books.outbox.failed(message.id, str(failure), wait)
        for kind in [kind for kind, other in senders.items() if other == send]:
            del senders[kind]
        return False

    async def announced(self, campaign_id: UUID) -> str:
        if self.slack is None:
            return UNTOLD
        try:
            async with self.database.reading() as books:
                await self._post(books)
                return await self._fate(books, campaign_id)
        except Phase3Error as failure:
            return str(failure)

    async def _post(self, books: PostgresBooks) -> None:
        """To Slack alone, and one by one: none is leased that is not begun in time."""
        until = self.clock.monotonic() + ANNOUNCING_S
        async with self._senders(books) as senders:
            while self.clock.monotonic() < until:
                waiting = await books.outbox.take(senders.keys() & SlackPost.KINDS, most=1)
                if not waiting:
                    return
                await self._one(books, senders, waiting[0])

    async def _fate(self, books: PostgresBooks, campaign_id: UUID) -> str:
        request = await books.approvals.newest_request(campaign_id)
        if request is None:
            return "Nobody was asked."
        if request.channel:
            return f"Announced in Slack channel {request.channel['channel']}."
        why = await books.outbox.trouble(request.request_id)
        return f"Not announced yet ({why or 'it waits in the outbox'}); it is tried again."

    @asynccontextmanager
    async def _senders(self, books: PostgresBooks) -> AsyncIterator[dict[OutboxKind, Send]]:
        """By kind of message; kinds without one stay in the outbox."""
        async with http_client() as http:
            senders: dict[OutboxKind, Send] = {}
            if terms := self.slack:
                post = SlackPost(SlackApi(http, terms.token, terms.url), terms, books)
                senders |= dict.fromkeys(SlackPost.KINDS, post.send)
            if self.webhook:
                hook = EventPost(Webhook(http, self.webhook), self.clock)
                senders[OutboxKind.EVENT] = hook.send
            yield senders


async def _sent(books: PostgresBooks, send: Send, message: Waiting) -> bool:
    """Raises Later, and whatever the database says."""
    try:
        await send(message)
    except (Later, DBAPIError):
        raise
    except NotNeeded as reason:
        await books.outbox.withdrawn(message.id, str(reason))
    except Refused as refusal:
        await books.outbox.failed(message.id, f"refused: {refusal}", AFTER_REFUSAL_S)
    except Exception as failure:  # noqa: BLE001 - one message that nobody can make or read keeps no other
        await books.outbox.failed(message.id, f"cannot be sent: {type(failure).__name__}", AFTER_REFUSAL_S)
    else:
        await books.outbox.sent(message.id)
        return True
    return False


@dataclass(frozen=True, slots=True)
class SlackPost:
    """Announces a request, nudges under it, and says in its place what became of it."""

    api: SlackApi
    terms: SlackTerms
    books: PostgresBooks

    KINDS: ClassVar = (OutboxKind.ANNOUNCE, OutboxKind.UPDATE, OutboxKind.REMIND, OutboxKind.ESCALATE)

    async def send(self, message: Waiting) -> None:
        """Raises Later, Refused, NotNeeded."""
        if message.request_id is None:
            raise NotNeeded("it is about no request")
        request = await self.books.approvals.by_id(message.request_id)
        if message.kind is OutboxKind.UPDATE:
            await self._update(request)
        elif not request.pending:
            raise NotNeeded("the request is over")
        elif message.kind is OutboxKind.ANNOUNCE:
            await self._announce(request)
        else:
            await self._nudge(request, message.kind)

    async def _announce(self, request: ApprovalRequest) -> None:
        told = await self.api.post({"channel": self.terms.channel, **announcement(request)})
        place = {"channel": str(told["channel"]), "ts": str(told["ts"])}
        await self.books.approvals.announced(request.request_id, place)

    async def _update(self, request: ApprovalRequest) -> None:
        if not request.channel:
            raise NotNeeded("it was never announced")
        place = {"channel": request.channel["channel"], "ts": request.channel["ts"]}
        try:
            await self.api.call("chat.update", {**place, **outcome(request)})
        except Refused as refusal:
            if str(refusal) in GONE:
                raise NotNeeded(str(refusal)) from None
            raise

    async def _nudge(self, request: ApprovalRequest, kind: OutboxKind) -> None:
        """Under the announcement; an escalation is shown in the channel as well."""
        if not request.channel:
            raise Later("the announcement has not left yet")
        under = {"channel": request.channel["channel"], "thread_ts": request.channel["ts"]}
        if kind is OutboxKind.REMIND:
            await self.api.post({**under, **reminder(request)})
        else:
            words = escalation(request, self.terms.escalate_to)
            await self.api.post({**under, "reply_broadcast": True, **words})


@dataclass(frozen=True, slots=True)
class EventPost:
    """Posts an event under the id of its row."""

    webhook: Webhook
    clock: Clock

    async def send(self, message: Waiting) -> None:
        """Raises Later and Refused."""
        await self.webhook.post(str(message.id), message.payload, self.clock.now())
