"""`phase3 trace LEAD`: every call of a lead, and why each was the next step."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from rich.table import Table

from phase3_core.errors import NothingUsable
from phase3_core.leads import Lead
from phase3_core.money import ZERO, total
from phase3_core.ports import Books, Run
from phase3_core.statuses import ACCEPTED, Agent
from phase3_core.trace import LedgerCall, TracedStep, email_steps, enrichment_steps
from phase3_core.verify import plan_for
from phase3_core.waterfall import MOST_LEADERS
from resources.clock import SystemClock
from resources.postgres.database import PostgresBooks, PostgresDatabase
from resources.postgres.dossier import Dossier, dossier, lead_named
from resources.postgres.history import LedgerHistory, calls_for, providers_asked
from resources.providers.catalogue import CATALOGUE
from resources.providers.open_providers import OpenProviders
from resources.providers.source import VendorSource
from resources.providers.website import SANDBOX_WEB
from resources.settings import Settings, read_settings, settings_path

NOT_NEEDED = "not needed: the ledger answers"
NOBODY = "nobody"  # no site is read, so nobody has to find us


def trace_lead(url: str, who: str) -> dict[str, Any]:
    """`who`: a lead's id or its address; raises BadInput for nobody or several."""

    async def tracing() -> dict[str, Any]:
        async with PostgresDatabase(url).reading() as books:
            lead_id = await lead_named(books.engine, who)
            return await traced(books, lead_id, read_settings(settings_path()), os.environ)

    return asyncio.run(tracing())


async def traced(
    books: PostgresBooks, lead_id: UUID, settings: Settings, environment: Mapping[str, str]
) -> dict[str, Any]:
    """The trace as JSON. `costs` is added up from the calls in it, whoever of its steps they belong to."""
    about = await dossier(books.engine, books.leads, lead_id)
    steps = [] if about.suppressed else await _steps(books, about, settings, environment)
    explained = {call.key for step in steps for call in step.calls}
    bought = await calls_for(books.engine, lead_id)
    return {
        "lead": about.as_json(),
        "steps": [_step_row(step, lead_id) for step in steps],
        "other_calls": [_call_row(call, lead_id) for call in bought if call.key not in explained],
        "costs": _costs(bought, lead_id),
    }


async def _steps(
    books: PostgresBooks, about: Dossier, settings: Settings, environment: Mapping[str, str]
) -> list[TracedStep]:
    history = LedgerHistory(books.engine, about.finished_at)
    known = _as_then(environment, await providers_asked(books.engine))
    async with _replaying(books, about, history, settings.with_contact(NOBODY), known) as providers:
        try:
            plan = plan_for(providers, settings.policy())
        except NothingUsable:
            return []
        leaders = await _leaders(books, about)
        steps = await email_steps(about.delivered, leaders, providers, plan, history.taken)
        if about.lead.email_status in ACCEPTED:
            profile = settings.budgets.lead_caps().profile(about.lead.tier)
            steps += await enrichment_steps(about.lead, providers, profile, history.taken)
    return steps


def _as_then(environment: Mapping[str, str], asked: Any) -> dict[str, str]:
    """Whoever has a call in the ledger had a key then; nobody else had."""
    secrets = {name for row in CATALOGUE for name in row.spec.secrets}
    kept = {name: value for name, value in environment.items() if name not in {*secrets, SANDBOX_WEB}}
    used = [row for row in CATALOGUE if row.name in asked]
    return kept | {name: NOT_NEEDED for row in used for name in row.spec.secrets}


@asynccontextmanager
async def _replaying(
    books: PostgresBooks,
    about: Dossier,
    history: LedgerHistory,
    settings: Settings,
    environment: Mapping[str, str],
) -> AsyncIterator[OpenProviders]:
    @asynccontextmanager
    async def opened(books: Books, run: Run) -> AsyncIterator[LedgerHistory]:
        del books, run
        yield history

    run = Run("trace", about.lead.campaign_id, Agent.FINALIZER)
    source = VendorSource(settings, environment, opened, SystemClock())
    async with source.open(run, books) as providers:
        for one in providers.all:
            one.client.bulk = False  # nothing is gathered: nothing is asked
        yield providers


async def _leaders(books: PostgresBooks, about: Dossier) -> list[Lead]:
    """The first leads of the company, as far as they went before this one."""
    lead = about.delivered
    if not lead.company_domain:
        return []
    first = await books.leads.finished_leads(lead.campaign_id, [lead.company_domain], MOST_LEADERS)
    ids = [leader.id for leader in first]
    return first[: ids.index(lead.id)] if lead.id in ids else first


def _step_row(step: TracedStep, lead_id: UUID) -> dict[str, Any]:
    return {
        "agent": step.agent.value,
        "step": step.step,
        "why": step.why,
        "outcome": step.outcome,
        "calls": [_call_row(call, lead_id) for call in step.calls],
    }


def _call_row(call: LedgerCall, lead_id: UUID) -> dict[str, Any]:
    return {
        "at": call.asked_at.isoformat(),
        "provider": call.provider,
        "operation": call.operation,
        "outcome": call.outcome,
        "cost_usd": str(call.cost if call.lead_id == lead_id else ZERO),
        "unknown_usd": str(call.unknown if call.lead_id == lead_id else ZERO),
        "paid_by": str(call.lead_id) if call.lead_id else None,
        "reused": call.lead_id != lead_id,
        "attempts": call.attempts,
        "took_ms": call.took_ms,
        "error": call.error,
    }


def _costs(bought: list[LedgerCall], lead_id: UUID) -> dict[str, str]:
    of = {agent: [call for call in bought if call.agent == agent] for agent in Agent}
    usd = {agent: total(call.booked_for(lead_id) for call in calls) for agent, calls in of.items()}
    return {
        "email_usd": str(usd[Agent.EMAIL_VERIFICATION]),
        "enrichment_usd": str(usd[Agent.ENRICHMENT]),
        "total_usd": str(total(usd.values())),
    }


def trace_table(trace: Mapping[str, Any]) -> Table:
    lead = trace["lead"]
    address = "suppressed" if lead["suppressed"] else lead["email"] or "no address"
    title = f"{lead['name']}, {address}: ${trace['costs']['total_usd']}"
    table = Table("step", "came of it", "USD", "when", "why", title=title)
    for step in trace["steps"]:
        usd = [call["cost_usd"] if not call["reused"] else "reused" for call in step["calls"]]
        when = [call["at"][:19] for call in step["calls"]]
        table.add_row(step["step"], step["outcome"], "\n".join(usd), "\n".join(when), step["why"])
    for call in trace["other_calls"]:
        table.add_row(
            f"{call['provider']} {call['operation']}", call["outcome"], call["cost_usd"], call["at"][:19], ""
        )
    return table
