"""Campaigns: their status, their numbers, and what they cost."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, TypeVar
from uuid import UUID, uuid4

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    Subquery,
    Text,
    Update,
    case,
    cast,
    exists,
    func,
    literal,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, Insert, insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.sql.selectable import LateralFromClause

from phase3_core.errors import BadInput, UnknownCampaign, WrongCampaignState
from phase3_core.leads import Campaign
from phase3_core.money import ZERO, Money, ratio
from phase3_core.ports import AgentResult, CampaignCounts, DueAgain, ProviderSpend, Run, TierCounts
from phase3_core.saga import Step, StepState
from phase3_core.statuses import (
    ACCEPTED,
    Agent,
    CampaignStatus,
    EmailStatus,
    EnrichmentStatus,
    may_become,
)
from phase3_core.tiers import Tier
from resources.postgres.leads import ACCEPTABLE, ENRICHED, OURS, SUPPRESSED, VERIFIED, among
from resources.postgres.lease import Begin
from resources.postgres.outage import Outage, repeatable
from resources.postgres.tables import (
    TIME,
    campaign_audit_log,
    campaign_leases,
    campaigns,
    lead_rank,
    lead_tier,
    leads,
    provider_calls,
    provider_spend,
    saga_steps,
    workflow_checkpoints,
)

Word = TypeVar("Word", bound=str)

_AT_REST = (CampaignStatus.STOPPED, CampaignStatus.VERIFICATION_COMPLETE)
SHORTEST_PREFIX = 4  # of an id, on the command line
MOST_SHOWN = 5

_BOOKED = provider_calls.c.cost_usd + provider_calls.c.unknown_usd
_FAILURES = ("error", "refused", "not_sent", "lost")
_FOUND = VERIFIED & ~among(leads.c.email_status, [EmailStatus.NOT_FOUND])
_ENRICHED = among(leads.c.enrichment_status, [EnrichmentStatus.ENRICHED])
_COUNTED = ("leads", "found", "accepted", "enriched", "ready")


@dataclass(frozen=True, slots=True)
class Actor:
    """Who is written into the audit log."""

    name: str
    type: Literal["agent", "human", "system"]

    def line(self, campaign_id: UUID, action: str, details: Mapping[str, Any]) -> Insert:
        """One however often it is written."""
        line = insert(campaign_audit_log).values(
            id=uuid4(),
            campaign_id=campaign_id,
            action=action,
            actor=self.name,
            actor_type=self.type,
            details=dict(details),
        )
        return line.on_conflict_do_nothing(index_elements=["id"])


@dataclass(frozen=True, slots=True)
class CampaignOverview:
    """A campaign on one line; `status` may be one of phase 2's."""

    id: UUID
    name: str
    status: str
    reason: str
    leads: int
    found: int
    accepted: int
    enriched: int
    ready: int
    spent: Money
    created_at: datetime


