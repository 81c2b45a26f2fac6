"""An estimate that was asked for in a shell, on the page of `campaign_leads` in the Dagster UI too."""

from collections.abc import Callable

from dagster_postgres.utils import DagsterPostgresException
from sqlalchemy.exc import DBAPIError

from phase3_assets.campaign_leads import announced
from phase3_assets.instance import opened
from phase3_assets.partitions import campaigns
from phase3_core.errors import Phase3Error
from phase3_core.forecast import Forecast
from phase3_core.leads import Campaign


def announce(campaign: Campaign, forecast: Forecast, tell: Callable[[str], None]) -> None:
    """Where Dagster's records are away the estimate was told all the same, and `tell` says so."""
    try:
        _announce(campaign, forecast)
    except Phase3Error as failure:
        tell(f"The Dagster UI does not show this estimate. {failure}")
    except (DBAPIError, DagsterPostgresException) as failure:
        tell(f"The Dagster UI does not show this estimate: its records broke off ({type(failure).__name__}).")


def _announce(campaign: Campaign, forecast: Forecast) -> None:
    with opened() as instance:
        instance.add_dynamic_partitions(str(campaigns.name), [str(campaign.id)])
        for event in announced(instance, campaign, forecast):
            instance.report_runless_asset_event(event)
