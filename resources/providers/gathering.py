"""Questions that gather before they leave together; each keeps its own row, price and outcome."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from phase3_core.ledger import CallLedger, Granted, Intent, Opened
from resources.providers.gate import Gate
from resources.providers.naps import Naps
from resources.providers.request import Request
from resources.providers.response import Response

LONGEST_OPENING_S = 15.0  # of a batch; half of what its deadline leaves beside the vendor's own time


class Alone(Exception):
    """The question is asked by itself. `said`: what the vendor said to the batch; None: nothing left.

    `billed`: it may be on the bill of a batch whose answer leaves open which part is its own.
    """

    def __init__(self, why: str, said: Response | None = None, *, billed: bool = False) -> None:
        super().__init__(why)
        self.said = said
        self.billed = billed


def _future() -> asyncio.Future[Any]:
    return asyncio.get_running_loop().create_future()


@dataclass(eq=False, slots=True)
class Member:
    """A question that waits for its batch; once `opened` is a grant, `sent` tells of the batch."""

    intent: Intent
    request: Request
    opened: asyncio.Future[Opened] = field(default_factory=_future)
    sent: asyncio.Future[Any] = field(default_factory=_future)


@dataclass(eq=False)
class Gathering:
    """One operation's questions of one run, `least` to `size` in a batch, after `linger_s` at the latest.

    `row`: what a question is to the vendor; two of one row never share a batch. `submit` gets those that
    are granted, by their keys, and tells every one what became of it. A batch's rows are opened just before
    it leaves, so what gathers has not been asked. Once `naps` are over, nothing is submitted any more.
    """

    least: int
    size: int
    linger_s: float
    row: Callable[[Request], str]
    ledger: CallLedger
    gate: Gate
    parked: Callable[[], str]
    naps: Naps
    submit: Callable[[dict[bytes, Member]], Awaitable[None]]
    unwanted: str = ""  # why the vendor takes no batches
    monotonic: Callable[[], float] = monotonic

    def __post_init__(self) -> None:
        self._gathering: list[Member] = []
        self._timer: asyncio.Task[None] | None = None
        self._working: set[asyncio.Task[None]] = set()

    def join(self, intent: Intent, request: Request) -> Member:
        """Raises Alone once the vendor has refused a batch as such."""
        if self.unwanted:
            raise Alone(self.unwanted)
        member = Member(intent, request)
        self._gathering.append(member)
        if len(self._gathering) >= self.size:
            self._depart()
        else:
            self._timer = self._timer or asyncio.create_task(self._linger())
        return member

    async def _linger(self) -> None:
        await self.naps(self.linger_s)
        self._timer = None
        self._depart()

    def _depart(self) -> None:
        """Of two that are one row to the vendor the second goes with the next batch."""
        batch: dict[str, Member] = {}
        later = [one for one in self._gathering if batch.setdefault(self.row(one.request), one) is not one]
        if self._timer:
            self._timer.cancel()
        self._gathering = later
        self._timer = asyncio.create_task(self._linger()) if later else None
        self._start(self._serve(list(batch.values())))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    async def _serve(self, batch: list[Member]) -> None:
        if len(batch) < self.least:
            fail((one.opened for one in batch), Alone("too few for a batch"))
            return
        try:
            await self._together(batch)
        except Exception as failure:  # noqa: BLE001 - handed on to everyone whose question is not opened
            fail((one.opened for one in batch), failure)

    async def _together(self, batch: list[Member]) -> None:
        """Raises what the gate does (QuotaSpent, a database that is gone) before anything is opened."""
        async with self.gate.place() as moment:
            if why := self.parked() or self.unwanted:
                fail((one.opened for one in batch), Alone(why))
            else:
                began = self.monotonic()
                fresh = await self._open(batch)
                if await self._leaves(fresh, self.monotonic() - began):
                    return
            self.gate.not_asked(moment)

    async def _open(self, batch: list[Member]) -> dict[bytes, Member]:
        """Those whose submission is granted, by their keys; the others are told what the ledger says."""
        opened = await asyncio.gather(*map(self._opened, batch))
        granted = zip(opened, batch, strict=True)
        return {one.key: member for one, member in granted if isinstance(one, Granted) and not one.job_id}

    async def _opened(self, member: Member) -> Opened | None:
        try:
            opened = await self.ledger.open(member.intent)
        except Exception as failure:  # noqa: BLE001 - handed on to whoever asked
            member.opened.set_exception(failure)
            return None
        member.opened.set_result(opened)
        return opened

    async def _leaves(self, fresh: dict[bytes, Member], opening_s: float) -> bool:
        """Whether there was anything to submit, and time enough left before the first grant's deadline."""
        waiting = [member.sent for member in fresh.values()]
        too_late = opening_s > LONGEST_OPENING_S
        if too_late or len(fresh) < max(1, self.least):
            fail(waiting, Alone("its batch was opened too slowly" if too_late else "too few for a batch"))
            return False
        try:
            await self.submit(fresh)
        except Exception as failure:  # noqa: BLE001 - handed on to everyone who waits for the batch
            fail(waiting, failure)
        return True


def fail(waiting: Iterable[asyncio.Future[Any]], failure: Exception) -> None:
    """Whoever has been told already keeps that."""
    for one in waiting:
        if not one.done():
            one.set_exception(failure)
