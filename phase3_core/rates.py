"""How often something happens, and how sure we are of it: what was seen, shrunk to what is usual.

A little history moves a rate a little. However long it is, another campaign is other people: what was seen
counts for at most `MOST_WEIGHT` trials.
"""

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import ClassVar

from phase3_core.market import FINDERS, Market

PRIOR_WEIGHT = 20.0  # trials that a usual figure is worth
MOST_WEIGHT = 400.0

USUAL_FIND_RATE = FINDERS.hit_rate(0)  # of the first finder that is asked
USUAL_VALID_RATE = FINDERS.hold_rate  # accepted addresses of those that a finder names


@dataclass(frozen=True, slots=True)
class Rate:
    """A share of trials (Beta): its mean, and the trials that it rests on.

    `alike`: trials that tell as much as one would alone, for colleagues go alike.
    """

    mean: float
    weight: float = PRIOR_WEIGHT
    alike: float = 1.0
    highest: ClassVar[float] = 1.0

    def after(self, hits: float, trials: float) -> "Rate":
        """What `trials` of which `hits` came true make of it."""
        weight, counted = _weighed(self.weight, trials / self.alike)
        if not trials:
            return self
        mean = (self.mean * self.weight + hits / trials * counted) / weight
        return Rate(min(1.0, mean), weight, self.alike)

    def deviation(self, trials: float) -> float:
        """Standard deviation of the share that so many trials will show (beta-binomial)."""
        if trials <= 0:
            return 0.0
        doubt = (self.weight * self.alike / trials + 1) / (self.weight + 1)
        return math.sqrt(self.mean * (1 - self.mean) * doubt)


@dataclass(frozen=True, slots=True)
class Mean:
    """How many times for each trial (Gamma, Poisson): its mean, and the trials that it rests on."""

    mean: float
    weight: float = PRIOR_WEIGHT
    alike: float = 1.0
    highest: ClassVar[float] = math.inf

    def after(self, times: float, trials: float) -> "Mean":
        weight, counted = _weighed(self.weight, trials / self.alike)
        if not trials:
            return self
        return Mean((self.mean * self.weight + times / trials * counted) / weight, weight, self.alike)

    def deviation(self, trials: float) -> float:
        """As of a rate (Gamma-Poisson)."""
        if trials <= 0:
            return 0.0
        return math.sqrt(self.mean / self.weight + self.mean * self.alike / trials)


def _weighed(before: float, trials: float) -> tuple[float, float]:
    """The weight afterwards, and how much of it the trials have."""
    counted = min(trials, max(0.0, MOST_WEIGHT - before))
    return before + counted, counted


@dataclass(frozen=True, slots=True)
class Seen:
    """What a finder answered about leads of whom `missed` had brought no accepted address before."""

    provider: str
    missed: frozenset[str]
    calls: int
    hits: int
    accepted: int

    def as_json(self) -> list[object]:
        return [self.provider, sorted(self.missed), self.calls, self.hits, self.accepted]


def seen_from_json(told: Iterable[list[object]]) -> tuple[Seen, ...]:
    """Raises ValueError for what `Seen.as_json` never wrote."""
    return tuple(_seen(*row) for row in told)


def _seen(provider: object, missed: object, calls: object, hits: object, accepted: object) -> Seen:
    if not isinstance(missed, list):
        raise ValueError(f"no finders: {missed!r}")  # noqa: TRY004 - one error for whatever is not ours
    numbers = (int(str(number)) for number in (calls, hits, accepted))
    return Seen(str(provider), frozenset(map(str, missed)), *numbers)


class FinderRates:
    """Find and valid rates of finders, given who was asked before in vain.

    First how good a finder is beside what is usual wherever it was asked; that is its rate after so many
    misses, as far as nothing was seen there; and that its rate after just these, likewise.
    `market`: what is usual of the leads that finders are asked about.
    """

    def __init__(self, seen: Iterable[Seen] = (), market: Market = FINDERS) -> None:
        self._seen = tuple(seen)
        self._market = market

    def find(self, provider: str, missed: Collection[str]) -> Rate:
        """P(it names an address), where all of `missed` brought none that was accepted."""
        own = [row for row in self._seen if row.provider == provider]
        after_as_many = [row for row in own if len(row.missed) == len(missed)]
        exactly = [row for row in after_as_many if row.missed == frozenset(missed)]
        others = [row for row in after_as_many if row.missed != frozenset(missed)]
        base = min(0.98, self._market.hit_rate(len(missed)) * self._beside_usual(own))
        rate = Rate(base).after(*_finds(others))
        rate = Rate(rate.mean, min(rate.weight, 2 * PRIOR_WEIGHT))
        return rate.after(*_finds(exactly))

    def _beside_usual(self, own: Iterable[Seen]) -> float:
        """Hits for each that was to be expected (Gamma-Poisson, mean 1 where nothing was seen)."""
        rows = list(own)
        expected = sum(row.calls * self._market.hit_rate(len(row.missed)) for row in rows)
        prior = PRIOR_WEIGHT * USUAL_FIND_RATE
        return (prior + sum(row.hits for row in rows)) / (prior + expected)

    def accept(self, provider: str) -> Rate:
        """P(verification accepts an address that it names)."""
        own = [row for row in self._seen if row.provider == provider]
        accepted, hits = sum(row.accepted for row in own), sum(row.hits for row in own)
        return Rate(self._market.hold_rate).after(accepted, hits)

    def answers(self, provider: str) -> int:
        """How many of its answers all of this rests on."""
        return sum(row.calls for row in self._seen if row.provider == provider)


def _finds(rows: Iterable[Seen]) -> tuple[int, int]:
    rows = list(rows)
    return sum(row.hits for row in rows), sum(row.calls for row in rows)
