"""Sensors that take back what a run left half done when its process could not do it itself.

The two on a run's end act within seconds. They see an end once, and none that came before they were first
switched on; so the third looks again and again for whatever is still open, until nothing is.
"""

import asyncio
from uuid import UUID

import dagster as dg

from phase3_assets.failures import told_to_dagster
from phase3_core.compensation import UNKNOWN_END, compensate_dead
from phase3_core.ports.books import Database
from phase3_core.ports.exporter import Exporter
from phase3_core.saga import Step
from phase3_core.statuses import CANCELLED

ON = dg.DefaultSensorStatus.RUNNING
OVER = (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)


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
    due = [step for step in _open_steps(database) if step.due and campaign_id in {None, step.campaign_id}]
    over = {run_id: why for run_id in {step.run_id for step in due} if (why := _ended(instance, run_id))}
    for run_id, why in over.items():
        take_back(database, exporter, run_id, why)
    return len(over)


def take_back(database: Database, exporter: Exporter, run_id: str, why: str) -> None:
    asyncio.run(compensate_dead(database, exporter, run_id, why))


def _open_steps(database: Database) -> list[Step]:
    async def look() -> list[Step]:
        async with database.reading() as books:
            return await books.saga.open_steps()

    return asyncio.run(look())


def _ended(instance: dg.DagsterInstance, run_id: str) -> str:
    """Why a run is over; empty while it goes on. One that Dagster has forgotten is over."""
    run = instance.get_run_by_id(run_id)
    if run is not None and run.status not in OVER:
        return ""
    return CANCELLED if run is not None and run.status is dg.DagsterRunStatus.CANCELED else UNKNOWN_END
