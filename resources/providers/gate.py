"""How fast a provider may be asked, from one process: evenly paced, at most so many in flight."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """A vendor's limits: requests per second, minute, hour and day; requests in flight. None: none known.

    `reads_per_minute`: of jobs' results, over all jobs; None: reading counts like any other request.
    """

    per_second: float | None = None
    per_minute: float | None = None
    per_hour: float | None = None
    per_day: int | None = None
    in_flight: int = 20
    reads_per_minute: float | None = None

    @property
    def rate(self) -> float | None:
        """Requests per second that keep every limit but the day's."""
        spans = ((self.per_second, 1), (self.per_minute, 60), (self.per_hour, 3600))
        return min((most / seconds for most, seconds in spans if most), default=None)


class Gate:
    """Room in flight and a paced token, taken together just before a call leaves.

    `monotonic` in seconds. A told wait (429) holds everyone, not only the call that was told.
    """

    def __init__(
        self,
        limits: Limits,
        monotonic: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._room = asyncio.Semaphore(limits.in_flight)
        self._gap = 1 / limits.rate if limits.rate else 0.0
        self._monotonic = monotonic
        self._sleep = sleep
        self._next = 0.0
        self._queue = 0

    async def enter_at_once(self) -> bool:
        """Takes a place only if that needs no waiting."""
        if self._room.locked() or self._next > self._monotonic():
            return False
        await self._room.acquire()
        self._advance()
        return True

    async def enter(self) -> None:
        self._queue += 1
        try:
            await self._room.acquire()
        finally:
            self._queue -= 1
        try:
            await self.pace()
        except BaseException:
            self._room.release()
            raise

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        await self.enter()
        try:
            yield
        finally:
            self.leave()

    async def pace(self) -> None:
        """A paced token alone, for a request of a call that has its place already."""
        await self._sleep(self._turn())

    def _turn(self) -> float:
        """Books the next paced moment; seconds until then."""
        self._advance()
        return max(0.0, self._next - self._gap - self._monotonic())

    def _advance(self) -> None:
        self._next = max(self._next, self._monotonic()) + self._gap

    def leave(self) -> None:
        self._room.release()

    def hold(self, seconds: float) -> None:
        self._next = max(self._next, self._monotonic() + seconds)

    def open_to_all(self) -> None:
        """Whoever queues comes in at once, to find that the run is ending."""
        for _ in range(self._queue):
            self._room.release()
