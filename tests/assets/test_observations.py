from io import StringIO
from typing import Any

import dagster as dg
import pytest
from dagster_postgres.utils import DagsterPostgresException
from rich.console import Console
from sqlalchemy.exc import OperationalError

from phase3_assets.agents import Observations
from phase3_assets.campaign_leads import DATA_VERSION_TAG
from phase3_assets.running import foretold
from phase3_core.money import usd
from phase3_core.rate_limits import Allowed
from phase3_core.runs import Advance
from phase3_core.statuses import Agent
from tests.assets.office import KEY, Office, an_office, people


class NowhereToStore:
    """An asset's context while Dagster's own database is away."""

    asset_key = "verified_emails"
    partition_key = "campaign"

    def __init__(self, failure: Exception) -> None:
        self.failure = failure

    def log_event(self, _event: object) -> None:
        raise self.failure


def observe(failure: Exception) -> None:
    context: Any = NowhereToStore(failure)
    Observations(context)(Advance(Agent.EMAIL_VERIFICATION, 1, 2, usd(0)))


@pytest.mark.parametrize(
    "failure", [DagsterPostgresException("too many retries"), OperationalError("INSERT", {}, OSError())]
)
def test_progress_that_cannot_be_stored_stops_no_run(failure: Exception) -> None:
    observe(failure)


def test_any_other_failure_is_told() -> None:
    with pytest.raises(ZeroDivisionError):
        observe(ZeroDivisionError())


# What a run expects, told before it begins

LEADS = dg.AssetKey("campaign_leads")


def on_the_page_of_the_leads(office: Office) -> list[dg.AssetObservation]:
    """Oldest first."""
    wanted = dg.AssetRecordsFilter(LEADS, asset_partitions=[KEY])
    records = office.instance.fetch_observations(wanted, limit=100, ascending=True).records
    return [one for record in records if (one := record.asset_observation)]


def test_the_estimate_and_its_warning_stand_before_the_first_call_is_asked() -> None:
    office, paper = an_office(people(3)), StringIO()
    office.source.allowed = {"tomba": Allowed(per_day=1)}
    stood: list[tuple[list[str], list[dg.AssetObservation]]] = []

    async def look() -> None:
        stood.append((paper.getvalue().splitlines(), on_the_page_of_the_leads(office)))

    office.source.pause = look
    with foretold(Console(file=paper)):
        office.materialize(["verified_emails"])
    lines, (estimate,) = stood[0]
    assert office.database.bills.rows
    assert lines[0].startswith("3 leads wait for an address")
    assert lines[-1].startswith("tomba: about 3 look-ups")
    assert "1 a day are allowed: 3 days." in lines[-1]
    assert estimate.metadata["expected_days"].value == 3
    assert "1 a day are allowed" in str(estimate.metadata["estimate"].value)


def test_where_nothing_is_left_to_do_nothing_is_foretold() -> None:
    office, paper = an_office(people(3)), StringIO()
    office.materialize()
    with foretold(Console(file=paper)):
        office.materialize(["verified_emails"])
    assert paper.getvalue() == ""
    assert len(on_the_page_of_the_leads(office)) == 1


def test_an_estimate_makes_the_leads_no_other_version() -> None:
    """Else everything that was made of them would look stale."""
    office, version = an_office(people(3)), {DATA_VERSION_TAG: "20261102T093000-3"}
    office.instance.report_runless_asset_event(dg.AssetObservation(LEADS, partition=KEY, tags=version))
    office.materialize(["verified_emails"])
    imported, estimate = on_the_page_of_the_leads(office)
    assert estimate.metadata.keys() > imported.metadata.keys()
    assert (estimate.tags or {})[DATA_VERSION_TAG] == "20261102T093000-3"
