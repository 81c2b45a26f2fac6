"""The shell round a use case: who runs it, who is told of progress, what a cancel does."""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import current_thread, main_thread
from types import FrameType
from typing import Any, TypeVar
from uuid import UUID

import dagster as dg
from dagster_postgres.utils import DagsterPostgresException
from sqlalchemy.exc import DBAPIError

from phase3_assets.campaign_leads import expected
from phase3_assets.failures import campaign_key, told_to_dagster
from phase3_assets.loop import run as run_in_loop
from phase3_assets.partitions import CAMPAIGN_TAG
from phase3_core.agent import Surroundings
from phase3_core.forecast import Forecast
from phase3_core.policy import Policy
from phase3_core.ports.books import Database
from phase3_core.runs import Advance, Run
from phase3_core.statuses import Agent
from resources.clock import SystemClock

Result = TypeVar("Result")
FORETOLD = logging.getLogger("phase3.foretold")  # what a run tells first, for whoever started it from a shell


@dataclass(frozen=True, slots=True)
class Observations:
    """Progress as events of the asset, live in the UI; what Dagster cannot store is left out."""

    context: dg.AssetExecutionContext

    def __call__(self, advance: Advance) -> None:
        for alert in advance.alerts:
            self.context.log.warning("A budget is nearly spent: %s.", alert)
        observation = dg.AssetObservation(
            asset_key=self.context.asset_key,
            partition=self.context.partition_key,
            metadata={
                "leads_done": advance.done,
                "leads_total": advance.total,
                "spent_usd": float(round(advance.spent, 6)),
                **({"budget_alerts": list(advance.alerts)} if advance.alerts else {}),
            },
        )
        with suppress(DBAPIError, DagsterPostgresException):  # the next one tells all of it
            self.context.log_event(observation)

    def foretell(self, forecast: Forecast) -> None:
        """The first lines of the run, and on the page of what it works on."""
        for line in forecast.told:
            self.context.log.info(line)
            FORETOLD.info(line)
        for line in forecast.warnings:
            self.context.log.warning(line)
            FORETOLD.warning(line)
        with suppress(DBAPIError, DagsterPostgresException):
            leads = expected(self.context.instance, self.context.partition_key, forecast)
            self.context.log_event(leads)


def run_agent(
    context: dg.AssetExecutionContext,
    agent: Agent,
    policy: Policy,
    database: Database,
    use_case: Callable[[Run, Surroundings], Coroutine[Any, Any, Result]],
) -> Result:
    """Runs the use case in a loop of its own; a cancelled run settles what is in flight before it ends."""
    stop = Stop()

    async def working() -> Result:
        told = Observations(context)
        around = Surroundings(policy, SystemClock(), told, told.foretell)
        run = Run(context.run.run_id, UUID(campaign_key(context.partition_key)), agent)
        with stop.listening():
            await _name_run(context, database, run.campaign_id)
            return await use_case(run, around)

    with told_to_dagster():
        with suppress(asyncio.CancelledError):
            result = run_in_loop(working())
            if not stop.signals:
                return result
        if stop.wished:
            _note_wish(context)
        raise dg.DagsterExecutionInterruptedError


async def _name_run(context: dg.AssetExecutionContext, database: Database, campaign_id: UUID) -> None:
    """One that was started in the UI knows the campaign's id alone; raises UnknownCampaign."""
    if CAMPAIGN_TAG in context.run.tags:
        return
    async with database.reading() as books:
        campaign = await books.campaigns.campaign(campaign_id)
    with suppress(DBAPIError, DagsterPostgresException):  # the run is worth more than its name
        context.instance.add_run_tags(context.run.run_id, {CAMPAIGN_TAG: campaign.name})


@dataclass
class Stop:
    """A signal cancels the use case alone, so that calls in flight are left to finish and be recorded.

    Dagster's own handler would stop the loop and cancel everything at once. The first signal counts;
    later ones change nothing: what is in flight has a deadline of its own. They are noted as they come, and
    not by the loop, which would forget the one that comes as it ends.
    """

    signals: list[int] = field(default_factory=list)

    @property
    def wished(self) -> bool:
        """Somebody's wish: Ctrl-C, or terminate in the UI. A SIGTERM is a machine that shuts down."""
        return signal.SIGINT in self.signals[:1]

    @contextmanager
    def listening(self) -> Iterator[None]:
        if current_thread() is not main_thread():  # signals reach the main thread alone
            yield
            return
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

        def hear(number: int, _: FrameType | None) -> None:
            if task is not None and not self.signals:
                loop.call_soon_threadsafe(task.cancel)
            self.signals.append(number)

        for number in before:
            signal.signal(number, hear)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _note_wish(context: dg.AssetExecutionContext) -> None:
    """Ctrl-C ends a run CANCELED, as terminating it in the UI does; Dagster would file it as a crash."""
    run = context.instance.get_run_by_id(context.run.run_id)
    if run is not None and run.status is dg.DagsterRunStatus.STARTED:
        context.instance.report_run_canceling(run)


def reading(work: Callable[[], Awaitable[Result]]) -> Result:
    """A few queries from a check or a sensor, which Dagster calls synchronously."""

    async def looking() -> Result:
        return await work()

    with told_to_dagster():
        return asyncio.run(looking())
