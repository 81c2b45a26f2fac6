"""The call ledger on PostgreSQL: one row a call, intents and outcomes written by group commit.

All times are the database's. A row belongs to whoever's INSERT or UPDATE won, so two processes never
both make a call. Rows move right: intent -> settled, or intent -> unknown -> (once more, if its replay
class allows) intent.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, TextClause, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from phase3_core.calls import AfterLoss, LostCall, after_loss
from phase3_core.ledger import (
    Elsewhere,
    End,
    Granted,
    Intent,
    Opened,
    Outcome,
    Stored,
    Withheld,
    key,
)
from phase3_core.ports import Run
from resources.postgres.group_commit import GroupCommit

FIRST_EPOCH = 0
LAST_EPOCH = 2**32 - 1

INTEND = text("""
INSERT INTO provider_calls (key, provider, operation, request, state, reserved_usd, lead_id,
                            campaign_id, agent, run_id, created_at, asked_at, lost_after)
SELECT q.key, q.provider, q.operation, q.request::jsonb, 'intent', q.reserved, q.lead_id,
       :campaign_id, :agent, :run_id, now(), now(), now() + make_interval(secs => q.deadline_s)
FROM unnest(CAST(:key AS bytea[]), CAST(:provider AS text[]), CAST(:operation AS text[]),
            CAST(:request AS text[]), CAST(:reserved AS numeric[]), CAST(:lead_id AS uuid[]),
            CAST(:deadline_s AS float8[]))
     AS q(key, provider, operation, request, reserved, lead_id, deadline_s)
ORDER BY q.key
ON CONFLICT (key) DO NOTHING
RETURNING key
""")

NEWEST = text("""
SELECT q.place, c.key, c.state, c.outcome, c.attempt, c.losses, c.job_id, c.run_id, c.campaign_id,
       c.http_status, c.response, c.asked_at, c.settled_at, now() AS now,
       coalesce(c.expires_at > now(), false) AS fresh, coalesce(c.lost_after < now(), true) AS overdue
FROM unnest(CAST(:first AS bytea[]), CAST(:last AS bytea[])) WITH ORDINALITY AS q(first, last, place)
CROSS JOIN LATERAL (
    SELECT * FROM provider_calls WHERE key BETWEEN q.first AND q.last ORDER BY key DESC LIMIT 1
) AS c
""")

# Only the caller that saw the row as it still is gets it: attempt and state are the fencing token.
ASK_AGAIN = text("""
UPDATE provider_calls
SET state = 'intent', attempt = attempt + 1, run_id = :run_id, asked_at = now(),
    lost_after = now() + make_interval(secs => :deadline_s), reserved_usd = :reserved,
    losses = losses + :newly_lost,
    unknown_usd = unknown_usd + CASE WHEN :newly_lost = 1 THEN reserved_usd ELSE 0 END
WHERE key = :key AND attempt = :attempt AND state = :state
RETURNING key
""")

BOOK_AS_LOST = text("""
UPDATE provider_calls
SET state = 'unknown', losses = losses + 1, unknown_usd = unknown_usd + reserved_usd, reserved_usd = 0
WHERE key = :key AND attempt = :attempt AND state = 'intent'
""")

NOTE_JOB = text("UPDATE provider_calls SET job_id = :job_id WHERE key = :key")

SETTLE = text("""
UPDATE provider_calls AS c
SET state = CASE WHEN q.lost THEN 'unknown' ELSE 'settled' END,
    outcome = q.told, cost_usd = c.cost_usd + q.cost,
    unknown_usd = CASE WHEN q.lost THEN c.unknown_usd + c.reserved_usd
                       WHEN q.ends_doubt THEN 0 ELSE c.unknown_usd END,
    reserved_usd = CASE WHEN q.lost THEN 0 ELSE c.reserved_usd END,
    losses = c.losses + q.lost::int, http_status = q.http_status, response = q.response::jsonb,
    error = q.error, response_time_ms = q.took_ms, settled_at = now(),
    expires_at = CASE WHEN q.reusable THEN now() + make_interval(secs => :ttl_s) END
