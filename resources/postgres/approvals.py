"""The question whether a campaign may go on to phase 4, and its answer.

Whoever asks, decides or withdraws locks the campaign's row first, so that of many at once one counts and
the others see what it did.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from phase3_core.approval import EFFECTS, Channel, Choice
from phase3_core.approval_request import ApprovalRequest, Asked, MoreWanted, Nudge, changes
from phase3_core.errors import CampaignBusy, DecisionRefused, NotAtTheGate, WrongCampaignState
from phase3_core.ruling import Decided, NeverAsked, OtherReport, Ruling, Stale, TooLate
from phase3_core.runs import Run
from phase3_core.statuses import ApprovalStatus, CampaignStatus, OutboxKind, may_become
from resources.postgres.approval_binding import binding_of
from resources.postgres.approval_requests import (
    PENDING,
    ask,
    changed,
    locked,
    newest_row,
    nudge,
    over,
    request_of,
    withdraw,
)
from resources.postgres.audit import Actor
from resources.postgres.lead_results import reopened
from resources.postgres.lead_rows import among
from resources.postgres.lease import Begin, standing
from resources.postgres.outage import Outage, repeatable
from resources.postgres.tables import approval_requests, campaigns

_DECIDED = {CampaignStatus.APPROVED, CampaignStatus.REJECTED}


class PostgresApprovals:
    def __init__(self, engine: AsyncEngine, begin: Begin, outage: Outage) -> None:
        self._engine = engine
        self._begin = begin
        self.outage = outage

    @repeatable
    async def request(self, run: Run, summary: Mapping[str, Any]) -> Asked:
        async with self._begin() as connection:
            campaign = await locked(connection, run.campaign_id)
            if campaign in _DECIDED:
                raise WrongCampaignState(str(run.campaign_id), campaign, CampaignStatus.VERIFICATION_COMPLETE)
            binding = await binding_of(connection, run.campaign_id, summary)
            pending = await newest_row(connection, run.campaign_id, PENDING)
            if pending and pending.binding == binding.hash:
                await connection.execute(changed(pending.id, run_id=run.id, summary=dict(summary)))
                return Asked(pending.id, binding)
            if pending:
                await withdraw(connection, pending, "asked anew: something changed")
            return Asked(await ask(connection, run, summary, binding), binding)

    @repeatable
    async def newest(self, campaign_id: UUID) -> ApprovalStatus | None:
        async with self._engine.connect() as connection:
            newest = await newest_row(connection, campaign_id)
        return ApprovalStatus(newest.status) if newest else None

    @repeatable
    async def decide(self, campaign_id: UUID, choice: Choice, run: Run | None = None) -> Ruling:
        async with self._begin() as connection:
            status = await locked(connection, campaign_id)
            wanted = () if choice.request_id is None else (approval_requests.c.id == choice.request_id,)
            request = await newest_row(connection, campaign_id, *wanted)
            if request is None:
                return NeverAsked()
            if request.status != ApprovalStatus.PENDING:
                return TooLate(ApprovalStatus(request.status), request.decided_by or "", request.decided_at)
            if run is None and await _worked_on(connection, campaign_id):
                raise CampaignBusy(str(campaign_id))
            if status not in may_become(EFFECTS[choice.status].campaign):
                raise NotAtTheGate(str(campaign_id), status)
            return await _decide(connection, request, choice)

    @repeatable
    async def withdraw(self, campaign_id: UUID, run_id: str, why: str) -> bool:
        async with self._begin() as connection:
            await locked(connection, campaign_id)
            made_by_run = approval_requests.c.run_id == run_id
            pending = await newest_row(connection, campaign_id, PENDING, made_by_run)
            if pending is not None:
                await withdraw(connection, pending, why)
        return pending is not None

    @repeatable
    async def more_wanted(self) -> list[MoreWanted]:
        table = approval_requests.c
        asked = (
            select(table.campaign_id, func.coalesce(campaigns.c.name, "").label("campaign"), table.id)
            .join_from(approval_requests, campaigns, campaigns.c.id == table.campaign_id)
            .where(among(campaigns.c.status, [CampaignStatus.RE_ENRICHMENT_REQUESTED]))
            .where(table.status == ApprovalStatus.MORE_ENRICHMENT)
            .distinct(table.campaign_id)
            .order_by(table.campaign_id, table.decided_at.desc())
        )
        async with self._engine.connect() as connection:
            rows = await connection.execute(asked)
            return [MoreWanted(row.campaign_id, row.campaign, row.id) for row in rows]

    @repeatable
    async def decided_lately(self) -> list[tuple[UUID, Decided]]:
        table = approval_requests.c
        age = func.now() - table.decided_at
        lately = (age < timedelta(days=1)) & (age > timedelta(minutes=1))
        decided = select(approval_requests).where(table.status.in_(EFFECTS), lately)
        async with self._engine.connect() as connection:
            rows = await connection.execute(decided.order_by(table.decided_at))
            return [(row.campaign_id, _decision(row)) for row in rows]

    async def by_id(self, request_id: UUID) -> ApprovalRequest:
        """The request as people are told of it; raises DecisionRefused where there is none."""
        query = select(approval_requests).where(approval_requests.c.id == request_id)
        async with self._engine.connect() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            raise DecisionRefused("That request is not known here; look at the campaign in the Dagster UI.")
        return request_of(row)

    async def newest_request(self, campaign_id: UUID) -> ApprovalRequest | None:
        """The campaign's newest request."""
        async with self._engine.connect() as connection:
            newest = await newest_row(connection, campaign_id)
        return request_of(newest) if newest else None

    async def announced(self, request_id: UUID, place: Mapping[str, str]) -> None:
        """Where it was announced, so that the announcement can be brought up to date."""
        async with self._begin() as connection:
            await connection.execute(changed(request_id, channel=dict(place)))

    async def nudge(self, remind_after: timedelta, escalate_after: timedelta) -> list[Nudge]:
        table = approval_requests.c
        unreminded = table.reminded_at.is_(None) & (table.requested_at <= func.now() - remind_after)
        unheard = table.escalated_at.is_(None) & (table.reminded_at <= func.now() - escalate_after)
        async with self._begin() as connection:
            escalated = await nudge(connection, OutboxKind.ESCALATE, unheard, "escalated_at")
            return escalated + await nudge(connection, OutboxKind.REMIND, unreminded, "reminded_at")


