"""The thresholds between the agents, as blocking checks per campaign that read the books."""

import warnings
from uuid import UUID

import dagster as dg

from phase3_assets.agents import reading
from phase3_assets.enriched_leads import enriched_leads
from phase3_assets.failures import campaign_key
from phase3_assets.partitions import campaigns
from phase3_assets.tier_report import tier_report
from phase3_assets.verified_emails import verified_emails
from phase3_core.counts import CampaignCounts
from phase3_core.policy import EMAILS, ENRICHED, TIER_A_READY, Policy, Threshold
from phase3_core.ports.books import Database

# Checks per campaign are in preview; the version is pinned, and the warning would greet every command.
warnings.filterwarnings("ignore", category=dg.PreviewWarning)


def _check(
    name: str, asset: dg.AssetsDefinition, threshold: Threshold, description: str
) -> dg.AssetChecksDefinition:
    @dg.asset_check(name=name, asset=asset, description=description, blocking=True, partitions_def=campaigns)
    def enough(
        context: dg.AssetCheckExecutionContext,
        database: dg.ResourceParam[Database],
        policy: dg.ResourceParam[Policy],
    ) -> dg.AssetCheckResult:
        return _result(threshold, _counts(context, database), policy)

    return enough


def _counts(context: dg.AssetCheckExecutionContext, database: Database) -> CampaignCounts:
    async def look() -> CampaignCounts:
        async with database.reading() as books:
            return await books.campaigns.counts(UUID(campaign_key(context.partition_key)))

    return reading(look)


def _result(threshold: Threshold, counts: CampaignCounts, policy: Policy) -> dg.AssetCheckResult:
    """`force_continue` turns a failing check into a warning."""
    have, need = threshold.have(counts), threshold.need(policy.thresholds)
    shortfall = threshold.shortfall(counts, policy.thresholds)
    severity = dg.AssetCheckSeverity.WARN if policy.force_continue else dg.AssetCheckSeverity.ERROR
    return dg.AssetCheckResult(
        passed=not shortfall,
        severity=severity,
        description=shortfall or f"{have:,} of at least {need:,}.",
        metadata={"leads": have, "threshold": need},
    )


CHECKS = (
    _check(
        "enough_emails",
        verified_emails,
        EMAILS,
        "Enrichment starts only with enough accepted addresses (500; pilot preset 50).",
    ),
    _check(
        "enough_enriched",
        enriched_leads,
        ENRICHED,
        "The tier report is made only with enough enriched leads (500; pilot preset 50).",
    ),
    _check(
        "enough_tier_a_ready",
        tier_report,
        TIER_A_READY,
        "Approval is asked for only with enough ready leads of tier A (100; pilot preset 10).",
    ),
)
