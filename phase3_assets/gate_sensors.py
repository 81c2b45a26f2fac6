"""What follows from the gate by itself: a run where more was wanted, a reminder where nobody decides."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from uuid import UUID

import dagster as dg

from phase3_assets.agents import reading
from phase3_assets.deciding import told
from phase3_assets.jobs import MOST_CAMPAIGNS_A_TICK, as_last_run, failed_tries, nth, phase3
from phase3_assets.partitions import CAMPAIGN_TAG, campaigns
from phase3_core.approval_request import MoreWanted, Nudge
from phase3_core.policy import Policy
from phase3_core.ports.books import Database
from phase3_core.ports.relay import Relay
from phase3_core.ruling import Decided

REQUEST_TAG = "phase3/approval_request"
MOST_DECISIONS = 100  # on a campaign, within the day in which they are noted


@dg.sensor(job=phase3, minimum_interval_seconds=30, default_status=dg.DefaultSensorStatus.RUNNING)
def re_enrichment(
    context: dg.SensorEvaluationContext, database: dg.ResourceParam[Database]
) -> dg.SensorResult | dg.SkipReason:
    """Requests one run for each decision that asked for more enrichment; it works on what is missing.

    A few more only where that one failed before it began, and left the campaign as it was.
    """
    requests = list(islice(_runs(context.instance, _more_wanted(database)), MOST_CAMPAIGNS_A_TICK))
    if not requests:
        return dg.SkipReason("Nobody has asked for more enrichment.")
    keys = [str(request.partition_key) for request in requests]
    return dg.SensorResult(
        dynamic_partitions_requests=[campaigns.build_add_request(keys)], run_requests=requests
    )


def _runs(instance: dg.DagsterInstance, more_wanted: Sequence[MoreWanted]) -> Iterator[dg.RunRequest]:
    for wanted in more_wanted:
        tries = failed_tries(instance, run_key(wanted))
        if tries is not None:
            yield _run_request(instance, wanted, tries)


def run_key(wanted: MoreWanted) -> str:
    """A second wish for more is answered by a second run."""
    return f"phase3:{wanted.campaign_id}:more:{wanted.request_id}"


def _run_request(instance: dg.DagsterInstance, wanted: MoreWanted, tries: int) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=nth(run_key(wanted), tries),
        partition_key=str(wanted.campaign_id),
        run_config=as_last_run(instance, wanted.campaign_id),
        tags={CAMPAIGN_TAG: wanted.campaign, REQUEST_TAG: str(wanted.request_id)},
    )


def _more_wanted(database: Database) -> list[MoreWanted]:
    async def look() -> list[MoreWanted]:
        async with database.reading() as books:
            return await books.approvals.more_wanted()

    return reading(look)


@dg.sensor(minimum_interval_seconds=60, default_status=dg.DefaultSensorStatus.RUNNING)
def approval_reminders(
    database: dg.ResourceParam[Database], policy: dg.ResourceParam[Policy]
) -> dg.SkipReason:
    """Reminds of a request after 24 hours, escalates after another 24; each once, by the database's clock."""
    terms = policy.approval

    async def nudge() -> list[Nudge]:
        async with database.reading() as books:
            return await books.approvals.nudge(terms.remind_after, terms.escalate_after)

    done = Counter(nudged.kind.removeprefix("slack_") for nudged in reading(nudge))
    return dg.SkipReason(", ".join(f"{kind}: {n}" for kind, n in sorted(done.items())) or "Nobody is late.")


@dg.sensor(minimum_interval_seconds=30, default_status=dg.DefaultSensorStatus.RUNNING)
def outbox(relay: dg.ResourceParam[Relay]) -> dg.SkipReason:
    """Sends what waits in the outbox: announcements and reminders to Slack, events to the webhook."""
    sent = reading(relay.deliver)
    return dg.SkipReason(f"{sent} sent." if sent else "Nothing was due.")


@dg.sensor(minimum_interval_seconds=30, default_status=dg.DefaultSensorStatus.RUNNING)
def decisions(
    context: dg.SensorEvaluationContext, database: dg.ResourceParam[Database]
) -> dg.SensorResult | dg.SkipReason:
    """Notes on the asset `approval` what was decided in Slack, from a shell or by itself."""

    async def look() -> list[tuple[UUID, Decided]]:
        async with database.reading() as books:
            return await books.approvals.decided_lately()

    lately = [(str(campaign_id), decided) for campaign_id, decided in reading(look)]
    news = [_note(*decision) for decision in lately if not _noted(context.instance, *decision)]
    return dg.SensorResult(asset_events=news) if news else dg.SkipReason("Every decision is noted.")


def _noted(instance: dg.DagsterInstance, key: str, decided: Decided) -> bool:
    """Each materialization tells the request that it answers; of a day there are a few."""
    wanted = dg.AssetRecordsFilter(dg.AssetKey("approval"), asset_partitions=[key])
    records = instance.fetch_materializations(wanted, limit=MOST_DECISIONS).records
    return any(_answers(record.asset_materialization, decided) for record in records)


def _answers(noted: dg.AssetMaterialization | None, decided: Decided) -> bool:
    request = noted.metadata.get("request_id") if noted else None
    return request is not None and request.value == str(decided.request_id)


def _note(key: str, decided: Decided) -> dg.AssetMaterialization:
    version = {"dagster/data_version": str(decided.request_id)}
    return dg.AssetMaterialization("approval", partition=key, metadata=told(decided), tags=version)
