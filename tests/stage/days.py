"""Days of vendors on a stage: counted by the database, while waiting for a pace takes no time."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from phase3_core.ports.books import Books
from phase3_core.ports.clock import Clock
from phase3_core.rate_limits import NONE_UNUSED, Allowance, RateLimit, RateLimits, Slots, Spent, Unused
from phase3_core.runs import Run
from resources.postgres.database import PostgresBooks
from resources.postgres.rate_limits import SharedRateLimit, SharedRateLimits
from resources.providers.own_limit import OwnLimit
from resources.providers.source import LimitsOpener

NEXT_DAY = "UPDATE rate_limits SET day = day - 1 RETURNING name"


@dataclass
class DayLimit(SharedRateLimit):
    """How many may leave is the database's word, when they leave is that of the stage's clock."""

    pace: OwnLimit | None = None

    async def book(self, wanted: int, unused: Unused = NONE_UNUSED) -> Slots | Spent:
        booked = await super().book(wanted, unused)
        if isinstance(booked, Spent) or self.pace is None:
            return booked
        return replace(await self.pace.book(booked.count), day=booked.day)


@dataclass(frozen=True)
class CountedDays:
    """Implements `RateLimits`."""

    limits: SharedRateLimits
    clock: Clock

    def of(self, allowance: Allowance) -> RateLimit:
        pace = OwnLimit(allowance, self.clock.monotonic)
        if allowance.per_day is None:
            return pace
        counted = replace(allowance, gap_s=0.0, late_s=math.inf)
        return DayLimit(self.limits, counted, shared=False, pace=pace)


def counted_days(clock: Clock) -> LimitsOpener:
    @asynccontextmanager
    async def opened(books: Books, run: Run) -> AsyncIterator[RateLimits | None]:
        if not isinstance(books, PostgresBooks):
            raise TypeError("days are counted in the database of the books")
        yield CountedDays(SharedRateLimits(books.engine, books.outage, run.campaign_id), clock)

    return opened
