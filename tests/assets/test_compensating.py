"""The sensors that take back what a run left."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import dagster as dg
import pytest
from dagster._core.events import DagsterEvent
from dagster._core.test_utils import create_run_for_test

from phase3_assets.compensating import cancelled_runs, failed_runs, open_compensations
from phase3_assets.definitions import defs
from phase3_assets.executing import LivingExecutor
from phase3_assets.partitions import PARTITION_TAG
from phase3_core.compensation import KEPT, NOT_BEGUN
from phase3_core.runs import Run
from phase3_core.saga import StepKind
from phase3_core.statuses import Agent, CampaignStatus, shown
from resources.postgres.database import PostgresDatabase
from tests.conftest import Made, MakeCampaign
from tests.fakes.exporter import FakeExporter

Query = Callable[..., list[dict[str, Any]]]
Status = dg.DagsterRunStatus
MOVED = {"before": "import_complete", "moved_to": "verifying_emails"}
LONG_AGO, IN_THE_FUTURE = datetime(2020, 1, 1, tzinfo=UTC), datetime(2999, 1, 1, tzinfo=UTC)


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
    async with PostgresDatabase(database_url).open(run) as books:
        await books.saga.note(run, {StepKind.STATUS: MOVED})


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


async def handed_over(database_url: str, campaign: Made, run_id: str) -> None:
    """The first agent of a run has completed, and the next has not begun."""
    run = Run(run_id, campaign.id, Agent.EMAIL_VERIFICATION)
    async with PostgresDatabase(database_url).open(run) as books:
        await books.saga.note(run, {StepKind.STATUS: MOVED})
        await books.campaigns.move(campaign.id, CampaignStatus.EMAILS_VERIFIED, ends=run)


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (Status.CANCELED, ("phase3_failed", f"cancelled; {KEPT}")),
        (Status.FAILURE, ("phase3_failed", f"the process ended before it could say why; {KEPT}")),
        (Status.STARTED, ("emails_verified", None)),
        (Status.SUCCESS, ("emails_verified", None)),
        (None, ("emails_verified", None)),
    ],
    ids=["cancelled", "failed", "at work", "was to go no further", "forgotten"],
)
def test_a_campaign_that_waits_for_the_next_agent_of_a_run_that_is_over_is_put_right_by_whoever_looks(
    database_url: str,
    campaign: Made,
    query: Query,
    instance: dg.DagsterInstance,
    status: dg.DagsterRunStatus | None,
    told: tuple[str, str | None],
) -> None:
    run = create_run_for_test(instance, job_name="phase3", status=status or Status.SUCCESS)
    asyncio.run(handed_over(database_url, campaign, run.run_id))
    if status is None:
        instance.delete_run(run.run_id)
    with dg.build_sensor_context(instance=instance) as context:
        open_compensations(context, **resources(database_url))
    (row,) = query("SELECT status, status_reason FROM campaigns")
    assert (row["status"], row["status_reason"]) == told


async def taken_by_another(database_url: str, campaign: Made) -> None:
    """Which ends before it moves anything."""
    async with PostgresDatabase(database_url).open(Run("another", campaign.id, Agent.EMAIL_VERIFICATION)):
        pass


def test_what_was_left_to_a_successor_that_did_nothing_is_put_right_also_when_dagster_has_forgotten_the_run(
    database_url: str, campaign: Made, query: Query, instance: dg.DagsterInstance
) -> None:
    asyncio.run(died(database_url, campaign, "forgotten"))
    asyncio.run(taken_by_another(database_url, campaign))
    query("UPDATE saga_steps SET state = 'compensated'")
    with dg.build_sensor_context(instance=instance) as context:
        open_compensations(context, **resources(database_url))
    assert query("SELECT status FROM campaigns") == [{"status": "phase3_failed"}]


@dg.op
def an_agent_and_then_a_signal(context: dg.OpExecutionContext) -> None:
    """Of a process that was told to end when the agent had completed."""
    campaign = Made(UUID(context.run.tags[PARTITION_TAG]), ())
    asyncio.run(handed_over(os.environ["DATABASE_URL"], campaign, context.run_id))
    signal.raise_signal(signal.SIGINT)


@dg.job(executor_def=dg.ExecutorDefinition.hardcoded_executor(LivingExecutor()))
def interrupted() -> None:
    an_agent_and_then_a_signal()


def test_the_process_of_a_run_that_is_interrupted_between_two_agents_puts_its_campaign_right(
    database_url: str,
    campaign: Made,
    query: Query,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("PHASE3_STATE_DIR", str(tmp_path))
    tags = {PARTITION_TAG: str(campaign.id)}
    with dg.execute_job(dg.reconstructable(interrupted), instance, tags=tags) as done:
        assert not done.success
    (row,) = query("SELECT status, status_reason FROM campaigns")
    assert row == {"status": "phase3_failed", "status_reason": f"cancelled; {KEPT}"}


def a_run_of(instance: dg.DagsterInstance, campaign: Made, status: dg.DagsterRunStatus) -> dg.DagsterRun:
    tags = {PARTITION_TAG: str(campaign.id)}
    run: dg.DagsterRun = create_run_for_test(instance, job_name="phase3", status=status, tags=tags)
    return run


def its_end_is_seen(database_url: str, instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """As the sensor on cancelled runs sees it."""
    context = dg.build_run_status_sensor_context(
        "cancelled_runs", DagsterEvent("PIPELINE_CANCELED", "phase3"), instance, run
    )
    cancelled_runs(context, **resources(database_url))


BEFORE_IT_BEGAN = {"status": "phase3_failed", "status_reason": NOT_BEGUN}
AS_IT_WAS = {"status": "import_complete", "status_reason": None}


@pytest.mark.parametrize(
    ("other", "imported_at", "told"),
    [
        (None, LONG_AGO, BEFORE_IT_BEGAN),
        (Status.SUCCESS, LONG_AGO, BEFORE_IT_BEGAN),
        (Status.NOT_STARTED, LONG_AGO, AS_IT_WAS),
        (None, IN_THE_FUTURE, AS_IT_WAS),
    ],
    ids=["alone", "after another", "another waits for its turn", "imported anew since"],
)
def test_an_import_whose_run_was_cancelled_in_the_queue_is_cancelled(
    database_url: str,
    make_campaign: MakeCampaign,
    query: Query,
    instance: dg.DagsterInstance,
    other: dg.DagsterRunStatus | None,
    imported_at: datetime,
    told: dict[str, str | None],
) -> None:
    campaign = make_campaign(import_completed_at=imported_at)
    if other is not None:
        a_run_of(instance, campaign, other)
    run = a_run_of(instance, campaign, Status.CANCELED)
    its_end_is_seen(database_url, instance, run)
    assert query("SELECT status, status_reason FROM campaigns") == [told]
    assert people_read(told) == ("cancelled" if told is BEFORE_IT_BEGAN else "import_complete")


def people_read(row: dict[str, str | None]) -> str:
    return shown(row["status"] or "", row["status_reason"] or "")


def test_a_campaign_that_is_at_rest_says_what_it_said_when_a_further_run_is_cancelled_in_the_queue(
    database_url: str, make_campaign: MakeCampaign, query: Query, instance: dg.DagsterInstance
) -> None:
    campaign = make_campaign(status="verification_complete", status_reason="8 leads wait")
    its_end_is_seen(database_url, instance, a_run_of(instance, campaign, Status.CANCELED))
    (row,) = query("SELECT status, status_reason FROM campaigns")
    assert row == {"status": "verification_complete", "status_reason": "8 leads wait"}


def test_the_sensors_are_on() -> None:
    for sensor in (failed_runs, cancelled_runs, open_compensations):
        found = defs.resolve_sensor_def(sensor.name)
        assert found.default_status is dg.DefaultSensorStatus.RUNNING
