"""Rate limits in PostgreSQL: one row for each account and kind of request, on the database's time.

A process books a few moments in one statement and waits for them outside any transaction. Places in flight
are divided under a lock of the limit's own, which lasts for three short statements.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Any
from uuid import UUID

from sqlalchemy import Row, TextClause
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from phase3_core.errors import Superseded
from phase3_core.rate_limits import (
    NONE_UNUSED,
    Allowance,
    Demand,
    Holder,
    Share,
    Slots,
    Spent,
    Unused,
    places,
)
from resources.postgres.database_time import TIME_HOLDS_S, DatabaseTime
from resources.postgres.outage import Outage
from resources.postgres.rate_limit_sql import (
    ADD,
    BOOK,
    CLOCK,
    GIVE_BACK,
    HOLD,
    HOLDERS,
    IN_USE,
    LOCK,
    REST,
    STRAIN,
    TAKE,
    TOLD,
    UNBOOK,
)

GONE_AFTER_S = 30  # a process that is not seen for so long has died, and its places are free
READINGS = 3  # of the database's clock, for one that is exact enough


@dataclass(frozen=True, slots=True)
class Use:
    """How much of a limit is used now. `strain`: how much slower than allowed everybody goes."""

    used_today: int = 0
    strain: float = 1.0
    held: int = 0


async def in_use(engine: AsyncEngine) -> dict[str, Use]:
    """By the limit's name."""
    async with engine.connect() as connection:
        rows = await connection.execute(IN_USE, {"gone_s": GONE_AFTER_S})
        return {row.name: Use(row.used_today, round(row.strain, 2), row.held) for row in rows}


@dataclass
class SharedRateLimits:
    """Implements `RateLimits` for one process."""

    engine: AsyncEngine
    outage: Outage
    process: UUID
    monotonic: Callable[[], float] = monotonic
    time: DatabaseTime = field(default_factory=DatabaseTime)

    def __post_init__(self) -> None:
        self._at_once = self.engine.execution_options(isolation_level="AUTOCOMMIT")

    def of(self, allowance: Allowance) -> "SharedRateLimit":
        return SharedRateLimit(self, allowance)

    async def execute(self, statement: TextClause, **values: Any) -> Sequence[Row[Any]]:
        """One statement, committed at once; repeated while the database is away.

        What is given back may have been by then, so that is said once.
        """
        again = values | {"unused": 0} if "unused" in values else values
        return await self.outage.outlast(
            lambda: self._once(statement, values), lambda: self._once(statement, again)
        )

    async def _once(self, statement: TextClause, values: dict[str, Any]) -> Sequence[Row[Any]]:
        async with self._at_once.connect() as connection:
            result = await connection.execute(statement, values)
            return result.all() if result.returns_rows else []

    async def give_back(self) -> None:
        """Places are free again; tried once, for they come free by themselves."""
        with suppress(OperationalError, InterfaceError):
            await self._once(GIVE_BACK, {"process": self.process})

    async def tell_time(self, within_s: float) -> None:
        """As exactly as `within_s` if the database answers so fast; a booking may have waited for others.

        A database that is far away is not asked again at each booking.
        """
        if self.monotonic() - self.time.sought < TIME_HOLDS_S:
            return
        for _ in range(READINGS):
            if self.time.width_s <= within_s:
                return
            self.time.sought = self.monotonic()
            await self.outage.outlast(self._read_clock)

    async def _read_clock(self) -> None:
        async with self._at_once.connect() as connection:
            sent = self.monotonic()
            at = (await connection.execute(CLOCK)).scalar_one()
            self.time.learn(at, sent, self.monotonic())


@dataclass
class SharedRateLimit:
    """Implements `RateLimit`. A booking that is repeated after a lost connection loses its first moments."""

    limits: SharedRateLimits
    allowance: Allowance
    shared: bool = True
    _there: bool = False

    async def book(self, wanted: int, unused: Unused = NONE_UNUSED) -> Slots | Spent:
        await self._add()
        sent = self.limits.monotonic()
        [row] = await self.limits.execute(
            BOOK,
            name=self.allowance.name,
            wanted=wanted,
            gap_s=self.allowance.gap_s,
            per_day=self.allowance.per_day,
            **_named(unused),
        )
        self.limits.time.learn(row.at, sent, self.limits.monotonic())
        if not row.n:
            return Spent(row.again, row.again_in_s)
        await self.limits.tell_time(self.allowance.late_s / 2)
        late_s = max(0.005, self.allowance.late_s - self.limits.time.width_s)
        return Slots(self.limits.time.here(row.opens), row.gap_s, late_s, row.n, row.day)

    async def give_back(self, unused: Unused) -> None:
        await self.limits.execute(UNBOOK, name=self.allowance.name, **_named(unused))

    async def hold(self, seconds: float) -> None:
        await self._add()
        await self.limits.execute(HOLD, name=self.allowance.name, seconds=seconds)

    async def rest(self, seconds: float) -> None:
        await self._add()
        await self.limits.execute(REST, name=self.allowance.name, seconds=seconds)

    async def strain(self) -> None:
        await self._add()
        await self.limits.execute(STRAIN, name=self.allowance.name)

    async def share(self, demand: Demand) -> Share:
        await self._add()
        return await self.limits.outage.outlast(lambda: self._share(demand))

    async def _share(self, demand: Demand) -> Share:
        async with self.limits.engine.begin() as connection:
            await connection.execute(LOCK, {"name": self.allowance.name})
            me, others = await self._holders(connection, demand)
            free = self.allowance.in_flight - sum(other.held for other in others)
            may_fill = places(self.allowance.in_flight, me, others)
            held = max(0, min(free, max(may_fill, demand.busy)))
            values = {"held": held, "need": me.need, "asked": demand.asked, **self._key}
            await connection.execute(TAKE, values)
            told = (await connection.execute(TOLD, self._key)).one()
        rests = Spent(told.rests_until, told.rests_s) if told.rests_s > 0 else None
        return Share(may_fill, told.held_s, rests)

    async def _holders(self, connection: AsyncConnection, demand: Demand) -> tuple[Holder, list[Holder]]:
        rows = {row.process: row for row in await connection.execute(HOLDERS, self._key)}
        mine = rows.pop(self.limits.process, None)
        need = min(demand.places, self.allowance.in_flight)
        me = Holder(mine.held, need, mine.since_s) if mine else Holder(0, need)
        return me, [Holder(row.held, row.need, row.since_s) for row in rows.values()]

    @property
    def _key(self) -> dict[str, Any]:
        return {"name": self.allowance.name, "process": self.limits.process, "gone_s": GONE_AFTER_S}

    async def _add(self) -> None:
        if not self._there:
            await self.limits.execute(ADD, name=self.allowance.name)
            self._there = True


def _named(unused: Unused) -> dict[str, Any]:
    return {"unused": unused.count, "unused_of": unused.day}


@asynccontextmanager
async def shared_rate_limits(
    engine: AsyncEngine, holder: UUID, outage: Outage | None = None
) -> AsyncIterator[SharedRateLimits]:
    """Gives its places back on the way out.

    `holder` is whoever has one process at a time, a campaign: the next run takes over the places of one
    that was killed; where none comes, they are free after 30 s. Who was superseded holds none any more.
    """
    limits = SharedRateLimits(engine, outage or Outage(), holder)
    try:
        yield limits
    except Superseded:
        raise
    except BaseException:
        await limits.give_back()
        raise
    await limits.give_back()
