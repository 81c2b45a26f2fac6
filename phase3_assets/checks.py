"""The thresholds between the agents, as blocking checks per campaign that read the books."""

import warnings
from collections.abc import Callable
from uuid import UUID

import dagster as dg

from phase3_assets.agents import reading
from phase3_assets.enriched_leads import enriched_leads
from phase3_assets.failures import campaign_key
from phase3_assets.partitions import campaigns
from phase3_assets.tier_report import tier_report
from phase3_assets.verified_emails import verified_emails
from phase3_core.policy import (
    Policy,
    Thresholds,
    accepted,
    email_shortfall,
    enriched,
    enrichment_shortfall,
    ready_shortfall,
    tier_a_ready,
)
from phase3_core.ports import CampaignCounts, Database

# Checks per campaign are in preview; the version is pinned, and the warning would greet every command.
warnings.filterwarnings("ignore", category=dg.PreviewWarning)

Shortfall = Callable[[CampaignCounts, Thresholds], str]


@dg.asset_check(asset=verified_emails, blocking=True, partitions_def=campaigns)
def enough_emails(
    context: dg.AssetCheckExecutionContext,
    database: dg.ResourceParam[Database],
    policy: dg.ResourceParam[Policy],
) -> dg.AssetCheckResult:
    """Enrichment starts only with enough accepted addresses (500; pilot preset 50)."""
    counts = _counts(context, database)
    return _checked(accepted(counts), policy.thresholds.min_emails, counts, policy, email_shortfall)


@dg.asset_check(asset=enriched_leads, blocking=True, partitions_def=campaigns)
def enough_enriched(
    context: dg.AssetCheckExecutionContext,
    database: dg.ResourceParam[Database],
    policy: dg.ResourceParam[Policy],
) -> dg.AssetCheckResult:
    """The tier report is made only with enough enriched leads (500; pilot preset 50)."""
    counts = _counts(context, database)
    return _checked(enriched(counts), policy.thresholds.min_enriched, counts, policy, enrichment_shortfall)


@dg.asset_check(asset=tier_report, blocking=True, partitions_def=campaigns)
def enough_tier_a_ready(
    context: dg.AssetCheckExecutionContext,
    database: dg.ResourceParam[Database],
    policy: dg.ResourceParam[Policy],
) -> dg.AssetCheckResult:
    """Approval is asked for only with enough ready leads of tier A (100; pilot preset 10)."""
    counts = _counts(context, database)
    return _checked(tier_a_ready(counts), policy.thresholds.min_tier_a_ready, counts, policy, ready_shortfall)


def _counts(context: dg.AssetCheckExecutionContext, database: Database) -> CampaignCounts:
    async def look() -> CampaignCounts:
        async with database.reading() as books:
            return await books.campaigns.counts(UUID(campaign_key(context.partition_key)))

    return reading(look)


def _checked(
    have: int, need: int, counts: CampaignCounts, policy: Policy, shortfall_of: Shortfall
) -> dg.AssetCheckResult:
    """`force_continue` turns a failing check into a warning."""
    shortfall = shortfall_of(counts, policy.thresholds)
    severity = dg.AssetCheckSeverity.WARN if policy.force_continue else dg.AssetCheckSeverity.ERROR
    return dg.AssetCheckResult(
        passed=not shortfall,
        severity=severity,
        description=shortfall or f"{have:,} of at least {need:,}.",
        metadata={"leads": have, "threshold": need},
    )


CHECKS = (enough_emails, enough_enriched, enough_tier_a_ready)
