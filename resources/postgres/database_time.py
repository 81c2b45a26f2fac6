"""The database's time on the clock of this process."""

import math
from dataclasses import dataclass

TIME_HOLDS_S = 10.0  # after which the database's clock is compared anew


@dataclass
class DatabaseTime:
    """The database's time on our monotonic clock, as exact as the fastest exchange of late."""

    offset_s: float = 0.0
    width_s: float = math.inf
    learned: float = -math.inf
    sought: float = -math.inf

    def learn(self, at: float, sent: float, received: float) -> None:
        """`at` came between the two; where we thought otherwise, a clock was set, or a machine slept."""
        width = received - sent
        refuted = not sent <= self.here(at) <= received + self.width_s
        if refuted or width <= self.width_s or received - self.learned > TIME_HOLDS_S:
            self.offset_s, self.width_s, self.learned = received - at, width, received

    def here(self, at: float) -> float:
        """Not before it, and at most `width_s` after."""
        return at + self.offset_s
