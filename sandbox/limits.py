"""Rate limits as vendors count them: fixed or sliding windows, and requests in flight."""

import math
import time
from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quota:
    """What a vendor allows; None is no limit."""

    per_second: int | None = None
    per_minute: int | None = None
    per_hour: int | None = None
    per_day: int | None = None
    in_flight: int | None = None
    sliding: bool = False

    def times(self, factor: float) -> "Quota":
        """The same quota at other rates; what may be in flight stays. A factor of 0 lifts every limit."""
        if factor <= 0:
            return Quota()

        def scaled(limit: int | None) -> int | None:
            return None if limit is None else max(1, round(limit * factor))

        return Quota(
            scaled(self.per_second),
            scaled(self.per_minute),
            scaled(self.per_hour),
            scaled(self.per_day),
            self.in_flight,
            self.sliding,
        )

    def windows(self) -> list[tuple[str, float, int]]:
        """Name, length in seconds and limit of each window."""
        lengths = (("second", 1.0), ("minute", 60.0), ("hour", 3_600.0), ("day", 86_400.0))
        limits = (self.per_second, self.per_minute, self.per_hour, self.per_day)
        return [
            (name, length, limit)
            for (name, length), limit in zip(lengths, limits, strict=True)
            if limit is not None
        ]


@dataclass(slots=True)
class Window:
    """A fixed window that opens with the first request after the last one closed."""

    name: str
    length_s: float
    limit: int
    used: int = 0
    opened: float = -math.inf

    def room(self, now: float) -> bool:
        """Whether one more fits."""
        if now - self.opened >= self.length_s:
            self.opened, self.used = now, 0
        return self.used < self.limit

    def take(self, now: float) -> None:  # noqa: ARG002 - the sliding window, which takes its place, needs it
        """Count one."""
        self.used += 1

    @property
    def remaining(self) -> int:
        """How many still fit before it closes."""
        return max(0, self.limit - self.used)

    def closes_in(self, now: float) -> float:
        """Seconds until it is empty again."""
        return max(0.0, self.opened + self.length_s - now)


@dataclass(slots=True)
class SlidingWindow(Window):
    """Counts the requests of the last seconds, whenever they came."""

    times: deque[float] | None = None

    def room(self, now: float) -> bool:
        """Whether one more fits."""
        times = self.times = deque() if self.times is None else self.times
        while times and now - times[0] >= self.length_s:
            times.popleft()
        self.used = len(times)
        return self.used < self.limit

    def take(self, now: float) -> None:
        """Count one."""
        if self.times is not None:
            self.times.append(now)
        self.used += 1

    def closes_in(self, now: float) -> float:
        """Seconds until the oldest request leaves it."""
        return max(0.0, self.times[0] + self.length_s - now) if self.times else 0.0


@dataclass(frozen=True, slots=True)
class Pressure:
    """Why a request was turned away, in the words that vendors put in headers."""

    bucket: str
    limit: int
    remaining: int
    reset_s: float

    @property
    def wait_s(self) -> int:
        """Whole seconds to wait, at least one."""
        return max(1, math.ceil(self.reset_s))

    @property
    def reset_at(self) -> int:
        """The moment of the reset, in epoch seconds."""
        return math.ceil(time.time() + self.reset_s)


class Gate:
    """All limits of one group of operations. A request that is turned away uses up nothing.

    It counts: `let_in` and `turned_away` requests, and `busy_s`, seconds that those let in have taken.
    """

    def __init__(self, quota: Quota) -> None:
        self.in_flight = self.let_in = self.turned_away = 0
        self.busy_s = 0.0
        self.hold_to(quota)

    def hold_to(self, quota: Quota) -> None:
        """Another quota from now on, with nothing used of it."""
        self.quota = quota
        kind = SlidingWindow if quota.sliding else Window
        self.windows = [kind(*window) for window in quota.windows()]

    def enter(self) -> Pressure | None:
        """Count the request in, or say what is full."""
        now = time.monotonic()
        if pressure := self._full(now):
            self.turned_away += 1
            return pressure
        for window in self.windows:
            window.take(now)
        self.in_flight += 1
        self.let_in += 1
        self.busy_s -= now
        return None

    def _full(self, now: float) -> Pressure | None:
        limit = self.quota.in_flight
        if limit is not None and self.in_flight >= limit:
            return Pressure("concurrent", limit, 0, 1.0)
        for window in self.windows:
            if not window.room(now):
                return Pressure(window.name, window.limit, 0, window.closes_in(now))
        return None

    def leave(self) -> None:
        """The request is answered."""
        self.in_flight -= 1
        self.busy_s += time.monotonic()

    def pressure(self) -> Pressure | None:
        """Where the first window stands, for the headers of an answer."""
        if not self.windows:
            return None
        window = self.windows[0]
        return Pressure(window.name, window.limit, window.remaining, window.closes_in(time.monotonic()))
