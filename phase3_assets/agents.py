"""The shell round a use case: who runs it, who is told of progress, what a cancel does."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import dagster as dg

from phase3_assets.failures import campaign_key, told_to_dagster
from phase3_core.agent import Surroundings
from phase3_core.policy import Policy
from phase3_core.ports import Advance, Run
from phase3_core.statuses import Agent
from resources.clock import SystemClock

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Observations:
    """Progress as events of the asset, live in the UI."""

    context: dg.AssetExecutionContext

    def __call__(self, advance: Advance) -> None:
        observation = dg.AssetObservation(
            asset_key=self.context.asset_key,
            partition=self.context.partition_key,
            metadata={
                "leads_done": advance.done,
                "leads_total": advance.total,
                "spent_usd": float(round(advance.spent, 6)),
            },
        )
        self.context.log_event(observation)


def run_agent(
    context: dg.AssetExecutionContext,
    agent: Agent,
    policy: Policy,
    use_case: Callable[[Run, Surroundings], Coroutine[Any, Any, Result]],
) -> Result:
    """Runs the use case in a loop of its own; a cancelled run settles what is in flight before it ends."""

    async def working() -> Result:
        around = Surroundings(policy, SystemClock(), Observations(context))
        run = Run(context.run.run_id, UUID(campaign_key(context.partition_key)), agent)
        with _cancelling(asyncio.current_task()):
            return await use_case(run, around)

    with told_to_dagster():
        try:
            return asyncio.run(working())
        except asyncio.CancelledError:
            raise dg.DagsterExecutionInterruptedError from None


@contextmanager
def _cancelling(task: asyncio.Task[Any] | None) -> Iterator[None]:
    """A signal cancels the use case alone: calls in flight are left to finish and be recorded.

    Dagster's own handler would stop the loop and cancel everything at once.
    """
    loop = asyncio.get_running_loop()
    caught = []
    if task is not None:
        with suppress(RuntimeError, ValueError):  # signals reach the main thread alone
            for number in (signal.SIGINT, signal.SIGTERM):
                before = signal.getsignal(number)
                loop.add_signal_handler(number, task.cancel)
                caught.append((number, before))
    try:
        yield
    finally:
        for number, before in caught:
            loop.remove_signal_handler(number)
            signal.signal(number, before)


def reading(work: Callable[[], Awaitable[Result]]) -> Result:
    """A few queries from a check or a sensor, which Dagster calls synchronously."""

    async def looking() -> Result:
        return await work()

    with told_to_dagster():
        return asyncio.run(looking())
