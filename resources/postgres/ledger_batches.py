"""One run's way to the rows of the call ledger: what comes at once is one statement (group commit)."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from secrets import randbits
from typing import Any

import psycopg
from psycopg.rows import class_row
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from phase3_core.ledger import FIRST_EPOCH, LAST_EPOCH, End, Outcome, key
from phase3_core.money import Money
from phase3_core.runs import Run
from resources.postgres.admission import Admissions
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
    questions,
    without_response,
)
from resources.postgres.ledger_sql import (
    CLAIM,
    DROP_JOB,
    GRANTED,
    INTEND,
    INTEND_WITHIN_CAPS,
    NEWEST,
    NOTE_JOB,
    SETTLE,
    SETTLE_LATE,
)
from resources.postgres.line import Line, is_refusal
from resources.postgres.outage import Outage


class LedgerBatches:
    """Three connections: intents, outcomes, everything else.

    `granted`: this run's calls that have not ended, by their keys; `grants`: how many there have been.
    """

    def __init__(
        self,
        run: Run,
        ttl_s: float,
        engine: AsyncEngine,
        fence: int | None,
        outage: Outage,
        admissions: Admissions,
    ) -> None:
        self._run = run
        self._ttl_s = ttl_s
        self._admissions = admissions
        self.lease = {"campaign_id": run.campaign_id, "fence": fence}
        self.granted: dict[bytes, Asking] = {}
        self.grants = self._reserving = 0
        self._intending, self._settling, self._rest = (Line(engine, outage) for _ in range(3))
        self._lines = self._intending, self._settling, self._rest
        self.intend = GroupCommit(self._write_intents, is_refusal, self._give_back)
        self.claim = GroupCommit(self._write_claims, is_refusal, self._give_back)
        self.newest = GroupCommit(self._read_newest)
        self._note = GroupCommit(self._write_jobs, is_refusal)
        self._settle = GroupCommit(self._write_outcomes, is_refusal, self._settle_unheard)
        self._settle_late = GroupCommit(self._write_late, is_refusal)

    @property
    def in_flight(self) -> bool:
        """Whether money of this run is reserved, or about to be."""
        return bool(self.granted or self._reserving)

    async def rows(self, statement: str, values: Mapping[str, Any]) -> list[Any]:
        """For what comes rarely, one by one."""
        return await self._rest.rows(statement, values)

    async def note_job(self, call: bytes, job_id: str) -> None:
        """A job of an attempt that was given up meanwhile is not the row's: its own caller reads it."""
        asking = self.granted.get(call)
        await self._note((call, asking.attempt if asking else None, job_id))
        self._has_job(call, has_job=True)

    async def drop_job(self, call: bytes) -> bool:
        asking = self.granted.get(call)
        attempt = {"key": call, "attempt": asking.attempt if asking else None}
        dropped: bool = await self._rest.rows(DROP_JOB, attempt) == [(True,)]
        if dropped:
            self._has_job(call, has_job=False)
        return dropped

    def _has_job(self, call: bytes, *, has_job: bool) -> None:
        if asking := self.granted.get(call):
            self.granted[call] = replace(asking, has_job=has_job)

    async def settle(self, outcome: Outcome) -> None:
        ending = Ending(outcome, self.granted.get(outcome.key))
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
        if self.granted.get(ending.outcome.key) is ending.asking:
            self.granted.pop(ending.outcome.key, None)

    def _give_back(self, asking: Asking, granted: Admitted) -> None:
        """Whoever was to make this call was cancelled, so it is never sent."""
        if granted is True:
            never = Outcome(asking.key, End.NOT_SENT, Money(0), error="cancelled before it left")
            self._settle.hand_in(Ending(never, self.granted.pop(asking.key, asking)))

    async def close(self) -> None:
        """Everything handed in is committed when this returns; what was cancelled hands in outcomes."""
        for group in (self.intend, self.claim, self.newest, self._note, self._settle, self._settle_late):
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
        return self.lease | {
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
                self.granted[asking.key] = asking
                self._admissions.found(asking.intent)
        self.grants += sum(one is True for one in granted)
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
