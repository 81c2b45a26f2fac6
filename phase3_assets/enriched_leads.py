"""Asset 2: company data, to the depth that the lead's tier deserves."""

import dagster as dg

from phase3_assets import metadata
from phase3_assets.agents import run_agent
from phase3_assets.columns import FROM_EMAILS, OF_ENRICHMENT, OWNERS, lineage, schema
from phase3_assets.partitions import campaigns
from phase3_assets.verified_emails import verified_emails
from phase3_core.enrich import enrich_campaign
from phase3_core.policy import Policy
from phase3_core.ports.books import Database
from phase3_core.ports.providers import ProviderSource
from phase3_core.statuses import Agent


@dg.asset(
    partitions_def=campaigns,
    deps=[verified_emails],
    group_name="phase3",
    kinds={"python", "postgres"},
    owners=OWNERS,
    metadata=schema(OF_ENRICHMENT),
    code_version="1",
)
def enriched_leads(
    context: dg.AssetExecutionContext,
    database: dg.ResourceParam[Database],
    providers: dg.ResourceParam[ProviderSource],
    policy: dg.ResourceParam[Policy],
) -> dg.MaterializeResult[None]:
    """Enriches every lead with an accepted address, to the depth that its tier deserves.

    | tier | asks for | at most |
    |---|---|---|
    | A | news, funding, hiring, website, company, contact, intent, tech stack | $0.50 a lead |
    | B | news, website, company, contact | $0.20 |
    | C | news, website | $0.05 |

    Company questions are asked once per company and shared by its leads; free sources come first. A lead
    without its profile's required fields is `partial`, and not ready. Materializing again resumes.
    """
    summary = run_agent(
        context,
        Agent.ENRICHMENT,
        policy,
        database,
        lambda run, around: enrich_campaign(run, database, providers, around),
    )
    return dg.MaterializeResult(
        metadata=metadata.of_enrichment(summary) | lineage(FROM_EMAILS),
        data_version=metadata.data_version(summary, policy),
    )
