"""The price of a campaign on the page of its leads, before anything is started."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import dagster as dg
import pytest
from dagster_postgres.utils import DagsterPostgresException

from phase3_assets import announcing
from phase3_assets.announcing import announce
from phase3_assets.campaign_leads import DATA_VERSION_TAG, Event, imported
from phase3_assets.estimates import MOST_ESTIMATES_A_TICK, estimates
from phase3_assets.jobs import phase2_completion
from phase3_core.errors import NothingUsable, OutsideFailure
from phase3_core.forecast import Forecast
from phase3_core.leads import Campaign
from phase3_core.statuses import CampaignStatus
from tests.assets.test_planning import foreseen
from tests.assets.test_sensor import IMPORTED

LEADS = dg.AssetKey("campaign_leads")
SPRING = Campaign(UUID(int=1), "Spring", CampaignStatus.IMPORT_COMPLETE, 40, IMPORTED)


@dataclass
class Office:
    """Imports that no run has claimed, and who foresees their cost, but of nobody in `unusable`."""

    campaigns: Sequence[Campaign] = (SPRING,)
    unusable: Sequence[Campaign] = ()
    instance: dg.DagsterInstance = field(default_factory=dg.DagsterInstance.ephemeral)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Any]:
        yield SimpleNamespace(campaigns=self)

    async def import_completed(self) -> list[Campaign]:
        return list(self.campaigns)

    async def of(self, campaign_id: UUID, _books: object) -> Forecast:
        if campaign_id in {one.id for one in self.unusable}:
            raise NothingUsable("No usable finder, so nothing was spent.")
        return foreseen()

    def tick(self) -> list[Event]:
        """What the daemon then stores."""
        told = self.told()
        assert isinstance(told, dg.SensorResult)
        assert not told.run_requests
        (added,) = told.dynamic_partitions_requests or []
        self.instance.add_dynamic_partitions("campaigns", list(added.partition_keys))
        return self.store(told)

    def told(self) -> dg.SensorResult | dg.SkipReason:
        with dg.build_sensor_context(instance=self.instance) as context:
            told = estimates(context, database=self, foresight=self)
        assert isinstance(told, dg.SensorResult | dg.SkipReason)
        return told

    def import_is_noted(self) -> None:
        with dg.build_sensor_context(instance=self.instance) as context:
            told = phase2_completion(context, database=self)
        assert isinstance(told, dg.SensorResult)
        self.store(told)

    def store(self, told: dg.SensorResult) -> list[Event]:
        events = [one for one in told.asset_events if not isinstance(one, dg.AssetCheckEvaluation)]
        for event in events:
            self.instance.report_runless_asset_event(event)
        return events

    def page(self) -> list[dg.AssetObservation]:
        """Of the first campaign, oldest first."""
        wanted = dg.AssetRecordsFilter(LEADS, asset_partitions=[str(SPRING.id)])
        records = self.instance.fetch_observations(wanted, limit=100, ascending=True).records
        return [one for record in records if (one := record.asset_observation)]


def versions(events: Sequence[Event]) -> set[str | None]:
    return {(event.tags or {}).get(DATA_VERSION_TAG) for event in events}


def test_a_new_import_shows_its_price_and_nothing_is_started() -> None:
    events = (office := Office()).tick()
    assert [type(event) for event in events] == [
        dg.AssetObservation,
        dg.AssetMaterialization,
        dg.AssetObservation,
    ]
    assert "5,000 a day" in str(events[-1].metadata["estimate"].value)
    assert versions(events) == versions(imported(SPRING))
    assert office.instance.get_dynamic_partitions("campaigns") == [str(SPRING.id)]
    assert office.instance.get_runs() == []


def test_an_estimate_stands_until_its_import_is_noted_anew() -> None:
    office = Office()
    office.tick()
    told = office.told()
    assert isinstance(told, dg.SkipReason)
    assert told.skip_message == "Every import has its estimate."
    office.import_is_noted()
    (estimate,) = office.tick()
    assert "estimate" in estimate.metadata
    assert versions([estimate]) == versions(imported(SPRING))


def test_where_nobody_may_be_asked_the_tick_says_why() -> None:
    told = Office(unusable=[SPRING]).told()
    assert isinstance(told, dg.SkipReason)
    assert told.skip_message == "No estimate of Spring: No usable finder, so nothing was spent."


def test_what_cannot_be_foreseen_keeps_nobodys_estimate_before_it_back() -> None:
    autumn = replace(SPRING, id=UUID(int=2), name="Autumn")
    assert {event.partition for event in Office([SPRING, autumn], [autumn]).tick()} == {str(SPRING.id)}


def test_many_imports_get_their_estimates_in_several_ticks() -> None:
    office = Office([replace(SPRING, id=UUID(int=n)) for n in range(1, MOST_ESTIMATES_A_TICK + 3)])
    first, second = office.tick(), office.tick()
    assert len({event.partition for event in first}) == MOST_ESTIMATES_A_TICK
    assert len({event.partition for event in second}) == 2


# Asked for in a shell


@pytest.fixture
def office(monkeypatch: pytest.MonkeyPatch) -> Office:
    office = Office()
    monkeypatch.setattr(announcing, "opened", lambda: nullcontext(office.instance))
    return office


def test_an_estimate_from_a_shell_is_on_the_page_of_a_campaign_that_nobody_started(office: Office) -> None:
    told: list[str] = []
    announce(SPRING, foreseen(), told.append)
    announce(SPRING, foreseen(), told.append)
    assert told == []
    assert ["estimate" in one.metadata for one in office.page()] == [False, True, True]
    assert office.instance.has_dynamic_partition("campaigns", str(SPRING.id))


def test_an_estimate_of_what_has_run_makes_the_leads_no_other_version(office: Office) -> None:
    """Else everything that was made of them would look stale."""
    first, _ = imported(SPRING)
    office.instance.report_runless_asset_event(first)
    later = replace(SPRING, status=CampaignStatus.ENRICHED, leads=39)
    announce(later, foreseen(), lambda _: None)
    assert versions(office.page()) == versions([first])


@contextmanager
def away(failure: Exception) -> Iterator[None]:
    raise failure
    yield


@pytest.mark.parametrize(
    "failure", [OutsideFailure("Dagster's records cannot be opened."), DagsterPostgresException("too many")]
)
def test_where_dagsters_records_are_away_one_line_says_so(
    failure: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announcing, "opened", lambda: away(failure))
    told: list[str] = []
    announce(SPRING, foreseen(), told.append)
    (line,) = told
    assert line.startswith("The Dagster UI does not show this estimate")
    assert "\n" not in line
