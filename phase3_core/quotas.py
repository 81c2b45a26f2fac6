"""What a day allows of a provider, and what is left of it as leads take their part."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stock:
    """Calls, or USD, for a UTC day: `today` are left, `a_day` (more than none) come with each midnight.

    `name`: who draws on the same stock names it alike.
    """

    name: str
    today: float
    a_day: float

    def within(self, days: int) -> float:
        """What so many days from tomorrow on bring; of today, where they are none."""
        return self.a_day * days if days else self.today

    def days(self, load: float) -> int:
        """UTC days that carry the load; today's rest is the first."""
        return 1 + max(0, math.ceil(round((load - self.today) / self.a_day, 6)))


@dataclass(frozen=True, slots=True)
class Quota:
    """What a provider may be asked and may cost in a day; None: without end."""

    calls: Stock | None = None
    usd: Stock | None = None

    def days(self, calls: float, usd: float) -> int:
        """UTC days that carry the load, of which half a call is none."""
        by_calls = self.calls.days(round(calls)) if self.calls else 1
        return max(by_calls, self.usd.days(usd) if self.usd else 1)

    def takes(self, calls: float, usd: float) -> float:
        """Days from tomorrow on, as a fraction."""
        loads = (self.calls, calls), (self.usd, usd)
        return max((load / stock.a_day for stock, load in loads if stock), default=0.0)

    def waits(self, calls: float, usd: float) -> float:
        """Days, and parts of one, for which what today does not carry waits."""
        loads = (self.calls, calls), (self.usd, usd)
        return max(
            (max(0.0, load - stock.today) / stock.a_day for stock, load in loads if stock), default=0.0
        )

    def draws(self, usd_each: float) -> Iterator[tuple[Stock, float]]:
        """What one call takes of which stock."""
        if self.calls:
            yield self.calls, 1.0
        if self.usd and usd_each:
            yield self.usd, usd_each


Quotas = Mapping[str, Quota]  # by provider; who is left out may be asked without end
NO_QUOTAS: Quotas = {}


class Room:
    """What the quotas leave: of today first, then of the days that follow."""

    def __init__(self, quotas: Quotas) -> None:
        self._quotas = quotas
        self._days = 0
        self._taken: defaultdict[str, float] = defaultdict(float)

    def take(self, provider: str, wanted: float, usd_each: float) -> float:
        """As many of the calls, each for so many USD, as there is room for."""
        if provider not in self._quotas:
            return wanted
        draws = list(self._quotas[provider].draws(usd_each))
        taken = min([wanted, *(self._left(stock) / each for stock, each in draws)])
        for stock, each in draws:
            self._taken[stock.name] += taken * each
        return taken

    def _left(self, stock: Stock) -> float:
        return max(0.0, stock.within(self._days) - self._taken[stock.name])

    def pass_days(self, days: int) -> None:
        """On to so many days that follow; what was left of those before is gone."""
        self._days = days
        self._taken.clear()
