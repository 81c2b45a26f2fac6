"""Sensors that take back what a run left half done when its process could not do it itself.

The two on a run's end act within seconds. They see an end once, and none that came before they were first
switched on; so the third looks again and again for whatever is still open, and for campaigns whose last run
is over and that are not at rest, until nothing is left.
"""

import asyncio
import os
from uuid import UUID

import dagster as dg

from phase3_assets.failures import told_to_dagster
from phase3_assets.partitions import PARTITION_TAG, campaign_of
from phase3_assets.workplace import DATABASE_URL
from phase3_core.compensation import UNKNOWN_END, called_off, compensate_dead
from phase3_core.ports.books import Database
from phase3_core.ports.exporter import Exporter
from phase3_core.saga import Step, StepState
from phase3_core.statuses import CANCELLED
from resources.exports.campaign_exports import usual_exporter
from resources.postgres.database import PostgresDatabase
from resources.settings import read_settings, settings_path

ON = dg.DefaultSensorStatus.RUNNING
OVER = {dg.DagsterRunStatus.FAILURE: UNKNOWN_END, dg.DagsterRunStatus.CANCELED: CANCELLED}


@dg.run_failure_sensor(minimum_interval_seconds=15, default_status=ON)
def failed_runs(
    context: dg.RunFailureSensorContext,
    database: dg.ResourceParam[Database],
    exporter: dg.ResourceParam[Exporter],
) -> None:
    """Takes back what a failed run began, where the run has not done so itself."""
    with told_to_dagster():
        take_back(database, exporter, context.dagster_run.run_id, UNKNOWN_END)


@dg.run_status_sensor(run_status=dg.DagsterRunStatus.CANCELED, minimum_interval_seconds=15, default_status=ON)
def cancelled_runs(
    context: dg.RunStatusSensorContext,
    database: dg.ResourceParam[Database],
    exporter: dg.ResourceParam[Exporter],
) -> None:
    """The same for a cancelled run, of which a failure sensor hears nothing."""
    with told_to_dagster():
        take_back(database, exporter, context.dagster_run.run_id, CANCELLED)
        if campaign_id := campaign_of(context.dagster_run):
            call_off(context.instance, database, campaign_id)


@dg.sensor(minimum_interval_seconds=30, default_status=ON)
def open_compensations(
    context: dg.SensorEvaluationContext,
    database: dg.ResourceParam[Database],
    exporter: dg.ResourceParam[Exporter],
) -> dg.SkipReason:
    """Tries again what could not be taken back, and what nobody has tried."""
    with told_to_dagster():
        over = take_back_what_is_over(context.instance, database, exporter)
    return dg.SkipReason(f"Tried {over} runs." if over else "Nothing is waiting to be taken back.")


def take_back_what_is_over(
    instance: dg.DagsterInstance, database: Database, exporter: Exporter, campaign_id: UUID | None = None
) -> int:
    """How many runs were tried: of one campaign, or of all."""
    due = [step for step in _left(database) if campaign_id in {None, step.campaign_id}]
    by_run = {step.run_id: step for step in due}
    over = {run_id: why for run_id, step in by_run.items() if (why := _why_over(instance, step))}
    for run_id, why in over.items():
        take_back(database, exporter, run_id, why)
    return len(over)


def take_back(database: Database, exporter: Exporter, run_id: str, why: str) -> None:
    asyncio.run(compensate_dead(database, exporter, run_id, why))


def take_back_here(run_id: str) -> None:
    """In the process of a run that was interrupted: between two agents none was at work to do it."""
    if url := os.environ.get(DATABASE_URL):
        exporter = usual_exporter(read_settings(settings_path()))
        take_back(PostgresDatabase(url), exporter, run_id, CANCELLED)


def call_off(instance: dg.DagsterInstance, database: Database, campaign_id: UUID) -> None:
    """Says of an import whose newest run was cancelled before it began that nobody starts it any more.

    Unless another run of the campaign still waits for its turn.
    """
    runs = instance.get_run_records(dg.RunsFilter(tags={PARTITION_TAG: str(campaign_id)}))
    newest = next(iter(runs), None)
    if newest is None or newest.dagster_run.status is not dg.DagsterRunStatus.CANCELED:
        return
    if all(one.dagster_run.is_finished for one in runs):
        asyncio.run(called_off(database, campaign_id, newest.create_timestamp))


def _left(database: Database) -> list[Step]:
    """Steps that are due; and moves of campaigns that are under way, though nobody may go on with them."""

    async def look() -> list[Step]:
        async with database.reading() as books:
            due = [step for step in await books.saga.open_steps() if step.due]
            return [*await books.saga.last_moves(), *due]

    return asyncio.run(look())


def _why_over(instance: dg.DagsterInstance, step: Step) -> str:
    """Why the step's run is over; empty while it goes on, and where it came to a good end.

    One that Dagster has forgotten is over, and what it has kept it may have kept for good.
    """
    run = instance.get_run_by_id(step.run_id)
    if run is None:
        return "" if step.state is StepState.KEPT else UNKNOWN_END
    return OVER.get(run.status, "")
