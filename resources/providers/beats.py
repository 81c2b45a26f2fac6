"""Work that is done every so often beside a run."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress


@asynccontextmanager
async def beating(every_s: float, work: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Seconds of the wall. The last beat comes on the way out, at once."""
    over = asyncio.Event()
    beats = asyncio.create_task(_beat(every_s, work, over))
    try:
        yield
    finally:
        over.set()
        await asyncio.shield(beats)


async def _beat(every_s: float, work: Callable[[], Awaitable[None]], over: asyncio.Event) -> None:
    while not over.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), every_s)
        await work()
