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
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from operator import attrgetter
from secrets import randbits
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import class_row, tuple_row
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from phase3_core.budget import Caps
from phase3_core.calls import AfterLoss, LostCall, ReplayClass, after_loss
from phase3_core.errors import Superseded
from phase3_core.ledger import (
    Elsewhere,
    End,
    Granted,
    Intent,
    Opened,
    Outcome,
    OverBudget,
    Stored,
    Suppressed,
    Withheld,
    key,
)
from phase3_core.money import ZERO, Money
from phase3_core.ports import Run
from resources.postgres.admission import (
    ADMITTED,
    BARRED,
    NOT_BARRED,
    TODAY,
    WEIGHED,
    WEIGHED_IF_NEW,
    WRITTEN,
    Admissions,
    Refusal,
)
from resources.postgres.budgets import PostgresBudgets
from resources.postgres.group_commit import GroupCommit
from resources.postgres.jsonb import json_text
from resources.postgres.outage import Outage, is_away

FIRST_EPOCH = 0
LAST_EPOCH = 2**32 - 1

# A run that lost its campaign is granted nothing more; who takes the campaign waits for this statement.
# Without a fence: whoever works on no campaign.
HELD = """
(%(fence)s::bigint IS NULL OR EXISTS (
    SELECT FROM campaign_leases WHERE campaign_id = %(campaign_id)s AND fence = %(fence)s FOR SHARE
))
"""

_INSERT = """
INSERT INTO provider_calls (key, provider, operation, request, state, reserved_usd, lead_id, tier, day,
                            campaign_id, agent, run_id, grant_id, created_at, asked_at, lost_after)
SELECT q.key, q.provider, q.operation, q.request::jsonb, 'intent', q.reserved, q.lead_id, q.tier, {today},
       %(campaign_id)s, %(agent)s, %(run_id)s, %(grant_id)b,
       now(), now(), now() + make_interval(secs => q.deadline_s)
FROM {asked}
WHERE {admitted} AND {held}
ORDER BY q.key  -- two processes with the same questions wait for one another in one order
ON CONFLICT (key) DO NOTHING
RETURNING key
"""

_ASKED = """
     unnest(%(key)b::bytea[], %(provider)b::text[], %(operation)b::text[], %(request)b::text[],
            %(reserved)b::numeric[], %(lead_id)b::uuid[], %(deadline_s)b::float8[], %(tier)b::text[])
     AS q(key, provider, operation, request, reserved, lead_id, deadline_s, tier)"""
INTEND = f"""
WITH {BARRED}, intended AS (
    {_INSERT.format(today=TODAY, asked=_ASKED, admitted=NOT_BARRED, held=HELD)}
)
{WRITTEN.format(written="intended")}
"""

# What was asked before is no intent, whatever it would cost.
INTEND_WITHIN_CAPS = f"""
WITH {BARRED}, asked AS MATERIALIZED (
    SELECT q.*, {TODAY} AS day, q.reserved AS holds_usd, 0 AS held_usd,
           NULL::uuid AS old_campaign_id, NULL AS old_agent, NULL AS old_tier, NULL::date AS old_day
    FROM unnest(%(key)b::bytea[], %(provider)b::text[], %(operation)b::text[], %(request)b::text[],
                %(reserved)b::numeric[], %(lead_id)b::uuid[], %(deadline_s)b::float8[], %(tier)b::text[],
                %(keeps)b::numeric[], %(beside_usd)b::numeric[], %(covered)b::bool[])
         WITH ORDINALITY AS q(key, provider, operation, request, reserved, lead_id, deadline_s, tier,
                              keeps, beside_usd, covered, place)
    WHERE {NOT_BARRED}
), {WEIGHED_IF_NEW}, intended AS (
    {
    _INSERT.format(
        today="q.day", asked="asked AS q", admitted="q.key NOT IN (SELECT key FROM refused)", held=HELD
    )
}
)
{ADMITTED.format(written="intended")}
"""  # noqa: S608 - made of constants

