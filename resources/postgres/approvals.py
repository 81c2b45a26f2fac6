"""The question whether a campaign may go on to phase 4, and its answer.

Whoever asks, decides or withdraws locks the campaign's row first, so that of many at once one counts and
the others see what it did.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Text, Update, cast, func, insert, literal, select, update
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from phase3_core.approval import (
    EFFECTS,
    Asked,
    Binding,
    Channel,
    Choice,
    Decided,
    MoreWanted,
    NeverAsked,
    Nudge,
    OtherReport,
    Ruling,
    Stale,
    Subject,
    TooLate,
    changes,
)
from phase3_core.errors import CampaignBusy, DecisionRefused, UnknownCampaign, WrongCampaignState
from phase3_core.report import report_hash
from phase3_core.runs import Run
from phase3_core.statuses import ApprovalStatus, CampaignStatus, EnrichmentStatus, OutboxKind, may_become
from phase3_core.tiers import Tier
from resources.postgres.lead_results import reopened
from resources.postgres.lead_rows import ACCEPTABLE, OURS, among
from resources.postgres.lease import Begin, standing
from resources.postgres.outage import Outage, repeatable
from resources.postgres.outbox import message, withdraw_unsent
from resources.postgres.tables import (
    approval_requests,
    booked,
    campaign_audit_log,
    campaigns,
    lead_tier,
    leads,
    provider_calls,
)

SYSTEM = "phase3"
_NUDGES = (OutboxKind.REMIND, OutboxKind.ESCALATE)
_READY = ACCEPTABLE & among(leads.c.enrichment_status, [EnrichmentStatus.ENRICHED])
_PENDING = approval_requests.c.status == ApprovalStatus.PENDING
_DECIDED = {CampaignStatus.APPROVED, CampaignStatus.REJECTED}


class PostgresApprovals:
    def __init__(self, engine: AsyncEngine, begin: Begin, outage: Outage) -> None:
        self._engine = engine
        self._begin = begin
        self.outage = outage

    @repeatable
    async def request(self, run: Run, summary: Mapping[str, Any]) -> Asked:
        async with self._begin() as connection:
            campaign = await _locked(connection, run.campaign_id)
            if campaign in _DECIDED:
                raise WrongCampaignState(str(run.campaign_id), campaign, CampaignStatus.VERIFICATION_COMPLETE)
            binding = await _binding(connection, run.campaign_id, summary)
            pending = await _request(connection, run.campaign_id, _PENDING)
            if pending and pending.binding == binding.hash:
                await connection.execute(_changed(pending.id, run_id=run.id, summary=dict(summary)))
                return Asked(pending.id, binding)
            if pending:
                await _withdraw(connection, pending, "asked anew: something changed")
            return Asked(await _ask(connection, run, summary, binding), binding)

    @repeatable
    async def newest(self, campaign_id: UUID) -> ApprovalStatus | None:
        async with self._engine.connect() as connection:
            newest = await _request(connection, campaign_id)
        return ApprovalStatus(newest.status) if newest else None

    @repeatable
    async def decide(self, campaign_id: UUID, choice: Choice, run: Run | None = None) -> Ruling:
        async with self._begin() as connection:
            status = await _locked(connection, campaign_id)
            wanted = () if choice.request_id is None else (approval_requests.c.id == choice.request_id,)
            request = await _request(connection, campaign_id, *wanted)
            if request is None:
                return NeverAsked()
            if request.status != ApprovalStatus.PENDING:
                return TooLate(ApprovalStatus(request.status), request.decided_by or "", request.decided_at)
            if run is None and await _worked_on(connection, campaign_id):
                raise CampaignBusy(str(campaign_id))
            if status not in may_become(EFFECTS[choice.status].campaign):
                raise WrongCampaignState(str(campaign_id), status, EFFECTS[choice.status].campaign)
            return await _decide(connection, request, choice)

    @repeatable
    async def withdraw(self, campaign_id: UUID, run_id: str, why: str) -> bool:
        async with self._begin() as connection:
            await _locked(connection, campaign_id)
            made_by_run = approval_requests.c.run_id == run_id
            pending = await _request(connection, campaign_id, _PENDING, made_by_run)
            if pending is not None:
                await _withdraw(connection, pending, why)
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

    async def subject(self, request_id: UUID) -> Subject:
        """The request as people are told of it; raises DecisionRefused where there is none."""
        query = select(approval_requests).where(approval_requests.c.id == request_id)
        async with self._engine.connect() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            raise DecisionRefused("That request is not known here; look at the campaign in the Dagster UI.")
        return _subject(row)

    async def subject_of(self, campaign_id: UUID) -> Subject | None:
        """The campaign's newest request."""
        async with self._engine.connect() as connection:
            newest = await _request(connection, campaign_id)
        return _subject(newest) if newest else None

    async def announced(self, request_id: UUID, place: Mapping[str, str]) -> None:
        """Where it was announced, so that the announcement can be brought up to date."""
        async with self._begin() as connection:
            await connection.execute(_changed(request_id, channel=dict(place)))

    async def nudge(self, remind_after: timedelta, escalate_after: timedelta) -> list[Nudge]:
        table = approval_requests.c
        unreminded = table.reminded_at.is_(None) & (table.requested_at <= func.now() - remind_after)
        unheard = table.escalated_at.is_(None) & (table.reminded_at <= func.now() - escalate_after)
        async with self._begin() as connection:
            escalated = await _nudge(connection, OutboxKind.ESCALATE, unheard, "escalated_at")
            return escalated + await _nudge(connection, OutboxKind.REMIND, unreminded, "reminded_at")


