"""Ledger, budgets and a vendor's rate limit together, through everything that runs of campaigns can meet.

The model knows the vendor's bill (`LedgerMachine`), which moments requests left at, and who is in flight.
Nobody waits: moments lie in the future. As many as a minute holds are used at their latest, as many after
them at their earliest, which crowds them most.
"""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from time import monotonic
from typing import Any
from uuid import UUID

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from phase3_core.budget import Caps
from phase3_core.ledger import End, Granted, Opened
from phase3_core.rate_limits import NONE_UNUSED, Demand, Slots, Spent, Unused
from phase3_core.saga import Step, StepKind, StepState
from phase3_core.statuses import Agent
from phase3_core.tiers import Tier
from resources.postgres.audit import Actor
from resources.postgres.outage import Outage
from resources.postgres.rate_limits import GONE_AFTER_S, SharedRateLimit, SharedRateLimits
from resources.postgres.saga import PostgresSaga
from resources.providers.gate import Limits
from tests.resources.postgres.test_ledger_states import (
    CAMPAIGNS,
    NOTING_OVERRUNS,
    PICKS,
    PRICE,
    QUESTIONS,
    LedgerMachine,
    Loop,
    Process,
    play,
)

A_MINUTE, A_DAY = 3, 20
LIMITS = Limits(per_minute=A_MINUTE, per_day=A_DAY, in_flight=3)
ALLOWANCE = LIMITS.allowance("vendor/0123456789abcdef/calls")
CAPS = Caps(
    {Agent.EMAIL_VERIFICATION: 6 * PRICE},
    {Tier.A: 3 * PRICE, Tier.B: 4 * PRICE},
    {"vendor": 8 * PRICE},
)
EMPTY = "TRUNCATE rate_limits, rate_limit_places"
A_DAY_LATER = (
    "DELETE FROM budgets WHERE day IS NOT NULL",
    "UPDATE provider_calls SET day = day - 1",
    "UPDATE rate_limits SET day = day - 1",
)
UNSEEN = f"""
UPDATE rate_limit_places SET seen_at = seen_at - interval '{GONE_AFTER_S + 1} seconds'
WHERE process <> ALL (CAST(:living AS uuid[]))
"""
USED = """
SELECT used_today FROM rate_limits WHERE day = (now() AT TIME ZONE 'UTC')::date
"""


@dataclass(eq=False)
class Door:
    """A process at the limit: its places, moments it did not use (`kept`), those it gives up (`unused`)."""

    limit: SharedRateLimit
    places: int = 0
    entering: list[Slots] = field(default_factory=list)
    kept: list[Slots] = field(default_factory=list)
    unused: Unused = NONE_UNUSED


