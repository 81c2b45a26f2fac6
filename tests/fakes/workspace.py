"""The sandbox's Slack as a test drives it, and a campaign's request to announce in it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from resources.relay import SlackTerms
from sandbox.app import serve
from sandbox.options import Options
from sandbox.slack import APP_TOKEN, BOT_TOKEN, CHANNEL, SIGNING_SECRET


@dataclass(frozen=True)
class Workspace:
    url: str
    session: aiohttp.ClientSession

    app_token = APP_TOKEN
    secret = SIGNING_SECRET

    def terms(self, token: str = BOT_TOKEN, channel: str = CHANNEL) -> SlackTerms:
        return SlackTerms(token, channel, f"{self.url}/slack/api", "<!subteam^S01>")

    async def state(self) -> dict[str, Any]:
        async with self.session.get(f"{self.url}/_sandbox/slack") as answer:
            told: dict[str, Any] = await answer.json()
            return told

    async def messages(self) -> list[dict[str, Any]]:
        return list((await self.state())["messages"])

    async def click(self, action: str, value: object, **wish: Any) -> list[int]:
        told = await self._tell("click", action=action, value=str(value), **wish)
        return list(told["answers"])

    async def trouble(self, **trouble: Any) -> None:
        await self._tell("trouble", **trouble)

    async def disconnect(self) -> None:
        await self._tell("disconnect")

    async def _tell(self, what: str, **facts: Any) -> dict[str, Any]:
        async with self.session.post(f"{self.url}/_sandbox/slack/{what}", json=facts) as answer:
            told: dict[str, Any] = await answer.json()
            return told


@asynccontextmanager
async def a_workspace() -> AsyncIterator[Workspace]:
    async with serve(Options(scale=0.001, latency_ms=0)) as sandbox, aiohttp.ClientSession() as session:
        yield Workspace(sandbox.url, session)
