"""The gate: a person's decision on a campaign, as an asset that only a filled-in form can materialize."""

from uuid import UUID

import dagster as dg
from pydantic import Field

from phase3_assets.agents import reading
from phase3_assets.columns import OF_DECISION, OWNERS, schema
from phase3_assets.deciding import NEXT, decide, told
from phase3_assets.failures import campaign_key
from phase3_assets.partitions import campaigns
from phase3_assets.tier_report import tier_report
from phase3_core.approval import Channel, Decision, having_read, person_choice
from phase3_core.policy import Policy
from phase3_core.ports.books import Database
from phase3_core.ruling import Decided


class ApprovalForm(dg.Config):
    """What Materialize asks for; without it nothing starts."""

    decision: Decision = Field(
        description="APPROVE_FULL, APPROVE_TIER_A_ONLY, REQUEST_MORE_ENRICHMENT or REJECT"
    )
    decided_by: str = Field(description="your name, as [approval] approvers in the settings spells it")
    report: str = Field(
        default="",
        description="the report_hash that you read, or its beginning: no other report is decided on",
    )
    feedback: str = Field(
        default="",
        description="why; needed for REQUEST_MORE_ENRICHMENT and REJECT; Dagster keeps it: name no lead",
    )


@dg.asset(
    partitions_def=campaigns,
    deps=[tier_report],
    group_name="approval_gate",
    kinds={"postgres"},
    owners=OWNERS,
    metadata=schema(OF_DECISION),
    code_version="1",
)
def approval(
    context: dg.AssetExecutionContext,
    config: ApprovalForm,
    database: dg.ResourceParam[Database],
    policy: dg.ResourceParam[Policy],
) -> dg.MaterializeResult[None]:
    """A person decides on the campaign, once. Read its tier_report, then Materialize and fill in the form.

    The decision is bound to the leads, the spend and the report that were asked about: if one of them has
    changed, the request is withdrawn and tier_report is to be materialized again, which costs nothing.
    """
    campaign_id = UUID(campaign_key(context.partition_key))

    async def deciding() -> Decided:
        choice = person_choice(
            policy.approval, config.decision, config.decided_by, Channel.DAGSTER, feedback=config.feedback
        )
        return await decide(database, campaign_id, having_read(choice, config.report))

    decided = reading(deciding)
    return dg.MaterializeResult(
        metadata=told(decided) | {"next": NEXT[config.decision]},
        data_version=dg.DataVersion(str(decided.request_id)),
    )
