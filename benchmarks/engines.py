"""The same requests under engines that record each step by itself: dbos, and plain Dagster ops.

Each as its own documentation has it, on the PostgreSQL server that the ledger is measured on: a call is the
one step of a workflow of its own, as it is the one call of a lead of its own elsewhere; or an op of a
dynamically mapped job.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager

import dagster as dg

from resources.postgres.database import driver_url

Call = Callable[[int], Awaitable[None]]
IN_FLIGHT_OF_DBOS = 16  # it is slower with 256
QUIET = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}


@asynccontextmanager
async def with_dbos(url: str, call: Call) -> AsyncIterator[Call | None]:
    """`call` as a step that dbos records, in a workflow that it would take up again. None: not installed."""
    try:
        from dbos import DBOS  # noqa: PLC0415 - an extra: whoever has it not still measures the rest
    except ImportError:
        print("dbos is not measured: pip install 'phase3[bench]'")
        yield None
        return
    url = driver_url(url).render_as_string(hide_password=False)
    DBOS(config={"name": "phase3-bench", "system_database_url": url, "console_log_level": "WARNING"})
    step = DBOS.step(name="call")(call)

    async def lead(number: int) -> None:
        await step(number)

    workflow: Call = DBOS.workflow(name="lead")(lead)
    DBOS.launch()
    try:
        yield workflow
    finally:
        DBOS.destroy()


class Numbers(dg.Config):
    numbers: list[int]


@dg.op(out=dg.DynamicOut(int))
def leads(config: Numbers) -> Iterator[dg.DynamicOutput[int]]:
    for number in config.numbers:
        yield dg.DynamicOutput(number, str(number))


async def as_ops(call: Call, numbers: Sequence[int]) -> None:
    """One run of a job whose ops make the calls, one op each, recorded by the instance of the environment."""
    loop = asyncio.get_running_loop()

    async def made(number: int) -> None:
        await call(number)

    @dg.op
    def make_call(number: int) -> None:
        asyncio.run_coroutine_threadsafe(made(number), loop).result()

    @dg.job(executor_def=dg.in_process_executor)
    def calls() -> None:
        leads().map(make_call)

    def run() -> None:
        config = {**QUIET, "ops": {"leads": {"config": {"numbers": list(numbers)}}}}
        with dg.DagsterInstance.get() as instance:
            calls.execute_in_process(config, instance)

    await asyncio.to_thread(run)
