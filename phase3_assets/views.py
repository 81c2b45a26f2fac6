"""What the command line shows people; the same data as JSON for everyone else."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from rich.table import Table

from phase3_assets.looking import look
from phase3_core.saga import Step
from phase3_core.statuses import DECIDED, shown
from phase3_core.waiting import Waiting, from_json
from resources.postgres.database import PostgresBooks

UNTRIED = "no run is at work, and nobody has tried yet"


def campaign_rows(url: str, name: str | None) -> list[dict[str, Any]]:
    """One object per campaign, newest first; raises UnknownCampaign for a name that is none."""
    return look(url, lambda books: _rows(books, name))


async def _rows(books: PostgresBooks, name: str | None) -> list[dict[str, Any]]:
    rows = await books.campaigns.overview(await books.campaigns.campaign_named(name) if name else None)
    waiting = await books.checkpoints.all_waiting()
    budgets = await books.budgets.of_all()
    left = await _left_open(books)
    return [
        {
            "id": str(row.id),
            "name": row.name,
            "status": shown(row.status, row.reason),
            "reason": row.reason,
            "compensating": [_compensation(step) for step in left if step.campaign_id == row.id],
            "leads": row.leads,
            "verified": row.accepted,
            "enriched": row.enriched,
            "ready": row.ready,
            "spent_usd": str(row.spent),
            "created_at": row.created_at.isoformat(),
            "waiting": [_waiting(one, row.status) for one in waiting.get(row.id, ())],
            "budgets": [one.as_json() for one in budgets.get(row.id, ())],
        }
        for row in rows
    ]


async def _left_open(books: PostgresBooks) -> list[Step]:
    """What could not be taken back, and what nobody has tried since its run died; not what a run works on."""
    at_work = await books.at_work()
    steps = await books.saga.open_steps()
    return [step for step in steps if step.attempts or step.campaign_id not in at_work]


def _waiting(one: Waiting, status: str) -> dict[str, Any]:
    """A decision is about the leads as they are: nobody is asked any more for those that wait."""
    return {**one.as_json(), "asked_again": status not in DECIDED}


def _compensation(step: Step) -> dict[str, Any]:
    """One that is not done yet; `age_s` in seconds since the run took the step."""
    return {
        "step": step.kind.value,
        "run": step.run_id,
        "state": step.state.value,
        "age_s": round(step.age_s),
        "attempts": step.attempts,
        "error": step.error,
    }


def troubles_of(row: Mapping[str, Any]) -> list[str]:
    """Why it stands as it does, who waits for whom, and what could not be taken back."""
    stuck = (
        f"{one['step']} not taken back for {timedelta(seconds=one['age_s'])}: {one['error'] or UNTRIED}"
        for one in row["compensating"]
    )
    waiting = (_who_waits(one) for one in row["waiting"])
    return [told for told in (row["reason"], *waiting, *stuck) if told]


def _who_waits(told: Mapping[str, Any]) -> str:
    left = "" if told["asked_again"] else ": decided without them, nobody is asked again"
    return f"{from_json(told)}{left}"


def _why(row: Mapping[str, Any]) -> str:
    near = (
        f"{one['of']}: {one['spent_usd']} of {one['cap_usd']} USD spent"
        for one in row["budgets"]
        if one["alerted"]
    )
    return "; ".join([*near, *troubles_of(row)])


def campaign_table(rows: list[dict[str, Any]]) -> Table:
    table = Table("campaign", "name", "status", "leads", "verified", "enriched", "ready", "spent USD", "why")
    for row in rows:
        table.add_row(
            row["id"][:8],
            row["name"],
            row["status"],
            *(f"{row[count]:,}" for count in ("leads", "verified", "enriched", "ready")),
            row["spent_usd"],
            _why(row),
        )
    return table


def budget_table(rows: list[dict[str, Any]]) -> Table:
    table = Table("budget", "cap USD", "spent USD", "reserved USD", "")
    for row in rows:
        told = "reached" if row["reached"] else "nearly spent" if row["alerted"] else ""
        table.add_row(row["of"], row["cap_usd"], row["spent_usd"], row["reserved_usd"], told)
    return table


def result_table(result: dict[str, Any]) -> Table:
    table = Table("", result["campaign_name"], title=f"Phase 3: {result['status']}")
    for name, value in result["result"].items():
        table.add_row(name.replace("_", " "), f"{value:,}")
    for name, value in result["costs"].items():
        table.add_row(f"cost of {name.replace('_', ' ')}, USD", f"{value:,.6f}")
    for agent in result["agents_run"]:
        table.add_row(agent["agent"].replace("_", " "), f"{agent['status']}, {agent['duration_seconds']:,} s")
    table.add_row("approval", result["approval_status"].replace("_", " "))
    return table
