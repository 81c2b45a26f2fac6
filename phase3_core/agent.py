"""What the three agents have in common: they hold the campaign, and leave a true status."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from phase3_core.compensation import Compensation, in_a_line, reason
from phase3_core.errors import StoppedAtThreshold, Superseded
from phase3_core.forecast import Forecast
from phase3_core.leads import Campaign
from phase3_core.policy import Policy, Threshold
from phase3_core.ports.books import Books, Database
from phase3_core.ports.checkpoints import Observer
from phase3_core.ports.clock import Clock
from phase3_core.ports.exporter import Exporter
from phase3_core.ports.providers import Skipped
from phase3_core.runs import Run
from phase3_core.saga import StepKind
from phase3_core.statuses import CANCELLED, UNDER_WAY, CampaignStatus
from phase3_core.summary import AgentSummary


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