NEWEST = """
SELECT q.place, c.key, c.state, c.outcome, c.attempt, c.losses, c.job_id, c.run_id, c.campaign_id,
       c.lead_id, c.cost_usd + c.unknown_usd AS booked,
       c.http_status, c.response, c.asked_at, c.settled_at, now() AS now,
       coalesce(c.expires_at > now(), false) AS fresh, coalesce(c.lost_after < now(), true) AS overdue
FROM unnest(%(first)b::bytea[], %(last)b::bytea[]) WITH ORDINALITY AS q(first, last, place)
CROSS JOIN LATERAL (
    SELECT * FROM provider_calls WHERE key BETWEEN q.first AND q.last ORDER BY key DESC LIMIT 1
) AS c
"""

# Only the caller that saw the row as it still is gets it: attempt and state are the fencing token.
# `booked` is 1 where an intent turns out lost, -1 where a job in doubt is in flight again. The free
# window runs from the first attempt in doubt, so that one keeps its time.
# A job that was submitted is read whatever the budgets say: it is on the bill already.
CLAIM = f"""
WITH {BARRED}, asked AS MATERIALIZED (
    SELECT q.*, c.provider, CASE WHEN c.job_id IS NULL THEN {TODAY} ELSE c.day END AS day,
           greatest(c.unknown_usd + q.booked * c.reserved_usd, 0) AS unknown_usd,
           CASE WHEN c.job_id IS NULL THEN q.reserved ELSE c.reserved_usd END AS reserved_usd,
           c.cost_usd + greatest(c.unknown_usd + q.booked * c.reserved_usd, 0)
           + CASE WHEN c.job_id IS NULL THEN q.reserved ELSE c.reserved_usd END AS holds_usd,
           c.cost_usd + c.unknown_usd
           + CASE WHEN c.state = 'intent' THEN c.reserved_usd ELSE 0 END AS held_usd,
           CASE WHEN c.job_id IS NULL THEN q.keeps_usd ELSE 0 END AS keeps,
           CASE WHEN c.job_id IS NULL THEN q.change_usd ELSE 0 END AS beside_usd,
           c.campaign_id AS old_campaign_id, c.agent AS old_agent, c.tier AS old_tier, c.day AS old_day
    FROM unnest(%(key)b::bytea[], %(attempt)b::int[], %(state)b::text[], %(booked)b::int[],
                %(reserved)b::numeric[], %(lead_id)b::uuid[], %(deadline_s)b::float8[], %(tier)b::text[],
                %(keeps)b::numeric[], %(beside_usd)b::numeric[], %(covered)b::bool[])
         WITH ORDINALITY AS q(key, attempt, state, booked, reserved, lead_id, deadline_s, tier,
                              keeps_usd, change_usd, covered, place)
    JOIN provider_calls AS c ON c.key = q.key AND c.attempt = q.attempt AND c.state = q.state
    WHERE {NOT_BARRED}
), {WEIGHED}, claimed AS (
    UPDATE provider_calls AS c
    SET state = 'intent', attempt = c.attempt + 1, lead_id = q.lead_id, tier = q.tier, day = q.day,
        campaign_id = %(campaign_id)s, agent = %(agent)s, run_id = %(run_id)s, grant_id = %(grant_id)b,
        asked_at = CASE WHEN c.losses + q.booked > 0 THEN c.asked_at ELSE now() END,
        lost_after = now() + make_interval(secs => q.deadline_s),
        losses = greatest(c.losses + q.booked, 0), unknown_usd = q.unknown_usd, reserved_usd = q.reserved_usd
    FROM asked AS q
    WHERE c.key = q.key AND c.attempt = q.attempt AND c.state = q.state
        AND c.key NOT IN (SELECT key FROM refused) AND {HELD}
    RETURNING c.key
)
{ADMITTED.format(written="claimed")}
"""  # noqa: S608 - made of constants

# What was granted by any try of a statement that was repeated. Nothing was sent, so its time begins now.
GRANTED = f"""
UPDATE provider_calls AS c SET lost_after = now() + make_interval(secs => q.deadline_s)
FROM unnest(%(key)b::bytea[], %(deadline_s)b::float8[]) AS q(key, deadline_s)
WHERE c.key = q.key AND c.grant_id = %(grant_id)b AND c.state = 'intent' AND {HELD}
RETURNING c.key
"""  # noqa: S608 - made of constants

