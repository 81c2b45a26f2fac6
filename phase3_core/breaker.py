"""A provider's circuit breaker, as values: what its calls showed, and whether it is asked.

closed      every call passes; 5 failures in a row, or 30 % of at least 20 calls in the window, open it
open        nobody asks, for 300 seconds
half-open   3 calls in all, whichever workers make them, try it; a failure opens it again, 3 answers close it

Only the service's own failures count: no answer, a server fault, a rate limit that outlasts all waiting.
"Not found" is an answer. The window is longer than any call may take (180 s at Anymailfinder and Reoon), so
that an outage in which every call times out is seen whole. Times are seconds on the one clock that all
workers share.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

FAILURES_IN_A_ROW = 5
FAILURE_SHARE = 0.3
LEAST_CALLS = 20
WINDOW_S = 600.0
BUCKET_S = 60.0
OPEN_S = 300.0
MOST_AHEAD_S = 2 * OPEN_S  # none opens for longer: a clock was ahead when that one did
PROBES = 3
MOST_DOUBLINGS = 6  # five hours and twenty minutes


@dataclass(frozen=True, slots=True)
class Bucket:
    """Calls that ended in one minute; `number` counts minutes of the shared clock."""

    number: int
    calls: int = 0
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Closed:
    """`window`: newest bucket last."""

    in_a_row: int = 0
    window: tuple[Bucket, ...] = ()


@dataclass(frozen=True, slots=True)
class Open:
    """`reopened`: how often in a row probing found the service still broken."""

    until: float
    why: str
    reopened: int = 0

    @property
    def brief(self) -> bool:
        """Not for hours yet: leads may wait for it."""
        return self.reopened < MOST_DOUBLINGS

    @property
    def worth_a_run_at(self) -> float:
        """When leads that wait should be tried again: later each time, so that a dead vendor rests."""
        rest_s: float = OPEN_S * 2 ** min(self.reopened, MOST_DOUBLINGS)
        return self.until - OPEN_S + rest_s


@dataclass(frozen=True, slots=True)
class Probe:
    """Somebody's right to ask once; it expires when the call must have ended."""

    holder: str
    until: float


@dataclass(frozen=True, slots=True)
class HalfOpen:
    why: str
    reopened: int = 0
    answered: int = 0
    probes: tuple[Probe, ...] = ()

    @property
    def room(self) -> int:
        """Probes that may still be leased."""
        return PROBES - self.answered - len(self.probes)


Breaker = Closed | Open | HalfOpen


@dataclass(frozen=True, slots=True)
class Answered:
    """So many calls in a row were answered."""

    calls: int = 1


@dataclass(frozen=True, slots=True)
class Failed:
    why: str


@dataclass(frozen=True, slots=True)
class Leased:
    """A wish to probe, granted where there is room; `lease_s` is as long as the call may take."""

    holder: str
    lease_s: float


@dataclass(frozen=True, slots=True)
class GivenBack:
    """The probe was not needed: nothing was asked."""

    holder: str


Event = Answered | Failed | Leased | GivenBack


def at(breaker: Breaker, now: float) -> Breaker:
    """What the passing of time alone makes of it."""
    match breaker:
        case Open(until, why, reopened) if not now < until <= now + MOST_AHEAD_S:
            return HalfOpen(why, reopened)
        case HalfOpen():
            return replace(breaker, probes=tuple(probe for probe in breaker.probes if probe.until > now))
        case _:
            return breaker


def after(breaker: Breaker, event: Event, now: float) -> Breaker:
    """An open breaker hears of calls that left before it opened: they change nothing any more."""
    match at(breaker, now):
        case Closed() as closed:
            return _closed_after(closed, event, now)
        case HalfOpen() as half_open:
            return _half_open_after(half_open, event, now)
        case still_open:
            return still_open


def after_all(breaker: Breaker, events: Iterable[Event], now: float) -> Breaker:
    """Also without any event, time passes."""
    breaker = at(breaker, now)
    for event in events:
        breaker = after(breaker, event, now)
    return breaker


def _closed_after(closed: Closed, event: Event, now: float) -> Breaker:
    match event:
        case Answered(calls):
            return Closed(0, _counted(closed.window, now, calls, 0))
        case Failed(why):
            more = Closed(closed.in_a_row + 1, _counted(closed.window, now, 1, 1))
            return Open(now + OPEN_S, why) if _too_many(more) else more
        case Leased() | GivenBack():
            return closed


def _too_many(closed: Closed) -> bool:
    calls = sum(bucket.calls for bucket in closed.window)
    failures = sum(bucket.failures for bucket in closed.window)
    in_a_row = closed.in_a_row >= FAILURES_IN_A_ROW
    return in_a_row or (calls >= LEAST_CALLS and failures >= FAILURE_SHARE * calls)


def _counted(window: Sequence[Bucket], now: float, calls: int, failures: int) -> tuple[Bucket, ...]:
    """The bucket of this minute with so many more; those that the window has left behind are dropped."""
    number = int(now // BUCKET_S)
    oldest = number - int(WINDOW_S // BUCKET_S)
    kept = {bucket.number: bucket for bucket in window if bucket.number > oldest}
    this = kept.get(number, Bucket(number))
    kept[number] = Bucket(number, this.calls + calls, this.failures + failures)
    return tuple(kept[each] for each in sorted(kept))


def _half_open_after(half_open: HalfOpen, event: Event, now: float) -> Breaker:
    match event:
        case Answered(calls):
            answered = half_open.answered + calls
            rest = replace(half_open, answered=answered, probes=half_open.probes[calls:])
            return Closed() if answered >= PROBES else rest
        case Failed(why):
            return Open(now + OPEN_S, why, half_open.reopened + 1)
        case Leased(holder, lease_s):
            probe = Probe(holder, now + lease_s)
            return replace(half_open, probes=(*half_open.probes, probe)) if half_open.room > 0 else half_open
        case GivenBack(holder):
            left = tuple(probe for probe in half_open.probes if probe.holder != holder)
            return replace(half_open, probes=left)


def holds_probe(breaker: Breaker, holder: str) -> bool:
    return isinstance(breaker, HalfOpen) and any(probe.holder == holder for probe in breaker.probes)


@dataclass(frozen=True, slots=True)
class Reading:
    """All workers' view, at `now` on the shared clock: breakers by provider, and whose account is empty."""

    now: float
    breakers: Mapping[str, Breaker]
    out_of_credits: frozenset[str] = frozenset()


class BreakerBook(Protocol):
    """Where breakers are shared while runs go on."""

    async def begin(self, providers: Sequence[str]) -> Reading:
        """As a run finds them: what was shared last, or where that is old, what the newest calls show."""
        ...

    async def tell(self, events: Mapping[str, Sequence[Event]], providers: Sequence[str]) -> Reading:
        """Applies what happened, in one step, and tells how the breakers of all `providers` stand then."""
        ...

    async def note_credits(self, provider: str, *, empty: bool) -> None:
        """What the vendor said of the account, for runs to come and those beside this one."""
        ...
