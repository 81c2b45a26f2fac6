"""Quotas of vendors on a stage, kept by the real shared limits.

What the limits know of time is the database's, and a stage lets that pass by growing old (`age.py`). So a
run that waits for a moment makes an appointment: a row that ages with all others, until its time has come.
A pace that no quota asks for takes no time.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from uuid import uuid4

from sqlalchemy import text

from phase3_core.ports.books import Books
from phase3_core.rate_limits import NONE_UNUSED, Allowance, RateLimit, RateLimits, Slots, Spent, Unused
from phase3_core.runs import Run
from resources.postgres.database import PostgresBooks
from resources.postgres.rate_limits import SharedRateLimit, SharedRateLimits, shared_rate_limits
from resources.providers.catalogue import row
from resources.providers.own_limit import OwnLimit
from resources.providers.source import LimitsOpener
from sandbox.limits import Quota
from tests.resources.providers.market import HastyClock

LOOK_EVERY_S = 0.005
HANDED_OVER_S = 2.0  # of a clock on which waits take no time: a moment that came is not lost on the way
NEXT_DAY = "UPDATE rate_limits SET day = day - 1 RETURNING name"

MEET = text("""
    INSERT INTO rate_limits (name, next_at) VALUES (:name, clock_timestamp())
    ON CONFLICT (name) DO UPDATE SET next_at = clock_timestamp()
    RETURNING extract(epoch FROM next_at)::float8 AS at
""")
PUT_OFF = text("""
    UPDATE rate_limits SET next_at = next_at + make_interval(secs => :seconds) WHERE name = :name
""")
LATE = text("""
    SELECT extract(epoch FROM clock_timestamp() - next_at)::float8 AS late_s
    FROM rate_limits WHERE name = :name
""")
# None while a call is in flight: its vendor answers in no time.
NEXT_APPOINTMENT = """
SELECT extract(epoch FROM min(next_at) - clock_timestamp())::float8 AS in_s,
    (SELECT count(*) FROM provider_calls WHERE state = 'intent' AND lost_after > clock_timestamp()) AS flying
FROM rate_limits WHERE name LIKE 'appointment/%' AND next_at > clock_timestamp()
"""


@dataclass(kw_only=True)
class Counted(SharedRateLimit):
    """How many may leave is the database's word, when they leave is that of the stage's clock."""

    pace: OwnLimit

    async def book(self, wanted: int, unused: Unused = NONE_UNUSED) -> Slots | Spent:
        if not self.allowance.counted:
            return await self.pace.book(wanted)
        booked = await super().book(wanted, unused)
        if isinstance(booked, Spent):
            return booked
        return replace(await self.pace.book(booked.count), day=booked.day)


@dataclass(kw_only=True)
class Paced(SharedRateLimit):
    """When they leave is the database's word, too."""

    clock: HastyClock
    appointment: str = field(default_factory=lambda: f"appointment/{uuid4()}")

    async def book(self, wanted: int, unused: Unused = NONE_UNUSED) -> Slots | Spent:
        [met] = await self.limits.execute(MEET, name=self.appointment)
        booked = await super().book(wanted, unused)
        if isinstance(booked, Spent):
            return booked
        late_s = await self._waited(booked.opens - self.limits.time.offset_s - met.at)
        return replace(booked, opens=self.clock.monotonic() - late_s, late_s=HANDED_OVER_S)

    async def _waited(self, seconds: float) -> float:
        """From the appointment on; by how much more. What is left of earlier moments is over by then."""
        await self.limits.execute(PUT_OFF, name=self.appointment, seconds=seconds)
        while (late_s := await self._late_s()) < 0:  # noqa: ASYNC110 - a row that grows old has no event
            await asyncio.sleep(min(-late_s, LOOK_EVERY_S))
        self.clock.skip(seconds)
        return late_s

    async def _late_s(self) -> float:
        [told] = await self.limits.execute(LATE, name=self.appointment)
        return float(told.late_s)


@dataclass(frozen=True)
class Kept:
    """Implements `RateLimits`; `quotas` by the label under which a vendor's calls are counted."""

    limits: SharedRateLimits
    quotas: Mapping[str, Quota]
    clock: HastyClock

    def of(self, allowance: Allowance) -> RateLimit:
        own = OwnLimit(allowance, self.clock.monotonic)
        quota = self.quotas.get(allowance.name.partition("/")[0])
        if quota is None:
            return own
        shared = quota.in_flight is not None
        if quota.per_minute is not None:
            return Paced(self.limits, allowance, shared, clock=self.clock)
        return Counted(self.limits, replace(allowance, gap_s=0.0, late_s=math.inf), shared, pace=own)


def kept(quotas: Mapping[str, Quota], clock: HastyClock) -> LimitsOpener:
    """`quotas` by provider; nobody else's limit is shared."""
    by_label = {row(name).spec.label: quota for name, quota in quotas.items()}

    @asynccontextmanager
    async def opened(books: Books, run: Run) -> AsyncIterator[RateLimits | None]:
        if not isinstance(books, PostgresBooks):
            raise TypeError("limits are shared in the database of the books")
        async with shared_rate_limits(books.engine, run.campaign_id, books.outage) as limits:
            yield Kept(limits, by_label, clock)

    return opened
