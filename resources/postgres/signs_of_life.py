"""When a run counts as dead: one rule for all who look at its campaign's lock.

A living run is without the lock before its first asset, between two, and when its connection broke: until it
has a new one and takes the lock again, which takes seconds, and longer where much is going on. So a lock that
is free must stay free, and whatever may have cost a living run its lock once more gives it the whole time
again: a look that failed, one that was missed, a start of the server, a taking that nobody saw.
"""

import math
from dataclasses import dataclass

from resources.postgres.lease import Sighting, Standing

DEAD_AFTER_S = 30.0
BEFORE_THE_FIRST_S = 40.0  # from a run's start to its first asset


@dataclass
class SignsOfLife:
    """What one who looks at a campaign again and again has seen, in seconds on that one's clock.

    What was in a gap between two looks that is longer than `longest_gap_s` nobody knows.
    """

    dead_after_s: float = DEAD_AFTER_S
    longest_gap_s: float = math.inf
    _last: Sighting | None = None
    _since: float = 0.0
    _looked: float = 0.0

    @property
    def lease(self) -> Standing | None:
        return self._last.lease if self._last else None

    def seen(self, found: Sighting, now: float) -> None:
        if found != self._last or now - self._looked > self.longest_gap_s:
            self._last, self._since = found, now
        self._looked = now

    def look_failed(self) -> None:
        self._last, self._since = None, self._looked

    def is_dead(self, run_id: str) -> bool:
        """By all looks so far; at the second one at the earliest."""
        unchanged_s, lease = self._looked - self._since, self.lease
        if lease is None or lease.run_id != run_id:
            return unchanged_s >= BEFORE_THE_FIRST_S
        return not lease.held and unchanged_s >= self.dead_after_s
