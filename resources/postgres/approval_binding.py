"""What a request for approval is bound to: leads, spend, caps and report as they are at one moment."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Text, cast, func, literal, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncConnection

from phase3_core.approval_request import Binding
from phase3_core.report import report_hash
from phase3_core.tiers import Tier
from resources.postgres.lead_rows import OURS, READY
from resources.postgres.tables import booked, budgets, lead_tier, leads, provider_calls


async def binding_of(connection: AsyncConnection, campaign_id: UUID, summary: Mapping[str, Any]) -> Binding:
    """One statement, so that all of it is one snapshot."""
    snapshot = select(
        func.encode(func.sha256(func.convert_to(_roll(), "UTF8")), "hex").label("leads"),
        func.count().filter(READY, lead_tier == Tier.A.value).label("tier_a_ready"),
        func.count().filter(READY).label("ready"),
        _spent(campaign_id).label("spent"),
        _allowed(campaign_id).label("allowed"),
    ).where(leads.c.campaign_id == campaign_id, OURS)
    row = (await connection.execute(snapshot)).one()
    return Binding(row.leads, row.tier_a_ready, row.ready, row.spent, report_hash(summary), row.allowed)


def _roll() -> ColumnElement[str]:
    """Every lead with whatever makes it ready or not, one to a line."""
    facts = (leads.c.id, lead_tier, leads.c.email, leads.c.email_status, leads.c.enrichment_status)
    line = func.concat_ws("|", *(func.coalesce(cast(fact, Text), "") for fact in facts))
    return func.coalesce(func.string_agg(line, aggregate_order_by(literal("\n"), leads.c.id)), "")


def _allowed(campaign_id: UUID) -> ColumnElement[str]:
    """As the report shows them beside the spend: the caps that hold, in the order of their names."""
    name = func.coalesce(budgets.c.agent, func.concat("tier ", budgets.c.tier))
    cap = func.concat_ws(" ", name, cast(budgets.c.cap_usd, Text))
    caps = func.coalesce(func.string_agg(cap, aggregate_order_by(literal(", "), budgets.c.scope)), "")
    return select(caps).where(budgets.c.campaign_id == campaign_id).scalar_subquery()


def _spent(campaign_id: UUID) -> ColumnElement[Any]:
    spent = func.coalesce(func.sum(booked), 0)
    return select(spent).where(provider_calls.c.campaign_id == campaign_id).scalar_subquery()
