"""Dagster's in-process executor, whose runs leave a proof when their process is killed."""

from collections.abc import Iterator

from dagster._core.events import DagsterEvent
from dagster._core.execution.context.system import PlanOrchestrationContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.in_process import InProcessExecutor

from phase3_assets.living import living


class LivingExecutor(InProcessExecutor):
    def __init__(self) -> None:
        super().__init__(RetryMode.ENABLED)

    def execute(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Iterator[DagsterEvent]:
        with living(plan_context.run_id):
            yield from super().execute(plan_context, execution_plan)
