"""The sensors that take back what a run left, and the launcher that sees that it is dead."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import dagster as dg
import pytest
from dagster._core.launcher.base import WorkerStatus
from dagster._core.test_utils import create_run_for_test

from phase3_assets.compensating import cancelled_runs, failed_runs, open_compensations
from phase3_assets.definitions import defs
from phase3_assets.launcher import BEFORE_THE_FIRST_S, BETWEEN_ASSETS_S, LeaseRunLauncher
from phase3_core.compensation import KEPT
from phase3_core.runs import Run
from phase3_core.saga import StepKind
from phase3_core.statuses import Agent
from resources.postgres.database import PostgresDatabase
from resources.postgres.lease import Standing
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


def standing(run_id: str = "run", fence: int = 1, *, held: bool = False) -> Standing:
    return Standing(run_id, fence, held)


def test_a_run_is_dead_when_its_lock_stays_free() -> None:
    launcher = LeaseRunLauncher()
    assert not launcher.seems_dead("run", standing(), 0.0)
    assert not launcher.seems_dead("run", standing(), BETWEEN_ASSETS_S - 1)
    assert launcher.seems_dead("run", standing(), BETWEEN_ASSETS_S)


def test_a_run_between_two_assets_is_alive_at_every_look() -> None:
    launcher = LeaseRunLauncher()
    for fence in range(5):
        assert not launcher.seems_dead("run", standing(fence=fence), fence * 100.0)


def test_a_run_that_holds_its_campaign_is_alive() -> None:
    launcher = LeaseRunLauncher()
    for now in (0.0, 100.0, 200.0):
        assert not launcher.seems_dead("run", standing(), now)
        assert not launcher.seems_dead("run", standing(held=True), now + 1)


@pytest.mark.parametrize("found", [None, standing("another", held=True)])
def test_a_run_that_has_just_started_gets_the_time_to_take_its_campaign(found: Standing | None) -> None:
    launcher = LeaseRunLauncher()
    assert not launcher.seems_dead("run", found, 0.0)
    assert not launcher.seems_dead("run", found, BEFORE_THE_FIRST_S - 1)
    assert launcher.seems_dead("run", found, BEFORE_THE_FIRST_S)


@pytest.mark.parametrize("key", [{}, {"dagster/partition": "2026-11-22"}])
def test_nothing_is_known_of_other_peoples_runs(
    monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance, key: dict[str, str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/nowhere")
    run = create_run_for_test(instance, job_name="another", tags=key)
    assert LeaseRunLauncher().check_run_worker_health(run).status is WorkerStatus.RUNNING


def test_without_a_database_to_ask_nobody_is_declared_dead(
    monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/nowhere")
    run = create_run_for_test(instance, job_name="phase3", tags={"dagster/partition": str(uuid4())})
    told = LeaseRunLauncher().check_run_worker_health(run)
    assert told.status is WorkerStatus.RUNNING
    assert "nowhere" in str(told.msg)
