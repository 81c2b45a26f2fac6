"""What the newest campaigns have shown, and how a campaign's leads are made up: what an estimate rests on.

Only the newest campaigns are looked at, and of those a sample of leads, whatever the ledger's size: all is
found by the indexes on campaigns and leads.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, CTE, Float, Integer, Row, Select, Text, case, cast, func, select, true
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from phase3_core.money import ZERO, usd
from phase3_core.record import LAST_PLACE, Count, Credit, Group, Kept, Record, Roles, Walk, walked
from phase3_core.statuses import Agent
from phase3_core.tiers import Tier
from resources.postgres.audit import Actor
from resources.postgres.lead_rows import ACCEPTABLE, BROUGHT, ENRICHED, OURS, VERIFIED
from resources.postgres.lease import Begin
from resources.postgres.outage import Outage, repeatable
from resources.postgres.rate_limits import in_use
from resources.postgres.tables import (
    balance_readings,
    campaign_audit_log,
    campaigns,
    lead_domain,
    lead_rank,
    lead_tier,
    leads,
    provider_calls,
    provider_spend,
)

NEWEST_CAMPAIGNS = 5
MOST_LEADS = 4_000
NEWEST_CALLS = 2_000  # of a provider
KEPT = "order_kept"  # a line of the audit log

_CALLS = provider_calls.c
NO_HIT = ("miss", "error", "unknown")
_OUTCOME = case((_CALLS.state == "settled", _CALLS.outcome), else_="unknown")


class PostgresTrackRecord:
    def __init__(self, engine: AsyncEngine, begin: Begin, outage: Outage, actor: Actor) -> None:
        self._engine = engine
        self._begin = begin
        self.outage = outage
        self._actor = actor

    @repeatable
    async def groups(self, campaign_id: UUID, finders: Collection[str]) -> list[Group]:
        async with self._engine.connect() as connection:
            return [_group(row) for row in await connection.execute(_groups(campaign_id, finders))]

    @repeatable
    async def record(self, campaign_id: UUID, roles: Roles) -> Record:
        """Of the campaign itself, as far as it went, and of those that were finished before it."""
        async with self._engine.connect() as connection:
            sampled = _sampled(campaign_id)
            record = walked([_walk(row) for row in await connection.execute(_walks(sampled))], roles)
            return await _with_enrichment(connection, sampled, record)

    @repeatable
    async def kept(self, campaign_id: UUID) -> Kept | None:
        """The first ones stand."""
        line = campaign_audit_log.c
        kept = select(line.details).where(line.campaign_id == campaign_id, line.action == KEPT)
        async with self._engine.connect() as connection:
            told = await connection.scalar(kept.order_by(line.created_at).limit(1))
        return None if told is None else Kept.from_json(told)

    @repeatable
    async def keep(self, campaign_id: UUID, kept: Kept) -> None:
        async with self._begin() as connection:
            await connection.execute(self._actor.line(campaign_id, KEPT, kept.as_json()))

    @repeatable
    async def took_ms(self, providers: Sequence[str]) -> dict[str, int]:
        """What was asked in a task took as long as the task, which says nothing of single calls."""
        async with self._engine.connect() as connection:
            took = await connection.execute(_took(providers))
            return {row.provider: row.took_ms for row in took if row.took_ms is not None}

    @repeatable
    async def billed(self, providers: Sequence[str]) -> dict[str, Count]:
        async with self._engine.connect() as connection:
            rows = await connection.execute(_billed(providers))
            return {row.provider: Count(row.billed, row.answers) for row in rows}

    @repeatable
    async def credit(self) -> dict[str, Credit]:
        async with self._engine.connect() as connection:
            rows = await connection.execute(_credit())
            return {row.provider: Credit(usd(max(ZERO, row.left)), row.taken_at) for row in rows}

    @repeatable
    async def used_today(self) -> dict[str, int]:
        return {name: use.used_today for name, use in (await in_use(self._engine)).items()}


def _place(*partition: Any) -> Any:
    """Among the leads of its company, in the order of work; 0 where it has no company."""
    in_order = (lead_tier, lead_rank, leads.c.id)
    place = func.row_number().over(partition_by=partition, order_by=in_order)
    return case((lead_domain == "", 0), else_=func.least(place, LAST_PLACE))


def _colleagues() -> Any:
    """Leads of its company, itself included."""
    return case((lead_domain == "", 1), else_=func.count().over(partition_by=lead_domain))


def _group(row: Row[Any]) -> Group:
    missed = frozenset(row.missed or ())
    return Group(
        Tier(row.tier),
        row.place,
        row.delivered,
        row.to_verify,
        row.to_enrich,
        row.firsts,
        row.colleagues,
        missed,
    )


def _asked_in_vain(finders: Collection[str]) -> Any:
    """Finders that brought a lead without a verdict no address, or none that was accepted."""
    named = aggregate_order_by(_CALLS.provider.distinct(), _CALLS.provider)
    asked = (
        select(func.array_agg(named))
        .where(
            _CALLS.lead_id == leads.c.id,
            _CALLS.agent == Agent.EMAIL_VERIFICATION,
            _CALLS.provider.in_(finders),
            _OUTCOME.in_(("hit", "miss")),
        )
        .scalar_subquery()
    )
    return case((~VERIFIED, asked))


def _groups(campaign_id: UUID, finders: Collection[str]) -> Select[Any]:
    pending = ACCEPTABLE & ~ENRICHED
    each = (
        select(
            lead_tier.label("tier"),
            _place(lead_domain).label("place"),
            (BROUGHT != "").label("delivered"),
            (~VERIFIED).label("to_verify"),
            pending.label("to_enrich"),
            (pending & (_place(lead_domain, ACCEPTABLE) <= 1)).label("firsts"),
            _colleagues().label("colleagues"),
            _asked_in_vain(finders).label("missed"),
        )
        .where(leads.c.campaign_id == campaign_id, OURS)
        .subquery()
    )
    counts = (_count_of(each.c[name]).label(name) for name in ("to_verify", "to_enrich", "firsts"))
    kind = (each.c.tier, each.c.place, each.c.delivered, each.c.missed)
    colleagues = cast(func.avg(each.c.colleagues), Float).label("colleagues")
    return select(*kind, *counts, colleagues).group_by(*kind).order_by(*kind)


def _count_of(condition: Any) -> Any:
    return func.count().filter(condition)


def _sampled(campaign_id: UUID) -> CTE:
    """Leads with a verdict, picked by a digest, so that every look sees the same ones."""
    finished = campaigns.c.email_verification_completed_at
    newest = (
        select(campaigns.c.id)
        .where((campaigns.c.id == campaign_id) | finished.is_not(None))
        .order_by((campaigns.c.id == campaign_id).desc(), finished.desc())
        .limit(NEWEST_CAMPAIGNS)
    )
    placed = (
        select(
            leads.c.id,
            lead_tier.label("tier"),
            _place(leads.c.campaign_id, lead_domain).label("place"),
            (BROUGHT != "").label("delivered"),
            func.coalesce(cast(leads.c.email_provider, Text), "").label("source"),
            ACCEPTABLE.label("accepted"),
            ENRICHED.label("enriched"),
            (ENRICHED & (_place(leads.c.campaign_id, lead_domain, ENRICHED) <= 1)).label("first"),
            VERIFIED.label("verified"),
        )
        .where(leads.c.campaign_id.in_(newest), OURS)
        .subquery()
    )
    by_digest = func.hashtext(cast(placed.c.id, Text))
    return select(placed).where(placed.c.verified).order_by(by_digest, placed.c.id).limit(MOST_LEADS).cte()


def _walks(sampled: CTE) -> Select[Any]:
    """How many leads have the same calls in the same order, with the same end."""
    in_order = (func.coalesce(_CALLS.asked_at, _CALLS.created_at), _CALLS.key)
    calls = (
        select(
            func.array_agg(aggregate_order_by(_CALLS.provider, *in_order)).label("providers"),
            func.array_agg(aggregate_order_by(_OUTCOME, *in_order)).label("outcomes"),
        )
        .where(_CALLS.lead_id == sampled.c.id, _CALLS.agent == Agent.EMAIL_VERIFICATION)
        .lateral()
    )
    kind = (sampled.c.place, sampled.c.delivered, sampled.c.source, sampled.c.accepted)
    each = (*kind, calls.c.providers, calls.c.outcomes)
    return select(*each, func.count().label("leads")).join_from(sampled, calls, true()).group_by(*each)


def _walk(row: Row[Any]) -> Walk:
    calls = tuple(zip(row.providers or (), row.outcomes or (), strict=True))
    return Walk(row.place, row.delivered, row.source, row.accepted, calls, row.leads)


async def _with_enrichment(connection: AsyncConnection, sampled: CTE, record: Record) -> Record:
    enriched, companies = await _enriched(connection, sampled)
    bought = {
        (Tier(row.tier), f"{row.provider}/{row.operation}"): Count(row.hits, row.calls)
        for row in await connection.execute(_bought(sampled))
    }
    return replace(record, enriched=enriched, companies=companies, bought=bought)


async def _enriched(connection: AsyncConnection, sampled: CTE) -> tuple[dict[Tier, int], dict[Tier, int]]:
    """By tier: leads, and those of them with whom their company's questions began."""
    rows: Sequence[Row[Any]] = (
        await connection.execute(
            select(sampled.c.tier, func.count(), _count_of(sampled.c.first))
            .where(sampled.c.enriched)
            .group_by(sampled.c.tier)
        )
    ).all()
    return {Tier(row[0]): row[1] for row in rows}, {Tier(row[0]): row[2] for row in rows}


