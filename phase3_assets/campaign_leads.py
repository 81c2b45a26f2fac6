"""The external asset upstream: the leads that phase 2 imported, and what its page tells of them."""

from collections.abc import Iterator

import dagster as dg

from phase3_assets.columns import OF_IMPORT, OWNERS, schema
from phase3_assets.metadata import ESTIMATE, of_forecast
from phase3_assets.partitions import campaigns
from phase3_core.forecast import Forecast
from phase3_core.leads import Campaign
from phase3_core.statuses import CampaignStatus

DATA_VERSION_TAG = "dagster/data_version"

Event = dg.AssetObservation | dg.AssetMaterialization

campaign_leads = dg.AssetSpec(
    "campaign_leads",
    partitions_def=campaigns,
    group_name="phase2",
    kinds={"postgres"},
    owners=OWNERS,
    metadata=schema(OF_IMPORT),
    description=(
        "The leads of a campaign as phase 2 wrote them to the table `leads`. Not made here: the sensor "
        "`phase2_completion` notes a new version when an import is complete, and the sensor `estimates` what "
        "is expected of it, before anything is started. `phase3 estimate` notes it anew at any time, and "
        "every run does, before its first paid call."
    ),
)


def imported(campaign: Campaign) -> tuple[dg.AssetObservation, dg.AssetMaterialization]:
    """Both, the observation first: only so is the partition green and its downstream stale when it should."""
    key, tags = str(campaign.id), _of_version(_version(campaign))
    metadata = {
        "campaign": dg.MetadataValue.text(campaign.name),
        "leads": dg.MetadataValue.int(campaign.leads),
        "dagster/row_count": dg.MetadataValue.int(campaign.leads),
    }
    return (
        dg.AssetObservation(campaign_leads.key, partition=key, metadata=metadata, tags=tags),
        dg.AssetMaterialization(campaign_leads.key, partition=key, metadata=metadata, tags=tags),
    )


def expected(instance: dg.DagsterInstance, key: str, forecast: Forecast) -> dg.AssetObservation:
    """What is expected of the leads makes them no other: it has the version that was seen last."""
    return _expected(key, forecast, _version_seen(newest(instance, key)))


def announced(instance: dg.DagsterInstance, campaign: Campaign, forecast: Forecast) -> Iterator[Event]:
    """What is expected of a campaign that may have no run yet, after the import where that is not noted: a
    partition's page shows what was observed since it was materialized.
    """
    key, version = str(campaign.id), _version(campaign)
    seen = _version_seen(newest(instance, key))
    if campaign.status is CampaignStatus.IMPORT_COMPLETE and seen != version:
        yield from imported(campaign)
        seen = version
    yield _expected(key, forecast, seen)


def newest(instance: dg.DagsterInstance, key: str) -> dg.AssetObservation | None:
    """What was observed last of a campaign's leads."""
    wanted = dg.AssetRecordsFilter(campaign_leads.key, asset_partitions=[key])
    records = instance.fetch_observations(wanted, limit=1).records
    return records[0].asset_observation if records else None


def is_estimate(observed: dg.AssetObservation | None) -> bool:
    return observed is not None and ESTIMATE in observed.metadata


def _expected(key: str, forecast: Forecast, version: str | None) -> dg.AssetObservation:
    return dg.AssetObservation(
        campaign_leads.key, partition=key, metadata=of_forecast(forecast), tags=_of_version(version)
    )


def _of_version(version: str | None) -> dict[str, str]:
    return {DATA_VERSION_TAG: version} if version else {}


def _version_seen(observed: dg.AssetObservation | None) -> str | None:
    return (observed.tags or {}).get(DATA_VERSION_TAG) if observed else None


def _version(campaign: Campaign) -> str:
    """A tag's value: letters, digits, dots and dashes."""
    completed = campaign.import_completed_at
    return f"{completed:%Y%m%dT%H%M%S.%f}-{campaign.leads}" if completed else str(campaign.leads)
