"""Socket Mode: clicks arrive over a connection that we open, so no public address is needed.

Frames: docs.slack.dev, using Socket Mode. An envelope is acknowledged before anything is done about it,
because Slack waits three seconds.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import aiohttp

from resources.sending import Later
from resources.slack.api import SlackApi

HEARTBEAT_S = 20.0
LONGEST_PAUSE_S = 60.0

Take = Callable[[dict[str, Any]], Awaitable[None]]


async def listen(api: SlackApi, take: Take) -> None:
    """For ever: a connection that Slack closes, or that breaks, is opened again. Raises Refused."""
    pause_s = 0.0
    async with aiohttp.ClientSession(trust_env=False) as session:
        while True:
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2 + 1, LONGEST_PAUSE_S)
            with suppress(Later, aiohttp.ClientError, TimeoutError, OSError):
                told = await api.call("apps.connections.open", {})
                if await _stay(session, str(told.get("url")), take):
                    pause_s = 0.0


async def _stay(session: aiohttp.ClientSession, url: str, take: Take) -> bool:
    """Whether Slack greeted us before the connection ended."""
    greeted = False
    async with session.ws_connect(url, heartbeat=HEARTBEAT_S) as socket:
        async for frame in socket:
            if frame.type is not aiohttp.WSMsgType.TEXT:
                break
            envelope = _read(frame.data)
            greeted = greeted or envelope.get("type") == "hello"
            if envelope.get("type") == "disconnect":
                break
            if envelope_id := envelope.get("envelope_id"):
                await socket.send_json({"envelope_id": envelope_id})
                payload = envelope.get("payload")
                await take(payload if isinstance(payload, dict) else {})
    return greeted


def _read(frame: str) -> dict[str, Any]:
    """Empty where it is no JSON object."""
    try:
        envelope = json.loads(frame)
    except (ValueError, RecursionError):
        return {}
    return envelope if isinstance(envelope, dict) else {}