def _bought(sampled: CTE) -> Select[Any]:
    """Counted lead by lead, so that it goes by the index: a join would read the whole ledger at once."""
    of, hit = (_CALLS.provider, _CALLS.operation), func.coalesce(_OUTCOME, "").not_in(NO_HIT)
    each = (
        select(*of, func.count().label("calls"), _count_of(hit).label("hits"))
        .where(_CALLS.lead_id == sampled.c.id, _CALLS.agent == Agent.ENRICHMENT)
        .group_by(*of)
        .lateral()
    )
    kind = (sampled.c.tier, each.c.provider, each.c.operation)
    sums = (cast(func.sum(each.c[name]), Integer).label(name) for name in ("calls", "hits"))
    return select(*kind, *sums).join_from(sampled, each, true()).where(sampled.c.enriched).group_by(*kind)


def _credit() -> Select[Any]:
    """By the newest reading of each vendor, in whichever of its accounts."""
    read = balance_readings.c
    newest = select(balance_readings).distinct(read.provider).order_by(read.provider, read.taken_at.desc())
    last = newest.subquery().c
    booked = select(func.sum(provider_spend.c.cost_usd)).where(provider_spend.c.provider == last.provider)
    since = func.coalesce(booked.scalar_subquery(), 0) - last.booked_usd
    return select(last.provider, last.taken_at, (last.credits * last.price_usd - since).label("left"))