class Machine(LedgerMachine):
    caps = CAPS

    def __init__(self) -> None:
        super().__init__()
        self.doors: dict[Process, Door] = {}
        self.left: list[tuple[float, Any]] = []  # when a request left, and in whose day it counts
        self.lost = 0  # moments of today that died with their process
        self.held_until = 0.0

    @initialize()
    def begin(self) -> None:
        self._run(self.loop.rows(EMPTY))
        super().begin()

    @rule(campaign=st.sampled_from(CAMPAIGNS))
    def start(self, campaign: UUID) -> None:
        self._forget(self.living.get(campaign))
        super().start(campaign)
        limits = SharedRateLimits(self.loop.engine, Outage(), campaign)
        self.doors[self.living[campaign]] = Door(limits.of(ALLOWANCE))

    @rule(campaign=st.sampled_from(CAMPAIGNS))
    def crash(self, campaign: UUID) -> None:
        """Nobody is told, and nobody begins in its place: what it had asked is in flight still."""
        if process := self.living.pop(campaign, None):
            self._forget(process)
            self.dead.append(process)
            self._run(process.book.close())

    def _forget(self, process: Process | None) -> None:
        if process and (door := self.doors.pop(process, None)):
            self.lost += self._not_left_today(door)

    def _not_left_today(self, door: Door) -> int:
        today = self._today()
        given_up = door.unused.count if door.unused.day == today else 0
        return given_up + sum(1 for moment in door.kept if moment.day == today)

    def _today(self) -> Any:
        [row] = self._run(self.loop.rows("SELECT (now() AT TIME ZONE 'UTC')::date AS day"))
        return row.day

    # --- coming in: a place, a moment, then the ledger

    def _comes_in(self, process: Process) -> bool:
        door = self.doors[process]
        if len(process.flights) + len(door.entering) >= door.places:
            self._share(process, queued=2)
        if len(process.flights) + len(door.entering) >= door.places:
            return False
        moment = door.kept.pop() if door.kept else self._booked(door)
        if moment is not None:
            door.entering.append(moment)
        return moment is not None

    def _booked(self, door: Door) -> Slots | None:
        unused, door.unused = door.unused, NONE_UNUSED
        booked = self._run(door.limit.book(1, unused))
        if isinstance(booked, Spent):
            assert self._used_today() == LIMITS.per_day, "requests of the day are left"
            return None
        assert booked.opens >= self.held_until, "everybody was told to wait"
        return booked

    def _came_in(self, process: Process, opened: Opened | None) -> None:
        door = self.doors[process]
        moment = door.entering.pop()
        if not isinstance(opened, Granted):
            door.kept.append(moment)
            return
        late_s = moment.late_s if len(self.left) % (2 * A_MINUTE) < A_MINUTE else 0.0
        self.left.append((moment.opens + late_s, moment.day))

    @rule(campaign=st.sampled_from(CAMPAIGNS), questions=st.permutations(range(len(QUESTIONS))))
    def ask_everything(self, campaign: UUID, questions: list[int]) -> None:
        """One after another, each answered before the next."""
        process = self.living.get(campaign)
        if process is None:
            return
        for question in questions:
            self.open(campaign, question)
            for flight in [one for one in process.flights if one.question == question and one.end is None]:
                self._send(flight, End.HIT, billed=True)
                self._settle(process, flight, End.HIT)

    @rule(campaign=st.sampled_from(CAMPAIGNS), queued=st.integers(0, 5))
    def share(self, campaign: UUID, queued: int) -> None:
        """As every process does each second."""
        if process := self.living.get(campaign):
            self._share(process, queued)

    def _share(self, process: Process, queued: int) -> None:
        door = self.doors[process]
        busy = len(process.flights) + len(door.entering)
        door.places = self._run(door.limit.share(Demand(busy, queued))).places
        assert queued or busy or not door.places, "who has no work keeps no place"

    @rule(campaign=st.sampled_from(CAMPAIGNS), with_the_next=st.booleans())
    def give_back(self, campaign: UUID, *, with_the_next: bool) -> None:
        """Moments that closed unused: told at once, or with the next booking."""
        process = self.living.get(campaign)
        door = self.doors[process] if process else None
        if door is None or not door.kept:
            return
        today = self._today()
        unused = Unused(self._not_left_today(door), today)
        door.kept.clear()
        door.unused = unused if with_the_next else NONE_UNUSED
        if not with_the_next:
            self._run(door.limit.give_back(unused))

    # --- what happens around them

    @precondition(lambda self: self.doors)
    @rule(pick=PICKS)
    def be_told_to_wait(self, pick: int) -> None:
        door = list(self.doors.values())[pick % len(self.doors)]
        self.held_until = max(self.held_until, monotonic() + 30.0)
        self._run(door.limit.hold(30.0))
        for other in self.doors.values():
            self.lost += sum(moment.day == self._today() for moment in other.kept)
            other.kept.clear()

    @precondition(lambda self: self.doors)
    @rule(pick=PICKS)
    def be_refused(self, pick: int) -> None:
        self._run(list(self.doors.values())[pick % len(self.doors)].limit.strain())

    @rule()
    def let_the_dead_be_forgotten(self) -> None:
        self._run(self.loop.rows(UNSEEN, living=list(self.living)))

    @precondition(lambda self: self.dead or self.zombies)
    @rule(pick=PICKS, overdue=st.booleans())
    def release(self, pick: int, overdue: bool) -> None:  # noqa: FBT001 - Hypothesis passes what it drew
        """As a saga takes back what a run that is over had reserved: what may be answered still, later."""
        if overdue:
            self.let_deadlines_pass()
        gone = [*self.dead, *self.zombies]
        run = gone[pick % len(gone)].run
        step = Step(1, run.id, run.campaign_id, run.agent, StepKind.RESERVATIONS, StepState.DONE, {})
        saga = PostgresSaga(self.loop.engine, self.loop.engine.begin, Outage(), Actor("test", "system"))
        self._run(saga.release(step))

    @rule()
    def let_a_day_pass(self) -> None:
        for statement in A_DAY_LATER:
            self._run(self.loop.rows(statement))
        self.left = [(at, _earlier(day)) for at, day in self.left]
        self.lost = 0
        for door in self.doors.values():
            door.unused = replace(door.unused, day=_earlier(door.unused.day))
            door.kept = [replace(moment, day=_earlier(moment.day)) for moment in door.kept]

    # --- what always holds

    @invariant()
    def no_window_holds_more_requests_than_the_vendor_allows(self) -> None:
        times = sorted(at for at, _ in self.left)
        for place, first in enumerate(times):
            assert sum(at < first + 60.0 for at in times[place:]) <= A_MINUTE

    @invariant()
    def a_day_is_counted_as_it_is_used(self) -> None:
        """To the last one: what is given back may be used, what is lost may not."""
        today = self._today()
        left = sum(day == today for _, day in self.left)
        assert left <= A_DAY
        assert self._used_today() == left + self.lost + sum(map(self._not_left_today, self.doors.values()))

    def _used_today(self) -> int:
        return sum(row.used_today for row in self._run(self.loop.rows(USED)))

    @invariant()
    def places_are_as_many_as_calls_in_flight_and_never_too_many(self) -> None:
        rows = self._run(self.loop.rows("SELECT process, held FROM rate_limit_places"))
        held = {row.process: row.held for row in rows}
        assert sum(held.values()) <= ALLOWANCE.in_flight
        for process in self.doors:
            assert len(process.flights) <= held.get(process.run.campaign_id, 0)


def _earlier(day: Any) -> Any:
    return day and day - timedelta(days=1)


def together(database_url: str, examples: int) -> None:
    class Together(Machine):
        loop = Loop(database_url)

    for statement in NOTING_OVERRUNS:
        Together.loop.run(Together.loop.rows(statement))
    play(Together, examples)


@pytest.mark.slow
def test_ledger_budgets_and_rate_limit_hold_together(database_url: str) -> None:
    together(database_url, 12)


@pytest.mark.soak
def test_ledger_budgets_and_rate_limit_hold_together_for_long(database_url: str) -> None:
    together(database_url, 1_000)
