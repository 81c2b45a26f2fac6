"""The call ledger in memory: the same moves as `resources/postgres/ledger.py`, as strict about JSON."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from phase3_core.calls import AfterLoss, LostCall, after_loss
from phase3_core.ledger import Elsewhere, End, Granted, Intent, Opened, Outcome, Stored, Withheld, key
from phase3_core.money import ZERO, Money, total
from phase3_core.ports import Run
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

    @property
    def last(self) -> Outcome:
        return self.ends[-1]

    @property
    def answered(self) -> bool:
        return self.state == "settled" and self.last.end in {End.HIT, End.MISS}

    def stored(self) -> Stored:
        assert self.settled_at is not None
        response = None if self.last.response is None else json.loads(self.last.response)
        return Stored(self.last.http_status or 200, response, self.settled_at)


@dataclass
class FakeLedger:
    """Implements `CallLedger` for one run. `calls` may be shared with the ledgers of other runs."""

    clock: FakeClock
    run: Run = field(default_factory=a_run)
    calls: list[Call] = field(default_factory=list)
    breaks: Exception | None = None

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
        return newest.stored() if newest and self._fresh(newest) else None

    async def open(self, intent: Intent) -> Opened:
        await asyncio.sleep(0)
        if self.breaks:
            raise self.breaks
        newest = self._newest(intent)
        if newest is None:
            return self._insert(intent, 0)
        if self._fresh(newest):
            return newest.stored()
        if newest.answered:
            return self._insert(intent, int.from_bytes(newest.key[len(intent.question) :], "big") + 1)
        return (
            self._claim(newest, intent) if newest.state == "settled" else self._after_silence(newest, intent)
        )

    def _newest(self, intent: Intent) -> Call | None:
        same = [call for call in self.calls if call.intent.question == intent.question]
        return max(same, key=lambda call: call.key, default=None)

    def _fresh(self, call: Call) -> bool:
        return call.answered and call.settled_at is not None and self.clock.now() - call.settled_at < FRESH

    def _insert(self, intent: Intent, epoch: int) -> Granted:
        self.calls.append(Call(key(intent.question, epoch), intent, self.run, self.clock.now()))
        return Granted(self.calls[-1].key)

    def _after_silence(self, call: Call, intent: Intent) -> Opened:
        in_flight = call.state == "intent"
        if in_flight and not self._overdue(call) and not self._predecessor(call):
            return Elsewhere()
        lost = LostCall(call.asked_at, call.losses + in_flight, call.job_id is not None)
        verdict = after_loss(lost, intent.replay, intent.replay_window, self.clock.now())
        if in_flight:
            self._book_as_lost(call)
        return Withheld() if verdict is AfterLoss.LEAVE else self._claim(call, intent)

    def _overdue(self, call: Call) -> bool:
        return self.clock.now() > call.asked_at + timedelta(seconds=call.intent.deadline_s)

    def _predecessor(self, call: Call) -> bool:
        """This run holds its campaign, so an earlier run of it is dead."""
        return call.run.campaign_id == self.run.campaign_id and call.run.id != self.run.id

    def _claim(self, call: Call, intent: Intent) -> Granted:
        call.state, call.intent, call.run, call.asked_at = "intent", intent, self.run, self.clock.now()
        call.attempt += 1
        return Granted(call.key, call.job_id)

    def _book_as_lost(self, call: Call) -> None:
        call.state = "unknown"
        call.losses += 1
        call.unknown += call.intent.reserved

    async def note_job(self, call: bytes, job_id: str) -> None:
        await asyncio.sleep(0)
        self._row(call).job_id = _text(job_id)

    async def settle(self, outcome: Outcome) -> None:
        await asyncio.sleep(0)
        call = self._row(outcome.key)
        if call.state == "settled":
            return
        _storable(outcome)
        call.ends.append(outcome)
        call.settled_at = self.clock.now()
        if outcome.end is End.LOST:
            self._book_as_lost(call)
            return
        call.state = "settled"
        call.cost += outcome.cost
        if outcome.ends_doubt and call.answered:
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
