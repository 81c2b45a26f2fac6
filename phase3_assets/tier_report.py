"""Asset 3: ready leads, rates and costs by tier; a workbook; the request for approval."""

import dagster as dg

from phase3_assets import metadata
from phase3_assets.agents import run_agent
from phase3_assets.enriched_leads import enriched_leads
from phase3_assets.partitions import campaigns
from phase3_assets.result import phase3_result, recorded_durations
from phase3_core.finalize import report_campaign
from phase3_core.policy import Policy
from phase3_core.ports import Database, Exporter, ProviderSource
from phase3_core.statuses import Agent


@dg.asset(
    partitions_def=campaigns,
    deps=[enriched_leads],
    group_name="phase3",
    kinds={"python", "postgres"},
    code_version="1",
)
def tier_report(
    context: dg.AssetExecutionContext,
    database: dg.ResourceParam[Database],
    providers: dg.ResourceParam[ProviderSource],
    policy: dg.ResourceParam[Policy],
    exporter: dg.ResourceParam[Exporter],
) -> dg.MaterializeResult[None]:
    """Counts the leads that are ready by tier, what they cost and why, and asks for approval.

    Ready means an accepted address and an enriched lead. The workbook has the sheets Summary, Tier A,
    Tier B and All ready. Phase 4 waits for the decision on the approval request.
    """
    final = run_agent(
        context,
        Agent.FINALIZER,
        policy,
        lambda run, around: report_campaign(run, database, providers, exporter, around),
    )
    durations = recorded_durations(context.instance, context.partition_key)
    durations[Agent.FINALIZER] = final.summary.duration_s
    summary = final.summary
    result = phase3_result(final.campaign, summary.counts, summary.spend, durations, final.approval)
    facts = metadata.of_report(summary, final.report, final.published.workbook.url)
    return dg.MaterializeResult(
        metadata=facts | {"phase3_result": dg.MetadataValue.json(result)},
        data_version=metadata.data_version(summary),
    )
