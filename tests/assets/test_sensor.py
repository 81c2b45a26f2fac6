from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from phase3_assets.jobs import MOST_TRIES, phase2_completion, waiting_leads
from phase3_core.errors import OutsideFailure
from phase3_core.leads import Campaign
from phase3_core.ports.campaigns import DueAgain
from phase3_core.statuses import CampaignStatus

IMPORTED = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)


@dataclass
class Waiting:
    """A database as far as the sensor looks: the imports that no run has claimed."""

    campaigns: list[Campaign]
    instance: dg.DagsterInstance = field(default_factory=dg.DagsterInstance.ephemeral)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Any]:
        yield SimpleNamespace(campaigns=self)

    async def import_completed(self) -> list[Campaign]:
        return self.campaigns

    def tick(self) -> dg.SensorResult | dg.SkipReason:
        with dg.build_sensor_context(instance=self.instance) as context:
            told = phase2_completion(context, database=self)
        assert isinstance(told, dg.SensorResult | dg.SkipReason)
        return told

    def requested(self) -> list[dg.RunRequest]:
        told = self.tick()
        return list(told.run_requests or []) if isinstance(told, dg.SensorResult) else []

    def start(self, requests: list[dg.RunRequest], status: dg.DagsterRunStatus) -> None:
        """What the daemon does with requests."""
        for request in requests:
            tags = {**request.tags, "dagster/run_key": str(request.run_key)}
            create_run_for_test(self.instance, job_name="phase3", tags=tags, status=status)


class Gone(Waiting):
    async def import_completed(self) -> list[Campaign]:
        raise OutsideFailure("Database 'x' at db: refused. Check DATABASE_URL.")


def imported(n: int) -> Campaign:
    completed = IMPORTED + timedelta(minutes=n)
    return Campaign(UUID(int=n), f"list {n}", CampaignStatus.IMPORT_COMPLETE, 40, completed)


def waiting(number: int) -> Waiting:
    return Waiting([imported(n) for n in range(1, number + 1)])


def test_nothing_to_do_is_said() -> None:
    told = waiting(0).tick()
    assert isinstance(told, dg.SkipReason)
    assert told.skip_message == "No import is waiting."


def test_a_completed_import_gets_a_partition_and_a_run() -> None:
    told = waiting(1).tick()
    assert isinstance(told, dg.SensorResult)
    (added,) = told.dynamic_partitions_requests or []
    assert (added.partitions_def_name, list(added.partition_keys)) == ("campaigns", [str(UUID(int=1))])
    (request,) = told.run_requests or []
    assert request.partition_key == str(UUID(int=1))
    assert request.run_key == f"phase3:{UUID(int=1)}:2026-11-02T09:31:00+00:00"
    assert request.tags["phase3/campaign"] == "list 1"


def test_the_import_is_observed_before_it_is_materialized() -> None:
    """Only in this order is the partition green and its downstream stale when it should."""
    told = waiting(1).tick()
    assert isinstance(told, dg.SensorResult)
    assert [type(event) for event in told.asset_events] == [dg.AssetObservation, dg.AssetMaterialization]
    for event in told.asset_events:
        assert isinstance(event, dg.AssetObservation | dg.AssetMaterialization)
        assert (event.asset_key, event.partition) == (dg.AssetKey("campaign_leads"), str(UUID(int=1)))
        assert (event.tags or {})["dagster/data_version"] == "20261102T093100.000000-40"
        shown = {name: of.value for name, of in event.metadata.items()}
        assert shown == {"campaign": "list 1", "leads": 40, "dagster/row_count": 40}


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.FAILURE])
def test_an_import_is_not_run_again_at_once_whatever_became_of_the_run(status: dg.DagsterRunStatus) -> None:
    office = waiting(2)
    office.start(office.requested(), status)
    assert office.requested() == []


def keys_of_failures(office: Waiting) -> list[str | None]:
    """Of runs that all fail, as long as the sensor requests another."""
    keys = []
    while requests := office.requested():
        office.start(requests, dg.DagsterRunStatus.FAILURE)
        keys += [one.run_key for one in requests]
    return keys


def test_an_import_whose_run_failed_before_it_began_is_tried_again_later_and_not_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("phase3_assets.jobs.FIRST_PAUSE", timedelta(0))
    keys = keys_of_failures(waiting(1))
    assert len(set(keys)) == len(keys) == MOST_TRIES


def test_an_import_that_is_tried_again_is_not_imported_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phase3_assets.jobs.FIRST_PAUSE", timedelta(0))
    office = waiting(1)
    office.start(office.requested(), dg.DagsterRunStatus.FAILURE)
    told = office.tick()
    assert isinstance(told, dg.SensorResult)
    assert (len(told.run_requests or ()), list(told.asset_events)) == (1, [])


