"""The question whether a campaign may go on to phase 4."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from phase3_core.ports import Run
from phase3_core.statuses import ApprovalStatus
from resources.postgres.lease import Begin
from resources.postgres.tables import approval_requests


class PostgresApprovals:
    def __init__(self, engine: AsyncEngine, begin: Begin) -> None:
        self._engine = engine
        self._begin = begin

    async def request(self, run: Run, summary: Mapping[str, Any]) -> UUID:
        """A request brought up to date keeps its age, and so its reminder."""
        news = {"run_id": run.id, "summary": dict(summary)}
        asked = (
            insert(approval_requests)
            .values(campaign_id=run.campaign_id, **news)
            .on_conflict_do_update(
                index_elements=["campaign_id"], index_where=text("status = 'pending'"), set_=news
            )
            .returning(approval_requests.c.id)
        )
        async with self._begin() as connection:
            request_id: UUID = (await connection.execute(asked)).scalar_one()
        return request_id

    async def newest(self, campaign_id: UUID) -> ApprovalStatus | None:
        table = approval_requests.c
        query = (
            select(table.status)
            .where(table.campaign_id == campaign_id)
            .order_by(table.requested_at.desc())
            .limit(1)
        )
        async with self._engine.connect() as connection:
            status = await connection.scalar(query)
        return ApprovalStatus(status) if status else None
