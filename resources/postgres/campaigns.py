"""Campaigns: their status, their numbers, and what they cost."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    Subquery,
    Text,
    Update,
    cast,
    exists,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, Insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from phase3_core.counts import CampaignCounts, ProviderSpend
from phase3_core.errors import UnknownCampaign, WrongCampaignState
from phase3_core.leads import Campaign
from phase3_core.money import ZERO, Money, usd
from phase3_core.ports.campaigns import AgentResult, DueAgain
from phase3_core.runs import Run
from phase3_core.saga import Step, StepKind, StepState
from phase3_core.statuses import Agent, CampaignStatus, may_become
from resources.postgres.audit import Actor
from resources.postgres.campaign_counts import counts_of, spend_of
from resources.postgres.campaign_list import CampaignOverview, overview_of, the_campaign
from resources.postgres.columns import TIME
from resources.postgres.lead_rows import OURS, among
from resources.postgres.lease import Begin, held
from resources.postgres.outage import Outage, repeatable
from resources.postgres.tables import (
    campaign_audit_log,
    campaign_leases,
    campaigns,
    leads,
    provider_spend,
    saga_steps,
    workflow_checkpoints,
)

_AT_REST = (CampaignStatus.STOPPED, CampaignStatus.VERIFICATION_COMPLETE)


class PostgresCampaigns:
    def __init__(self, engine: AsyncEngine, begin: Begin, outage: Outage, actor: Actor) -> None:
        self._engine = engine
        self._begin = begin
        self.outage = outage
        self._actor = actor

    @repeatable
    async def campaign(self, campaign_id: UUID) -> Campaign:
        """Raises UnknownCampaign, and WrongCampaignState while phase 2 still works on it."""
        async with self._engine.connect() as connection:
            row = await _campaign_row(connection, campaign_id)
        if row.status not in set(CampaignStatus):
            raise WrongCampaignState(str(campaign_id), str(row.status), CampaignStatus.VERIFYING_EMAILS)
        return _campaign(row)

    @repeatable
    async def import_completed(self) -> list[Campaign]:
        """By state, not by time: a campaign that is committed late is not missed."""
        handed_over = among(campaigns.c.status, [CampaignStatus.IMPORT_COMPLETE])
        oldest_first = (campaigns.c.import_completed_at.asc().nulls_last(), campaigns.c.id)
        async with self._engine.connect() as connection:
            rows = await connection.execute(_campaigns().where(handed_over).order_by(*oldest_first))
            return [_campaign(row) for row in rows]

    @repeatable
    async def due_again(self) -> list[DueAgain]:
        """At rest: what runs, failed or was cancelled is nobody's to start again unasked."""
        newest = _newest_waits()
        since = cast(newest.c.until, TIME)
        due = (
            _campaigns()
            .add_columns(func.min(since).label("since"))
            .join(newest, newest.c.campaign_id == campaigns.c.id)
            .where(among(campaigns.c.status, _AT_REST), since <= func.now())
            .group_by(campaigns.c.id)
            .order_by(func.min(since), campaigns.c.id)
        )
        async with self._engine.connect() as connection:
            return [DueAgain(_campaign(row), row.since) for row in await connection.execute(due)]

    async def move(
        self, campaign_id: UUID, to: CampaignStatus, why: str = "", *, ends: Run | None = None
    ) -> None:
        from_there = among(campaigns.c.status, may_become(to))
        beside = [] if ends is None else [_keep_steps(ends)]
        if not await self._moved(campaign_id, to, why, from_there, *beside):
            raise WrongCampaignState(str(campaign_id), await self._status(campaign_id), to)

    async def put_back(
        self, step: Step, left_at: Collection[CampaignStatus], to: CampaignStatus, why: str
    ) -> bool:
        provided = among(campaigns.c.status, left_at) & _is_last_move(step)
        return await self._moved(step.campaign_id, to, why, provided, first=_lock_lease(step.campaign_id))

    async def call_off(self, campaign_id: UUID, before: datetime, why: str) -> bool:
        imported_at = campaigns.c.import_completed_at
        not_begun = among(campaigns.c.status, [CampaignStatus.IMPORT_COMPLETE])
        early = imported_at.is_(None) | (imported_at <= before)
        return await self._moved(campaign_id, CampaignStatus.FAILED, why, not_begun & early)

    async def _moved(
        self,
        campaign_id: UUID,
        to: CampaignStatus,
        why: str,
        provided: ColumnElement[bool],
        *beside: Update,
        first: Select[Any] | None = None,
    ) -> bool:
        move = (
            update(campaigns)
            .where(campaigns.c.id == campaign_id, provided)
            .values(status=to, status_reason=why or None, updated_at=func.now())
        )
        line = self._actor.line(campaign_id, "status_changed", {"to": to, "why": why})
        return await self._recorded(line, move, *beside, first=first)

    async def unpublish(self, campaign_id: UUID, url: str, before: str) -> None:
        back = (
            update(campaigns)
            .where(campaigns.c.id == campaign_id, campaigns.c.verified_lead_list_url == url)
            .values(verified_lead_list_url=before or None, updated_at=func.now())
        )
        async with self._begin() as connection:
            await connection.execute(back)

    @repeatable
    async def counts(self, campaign_id: UUID) -> CampaignCounts:
        async with self._engine.connect() as connection:
            return await counts_of(connection, campaign_id)

    @repeatable
    async def spend(self, campaign_id: UUID) -> list[ProviderSpend]:
        async with self._engine.connect() as connection:
            return await spend_of(connection, campaign_id)

    @repeatable
    async def spent(self, campaign_id: UUID) -> Money:
        booked = func.sum(provider_spend.c.cost_usd + provider_spend.c.unknown_usd)
        query = select(booked).where(provider_spend.c.campaign_id == campaign_id)
        async with self._engine.connect() as connection:
            return usd(await connection.scalar(query) or ZERO)

    @repeatable
    async def summary(self, campaign_id: UUID) -> Mapping[str, Any]:
        told = select(campaigns.c.verification_summary).where(campaigns.c.id == campaign_id)
        async with self._engine.connect() as connection:
            return await connection.scalar(told) or {}

    async def update_email_verification_results(self, campaign_id: UUID, result: AgentResult) -> None:
        await self._finish(
            campaign_id,
            Agent.EMAIL_VERIFICATION,
            result,
            {Agent.EMAIL_VERIFICATION: result.summary},
            emails_found=sum(tier.found for tier in result.counts.tiers),
            emails_verified=sum(tier.accepted for tier in result.counts.tiers),
            email_verification_cost=result.cost,
            email_verification_completed_at=result.finished_at,
        )

    async def update_enrichment_results(self, campaign_id: UUID, result: AgentResult) -> None:
        await self._finish(
            campaign_id,
            Agent.ENRICHMENT,
            result,
            {Agent.ENRICHMENT: result.summary},
            leads_enriched=sum(tier.enriched for tier in result.counts.tiers),
            enrichment_cost=result.cost,
            enrichment_completed_at=result.finished_at,
        )

    async def update_verification_results(
        self, campaign_id: UUID, result: AgentResult, list_url: str
    ) -> None:
        await self._finish(
            campaign_id,
            Agent.FINALIZER,
            result,
            result.summary,
            total_leads_ready=sum(tier.ready for tier in result.counts.tiers),
            verified_lead_list_url=list_url,
            verification_completed_at=result.finished_at,
        )

    async def _finish(
        self, campaign_id: UUID, agent: Agent, result: AgentResult, summary: Mapping[str, Any], **columns: Any
    ) -> None:
        """What agents 3.1 and 3.2 say stays in the summary, under their names, beside the final report."""
        there = func.coalesce(campaigns.c.verification_summary, literal({}, JSONB))
        merged = there.concat(literal(dict(summary), JSONB))
        finish = (
            update(campaigns)
            .where(campaigns.c.id == campaign_id)
            .values(**columns, verification_summary=merged, updated_at=func.now())
        )
        line = self._actor.line(campaign_id, f"{agent}_finished", {"cost_usd": result.cost})
        if not await self._recorded(line, finish):
            raise UnknownCampaign(str(campaign_id))

    async def audit(self, campaign_id: UUID, action: str, details: Mapping[str, Any]) -> None:
        await self._recorded(self._actor.line(campaign_id, action, details))

    @repeatable
    async def _recorded(self, line: Insert, *changes: Update, first: Select[Any] | None = None) -> bool:
        """The changes and their line in the audit log, or nothing where the first change fits no row.

        A line that is there already tells that an earlier try was written.
        """
        async with self._begin() as connection:
            if first is not None:
                await connection.execute(first)
            if not await connection.scalar(line.returning(campaign_audit_log.c.id)):
                return True
            for number, change in enumerate(changes):
                if not (await connection.execute(change)).rowcount and not number:
                    await connection.rollback()
                    return False
            return True

    @repeatable
    async def _status(self, campaign_id: UUID) -> str:
        """Raises UnknownCampaign."""
        async with self._engine.connect() as connection:
            return str((await _campaign_row(connection, campaign_id)).status)

    async def campaign_named(self, name: str) -> UUID:
        """By id, its beginning, or name; raises UnknownCampaign, BadInput where several fit."""
        async with self._engine.connect() as connection:
            return await the_campaign(connection, name)

    @repeatable
    async def workbook(self, campaign_id: UUID) -> str:
        """The URL of the newest export, empty where there is none."""
        url = select(campaigns.c.verified_lead_list_url).where(campaigns.c.id == campaign_id)
        async with self._engine.connect() as connection:
            return str(await connection.scalar(url) or "")

    async def overview(self, only: UUID | None = None) -> list[CampaignOverview]:
        """Every campaign, the newest first; or this one."""
        async with self._engine.connect() as connection:
            return await overview_of(connection, only)


