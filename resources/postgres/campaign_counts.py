"""What a campaign's leads came to, by tier and status, and what it spent, by provider."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Row, Select, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from phase3_core.counts import CampaignCounts, ProviderSpend, TierCounts
from phase3_core.money import ZERO, Money, ratio
from phase3_core.statuses import ACCEPTED, Agent, EmailStatus, EnrichmentStatus
from phase3_core.tiers import Tier
from resources.postgres.lead_rows import ENRICHED, OURS, SUPPRESSED, VERIFIED
from resources.postgres.tables import booked, lead_rank, lead_tier, leads, provider_calls

Word = TypeVar("Word", bound=str)

_FAILURES = ("error", "refused", "not_sent", "lost")


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


async def counts_of(connection: AsyncConnection, campaign_id: UUID) -> CampaignCounts:
    groups = [_group(row) for row in await connection.execute(_groups(campaign_id))]
    costs = {row.tier: row.usd for row in await connection.execute(_tier_costs(campaign_id))}
    suppressed = await connection.scalar(_suppressed(campaign_id))
    return _counts(groups, costs, suppressed or 0)


async def spend_of(connection: AsyncConnection, campaign_id: UUID) -> list[ProviderSpend]:
    rows = (await connection.execute(_spend(campaign_id))).mappings()
    return [ProviderSpend(**{**row, "agent": Agent(row["agent"])}) for row in rows]


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
        select(tier.label("tier"), func.sum(booked).label("usd"))
        .join_from(provider_calls, leads, provider_calls.c.lead_id == leads.c.id, isouter=True)
        .where(provider_calls.c.campaign_id == campaign_id, provider_calls.c.agent.in_(Agent))
        .group_by(tier)
    )


def _counts(groups: Sequence[_Group], costs: Mapping[str | None, Money], suppressed: int) -> CampaignCounts:
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
        suppressed=suppressed,
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
