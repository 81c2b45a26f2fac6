"""What a materialization shows: plain numbers, so that the UI plots them, and the report."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import dagster as dg

from phase3_core.counts import TierCounts
from phase3_core.forecast import Forecast
from phase3_core.policy import Policy
from phase3_core.statuses import Agent
from phase3_core.summary import AgentSummary, find_rate, found, provider_table, valid_rate, verdict_counts
from resources.exports.markdown import report_as_markdown
from resources.exports.neutral import markdown_text

Metadata = dict[str, Any]

ROW_COUNT = "dagster/row_count"
ESTIMATE = "estimate"
MOST_ROWS = 50  # a table is fetched with every list of materializations


def of_agent(summary: AgentSummary) -> Metadata:
    """Counts, USD and seconds of one agent; `cost_usd` is exact in the ledger, here it is for plots."""
    return {
        "campaign": summary.campaign_name,
        "cost_usd": float(summary.cost),
        "duration_s": round(summary.duration_s, 3),
        "leads_worked_on": summary.worked_on,
        "resumed_from_runs": summary.resumed_from,
        "providers": _providers(
            [row for row in provider_table(summary.spend) if row["agent"] == summary.agent]
        ),
        "skipped": dg.MetadataValue.md(_skipped(summary)),
        "waiting": dg.MetadataValue.md(_waiting(summary)),
        "leads_suppressed": summary.counts.suppressed,
    }


def of_emails(summary: AgentSummary) -> Metadata:
    counts = {f"leads_{status}": count for status, count in verdict_counts(summary.counts).items()}
    return of_agent(summary) | {
        ROW_COUNT: sum(tier.total for tier in summary.counts.tiers),
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
        ROW_COUNT: sum(summary.counts.by_enrichment_status.values()),
        "leads_enriched": sum(tier.enriched for tier in summary.counts.tiers),
        **statuses,
    }


def of_forecast(forecast: Forecast) -> Metadata:
    """What is expected of the campaign, as known before the first paid call of a run."""
    found, cost = forecast.accepted.as_counts(), forecast.cost
    columns = ("agent", "provider", "calls", "hits", "cost_usd", "low_usd", "high_usd", "days")
    rows = [one.as_json() for one in forecast.providers[:MOST_ROWS]]
    records = [dg.TableRecord({name: str(row[name]) for name in columns}) for row in rows]
    schema = dg.TableSchema([dg.TableColumn(name) for name in columns])
    return {
        ESTIMATE: dg.MetadataValue.md("\n\n".join([*forecast.told, *_bold(forecast.warnings)])),
        "expected_cost_usd": float(forecast.total),
        "expected_cost_low_usd": round(cost.low, 6),
        "expected_cost_high_usd": round(cost.high, 6),
        "expected_accepted": found["expected"],
        "expected_days": forecast.days,
        "expected_done_at": dg.MetadataValue.timestamp(forecast.done_at),
        "expected_by_provider": dg.MetadataValue.table(records, schema),
    }


def _bold(warnings: Sequence[str]) -> list[str]:
    return [f"**{markdown_text(line)}**" for line in warnings]


def of_report(summary: AgentSummary, report: Mapping[str, Any], durations: Mapping[Agent, float]) -> Metadata:
    """The page first; then what is plotted over campaigns, and where the lists are."""
    ready = {f"tier_{tier.tier.lower()}_ready": tier.ready for tier in summary.counts.tiers}
    return {
        "report": dg.MetadataValue.md(report_as_markdown(report)),
        **of_agent(summary),
        ROW_COUNT: report["funnel"]["ready"],
        "campaign_duration_s": round(sum(durations.values()), 3),
        "find_rate": report["find_rate"],
        "valid_rate": report["valid_rate"],
        "cost_usd": float(report["costs"]["total"]),
        "cost_per_ready_lead_usd": float(report["cost_per_ready_usd"]),
        "total_ready": report["funnel"]["ready"],
        **ready,
        **{f"quality_{name}": score for name, score in report["quality"].items()},
        "providers": _providers(report["providers"]),
        "report_hash": report["report_hash"],
        "report_json": dg.MetadataValue.json(dict(report)),
        **{export["kind"]: _place(export["url"]) for export in report["exports"]},
    }


def of_left_over(why: Sequence[str]) -> Metadata:
    """Exports of earlier reports that should be gone, and why they are not."""
    told = "\n".join(f"- {markdown_text(one)}" for one in why)
    return {"earlier_exports_still_there": dg.MetadataValue.md(told)} if why else {}


def _place(url: str) -> dg.MetadataValue[Any]:
    """A file as a path to copy, for a browser does not open it from a page of a server."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return dg.MetadataValue.path(Path(unquote(parts.path)))
    return dg.MetadataValue.url(url)


_OF_TIERS = {  # what each agent has a hand in; later agents must not make its data look new
    Agent.EMAIL_VERIFICATION: ("tier", "total", "found", "accepted"),
    Agent.ENRICHMENT: ("tier", "total", "accepted", "enriched", "partial"),
}


def data_version(summary: AgentSummary, policy: Policy) -> dg.DataVersion:
    """Changes when what the agent did changes, or the policy by which it did it.

    What it did: counts of leads and its calls in the ledger.
    """
    told = summary.as_json()
    tiers = [_tier_facts(summary.agent, tier) for tier in summary.counts.tiers]
    facts = [told["by_status"], told["providers"], tiers, _terms(summary.agent, policy)]
    return dg.DataVersion(hashlib.sha256(json.dumps(facts, default=str).encode()).hexdigest()[:20])


def report_version(report: Mapping[str, Any]) -> dg.DataVersion:
    """The report's hash: whoever decided on it decided on this version."""
    return dg.DataVersion(str(report["report_hash"])[:20])


def _terms(agent: Agent, policy: Policy) -> list[Any]:
    """What of the policy bears on the agent's data; thresholds and approvers do not."""
    if agent is Agent.EMAIL_VERIFICATION:
        order = [policy.ordering, sorted(policy.worth.items()), policy.routing]
        return [policy.guessing, policy.max_providers_per_lead, policy.lead_caps.verification, *order]
    return [policy.lead_caps.enrichment]


def _tier_facts(agent: Agent, tier: TierCounts) -> list[Any]:
    return [getattr(tier, name) for name in _OF_TIERS[agent]]


def _providers(rows: Sequence[Mapping[str, Any]]) -> dg.TableMetadataValue:
    columns = [
        dg.TableColumn(name, "int" if name in {"calls", "hits", "misses", "errors"} else "string")
        for name in ("provider", "calls", "hits", "misses", "errors", "cost_usd", "unknown_usd")
    ]
    shown = rows[:MOST_ROWS]
    records = [dg.TableRecord({column.name: row[column.name] for column in columns}) for row in shown]
    return dg.MetadataValue.table(records, dg.TableSchema(columns))


def _skipped(summary: AgentSummary) -> str:
    told = (f"- **{markdown_text(row.provider)}**: {markdown_text(row.why)}" for row in summary.skipped)
    return "\n".join(told) or "none"


def _waiting(summary: AgentSummary) -> str:
    return "\n".join(f"- {markdown_text(str(one))}" for one in summary.waiting) or "none"
