"""Places in flight, first come first served; how many there are may change at any time."""

import asyncio
from collections import deque


class Room:
    """`busy` of `places` are taken. Once it is open, everybody comes in."""

    def __init__(self, places: int) -> None:
        self.places = places
        self.busy = 0
        self._open = False
        self._queue: deque[asyncio.Future[None]] = deque()

    @property
    def free(self) -> bool:
        return self._open or self.busy < self.places

    @property
    def queued(self) -> int:
        return len(self._queue)

    def take_at_once(self) -> bool:
        if not self.free or self._queue:
            return False
        self.busy += 1
        return True

    async def take(self) -> None:
        if self.take_at_once():
            return
        turn = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            self._leave_queue(turn)
            raise

    def _leave_queue(self, turn: asyncio.Future[None]) -> None:
        """One who is cancelled just as a place was given hands it on."""
        if turn.done() and not turn.cancelled() and turn.exception() is None:
            self.give_back()
        elif turn in self._queue:
            self._queue.remove(turn)

    def give_back(self) -> None:
        self.busy -= 1
        self._call()

    def resize(self, places: int) -> None:
        """Who is in stays in."""
        self.places = places
        self._call()

    def fail(self, failure: Exception) -> None:
        """Nobody can tell who may come in."""
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_exception(failure)

    def open(self) -> None:
        self._open = True
        self._call()

    def _call(self) -> None:
        while self._queue and self.free:
            turn = self._queue.popleft()
            if not turn.done():
                self.busy += 1
                turn.set_result(None)
