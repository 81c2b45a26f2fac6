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
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from secrets import randbits
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import class_row
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from phase3_core.budget import Caps
from phase3_core.calls import AfterLoss, LostCall, after_loss
from phase3_core.errors import Superseded
from phase3_core.ledger import (
    FIRST_EPOCH,
    LAST_EPOCH,
    Elsewhere,
    End,
    Granted,
    Intent,
    Opened,
    Outcome,
    OverBudget,
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
from resources.postgres.ledger_rows import (
    Admitted,
    Asking,
    Ending,
    Row,
    as_refusal,
    as_seen,
    calls,
    outcomes,
    paid,
    questions,
    without_response,
)
from resources.postgres.ledger_sql import (
    BOOK_AS_LOST,
    CLAIM,
    DROP_JOB,
    GRANTED,
    INTEND,
    INTEND_WITHIN_CAPS,
    NEWEST,
    NOTE_JOB,
    OTHERS_RETURN,
    PAID,
    SETTLE,
    SETTLE_LATE,
    STILL_HELD,
)
from resources.postgres.line import Line, is_refusal
from resources.postgres.outage import Outage
from resources.postgres.owners import Owners


class PostgresLedger:
    """Implements `CallLedger` for one run. Three connections: intents, outcomes, everything else.

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
        self._budgets = PostgresBudgets(engine, outage)
        self._caps = caps or Caps()
        self._admissions = Admissions(self._caps)
        self._grants = self._reserving = 0
        self._told: set[str] = set()
        self._opening: asyncio.Future[None] | None = None
        self._lease = {"campaign_id": run.campaign_id, "fence": fence}
        self._ttl_s = ttl_s
        away = outage or Outage()
        self._owners = Owners(engine, away)
        self._intending, self._settling, self._rest = (Line(engine, away) for _ in range(3))
        self._lines = self._intending, self._settling, self._rest
        self._granted: dict[bytes, Asking] = {}
        self._intend = GroupCommit(self._write_intents, is_refusal, self._give_back)
        self._claim = GroupCommit(self._write_claims, is_refusal, self._give_back)
        self._newest = GroupCommit(self._read_newest)
        self._note = GroupCommit(self._write_jobs, is_refusal)
        self._settle = GroupCommit(self._write_outcomes, is_refusal, self._settle_unheard)
        self._settle_late = GroupCommit(self._write_late, is_refusal)

    async def find(self, intent: Intent) -> Stored | None:
        row = await self._newest(intent.question)
        return self._stored(intent, row) if row is not None and row.answered and row.fresh else None

    async def recall(self, intent: Intent) -> Stored | None:
        row = await self._newest(intent.question)
        return self._stored(intent, row) if row is not None and row.answered else None

    def _stored(self, intent: Intent, row: Row) -> Stored:
        if row.outcome == End.HIT:
            self._admissions.found(intent)
        return Stored(row.http_status or 200, row.response, row.settled_at, paid(intent, row))

    def spent_up(self, intent: Intent) -> OverBudget | None:
        return self._admissions.spent_up(intent)

    def stop_buying(self, scope: str) -> None:
        self._admissions.stop(scope)

    def done_with(self, lead_id: UUID) -> None:
        self._admissions.promises.drop(lead_id)

    async def glance(self, intent: Intent) -> Stored | Elsewhere | Submitted | None:
        row = await self._newest(intent.question)
        if row is None:
            return None
        if row.answered:
            return self._stored(intent, row) if row.fresh else None
        if await self._others(row):
            return Elsewhere()
        return Submitted() if row.job_id is not None and row.state != "settled" else None

    async def paid(self, leads: Sequence[UUID]) -> dict[UUID, dict[bytes, Money]]:
        values = {"leads": list(leads), "agent": self._run.agent.value}
        found: defaultdict[UUID, defaultdict[bytes, Money]] = defaultdict(lambda: defaultdict(Money))
        for lead_id, call, usd in await self._rest.rows(PAID, values):
            found[lead_id][question_of(call)] += usd
        return {lead_id: dict(costs) for lead_id, costs in found.items()}

    async def open(self, intent: Intent) -> Opened:
        """A fresh question costs one statement; only one asked before is looked at closer.

        Raises Superseded where another run has taken the campaign.
        """
        self._admissions.asks(intent)
        over = self._admissions.stopped(intent)
        return over if over and await self.glance(intent) is None else await self._opened(intent)

    async def _opened(self, intent: Intent) -> Opened:
        first = Asking(intent, key(intent.question, FIRST_EPOCH))
        admitted = await self._admitted(self._intend, first)
        if admitted is True:
            return Granted(first.key)
        if isinstance(admitted, OverBudget | Suppressed):
            return admitted
        row = await self._newest(intent.question)
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
            grants, in_flight = self._grants, bool(self._granted or self._reserving)
            result = await write(asking)
            if isinstance(result, bool | Suppressed):
                return result
            if result.scope is not None:
                in_flight = in_flight or bool(self._granted or self._reserving) or grants != self._grants
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
        if over.for_good and over.scope not in self._told:
            self._told.add(over.scope)
            await self._budgets.refused(over.scope)
        return over

    async def _others_return(self, refusal: Refusal) -> bool:
        """Calls of other campaigns fill a provider's day as well, and what they do not cost comes back."""
        return await self._rest.rows(OTHERS_RETURN, {"scope": refusal.scope}) == [(True,)]

    async def _ask_anew(self, intent: Intent, row: Row) -> Opened:
        epoch = int.from_bytes(row.key[len(intent.question) :], "big") + 1
        asking = Asking(intent, key(intent.question, epoch))
        admitted = await self._admitted(self._intend, asking)
        if isinstance(admitted, OverBudget | Suppressed):
            return admitted
        return Granted(asking.key) if admitted else await self._elsewhere()

    async def _elsewhere(self) -> Elsewhere:
        """Another was quicker, unless this run may ask for nothing any more."""
        if await self._rest.rows(STILL_HELD, self._lease) != [(True,)]:
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
                    await self._rest.rows(BOOK_AS_LOST, lost_row | self._lease)
                if row.stale:
                    return await self._ask_anew(intent, row)
                return Withheld(paid(intent, row, int(in_flight)))
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
        claimed = await self._admitted(self._claim, asking)
        if isinstance(claimed, OverBudget | Suppressed):
            return claimed
        if not claimed:
            return await self._elsewhere()
        return Granted(row.key, row.job_id, paid(intent, row, booked), row.reserved if has_job else None)

    async def note_job(self, call: bytes, job_id: str) -> None:
        """A job of an attempt that was given up meanwhile is not the row's: its own caller reads it."""
        asking = self._granted.get(call)
        await self._note((call, asking.attempt if asking else None, job_id))
        self._has_job(call, has_job=True)

    async def drop_job(self, call: bytes) -> bool:
        asking = self._granted.get(call)
        attempt = {"key": call, "attempt": asking.attempt if asking else None}
        dropped: bool = await self._rest.rows(DROP_JOB, attempt) == [(True,)]
        if dropped:
            self._has_job(call, has_job=False)
        return dropped

    def _has_job(self, call: bytes, *, has_job: bool) -> None:
        if asking := self._granted.get(call):
            self._granted[call] = replace(asking, has_job=has_job)

    async def settle(self, outcome: Outcome) -> None:
        ending = Ending(outcome, self._granted.get(outcome.key))
        try:
            await self._settle_either_way(ending)
        except (psycopg.DataError, UnicodeError):
            await self._settle_either_way(without_response(ending))
        self._forget(ending)

    async def _settle_either_way(self, ending: Ending) -> None:
        if not await self._settle(ending) and ending.counts_late:
            await self._settle_late(ending)

    def _settle_unheard(self, ending: Ending, on_time: bool) -> None:  # noqa: FBT001 - what a write told, not an option
        if not on_time and ending.counts_late:
            self._settle_late.hand_in(ending)
        self._forget(ending)

    def _forget(self, ending: Ending) -> None:
        if ending.asking:
            self._admissions.ended(ending.asking.intent, ending.outcome.end)
        if self._granted.get(ending.outcome.key) is ending.asking:
            self._granted.pop(ending.outcome.key, None)

    def _give_back(self, asking: Asking, granted: Admitted) -> None:
        """Whoever was to make this call was cancelled, so it is never sent."""
        if granted is True:
            never = Outcome(asking.key, End.NOT_SENT, Money(0), error="cancelled before it left")
            self._settle.hand_in(Ending(never, self._granted.pop(asking.key, asking)))

    async def close(self) -> None:
        """Everything handed in is committed when this returns; what was cancelled hands in outcomes."""
        for group in (self._intend, self._claim, self._newest, self._note, self._settle, self._settle_late):
            await group.finish()
        for line in self._lines:
            with suppress(OperationalError):
                await line.close()

    async def _write_intents(self, askings: Sequence[Asking]) -> list[Admitted]:
        values = self._asked(askings) | questions(askings)
        if not self._admissions.needed:
            return self._grant(askings, await self._intending.rows(INTEND, values, told_by=GRANTED))
        values |= self._weighed(askings)
        return await self._reserve(self._intending, INTEND_WITHIN_CAPS, askings, values)

    async def _write_claims(self, askings: Sequence[Asking]) -> list[Admitted]:
        values = self._asked(askings) | as_seen(askings) | self._weighed(askings)
        return await self._reserve(self._rest, CLAIM, askings, values)

    def _asked(self, askings: Sequence[Asking]) -> dict[str, Any]:
        return self._lease | {
            "agent": self._run.agent.value,
            "run_id": self._run.id,
            "grant_id": randbits(63),
            **calls(askings),
        }

    def _weighed(self, askings: Sequence[Asking]) -> dict[str, Any]:
        return self._admissions.columns([asking.intent for asking in askings])

    async def _reserve(
        self, line: Line, statement: str, askings: Sequence[Asking], values: Mapping[str, Any]
    ) -> list[Admitted]:
        self._reserving += 1
        try:
            return self._grant(askings, await line.rows(statement, values, told_by=GRANTED))
        finally:
            self._reserving -= 1

    def _grant(self, askings: Sequence[Asking], returned: Sequence[tuple[Any, ...]]) -> list[Admitted]:
        """One row is one grant, also where two callers in a batch asked the same."""
        won = {call for call, *why_not in returned if not any(why_not)}
        others = {call: as_refusal(why_not) for call, *why_not in returned if any(why_not)}
        granted: list[Admitted] = []
        for asking in askings:
            granted.append(asking.key in won or others.get(asking.key, False))
            if asking.key in won:
                won.remove(asking.key)
                self._granted[asking.key] = asking
                self._admissions.found(asking.intent)
        self._grants += sum(one is True for one in granted)
        return granted

    async def _read_newest(self, questions: Sequence[bytes]) -> list[Row | None]:
        values = {
            "first": [key(question, FIRST_EPOCH) for question in questions],
            "last": [key(question, LAST_EPOCH) for question in questions],
            "ttl_s": self._ttl_s,
        }
        rows = {row.place: row for row in await self._rest.rows(NEWEST, values, class_row(Row))}
        return [rows.get(place) for place in range(1, len(questions) + 1)]

    async def _write_jobs(self, jobs: Sequence[tuple[bytes, int | None, str]]) -> list[None]:
        """All rows of a task at once, so that it is noted for as many as can be."""
        columns = zip(*jobs, strict=True)
        await self._rest.rows(
            NOTE_JOB, dict(zip(("key", "attempt", "job_id"), map(list, columns), strict=True))
        )
        return [None] * len(jobs)

    async def _write_outcomes(self, endings: Sequence[Ending]) -> list[bool]:
        """Whether each came on time. Of two for one row only one did."""
        rows = await self._settling.rows(SETTLE, outcomes(endings, self._ttl_s))
        on_time = {place for (place,) in rows}
        return [place in on_time for place in range(1, len(endings) + 1)]

    async def _write_late(self, endings: Sequence[Ending]) -> list[None]:
        """Rare, so one by one: they may be of one row."""
        for ending in endings:
            await self._settling.rows(SETTLE_LATE, outcomes([ending], self._ttl_s))
        return [None] * len(endings)


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
