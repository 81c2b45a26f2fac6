"""One partition a campaign; its key is the campaign's id, and a tag of its runs tells its name."""

from uuid import UUID

import dagster as dg

CAMPAIGN_TAG = "phase3/campaign"
PARTITION_TAG = "dagster/partition"  # Dagster's own: the key

campaigns = dg.DynamicPartitionsDefinition(name="campaigns")


def campaign_of(run: dg.DagsterRun) -> UUID | None:
    """None for a run of no campaign."""
    try:
        return UUID(run.tags[PARTITION_TAG])
    except (KeyError, ValueError):
        return None
