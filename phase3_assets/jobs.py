"""The job of the three assets, and the sensor that starts it when phase 2 is done."""

import dagster as dg

from phase3_assets.agents import reading
from phase3_assets.enriched_leads import enriched_leads
from phase3_assets.partitions import campaigns
from phase3_assets.tier_report import tier_report
from phase3_assets.verified_emails import verified_emails
from phase3_core.leads import Campaign
from phase3_core.ports import Database, DueAgain

ASSETS = (verified_emails, enriched_leads, tier_report)
MOST_CAMPAIGNS_A_TICK = 25  # a run request takes some 0.2 s; the rest comes with the next tick
CAMPAIGN_TAG = "phase3/campaign"

phase3 = dg.define_asset_job(
    "phase3",
    selection=dg.AssetSelection.assets(*ASSETS),
    description="One campaign from imported leads to the tier report and the request for approval.",
)


@dg.sensor(job=phase3, minimum_interval_seconds=30, default_status=dg.DefaultSensorStatus.RUNNING)
def phase2_completion(
    context: dg.SensorEvaluationContext, database: dg.ResourceParam[Database]
) -> dg.SensorResult | dg.SkipReason:
    """Requests one run for each completed import.

    Claims by state, not by time: a campaign is due while it is `import_complete`, however late its row was
    committed. The run key holds the import's time, so a second import of a campaign runs again.
    """
    due = [campaign for campaign in _import_completed(database) if not _requested(context, campaign)]
    due = due[:MOST_CAMPAIGNS_A_TICK]
    if not due:
        return dg.SkipReason("No import is waiting.")
    keys = [str(campaign.id) for campaign in due]
    return dg.SensorResult(
        dynamic_partitions_requests=[campaigns.build_add_request(keys)],
        run_requests=[_run_request(campaign) for campaign in due],
        asset_events=[event for campaign in due for event in _imported(campaign)],
    )


@dg.sensor(job=phase3, minimum_interval_seconds=60, default_status=dg.DefaultSensorStatus.RUNNING)
def waiting_leads(database: dg.ResourceParam[Database]) -> dg.SensorResult | dg.SkipReason:
    """Starts a campaign again when the provider that its leads wait for may be asked.

    By state: what the newest run left waiting, of campaigns that are at rest and that nobody has decided.
    The run key holds the time at which they were due, so each such time starts one run.
    """
    due = _due_again(database)[:MOST_CAMPAIGNS_A_TICK]
    if not due:
        return dg.SkipReason("No lead is waiting for a time that has come.")
    return dg.SensorResult(
        dynamic_partitions_requests=[campaigns.build_add_request([str(one.campaign.id) for one in due])],
        run_requests=[_run_again(one) for one in due],
    )


def _due_again(database: Database) -> list[DueAgain]:
    async def look() -> list[DueAgain]:
        async with database.reading() as books:
            return await books.campaigns.due_again()

    return reading(look)


def _run_again(due: DueAgain) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=f"phase3:{due.campaign.id}:waited-until:{due.since.isoformat()}",
        partition_key=str(due.campaign.id),
        tags={CAMPAIGN_TAG: due.campaign.name},
    )


def _import_completed(database: Database) -> list[Campaign]:
    async def look() -> list[Campaign]:
        async with database.reading() as books:
            return await books.campaigns.import_completed()

    return reading(look)


def run_key(campaign: Campaign) -> str:
    completed = campaign.import_completed_at
    return f"phase3:{campaign.id}:{completed.isoformat() if completed else ''}"


def _requested(context: dg.SensorEvaluationContext, campaign: Campaign) -> bool:
    """Campaigns whose run failed early stay `import_complete`; they must not crowd out new ones."""
    tags = {"dagster/run_key": run_key(campaign)}
    return bool(context.instance.get_runs(filters=dg.RunsFilter(tags=tags), limit=1))


def _run_request(campaign: Campaign) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=run_key(campaign),
        partition_key=str(campaign.id),
        tags={CAMPAIGN_TAG: campaign.name},
    )


def _imported(campaign: Campaign) -> tuple[dg.AssetObservation, dg.AssetMaterialization]:
    """Both, the observation first: only so is the partition green and its downstream stale when it should."""
    key, tags = str(campaign.id), {"dagster/data_version": _version(campaign)}
    metadata = {
        "campaign": dg.MetadataValue.text(campaign.name),
        "leads": dg.MetadataValue.int(campaign.leads),
        "dagster/row_count": dg.MetadataValue.int(campaign.leads),
    }
    return (
        dg.AssetObservation("campaign_leads", partition=key, metadata=metadata, tags=tags),
        dg.AssetMaterialization("campaign_leads", partition=key, metadata=metadata, tags=tags),
    )


def _version(campaign: Campaign) -> str:
    """A tag's value: letters, digits, dots and dashes."""
    completed = campaign.import_completed_at
    return f"{completed:%Y%m%dT%H%M%S.%f}-{campaign.leads}" if completed else str(campaign.leads)
