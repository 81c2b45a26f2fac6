"""How many questions a struggling vendor is asked at once: fewer after trouble, more with every success.

Additive increase, multiplicative decrease. It never goes below one, so that recovery is noticed, and comes
back to all that is allowed.
"""

import math
from dataclasses import dataclass, replace

LESS = 0.7  # of what it was
ROUNDS = 50  # of successes from nothing back to all
LESS_EVERY_S = 1.0  # one outage ends many calls, and counts once


@dataclass(frozen=True, slots=True)
class Throttle:
    """`most` as allowed, `now` as the vendor bears it; `lowered_at` seconds on the monotonic clock."""

    most: int
    now: float
    lowered_at: float = -math.inf

    @property
    def room(self) -> int:
        return max(1, int(self.now))


def unthrottled(most: int) -> Throttle:
    return Throttle(most, float(most))


def after_success(throttle: Throttle) -> Throttle:
    """A fiftieth of all more for each round of successes, at least one."""
    if throttle.now >= throttle.most:
        return throttle
    more = max(1.0, throttle.most / ROUNDS) / throttle.now
    return replace(throttle, now=min(throttle.most, throttle.now + more))


def after_trouble(throttle: Throttle, at: float) -> Throttle:
    """At most once a second."""
    if at - throttle.lowered_at < LESS_EVERY_S:
        return throttle
    return replace(throttle, now=max(1.0, throttle.now * LESS), lowered_at=at)
