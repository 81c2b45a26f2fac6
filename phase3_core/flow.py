"""A sliding window of work: as many items in flight as there is room, none waiting for a batch."""

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable
from typing import TypeVar

Item = TypeVar("Item")


async def in_window(items: AsyncIterable[Item], work: Callable[[Item], Awaitable[None]], size: int) -> None:
    """`work` starts in the order of `items`, at most `size` at once; the first failure ends all of it."""
    room = asyncio.Semaphore(size)

    async def one(item: Item) -> None:
        try:
            await work(item)
        finally:
            room.release()

    try:
        async with asyncio.TaskGroup() as group:
            async for item in items:
                await room.acquire()
                group.create_task(one(item))
    except BaseExceptionGroup as failures:
        raise first_cause(failures) from failures


def first_cause(failure: BaseException) -> BaseException:
    """The failure that ended the group, without the group around it."""
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return failure
