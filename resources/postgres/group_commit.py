"""Group commit: what many callers want written at once goes to the database in one statement."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST_AT_ONCE = 500
MANY = 4  # in one batch: then more are on their way
GATHER_S = 0.004  # a statement costs the same CPU for four calls as for forty


def _never(_: Exception) -> bool:
    return False


def _forget(_item: Any, _result: Any) -> None:
    pass


class GroupCommit(Generic[Item, Result]):
    """While one batch is on its way the next one gathers; who comes alone is not delayed at all.

    Where many come, the next batch has a few ms more (`gather_s`), for a statement has its price.

    `write` gets up to 500 items and returns one result for each, in order. If it raises, every caller of
    the batch gets the failure and the next batch is written. A failure after which surely nothing is
    written (`is_refusal`) halves the batch instead, until only the culprit's caller gets it.
    `unclaimed` gets what was written for a caller that was cancelled meanwhile.
    """

    def __init__(
        self,
        write: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        is_refusal: Callable[[Exception], bool] = _never,
        unclaimed: Callable[[Item, Result], None] = _forget,
        gather_s: float = GATHER_S,
    ) -> None:
        self._write = write
        self._is_refusal = is_refusal
        self._unclaimed = unclaimed
        self._gather_s = gather_s
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def __call__(self, item: Item) -> Result:
        """Cancelling the caller does not take back what it handed in."""
        done = self.hand_in(item)
        try:
            return await done
        except asyncio.CancelledError:
            if done.done() and not done.cancelled() and done.exception() is None:
                self._unclaimed(item, done.result())  # it was told, but cancelled before it could hear
            raise

    def hand_in(self, item: Item) -> asyncio.Future[Result]:
        """For those who need not wait."""
        done: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        self._start()
        return done

    def _start(self) -> asyncio.Task[None]:
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_all())
        return self._writer

    async def finish(self) -> None:
        """Returns when everything handed in has been written, or its caller has the failure."""
        while self._waiting or (self._writer is not None and not self._writer.done()):
            await asyncio.wait([self._start()])

    async def _write_all(self) -> None:
        await asyncio.sleep(0)  # callers that are ready now share the first batch
        while self._waiting:
            batch, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
            await self._commit(batch)
            if len(batch) >= MANY and len(self._waiting) < MOST_AT_ONCE:
                await asyncio.sleep(self._gather_s)

    async def _commit(self, batch: Sequence[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            self._tell(batch, await self._write([item for item, _ in batch]))
        except asyncio.CancelledError:
            for _, done in batch:
                done.cancel()
            raise
        except Exception as failure:  # noqa: BLE001 - handed on to every caller that waits for it
            if len(batch) == 1 or not self._is_refusal(failure):
                _fail(batch, failure)
                return
            half = len(batch) // 2
            await self._commit(batch[:half])
            await self._commit(batch[half:])

    def _tell(self, batch: Sequence[tuple[Item, asyncio.Future[Result]]], results: Sequence[Result]) -> None:
        for (item, done), result in zip(batch, results, strict=True):
            if done.cancelled():
                self._unclaimed(item, result)
            else:
                done.set_result(result)


def _fail(batch: Sequence[tuple[Item, asyncio.Future[Result]]], failure: Exception) -> None:
    for _, done in batch:
        if not done.done():
            done.set_exception(failure)