def _campaigns() -> Select[Any]:
    size = select(func.count()).where(leads.c.campaign_id == campaigns.c.id, OURS).scalar_subquery()
    return select(
        campaigns.c.id,
        campaigns.c.name,
        cast(campaigns.c.status, Text).label("status"),
        campaigns.c.status_reason,
        campaigns.c.import_completed_at,
        size.label("leads"),
    )


def _newest_waits() -> Subquery:
    """Until when each agent's newest run left leads waiting; null where it left none."""
    table = workflow_checkpoints.c
    until = table.output_data["waiting_until"].astext.label("until")
    newest = select(table.campaign_id, until).distinct(table.campaign_id, table.agent_id)
    told = newest.where(table.output_data.has_key("waiting_until"))
    return told.order_by(table.campaign_id, table.agent_id, table.updated_at.desc()).subquery()


async def _campaign_row(connection: AsyncConnection, campaign_id: UUID) -> Row[Any]:
    row = (await connection.execute(_campaigns().where(campaigns.c.id == campaign_id))).one_or_none()
    if row is None:
        raise UnknownCampaign(str(campaign_id))
    return row


def _campaign(row: Row[Any]) -> Campaign:
    return Campaign(
        id=row.id,
        name=row.name or "",
        status=CampaignStatus(row.status),
        leads=row.leads,
        import_completed_at=row.import_completed_at,
        reason=row.status_reason or "",
    )


def _keep_steps(run: Run) -> Update:
    steps = saga_steps.c
    mine = (steps.run_id == run.id, steps.agent == run.agent, steps.state == StepState.DONE)
    return update(saga_steps).where(*mine).values(state=StepState.KEPT, updated_at=func.now())


def _lock_lease(campaign_id: UUID) -> Select[Any]:
    """From here on no run takes the campaign, and the one that has it neither notes nor moves anything."""
    lease = select(campaign_leases.c.fence).where(campaign_leases.c.campaign_id == campaign_id)
    return lease.with_for_update(key_share=True)


def _is_last_move(step: Step) -> ColumnElement[bool]:
    """Whoever took the campaign after it is gone, and had not come to a move of its own."""
    lease, steps = campaign_leases.c, saga_steps.c
    mine = (lease.campaign_id == step.campaign_id, lease.run_id == step.run_id)
    of_others = (steps.campaign_id == step.campaign_id, steps.run_id != step.run_id)
    later = (*of_others, steps.step == StepKind.STATUS, steps.place > step.place)
    nobody_since = exists(select(lease.run_id).where(*mine)) | ~held(step.campaign_id)
    return nobody_since & ~exists(select(steps.place).where(*later))
