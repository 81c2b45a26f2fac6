"""The job of the three assets, and the sensor that starts it when phase 2 is done."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

import dagster as dg

from phase3_assets.agents import reading
from phase3_assets.campaign_leads import imported
from phase3_assets.enriched_leads import enriched_leads
from phase3_assets.partitions import CAMPAIGN_TAG, campaigns
from phase3_assets.tier_report import tier_report
from phase3_assets.verified_emails import verified_emails
from phase3_core.leads import Campaign
from phase3_core.ports.books import Database
from phase3_core.ports.campaigns import DueAgain

ASSETS = (verified_emails, enriched_leads, tier_report)
MOST_CAMPAIGNS_A_TICK = 25  # a run request takes some 0.2 s; the rest comes with the next tick
WAIT_TAG = "phase3/waited_until"
FIRST_PAUSE = timedelta(minutes=15)  # after a run that failed before it did anything; doubled each time
MOST_TRIES = 8  # the last one some 32 hours after the first

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
    committed. The run key holds the import's time, so a second import of a campaign runs again. A run that
    failed before it began leaves the campaign as it was, and a few more follow: whom it could not do without
    may be back.
    """
    due = list(islice(_not_begun(context.instance, import_completed(database)), MOST_CAMPAIGNS_A_TICK))
    if not due:
        return dg.SkipReason("No import is waiting.")
    keys = [str(campaign.id) for campaign, _ in due]
    return dg.SensorResult(
        dynamic_partitions_requests=[campaigns.build_add_request(keys)],
        run_requests=[_run_request(campaign, tries) for campaign, tries in due],
        asset_events=[event for campaign, tries in due if not tries for event in imported(campaign)],
    )


@dg.sensor(job=phase3, minimum_interval_seconds=60, default_status=dg.DefaultSensorStatus.RUNNING)
def waiting_leads(
    context: dg.SensorEvaluationContext, database: dg.ResourceParam[Database]
) -> dg.SensorResult | dg.SkipReason:
    """Starts a campaign again when the provider that its leads wait for may be asked.

    By state: what the newest run left waiting, of campaigns that are at rest and that nobody has decided.
    Each time at which they were due starts one run, and a few more only where that one failed and left
    everything as it was: whoever they wait for may have been away once more, and nothing was spent.
    """
    requests = list(islice(_runs_again(context.instance, _due_again(database)), MOST_CAMPAIGNS_A_TICK))
    if not requests:
        return dg.SkipReason("No lead is waiting for a time that has come.")
    keys = [str(request.partition_key) for request in requests]
    return dg.SensorResult(
        dynamic_partitions_requests=[campaigns.build_add_request(keys)], run_requests=requests
    )


def _runs_again(instance: dg.DagsterInstance, due: list[DueAgain]) -> Iterator[dg.RunRequest]:
    for one in due:
        tries = instance.get_run_records(dg.RunsFilter(tags={WAIT_TAG: _wait(one)}))
        if _to_try(tries):
            yield _run_again(one, len(tries), as_last_run(instance, one.campaign.id))


def _to_try(tries: Sequence[dg.RunRecord]) -> bool:
    """Newest first. One that goes on is waited for, and one that was cancelled was somebody's wish."""
    if any(one.dagster_run.status is not dg.DagsterRunStatus.FAILURE for one in tries):
        return False
    if not tries:
        return True
    idle = datetime.now(UTC) - tries[0].update_timestamp
    return len(tries) < MOST_TRIES and idle >= FIRST_PAUSE * 2 ** (len(tries) - 1)


def _due_again(database: Database) -> list[DueAgain]:
    async def look() -> list[DueAgain]:
        async with database.reading() as books:
            return await books.campaigns.due_again()

    return reading(look)


def _wait(due: DueAgain) -> str:
    return f"phase3:{due.campaign.id}:waited-until:{due.since.isoformat()}"


def as_last_run(instance: dg.DagsterInstance, campaign_id: UUID) -> dict[str, Any]:
    """Its configuration of policy, budgets and vendors: what starts by itself goes on as somebody chose."""
    ours = dg.RunsFilter(tags={"dagster/partition": str(campaign_id)}, job_name=phase3.name)
    newest = instance.get_runs(filters=ours, limit=1)
    resources = newest[0].run_config.get("resources") if newest else None
    return {"resources": resources} if resources else {}


def _run_again(due: DueAgain, tries: int, run_config: dict[str, Any]) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=nth(_wait(due), tries),
        partition_key=str(due.campaign.id),
        run_config=run_config,
        tags={CAMPAIGN_TAG: due.campaign.name, WAIT_TAG: _wait(due)},
    )


def import_completed(database: Database) -> list[Campaign]:
    async def look() -> list[Campaign]:
        async with database.reading() as books:
            return await books.campaigns.import_completed()

    return reading(look)


def run_key(campaign: Campaign) -> str:
    completed = campaign.import_completed_at
    return f"phase3:{campaign.id}:{completed.isoformat() if completed else ''}"


def _not_begun(instance: dg.DagsterInstance, imports: Sequence[Campaign]) -> Iterator[tuple[Campaign, int]]:
    """Those to run now, with the number of runs that failed; those that fail must not crowd out new ones."""
    for campaign in imports:
        tries = failed_tries(instance, run_key(campaign))
        if tries is not None:
            yield campaign, tries


def failed_tries(instance: dg.DagsterInstance, key: str) -> int | None:
    """How many runs there were under the key, all of which failed; None where no other is due."""
    keys = [nth(key, tries) for tries in range(MOST_TRIES)]
    tries = instance.get_run_records(dg.RunsFilter(tags={"dagster/run_key": keys}))
    return len(tries) if _to_try(tries) else None


def nth(key: str, tries: int) -> str:
    return f"{key}:{tries}" if tries else key


def _run_request(campaign: Campaign, tries: int) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=nth(run_key(campaign), tries),
        partition_key=str(campaign.id),
        tags={CAMPAIGN_TAG: campaign.name},
    )