async def _locked(connection: AsyncConnection, campaign_id: UUID) -> str:
    """The campaign's status; nobody else asks or decides until this transaction ends."""
    row = select(cast(campaigns.c.status, Text)).where(campaigns.c.id == campaign_id).with_for_update()
    status = (await connection.execute(row)).scalar_one_or_none()
    if status is None:
        raise UnknownCampaign(str(campaign_id))
    return str(status)


async def _worked_on(connection: AsyncConnection, campaign_id: UUID) -> bool:
    found = await standing(connection, campaign_id)
    return found is not None and found.held


async def _request(
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


def _subject(row: Row[Any]) -> Subject:
    return Subject(
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


def _decision(row: Row[Any]) -> Decided:
    return Decided(
        row.id, ApprovalStatus(row.status), row.decided_by or "", row.decided_at, row.feedback or ""
    )


async def _binding(connection: AsyncConnection, campaign_id: UUID, summary: Mapping[str, Any]) -> Binding:
    """One statement, so that all of it is one snapshot."""
    snapshot = select(
        func.encode(func.sha256(func.convert_to(_roll(), "UTF8")), "hex").label("leads"),
        func.count().filter(_READY, lead_tier == Tier.A.value).label("tier_a_ready"),
        func.count().filter(_READY).label("ready"),
        _spent(campaign_id).label("spent"),
    ).where(leads.c.campaign_id == campaign_id, OURS)
    row = (await connection.execute(snapshot)).one()
    return Binding(row.leads, row.tier_a_ready, row.ready, row.spent, report_hash(summary))


def _roll() -> ColumnElement[str]:
    """Every lead with whatever makes it ready or not, one to a line."""
    facts = (leads.c.id, lead_tier, leads.c.email, leads.c.email_status, leads.c.enrichment_status)
    line = func.concat_ws("|", *(func.coalesce(cast(fact, Text), "") for fact in facts))
    return func.coalesce(func.string_agg(line, aggregate_order_by(literal("\n"), leads.c.id)), "")


def _spent(campaign_id: UUID) -> ColumnElement[Any]:
    spent = func.coalesce(func.sum(booked), 0)
    return select(spent).where(provider_calls.c.campaign_id == campaign_id).scalar_subquery()


async def _ask(connection: AsyncConnection, run: Run, summary: Mapping[str, Any], binding: Binding) -> UUID:
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
    await _log(connection, run.campaign_id, "approval_requested", run.agent, "agent", {"request": request_id})
    await connection.execute(message(run.campaign_id, OutboxKind.ANNOUNCE, request_id))
    return request_id


async def _decide(connection: AsyncConnection, request: Row[Any], choice: Choice) -> Ruling:
    """One conditional update decides; everything else follows from it in the same transaction."""
    if request.binding is None:
        await _withdraw(connection, request, "it was bound to nothing")
        return Stale("the rules for approval")
    if not (about := str(request.bound_to["report"])).startswith(choice.report):
        return OtherReport(about)
    now = await _binding(connection, request.campaign_id, request.summary)
    if now.hash != request.binding:
        changed = changes(request.bound_to or {}, now.as_json())
        await _withdraw(connection, request, f"{changed} changed before {choice.by} decided")
        return Stale(changed)
    table = approval_requests
    decide = (
        _changed(request.id, status=choice.status, feedback=choice.feedback or None, decided_by=choice.by)
        .values(decided_at=func.now())
        .where(_PENDING, table.c.binding == now.hash)
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
    actor = "system" if choice.channel is Channel.AUTOMATIC else "human"
    details = {
        "request": request.id,
        "channel": choice.channel,
        "feedback": choice.feedback,
        "scope": effect.scope,
        "bound_to": request.bound_to,
    }
    await _log(connection, request.campaign_id, f"approval_{choice.status}", choice.by, actor, details)
    await _over(connection, request)


async def _withdraw(connection: AsyncConnection, request: Row[Any], why: str) -> None:
    news = _changed(request.id, status=ApprovalStatus.WITHDRAWN, feedback=why)
    await connection.execute(news.values(decided_at=func.now(), decided_by=SYSTEM))
    details = {"request": request.id, "why": why}
    await _log(connection, request.campaign_id, "approval_withdrawn", SYSTEM, "system", details)
    await _over(connection, request)


async def withdraw_pending(connection: AsyncConnection, campaign_id: UUID, why: str) -> bool:
    """In the transaction that changes what was asked about; whether anything was pending."""
    await _locked(connection, campaign_id)
    pending = await _request(connection, campaign_id, _PENDING)
    if pending is not None:
        await _withdraw(connection, pending, why)
    return pending is not None


async def _over(connection: AsyncConnection, request: Row[Any]) -> None:
    """Where it was announced it is said what became of it."""
    await withdraw_unsent(connection, request.id, _NUDGES)
    await connection.execute(message(request.campaign_id, OutboxKind.UPDATE, request.id))


async def _nudge(
    connection: AsyncConnection, kind: OutboxKind, due: ColumnElement[bool], stamp: str
) -> list[Nudge]:
    table = approval_requests
    nudged = update(table).where(_PENDING, due).values({stamp: func.now()})
    rows = (await connection.execute(nudged.returning(table.c.id, table.c.campaign_id))).all()
    for row in rows:
        action = f"approval_{stamp.removesuffix('_at')}"
        await _log(connection, row.campaign_id, action, SYSTEM, "system", {"request": row.id})
        await connection.execute(message(row.campaign_id, kind, row.id))
    return [Nudge(row.id, row.campaign_id, kind) for row in rows]


def _changed(request_id: UUID, **columns: Any) -> Update:
    return update(approval_requests).where(approval_requests.c.id == request_id).values(**columns)


async def _log(
    connection: AsyncConnection,
    campaign_id: UUID,
    action: str,
    actor: str,
    actor_type: str,
    details: Mapping[str, Any],
) -> None:
    line = {"campaign_id": campaign_id, "action": action, "actor": actor, "actor_type": actor_type}
    await connection.execute(insert(campaign_audit_log).values(**line, details=dict(details)))