@dataclass(frozen=True, slots=True)
class _Group:
    """Leads that are alike in everything that is counted; `score` is the sum of theirs."""

    tier: Tier
    email: EmailStatus | None
    provider: str
    enrichment: EnrichmentStatus | None
    leads: int
    score: int

    @property
    def found(self) -> bool:
        return self.email not in {None, EmailStatus.NOT_FOUND}

    @property
    def accepted(self) -> bool:
        return self.email in ACCEPTED

    @property
    def ready(self) -> bool:
        return self.accepted and self.enrichment is EnrichmentStatus.ENRICHED


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
        move = (
            update(campaigns)
            .where(campaigns.c.id == campaign_id, among(campaigns.c.status, may_become(to)))
            .values(status=to, status_reason=why or None, updated_at=func.now())
        )
        line = self._actor.line(campaign_id, "status_changed", {"to": to, "why": why})
        beside = [] if ends is None else [_keep_steps(ends)]
        if not await self._recorded(line, move, *beside):
            raise WrongCampaignState(str(campaign_id), await self._status(campaign_id), to)

    async def put_back(self, step: Step, to: CampaignStatus, why: str) -> bool:
        """The lease is locked with it, so that no run begins in between."""
        back = (
            update(campaigns)
            .where(campaigns.c.id == step.campaign_id, among(campaigns.c.status, [step.undo["moved_to"]]))
            .where(_last_taken_by(step))
            .values(status=to, status_reason=why, updated_at=func.now())
        )
        line = self._actor.line(step.campaign_id, "status_changed", {"to": to, "why": why})
        async with self._begin() as connection:
            moved = (await connection.execute(back)).rowcount > 0
            if moved:
                await connection.execute(line)
        return moved

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
            groups = [_group(row) for row in await connection.execute(_groups(campaign_id))]
            costs = {row.tier: row.usd for row in await connection.execute(_tier_costs(campaign_id))}
            suppressed = await connection.scalar(_suppressed(campaign_id))
        return replace(_counts(groups, costs), suppressed=suppressed or 0)

    @repeatable
    async def spend(self, campaign_id: UUID) -> list[ProviderSpend]:
        async with self._engine.connect() as connection:
            rows = (await connection.execute(_spend(campaign_id))).mappings()
            return [ProviderSpend(**{**row, "agent": Agent(row["agent"])}) for row in rows]

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
    async def _recorded(self, line: Insert, *changes: Update) -> bool:
        """The changes and their line in the audit log, or nothing where the first change fits no row.

        A line that is there already tells that an earlier try was written.
        """
        async with self._begin() as connection:
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
        wanted = name.strip()
        digits = wanted.lower().replace("-", "")
        bare = func.replace(cast(campaigns.c.id, Text), "-", "")
        fitting = select(campaigns.c.id, campaigns.c.name).where(
            or_(campaigns.c.name == wanted, func.starts_with(bare, digits))
        )
        async with self._engine.connect() as connection:
            return _the_one(wanted, digits, (await connection.execute(fitting)).all())

    @repeatable
    async def workbook(self, campaign_id: UUID) -> str:
        """The URL of the newest export, empty where there is none."""
        url = select(campaigns.c.verified_lead_list_url).where(campaigns.c.id == campaign_id)
        async with self._engine.connect() as connection:
            return str(await connection.scalar(url) or "")

    async def overview(self, only: UUID | None = None) -> list[CampaignOverview]:
        """Every campaign, the newest first; or this one."""
        wanted = _overview() if only is None else _overview().where(campaigns.c.id == only)
        async with self._engine.connect() as connection:
            rows = (await connection.execute(wanted)).mappings()
            return [CampaignOverview(**row) for row in rows]


def _campaigns() -> Select[Any]:
    size = select(func.count()).where(leads.c.campaign_id == campaigns.c.id, OURS).scalar_subquery()
    return select(
        campaigns.c.id,
        campaigns.c.name,
        cast(campaigns.c.status, Text).label("status"),
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
    )


def _keep_steps(run: Run) -> Update:
    steps = saga_steps.c
    mine = (steps.run_id == run.id, steps.agent == run.agent, steps.state == StepState.DONE)
    return update(saga_steps).where(*mine).values(state=StepState.KEPT, updated_at=func.now())


def _last_taken_by(step: Step) -> ColumnElement[bool]:
    lease = campaign_leases.c
    mine = (lease.campaign_id == step.campaign_id, lease.run_id == step.run_id)
    return exists(select(lease.run_id).where(*mine).with_for_update(read=True))


def _groups(campaign_id: UUID) -> Select[Any]:
    alike = (
        lead_tier.label("tier"),
        case((VERIFIED, leads.c.email_status)).label("email"),
        leads.c.email_provider.label("provider"),
        case((ENRICHED, leads.c.enrichment_status)).label("enrichment"),
    )
    return (
        select(*alike, func.count().label("leads"), func.sum(-lead_rank).label("score"))
        .where(leads.c.campaign_id == campaign_id, OURS)
        .group_by(*alike)
    )


def _group(row: Row[Any]) -> _Group:
    return _Group(
        tier=Tier(row.tier),
        email=EmailStatus(row.email) if row.email else None,
        provider=row.provider or "",
        enrichment=EnrichmentStatus(row.enrichment) if row.enrichment else None,
        leads=row.leads,
        score=row.score,
    )


def _suppressed(campaign_id: UUID) -> Select[Any]:
    return select(func.count()).where(leads.c.campaign_id == campaign_id, SUPPRESSED)


def _tier_costs(campaign_id: UUID) -> Select[Any]:
    """Without a tier: calls whose lead phase 2 has deleted since."""
    tier = case((leads.c.id.is_not(None), lead_tier))
    return (
        select(tier.label("tier"), func.sum(_BOOKED).label("usd"))
        .join_from(provider_calls, leads, provider_calls.c.lead_id == leads.c.id, isouter=True)
        .where(provider_calls.c.campaign_id == campaign_id, provider_calls.c.agent.in_(Agent))
        .group_by(tier)
    )