BOOK_AS_LOST = f"""
UPDATE provider_calls
SET state = 'unknown', outcome = 'error', losses = losses + 1, unknown_usd = unknown_usd + reserved_usd
WHERE (SELECT phase3_hold_budgets(ARRAY[%(key)s::bytea])) >= 0
    AND key = %(key)s AND attempt = %(attempt)s AND state = 'intent' AND {HELD}
"""  # noqa: S608 - made of constants

STILL_HELD = f"SELECT {HELD}"

NOTE_JOB = """
UPDATE provider_calls AS c SET job_id = q.job_id
FROM unnest(%(key)b::bytea[], %(attempt)b::int[], %(job_id)b::text[]) AS q(key, attempt, job_id)
WHERE c.key = q.key AND c.attempt = coalesce(q.attempt, c.attempt) AND c.state <> 'settled'
"""

ANSWER = {
    "outcome": "q.told",
    "http_status": "q.http_status",
    "response": "q.response::jsonb",
    "error": "q.error",
    "response_time_ms": "q.took_ms",
    "settled_at": "now()",
    "expires_at": "CASE WHEN q.answered THEN now() + make_interval(secs => %(ttl_s)s) END",
}

OUTCOMES = """
FROM unnest(%(key)b::bytea[], %(attempt)b::int[], %(reserved)b::numeric[], %(lost)b::bool[],
            %(answered)b::bool[], %(ends_doubt)b::bool[], %(told)b::text[], %(cost)b::numeric[],
            %(http_status)b::int[], %(response)b::text[], %(error)b::text[], %(took_ms)b::int[])
     WITH ORDINALITY AS q(key, attempt, reserved, lost, answered, ends_doubt, told, cost,
                          http_status, response, error, took_ms, place)
WHERE (SELECT phase3_hold_budgets(%(key)b::bytea[])) >= 0 AND c.key = q.key
"""

# A job whose reading was refused is still the vendor's to bill: to be read again.
SETTLE = f"""
UPDATE provider_calls AS c
SET state = CASE WHEN q.answered THEN 'settled'
                 WHEN q.lost OR c.job_id IS NOT NULL OR c.losses > 0 THEN 'unknown'
                 ELSE 'settled' END,
    cost_usd = c.cost_usd + q.cost,
    unknown_usd = CASE WHEN q.ends_doubt THEN 0
                       WHEN q.lost OR (c.job_id IS NOT NULL AND NOT q.answered)
                       THEN c.unknown_usd + c.reserved_usd
                       ELSE c.unknown_usd END,
    losses = c.losses + (q.lost OR (c.job_id IS NOT NULL AND NOT q.answered))::int,
    heard = c.heard || c.attempt,
    {", ".join(f"{name} = {value}" for name, value in ANSWER.items())}
{OUTCOMES} AND c.state = 'intent' AND c.attempt = coalesce(q.attempt, c.attempt)
RETURNING q.place
"""  # noqa: S608 - made of constants

# The attempt had been taken for lost, and its ceiling booked: now its cost is known. If its successor is
# still out, the row is settled under it, and that one's ceiling is booked until it arrives as late as this.
# What free replays and readings of one job cost is one charge, whoever brings the answer. An attempt is
# heard once, so a statement that is repeated books nothing twice.
SETTLE_LATE = f"""
UPDATE provider_calls AS c
SET state = CASE WHEN q.answered THEN 'settled'
                 WHEN c.state = 'unknown' AND c.losses <= 1 THEN 'settled'
                 ELSE c.state END,
    cost_usd = CASE WHEN q.ends_doubt OR c.job_id IS NOT NULL THEN greatest(c.cost_usd, q.cost)
                    ELSE c.cost_usd + q.cost END,
    unknown_usd = CASE WHEN q.ends_doubt THEN 0 ELSE greatest(c.unknown_usd
        - CASE WHEN c.job_id IS NULL OR c.state = 'unknown'
               THEN coalesce(q.reserved, c.reserved_usd) ELSE 0 END, 0)
        + CASE WHEN q.answered AND c.state = 'intent' AND c.job_id IS NULL
               THEN c.reserved_usd ELSE 0 END END,
    losses = greatest(c.losses - 1, 0),
    heard = c.heard || coalesce(q.attempt, c.attempt)::smallint,
    {
    ", ".join(
        f"{name} = CASE WHEN q.answered AND (c.state <> 'settled' OR c.outcome = 'error')"
        f" THEN {value} ELSE c.{name} END"
        for name, value in ANSWER.items()
    )
}
{OUTCOMES} AND (q.answered OR c.job_id IS NULL)
    AND (coalesce(q.attempt, c.attempt) = ANY(c.heard)) IS NOT TRUE
"""  # noqa: S608 - made of constants


