"""Asset 3: ready leads, rates and costs by tier; a workbook; the request for approval."""

import dagster as dg

from phase3_assets import metadata
from phase3_assets.agents import reading, run_agent
from phase3_assets.columns import FROM_ENRICHED, OF_REPORT, OWNERS, lineage, schema
from phase3_assets.enriched_leads import enriched_leads
from phase3_assets.partitions import campaigns
from phase3_assets.result import phase3_result, recorded_durations
from phase3_core.finalize import FinalReport, report_campaign
from phase3_core.policy import Policy
from phase3_core.ports.books import Database
from phase3_core.ports.exporter import Exporter
from phase3_core.ports.providers import ProviderSource
from phase3_core.ports.relay import Relay
from phase3_core.statuses import Agent


@dg.asset(
    partitions_def=campaigns,
    deps=[enriched_leads],
    group_name="phase3",
    kinds={"python", "postgres"},
    owners=OWNERS,
    metadata=schema(OF_REPORT),
    code_version="1",
)
def tier_report(
    context: dg.AssetExecutionContext,
    database: dg.ResourceParam[Database],
    providers: dg.ResourceParam[ProviderSource],
    policy: dg.ResourceParam[Policy],
    exporter: dg.ResourceParam[Exporter],
    relay: dg.ResourceParam[Relay],
) -> dg.MaterializeResult[None]:
    """What the campaign came to, on one page, and the question whether to go on.

    **Ready** means an accepted address and every field that the lead's tier requires. Each materialization
    holds the report (`report`), the same as JSON with exact amounts (`report_json`), and where the lists
    are: a workbook with the sheets Summary, Tier A, Tier B and All ready, and the page as a file.

    Materializing again buys nothing and gives the same `report_hash` while leads, spend and results stay
    the same. Phase 4 waits for the decision on the approval request, which is bound to that hash.

    Over many campaigns, plot `find_rate`, `valid_rate`, `cost_per_ready_lead_usd` and
    `campaign_duration_s` under Overview, Metadata, Plots.
    """
    final = run_agent(
        context,
        Agent.FINALIZER,
        policy,
        database,
        lambda run, around: report_campaign(run, database, providers, exporter, around),
    )
    durations = recorded_durations(context.instance, context.partition_key)
    durations[Agent.FINALIZER] = final.summary.duration_s
    summary = final.summary
    result = phase3_result(
        final.campaign, summary.counts, summary.spend, durations, final.approval, summary.waiting
    )
    facts = metadata.of_report(summary, final.report, durations)
    facts |= lineage(FROM_ENRICHED) | _asked(final, relay) | metadata.of_left_over(final.left_over)
    return dg.MaterializeResult(
        metadata=facts | {"phase3_result": dg.MetadataValue.json(result)},
        data_version=metadata.report_version(final.report),
    )


def _asked(final: FinalReport, relay: Relay) -> dict[str, str]:
    """What became of the request for approval, and whether people were told of it."""
    if final.approval is None:
        return {}
    told = reading(lambda: relay.announced(final.campaign.id))
    return {"approval": final.approval.value.replace("_", " "), "announcement": told}
