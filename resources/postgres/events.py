"""What an orchestrator is told: how far each agent is, and whatever the audit log says. One id an event.

An id is made of the row that the event tells of, so that whoever reads or sends it again uses the same.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, bindparam, text
from sqlalchemy.ext.asyncio import AsyncEngine

from phase3_core.statuses import OutboxKind
from resources.postgres.outbox import message

_PROGRESS = """
    SELECT md5(id::text || updated_at::text)::uuid AS id, campaign_id, updated_at AS at, jsonb_build_object(
        'event', 'progress', 'id', md5(id::text || updated_at::text)::uuid, 'at', updated_at,
        'campaign_id', campaign_id, 'run_id', workflow_id, 'agent', agent_id, 'step', step_id,
        'status', status, 'done', items_processed, 'total', items_total,
        'spent_usd', output_data->>'spent_usd') AS event
    FROM workflow_checkpoints
"""

_AUDITED = """
    SELECT id, campaign_id, created_at AS at, jsonb_build_object(
        'event', action, 'id', id, 'at', created_at, 'campaign_id', campaign_id,
        'actor', actor, 'actor_type', actor_type, 'details', details) AS event
    FROM campaign_audit_log
"""

SINCE = text(f"""
    SELECT at, event FROM ({_PROGRESS}) AS progress
    WHERE campaign_id = :campaign_id AND at > :after ORDER BY at
""").bindparams(bindparam("after", type_=DateTime(timezone=True)))  # noqa: S608 - made of constants of the code; every value is bound

NEWEST = text("SELECT max(updated_at) FROM workflow_checkpoints WHERE campaign_id = :campaign_id")

# Events of the last day: who switches the webhook on is not told the past.
COLLECT = text(f"""
    INSERT INTO outbox (id, campaign_id, kind, payload, created_at)
    SELECT id, campaign_id, 'webhook_event', event, at
    FROM ({_PROGRESS} UNION ALL {_AUDITED}) AS happened
    WHERE at > now() - interval '1 day' ORDER BY at
    ON CONFLICT (id) DO NOTHING
""")  # noqa: S608 - made of constants of the code; every value is bound


class PostgresEvents:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def newest(self, campaign_id: UUID) -> datetime | None:
        """When an agent of the campaign last told how far it was."""
        async with self._engine.connect() as connection:
            newest: datetime | None = await connection.scalar(NEWEST, {"campaign_id": campaign_id})
        return newest

    async def since(self, campaign_id: UUID, after: datetime) -> list[tuple[datetime, dict[str, Any]]]:
        """Progress told after that moment, oldest first: of each step its newest state."""
        values = {"campaign_id": campaign_id, "after": after}
        async with self._engine.connect() as connection:
            return [(row.at, row.event) for row in await connection.execute(SINCE, values)]

    async def add(self, campaign_id: UUID, event: Mapping[str, Any]) -> None:
        """An event that no row tells of."""
        async with self._engine.begin() as connection:
            await connection.execute(message(campaign_id, OutboxKind.EVENT, payload=event))

    async def collect(self) -> None:
        """Puts what has happened into the outbox, each event once."""
        async with self._engine.begin() as connection:
            await connection.execute(COLLECT)