@dataclass(frozen=True, slots=True)
class Row:
    """The newest epoch of a question, as the database sees it now."""

    place: int
    key: bytes
    state: str
    outcome: str | None
    attempt: int
    losses: int
    job_id: str | None
    run_id: str | None
    campaign_id: UUID | None
    lead_id: UUID | None
    booked: Money
    http_status: int | None
    response: Any
    asked_at: datetime
    settled_at: datetime
    now: datetime
    fresh: bool
    overdue: bool

    @property
    def answered(self) -> bool:
        return self.state == "settled" and self.outcome not in {None, "error"}


@dataclass(frozen=True, slots=True)
class Asking:
    """An intent under its key: the `attempt`-th. `state` is the row's before, `booked` as in CLAIM."""

    intent: Intent
    key: bytes
    attempt: int = 1
    state: str = ""
    booked: int = 0


Admitted = bool | Refusal | Suppressed  # what a statement says of one call


@dataclass(frozen=True, slots=True)
class Ending:
    """An outcome and the attempt it belongs to, if this run made it."""

    outcome: Outcome
    asking: Asking | None

    @property
    def answered(self) -> bool:
        return self.outcome.end in {End.HIT, End.MISS}

    @property
    def ends_doubt(self) -> bool:
        """Reading a job tells nothing of submissions lost before it."""
        free = self.asking is None or self.asking.intent.replay is ReplayClass.FREE
        return self.outcome.ends_doubt and self.answered and free


class Line:
    """A connection on which every statement is its own commit; a broken one is replaced."""

    def __init__(self, engine: AsyncEngine, outage: Outage) -> None:
        self._engine = engine
        self._outage = outage
        self._pooled: AsyncConnection | None = None
        self._driver: psycopg.AsyncConnection[Any] | None = None
        self._free = asyncio.Lock()

    async def rows(
        self, statement: str, values: Mapping[str, Any], factory: Any = tuple_row, *, told_by: str = ""
    ) -> list[Any]:
        """Repeated while the database is away; then `told_by`, if given, tells the rows of all tries."""

        async def again() -> list[Any]:
            rows = await self._rows(statement, values, factory)
            return await self._rows(told_by, values, factory) if told_by else rows

        async with self._free:
            return await self._outage.outlast(lambda: self._rows(statement, values, factory), again)

    async def _rows(self, statement: str, values: Mapping[str, Any], factory: Any) -> list[Any]:
        """The driver's own cursor: building rows and parameters is most of what a call costs here.

        A lost connection looks as everywhere else; the statement and its values are nobody's business.
        """
        try:
            driver = await self._connected()
            async with driver.cursor(row_factory=factory, binary=True) as cursor:
                await cursor.execute(statement.encode(), values)
                return await cursor.fetchall() if cursor.description else []
        except (psycopg.Error, DBAPIError) as failure:
            if not is_away(failure):
                raise
            await self._drop()
            raise OperationalError("the call ledger", None, failure) from failure

    async def _connected(self) -> psycopg.AsyncConnection[Any]:
        if self._driver is None or self._driver.closed:
            await self.close()
            self._pooled = await self._engine.connect()
            await self._pooled.execution_options(isolation_level="AUTOCOMMIT")
            self._driver = (await self._pooled.get_raw_connection()).driver_connection
        if self._driver is None:
            raise AssertionError("the pool gave an empty connection")
        return self._driver

    async def _drop(self) -> None:
        """Whatever became of it, it is not used again."""
        pooled, self._pooled, self._driver = self._pooled, None, None
        if pooled is not None:
            await pooled.invalidate()
            await pooled.close()

    async def close(self) -> None:
        if self._driver is None or self._driver.closed:
            await self._drop()
        elif self._pooled is not None:
            await self._pooled.close()
            self._pooled = self._driver = None


