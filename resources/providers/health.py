"""Whether a provider is asked at all: parked, out of credits, or its circuit breaker not closed."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import uuid4

from phase3_core.breaker import (
    Answered,
    Breaker,
    Closed,
    Event,
    Failed,
    GivenBack,
    HalfOpen,
    Leased,
    Open,
    after_all,
    at,
    holds_probe,
)
from phase3_core.calls import Miss, Reply
from resources.providers.exchange import Exchange
from resources.providers.retries import RetryBudget

LOOK_AGAIN_S = 1.0  # at what others' probes have shown
TRY_EVERY_S = 600.0  # a call to an empty account whose balance nobody tells
MOST_UNREADABLE = 10  # answers, each of which may be billed, without one between that says anything
MOST_UNTOLD = 1_000


@dataclass(eq=False)
class Health:
    """One provider's, in one run. What calls show counts here at once, and in other runs when told.

    `parked`: why it is left alone, in words; with `out_of_credits` until the account holds some again, else
    until a person acts or the run ends.
    """

    name: str = ""
    parked: str = ""
    out_of_credits: bool = False
    exchange: Exchange = field(default_factory=Exchange)
    budget: RetryBudget = field(default_factory=RetryBudget)
    breaker: Breaker = field(default_factory=Closed)
    _answered: int = 0
    _untold: list[Event] = field(default_factory=list)
    _held: list[str] = field(default_factory=list)
    _latest: object = field(default=None, repr=False)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)
    _trying: bool = False
    _try_at: float = 0.0
    _unreadable: int = 0

    def begin(self, name: str, exchange: Exchange) -> None:
        self.name, self.exchange = name, exchange
        exchange.join(name, self)

    # --- what calls show

    def answered(self, reply: Reply) -> None:
        """A few additions: this is on the way of every call. A miss does not show that hits can be read."""
        self._answered += 1
        self.budget.earn()
        if not isinstance(reply, Miss):
            self._unreadable = 0
        if self._held or self._trying:
            self._recovers()

    def _recovers(self) -> None:
        if self._trying:
            self.refilled()
        if self._held:
            self._held.pop()
            self._note()

    def failed(self, why: str, by: object) -> None:
        """`by`: the failure itself, which is one failure however many calls it ends."""
        self._trying = False
        if by is self._latest:
            return
        self._latest = by
        self._held = self._held[1:]
        self._note(Failed(why))

    def unreadable(self, why: str, by: object) -> None:
        """A failure; and of a vendor that has changed what it answers, no passing one.

        Misses look as ever then, so that the breaker, to which they are answers, may never open.
        """
        if by is not self._latest and isinstance(at(self.breaker, self.exchange.now()), Closed | HalfOpen):
            self._unreadable += 1
        self.failed(why, by)
        if self._unreadable >= MOST_UNREADABLE:
            self.park(f"its answers cannot be read: {why}")

    def hindered(self, why: str) -> None:
        """It may be asked again shortly; while a probe is out, that is no recovery."""
        self._trying = False
        if self._held:
            self._held.pop()
            self._note(Failed(why))

    def not_asked(self) -> None:
        """The call was not needed after all, so its probe is free again, or its try another's."""
        if self._trying:
            self._trying = False
            self.try_at_once()
        if self._held:
            self._note(GivenBack(self._held.pop()))

    def _note(self, *events: Event) -> None:
        happened = [*self._counted(), *events]
        self._untold = [*self._untold, *happened][-MOST_UNTOLD:]
        self.breaker = after_all(self.breaker, happened, self.exchange.now())
        self.exchange.tell_soon()

    def _counted(self) -> list[Event]:
        calls, self._answered = self._answered, 0
        return [Answered(calls)] if calls else []

    # --- whether it is asked

    @property
    def broken(self) -> str:
        """What the breaker opened for, as long as it has not closed again."""
        return "" if isinstance(self.breaker, Closed) else self.breaker.why or "no answer"

    @property
    def open(self) -> Open | None:
        """While nobody may ask; None also when it is time to probe."""
        breaker = at(self.breaker, self.exchange.now())
        return breaker if isinstance(breaker, Open) else None

    async def admits(self, lease_s: float) -> bool:
        """Half-open, one caller after the other probes or waits for what the others' probes tell.

        So it is while an empty account is tried.
        """
        async with self._turn:
            while self._is_tried:
                await self.exchange.naps(LOOK_AGAIN_S)
            if self.parked:
                return self.may_try()
            while not self.parked:
                match at(self.breaker, self.exchange.now()):
                    case Closed():
                        return True
                    case Open():
                        return False
                    case HalfOpen(room=room) if room > 0 and await self._leases(lease_s):
                        return True
                await self.exchange.naps(LOOK_AGAIN_S)
            return False

    async def _leases(self, lease_s: float) -> bool:
        holder = uuid4().hex
        self._note(Leased(holder, lease_s))
        await self.exchange.tell()
        held = holds_probe(self.breaker, holder)
        self._held += [holder] * held
        return held

    # --- credits

    def empties(self, why: str) -> None:
        self.parked, self.out_of_credits = why, True
        self._trying = False
        self._try_at = self.exchange.now() + TRY_EVERY_S
        self.exchange.note_credits(self.name, empty=True)
        self.not_asked()

    def refilled(self) -> None:
        if self.out_of_credits:
            self.parked, self.out_of_credits = "", False
            self.exchange.note_credits(self.name, empty=False)
        self._trying = False

    @property
    def may_be_back(self) -> bool:
        """Parked for want of credits, and a call is to find out whether there are some again."""
        return self._is_tried or self._try_is_due

    @property
    def _is_tried(self) -> bool:
        """By a call that is out; of one that tells nothing the next try takes the place."""
        return self.out_of_credits and self._trying and not self._try_is_due

    @property
    def _try_is_due(self) -> bool:
        return self.out_of_credits and self.exchange.now() >= self._try_at

    def try_at_once(self) -> None:
        self._try_at = 0.0

    def may_try(self) -> bool:
        """One call now and then to an empty account, where nobody tells what it holds."""
        if not self._try_is_due:
            return False
        self._trying = True
        self._try_at = self.exchange.now() + TRY_EVERY_S
        return True

    def park(self, why: str) -> None:
        """Until a person acts, or the run is over."""
        self.parked, self.out_of_credits, self._trying = self.parked or why, False, False
        self.not_asked()

    # --- sharing

    def untold(self) -> Sequence[Event]:
        """What has happened since the last time."""
        events = [*self._untold, *self._counted()]
        self._untold = []
        return events

    def not_told(self, events: Sequence[Event]) -> None:
        """Nobody could be told: kept for the next time."""
        self._untold = [*events, *self._untold][-MOST_UNTOLD:]

    def hears(self, breaker: Breaker, *, out_of_credits: bool) -> None:
        """All workers' view, with what this run has not told yet."""
        self.breaker = after_all(breaker, self._untold, self.exchange.now())
        if out_of_credits and not self.parked:
            self.parked, self.out_of_credits = "out of credits, as another run was told", True
            self._try_at = self.exchange.now() + TRY_EVERY_S
        elif self.out_of_credits and not out_of_credits:
            self.parked, self.out_of_credits = "", False
