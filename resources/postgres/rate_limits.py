"""Rate limits in PostgreSQL: one row for each account and kind of request, on the database's time.

A process books a few moments in one statement and waits for them outside any transaction. Places in flight
are divided under a lock of the limit's own, which lasts for three short statements.
"""

import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Any
from uuid import UUID

from sqlalchemy import Row, TextClause, text
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

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
from resources.postgres.outage import Outage

GONE_AFTER_S = 30  # a process that is not seen for so long has died, and its places are free
TIME_HOLDS_S = 10.0  # after which the database's clock is compared anew
READINGS = 3  # of the database's clock, for one that is exact enough

# Half of what is above 1 is forgotten each minute; after an hour there is nothing left to halve.
_MINUTES = "least(60, extract(epoch FROM clock_timestamp() - strained_at)::float8 / 60)"
_STRAIN = f"(1 + (strain - 1) * power(0.5::float8, {_MINUTES}))"
_TODAY = "(clock_timestamp() AT TIME ZONE 'UTC')::date"
_USED = f"CASE WHEN day = {_TODAY} THEN used_today ELSE 0 END"
_GIVEN_BACK = "CASE WHEN day = CAST(:unused_of AS date) THEN CAST(:unused AS integer) ELSE 0 END"

CLOCK = text("SELECT extract(epoch FROM clock_timestamp())::float8 AS at")

ADD = text("INSERT INTO rate_limits (name) VALUES (:name) ON CONFLICT DO NOTHING")

# `moment` is taken once the row is ours: whoever had it before has booked what lies ahead of us.
BOOK = text(f"""
    WITH limits AS (
        SELECT name, next_at, rests_until, strain, strained_at, day, used_today
        FROM rate_limits WHERE name = :name FOR UPDATE
    ), moment AS MATERIALIZED (
        SELECT name, next_at, rests_until, clock_timestamp() AS at,
            greatest(0, {_USED} - {_GIVEN_BACK}) AS used,
            :gap_s * greatest(1, {_STRAIN}) AS gap_s
        FROM limits
    ), booked AS (
        SELECT *, greatest(next_at, at) AS opens,
            CASE WHEN rests_until > at THEN 0
                ELSE greatest(0, least(:wanted, coalesce(:per_day - used, :wanted))) END AS n,
            CASE WHEN rests_until > at THEN rests_until
                ELSE date_trunc('day', at, 'UTC') + interval '1 day' END AS again
        FROM moment
    )
    UPDATE rate_limits SET
        next_at = CASE WHEN n > 0 THEN opens + make_interval(secs => n * gap_s)
            ELSE rate_limits.next_at END,
        day = (at AT TIME ZONE 'UTC')::date,
        used_today = booked.used + n
    FROM booked WHERE rate_limits.name = booked.name
    RETURNING n, gap_s, extract(epoch FROM at)::float8 AS at, extract(epoch FROM opens)::float8 AS opens,
        again, extract(epoch FROM again - at)::float8 AS again_in_s, day
""")  # noqa: S608 - made of constants of the code; every value is bound

UNBOOK = text(f"""
    UPDATE rate_limits SET used_today = greatest(0, used_today - {_GIVEN_BACK}) WHERE name = :name
""")  # noqa: S608 - made of constants of the code; every value is bound

HOLD = text("""
    UPDATE rate_limits SET next_at = greatest(next_at, clock_timestamp() + make_interval(secs => :seconds))
    WHERE name = :name
""")

REST = text("""
    UPDATE rate_limits
    SET rests_until = greatest(rests_until, clock_timestamp() + make_interval(secs => :seconds))
    WHERE name = :name
""")

# A burst of refusals is one refusal.
STRAIN = text(f"""
    UPDATE rate_limits SET strain = least(16, 2 * greatest(1, {_STRAIN})), strained_at = clock_timestamp()
    WHERE name = :name AND strained_at < clock_timestamp() - interval '1 second'
""")  # noqa: S608 - made of constants of the code; every value is bound

LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")

HOLDERS = text("""
    SELECT process, held, need, extract(epoch FROM clock_timestamp() - changed_at)::float8 AS since_s
    FROM rate_limit_places
    WHERE name = :name
        AND (process = :process OR seen_at > clock_timestamp() - make_interval(secs => :gone_s))
""")

TAKE = text(f"""
    WITH gone AS (
        DELETE FROM rate_limit_places
        WHERE name = :name AND process <> :process
            AND seen_at <= clock_timestamp() - make_interval(secs => :gone_s)
    ), asked AS (
        UPDATE rate_limits SET
            used_today = {_USED} + :asked, day = {_TODAY}
        WHERE name = :name AND :asked > 0
    )
    INSERT INTO rate_limit_places AS mine (name, process, held, need) VALUES (:name, :process, :held, :need)
    ON CONFLICT (name, process) DO UPDATE SET
        held = :held, need = :need, seen_at = clock_timestamp(),
        changed_at = CASE WHEN (mine.held = 0) = (:held = 0) THEN mine.changed_at
            ELSE clock_timestamp() END
""")  # noqa: S608 - made of constants of the code; every value is bound

TOLD = text("""
    SELECT greatest(0, extract(epoch FROM next_at - clock_timestamp()))::float8 AS held_s,
        rests_until, extract(epoch FROM rests_until - clock_timestamp())::float8 AS rests_s
    FROM rate_limits WHERE name = :name
""")

GIVE_BACK = text("DELETE FROM rate_limit_places WHERE process = :process")

IN_USE = text(f"""
    SELECT name, {_USED} AS used_today, greatest(1, {_STRAIN}) AS strain,
        (SELECT coalesce(sum(held), 0) FROM rate_limit_places AS p WHERE p.name = rate_limits.name
            AND seen_at > clock_timestamp() - make_interval(secs => :gone_s)) AS held
    FROM rate_limits
""")  # noqa: S608 - made of constants of the code; every value is bound


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
class DatabaseTime:
    """The database's time on our monotonic clock, as exact as the fastest exchange of late."""

    offset_s: float = 0.0
    width_s: float = math.inf
    learned: float = -math.inf
    sought: float = -math.inf

    def learn(self, at: float, sent: float, received: float) -> None:
        """`at` came between the two; where we thought otherwise, a clock was set, or a machine slept."""
        width = received - sent
        refuted = not sent <= self.here(at) <= received + self.width_s
        if refuted or width <= self.width_s or received - self.learned > TIME_HOLDS_S:
            self.offset_s, self.width_s, self.learned = received - at, width, received

    def here(self, at: float) -> float:
        """Not before it, and at most `width_s` after."""
        return at + self.offset_s


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
    that was killed; where none comes, they are free after 30 s.
    """
    limits = SharedRateLimits(engine, outage or Outage(), holder)
    try:
        yield limits
    finally:
        await limits.give_back()
