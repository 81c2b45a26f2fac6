"""`phase3 trace LEAD`: every call of a lead, and why each was the next step."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from rich.table import Table

from phase3_assets.replaying import Replay
from phase3_core.money import ZERO, total
from phase3_core.statuses import Agent
from phase3_core.trace import LedgerCall, TracedStep
from resources.postgres.database import PostgresBooks, PostgresDatabase
from resources.postgres.dossier import dossier, lead_named
from resources.postgres.history import calls_for
from resources.settings import Settings, read_settings, settings_path

WHY_OTHER = "no step under today's settings"


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
    replay = Replay(books, about, settings, environment)
    bought = await calls_for(books.engine, lead_id)
    steps = [] if about.suppressed else await replay.last_turns()
    earlier = [] if about.suppressed else await replay.earlier_turns(_beside(bought, steps))
    return {
        "lead": about.as_json(),
        "steps": [_step_row(step, lead_id) for step in steps],
        "earlier_steps": [_step_row(step, lead_id) for step in earlier],
        "other_calls": [_call_row(call, lead_id) for call in _beside(bought, [*steps, *earlier])],
        "costs": _costs(bought, lead_id),
    }


def _beside(bought: Sequence[LedgerCall], steps: Sequence[TracedStep]) -> list[LedgerCall]:
    """Calls that none of these steps took."""
    taken = {call.key for step in steps for call in step.calls}
    return [call for call in bought if call.key not in taken]


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
        table.add_row(*_step_cells(step))
    for step in trace["earlier_steps"]:
        table.add_row(*_step_cells(step, "earlier: "))
    for call in trace["other_calls"]:
        asked = f"{call['provider']} {call['operation']}"
        table.add_row(asked, call["outcome"], call["cost_usd"], call["at"][:19], WHY_OTHER)
    return table


def _step_cells(step: Mapping[str, Any], when: str = "") -> tuple[str, ...]:
    usd = [call["cost_usd"] if not call["reused"] else "reused" for call in step["calls"]]
    at = [call["at"][:19] for call in step["calls"]]
    return f"{when}{step['step']}", step["outcome"], "\n".join(usd), "\n".join(at), step["why"]
