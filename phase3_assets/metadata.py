"""What a materialization shows: plain numbers, so that the UI plots them, and one table of providers."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import dagster as dg

from phase3_core.ports import TierCounts
from phase3_core.statuses import Agent
from phase3_core.summary import AgentSummary, find_rate, found, provider_table, valid_rate, verdict_counts

Metadata = dict[str, Any]


def of_agent(summary: AgentSummary) -> Metadata:
    """Counts, USD and seconds of one agent; `cost_usd` is exact in the ledger, here it is for plots."""
    return {
        "campaign": summary.campaign_name,
        "cost_usd": float(summary.cost),
        "duration_s": round(summary.duration_s, 3),
        "leads_worked_on": summary.worked_on,
        "resumed_from_runs": summary.resumed_from,
        "providers": _providers(summary),
        "skipped": dg.MetadataValue.md(_skipped(summary)),
        "waiting": dg.MetadataValue.md(_waiting(summary)),
    }


def of_emails(summary: AgentSummary) -> Metadata:
    counts = {f"leads_{status}": count for status, count in verdict_counts(summary.counts).items()}
    return of_agent(summary) | {
        "find_rate": find_rate(summary.counts),
        "valid_rate": valid_rate(summary.counts),
        "emails_found": found(summary.counts),
        "emails_verified": sum(tier.accepted for tier in summary.counts.tiers),
        "leads_waiting_for_a_verifier": summary.counts.pending_verification,
        **counts,
    }


def of_enrichment(summary: AgentSummary) -> Metadata:
    statuses = {f"leads_{status}": count for status, count in summary.counts.by_enrichment_status.items()}
    return of_agent(summary) | {
        "leads_enriched": sum(tier.enriched for tier in summary.counts.tiers),
        **statuses,
    }


def of_report(summary: AgentSummary, report: Mapping[str, Any], workbook: str) -> Metadata:
    ready = {f"tier_{tier.tier.lower()}_ready": tier.ready for tier in summary.counts.tiers}
    return of_agent(summary) | {
        "cost_usd": float(report["costs"]["total"]),
        "cost_per_ready_lead_usd": float(report["cost_per_ready_usd"]),
        "total_ready": report["funnel"]["ready"],
        **ready,
        **{f"quality_{name}": score for name, score in report["quality"].items()},
        "report": dg.MetadataValue.json(dict(report)),
        "workbook": dg.MetadataValue.path(workbook),
    }


_OF_TIERS = {  # what each agent has a hand in; later agents must not make its data look new
    Agent.EMAIL_VERIFICATION: ("tier", "total", "found", "accepted"),
    Agent.ENRICHMENT: ("tier", "total", "accepted", "enriched", "partial"),
    Agent.FINALIZER: TierCounts.__slots__,
}


def data_version(summary: AgentSummary) -> dg.DataVersion:
    """Changes when what the agent did changes: counts of leads and its calls in the ledger."""
    told = summary.as_json()
    tiers = [_tier_facts(summary.agent, tier) for tier in summary.counts.tiers]
    facts = json.dumps([told["by_status"], told["providers"], tiers], default=str)
    return dg.DataVersion(hashlib.sha256(facts.encode()).hexdigest()[:20])


def _tier_facts(agent: Agent, tier: TierCounts) -> list[Any]:
    return [getattr(tier, name) for name in _OF_TIERS[agent]]


def _providers(summary: AgentSummary) -> dg.TableMetadataValue:
    rows = [row for row in provider_table(summary.spend) if row["agent"] == summary.agent]
    columns = [
        dg.TableColumn(name, "int" if name in {"calls", "hits", "misses", "errors"} else "string")
        for name in ("provider", "calls", "hits", "misses", "errors", "cost_usd", "unknown_usd")
    ]
    records = [dg.TableRecord({column.name: row[column.name] for column in columns}) for row in rows]
    return dg.MetadataValue.table(records, dg.TableSchema(columns))


def _skipped(summary: AgentSummary) -> str:
    return "\n".join(f"- **{row.provider}**: {row.why}" for row in summary.skipped) or "none"


def _waiting(summary: AgentSummary) -> str:
    return "\n".join(f"- {one}" for one in summary.waiting) or "none"
