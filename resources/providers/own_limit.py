"""A rate limit that nobody shares: for clients outside a run, and for tests."""

from collections.abc import Callable

from phase3_core.rate_limits import NONE_UNUSED, Allowance, Demand, Share, Slots, Unused


class OwnLimit:
    """Implements `RateLimit` for one process. The day is not counted: who is alone for a day knows it."""

    shared = False

    def __init__(self, allowance: Allowance, monotonic: Callable[[], float]) -> None:
        self._allowance = allowance
        self._monotonic = monotonic
        self._next = 0.0

    async def book(self, wanted: int, unused: Unused = NONE_UNUSED) -> Slots:
        del unused
        opens, gap_s = max(self._next, self._monotonic()), self._allowance.gap_s
        self._next = opens + wanted * gap_s
        return Slots(opens, gap_s, self._allowance.late_s, wanted)

    async def give_back(self, unused: Unused) -> None:
        """The day is not counted."""

    async def hold(self, seconds: float) -> None:
        self._next = max(self._next, self._monotonic() + seconds)

    async def rest(self, seconds: float) -> None:
        """The gate itself knows."""

    async def strain(self) -> None:
        """Nobody else is to be told; the gate itself gives the vendor room."""

    async def share(self, demand: Demand) -> Share:
        del demand
        return Share(self._allowance.in_flight)
