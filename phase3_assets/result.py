"""The output JSON of a campaign, from materialization records and the ledger."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import dagster as dg

from phase3_assets.partitions import unfinished_runs
from phase3_core.counts import CampaignCounts, ProviderSpend
from phase3_core.leads import Campaign
from phase3_core.money import Money
from phase3_core.ports.books import Books
from phase3_core.statuses import BETWEEN_AGENTS, CANCELLED, Agent, ApprovalStatus, CampaignStatus, shown
from phase3_core.summary import cost_table, result_counts
from phase3_core.waiting import Waiting

ASSET_OF = {
    Agent.EMAIL_VERIFICATION: "verified_emails",
    Agent.ENRICHMENT: "enriched_leads",
    Agent.FINALIZER: "tier_report",
}


def recorded_durations(instance: dg.DagsterInstance, campaign_id: str) -> dict[Agent, float]:
    """Seconds of each agent's newest materialization of this campaign; agents without one are left out."""
    durations: dict[Agent, float] = {}
    for agent, asset in ASSET_OF.items():
        wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[campaign_id])
        for record in instance.fetch_materializations(wanted, limit=1).records:
            if record.asset_materialization:
                durations[agent] = _seconds(record.asset_materialization.metadata.get("duration_s"))
    return durations


def _seconds(told: dg.MetadataValue[Any] | None) -> float:
    """Zero for a materialization that somebody reported by hand."""
    seconds = told.value if told else None
    return float(seconds) if isinstance(seconds, int | float) else 0.0


def phase3_result(
    campaign: Campaign,
    counts: CampaignCounts,
    spend: Sequence[ProviderSpend],
    durations: Mapping[Agent, float],
    approval: ApprovalStatus | None,
    waiting: Sequence[Waiting] = (),
    *,
    at_work: bool = False,
) -> dict[str, Any]:
    """Amounts are USD, six places. An agent that left leads waiting is `partial`; `waiting` tells for whom.

    `status` is not_started, running, incomplete, stopped, failed, cancelled, pending_approval or completed.
    Incomplete: agents are left to run, or the report is to be asked for anew, and nobody is `at_work`.
    """
    agents = [agent for agent in Agent if agent in durations]
    return {
        "phase": 3,
        "campaign_id": str(campaign.id),
        "campaign_name": campaign.name,
        "status": _status(campaign, approval, at_work=at_work),
        "agents_run": [
            {
                "agent": agent.value,
                "status": _agent_status(agent, agents, campaign, counts),
                "duration_seconds": round(durations[agent], 3),
            }
            for agent in agents
        ],
        "result": dict(result_counts(counts)),
        "costs": {name: as_number(amount) for name, amount in cost_table(spend).items()},
        "approval_status": approval.value if approval else "not_requested",
        "waiting": [one.as_json() for one in waiting],
    }


async def read_result(instance: dg.DagsterInstance, books: Books, campaign_id: UUID) -> dict[str, Any]:
    """As far as the campaign has come; raises UnknownCampaign."""
    return phase3_result(
        await books.campaigns.campaign(campaign_id),
        await books.campaigns.counts(campaign_id),
        await books.campaigns.spend(campaign_id),
        recorded_durations(instance, str(campaign_id)),
        await books.approvals.newest(campaign_id),
        await books.checkpoints.waiting(campaign_id),
        at_work=bool(unfinished_runs(instance, str(campaign_id))),
    )


def _agent_status(agent: Agent, agents: Sequence[Agent], campaign: Campaign, counts: CampaignCounts) -> str:
    if campaign.status is CampaignStatus.STOPPED and agent is agents[-1]:
        return "stopped"
    left = {
        Agent.EMAIL_VERIFICATION: counts.pending_verification,
        Agent.ENRICHMENT: counts.pending_enrichment,
    }
    return "partial" if left.get(agent) else "completed"


def as_number(amount: Money) -> float:
    """A JSON number that reads back to the same six places."""
    return float(round(amount, 6))


_STATUS = {
    CampaignStatus.IMPORT_COMPLETE: "not_started",
    CampaignStatus.STOPPED: "stopped",
    CampaignStatus.FAILED: "failed",
    CampaignStatus.APPROVED: "completed",
    CampaignStatus.REJECTED: "completed",
    CampaignStatus.RE_ENRICHMENT_REQUESTED: "completed",
}


_ASKED = {ApprovalStatus.PENDING: "pending_approval", ApprovalStatus.WITHDRAWN: "incomplete"}


def _status(campaign: Campaign, approval: ApprovalStatus | None, *, at_work: bool) -> str:
    if campaign.status is CampaignStatus.VERIFICATION_COMPLETE:
        return _ASKED.get(approval, "completed") if approval else "completed"
    if campaign.status in BETWEEN_AGENTS and not at_work:
        return "incomplete"
    if shown(campaign.status, campaign.reason) == CANCELLED:
        return CANCELLED
    return _STATUS.get(campaign.status, "running")
