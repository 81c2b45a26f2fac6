"""Waiting that the end of a run cuts short: nobody sleeps towards a call that will not be made."""

import asyncio
from collections.abc import Awaitable, Callable


class Naps:
    """`sleep` takes seconds. Once `end` is called, whoever sleeps wakes and nobody sleeps again."""

    def __init__(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._sleep = sleep
        self._napping: set[asyncio.Task[None]] = set()
        self.over = False

    async def __call__(self, seconds: float) -> None:
        if self.over:
            return
        nap = asyncio.create_task(self._slept(seconds))
        self._napping.add(nap)
        try:
            await asyncio.wait([nap])
        finally:
            nap.cancel()
            self._napping.discard(nap)

    async def through(self, seconds: float) -> None:
        """Sleeps also when the run is ending."""
        await self._sleep(seconds)

    async def _slept(self, seconds: float) -> None:
        await self._sleep(seconds)

    def end(self) -> None:
        self.over = True
        for nap in self._napping:
            nap.cancel()
