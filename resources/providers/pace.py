"""When a request may leave: moments of a rate limit, booked a few at a time and given out in turn."""

import math
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, datetime

from phase3_core.leads import Rank
from phase3_core.rate_limits import NONE_UNUSED, Allowance, RateLimit, Slots, Spent, Unused
from resources.providers.naps import Naps
from resources.providers.room import FIRST, Room

CHUNK_S = 0.5  # of the quota is booked at once, where so many wait
AHEAD_S = 0.25  # before the last booked moment the next ones are booked
LEAST_BETWEEN_S = 0.1  # bookings for few, so that those who come one by one are booked for together


class QuotaSpent(Exception):
    """The vendor may not be asked before `until`, which is too long to wait for."""

    def __init__(self, until: datetime) -> None:
        super().__init__(f"its quota is spent until {until:%Y-%m-%d %H:%M} UTC")
        self.until = until


@dataclass(frozen=True, slots=True)
class Moment:
    """When a request may leave; `day`: in whose quota it counts."""

    opens: float
    closes: float
    day: date | None = None


class Pace:
    """One allowance's moments in this process. Once `naps` are over, nobody waits for one.

    A moment at which nothing left goes to whoever comes before it closes; if nobody does, only the day's
    quota has it back, with the next booking.
    """

    def __init__(
        self,
        allowance: Allowance,
        limit: RateLimit,
        monotonic: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        naps: Naps,
    ) -> None:
        self._allowance = allowance
        self._limit = limit
        self._monotonic = monotonic
        self._sleep = sleep
        self._naps = naps
        self._chunk = max(1, int(CHUNK_S / allowance.gap_s)) if allowance.gap_s else 20
        self._moments: deque[Moment] = deque()
        self._unused = NONE_UNUSED
        self._turnstile = Room(1)
        self._waiting = 0
        self._last_moment = self._last_booking = self._held_until = -math.inf
        self._spent: tuple[float, datetime] | None = None

    @property
    def at_once(self) -> bool:
        """Whether nobody need wait for a moment."""
        if self._allowance.counted or self._resting:
            return False
        return self._held_until <= self._monotonic()

    async def turn(self, rank: Rank = FIRST) -> Moment | None:
        """A moment that is now, or None once the run is ending; raises QuotaSpent.

        One that was slept through is lost. Moments are given out by rank as they are booked.
        """
        while not self._naps.over:
            self._refuse_if_spent()
            if (moment := await self._moment(rank)) is None:
                continue
            if await self._awaited(moment):
                return moment
            self.give_back(moment)
        return None

    async def _awaited(self, moment: Moment) -> bool:
        try:
            await self._sleep(max(0.0, moment.opens - self._monotonic()))
        except BaseException:
            self.give_back(moment)
            raise
        return self._holds(moment) and not self._naps.over

    async def turn_at_once(self) -> Moment | None:
        """As `turn`, for one who does not queue: None where others do, or the next moment is far."""
        if not self._allowance.counted:
            return self._now() if self.at_once else None
        if not self._turnstile.free or not (self._timely() or self._next_booking() <= self._monotonic()):
            return None
        async with self._turnstile.taken():
            if not self._timely():
                await self._book()
            if not self._moments or self._moments[0].opens - self._monotonic() > AHEAD_S:
                return None
            moment = self._moments.popleft()
        await self._naps.through(max(0.0, moment.opens - self._monotonic()))
        if self._holds(moment):
            return moment
        self.give_back(moment)
        return None

    def _now(self) -> Moment:
        return Moment(max(self._held_until, self._monotonic()), math.inf)

    def _holds(self, moment: Moment) -> bool:
        return self._monotonic() <= moment.closes and moment.opens >= self._held_until

    # --- what is not used

    def give_back(self, moment: Moment) -> None:
        """Nothing left at it."""
        if self._allowance.counted:
            self._moments.appendleft(moment)
            self._drop_the_past()

    def _drop_the_past(self) -> None:
        while self._moments and not self._holds(self._moments[0]):
            self._drop(self._moments.popleft())

    def _drop(self, moment: Moment) -> None:
        before = self._unused.count if self._unused.day == moment.day else 0
        self._unused = Unused(before + 1, moment.day)

    def _drop_all(self) -> None:
        while self._moments:
            self._drop(self._moments.popleft())

    async def close(self) -> None:
        """Nothing leaves any more."""
        self._drop_all()
        unused, self._unused = self._unused, NONE_UNUSED
        if unused.count and self._allowance.per_day is not None:
            await self._limit.give_back(unused)

    # --- what the vendor says

    def hold(self, seconds: float) -> None:
        """What is booked before that is given up."""
        self._held_until = max(self._held_until, self._monotonic() + seconds)
        self._drop_all()

    def rest(self, seconds: float, until: datetime) -> None:
        """Whoever comes before that is told so."""
        self._spent = (self._monotonic() + seconds, until)
        self._drop_all()

    # --- booking

    @property
    def _resting(self) -> bool:
        return self._spent is not None and self._monotonic() < self._spent[0]

    async def _moment(self, rank: Rank) -> Moment | None:
        if not self._allowance.counted:
            return self._now()
        self._waiting += 1
        try:
            async with self._turnstile.taken(rank):
                while not (self._timely() or self._naps.over):
                    await self._sleep(max(0.0, self._next_booking() - self._monotonic()))
                    if not self._timely():
                        await self._book()
                return self._moments.popleft() if self._timely() else None
        finally:
            self._waiting -= 1

    def _timely(self) -> bool:
        """Whether a moment is left that has not passed."""
        self._drop_the_past()
        return bool(self._moments)

    def _next_booking(self) -> float:
        together = LEAST_BETWEEN_S if self._waiting < self._chunk else 0.0
        return max(self._held_until, self._last_moment - AHEAD_S, self._last_booking + together)

    async def _book(self) -> None:
        self._refuse_if_spent()
        unused, self._unused = self._unused, NONE_UNUSED
        booked = await self._limit.book(max(1, min(self._chunk, self._waiting)), unused)
        self._last_booking = self._monotonic()
        if isinstance(booked, Spent):
            self.rest(booked.in_s, booked.until)
            self._refuse_if_spent()
        else:
            self._keep(booked)

    def _keep(self, slots: Slots) -> None:
        for place in range(slots.count):
            opens = slots.opens + place * slots.gap_s
            self._moments.append(Moment(opens, opens + slots.late_s, slots.day))
            self._last_moment = opens

    def _refuse_if_spent(self) -> None:
        if self._spent and self._resting:
            raise QuotaSpent(self._spent[1])
