"""What the three agents have in common: hold the campaign, tell of progress, leave a true status."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

from phase3_core.compensation import Compensation, in_a_line, reason
from phase3_core.errors import StoppedAtThreshold, Superseded
from phase3_core.flow import in_window
from phase3_core.forecast import Forecast
from phase3_core.leads import Campaign, Lead
from phase3_core.money import Money
from phase3_core.policy import Policy, Threshold
from phase3_core.ports.books import Books, Database
from phase3_core.ports.checkpoints import Observer
from phase3_core.ports.clock import Clock
from phase3_core.ports.exporter import Exporter
from phase3_core.ports.leads import LeadPosition
from phase3_core.ports.providers import Providers, Skipped
from phase3_core.runs import Advance, Milestones, Run
from phase3_core.saga import StepKind
from phase3_core.statuses import CANCELLED, UNDER_WAY, CampaignStatus
from phase3_core.summary import AgentSummary, cost_of
from phase3_core.waiting import Wait, WaitingRoom, until

PAGE = 500  # leads read at once
BATCH = 250  # results written at once, and their progress with them
AT_WORK = "in_progress"


def nobody_is_told(forecast: Forecast) -> None:
    del forecast


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every agent is given besides its books: policy, time, who is told of plans and of progress."""

    policy: Policy
    clock: Clock
    observe: Observer
    foretell: Callable[[Forecast], None] = nobody_is_told


@dataclass(frozen=True, slots=True)
class Shift:
    """One agent at work on one campaign, from opening the books to closing them."""

    run: Run
    books: Books
    campaign: Campaign
    around: Surroundings
    began: float
    resumed_from: int

    async def summary(self, skipped: Sequence[Skipped], worked_on: int, threshold: Threshold) -> AgentSummary:
        """Read from the books, so that it tells of all runs of this agent; the duration is this run's."""
        counts = await self.books.campaigns.counts(self.run.campaign_id)
        policy = self.around.policy
        return AgentSummary(
            agent=self.run.agent,
            campaign_name=self.campaign.name,
            counts=counts,
            spend=await self.books.campaigns.spend(self.run.campaign_id),
            skipped=tuple(skipped),
            duration_s=self.around.clock.monotonic() - self.began,
            worked_on=worked_on,
            resumed_from=self.resumed_from,
            shortfall="" if policy.force_continue else threshold.shortfall(counts, policy.thresholds),
            waiting=await self.books.checkpoints.waiting(self.run.campaign_id),
            budgets=await self.books.budgets.of(self.run.campaign_id),
        )

    async def alerts(self) -> tuple[str, ...]:
        """Budgets that have come near their caps, each told once: here, and in the audit log."""
        campaign_id, alert_at = self.run.campaign_id, self.around.policy.alert_at
        near = await self.books.budgets.newly_near(campaign_id, alert_at)
        for budget in near:
            await self.books.campaigns.audit(campaign_id, "budget_alert", budget.as_json())
        return tuple(budget.told for budget in near)

    async def begin(self, status: CampaignStatus) -> None:
        """On to `status`, for as long as the agent works."""
        await self.note_steps(status)
        await self.books.campaigns.move(self.run.campaign_id, status)

    async def note_steps(self, status: CampaignStatus) -> None:
        """What every agent does: it works on the campaign in `status`, and it asks vendors."""
        moved = {"before": await self._at_rest(), "moved_to": status}
        undo: dict[StepKind, Mapping[str, Any]] = {StepKind.STATUS: moved}
        await self.books.saga.note(self.run, undo | {StepKind.RESERVATIONS: {}, StepKind.JOBS: {}})

    async def _at_rest(self) -> str:
        """What the campaign was before whoever left it under way: an earlier agent, or a run that died."""
        if self.campaign.status in UNDER_WAY:
            for move in await self.books.saga.last_moves():
                if move.campaign_id == self.campaign.id:
                    return str(move.undo["before"])
        return self.campaign.status

    async def conclude(self, status: CampaignStatus, summary: AgentSummary) -> None:
        """On to `status`, or stopped where the summary falls short of a threshold; it stays done."""
        to = CampaignStatus.STOPPED if summary.shortfall else status
        why = summary.shortfall or summary.partial
        await self.books.campaigns.move(self.run.campaign_id, to, why, ends=self.run)


@asynccontextmanager
async def on_shift(
    run: Run, database: Database, around: Surroundings, exporter: Exporter | None = None
) -> AsyncIterator[Shift]:
    """What the agent has begun when the body breaks is taken back before the campaign is let go."""
    began = around.clock.monotonic()
    async with database.open(run) as books:
        campaign = await books.campaigns.campaign(run.campaign_id)
        resumed_from = await books.checkpoints.earlier_runs(run)
        await books.leads.suppress_listed(run.campaign_id)
        try:
            yield Shift(run, books, campaign, around, began, resumed_from)
        except Superseded:
            raise
        except BaseException as failure:
            undoing = Compensation(books, exporter, why_failed(failure)).of(run.id)
            with suppress(Exception):  # the failure itself is to be told; whoever looks later tries again
                await asyncio.shield(undoing)
            raise


async def refuse_below(shift: Shift, threshold: Threshold) -> None:
    """Raises StoppedAtThreshold. A blocking check only guards its own run, so thresholds are read again."""
    policy = shift.around.policy
    counts = await shift.books.campaigns.counts(shift.run.campaign_id)
    if (why := threshold.shortfall(counts, policy.thresholds)) and not policy.force_continue:
        raise StoppedAtThreshold(why)


def why_failed(failure: BaseException) -> str:
    """One line for `status_reason`."""
    if isinstance(failure, Exception):
        return reason(in_a_line(failure))
    cancelled = isinstance(failure, asyncio.CancelledError | KeyboardInterrupt)
    return reason(CANCELLED if cancelled else type(failure).__name__)


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
