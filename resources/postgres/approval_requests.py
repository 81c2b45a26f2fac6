"""Rows of requests for approval: made, nudged, withdrawn; with their lines in audit log and outbox."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Text, Update, cast, exists, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from phase3_core.approval_request import ApprovalRequest, Binding, Nudge
from phase3_core.errors import UnknownCampaign
from phase3_core.runs import Run
from phase3_core.statuses import ApprovalStatus, CampaignStatus, OutboxKind
from resources.postgres.audit import Actor
from resources.postgres.outbox import message, withdraw_unsent
from resources.postgres.tables import approval_requests, campaigns

SYSTEM = Actor("phase3", "system")
_NUDGES = (OutboxKind.REMIND, OutboxKind.ESCALATE)
PENDING = approval_requests.c.status == ApprovalStatus.PENDING
# Elsewhere, after a run that failed or stopped, nobody can decide what they would be reminded of.
_AT_THE_GATE = exists(
    select(campaigns.c.id).where(
        campaigns.c.id == approval_requests.c.campaign_id,
        cast(campaigns.c.status, Text) == CampaignStatus.VERIFICATION_COMPLETE,
    )
)


async def locked(connection: AsyncConnection, campaign_id: UUID) -> str:
    """The campaign's status; nobody else asks or decides until this transaction ends."""
    row = select(cast(campaigns.c.status, Text)).where(campaigns.c.id == campaign_id).with_for_update()
    status = (await connection.execute(row)).scalar_one_or_none()
    if status is None:
        raise UnknownCampaign(str(campaign_id))
    return str(status)


async def newest_row(
    connection: AsyncConnection, campaign_id: UUID, *conditions: ColumnElement[bool]
) -> Row[Any] | None:
    """The campaign's newest request among those that fit."""
    newest = (
        select(approval_requests)
        .where(approval_requests.c.campaign_id == campaign_id, *conditions)
        .order_by(approval_requests.c.requested_at.desc(), approval_requests.c.id)
        .limit(1)
    )
    return (await connection.execute(newest)).one_or_none()


def request_of(row: Row[Any]) -> ApprovalRequest:
    return ApprovalRequest(
        request_id=row.id,
        campaign_id=row.campaign_id,
        campaign=str(row.summary.get("campaign", "")),
        status=ApprovalStatus(row.status),
        report=row.summary,
        feedback=row.feedback or "",
        decided_by=row.decided_by or "",
        decided_at=row.decided_at,
        channel=row.channel,
    )


async def ask(connection: AsyncConnection, run: Run, summary: Mapping[str, Any], binding: Binding) -> UUID:
    asked = (
        insert(approval_requests)
        .values(
            campaign_id=run.campaign_id,
            run_id=run.id,
            summary=dict(summary),
            binding=binding.hash,
            bound_to=binding.as_json(),
            requested_at=func.clock_timestamp(),
        )
        .returning(approval_requests.c.id)
    )
    request_id: UUID = (await connection.execute(asked)).scalar_one()
    line = Actor(run.agent, "agent").line(run.campaign_id, "approval_requested", {"request": request_id})
    await connection.execute(line)
    await connection.execute(message(run.campaign_id, OutboxKind.ANNOUNCE, request_id))
    return request_id


async def withdraw(connection: AsyncConnection, request: Row[Any], why: str) -> None:
    news = changed(request.id, status=ApprovalStatus.WITHDRAWN, feedback=why)
    await connection.execute(news.values(decided_at=func.now(), decided_by=SYSTEM.name))
    details = {"request": request.id, "why": why}
    await connection.execute(SYSTEM.line(request.campaign_id, "approval_withdrawn", details))
    await over(connection, request)


async def withdraw_pending(connection: AsyncConnection, campaign_id: UUID, why: str) -> bool:
    """In the transaction that changes what was asked about; whether anything was pending."""
    await locked(connection, campaign_id)
    pending = await newest_row(connection, campaign_id, PENDING)
    if pending is not None:
        await withdraw(connection, pending, why)
    return pending is not None


async def nudge(
    connection: AsyncConnection, kind: OutboxKind, due: ColumnElement[bool], stamp: str
) -> list[Nudge]:
    table = approval_requests
    nudged = update(table).where(PENDING, due, _AT_THE_GATE).values({stamp: func.now()})
    rows = (await connection.execute(nudged.returning(table.c.id, table.c.campaign_id))).all()
    for row in rows:
        action = f"approval_{stamp.removesuffix('_at')}"
        await connection.execute(SYSTEM.line(row.campaign_id, action, {"request": row.id}))
        await connection.execute(message(row.campaign_id, kind, row.id))
    return [Nudge(row.id, row.campaign_id, kind) for row in rows]


async def over(connection: AsyncConnection, request: Row[Any]) -> None:
    """Where it was announced it is said what became of it."""
    await withdraw_unsent(connection, request.id, _NUDGES)
    await connection.execute(message(request.campaign_id, OutboxKind.UPDATE, request.id))


def changed(request_id: UUID, **columns: Any) -> Update:
    return update(approval_requests).where(approval_requests.c.id == request_id).values(**columns)
