"""Places in flight, by rank and then first come first served; how many there are may change at any time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from heapq import heappop, heappush
from itertools import count

from phase3_core.leads import Rank

FIRST: Rank = ()  # of what is not to wait for any new question


class Room:
    """`busy` of `places` are taken; nobody queues while there is one. Once it is open, everybody comes in."""

    def __init__(self, places: int) -> None:
        self.places = places
        self.busy = 0
        self._open = False
        self._queue: list[tuple[Rank, int, asyncio.Future[None]]] = []
        self._numbers = count()

    @property
    def free(self) -> bool:
        return self._open or self.busy < self.places

    @property
    def queued(self) -> int:
        return sum(not turn.done() for _, _, turn in self._queue)

    def take_at_once(self) -> bool:
        if self.free:
            self.busy += 1
            return True
        return False

    async def take(self, rank: Rank = FIRST) -> None:
        if self.take_at_once():
            return
        turn = asyncio.get_running_loop().create_future()
        heappush(self._queue, (rank, next(self._numbers), turn))
        try:
            await turn
        except asyncio.CancelledError:
            if _given(turn):
                self.give_back()
            raise

    @asynccontextmanager
    async def taken(self, rank: Rank = FIRST) -> AsyncIterator[None]:
        await self.take(rank)
        try:
            yield
        finally:
            self.give_back()

    def give_back(self) -> None:
        self.busy -= 1
        self._call()

    def resize(self, places: int) -> None:
        """Who is in stays in."""
        self.places = places
        self._call()

    def fail(self, failure: Exception) -> None:
        """Nobody can tell who may come in."""
        for _, _, turn in self._queue:
            if not turn.done():
                turn.set_exception(failure)
        self._queue.clear()

    def open(self) -> None:
        self._open = True
        self._call()

    def _call(self) -> None:
        """Passes over who has gone."""
        while self._queue and self.free:
            *_, turn = heappop(self._queue)
            if not turn.done():
                self.busy += 1
                turn.set_result(None)


def _given(turn: asyncio.Future[None]) -> bool:
    """One may be cancelled just as a place was given."""
    return turn.done() and not turn.cancelled() and turn.exception() is None