def _took(providers: Sequence[str]) -> Select[Any]:
    asked, newest = _newest_calls(providers, _CALLS.job_id, _CALLS.response_time_ms)
    usual = func.percentile_disc(0.5).within_group(newest.c.response_time_ms).label("took_ms")
    each = select(asked.c.provider, usual).join_from(asked, newest, true())
    return each.where(newest.c.job_id.is_(None)).group_by(asked.c.provider)


def _billed(providers: Sequence[str]) -> Select[Any]:
    """Whose newest calls were answered; what is in doubt tells nothing."""
    asked, newest = _newest_calls(providers, _OUTCOME.label("outcome"), _CALLS.cost_usd)
    billed = _count_of(newest.c.cost_usd > 0).label("billed")
    each = select(asked.c.provider, billed, func.count().label("answers")).join_from(asked, newest, true())
    return each.where(newest.c.outcome.in_(("hit", "miss"))).group_by(asked.c.provider)


def _newest_calls(providers: Sequence[str], *columns: Any) -> tuple[Any, Any]:
    """The providers, and for each of them these columns of its newest calls."""
    asked = func.unnest(cast(providers, ARRAY(Text))).table_valued("provider").render_derived()
    newest = (
        select(*columns)
        .where(_CALLS.provider == asked.c.provider, _CALLS.day.is_not(None))
        .order_by(_CALLS.day.desc())
        .limit(NEWEST_CALLS)
        .lateral()
    )
    return asked, newest
