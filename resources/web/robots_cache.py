"""What sites' robots.txt said, remembered."""

from collections import OrderedDict
from collections.abc import Callable

from resources.web.robots import Robots


class RobotsCache:
    """Rules by origin, for the day RFC 9309 allows; all of them together have a bound."""

    _MAX_ORIGINS = 5_000
    _MAX_LETTERS = 8_000_000
    _MAX_AGE_S = 86_400.0

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, Robots]] = OrderedDict()
        self._letters = 0

    def known(self, origin: str) -> Robots | None:
        learnt_at, robots = self._known.get(origin, (0.0, None))
        return robots if robots and self._clock() - learnt_at < self._MAX_AGE_S else None

    def learn(self, origin: str, robots: Robots) -> None:
        self._forget(origin)
        self._known[origin] = (self._clock(), robots)
        self._letters += robots.letters
        while len(self._known) > self._MAX_ORIGINS or self._letters > self._MAX_LETTERS:
            self._forget(next(iter(self._known)))

    def _forget(self, origin: str) -> None:
        _, robots = self._known.pop(origin, (0.0, Robots()))
        self._letters -= robots.letters
