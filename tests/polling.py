"""Waiting for what sets no event here: another process, a database, a vendor."""

import asyncio
from collections.abc import Callable
from inspect import isawaitable
from typing import Any

WAIT_S = 60.0


async def until(fact: Callable[[], Any], *, every_s: float = 0.01, within_s: float | None = WAIT_S) -> Any:
    """What the fact, which may be awaitable, is once it is true; raises TimeoutError if that takes longer."""
    async with asyncio.timeout(within_s):
        while True:
            found = fact()
            if found := await found if isawaitable(found) else found:
                return found
            await asyncio.sleep(every_s)
