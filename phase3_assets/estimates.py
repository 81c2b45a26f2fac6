"""The price of a new import, on the page of its leads before anybody starts it."""

from collections.abc import Iterator, Sequence

import dagster as dg

from phase3_assets.agents import reading
from phase3_assets.campaign_leads import Event, announced, is_estimate, newest
from phase3_assets.jobs import import_completed
from phase3_assets.partitions import campaigns
from phase3_core.errors import Phase3Error
from phase3_core.forecast import Forecast
from phase3_core.foresight import Estimates
from phase3_core.leads import Campaign
from phase3_core.ports.books import Database

MOST_ESTIMATES_A_TICK = 5  # one of a large campaign takes seconds, and Dagster gives a tick a minute

Estimated = tuple[Campaign, Forecast]


@dg.sensor(minimum_interval_seconds=30, default_status=dg.DefaultSensorStatus.RUNNING)
def estimates(
    context: dg.SensorEvaluationContext,
    database: dg.ResourceParam[Database],
    foresight: dg.ResourceParam[Estimates],
) -> dg.SensorResult | dg.SkipReason:
    """Notes what each new import is expected to cost. Starts nothing, asks nobody, pays nothing.

    Apart from `phase2_completion`: whoever switches that off, to start campaigns by hand, sees the price
    first, and an import is started in time where its estimate takes long or cannot be made.
    """
    due = [one for one in import_completed(database) if not _stands(context.instance, one)]
    if not due:
        return dg.SkipReason("Every import has its estimate.")
    made, why_not = reading(lambda: _made(due[:MOST_ESTIMATES_A_TICK], database, foresight))
    if not made:
        return dg.SkipReason(why_not)
    return dg.SensorResult(
        dynamic_partitions_requests=[campaigns.build_add_request([str(one.id) for one, _ in made])],
        asset_events=list(_announced(context.instance, made)),
    )


def _stands(instance: dg.DagsterInstance, campaign: Campaign) -> bool:
    """Until the import is noted again."""
    return is_estimate(newest(instance, str(campaign.id)))


def _announced(instance: dg.DagsterInstance, made: Sequence[Estimated]) -> Iterator[Event]:
    for campaign, forecast in made:
        yield from announced(instance, campaign, forecast)


async def _made(
    due: Sequence[Campaign], database: Database, foresight: Estimates
) -> tuple[list[Estimated], str]:
    """Up to the first that cannot be made, and why: what is in its way is in the way of the next."""
    made: list[Estimated] = []
    async with database.reading() as books:
        for campaign in due:
            try:
                made.append((campaign, await foresight.of(campaign.id, books)))
            except Phase3Error as failure:
                return made, f"No estimate of {campaign.name}: {failure}"
    return made, ""
