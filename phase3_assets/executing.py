"""Dagster's in-process executor, whose runs leave a proof when their process is killed, and nothing half done
when they are interrupted.
"""

from collections.abc import Iterator
from contextlib import suppress

from dagster import DagsterExecutionInterruptedError
from dagster._core.events import DagsterEvent
from dagster._core.execution.context.system import PlanOrchestrationContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.in_process import InProcessExecutor

from phase3_assets.compensating import take_back_here
from phase3_assets.heeding import end_if_cancelled, hear
from phase3_assets.living import living


class LivingExecutor(InProcessExecutor):
    def __init__(self) -> None:
        super().__init__(RetryMode.ENABLED)

    def execute(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Iterator[DagsterEvent]:
        run_id = plan_context.run_id
        with living(run_id):
            hear()
            try:
                end_if_cancelled(plan_context.instance, run_id)
                yield from super().execute(plan_context, execution_plan)
            except (KeyboardInterrupt, DagsterExecutionInterruptedError):
                with suppress(Exception):  # the interrupt itself is to be told; the sensors try again
                    take_back_here(run_id)
                raise
