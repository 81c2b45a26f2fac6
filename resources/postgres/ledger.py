"""The call ledger on PostgreSQL: one row a call, intents and outcomes written by group commit.

All times are the database's. A row belongs to whoever's INSERT or UPDATE won, so two processes never
both make a call; `attempt` tells whose outcome arrives. Rows move

    intent -> settled        answered, or refused with nothing in doubt
    intent -> unknown        the attempt was lost, or refused while an earlier one is in doubt
    unknown -> intent        asked again, if the replay class allows; so are refused calls
    unknown -> settled       the lost answer came after all; so for an intent whose predecessor answers

and an answer never changes any more. The bill is `cost_usd`, plus `reserved_usd` while the row is an
intent, plus `unknown_usd`: the ceilings of the lost attempts whose outcome nobody knows. A job that the
vendor has taken is one attempt, however often its result is read. Who asks last owns the row's money.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from phase3_core.budget import Caps
from phase3_core.calls import AfterLoss, LostCall, after_loss
from phase3_core.errors import Superseded
from phase3_core.ledger import (
    FIRST_EPOCH,
    Elsewhere,
    End,
    Granted,
    Intent,
    Opened,
    Outcome,
    OverBudget,
    Paid,
    Stored,
    Submitted,
    Suppressed,
    Withheld,
    key,
    question_of,
)
from phase3_core.money import Money
from phase3_core.runs import Run
from resources.postgres.admission import Admissions, Refusal
from resources.postgres.budgets import PostgresBudgets
from resources.postgres.group_commit import GroupCommit
from resources.postgres.ledger_batches import LedgerBatches
from resources.postgres.ledger_rows import Admitted, Asking, Row, paid
from resources.postgres.ledger_sql import BOOK_AS_LOST, OTHERS_RETURN, PAID, STILL_HELD
from resources.postgres.outage import Outage
from resources.postgres.owners import Owners


class PostgresLedger:
    """Implements `CallLedger` for one run.

    `fence` is that of the run's lease on its campaign: without it nothing is granted any more. Outcomes
    are taken from everybody: what was paid for is kept.
    """

    def __init__(
        self,
        run: Run,
        ttl_s: float,
        engine: AsyncEngine,
        fence: int | None = None,
        outage: Outage | None = None,
        caps: Caps | None = None,
    ) -> None:
        self._run = run
        self._ttl_s = ttl_s
        self._budgets = PostgresBudgets(engine, outage)
        self._caps = caps or Caps()
        self._admissions = Admissions(self._caps)
        self._opening: asyncio.Future[None] | None = None
        away = outage or Outage()
        self._owners = Owners(engine, away)
        self._batches = LedgerBatches(run, ttl_s, engine, fence, away, self._admissions)

    async def find(self, intent: Intent) -> Stored | None:
        row = await self._batches.newest(intent.question)
        return self._stored(intent, row) if row is not None and row.answered and row.fresh else None

    async def recall(self, intent: Intent) -> Stored | None:
        row = await self._batches.newest(intent.question)
        return self._stored(intent, row) if row is not None and row.answered else None

    def _stored(self, intent: Intent, row: Row) -> Stored:
        if row.outcome == End.HIT:
            self._admissions.found(intent)
        return Stored(row.key, row.http_status or 200, row.response, row.settled_at, paid(intent, row))

    def spent_up(self, intent: Intent) -> OverBudget | None:
        return self._admissions.spent_up(intent)

    def stop_buying(self, scope: str) -> None:
        self._admissions.stop(scope)

    def done_with(self, lead_id: UUID) -> None:
        self._admissions.promises.drop(lead_id)

    async def glance(self, intent: Intent) -> Stored | Elsewhere | Submitted | None:
        row = await self._batches.newest(intent.question)
        if row is None:
            return None
        if row.answered:
            return self._stored(intent, row) if row.fresh else None
        if await self._others(row):
            return Elsewhere()
        return Submitted() if row.job_id is not None and row.state != "settled" else None

    async def paid(self, leads: Sequence[UUID]) -> dict[UUID, Paid]:
        values = {"leads": list(leads), "agent": self._run.agent.value, "ttl_s": self._ttl_s}
        calls: defaultdict[UUID, dict[bytes, Money]] = defaultdict(dict)
        standing: defaultdict[UUID, set[bytes]] = defaultdict(set)
        for lead_id, call, usd, stands in await self._batches.rows(PAID, values):
            calls[lead_id][call] = usd
            if stands:
                standing[lead_id].add(question_of(call))
        return {lead_id: Paid(costs, frozenset(standing[lead_id])) for lead_id, costs in calls.items()}

    async def open(self, intent: Intent) -> Opened:
        """A fresh question costs one statement; only one asked before is looked at closer.

        Raises Superseded where another run has taken the campaign.
        """
        self._admissions.asks(intent)
        over = self._admissions.stopped(intent)
        return over if over and await self.glance(intent) is None else await self._opened(intent)

    async def _opened(self, intent: Intent) -> Opened:
        first = Asking(intent, key(intent.question, FIRST_EPOCH))
        admitted = await self._admitted(self._batches.intend, first)
        if admitted is True:
            return Granted(first.key)
        if isinstance(admitted, OverBudget | Suppressed):
            return admitted
        row = await self._batches.newest(intent.question)
        if row is None:
            return await self._elsewhere()
        if row.answered:
            return self._stored(intent, row) if row.fresh else await self._ask_anew(intent, row)
        if row.state == "settled":
            return await self._ask_again(intent, row, booked=0)  # refused: the same call, at no cost so far
        return await self._after_silence(intent, row)

    async def _admitted(
        self, write: GroupCommit[Asking, Admitted], asking: Asking
    ) -> bool | Suppressed | OverBudget:
        """What filled the budget may have come back since: only what no grant preceded is for good."""
        while True:
            grants, in_flight = self._batches.grants, self._batches.in_flight
            result = await write(asking)
            if isinstance(result, bool | Suppressed):
                return result
            if result.scope is not None:
                in_flight = in_flight or self._batches.in_flight or grants != self._batches.grants
                return await self._over(asking.intent, result, in_flight=in_flight)
            await self._know_the_budgets()

    async def _know_the_budgets(self) -> None:
        """Somebody has set a first cap, or a day has begun: its calls are counted once for all who ask."""
        self._admissions.needed = True
        if not self._caps.daily:
            return
        if self._opening is None or self._opening.done():
            opening = self._budgets.open_day(self._run.campaign_id, self._caps.daily)
            self._opening = asyncio.ensure_future(opening)
        await asyncio.shield(self._opening)

    async def _over(self, intent: Intent, refusal: Refusal, *, in_flight: bool) -> OverBudget:
        returns = in_flight or (not refusal.for_good and await self._others_return(refusal))
        over = self._admissions.over(intent, refusal, in_flight=returns)
        if over.for_good:  # told each time, for the cap may have changed since; the others are `spent_up`
            await self._budgets.refused(over.scope)
        return over

    async def _others_return(self, refusal: Refusal) -> bool:
        """Calls of other campaigns fill a provider's day as well, and what they do not cost comes back."""
        return await self._batches.rows(OTHERS_RETURN, {"scope": refusal.scope}) == [(True,)]

    async def _ask_anew(self, intent: Intent, row: Row) -> Opened:
        epoch = int.from_bytes(row.key[len(intent.question) :], "big") + 1
        asking = Asking(intent, key(intent.question, epoch))
        admitted = await self._admitted(self._batches.intend, asking)
        if isinstance(admitted, OverBudget | Suppressed):
            return admitted
        return Granted(asking.key) if admitted else await self._elsewhere()

    async def _elsewhere(self) -> Elsewhere:
        """Another was quicker, unless this run may ask for nothing any more."""
        if await self._batches.rows(STILL_HELD, self._batches.lease) != [(True,)]:
            raise Superseded(str(self._run.campaign_id))
        return Elsewhere()

    async def _after_silence(self, intent: Intent, row: Row) -> Opened:
        """An intent is another run's call in flight, or it was lost; lost calls follow their replay class.

        What may not be asked again is a new question once its answer would be stale.
        """
        in_flight = row.state == "intent"
        if await self._others(row):
            return Elsewhere()
        lost = LostCall(row.asked_at, row.losses + in_flight, has_job=row.job_id is not None)
        match after_loss(lost, intent.replay, intent.replay_window, row.now):
            case AfterLoss.LEAVE:
                if in_flight:
                    lost_row = {"key": row.key, "attempt": row.attempt, "lost_after": row.lost_after}
                    await self._batches.rows(BOOK_AS_LOST, lost_row | self._batches.lease)
                if row.stale:
                    return await self._ask_anew(intent, row)
                return Withheld(row.key, paid(intent, row, int(in_flight)))
            case AfterLoss.ASK_AGAIN:
                return await self._ask_again(intent, row, booked=int(in_flight))
            case AfterLoss.READ_JOB:
                return await self._ask_again(intent, row, booked=in_flight - 1)

    async def _others(self, row: Row) -> bool:
        """In flight, and whoever asked lives."""
        if row.state != "intent" or self._predecessor(row) or self._owners.too_late(row.overdue_s):
            return False
        return not await self._owners.gone(row.campaign_id, row.run_id)

    def _predecessor(self, row: Row) -> bool:
        """This run holds the campaign, so an earlier run of it is dead."""
        return row.campaign_id == self._run.campaign_id and row.run_id != self._run.id

    async def _ask_again(self, intent: Intent, row: Row, *, booked: int) -> Opened:
        has_job = row.job_id is not None
        asking = Asking(intent, row.key, row.attempt + 1, row, booked, has_job)
        claimed = await self._admitted(self._batches.claim, asking)
        if isinstance(claimed, OverBudget | Suppressed):
            return claimed
        if not claimed:
            return await self._elsewhere()
        return Granted(row.key, row.job_id, paid(intent, row, booked), row.reserved if has_job else None)

    async def note_job(self, call: bytes, job_id: str) -> None:
        await self._batches.note_job(call, job_id)

    async def drop_job(self, call: bytes) -> bool:
        return await self._batches.drop_job(call)

    async def settle(self, outcome: Outcome) -> None:
        await self._batches.settle(outcome)

    async def close(self) -> None:
        """Everything handed in is committed when this returns; what was cancelled hands in outcomes."""
        await self._batches.close()


@asynccontextmanager
async def ledger(
    engine: AsyncEngine,
    run: Run,
    ttl_s: float,
    fence: int | None = None,
    outage: Outage | None = None,
    caps: Caps | None = None,
) -> AsyncIterator[PostgresLedger]:
    """What was handed in is committed before the way out, also for one who is cancelled meanwhile.

    `caps` hold from now on for the campaign, and for providers today; without any nothing changes.
    """
    if caps is not None:
        await PostgresBudgets(engine, outage).open(run.campaign_id, caps)
    book = PostgresLedger(run, ttl_s, engine, fence, outage, caps)
    try:
        yield book
    finally:
        closing = asyncio.ensure_future(book.close())
        try:
            await asyncio.shield(closing)
        except asyncio.CancelledError:
            await closing  # a second cancellation gives up
            raise
