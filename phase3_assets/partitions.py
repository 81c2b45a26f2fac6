"""One partition a campaign; its key is the campaign's id, and a tag of its runs tells its name."""

from collections.abc import Sequence
from uuid import UUID

import dagster as dg

CAMPAIGN_TAG = "phase3/campaign"
PARTITION_TAG = "dagster/partition"  # Dagster's own: the key

UNFINISHED = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING, dg.DagsterRunStatus.NOT_STARTED]

campaigns = dg.DynamicPartitionsDefinition(name="campaigns")


def campaign_of(run: dg.DagsterRun) -> UUID | None:
    """None for a run of no campaign."""
    try:
        return UUID(run.tags[PARTITION_TAG])
    except (KeyError, ValueError):
        return None


def unfinished_runs(instance: dg.DagsterInstance, campaign_id: str) -> Sequence[dg.DagsterRun]:
    """Runs of a campaign that have begun and, as far as the records know, not ended."""
    return instance.get_runs(filters=dg.RunsFilter(tags={PARTITION_TAG: campaign_id}, statuses=UNFINISHED))
