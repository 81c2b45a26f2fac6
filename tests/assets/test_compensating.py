"""The sensors that take back what a run left."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from phase3_assets.compensating import cancelled_runs, failed_runs, open_compensations
from phase3_assets.definitions import defs
from phase3_core.compensation import KEPT
from phase3_core.runs import Run
from phase3_core.saga import StepKind
from phase3_core.statuses import Agent
from resources.postgres.database import PostgresDatabase
from tests.conftest import Made, MakeCampaign
from tests.fakes.exporter import FakeExporter

Query = Callable[..., list[dict[str, Any]]]
Status = dg.DagsterRunStatus


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def campaign(make_campaign: MakeCampaign) -> Made:
    return make_campaign(status="verifying_emails")


async def died(database_url: str, campaign: Made, run_id: str) -> None:
    """A run that left the campaign at work and its process gone."""
    run = Run(run_id, campaign.id, Agent.EMAIL_VERIFICATION)
    moved = {"before": "import_complete", "moved_to": "verifying_emails"}
    async with PostgresDatabase(database_url).open(run) as books:
        await books.saga.note(run, {StepKind.STATUS: moved})


def resources(database_url: str) -> dict[str, Any]:
    return {"database": PostgresDatabase(database_url), "exporter": FakeExporter()}


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (Status.FAILURE, f"the process ended before it could say why; {KEPT}"),
        (Status.CANCELED, f"cancelled; {KEPT}"),
    ],
)
def test_a_run_that_is_over_is_taken_back_however_late_somebody_looks(
    database_url: str,
    campaign: Made,
    query: Query,
    instance: dg.DagsterInstance,
    status: dg.DagsterRunStatus,
    reason: str,
) -> None:
    run = create_run_for_test(instance, job_name="phase3", status=status)
    asyncio.run(died(database_url, campaign, run.run_id))
    with dg.build_sensor_context(instance=instance) as context:
        open_compensations(context, **resources(database_url))
    (row,) = query("SELECT status, status_reason FROM campaigns")
    assert row == {"status": "phase3_failed", "status_reason": reason}


def test_a_run_that_goes_on_is_not_taken_back(
    database_url: str,
    campaign: Made,
    query: Query,
    instance: dg.DagsterInstance,
) -> None:
    run = create_run_for_test(instance, job_name="phase3", status=Status.STARTED)
    asyncio.run(died(database_url, campaign, run.run_id))
    with dg.build_sensor_context(instance=instance) as context:
        open_compensations(context, **resources(database_url))
    assert query("SELECT status FROM campaigns") == [{"status": "verifying_emails"}]


def test_the_sensors_are_on() -> None:
    for sensor in (failed_runs, cancelled_runs, open_compensations):
        found = defs.resolve_sensor_def(sensor.name)
        assert found.default_status is dg.DefaultSensorStatus.RUNNING
