"""Asset 1: each lead's best address, found and verified once and paid for once."""

import dagster as dg

from phase3_assets import metadata
from phase3_assets.agents import run_agent
from phase3_assets.columns import FROM_LEADS, OF_EMAILS, OWNERS, lineage, schema
from phase3_assets.partitions import campaigns
from phase3_core.policy import Policy
from phase3_core.ports.books import Database
from phase3_core.ports.providers import ProviderSource
from phase3_core.statuses import Agent
from phase3_core.verify import verify_campaign


@dg.asset(
    partitions_def=campaigns,
    deps=["campaign_leads"],
    group_name="phase3",
    kinds={"python", "postgres"},
    owners=OWNERS,
    metadata=schema(OF_EMAILS),
    code_version="1",
)
def verified_emails(
    context: dg.AssetExecutionContext,
    database: dg.ResourceParam[Database],
    providers: dg.ResourceParam[ProviderSource],
    policy: dg.ResourceParam[Policy],
) -> dg.MaterializeResult[None]:
    """Finds an address for every lead of the campaign and verifies it.

    1. An address that phase 2 delivered is verified.
    2. Else the company's usual mail patterns are guessed, while that is cheaper than asking.
    3. Else the finders are asked in waterfall order until verification **accepts** an address (`valid` or
       `risky`); a catch-all gets a second opinion.

    Every paid call is in the ledger `provider_calls`: materializing again resumes, and costs nothing that
    was paid before. Fewer accepted addresses than the check `enough_emails` wants stop the campaign here.
    """
    summary = run_agent(
        context,
        Agent.EMAIL_VERIFICATION,
        policy,
        database,
        lambda run, around: verify_campaign(run, database, providers, around),
    )
    return dg.MaterializeResult(
        metadata=metadata.of_emails(summary) | lineage(FROM_LEADS),
        data_version=metadata.data_version(summary, policy),
    )
