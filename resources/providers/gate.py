"""How fast a provider may be asked: evenly paced, at most so many in flight, all processes together."""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from phase3_core.leads import Rank
from phase3_core.rate_limits import Allowance, Demand, RateLimit
from phase3_core.throttle import after_success, after_trouble, unthrottled
from resources.providers.naps import Naps
from resources.providers.own_limit import OwnLimit
from resources.providers.pace import Moment, Pace
from resources.providers.room import FIRST, Room

SLACK = 0.01  # of a span: how much further apart requests leave than the vendor asks
LEAST_SLACK_S = 0.04  # what a busy process may be late
RENEW_S = 1.0
RENEW_HUNGRY_S = 0.3


@dataclass(frozen=True, slots=True)
class Limits:
    """A vendor's limits: requests per second, minute, hour and day; requests in flight. None: none known.

    `reads_per_minute`: of jobs' results, over all jobs; None: reading counts like any other request.
    """

    per_second: float | None = None
    per_minute: float | None = None
    per_hour: float | None = None
    per_day: int | None = None
    in_flight: int = 20
    reads_per_minute: float | None = None

    @property
    def rate(self) -> float | None:
        """Requests per second that keep every limit but the day's."""
        return min((most / span for most, span in self._spans() if most), default=None)

    def allowance(self, name: str = "") -> Allowance:
        """So far apart, and at most so late, that no span ever holds more than its limit."""
        spans = [(most, _span_s(most, span)) for most, span in self._spans() if most]
        gap_s = max(((span + _slack_s(span)) / max(1.0, most) for most, span in spans), default=0.0)
        late_s = min((gap_s * max(1.0, most) - span for most, span in spans), default=math.inf)
        return Allowance(name, gap_s, late_s, self.per_day, self.in_flight)

    def _spans(self) -> list[tuple[float | None, float]]:
        return [(self.per_second, 1.0), (self.per_minute, 60.0), (self.per_hour, 3_600.0)]


def _span_s(most: float, span_s: float) -> float:
    """Less than one in a second is one in several."""
    return span_s / most if most < 1 else span_s


def _slack_s(span_s: float) -> float:
    return max(SLACK * span_s, LEAST_SLACK_S)


class Gate:
    """Room in flight and a booked moment, taken together just before a call leaves.

    `monotonic` in seconds. A told wait (429) holds everyone, not only the call that was told. With a
    `limit` that is shared, everyone means every process that uses the vendor's account.
    """

    def __init__(
        self,
        limits: Limits,
        monotonic: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        share: Callable[[Allowance], RateLimit] | None = None,
        name: str = "",
    ) -> None:
        self._naps = sleep if isinstance(sleep, Naps) else Naps(sleep)
        self._sleep: Callable[[float], Awaitable[None]] = self._naps
        self._monotonic = monotonic
        allowance = limits.allowance(name)
        self._limit = share(allowance) if share else OwnLimit(allowance, monotonic)
        self._counted = allowance.counted
        self._places = 0 if self._limit.shared else allowance.in_flight
        self._throttle = unthrottled(allowance.in_flight)
        self._room = Room(self._places)
        self._pace = Pace(allowance, self._limit, monotonic, self._pause, self._naps)
        self._asked = 0
        self._renewing: asyncio.Task[None] | None = None
        self._telling: set[asyncio.Task[None]] = set()

    async def _pause(self, seconds: float) -> None:
        if seconds > 0:
            await self._sleep(seconds)

    # --- coming and going

    async def enter_at_once(self) -> bool:
        """Takes a place only if that needs no waiting; for others the database is asked by `enter`."""
        if not self._pace.at_once or not self._room.take_at_once():
            return False
        self._asked += 1
        return True

    async def enter(self, rank: Rank = FIRST) -> Moment | None:
        """What to give back if nothing is asked after all; raises QuotaSpent."""
        self._stay_shared()
        await self._room.take(rank)
        try:
            moment = await self._pace.turn(rank)
        except BaseException:
            self.leave()
            raise
        self._asked += 1
        return moment

    def not_asked(self, moment: Moment | None) -> None:
        """Who came in asked nothing: its moment is another's."""
        self._asked = max(0, self._asked - 1)
        if moment:
            self._pace.give_back(moment)

    @asynccontextmanager
    async def place(self) -> AsyncIterator[Moment | None]:
        moment = await self.enter()
        try:
            yield moment
        finally:
            self.leave()

    async def pace(self) -> bool:
        """A booked moment alone, for a request of a call that has its place already; raises QuotaSpent.

        False once the run is ending and no moment is near: what was to be asked is left to the next run.
        """
        moment = await (self._pace.turn_at_once() if self._naps.over else self._pace.turn())
        self._asked += moment is not None
        return moment is not None

    def leave(self) -> None:
        self._room.give_back()

    def open_to_all(self) -> None:
        """Whoever queues comes in at once, to find that the run is ending."""
        self._room.open()

    # --- what the vendor says

    def hold(self, seconds: float) -> None:
        """Nobody asks for so long."""
        if seconds > 0:
            self._pace.hold(seconds)
            self._tell(self._limit.hold(seconds))

    def strain(self) -> None:
        """The vendor refuses and does not say for how long: everybody asks less for a while."""
        self.struggled()
        self._tell(self._limit.strain())

    def rest(self, seconds: float, until: datetime) -> None:
        """Nobody asks before `until`, and nobody waits for it."""
        self._pace.rest(seconds, until)
        self._tell(self._limit.rest(seconds))

    def struggled(self) -> None:
        """The vendor broke down over a call: fewer at once, whoever else asks it."""
        self._throttle = after_trouble(self._throttle, self._monotonic())
        self._resize()

    def throve(self) -> None:
        if self._throttle.now < self._throttle.most:
            self._throttle = after_success(self._throttle)
            self._resize()

    def _resize(self) -> None:
        self._room.resize(min(self._places, self._throttle.room))

    def _tell(self, news: Coroutine[Any, Any, None]) -> None:
        """Nobody waits for it; a limit that cannot be told is told by the next refusal."""
        task = asyncio.ensure_future(news)
        self._telling.add(task)
        task.add_done_callback(self._told)

    def _told(self, task: asyncio.Task[None]) -> None:
        self._telling.discard(task)
        if not task.cancelled():
            task.exception()

    # --- sharing places

    def _stay_shared(self) -> None:
        if self._limit.shared and (self._renewing is None or self._renewing.done()):
            self._renewing = asyncio.ensure_future(self._renew())

    async def _renew(self) -> None:
        """While there is work; then the places are given back."""
        try:
            while True:
                if not await self._share():
                    return
                await asyncio.sleep(RENEW_S if self._places else RENEW_HUNGRY_S)
        except Exception as failure:  # noqa: BLE001 - handed on to everyone who waits for a place
            self._room.fail(failure)

    async def _share(self) -> bool:
        """Whether there was work. Meanwhile nobody more comes in: a place not told of may be another's."""
        self._places = min(self._places, self._room.busy)
        self._resize()
        demand = Demand(self._room.busy, self._room.queued, 0 if self._counted else self._asked)
        self._asked = 0
        share = await self._limit.share(demand)
        self._places = share.places
        if share.rests:
            self._pace.rest(share.rests.in_s, share.rests.until)
        if share.held_s > 0 and not self._counted:
            self._pace.hold(share.held_s)
        self._resize()
        return bool(self._places or self._room.busy or self._room.queued)

    async def close(self) -> None:
        """The run is over: nothing is renewed any more."""
        tasks = [task for task in (self._renewing, *self._telling) if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, self._pace.close(), return_exceptions=True)
