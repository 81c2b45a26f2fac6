"""The call ledger in memory: the same moves as `resources/postgres/ledger.py`, as strict about JSON."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from phase3_core.calls import AfterLoss, LostCall, ReplayClass, after_loss
from phase3_core.ledger import (
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
)
from phase3_core.money import ZERO, Money, total
from phase3_core.runs import Run
from tests.fakes.clock import FakeClock
from tests.fakes.people import a_run

FRESH = timedelta(days=7)
LARGEST_EXPONENT = 131_072  # of a number that jsonb takes


@dataclass
class Call:
    """A row of `provider_calls`: `state` is intent, settled or unknown."""

    key: bytes
    intent: Intent
    run: Run
    asked_at: datetime
    state: str = "intent"
    attempt: int = 1
    losses: int = 0
    job_id: str | None = None
    cost: Money = ZERO
    unknown: Money = ZERO
    ends: list[Outcome] = field(default_factory=list)
    settled_at: datetime | None = None

    def book(self, losses: int) -> None:
        """So many attempts more (or fewer) whose bill is not known."""
        self.losses = max(self.losses + losses, 0)
        self.unknown = max(self.unknown + losses * self.intent.reserved, ZERO)

    @property
    def last(self) -> Outcome:
        return self.ends[-1]

    @property
    def answered(self) -> bool:
        return self.state == "settled" and self.last.end in {End.HIT, End.MISS}

    def stored(self, intent: Intent) -> Stored:
        assert self.settled_at is not None
        response = None if self.last.response is None else json.loads(self.last.response)
        status = self.last.http_status or 200
        return Stored(self.key, status, response, self.settled_at, _paid(self, intent))


@dataclass
class FakeLedger:
    """Implements `CallLedger` for one run. `calls` may be shared with the ledgers of other runs.

    `over` tells for which calls a budget has no room. While `writing` is locked, nothing is settled.
    """

    clock: FakeClock
    run: Run = field(default_factory=a_run)
    calls: list[Call] = field(default_factory=list)
    breaks: Exception | None = None
    over: Callable[[Intent], OverBudget | None] = lambda _: None
    done: list[UUID] = field(default_factory=list)
    listed: set[str] = field(default_factory=set)
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def of(self, run: Run) -> "FakeLedger":
        """The same rows as another run sees them."""
        return FakeLedger(self.clock, run, self.calls)

    @property
    def booked(self) -> Money:
        """USD that the calls cost so far, unknown bills at their worst."""
        return total(call.cost + call.unknown for call in self.calls)

    async def find(self, intent: Intent) -> Stored | None:
        await asyncio.sleep(0)
        newest = self._newest(intent)
        return newest.stored(intent) if newest and self._fresh(newest) else None

    async def recall(self, intent: Intent) -> Stored | None:
        await asyncio.sleep(0)
        newest = self._newest(intent)
        return newest.stored(intent) if newest and newest.answered else None

    async def glance(self, intent: Intent) -> Stored | Elsewhere | Submitted | None:
        newest = self._newest(intent)
        if newest is None or newest.answered:
            return await self.find(intent)
        if self._others(newest):
            return Elsewhere()
        return Submitted() if newest.job_id is not None and newest.state != "settled" else None

    async def paid(self, leads: Sequence[UUID]) -> dict[UUID, Paid]:
        await asyncio.sleep(0)
        bought = [(lead_id, self._bought(lead_id)) for lead_id in leads]
        return {
            lead_id: Paid(
                {call.key: call.cost + call.unknown for call in calls},
                frozenset(call.intent.question for call in calls if not self._stale(call)),
            )
            for lead_id, calls in bought
            if calls
        }

    async def open(self, intent: Intent) -> Opened:
        await asyncio.sleep(0)
        if self.breaks:
            raise self.breaks
        if not self.listed.isdisjoint(intent.subjects):
            return Suppressed()
        newest = self._newest(intent)
        if newest is None:
            return self.over(intent) or self._insert(intent, 0)
        if newest.answered:
            fresh = self._fresh(newest)
            return newest.stored(intent) if fresh else self._insert(intent, self._epoch(newest) + 1)
        return (
            self._after_silence(newest, intent)
            if newest.state != "settled"
            else self._claim(newest, intent, 0)
        )

    def stop_buying(self, scope: str) -> None:
        self.over = lambda _: OverBudget(scope, for_good=True)

    def spent_up(self, intent: Intent) -> OverBudget | None:
        over = self.over(intent)
        return over if over and over.for_good else None

    def done_with(self, lead_id: UUID) -> None:
        self.done.append(lead_id)

    def _newest(self, intent: Intent) -> Call | None:
        same = [call for call in self.calls if call.intent.question == intent.question]
        return max(same, key=lambda call: call.key, default=None)

    def _fresh(self, call: Call) -> bool:
        return call.answered and call.settled_at is not None and self.clock.now() - call.settled_at < FRESH

    def _bought(self, lead_id: UUID) -> list[Call]:
        return [call for call in self.calls if call.intent.lead_id == lead_id and call.cost + call.unknown]

    def _stale(self, call: Call) -> bool:
        since = call.settled_at or call.asked_at + timedelta(seconds=call.intent.deadline_s)
        return self.clock.now() - since >= FRESH

    def _epoch(self, call: Call) -> int:
        return int.from_bytes(call.key[len(call.intent.question) :], "big")

    def _insert(self, intent: Intent, epoch: int) -> Granted:
        self.calls.append(Call(key(intent.question, epoch), intent, self.run, self.clock.now()))
        return Granted(self.calls[-1].key)

    def _after_silence(self, call: Call, intent: Intent) -> Opened:
        in_flight = call.state == "intent"
        if self._others(call):
            return Elsewhere()
        lost = LostCall(call.asked_at, call.losses + in_flight, call.job_id is not None)
        match after_loss(lost, intent.replay, intent.replay_window, self.clock.now()):
            case AfterLoss.LEAVE:
                if in_flight:
                    call.book(1)
                    call.state = "unknown"
                if self._stale(call):
                    return self._insert(intent, self._epoch(call) + 1)
                return Withheld(call.key, _paid(call, intent))
            case AfterLoss.ASK_AGAIN:
                return self._claim(call, intent, int(in_flight))
            case AfterLoss.READ_JOB:
                return self._claim(call, intent, in_flight - 1)

    def _others(self, call: Call) -> bool:
        return call.state == "intent" and not self._overdue(call) and not self._predecessor(call)

    def _overdue(self, call: Call) -> bool:
        return self.clock.now() > call.asked_at + timedelta(seconds=call.intent.deadline_s)

    def _predecessor(self, call: Call) -> bool:
        """This run holds its campaign, so an earlier run of it is dead."""
        return call.run.campaign_id == self.run.campaign_id and call.run.id != self.run.id

    def _claim(self, call: Call, intent: Intent, losses: int) -> Granted:
        """The free window runs from the first attempt in doubt."""
        call.book(losses)
        call.asked_at = call.asked_at if call.losses else self.clock.now()
        reserved = call.intent.reserved if call.job_id else None
        booked = _paid(call, intent)
        call.state, call.run = "intent", self.run
        call.intent = intent if reserved is None else replace(intent, reserved=reserved)
        call.attempt += 1
        return Granted(call.key, call.job_id, booked, reserved)

    async def note_job(self, call: bytes, job_id: str) -> None:
        await asyncio.sleep(0)
        self._row(call).job_id = _text(job_id)

    async def drop_job(self, call: bytes) -> bool:
        await asyncio.sleep(0)
        self._row(call).job_id = None
        return True

    async def settle(self, outcome: Outcome) -> None:
        """A job whose reading was refused is still the vendor's to bill."""
        await asyncio.sleep(0)
        async with self.writing:
            pass
        call = self._row(outcome.key)
        if call.answered:
            return
        _storable(outcome)
        call.ends.append(outcome)
        call.settled_at = self.clock.now()
        answered = outcome.end in {End.HIT, End.MISS}
        call.book(outcome.end is End.LOST or (call.job_id is not None and not answered))
        call.state = "unknown" if call.losses and not answered else "settled"
        call.cost += outcome.cost
        if answered and outcome.ends_doubt and call.intent.replay is ReplayClass.FREE:
            call.unknown = ZERO

    def _row(self, key_: bytes) -> Call:
        return next(call for call in self.calls if call.key == key_)


def _storable(outcome: Outcome) -> None:
    """Raises ValueError for what PostgreSQL would refuse."""
    _text(outcome.error or "")
    if outcome.response is not None:
        _acceptable(json.loads(outcome.response, parse_constant=_refuse, parse_float=Decimal))


def _refuse(constant: str) -> Any:
    raise ValueError(f"jsonb has no {constant}")


def _text(value: str) -> str:
    value.encode()
    if "\x00" in value:
        raise ValueError("text has no NUL")
    return value


def _acceptable(value: Any) -> None:
    match value:
        case str():
            _text(value)
        case Decimal() if abs(value.adjusted()) > LARGEST_EXPONENT:
            raise ValueError(f"numeric has no {value}")
        case list():
            _each(_acceptable, value)
        case dict():
            _each(_acceptable, [*value, *value.values()])


def _each(check: Callable[[Any], None], values: list[Any]) -> None:
    for value in values:
        check(value)


def _paid(call: Call, intent: Intent) -> Money:
    """By the lead who asks."""
    return call.cost + call.unknown if call.intent.lead_id == intent.lead_id else ZERO
