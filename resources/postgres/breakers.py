"""Circuit breakers on PostgreSQL: one row a provider, changed under its lock, on the database's time."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from typing import Any

import psycopg
from sqlalchemy import Row, Select, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoFreeConnection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from phase3_core.breaker import (
    WINDOW_S,
    Answered,
    Breaker,
    Bucket,
    Closed,
    Event,
    Failed,
    HalfOpen,
    Open,
    Probe,
    Reading,
    after,
    after_all,
    at,
)
from phase3_core.errors import OutsideFailure
from resources.postgres.outage import Outage, is_away, repeatable
from resources.postgres.tables import breakers

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
CALLS_LOOKED_AT = 200

NEWEST_CALLS = text("""
SELECT provider, at, failed, error FROM (
    SELECT provider, extract(epoch FROM settled_at)::float8 AS at, outcome = 'error' AS failed, error,
           row_number() OVER (PARTITION BY provider ORDER BY settled_at DESC) AS place
    FROM provider_calls
    WHERE created_at > now() - make_interval(secs => :window_s) AND provider = ANY(:providers)
      AND day >= ((now() - make_interval(secs => :window_s)) AT TIME ZONE 'UTC')::date  -- by the index
      AND settled_at IS NOT NULL
      AND (outcome <> 'error' OR http_status IS NULL OR http_status >= 500)
) AS calls
WHERE place <= :most
ORDER BY provider, at
""")


class PostgresBreakers:
    """Implements `BreakerBook`. What cannot be told is not repeated here: who tells keeps it."""

    def __init__(self, engine: AsyncEngine, outage: Outage | None = None) -> None:
        self._engine = engine
        self.outage = outage or Outage()

    @repeatable
    async def begin(self, providers: Sequence[str]) -> Reading:
        """A closed breaker that nobody has touched for a whole window tells nothing: the ledger is asked.

        One that is open, or was, stays so until somebody has probed.
        """
        async with self._engine.begin() as connection:
            await _make_rows(connection, providers)
            rows = (await connection.execute(_rows(providers).with_for_update())).all()
            now = await _now(connection)
            seen = await _seen_by_the_ledger(connection, _stale(rows, providers, now), now)
            await _write(connection, seen)
            return _reading(rows, now, seen)

    async def tell(self, events: Mapping[str, Sequence[Event]], providers: Sequence[str]) -> Reading:
        """Raises OutsideFailure at once where the database is away."""
        async with _away_told(), self._engine.begin() as connection:
            if events:
                await _apply(connection, events)
            rows = (await connection.execute(_rows(providers))).all()
            now = await _now(connection)
            return _reading(rows, now, {})

    async def note_credits(self, provider: str, *, empty: bool) -> None:
        """The time stands from the first to notice."""
        since = func.coalesce(breakers.c.out_of_credits_since, func.now()) if empty else None
        mine = update(breakers).where(breakers.c.provider == provider)
        async with _away_told(), self._engine.begin() as connection:
            await _make_rows(connection, [provider])
            await connection.execute(mine.values(out_of_credits_since=since))


class WatchedBreakers(PostgresBreakers):
    """For whoever asks nobody: as a run would find them, nothing is written."""

    @repeatable
    async def begin(self, providers: Sequence[str]) -> Reading:
        async with self._engine.connect() as connection:
            rows = (await connection.execute(_rows(providers))).all()
            now = await _now(connection)
            seen = await _seen_by_the_ledger(connection, _stale(rows, providers, now), now)
            return _reading(rows, now, seen)


@asynccontextmanager
async def _away_told() -> AsyncIterator[None]:
    try:
        yield
    except (psycopg.Error, DBAPIError, NoFreeConnection) as failure:
        if not is_away(failure):
            raise
        raise OutsideFailure("The database is away; breakers are told again when it is back.") from failure


def _stale(rows: Sequence[Row[Any]], providers: Sequence[str], now: float) -> list[str]:
    """Whose breaker is closed, and has not been touched for a window if it was ever made."""
    oldest = datetime.fromtimestamp(now - WINDOW_S, UTC)
    touched = {row.provider for row in rows if row.state != "closed" or row.updated_at >= oldest}
    return [provider for provider in providers if provider not in touched]


def _reading(rows: Sequence[Row[Any]], now: float, seen: Mapping[str, Breaker]) -> Reading:
    stand = {row.provider: at(_breaker(row), now) for row in rows}
    return Reading(
        now, {**stand, **seen}, frozenset(row.provider for row in rows if row.out_of_credits_since)
    )


async def _apply(connection: AsyncConnection, events: Mapping[str, Sequence[Event]]) -> None:
    """The clock is read once the rows are ours: waiting for them takes time."""
    await _make_rows(connection, list(events))
    rows = (await connection.execute(_rows(list(events)).with_for_update())).all()
    now = await _now(connection)
    await _write(
        connection, {row.provider: after_all(_breaker(row), events[row.provider], now) for row in rows}
    )


async def _make_rows(connection: AsyncConnection, providers: Sequence[str]) -> None:
    rows = [{"provider": provider, "updated_at": LONG_AGO} for provider in sorted(providers)]
    if rows:
        await connection.execute(insert(breakers).values(rows).on_conflict_do_nothing())


def _rows(providers: Sequence[str]) -> Select[Any]:
    """In one order, so that two who lock several rows never wait for each other in a circle."""
    return select(breakers).where(breakers.c.provider.in_(providers)).order_by(breakers.c.provider)


async def _now(connection: AsyncConnection) -> float:
    moment: datetime = (await connection.execute(select(func.clock_timestamp()))).scalar_one()
    return moment.timestamp()


async def _seen_by_the_ledger(
    connection: AsyncConnection, providers: Sequence[str], now: float
) -> dict[str, Breaker]:
    """What the newest calls would have made of a closed breaker, each at its own time."""
    if not providers:
        return {}
    values = {"providers": list(providers), "window_s": WINDOW_S, "most": CALLS_LOOKED_AT}
    calls = await connection.execute(NEWEST_CALLS, values)
    by_provider = groupby(calls.all(), key=attrgetter("provider"))
    shown = {provider: _replayed(rows, now) for provider, rows in by_provider}
    return {provider: shown.get(provider, Closed()) for provider in providers}


def _replayed(calls: Iterable[Row[Any]], now: float) -> Breaker:
    breaker: Breaker = Closed()
    for call in calls:
        event = Failed(call.error or "no answer") if call.failed else Answered()
        breaker = after(breaker, event, call.at)
    return at(breaker, now)


async def _write(connection: AsyncConnection, changed: Mapping[str, Breaker]) -> None:
    for provider, breaker in changed.items():
        mine = update(breakers).where(breakers.c.provider == provider)
        await connection.execute(mine.values(updated_at=func.clock_timestamp(), **_columns(breaker)))


def _columns(breaker: Breaker) -> dict[str, Any]:
    empty: dict[str, Any] = {"why": None, "open_until": None, "calls": [], "probes": []}
    empty |= {"in_a_row": 0, "reopened": 0, "answered": 0}
    match breaker:
        case Closed(in_a_row, window):
            calls = [[bucket.number, bucket.calls, bucket.failures] for bucket in window]
            return empty | {"state": "closed", "in_a_row": in_a_row, "calls": calls}
        case Open(until, why, reopened):
            open_until = datetime.fromtimestamp(until, UTC)
            return empty | {"state": "open", "why": why, "open_until": open_until, "reopened": reopened}
        case HalfOpen(why, reopened, answered, probes):
            leased = [[probe.holder, probe.until] for probe in probes]
            counts = {"reopened": reopened, "answered": answered}
            return empty | {"state": "half_open", "why": why, "probes": leased, **counts}


def _breaker(row: Row[Any]) -> Breaker:
    match row.state:
        case "open":
            return Open(row.open_until.timestamp(), row.why, row.reopened)
        case "half_open":
            return HalfOpen(row.why, row.reopened, row.answered, tuple(Probe(*probe) for probe in row.probes))
        case _:
            return Closed(row.in_a_row, tuple(Bucket(*bucket) for bucket in row.calls))
