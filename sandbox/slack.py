"""Slack's stand-in: a workspace with one channel; posts, edits, a socket for clicks, people who click."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import aiohttp
from aiohttp import web

BOT_TOKEN = "xoxb-sandbox"  # noqa: S105 - opens nothing but this sandbox
APP_TOKEN = "xapp-sandbox"  # noqa: S105 - opens nothing but this sandbox
SIGNING_SECRET = "8f742231b10e8888abcd99yyyzzz85a5"  # noqa: S105 - opens nothing but this sandbox
CHANNEL = "C0CAMPAIGN1"
PATIENCE_S = 3.0  # how long Slack waits for an answer to a click
TIMED_OUT = 0  # an answer's status where none came in time
MOST_BLOCKS, LONGEST_HEADER, LONGEST_TEXT, MOST_FIELDS, LONGEST_BUTTON = 50, 150, 3_000, 10, 75
WHO = {"id": "U0MANAGER", "username": "dana", "team_id": "T01"}


@dataclass
class Workspace:
    """What was posted, by its ts; what was whispered to one person; trouble to come."""

    messages: dict[str, dict[str, Any]] = field(default_factory=dict)
    whispers: list[dict[str, Any]] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    trouble: list[dict[str, Any]] = field(default_factory=list)
    sockets: set[web.WebSocketResponse] = field(default_factory=set)
    late: list[str] = field(default_factory=list)
    sent_at: dict[str, float] = field(default_factory=dict)
    clicks: int = 0

    def routes(self) -> list[web.RouteDef]:
        """Slack's own, then those for tests."""
        return [
            web.post("/slack/api/chat.postMessage", self.post),
            web.post("/slack/api/chat.update", self.update),
            web.post("/slack/api/auth.test", self.test),
            web.post("/slack/api/apps.connections.open", self.open_socket),
            web.get("/slack/link", self.socket),
            web.post("/slack/respond/{click}", self.respond),
            web.get("/_sandbox/slack", self.state),
            web.post("/_sandbox/slack/click", self.click),
            web.post("/_sandbox/slack/trouble", self.make_trouble),
            web.post("/_sandbox/slack/disconnect", self.disconnect),
        ]

    @staticmethod
    def env(origin: str) -> dict[str, str]:
        """Environment of a client."""
        return {
            "SLACK_BOT_TOKEN": BOT_TOKEN,
            "SLACK_APP_TOKEN": APP_TOKEN,
            "SLACK_SIGNING_SECRET": SIGNING_SECRET,
            "SLACK_BASE_URL": f"{origin}/slack/api",
        }

    # -- the Web API

    async def post(self, request: web.Request) -> web.Response:
        """A message, or why not."""
        body, refusal = await self._asked(request, BOT_TOKEN)
        if refusal is not None:
            return refusal
        if error := _error(body):
            return _refused(error)
        ts = f"{1_758_000_000 + len(self.messages)}.000247"
        self.messages[ts] = {**body, "ts": ts, "edits": 0}
        return web.json_response({"ok": True, "channel": body["channel"], "ts": ts, "message": body})

    async def update(self, request: web.Request) -> web.Response:
        """Another text in the place of a message."""
        body, refusal = await self._asked(request, BOT_TOKEN)
        if refusal is not None:
            return refusal
        ts = str(body.get("ts"))
        if ts not in self.messages:
            return _refused("message_not_found")
        if error := _error(body):
            return _refused(error)
        self.messages[ts] |= {**body, "edits": self.messages[ts]["edits"] + 1}
        return web.json_response({"ok": True, "channel": body["channel"], "ts": ts})

    async def test(self, request: web.Request) -> web.Response:
        """Health."""
        _, refusal = await self._asked(request, BOT_TOKEN)
        return refusal or web.json_response({"ok": True, "team_id": "T01", "bot_id": "B01"})

    async def _asked(self, request: web.Request, token: str) -> tuple[dict[str, Any], web.Response | None]:
        self.requests.append(request.path.rpartition("/")[2])
        if self.trouble:
            return {}, _broken(self.trouble.pop(0))
        if request.headers.get("Authorization") != f"Bearer {token}":
            return {}, _refused("invalid_auth")
        body = json.loads(await request.read() or b"{}")
        return body if isinstance(body, dict) else {}, None

    # -- Socket Mode

    async def open_socket(self, request: web.Request) -> web.Response:
        """Where to connect."""
        _, refusal = await self._asked(request, APP_TOKEN)
        url = f"ws://{request.host}/slack/link?ticket=1"
        return refusal or web.json_response({"ok": True, "url": url})

    async def socket(self, request: web.Request) -> web.WebSocketResponse:
        """A greeting, then envelopes; what is acknowledged is noted."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"type": "hello", "num_connections": 1})
        self.sockets.add(socket)
        try:
            async for frame in socket:
                self._acknowledge(str(json.loads(frame.data).get("envelope_id")))
        finally:
            self.sockets.discard(socket)
        return socket

    def _acknowledge(self, envelope_id: str) -> None:
        self.acknowledged.append(envelope_id)
        if time.monotonic() - self.sent_at.get(envelope_id, 0.0) > PATIENCE_S:
            self.late.append(envelope_id)

    async def disconnect(self, _request: web.Request) -> web.Response:
        """As Slack does every few hours."""
        for socket in list(self.sockets):
            await socket.send_json({"type": "disconnect", "reason": "refresh_requested"})
        return web.json_response({"told": len(self.sockets)})

    async def respond(self, request: web.Request) -> web.Response:
        """A word for whoever clicked."""
        self.whispers.append({"click": request.match_info["click"], **await request.json()})
        return web.Response(text="ok")

    # -- for tests

    async def state(self, _request: web.Request) -> web.Response:
        """Everything that was posted and said."""
        told = {"messages": list(self.messages.values()), "whispers": self.whispers}
        seen = {"requests": self.requests, "acknowledged": self.acknowledged, "late": self.late}
        return web.json_response(told | seen | {"sockets": len(self.sockets)})

    async def make_trouble(self, request: web.Request) -> web.Response:
        """`{status, retry_after, error, times}`: what the next calls of the Web API meet."""
        trouble = await request.json()
        self.trouble += [trouble] * int(trouble.get("times", 1))
        return web.json_response({"waiting": len(self.trouble)})

    async def click(self, request: web.Request) -> web.Response:
        """`{action, value, user, feedback, times, url, secret, age_s}`: by socket, or signed to `url`."""
        wish = await request.json()
        self.clicks += 1
        payload = _payload(wish, f"http://{request.host}/slack/respond/{self.clicks}")
        payload["container"] = self._clicked(wish)
        answers = [await self._deliver(wish, payload) for _ in range(int(wish.get("times", 1)))]
        return web.json_response({"answers": answers})

    def _clicked(self, wish: Mapping[str, Any]) -> dict[str, Any]:
        """`ts` of the wish, else that of the newest message: there people click."""
        ts = wish.get("ts") or next(reversed(self.messages), "")
        return {"type": "message", "message_ts": ts, "channel_id": CHANNEL, "is_ephemeral": False}

    async def _deliver(self, wish: Mapping[str, Any], payload: dict[str, Any]) -> int:
        if url := wish.get("url"):
            return await _send_signed(str(url), wish, payload)
        number = f"e{self.clicks}"
        self.sent_at[number] = time.monotonic()
        envelope = {"envelope_id": number, "type": "interactive", "payload": payload}
        await asyncio.gather(*(socket.send_json(envelope) for socket in list(self.sockets)[:1]))
        return len(self.sockets)


def _payload(wish: Mapping[str, Any], response_url: str) -> dict[str, Any]:
    action = {"type": "button", "action_id": wish["action"], "block_id": "approval", "value": wish["value"]}
    written = {"feedback": {"why": {"type": "plain_text_input", "value": wish.get("feedback")}}}
    return {
        "type": "block_actions",
        "user": {**WHO, **wish.get("user", {})},
        "api_app_id": "A01",
        "team": {"id": "T01", "domain": "acme"},
        "channel": {"id": CHANNEL, "name": "campaign-approvals"},
        "trigger_id": "7001.8002.a1b2c3d4e5",
        "state": {"values": written},
        "response_url": response_url,
        "actions": [action],
    }


async def _send_signed(url: str, wish: Mapping[str, Any], payload: dict[str, Any]) -> int:
    """As Slack posts a click: a form with one field, signed over its raw bytes."""
    body = urlencode({"payload": json.dumps(payload)}).encode()
    stamp = str(int(time.time() - float(wish.get("age_s", 0))))
    secret = str(wish.get("secret", SIGNING_SECRET))
    signature = hmac.new(secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": f"v0={signature}",
    }
    patience = aiohttp.ClientTimeout(total=PATIENCE_S)
    try:
        async with aiohttp.ClientSession(timeout=patience) as session:
            answer = await session.post(url, data=body, headers=headers)
            return answer.status
    except TimeoutError:
        return TIMED_OUT


def _broken(trouble: Mapping[str, Any]) -> web.Response:
    if error := trouble.get("error"):
        return _refused(str(error))
    status = int(trouble.get("status", 500))
    headers = {"Retry-After": str(trouble["retry_after"])} if "retry_after" in trouble else {}
    return web.json_response({"ok": False, "error": "ratelimited"}, status=status, headers=headers)


def _refused(error: str) -> web.Response:
    """Slack refuses with 200."""
    return web.json_response({"ok": False, "error": error, "response_metadata": {"messages": []}})


def _error(body: Mapping[str, Any]) -> str:
    """Slack's word for what is wrong with a message, if anything is."""
    if body.get("channel") != CHANNEL:
        return "channel_not_found"
    if not body.get("text"):
        return "no_text"
    blocks = body.get("blocks", [])
    return "" if len(blocks) <= MOST_BLOCKS and all(map(_well_formed, blocks)) else "invalid_blocks"


def _well_formed(block: Mapping[str, Any]) -> bool:
    match block:
        case {"type": "header", "text": {"type": "plain_text", "text": str(text)}}:
            return 0 < len(text) <= LONGEST_HEADER
        case {"type": "section", "fields": list(fields)}:
            return 0 < len(fields) <= MOST_FIELDS
        case {"type": "section", "text": {"type": "mrkdwn", "text": str(text)}}:
            return 0 < len(text) <= LONGEST_TEXT
        case {"type": "input", "element": {"action_id": str()}, "label": {"type": "plain_text"}}:
            return True
        case {"type": "actions", "elements": list(buttons)}:
            return all(_a_button(button) for button in buttons)
    return False


def _a_button(button: Mapping[str, Any]) -> bool:
    label = button.get("text")
    return (
        isinstance(label, dict) and label.get("type") == "plain_text" and len(label["text"]) <= LONGEST_BUTTON
    )
