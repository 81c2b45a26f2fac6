"""How far off what is expected of a campaign may be: every rate is moved by what it may be off itself."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from phase3_core.budget import Budget
from phase3_core.course import Flow, flow, lines
from phase3_core.cuts import carried, most_spent
from phase3_core.money import usd
from phase3_core.planner import Model, Values, finder_of
from phase3_core.quotas import Quotas

FEW = 0.05  # of the leads
DEVIATIONS = 1.2816  # on either side of the mean hold 80 % of a normal distribution


@dataclass(frozen=True, slots=True)
class Interval:
    """In four of five campaigns the truth lies between `low` and `high`."""

    expected: float
    low: float
    high: float

    def as_usd(self) -> dict[str, str]:
        return {name: str(usd(f"{amount:.6f}")) for name, amount in self._each()}

    def as_counts(self) -> dict[str, int]:
        return {name: round(count) for name, count in self._each()}

    def _each(self) -> tuple[tuple[str, float], ...]:
        return ("expected", self.expected), ("low", self.low), ("high", self.high)


@dataclass(frozen=True, slots=True)
class Intervals:
    """`providers`: the cost of each for each agent, by `{agent} {provider}`.

    `within_caps`: the part of the cost that the campaign's budgets carry.
    """

    accepted: Interval
    cost: Interval
    within_caps: Interval
    providers: Mapping[str, Interval]


def intervals(model: Model, going: Flow, quotas: Quotas, budgets: Sequence[Budget]) -> Intervals:
    """Of what is `going` to happen. Rates are independent of one another, so the squares add up."""
    outlook = _Outlook(model, quotas, budgets)
    expected = outlook.of(model.usual)
    below, above = defaultdict[str, float](float), defaultdict[str, float](float)
    for less, more in outlook.moved(going):
        for name, mean in expected.items():
            ends = less.get(name, 0.0), mean, more.get(name, 0.0)
            below[name] += (mean - min(ends)) ** 2
            above[name] += (max(ends) - mean) ** 2
    every = {
        name: _interval(mean, math.sqrt(below[name]), math.sqrt(above[name]))
        for name, mean in expected.items()
    }
    accepted, cost, within = (every.pop(name) for name in ("accepted", "cost", "within caps"))
    most = max(within.expected, most_spent(budgets))
    held = Interval(within.expected, within.low, min(within.high, most))
    return Intervals(accepted, cost, held, every)


@dataclass(frozen=True, slots=True)
class _Outlook:
    """What intervals are wanted of, for given values of the rates."""

    model: Model
    quotas: Quotas
    budgets: Sequence[Budget]

    def of(self, values: Values) -> dict[str, float]:
        going = flow(self.model, values, self.quotas)
        bought = lines(self.model, going)
        to_enrich = sum(group.to_enrich for group in self.model.groups)
        found: defaultdict[str, float] = defaultdict(float)
        found["accepted"] = sum(going.accepted.values()) - to_enrich
        found["cost"] = sum(float(line.cost) for line in bought)
        found["within caps"] = carried(bought, self.budgets)
        for line in bought:
            found[f"{line.agent} {line.provider}"] += float(line.cost)
        return found

    def moved(self, going: Flow) -> Iterator[tuple[dict[str, float], dict[str, float]]]:
        """Each bundle in turn, down and up, so that a bundle of equals is off by as much as its rates are."""
        for bundle in self.bundles(going):
            by = {name: self._deviation(name, going) / math.sqrt(len(bundle)) for name in bundle}
            yield self._moved(by, -1), self._moved(by, +1)

    def bundles(self, going: Flow) -> list[list[str]]:
        """Rates that are moved together: a finder's after whatever was missed, where few leads try them.

        Half-way through a campaign there are hundreds, and a flow is followed twice for each bundle.
        """
        few = FEW * sum(group.to_verify for group in self.model.groups)
        found: dict[str, list[str]] = {}
        for name, trials in going.trials.items():
            found.setdefault(name if trials >= few else finder_of(name), []).append(name)
        return list(found.values())

    def _deviation(self, name: str, going: Flow) -> float:
        return self.model.rates[name].deviation(going.trials[name])

    def _moved(self, by: Mapping[str, float], sign: int) -> dict[str, float]:
        """What is expected when these rates are off by so much."""
        rates = self.model.rates
        moved = {
            name: min(rates[name].highest, max(0.0, rates[name].mean + sign * off))
            for name, off in by.items()
        }
        return self.of({**self.model.usual, **moved})


def _interval(mean: float, below: float, above: float) -> Interval:
    return Interval(mean, max(0.0, mean - DEVIATIONS * below), mean + DEVIATIONS * above)
