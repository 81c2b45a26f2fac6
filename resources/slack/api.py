"""Slack's Web API over the one HTTP client: a call, and what its failures mean.

Slack answers 200 to most failures, so `ok` is always read (docs.slack.dev, Web API).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

from resources.http_client import Lost, NotSent, Received, Sending
from resources.sending import Later, Refused

API_URL = "https://slack.com/api"
HOOKS_HOST = "hooks.slack.com"
TIMEOUT_S = 10.0
USUAL_WAIT_S = 30.0
TOO_MANY = 429
BROKEN = 500
LONGEST_ERROR = 100  # characters kept
_A_WORD = re.compile(r"[^a-z0-9_:.-]+", re.IGNORECASE)  # Slack's errors are; nothing else is written down
LIMITED = frozenset({"ratelimited", "rate_limited"})
PASSING = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout"})
UNREADABLE = frozenset(
    {"invalid_blocks", "invalid_blocks_format", "msg_too_long", "msg_blocks_too_long", "invalid_arguments"}
)


class Transport(Protocol):
    async def send(self, sending: Sending) -> Received: ...


@dataclass(frozen=True, slots=True)
class SlackApi:
    """`token` is a bot's (`xoxb-`) or, for Socket Mode, the app's (`xapp-`)."""

    transport: Transport
    token: str = field(repr=False)
    url: str = API_URL

    async def call(self, method: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Raises Later and Refused."""
        received = await self._send(f"{self.url}/{method}", body, {"Authorization": f"Bearer {self.token}"})
        if received.status == TOO_MANY:
            raise Later("Slack wants us to wait", _seconds(received.headers.get("Retry-After")))
        if received.status >= BROKEN:
            raise Later(f"Slack answered {received.status}")
        return _read(received.text)

    async def post(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """As it is, and once more as bare text where Slack cannot read its blocks."""
        try:
            return await self.call("chat.postMessage", message)
        except Refused as refusal:
            if str(refusal) not in UNREADABLE:
                raise
        return await self.call("chat.postMessage", {"channel": message["channel"], "text": message["text"]})

    async def respond(self, response_url: str, text: str) -> None:
        """A word for whoever clicked alone; sent to Slack's own hosts and nowhere else."""
        if urlsplit(response_url).netloc not in {HOOKS_HOST, urlsplit(self.url).netloc}:
            return
        body = {"response_type": "ephemeral", "replace_original": False, "text": text}
        await self._send(response_url, body, {})

    async def _send(self, url: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> Received:
        sending = Sending("POST", url, {}, headers, dict(body), None, TIMEOUT_S)
        try:
            return await self.transport.send(sending)
        except (NotSent, Lost) as failure:
            raise Later(f"Slack cannot be reached ({failure})") from None


def _read(text: str) -> dict[str, Any]:
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        raise Later("Slack's answer is no JSON") from None
    if not isinstance(told, dict):
        raise Later("Slack's answer is no object")
    if told.get("ok"):
        return told
    error = _A_WORD.sub("?", str(told.get("error", "unknown")))[:LONGEST_ERROR]
    if error in LIMITED or error in PASSING:
        raise Later(f"Slack says {error}", USUAL_WAIT_S if error in LIMITED else None)
    raise Refused(error)


def _seconds(told: str | None) -> float:
    try:
        return max(float(told or ""), 1.0)
    except ValueError:
        return USUAL_WAIT_S