def is_refusal(failure: Exception) -> bool:
    """The server said no to this statement, so nothing of it is written; a lost connection says nothing."""
    if isinstance(failure, psycopg.Error) and failure.sqlstate:
        return not is_away(failure)
    return isinstance(failure, psycopg.DataError | UnicodeError)


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

    def _stored(self, intent: Intent, row: Row) -> Stored:
        if row.outcome == End.HIT:
            self._admissions.found(intent)
        return Stored(row.http_status or 200, row.response, row.settled_at, _paid(intent, row))

    def spent_up(self, intent: Intent) -> OverBudget | None:
        return self._admissions.spent_up(intent)

    def done_with(self, lead_id: UUID) -> None:
        self._admissions.promises.drop(lead_id)

    async def open(self, intent: Intent) -> Opened:
        """A fresh question costs one statement; only one asked before is looked at closer.

        Raises Superseded where another run has taken the campaign.
        """
        self._admissions.asks(intent)
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
            await self._open_budgets()

    async def _open_budgets(self) -> None:
        """A day has begun, and a whole batch finds out at once: the calls are counted once for all of it."""
        if self._opening is None or self._opening.done():
            self._opening = asyncio.ensure_future(self._budgets.open(self._run.campaign_id, self._caps))
        await asyncio.shield(self._opening)

    async def _over(self, intent: Intent, refusal: Refusal, *, in_flight: bool) -> OverBudget:
        over = self._admissions.over(intent, refusal, in_flight=in_flight)
        if over.for_good and over.scope not in self._told:
            self._told.add(over.scope)
            await self._budgets.refused(over.scope)
        return over

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
        """An intent is another run's call in flight, or it was lost; lost calls follow their replay class."""
        in_flight = row.state == "intent"
        if in_flight and not row.overdue and not self._predecessor(row):
            return Elsewhere()
        lost = LostCall(row.asked_at, row.losses + in_flight, has_job=row.job_id is not None)
        match after_loss(lost, intent.replay, intent.replay_window, row.now):
            case AfterLoss.LEAVE:
                if in_flight:
                    lost_row = {"key": row.key, "attempt": row.attempt}
                    await self._rest.rows(BOOK_AS_LOST, lost_row | self._lease)
                return Withheld(_paid(intent, row, int(in_flight)))
            case AfterLoss.ASK_AGAIN:
                return await self._ask_again(intent, row, booked=int(in_flight))
            case AfterLoss.READ_JOB:
                return await self._ask_again(intent, row, booked=in_flight - 1)

    def _predecessor(self, row: Row) -> bool:
        """This run holds the campaign, so an earlier run of it is dead."""
        return row.campaign_id == self._run.campaign_id and row.run_id != self._run.id

    async def _ask_again(self, intent: Intent, row: Row, *, booked: int) -> Opened:
        asking = Asking(intent, row.key, row.attempt + 1, row.state, booked)
        claimed = await self._admitted(self._claim, asking)
        if isinstance(claimed, OverBudget | Suppressed):
            return claimed
        earlier = _paid(intent, row, booked)
        return Granted(row.key, row.job_id, earlier) if claimed else await self._elsewhere()

    async def note_job(self, call: bytes, job_id: str) -> None:
        """A job of an attempt that was given up meanwhile is not the row's: its own caller reads it."""
        asking = self._granted.get(call)
        await self._note((call, asking.attempt if asking else None, job_id))

    async def settle(self, outcome: Outcome) -> None:
        ending = Ending(outcome, self._granted.get(outcome.key))
        try:
            await self._settle_either_way(ending)
        except (psycopg.DataError, UnicodeError):
            await self._settle_either_way(_without_response(ending))
        self._forget(ending)

    async def _settle_either_way(self, ending: Ending) -> None:
        if not await self._settle(ending) and ending.outcome.end is not End.LOST:
            await self._settle_late(ending)

    def _settle_unheard(self, ending: Ending, on_time: bool) -> None:  # noqa: FBT001 - a result, not an option
        if not on_time and ending.outcome.end is not End.LOST:
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
        values = self._asked(askings) | {
            "operation": [asking.intent.operation for asking in askings],
            "request": [json_text(asking.intent.request) for asking in askings],
        }
        if not self._admissions.needed:
            return self._grant(askings, await self._intending.rows(INTEND, values, told_by=GRANTED))
        values |= self._weighed(askings)
        return await self._reserve(self._intending, INTEND_WITHIN_CAPS, askings, values)

    async def _write_claims(self, askings: Sequence[Asking]) -> list[Admitted]:
        values = self._asked(askings) | {
            "attempt": [asking.attempt - 1 for asking in askings],
            "state": [asking.state for asking in askings],
            "booked": [asking.booked for asking in askings],
        }
        values |= self._weighed(askings)
        return await self._reserve(self._rest, CLAIM, askings, values)

    def _asked(self, askings: Sequence[Asking]) -> dict[str, Any]:
        return self._lease | {
            "agent": self._run.agent.value,
            "run_id": self._run.id,
            "grant_id": randbits(63),
            "provider": [asking.intent.provider for asking in askings],
            "tier": [asking.intent.tier for asking in askings],
            "key": [asking.key for asking in askings],
            "reserved": [asking.intent.reserved for asking in askings],
            "lead_id": [asking.intent.lead_id for asking in askings],
            "subjects": ["\n".join(asking.intent.subjects) for asking in askings],
            "deadline_s": [asking.intent.deadline_s for asking in askings],
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
        others = {call: _why_not(why_not) for call, *why_not in returned if any(why_not)}
        granted: list[Admitted] = []
        for asking in askings:
            granted.append(others.get(asking.key) or asking.key in won)
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
        rows = await self._settling.rows(SETTLE, self._columns(endings))
        on_time = {place for (place,) in rows}
        return [place in on_time for place in range(1, len(endings) + 1)]

    async def _write_late(self, endings: Sequence[Ending]) -> list[None]:
        """Rare, so one by one: they may be of one row."""
        for ending in endings:
            await self._settling.rows(SETTLE_LATE, self._columns([ending]))
        return [None] * len(endings)

    def _columns(self, endings: Sequence[Ending]) -> dict[str, Any]:
        names = ("key", "told", "cost", "http_status", "response", "error", "took_ms")
        outcomes = [ending.outcome for ending in endings]
        columns = {name: list(map(attrgetter(name), outcomes)) for name in names}
        return columns | {
            "ttl_s": self._ttl_s,
            "told": [e.outcome.told if e.answered else "error" for e in endings],
            "attempt": [e.asking.attempt if e.asking else None for e in endings],
            "reserved": [e.asking.intent.reserved if e.asking else None for e in endings],
            "lost": [e.outcome.end is End.LOST for e in endings],
            "answered": [e.answered for e in endings],
            "ends_doubt": [e.ends_doubt for e in endings],
        }


def _why_not(row: Sequence[Any]) -> Suppressed | Refusal:
    """As the statements tell it behind a key."""
    barred, _, scope, for_good = row
    return Suppressed() if barred else Refusal(scope, for_good)


def _paid(intent: Intent, row: Row, booked: int = 0) -> Money:
    """USD that this call has cost the lead who asks, nothing where it was another's; `booked` as in CLAIM."""
    if row.lead_id is None or row.lead_id != intent.lead_id:
        return ZERO
    return max(row.booked + booked * intent.reserved, ZERO)


def _without_response(ending: Ending) -> Ending:
    told = "the answer could not be stored as JSON"
    return replace(ending, outcome=replace(ending.outcome, response=None, error=told))


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
