"""Who may work on a campaign: the run that holds its advisory lock and the newest fence of its lease.

The lock is the kernel's word that a run lives: it frees itself with the connection of a run that dies. A
connection can also die under a living run, so the lock alone does not keep a zombie from writing. Whoever
takes a campaign raises the number in its lease, and every statement that buys or moves anything proves that
number in its own transaction. A run whose connection broke takes its lock again while the number is still
its own; otherwise it ends.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, func, literal, select, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoFreeConnection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from phase3_core.errors import CampaignBusy, Superseded
from phase3_core.runs import Run
from resources.postgres.outage import Outage, is_away

Begin = Callable[[], AbstractAsyncContextManager[AsyncConnection]]

LOOK_EVERY_S = 2.0
OUT_OF_REACH = (OperationalError, InterfaceError, NoFreeConnection)

_TAKE = text("""
INSERT INTO campaign_leases AS lease (campaign_id, run_id, fence) VALUES (:campaign_id, :run_id, 1)
ON CONFLICT (campaign_id) DO UPDATE SET run_id = excluded.run_id, fence = lease.fence + 1, taken_at = now()
RETURNING fence
""")
_STILL_OURS = text("SELECT 1 FROM campaign_leases WHERE campaign_id = :campaign_id AND fence = :fence")
# Changes nothing but `xmin`: whoever looks now and then sees that the lock was taken in between.
_OURS_AGAIN = text("""
UPDATE campaign_leases SET fence = fence WHERE campaign_id = :campaign_id AND fence = :fence RETURNING 1
""")
# Whoever takes the campaign waits for the transactions that have proved the fence before.
_PROOF = text("SELECT 1 FROM campaign_leases WHERE campaign_id = :campaign_id AND fence = :fence FOR SHARE")
_HELD = """
SELECT (classid::bigint << 32) | objid::bigint AS lock FROM pg_locks
WHERE locktype = 'advisory' AND granted AND objsubid = 1
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_LOCKS_HELD = text(_HELD)
_SIGHTING = text(f"""
SELECT pg_postmaster_start_time() AS serving_since, lease.xmin::text AS written, run_id, fence,
    :lock IN ({_HELD}) AS held
FROM (SELECT) AS server LEFT JOIN campaign_leases AS lease ON campaign_id = :campaign_id
""")  # noqa: S608 - made of constants of the code; every value is bound


def lock_key(name: bytes) -> int:
    """From the name alone: `hash()` differs from process to process."""
    return int.from_bytes(blake2b(b"phase3:" + name, digest_size=8).digest(), signed=True)


def campaign_lock(campaign_id: UUID) -> int:
    """The advisory lock that a run holds for as long as it lives; a dead run's lock is free."""
    return lock_key(b"campaign:" + campaign_id.bytes)


@dataclass(frozen=True, slots=True)
class Standing:
    """The newest lease of a campaign, and whether whoever took it is alive."""

    run_id: str
    fence: int
    held: bool


@dataclass(frozen=True, slots=True)
class Sighting:
    """A campaign as one look found it; `lease` is None where no run ever worked on it.

    Between two that are equal nobody has taken the campaign, nor its own run taken it again, and the server
    was not started. `written`: of the lease, changed by each taking.
    """

    lease: Standing | None
    written: str | None
    serving_since: datetime

    @property
    def held(self) -> bool:
        """Whether a live run works on the campaign."""
        return self.lease is not None and self.lease.held


async def sighting(connection: AsyncConnection, campaign_id: UUID) -> Sighting:
    values = {"campaign_id": campaign_id, "lock": campaign_lock(campaign_id)}
    row = (await connection.execute(_SIGHTING, values)).one()
    lease = Standing(row.run_id, row.fence, row.held) if row.written else None
    return Sighting(lease, row.written, row.serving_since)


async def standing(connection: AsyncConnection, campaign_id: UUID) -> Standing | None:
    """None where no run ever worked on the campaign."""
    return (await sighting(connection, campaign_id)).lease


def held(campaign_id: UUID) -> ColumnElement[bool]:
    """Whether a live run works on the campaign, for a statement of somebody else's."""
    return literal(campaign_lock(campaign_id), BigInteger).in_(_LOCKS_HELD.columns(lock=BigInteger))


async def at_work(connection: AsyncConnection) -> set[UUID]:
    """Campaigns whose runs are alive."""
    taken = set(await connection.scalars(_LOCKS_HELD))
    leases = await connection.scalars(text("SELECT campaign_id FROM campaign_leases"))
    return {campaign for campaign in leases if campaign_lock(campaign) in taken}


