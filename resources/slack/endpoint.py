"""Clicks over HTTP, where there is a public address: signature checked, answered at once."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from resources.slack.clicks import payload_of, signed_by_slack

PATH = "/slack/actions"
LOOPBACK = "127.0.0.1"  # a proxy with TLS stands before it
LARGEST_BODY = 1_000_000

Take = Callable[[dict[str, Any]], Awaitable[None]]


@asynccontextmanager
async def serving(secret: str, port: int, take: Take) -> AsyncIterator[str]:
    """The address for as long as the block runs. `take` must not wait: Slack gives three seconds."""

    async def answer(request: web.Request) -> web.Response:
        body = await request.read()
        if not signed_by_slack(secret, request.headers, body, time.time()):
            return web.Response(status=401)
        await take(payload_of(body))
        return web.Response()

    application = web.Application(client_max_size=LARGEST_BODY)
    application.router.add_post(PATH, answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, LOOPBACK, port).start()
        yield f"http://{LOOPBACK}:{runner.addresses[0][1]}{PATH}"
    finally:
        await runner.cleanup()