def test_a_second_import_of_a_campaign_is_run_again() -> None:
    office = waiting(1)
    office.start(office.requested(), dg.DagsterRunStatus.SUCCESS)
    office.campaigns = [replace(imported(1), import_completed_at=IMPORTED + timedelta(days=1))]
    (again,) = office.requested()
    assert again.run_key == f"phase3:{UUID(int=1)}:2026-11-03T09:30:00+00:00"


def test_at_most_25_campaigns_start_at_once() -> None:
    office, sizes = waiting(60), []
    while requests := office.requested():
        sizes.append(len(requests))
        office.start(requests, dg.DagsterRunStatus.STARTED)
    assert sizes == [25, 25, 10]


def test_campaigns_whose_run_failed_do_not_crowd_out_new_ones() -> None:
    office = waiting(30)
    office.start(office.requested(), dg.DagsterRunStatus.FAILURE)
    assert [one.partition_key for one in office.requested()] == [str(UUID(int=n)) for n in range(26, 31)]


def test_a_campaign_without_a_time_of_import_is_run_too() -> None:
    (request,) = Waiting([replace(imported(1), import_completed_at=None)]).requested()
    assert request.run_key == f"phase3:{UUID(int=1)}:"


def test_a_database_that_is_gone_is_said_in_words() -> None:
    with pytest.raises(dg.Failure) as raised:
        Gone([]).tick()
    assert raised.value.description == "Database 'x' at db: refused. Check DATABASE_URL."


# Leads that wait


@dataclass
class DueLater(Waiting):
    """A database as far as the other sensor looks: campaigns whose leads can go on."""

    due: list[DueAgain] = field(default_factory=list)

    async def due_again(self) -> list[DueAgain]:
        return self.due

    def tick(self) -> dg.SensorResult | dg.SkipReason:
        with dg.build_sensor_context(instance=self.instance) as context:
            told = waiting_leads(context, database=self)
        assert isinstance(told, dg.SensorResult | dg.SkipReason)
        return told


def test_while_no_time_has_come_the_sensor_says_so() -> None:
    told = DueLater([]).tick()
    assert isinstance(told, dg.SkipReason)
    assert told.skip_message == "No lead is waiting for a time that has come."


def test_a_campaign_whose_leads_can_go_on_is_run_once_for_each_time_that_came() -> None:
    midnight = datetime(2026, 11, 3, tzinfo=UTC)
    campaign = replace(imported(1), status=CampaignStatus.VERIFICATION_COMPLETE)
    (first,) = DueLater([], due=[DueAgain(campaign, midnight)]).requested()
    (same,) = DueLater([], due=[DueAgain(campaign, midnight)]).requested()
    (later,) = DueLater([], due=[DueAgain(campaign, midnight + timedelta(days=1))]).requested()
    assert first.partition_key == str(UUID(int=1))
    assert first.run_key == same.run_key
    assert first.run_key != later.run_key


def due_later(count: int) -> DueLater:
    at_rest = [replace(imported(n), status=CampaignStatus.VERIFICATION_COMPLETE) for n in range(1, count + 1)]
    return DueLater([], due=[DueAgain(one, IMPORTED) for one in at_rest])


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELED])
def test_campaigns_whose_run_goes_on_or_was_cancelled_do_not_crowd_out_others(
    status: dg.DagsterRunStatus,
) -> None:
    office = due_later(30)
    office.start(office.requested(), status)
    assert [one.partition_key for one in office.requested()] == [str(UUID(int=n)) for n in range(26, 31)]


def test_a_run_that_failed_before_it_could_ask_is_tried_again_later_and_not_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    office = due_later(1)
    first = keys_of_failures(office)
    assert len(first) == 1  # not at once again

    monkeypatch.setattr("phase3_assets.jobs.FIRST_PAUSE", timedelta(0))
    keys = first + keys_of_failures(office)
    assert len(set(keys)) == len(keys) == MOST_TRIES


def test_what_starts_by_itself_is_run_as_the_campaigns_last_run_was() -> None:
    office, chosen = due_later(2), {"policy": {"config": {"force_continue": True}}}
    tags = {"dagster/partition": str(UUID(int=1))}
    config = {"resources": chosen, "loggers": {}}
    create_run_for_test(office.instance, job_name="phase3", tags=tags, run_config=config)
    create_run_for_test(office.instance, job_name="another", tags=tags)
    assert [one.run_config for one in office.requested()] == [{"resources": chosen}, {}]
