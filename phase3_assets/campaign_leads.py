"""The external asset upstream: the leads that phase 2 imported."""

import dagster as dg

from phase3_assets.columns import OF_IMPORT, OWNERS, schema
from phase3_assets.partitions import campaigns

campaign_leads = dg.AssetSpec(
    "campaign_leads",
    partitions_def=campaigns,
    group_name="phase2",
    kinds={"postgres"},
    owners=OWNERS,
    metadata=schema(OF_IMPORT),
    description=(
        "The leads of a campaign as phase 2 wrote them to the table `leads`. Not made here: the sensor "
        "`phase2_completion` notes a new version when an import is complete, and every run notes here what "
        "it expects of the leads, before its first paid call; `phase3 estimate` tells it at any time."
    ),
)