class Lease:
    """A campaign in the hands of one run, on a connection of its own."""

    def __init__(self, engine: AsyncEngine, run: Run) -> None:
        self._engine = engine
        self._run = run
        self._lock = campaign_lock(run.campaign_id)
        self._line: AsyncConnection | None = None
        self.fence = 0

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction of this run; raises Superseded where the campaign is another's by now."""
        async with self._engine.begin() as connection:
            if not await connection.scalar(_PROOF, self._proof):
                raise self._superseded()
            yield connection

    async def take(self) -> None:
        """Raises CampaignBusy. A fence that was raised and not heard of is raised again."""
        try:
            if not await self._locked():
                raise CampaignBusy(str(self._run.campaign_id))
            line = await self._connected()
            values = {"campaign_id": self._run.campaign_id, "run_id": self._run.id}
            self.fence = (await line.execute(_TAKE, values)).scalar_one()
        except (DBAPIError, NoFreeConnection):
            await self._unlock()  # or the next try might find it taken, by a connection of ours
            await self._hang_up()
            raise

    async def keep(self, every_s: float) -> None:
        """Looks after the connection for ever; raises Superseded. A server that is gone is waited for."""
        while True:
            await asyncio.sleep(every_s)
            try:
                await self._look()
            except (DBAPIError, NoFreeConnection) as failure:
                if not _out_of_reach(failure):
                    raise
                await self._hang_up()

    async def _look(self) -> None:
        """The lock first: what the fence says under the lock stays so."""
        was_lost = self._line is None
        locked = not was_lost or await self._locked()
        line = await self._connected()
        ours = _OURS_AGAIN if was_lost and locked else _STILL_OURS
        if not await line.scalar(ours, self._proof):
            raise self._superseded()
        if not locked:
            await self._hang_up()  # our own broken connection, for all we know: the server has yet to notice

    async def _locked(self) -> bool:
        line = await self._connected()
        return bool(await line.scalar(select(func.pg_try_advisory_lock(self._lock))))

    async def _connected(self) -> AsyncConnection:
        """Outside any transaction: one that lasts hours stops vacuum."""
        if self._line is None:
            plain = await self._engine.connect()
            self._line = await plain.execution_options(isolation_level="AUTOCOMMIT")
        return self._line

    async def let_go(self) -> None:
        if self.fence:
            await self._unlock()
        await self._hang_up()

    async def _unlock(self) -> None:
        """Said aloud: the next run need not wait until the server notices a closed connection.

        One that was cut off in the middle of a look is not to be spoken on.
        """
        if self._line is not None and not self._line.invalidated:
            with suppress(*OUT_OF_REACH):
                await self._line.execute(select(func.pg_advisory_unlock(self._lock)))

    async def _hang_up(self) -> None:
        """Closed for good: one that went back to the pool might still hold the lock."""
        line, self._line = self._line, None
        if line is not None:
            await line.invalidate()
            await line.close()

    @property
    def _proof(self) -> dict[str, Any]:
        return {"campaign_id": self._run.campaign_id, "fence": self.fence}

    def _superseded(self) -> Superseded:
        return Superseded(str(self._run.campaign_id))


def _out_of_reach(failure: Exception) -> bool:
    """Also a standby that is not promoted yet: another connection may come to the server that is."""
    return isinstance(failure, OUT_OF_REACH) or is_away(failure)


@asynccontextmanager
async def leased(
    engine: AsyncEngine, run: Run, outage: Outage, every_s: float = LOOK_EVERY_S
) -> AsyncIterator[Lease]:
    """The campaign for the length of the block, which ends by Superseded if another takes it meanwhile."""
    lease = Lease(engine, run)
    try:
        await outage.outlast(lease.take)
        async with _ended_by(lease.keep(every_s)):
            yield lease
    finally:
        await lease.let_go()


@asynccontextmanager
async def _ended_by(watch: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Cancels the block, and ends it with the failure of `watch`, as soon as there is one."""
    work, watcher = asyncio.current_task(), asyncio.create_task(watch)
    if work is None:
        raise AssertionError("a campaign is held by a task")

    def end(done: asyncio.Task[None]) -> None:
        if _failure_of(done):
            work.cancel()

    watcher.add_done_callback(end)
    try:
        yield
    except asyncio.CancelledError:
        if failure := _failure_of(watcher):
            raise failure from None
        raise
    finally:
        if _failure_of(watcher):
            work.uncancel()
        watcher.cancel()
        await asyncio.wait([watcher])


def _failure_of(watcher: asyncio.Task[None]) -> BaseException | None:
    return watcher.exception() if watcher.done() and not watcher.cancelled() else None
