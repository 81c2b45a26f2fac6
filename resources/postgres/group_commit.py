"""Group commit: what many callers want written at once goes to the database in one statement."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST_AT_ONCE = 500


class GroupCommit(Generic[Item, Result]):
    """While one batch is on its way the next one gathers; an idle database adds no delay at all.

    `write` gets up to 500 items and returns one result for each, in order. If it raises, every caller of
    the batch gets the failure.
    """

    def __init__(self, write: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]]) -> None:
        self._write = write
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def __call__(self, item: Item) -> Result:
        """Cancelling the caller does not take back what it handed in."""
        done: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_all())
        return await done

    async def _write_all(self) -> None:
        await asyncio.sleep(0)  # callers that are ready now share the first batch
        while self._waiting:
            batch, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
            try:
                results = await self._write([item for item, _ in batch])
            except Exception as failure:  # noqa: BLE001 - handed on to every caller that waits for it
                _fail(batch, failure)
            else:
                _tell(batch, results)

    async def finish(self) -> None:
        """Returns when everything handed in has been written."""
        while self._writer is not None and not self._writer.done():
            await asyncio.wait([self._writer])


def _tell(batch: Sequence[tuple[Item, asyncio.Future[Result]]], results: Sequence[Result]) -> None:
    for (_, done), result in zip(batch, results, strict=True):
        if not done.done():
            done.set_result(result)


def _fail(batch: Sequence[tuple[Item, asyncio.Future[Result]]], failure: BaseException) -> None:
    for _, done in batch:
        if not done.done():
            done.set_exception(failure)
