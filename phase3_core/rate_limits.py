"""A vendor account's rate limit, shared by every process that asks it: the port, and how places are shared.

Requests of all processes leave at evenly spaced moments that are booked a few at a time, so that no window
of time holds more of them than the vendor allows, however many processes there are. Places in flight are
divided among the processes that have work.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

TURN_S = 20.0  # for which a process keeps a place that others wait for, where there are too few for all
REST_S = 2.0  # before it takes one again


@dataclass(frozen=True, slots=True)
class Allowance:
    """What an account may do of one kind of request: one every `gap_s` seconds, `per_day`, `in_flight`.

    `name` is the account's and the kind's, without any secret. A request may leave up to `late_s` seconds
    after its moment; later it could crowd others.
    """

    name: str = ""
    gap_s: float = 0.0
    late_s: float = math.inf
    per_day: int | None = None
    in_flight: int = 20

    @property
    def counted(self) -> bool:
        """Whether each request is booked."""
        return self.gap_s > 0 or self.per_day is not None


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a vendor allows a provider: `rate` requests a second, `per_day`, `in_flight`; None: no such limit.

    `account`: whose requests are counted together, without any secret. `bulk`: it is asked many at a time.
    `operations`: as the ledger names its calls.
    """

    account: str = ""
    rate: float | None = None
    per_day: int | None = None
    in_flight: int = 20
    bulk: bool = False
    operations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Slots:
    """`count` moments at which a request may leave, `gap_s` apart; on the monotonic clock of who booked.

    The first is not before `opens`, and each is lost `late_s` seconds after it came. They count in the
    quota of `day`.
    """

    opens: float
    gap_s: float
    late_s: float
    count: int
    day: date | None = None


@dataclass(frozen=True, slots=True)
class Unused:
    """Moments of a day at which nothing left: so many requests more may follow on that day."""

    count: int = 0
    day: date | None = None


NONE_UNUSED = Unused()


@dataclass(frozen=True, slots=True)
class Spent:
    """No more requests before `until`, in `in_s` seconds: the day's are used up, or the vendor says so."""

    until: datetime
    in_s: float


@dataclass(frozen=True, slots=True)
class Demand:
    """What a process could use: `busy` places in flight now, `queued` behind them.

    `asked`: requests since the last time that nobody booked, for the day's count.
    """

    busy: int
    queued: int
    asked: int = 0

    @property
    def places(self) -> int:
        return self.busy + self.queued


@dataclass(frozen=True, slots=True)
class Share:
    """Places that a process may fill now; `held_s`: seconds for which nobody may send; `rests`: not today."""

    places: int
    held_s: float = 0.0
    rests: Spent | None = None


class RateLimit(Protocol):
    """One allowance as one process sees it."""

    @property
    def shared(self) -> bool:
        """Whether other processes may take part of it; if not, `share` need not be asked."""
        ...

    async def book(self, wanted: int, unused: Unused = NONE_UNUSED) -> Slots | Spent:
        """At most `wanted` moments, at least one. Gives `unused` ones back."""
        ...

    async def give_back(self, unused: Unused) -> None:
        """For one who books no more."""
        ...

    async def hold(self, seconds: float) -> None:
        """Nobody sends for so long: the vendor said so."""
        ...

    async def rest(self, seconds: float) -> None:
        """As `hold`, but for so long that nobody waits: bookings are answered with `Spent`."""
        ...

    async def strain(self) -> None:
        """The vendor refuses what it should allow: everybody goes slower for a while."""
        ...

    async def share(self, demand: Demand) -> Share:
        """The places of this process until it asks again, which it does about every second."""
        ...


class RateLimits(Protocol):
    def of(self, allowance: Allowance) -> RateLimit: ...


@dataclass(frozen=True, slots=True)
class Holder:
    """A process at a vendor: places it holds and could use; seconds since it last had none or got one."""

    held: int
    need: int
    since_s: float = math.inf


def places(limit: int, me: Holder, others: Sequence[Holder]) -> int:
    """How many this process may fill; never more than the others leave."""
    free = limit - sum(other.held for other in others)
    return max(0, min(free, _wished(limit, me, others)))


def _wished(limit: int, me: Holder, others: Sequence[Holder]) -> int:
    """A fair part, one more where all have theirs, and all that is free while nobody is short."""
    rivals = [other for other in others if other.need]
    if not me.need:
        return 0
    part = fair_part(limit, [me.need, *(rival.need for rival in rivals)])
    if not part:
        return _in_turns(me, rivals)
    if all(rival.held >= rival.need for rival in rivals):
        return limit
    waited_for = any(rival.held < min(rival.need, part) for rival in rivals)
    return min(me.need, part if waited_for else part + 1)


def fair_part(limit: int, needs: Sequence[int]) -> int:
    """The most that each may have who needs so much; who needs less leaves the rest to others."""
    for place, need in enumerate(sorted(needs)):
        part = limit // (len(needs) - place)
        if need > part:
            return part
        limit -= need
    return max(needs)


def _in_turns(me: Holder, rivals: Sequence[Holder]) -> int:
    """More processes than places: one each, and it goes round."""
    if not me.held:
        return int(me.since_s >= REST_S)
    waited_for = any(not rival.held for rival in rivals)
    return int(me.since_s < TURN_S or not waited_for)
