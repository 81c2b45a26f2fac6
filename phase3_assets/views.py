"""What the command line shows people; the same data as JSON for everyone else."""

from typing import Any

from rich.table import Table

from phase3_assets.looking import look
from phase3_core.waiting import from_json


def campaign_rows(url: str, name: str | None) -> list[dict[str, Any]]:
    """One object per campaign, newest first; raises UnknownCampaign for a name that is none."""
    wanted = look(url, lambda books: books.campaigns.campaign_named(name)) if name else None
    rows = look(url, lambda books: books.campaigns.overview())
    waiting = look(url, lambda books: books.checkpoints.all_waiting())
    return [
        {
            "id": str(row.id),
            "name": row.name,
            "status": row.status,
            "reason": row.reason,
            "leads": row.leads,
            "verified": row.accepted,
            "enriched": row.enriched,
            "ready": row.ready,
            "spent_usd": str(row.spent),
            "created_at": row.created_at.isoformat(),
            "waiting": [one.as_json() for one in waiting.get(row.id, ())],
        }
        for row in rows
        if wanted in {None, row.id}
    ]


def campaign_table(rows: list[dict[str, Any]]) -> Table:
    table = Table("campaign", "name", "status", "leads", "verified", "enriched", "ready", "spent USD", "why")
    for row in rows:
        table.add_row(
            row["id"][:8],
            row["name"],
            row["status"],
            *(f"{row[count]:,}" for count in ("leads", "verified", "enriched", "ready")),
            row["spent_usd"],
            "; ".join(filter(None, (row["reason"], *(str(from_json(one)) for one in row["waiting"])))),
        )
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
