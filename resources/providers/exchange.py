"""Where a run exchanges with others what calls show of providers: at once on a failure, else every second.

Never for a call: a run that is well tells once a second how many calls were answered, and hears how others
fare. While nobody can be told, everything is kept, and what a run sees for itself counts for it.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from phase3_core.breaker import Breaker, BreakerBook, Event, Reading
from phase3_core.errors import OutsideFailure
from resources.providers.beats import beating
from resources.providers.naps import Naps

TELL_EVERY_S = 1.0


class Party(Protocol):
    """One provider as this run sees it."""

    def untold(self) -> Sequence[Event]: ...

    def not_told(self, events: Sequence[Event]) -> None: ...

    def hears(self, breaker: Breaker, *, out_of_credits: bool) -> None: ...


class Exchange:
    """One run's. Without a `book` there is nobody to tell. `monotonic` in seconds."""

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        naps: Naps | None = None,
        book: BreakerBook | None = None,
    ) -> None:
        self.naps = naps or Naps()
        self._monotonic = monotonic
        self._book = book
        self._ahead = 0.0  # of the shared clock
        self._parties: dict[str, Party] = {}
        self._credits: dict[str, bool] = {}
        self._one_at_a_time = asyncio.Lock()
        self._wanted = False
        self._soon: asyncio.Task[None] | None = None

    def join(self, provider: str, party: Party) -> None:
        self._parties[provider] = party

    def now(self) -> float:
        """Seconds on the clock that all runs share."""
        return self._monotonic() + self._ahead

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Raises OutsideFailure where there is a book and it cannot be read."""
        if self._book is None:
            yield
            return
        self._hear(await self._book.begin(list(self._parties)))
        async with beating(TELL_EVERY_S, self.tell):
            yield

    def note_credits(self, provider: str, *, empty: bool) -> None:
        self._credits[provider] = empty
        self.tell_soon()

    def tell_soon(self) -> None:
        self._wanted = True
        if self._book is not None and (self._soon is None or self._soon.done()):
            self._soon = asyncio.create_task(self._tell_while_wanted())

    async def _tell_while_wanted(self) -> None:
        while self._wanted:
            await self.tell()

    async def tell(self) -> None:
        """Returns when what has happened so far is told, or cannot be."""
        if self._book is None:
            return
        async with self._one_at_a_time:
            self._wanted = False
            events = {name: told for name, party in self._parties.items() if (told := party.untold())}
            credit, self._credits = self._credits, {}
            try:
                for provider, empty in credit.items():
                    await self._book.note_credits(provider, empty=empty)
                self._hear(await self._book.tell(events, list(self._parties)))
            except OutsideFailure:
                self._credits = credit | self._credits
                for provider, missed in events.items():
                    self._parties[provider].not_told(missed)

    def _hear(self, reading: Reading) -> None:
        """What this run has noted of an account meanwhile is newer."""
        self._ahead = reading.now - self._monotonic()
        for provider, breaker in reading.breakers.items():
            empty = self._credits.get(provider, provider in reading.out_of_credits)
            self._parties[provider].hears(breaker, out_of_credits=empty)
