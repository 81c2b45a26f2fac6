"""Messages that wait to be sent: written in the transaction that gives rise to them, sent at least once."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Insert, delete, exists, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from phase3_core.statuses import OutboxKind
from resources.postgres.tables import outbox

LEASE = timedelta(minutes=2)  # how long a relay may take over a message before another one tries
LONGEST_WAIT_S = 3_600
GIVE_UP_AFTER = timedelta(days=7)
KEPT = timedelta(days=30)

_WAITING = outbox.c.sent_at.is_(None) & outbox.c.withdrawn_at.is_(None)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that this relay has taken; `id` is the same at every attempt."""

    id: UUID
    campaign_id: UUID
    request_id: UUID | None
    kind: OutboxKind
    payload: Mapping[str, Any]
    attempts: int


def message(
    campaign_id: UUID,
    kind: OutboxKind,
    request_id: UUID | None = None,
    payload: Mapping[str, Any] | None = None,
) -> Insert:
    """To be executed in the transaction that gives rise to the message."""
    return insert(outbox).values(
        campaign_id=campaign_id, kind=kind, request_id=request_id, payload=dict(payload or {})
    )


class PostgresOutbox:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def take(self, kinds: Collection[OutboxKind], most: int = 20) -> list[Waiting]:
        """Due messages, leased to the caller; one about a request waits for those before it."""
        before = outbox.alias("before")
        first = ~exists().where(
            before.c.request_id == outbox.c.request_id,
            before.c.sent_at.is_(None),
            before.c.withdrawn_at.is_(None),
            before.c.created_at < outbox.c.created_at,
        )
        due = (
            select(outbox.c.id)
            .where(_WAITING, outbox.c.due_at <= func.now(), outbox.c.kind.in_([*kinds]), first)
            .order_by(outbox.c.created_at)
            .limit(most)
            .with_for_update(skip_locked=True)
        )
        taken = (
            update(outbox)
            .where(outbox.c.id.in_(due.scalar_subquery()))
            .values(due_at=func.now() + LEASE, attempts=outbox.c.attempts + 1)
            .returning(outbox)
        )
        async with self._engine.begin() as connection:
            rows = sorted((await connection.execute(taken)).all(), key=lambda row: row.created_at)
        return [
            Waiting(r.id, r.campaign_id, r.request_id, OutboxKind(r.kind), r.payload, r.attempts)
            for r in rows
        ]

    async def sent(self, message_id: UUID) -> None:
        await self._note(message_id, sent_at=func.now(), error=None)

    async def withdrawn(self, message_id: UUID, why: str) -> None:
        await self._note(message_id, withdrawn_at=func.now(), error=why)

    async def failed(self, message_id: UUID, why: str, wait_s: float) -> None:
        """Tried again after `wait_s` seconds."""
        wait = timedelta(seconds=min(wait_s, LONGEST_WAIT_S))
        await self._note(message_id, due_at=func.now() + wait, error=why)

    async def _note(self, message_id: UUID, **columns: Any) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(update(outbox).where(outbox.c.id == message_id).values(**columns))

    async def tidy(self) -> None:
        """Nobody wants week-old news; what was sent is kept for a month."""
        old = _WAITING & (outbox.c.created_at < func.now() - GIVE_UP_AFTER)
        async with self._engine.begin() as connection:
            await connection.execute(
                update(outbox).where(old).values(withdrawn_at=func.now(), error="given up after a week")
            )
            await connection.execute(delete(outbox).where(outbox.c.created_at < func.now() - KEPT))

    async def trouble(self, request_id: UUID) -> str:
        """Why a message about the request is still waiting; empty where none is, or none was tried."""
        why = select(outbox.c.error).where(_WAITING, outbox.c.request_id == request_id).limit(1)
        async with self._engine.connect() as connection:
            return str(await connection.scalar(why) or "")


async def withdraw_unsent(
    connection: AsyncConnection, request_id: UUID, kinds: Collection[OutboxKind]
) -> None:
    """Reminders about a request that is over are not sent any more."""
    over = _WAITING & (outbox.c.request_id == request_id) & outbox.c.kind.in_([*kinds])
    await connection.execute(update(outbox).where(over).values(withdrawn_at=func.now()))