async def _worked_on(connection: AsyncConnection, campaign_id: UUID) -> bool:
    found = await standing(connection, campaign_id)
    return found is not None and found.held


def _decision(row: Row[Any]) -> Decided:
    return Decided(
        row.id, ApprovalStatus(row.status), row.decided_by or "", row.decided_at, row.feedback or ""
    )


async def _decide(connection: AsyncConnection, request: Row[Any], choice: Choice) -> Ruling:
    """One conditional update decides; everything else follows from it in the same transaction."""
    if request.binding is None:
        await withdraw(connection, request, "it was bound to nothing")
        return Stale("the rules for approval")
    if not (about := str(request.bound_to["report"])).startswith(choice.report):
        return OtherReport(about)
    now = await binding_of(connection, request.campaign_id, request.summary)
    if now.hash != request.binding:
        differing = changes(request.bound_to or {}, now.as_json())
        await withdraw(connection, request, f"{differing} changed before {choice.by} decided")
        return Stale(differing)
    table = approval_requests
    decide = (
        changed(request.id, status=choice.status, feedback=choice.feedback or None, decided_by=choice.by)
        .values(decided_at=func.now())
        .where(PENDING, table.c.binding == now.hash)
        .returning(table.c.decided_at)
    )
    row = (await connection.execute(decide)).one_or_none()
    if row is None:
        raise AssertionError("the campaign's row was locked, so nobody else can have decided")
    await _take_effect(connection, request, choice)
    return Decided(request.id, choice.status, choice.by, row.decided_at, choice.feedback)


async def _take_effect(connection: AsyncConnection, request: Row[Any], choice: Choice) -> None:
    effect = EFFECTS[choice.status]
    news: dict[str, Any] = {"status": effect.campaign, "status_reason": choice.feedback or None}
    if effect.scope:
        news |= {"personalization_scope": effect.scope, "approved_by": choice.by, "approved_at": func.now()}
    of = campaigns.c.id == request.campaign_id
    await connection.execute(update(campaigns).where(of).values(**news, updated_at=func.now()))
    if choice.status is ApprovalStatus.MORE_ENRICHMENT:
        for statement in reopened(request.campaign_id):
            await connection.execute(statement)
    actor = Actor(choice.by, "system" if choice.channel is Channel.AUTOMATIC else "human")
    details = {
        "request": request.id,
        "channel": choice.channel,
        "feedback": choice.feedback,
        "scope": effect.scope,
        "bound_to": request.bound_to,
    }
    await connection.execute(actor.line(request.campaign_id, f"approval_{choice.status}", details))
    await over(connection, request)
