"""How work flows: in a sliding window, none waiting for a batch, and in lanes, one after another."""

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable
from dataclasses import dataclass, field
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


@dataclass(slots=True)
class _Lane:
    """`claims`: who is in it, and who waits."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    claims: int = 0


class Lanes:
    """One after another under each name, in the order of coming; an empty lane is forgotten."""

    def __init__(self) -> None:
        self._lanes: dict[str, _Lane] = {}

    def __len__(self) -> int:
        return len(self._lanes)

    async def enter(self, name: str) -> None:
        lane = self._lanes.setdefault(name, _Lane())
        lane.claims += 1
        try:
            await lane.turn.acquire()
        except BaseException:
            self._unclaim(name)
            raise

    def leave(self, name: str) -> None:
        self._lanes[name].turn.release()
        self._unclaim(name)

    def _unclaim(self, name: str) -> None:
        lane = self._lanes[name]
        lane.claims -= 1
        if not lane.claims:
            del self._lanes[name]