FROM unnest(CAST(:key AS bytea[]), CAST(:lost AS bool[]), CAST(:reusable AS bool[]),
            CAST(:ends_doubt AS bool[]), CAST(:told AS text[]), CAST(:cost AS numeric[]),
            CAST(:http_status AS int[]), CAST(:response AS text[]), CAST(:error AS text[]),
            CAST(:took_ms AS int[]))
     AS q(key, lost, reusable, ends_doubt, told, cost, http_status, response, error, took_ms)
WHERE c.key = q.key AND c.state <> 'settled'
""")


@dataclass(frozen=True, slots=True)
class Epoch:
    """An intent for one freshness epoch of its question."""

    intent: Intent
    number: int

    @property
    def key(self) -> bytes:
        return key(self.intent.question, self.number)


class PostgresLedger:
    """Implements `CallLedger` for one run. Three connections: intents, outcomes, everything else."""

    def __init__(
        self,
        run: Run,
        ttl_s: float,
        intending: AsyncConnection,
        settling: AsyncConnection,
        rest: AsyncConnection,
    ) -> None:
        self._run = run
        self._ttl_s = ttl_s
        self._intending = intending
        self._settling = settling
        self._rest = rest
        self._rest_free = asyncio.Lock()
        self._intend = GroupCommit(self._write_intents)
        self._newest = GroupCommit(self._read_newest)
        self._settle = GroupCommit(self._write_outcomes)

    async def find(self, intent: Intent) -> Stored | None:
        row = await self._newest(intent.question)
        return _stored(row) if row is not None and _is_answer(row) else None

    async def open(self, intent: Intent) -> Opened:
        """A fresh question costs one statement; only one asked before is looked at closer."""
        if await self._intend(Epoch(intent, FIRST_EPOCH)):
            return Granted(key(intent.question, FIRST_EPOCH))
        row = await self._newest(intent.question)
        if row is None:
            return Elsewhere()
        if _is_answer(row):
            return _stored(row)
        if row.state == "settled":
            return await self._ask_anew(intent, row)
        return await self._after_silence(intent, row)

    async def _ask_anew(self, intent: Intent, row: Row[Any]) -> Opened:
        """A refusal cost nothing and is asked again as the same call; a stale answer is a new epoch."""
        if not _was_answered(row):
            return await self._claim(intent, row, newly_lost=False)
        number = int.from_bytes(row.key[len(intent.question) :], "big") + 1
        if await self._intend(Epoch(intent, number)):
            return Granted(key(intent.question, number))
        return Elsewhere()

    async def _after_silence(self, intent: Intent, row: Row[Any]) -> Opened:
        """An intent is another run's call in flight, or it was lost; lost calls follow their replay class."""
        in_flight = row.state == "intent"
        if in_flight and not row.overdue and not self._predecessor(row):
            return Elsewhere()
        losses = row.losses + in_flight
        lost = LostCall(row.asked_at, losses, has_job=row.job_id is not None)
        match after_loss(lost, intent.replay, intent.replay_window, row.now):
            case AfterLoss.LEAVE:
                if in_flight:
                    await self._one(BOOK_AS_LOST, key=row.key, attempt=row.attempt)
                return Withheld()
            case AfterLoss.ASK_AGAIN | AfterLoss.READ_JOB:
                return await self._claim(intent, row, newly_lost=in_flight)

    def _predecessor(self, row: Row[Any]) -> bool:
        """This run holds the campaign, so an earlier run of it is dead."""
        return bool(row.campaign_id == self._run.campaign_id and row.run_id != self._run.id)

    async def _claim(self, intent: Intent, row: Row[Any], *, newly_lost: bool) -> Opened:
        claimed = await self._one(
            ASK_AGAIN,
            key=row.key,
            attempt=row.attempt,
            state=row.state,
            run_id=self._run.id,
            deadline_s=intent.deadline_s,
            reserved=intent.reserved,
            newly_lost=int(newly_lost),
        )
        return Granted(row.key, row.job_id) if claimed else Elsewhere()

    async def note_job(self, call: bytes, job_id: str) -> None:
        await self._one(NOTE_JOB, key=call, job_id=job_id)

    async def settle(self, outcome: Outcome) -> None:
        await self._settle(outcome)

    async def finish(self) -> None:
        """Everything handed in is committed when this returns."""
        for group in (self._intend, self._settle, self._newest):
            await group.finish()

    async def _one(self, statement: TextClause, **values: Any) -> bool:
        async with self._rest_free:
            result = await self._rest.execute(statement, values)
            return bool(result.rowcount)

    async def _write_intents(self, epochs: Sequence[Epoch]) -> list[bool]:
        intents = [epoch.intent for epoch in epochs]
        result = await self._intending.execute(
            INTEND,
            {
                "campaign_id": self._run.campaign_id,
                "agent": self._run.agent.value,
                "run_id": self._run.id,
                "key": [epoch.key for epoch in epochs],
                "provider": [intent.provider for intent in intents],
                "operation": [intent.operation for intent in intents],
                "request": [_json(intent.request) for intent in intents],
                "reserved": [intent.reserved for intent in intents],
                "lead_id": [intent.lead_id for intent in intents],
                "deadline_s": [intent.deadline_s for intent in intents],
            },
        )
        granted = {row.key for row in result}
        return [epoch.key in granted for epoch in epochs]

    async def _read_newest(self, questions: Sequence[bytes]) -> list[Row[Any] | None]:
        async with self._rest_free:
            result = await self._rest.execute(
                NEWEST,
                {
                    "first": [key(question, FIRST_EPOCH) for question in questions],
                    "last": [key(question, LAST_EPOCH) for question in questions],
                },
            )
            rows = {row.place: row for row in result}
        return [rows.get(place) for place in range(1, len(questions) + 1)]

    async def _write_outcomes(self, outcomes: Sequence[Outcome]) -> list[None]:
        try:
            await self._settling.execute(SETTLE, self._columns(outcomes))
        except DBAPIError as failure:
            if failure.connection_invalidated:
                raise
            await self._write_one_by_one(outcomes)
        return [None] * len(outcomes)

    async def _write_one_by_one(self, outcomes: Sequence[Outcome]) -> None:
        """One answer that the database refuses must not take its batch with it, nor its own cost."""
        for outcome in outcomes:
            columns = self._columns([outcome])
            try:
                await self._settling.execute(SETTLE, columns)
            except DBAPIError as failure:
                if failure.connection_invalidated:
                    raise
                told = "the answer could not be stored as JSON"
                await self._settling.execute(SETTLE, columns | {"response": [None], "error": [told]})

    def _columns(self, outcomes: Sequence[Outcome]) -> dict[str, Any]:
        return {
            "ttl_s": self._ttl_s,
            "key": [outcome.key for outcome in outcomes],
            "lost": [outcome.end is End.LOST for outcome in outcomes],
            "reusable": [_answers(outcome) for outcome in outcomes],
            "ends_doubt": [outcome.ends_doubt and _answers(outcome) for outcome in outcomes],
            "told": [outcome.told if _answers(outcome) else "error" for outcome in outcomes],
            "cost": [outcome.cost for outcome in outcomes],
            "http_status": [outcome.http_status for outcome in outcomes],
            "response": [outcome.response for outcome in outcomes],
            "error": [outcome.error for outcome in outcomes],
            "took_ms": [outcome.took_ms for outcome in outcomes],
        }


def _json(request: Any) -> str:
    """A name may hold what jsonb refuses (NUL, half a surrogate pair); the digest keeps them apart."""
    written = json.dumps(request, ensure_ascii=False)
    return written.replace("\\u0000", "\ufffd").encode("utf-8", "replace").decode()


def _answers(outcome: Outcome) -> bool:
    return outcome.end in {End.HIT, End.MISS}


def _was_answered(row: Row[Any]) -> bool:
    return bool(row.outcome != "error")


def _is_answer(row: Row[Any]) -> bool:
    return bool(row.state == "settled" and row.fresh and _was_answered(row))


def _stored(row: Row[Any]) -> Stored:
    return Stored(row.http_status or 200, row.response, row.settled_at)


@asynccontextmanager
async def ledger(engine: AsyncEngine, run: Run, ttl_s: float) -> AsyncIterator[PostgresLedger]:
    """Every statement is its own commit; what was handed in is committed before the way out."""
    async with engine.connect() as first, engine.connect() as second, engine.connect() as third:
        connections = [
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            for connection in (first, second, third)
        ]
        book = PostgresLedger(run, ttl_s, *connections)
        try:
            yield book
        finally:
            await asyncio.shield(book.finish())
