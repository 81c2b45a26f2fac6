"""The forecast of one campaign, from its own leads, the newest campaigns' record, and whom it may ask."""

import asyncio
from datetime import datetime
from typing import Protocol
from uuid import UUID

from phase3_core.circumstances import Circumstances, vendor
from phase3_core.forecast import Forecast, forecast
from phase3_core.plan import Plan
from phase3_core.planner import Bench, model_of
from phase3_core.policy import LeadCaps
from phase3_core.ports.books import Books
from phase3_core.ports.providers import Providers
from phase3_core.record import Record, Roles


class Estimates(Protocol):
    """Foresees outside of any run, with whom a run would ask."""

    async def of(self, campaign_id: UUID, books: Books) -> Forecast:
        """Nobody is asked; raises NothingUsable, BadInput."""
        ...


async def foresee(
    campaign_id: UUID, books: Books, providers: Providers, plan: Plan, caps: LeadCaps, now: datetime
) -> Forecast:
    """Of what is left to do. `caps`: USD that one lead may cost. Nothing is asked, nothing written."""
    groups = await books.track_record.groups(campaign_id, roles(providers).finders)
    record = Record()
    if any(group.to_verify or group.to_enrich for group in groups):
        record = await books.track_record.record(campaign_id, roles(providers))
    around = await circumstances(campaign_id, books, providers, now)
    model = model_of(bench_of(providers, plan, caps), groups, record)
    return await asyncio.to_thread(
        forecast, model, around, record.leads
    )  # a second where several days are short


async def circumstances(
    campaign_id: UUID, books: Books, providers: Providers, now: datetime
) -> Circumstances:
    vendors = sorted({vendor(name) for name in providers.allowed})
    return Circumstances(
        now=now,
        allowed=providers.allowed,
        used_today=await books.track_record.used_today(),
        budgets=await books.budgets.of(campaign_id),
        took_ms=await books.track_record.took_ms(vendors),
        credit=await books.track_record.credit(),
    )


def roles(providers: Providers) -> Roles:
    """Who of the ledger's providers does what."""
    finders = frozenset(finder.name for finder in providers.finders)
    verifier, second = [*(one.name for one in providers.verifiers), "", ""][:2]
    return Roles(finders, verifier, second)


def bench_of(providers: Providers, plan: Plan, caps: LeadCaps) -> Bench:
    """Whom the plan may ask. `caps`: USD that one lead may cost."""
    known = roles(providers)
    operations = {name: allowed.operations for name, allowed in providers.allowed.items()}
    return Bench(plan, known.verifier, known.second, providers.enrichers, operations, caps)
