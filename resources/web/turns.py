"""Politeness between visits to one host."""

from resources.web.limits import Seams
from resources.web.outcome import Outcome
from resources.web.visit import StoppedError


class Turns:
    """One request per host and pause, in the order of asking."""

    _MAX_HOSTS = 10_000

    def __init__(self, seams: Seams) -> None:
        self._seams = seams
        self._free_at: dict[str, float] = {}

    async def wait(self, host: str) -> None:
        """A thousand domains that all redirect to one host must not hold up everybody behind them."""
        now = self._seams.clock()
        if len(self._free_at) > self._MAX_HOSTS:
            self._free_at = {name: at for name, at in self._free_at.items() if at > now}
        turn = max(now, self._free_at.get(host, now))
        if turn - now > self._seams.limits.turn_s:
            raise StoppedError(Outcome.TIMEOUT, f"{host} is asked by many")
        self._free_at[host] = turn + self._seams.limits.pause_s
        if turn > now:
            await self._seams.sleep(turn - now)
