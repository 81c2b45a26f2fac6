"""An agent's leads: read by the page, worked on side by side, their results written in batches behind."""

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

from phase3_core.agent import Shift
from phase3_core.flow import in_window
from phase3_core.leads import Lead
from phase3_core.money import Money
from phase3_core.ports.leads import LeadPosition
from phase3_core.ports.providers import Providers
from phase3_core.runs import Advance, Milestones
from phase3_core.summary import cost_of
from phase3_core.waiting import Wait, WaitingRoom, until

PAGE = 500  # leads read at once
BATCH = 250  # results written at once, and their progress with them
AT_WORK = "in_progress"


class Worked(Protocol):
    """What was done for one lead; `waits` where it could not be finished now."""

    @property
    def waits(self) -> Sequence[Wait]: ...


Item = TypeVar("Item")
Result = TypeVar("Result", bound=Worked)


@dataclass
class ResultsBehind(Generic[Result]):
    """Results are written in batches behind the flow; what a crash loses the ledger answers again.

    `total` is the leads of this run, `apart` what the campaign has cost besides this agent's calls, USD.
    """

    shift: Shift
    save: Callable[[UUID, Sequence[Result]], Awaitable[None]]
    providers: Providers
    total: int
    apart: Money
    milestones: Milestones
    done: int = 0
    unfinished: int = 0
    waiting: list[Result] = field(default_factory=list)
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)
    room: WaitingRoom = field(default_factory=WaitingRoom)

    async def add(self, result: Result) -> None:
        """One batch after another: what is written is always what was decided first."""
        self.room.add(result.waits)
        self.unfinished += bool(result.waits)
        self.waiting.append(result)
        if len(self.waiting) >= BATCH:
            async with self.writing:
                if len(self.waiting) >= BATCH:
                    await self.write()

    async def turns_again(self) -> bool:
        """Whether the leads that wait are worth another turn; if so, they count as not done."""
        awaited = {one.wait.provider for one in self.room.told()}
        if not awaited - {wait.provider for wait in self.providers.away}:
            return False
        await self.write_rest()
        self.done -= self.unfinished
        self.unfinished, self.room = 0, WaitingRoom()
        return True

    async def write_rest(self) -> None:
        while len(self.waiting) > BATCH:
            await self.write()
        await self.write()

    async def write(self, status: str = AT_WORK) -> None:
        """A batch, then one checkpoint row rewritten, and where it is worth one an observation."""
        await self._save_batch()
        run = self.shift.run
        alerts = await self.shift.alerts()
        spent = await self.shift.books.campaigns.spent(run.campaign_id) - self.apart
        advance = Advance(run.agent, self.done, self.total, spent, alerts)
        data = {"spent_usd": str(advance.spent), **self._waiting(status)}
        await self.shift.books.checkpoints.save(run, "leads", status, advance, data)
        if status != AT_WORK or self.milestones.passed(advance, self.shift.around.clock.monotonic()):
            self.shift.around.observe(advance)

    def _waiting(self, status: str) -> dict[str, Any]:
        """A run that is broken off before anybody waits leaves those waiting whom the last one left so."""
        waiting = self.room.told()
        if status == AT_WORK and not waiting:
            return {}
        again = until(waiting)
        told = {"waiting": [one.as_json() for one in waiting]}
        return told | {"waiting_until": again.isoformat() if again else None}

    async def _save_batch(self) -> None:
        """A batch whose writing is cut short waits again, for the last write of the run."""
        batch, self.waiting = self.waiting[:BATCH], self.waiting[BATCH:]
        if not batch:
            return
        try:
            await self.save(self.shift.run.campaign_id, batch)
        except BaseException:
            self.waiting = [*batch, *self.waiting]
            raise
        self.done += len(batch)


async def results_behind(
    shift: Shift,
    save: Callable[[UUID, Sequence[Result]], Awaitable[None]],
    providers: Providers,
    total: int,
) -> ResultsBehind[Result]:
    """What the agent's calls have cost so far is read from the ledger once; then its sum is followed."""
    run, campaigns = shift.run, shift.books.campaigns
    so_far = cost_of(await campaigns.spend(run.campaign_id), run.agent)
    apart = await campaigns.spent(run.campaign_id) - so_far
    milestones = Milestones(shift.around.clock.monotonic())
    return ResultsBehind(shift, save, providers, total, apart, milestones)


async def worked_through(
    items: Callable[[], AsyncIterable[Item]],
    work: Callable[[Item], Awaitable[None]],
    behind: ResultsBehind[Result],
) -> int:
    """Leads done. What was decided before a failure or a cancel is written down on the way out.

    Leads that wait have one more turn where somebody whom they wait for may be asked by the end.
    """
    width = behind.shift.around.policy.leads_in_flight
    try:
        await in_window(items(), work, width)
        if await behind.turns_again():
            await in_window(items(), work, width)
    finally:
        await asyncio.shield(behind.write_rest())
    await behind.write("completed")
    return behind.done


def position(lead: Lead) -> LeadPosition:
    return LeadPosition(lead.tier, lead.score, lead.id)