def _spend(campaign_id: UUID) -> Select[Any]:
    calls = provider_calls.c
    failed = func.coalesce(calls.outcome.in_(_FAILURES), False) | (calls.state == "unknown")
    missed = func.coalesce(calls.outcome == "miss", False)
    by = (calls.agent, calls.provider, calls.operation)
    return (
        select(
            *by,
            func.count().label("calls"),
            func.count().filter(calls.state == "settled", ~missed, ~failed).label("hits"),
            func.count().filter(missed, ~failed).label("misses"),
            func.count().filter(failed).label("errors"),
            func.sum(calls.cost_usd).label("cost"),
            func.sum(calls.unknown_usd).label("unknown"),
        )
        .where(calls.campaign_id == campaign_id, calls.agent.in_(Agent))
        .group_by(*by)
        .order_by(*by)
    )


def _counts(groups: Sequence[_Group], costs: Mapping[str | None, Money]) -> CampaignCounts:
    found = [group for group in groups if group.found]
    return CampaignCounts(
        tiers=[_tier(tier, groups, costs.get(tier, ZERO)) for tier in Tier],
        by_email_status=_tally((group.email, group.leads) for group in groups),
        by_finder=_tally((group.provider, group.leads) for group in found),
        accepted_by_finder=_tally((group.provider, group.leads) for group in found if group.accepted),
        by_enrichment_status=_tally((group.enrichment, group.leads) for group in groups),
        pending_verification=sum(group.leads for group in groups if group.email is None),
        pending_enrichment=sum(
            group.leads for group in groups if group.accepted and group.enrichment is None
        ),
        cost_of_no_lead=costs.get(None, ZERO),
    )


def _tier(tier: Tier, everyone: Sequence[_Group], cost: Money) -> TierCounts:
    groups = [group for group in everyone if group.tier is tier]
    ready = sum(group.leads for group in groups if group.ready)
    enrichment = _tally((group.enrichment, group.leads) for group in groups)
    return TierCounts(
        tier=tier,
        total=sum(group.leads for group in groups),
        found=sum(group.leads for group in groups if group.found),
        accepted=sum(group.leads for group in groups if group.accepted),
        enriched=enrichment.get(EnrichmentStatus.ENRICHED, 0),
        partial=enrichment.get(EnrichmentStatus.PARTIAL, 0),
        ready=ready,
        score=ratio(sum(group.score for group in groups if group.ready), ready),
        cost=cost,
    )


def _tally(counted: Iterable[tuple[Word | None, int]]) -> dict[Word, int]:
    tally: Counter[Word] = Counter()
    for word, number in counted:
        if word:
            tally[word] += number
    return dict(tally)


def _the_one(wanted: str, digits: str, rows: Sequence[Row[Any]]) -> UUID:
    """A whole id before a name, a name before the beginning of an id."""
    whole = [row for row in rows if row.id.hex == digits]
    named = [row for row in rows if row.name == wanted]
    begun = rows if len(digits) >= SHORTEST_PREFIX else []
    for fitting in (whole, named, begun):
        if len(fitting) == 1:
            return UUID(str(fitting[0].id))
        if fitting:
            raise BadInput(
                f"{wanted!r} fits {len(fitting)} campaigns: {_listed(fitting)}. Give one of these ids."
            )
    raise UnknownCampaign(wanted)


def _listed(rows: Sequence[Row[Any]]) -> str:
    shown = [f"{row.id} ({row.name})" for row in rows[:MOST_SHOWN]]
    return ", ".join(shown + ["…"] * (len(rows) > MOST_SHOWN))


def _overview() -> Select[Any]:
    """Each campaign counted for itself, so that one alone is quick among many."""
    people, money = _people(), _money()
    return (
        select(
            campaigns.c.id,
            func.coalesce(campaigns.c.name, "").label("name"),
            func.coalesce(cast(campaigns.c.status, Text), "").label("status"),
            func.coalesce(campaigns.c.status_reason, "").label("reason"),
            *(people.c[count] for count in _COUNTED),
            money.c.spent,
            campaigns.c.created_at,
        )
        .select_from(campaigns)
        .join(people, true())
        .join(money, true())
        .order_by(campaigns.c.created_at.desc(), campaigns.c.id)
    )


def _people() -> LateralFromClause:
    return (
        select(
            func.count().label("leads"),
            func.count().filter(_FOUND).label("found"),
            func.count().filter(ACCEPTABLE).label("accepted"),
            func.count().filter(_ENRICHED).label("enriched"),
            func.count().filter(ACCEPTABLE, _ENRICHED).label("ready"),
        )
        .where(leads.c.campaign_id == campaigns.c.id, OURS)
        .lateral()
    )


def _money() -> LateralFromClause:
    booked = func.sum(provider_spend.c.cost_usd + provider_spend.c.unknown_usd)
    return (
        select(func.coalesce(booked, ZERO).label("spent"))
        .where(provider_spend.c.campaign_id == campaigns.c.id)
        .lateral()
    )
