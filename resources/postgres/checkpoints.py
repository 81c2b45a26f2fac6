"""How far each agent of a run is, for whoever looks from outside."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Double, Row, Select, cast, distinct, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from phase3_core.runs import Advance, Run
from phase3_core.waiting import Waiting, from_json
from resources.postgres.lease import Begin
from resources.postgres.outage import Outage, repeatable
from resources.postgres.tables import campaign_leases, workflow_checkpoints

IN_PROGRESS = "in_progress"


class PostgresCheckpoints:
    def __init__(self, engine: AsyncEngine, begin: Begin, outage: Outage) -> None:
        self._engine = engine
        self._begin = begin
        self.outage = outage

    @repeatable
    async def save(self, run: Run, step: str, status: str, advance: Advance, data: Mapping[str, Any]) -> None:
        """Any status but `in_progress` ends the step; `data["error"]` is its error message."""
        key = {"workflow_id": run.id, "agent_id": run.agent.value, "step_id": step}
        news = {
            "status": status,
            "items_processed": advance.done,
            "items_total": advance.total,
            "output_data": {"spent_usd": str(advance.spent), **data},
            "error_message": data.get("error"),
            "completed_at": None if status == IN_PROGRESS else func.now(),
            "updated_at": func.now(),
        }
        first = {"campaign_id": run.campaign_id, "started_at": _taken(run.campaign_id)}
        row = insert(workflow_checkpoints).values(**key, **first, **news)
        async with self._begin() as connection:
            await connection.execute(row.on_conflict_do_update(index_elements=list(key), set_=news))

    @repeatable
    async def earlier_runs(self, run: Run) -> int:
        """Runs of one campaign never overlap, so every other one was earlier."""
        table = workflow_checkpoints.c
        others = select(func.count(distinct(table.workflow_id))).where(
            table.campaign_id == run.campaign_id,
            table.agent_id == run.agent.value,
            table.workflow_id != run.id,
        )
        async with self._engine.connect() as connection:
            return await connection.scalar(others) or 0

    @repeatable
    async def waiting(self, campaign_id: UUID) -> list[Waiting]:
        own = _waiting().where(workflow_checkpoints.c.campaign_id == campaign_id)
        async with self._engine.connect() as connection:
            return [one for row in await connection.execute(own) for one in map(from_json, row.waiting)]

    @repeatable
    async def all_waiting(self) -> dict[UUID, list[Waiting]]:
        """Of every campaign that has leads waiting."""
        waiting: dict[UUID, list[Waiting]] = {}
        async with self._engine.connect() as connection:
            for row in await connection.execute(_waiting()):
                waiting.setdefault(row.campaign_id, []).extend(map(from_json, row.waiting))
        return waiting

    @repeatable
    async def latest(self, campaign_id: UUID) -> list[Row[Any]]:
        """Of each agent of the campaign's newest run, in the order in which they began.

        `agent_id, items_processed, items_total, spent_usd, status`; seconds it has worked (`worked_s`), and
        since its last checkpoint (`idle_s`).
        """
        table = workflow_checkpoints.c
        newest = (
            select(table.workflow_id)
            .where(table.campaign_id == campaign_id)
            .order_by(table.updated_at.desc())
            .limit(1)
            .scalar_subquery()
        )
        spent = table.output_data["spent_usd"].astext.label("spent_usd")
        rows = select(
            table.agent_id,
            table.items_processed,
            table.items_total,
            spent,
            table.status,
            _seconds(table.updated_at - table.started_at).label("worked_s"),
            _seconds(func.now() - table.updated_at).label("idle_s"),
        )
        async with self._engine.connect() as connection:
            return list(
                await connection.execute(rows.where(table.workflow_id == newest).order_by(table.created_at))
            )


def _taken(campaign_id: UUID) -> ColumnElement[Any]:
    """When the agent began: its first checkpoint comes only with its first batch."""
    lease = campaign_leases.c
    taken = select(lease.taken_at).where(lease.campaign_id == campaign_id).scalar_subquery()
    return func.coalesce(taken, func.now())


def _seconds(interval: ColumnElement[Any]) -> ColumnElement[float]:
    return cast(func.extract("epoch", interval), Double)


def _waiting() -> Select[Any]:
    """`campaign_id, waiting` as each agent's newest run left it."""
    table = workflow_checkpoints.c
    newest = select(table.campaign_id, table.output_data["waiting"].label("waiting"))
    told = newest.distinct(table.campaign_id, table.agent_id).where(table.output_data.has_key("waiting"))
    return told.order_by(table.campaign_id, table.agent_id, table.updated_at.desc())
